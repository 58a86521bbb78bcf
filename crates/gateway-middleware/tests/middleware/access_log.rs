//! The access log: its events, and the lines that are made of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use allocation_counter::measure;
use gateway_conformance::TestClient;
use gateway_core::http::{Method, StatusCode, header::CONTENT_TYPE};
use gateway_core::{
    Address, Body, Environ, Error, IntoApplication, Response, Result, StartResponse, inline,
};
use gateway_middleware::{AccessLines, AccessLog, LogFormat, RequestIds, Spans};
use tracing::field::{Field, Visit};
use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::around::{Boxed, around_each};
use crate::written::Written;

fn hello(environ: Environ, start_response: StartResponse) -> Result<Response> {
    if environ.path_info() == "/missing" {
        return Err(Error::with_status(StatusCode::NOT_FOUND, "nothing is here"));
    }
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    if environ.path_info() == "/cut" {
        let broken = std::io::Error::other("the disk is gone");
        return Ok(response.with_body(Body::iter([Ok("begun".into()), Err(broken)])));
    }
    Ok(response.with_body("Hello"))
}

/// The events of requests, each as text and with the name of the span that it is in.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Seen>>>);

type Seen = (Option<&'static str>, Fields);

type Fields = BTreeMap<&'static str, String>;

struct Text(Fields);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "gateway::access" {
            let mut fields = Text(Fields::new());
            event.record(&mut fields);
            let span = context.event_span(event).map(|span| span.name());
            self.0.lock().expect("nobody panics").push((span, fields.0));
        }
    }
}

impl Events {
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics"))
    }
}

/// Runs `f` with a subscriber on this thread.
fn listening(f: impl FnOnce(&Events)) {
    let events = Events::default();
    with_default(Registry::default().with(events.clone()), || f(&events));
}

#[test]
fn every_kind_of_application_and_outcome_has_its_line() {
    let lines = Written::default();
    let layer = AccessLines::new(LogFormat::Combined, lines.clone());
    with_default(Registry::default().with(layer), || {
        around_each(hello, AccessLog::new, |client, _| {
            client.get("/a?b").header("user-agent", "test \"1\"").send();
            client.get("/missing").header("authorization", "Basic YWRhOnB3").send();
            assert!(client.get("/cut").send().is_cut());
            let lines: Vec<String> = lines.take().iter().map(|line| without_time(line)).collect();
            assert_eq!(
                lines,
                [
                    r#"127.0.0.1 - - [] "GET /a?b HTTP/1.1" 200 5 "-" "test \"1\"""#,
                    r#"127.0.0.1 - ada [] "GET /missing HTTP/1.1" 404 14 "-" "-""#,
                    r#"127.0.0.1 - - [] "GET /cut HTTP/1.1" 200 5 "-" "-""#,
                ]
            );
        });
    });
}

#[test]
fn a_line_in_json_has_the_name_of_the_request_and_why_it_was_cut() {
    let lines = Written::default();
    let wrap = |app| {
        let layer = AccessLines::new(LogFormat::Json, lines.clone());
        RequestIds::new(AccessLog::new(app).also_to(layer))
    };
    around_each(hello, wrap, |client, _| {
        let response = client.get("/cut").send();
        let id = response.header("x-request-id").expect("it is named");
        let [line] = &lines.take()[..] else { panic!("one line for one request") };
        assert!(line.contains(&format!(r#""id":"{id}""#)), "{line}");
        assert!(line.contains(r#""status":200,"bytes":5"#), "{line}");
        assert!(line.contains(r#""aborted":""#), "{line}");
    });
}

#[test]
fn an_event_has_the_names_of_the_conventions_and_is_in_the_requests_span() {
    listening(|events| {
        let wrap = |app| RequestIds::new(Spans::new(AccessLog::new(app)));
        around_each(hello, wrap, |client, _| {
            let request = client.get("/a?b=c").header("authorization", "Basic YWRhOnB3");
            let request = request.header("user-agent", "test/1").header("referer", "/\"there\"");
            let response = request.send();
            let id = response.header("x-request-id").expect("it is named");
            let [(span, fields)] = &mut events.take()[..] else { panic!("one request, one event") };
            assert_eq!(*span, Some("HTTP request"));
            let seconds = fields.remove("http.server.request.duration").expect("it took some time");
            assert!(seconds.parse::<f64>().is_ok_and(|seconds| seconds < 60.0), "{seconds}");
            let id = format!("{id:?}");
            let expected = [
                ("client.address", "127.0.0.1"),
                ("gateway.remote", "127.0.0.1:49152"),
                ("http.request.header.referer", r#""/\"there\"""#),
                ("http.request.method", r#""GET""#),
                ("http.response.body.size", "5"),
                ("http.response.status_code", "200"),
                ("message", r#""request finished""#),
                ("network.protocol.version", r#""1.1""#),
                ("request.id", &id),
                ("url.original", r#""/a?b=c""#),
                ("user.name", r#""ada""#),
                ("user_agent.original", r#""test/1""#),
            ];
            let expected: Fields = expected.map(|(name, value)| (name, value.to_owned())).into();
            assert_eq!(*fields, expected);
        });
    });
}

#[test]
fn an_event_says_how_it_failed_and_what_is_odd() {
    listening(|events| {
        around_each(hello, AccessLog::new, |client, _| {
            let brew = Method::from_bytes(b"BREW").expect("a method");
            client.request(brew, "/").header("user-agent", b"\xff".as_slice()).send();
            client.get("/cut").send();
            let [(span, odd), (_, cut)] = &events.take()[..] else { panic!("two requests") };
            assert_eq!(*span, None);
            assert_eq!(odd["http.request.method"], r#""_OTHER""#);
            assert_eq!(odd["http.request.method_original"], r#""BREW""#);
            assert_eq!(odd["user_agent.original"], "[ff]");
            assert!(!odd.contains_key("error.type"));
            assert_eq!(cut["error.type"], r#""cut""#);
            assert_eq!(cut["error.message"], r#""input or output failed""#);
        });
    });
}

#[test]
fn addresses_of_every_kind_are_as_they_were() {
    for (address, common, json) in [
        (inet("192.0.2.1:7"), "192.0.2.1 ", "192.0.2.1:7"),
        (inet("[2001:db8::1]:7"), "2001:db8::1 ", "[2001:db8::1]:7"),
        (inet("[fe80::1%3]:7"), "fe80::1 ", "[fe80::1%3]:7"),
        (inet("[::ffff:192.0.2.1]:7"), "192.0.2.1 ", "[::ffff:192.0.2.1]:7"),
        (Address::Unix(PathBuf::from("192.0.2.1")), "- ", "unix:192.0.2.1"),
        (Address::Unnamed, "- ", "unnamed"),
    ] {
        let (lines, objects) = (Written::default(), Written::default());
        let app = AccessLog::new(
            AccessLog::new(hello).also_to(AccessLines::new(LogFormat::Common, lines.clone())),
        );
        let app = app.also_to(AccessLines::new(LogFormat::Json, objects.clone()));
        TestClient::new(app).get("/").remote_addr(address).send();
        let (line, object) = (lines.take().remove(0), objects.take().remove(0));
        assert!(line.starts_with(&format!("{common}- - [")), "{line}");
        assert!(object.contains(&format!(r#","remote":"{json}","method""#)), "{object}");
    }
}

fn inet(text: &str) -> Address {
    Address::Inet(text.parse().expect("it is sound"))
}

#[test]
fn a_peer_forges_no_line() {
    for (format, begin, end) in [
        (LogFormat::Common, FORGED, "\" 200 5"),
        (LogFormat::Combined, FORGED, r#"" 200 5 "-" "x\"\\\x09\xc2\x85\xff""#),
        (LogFormat::Json, r#","user":"a\r\nb \u001b�","#, r#""user_agent":"x\"\\\t\u0085�"}"#),
    ] {
        let lines = Written::default();
        let app = AccessLog::new(hello).also_to(AccessLines::new(format, lines.clone()));
        let client = TestClient::new(app);
        let request = client.get("/%0d%0a\"x").header("authorization", "Basic YQ0KYiAb/zpwdw==");
        request.header("user-agent", b"x\"\\\t\xc2\x85\xff".as_slice()).send();
        let [line] = &lines.take()[..] else { panic!("one line") };
        assert!(line.contains(begin) && line.ends_with(end), "{line}");
        assert!(line.contains(r#"/%0d%0a\"x"#), "{line}");
    }
}

const FORGED: &str = r"127.0.0.1 - a\x0d\x0ab\x20\x1b\xff [";

#[test]
fn the_layer_stands_beside_others_with_filters_and_takes_nothing_from_them() {
    let (lines, events) = (Written::default(), Events::default());
    let only = || Targets::new().with_target("gateway::access", LevelFilter::INFO);
    let nothing = Targets::new().with_target("gateway::access", LevelFilter::OFF);
    let quiet = Events::default();
    let subscriber = Registry::default()
        .with(AccessLines::new(LogFormat::Common, lines.clone()).with_filter(only()))
        .with(events.clone().with_filter(only()))
        .with(quiet.clone().with_filter(nothing));
    with_default(subscriber, || {
        let client = TestClient::new(AccessLog::new(hello));
        for _ in 0..3 {
            client.get("/").send();
            tracing::info!(target: "gateway::access", "this is somebody else's");
        }
    });
    assert_eq!((lines.take().len(), events.take().len(), quiet.take().len()), (3, 6, 0));
}

#[test]
fn two_subscribers_are_told_once_each() {
    let lines = Written::default();
    let own = |app: Boxed| {
        AccessLog::new(app).also_to(AccessLines::new(LogFormat::Common, lines.clone()))
    };
    listening(|events| {
        around_each(hello, own, |client, _| {
            client.get("/").send();
            assert_eq!((lines.take().len(), events.take().len()), (1, 1));
        });
        // The one inside knows more, and tells the default alone.
        let twice = |app: Boxed| own(Box::new(RequestIds::new(AccessLog::new(app))));
        around_each(hello, twice, |client, _| {
            client.get("/").send();
            let [(_, event)] = &events.take()[..] else { panic!("one request, one event") };
            assert!(event.contains_key("request.id"));
            assert_eq!(lines.take().len(), 1);
        });
    });
    // One that is made the default by what it logs.
    let client = TestClient::new(own(hello.boxed()));
    client.get("/").send();
    listening(|events| {
        client.get("/").send();
        assert_eq!(events.take().len(), 1);
    });
    assert_eq!(lines.take().len(), 2);
}

#[test]
fn nobody_who_listens_costs_nothing_and_a_line_little() {
    fn answer(_: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(start_response.start(StatusCode::OK, ()).with_body("Hello"))
    }
    let allocations = |app: Boxed| {
        let client = TestClient::new(app);
        let ask = || drop(client.get("/a?b").header("user-agent", "test/1").send());
        // What is made once is made.
        ask();
        measure(ask).count_total
    };
    // Other tests have listeners at the same time, so that nobody listens has to be said.
    with_default(NoSubscriber::new(), || {
        let bare = allocations(Box::new(inline(answer)));
        assert_eq!(allocations(Box::new(AccessLog::new(inline(answer)))), bare);
        for format in [LogFormat::Common, LogFormat::Combined, LogFormat::Json] {
            let lines = AccessLines::new(format, std::io::sink());
            let logged = allocations(Box::new(AccessLog::new(inline(answer)).also_to(lines)));
            let most = bare + 4;
            assert!(logged <= most, "{format:?}: {logged} allocations, {bare} without");
        }
    });
}

/// The line with nothing between the brackets of its time.
fn without_time(line: &str) -> String {
    let (before, rest) = line.split_once('[').expect("a time begins");
    let (_, after) = rest.split_once(']').expect("it ends");
    format!("{before}[]{after}")
}
