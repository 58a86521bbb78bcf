//! Spans, and what they say.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use gateway_core::http::{Method, StatusCode, header::CONTENT_TYPE};
use gateway_core::http_body::{self, Frame};
use gateway_core::{Body, BoxError, Environ, Error, Response, Result, StartResponse, bytes::Bytes};
use gateway_middleware::{RequestIds, RoutePattern, Spans, TraceContext};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::around::{Boxed, around_each};

type Fields = BTreeMap<&'static str, String>;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// What has been seen: spans that were closed, and events with the span that they came in.
#[derive(Clone, Default)]
struct Seen {
    closed: Arc<Mutex<Vec<Fields>>>,
    events: Arc<Mutex<Vec<(String, bool)>>>,
}

struct Text<'a>(&'a mut Fields);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Text(&mut fields));
        let span = context.span(id).expect("it is new");
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("it is there");
        let mut extensions = span.extensions_mut();
        values.record(&mut Text(extensions.get_mut().expect("it has fields")));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Text(&mut fields));
        let message = fields.remove("message").unwrap_or_default();
        let is_within = context.lookup_current().is_some_and(|span| span.name() == "HTTP request");
        self.events.lock().expect("nobody panics").push((message, is_within));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is there");
        let fields = span.extensions_mut().remove().expect("it has fields");
        self.closed.lock().expect("nobody panics").push(fields);
    }
}

impl Seen {
    /// The only span that was closed.
    fn take(&self) -> Fields {
        let mut closed = self.closed.lock().expect("nobody panics");
        assert_eq!(closed.len(), 1, "one request, one span, closed at its end: {closed:?}");
        closed.remove(0)
    }
}

/// Runs `f` with a subscriber on this thread.
fn listening(f: impl FnOnce(&Seen)) {
    let seen = Seen::default();
    let subscriber = Registry::default().with(seen.clone());
    tracing::subscriber::with_default(subscriber, || f(&seen));
}

fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    tracing::info!("called");
    let context = TraceContext::of(&environ).cloned();
    let text = context.map_or("none".to_owned(), |context| {
        format!("{} {}", context.traceparent(), context.tracestate().unwrap_or("-"))
    });
    match &*environ.path_info() {
        "/users/7" => RoutePattern::set(&mut environ, "/users/{id}"),
        "/fails" => return Err(Error::application("it is broken")),
        "/missing" => return Err(Error::with_status(StatusCode::NOT_FOUND, "nothing is here")),
        _ => {}
    }
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    Ok(match &*environ.path_info() {
        "/cut" => {
            response.with_body(Body::iter([Ok(text.into()), Err(std::io::Error::other("dry"))]))
        }
        "/items" => response.with_body(Body::iter((0..2).map(|n| {
            tracing::info!("item {n}");
            Ok("data".into())
        }))),
        "/stream" => response.with_body(Body::stream(Once(Some("data".into())))),
        _ => response.with_body(text),
    })
}

/// A stream of one datum, which says that it is polled.
struct Once(Option<Bytes>);

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        tracing::info!("polled");
        std::task::Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }
}

#[test]
fn a_span_has_the_names_of_the_conventions() {
    listening(|seen| {
        around_each(
            app,
            |app| RequestIds::new(Spans::new(app)),
            |client, _| {
                let request = client.get("/users/7?token=SECRET").header("user-agent", "test/1");
                let response = request.header("host", "www.example.org:8080").send();
                let mut fields = seen.take();
                let trace = fields.remove("trace_id").expect("it has one");
                let span = fields.remove("span_id").expect("it has one");
                assert_eq!(response.text(), format!("00-{trace}-{span}-01 -"));
                let id = response.header("x-request-id").expect("it is named");
                let length = response.body().len().to_string();
                let expected = [
                    ("client.address", "127.0.0.1"),
                    ("http.request.method", "GET"),
                    ("http.response.body.size", &length),
                    ("http.response.status_code", "200"),
                    ("http.route", "/users/{id}"),
                    ("network.protocol.version", "1.1"),
                    ("otel.kind", "server"),
                    ("otel.name", "GET /users/{id}"),
                    ("request.id", id),
                    ("server.address", "www.example.org"),
                    ("server.port", "8080"),
                    ("url.path", "/users/7"),
                    ("url.scheme", "http"),
                    ("user_agent.original", "test/1"),
                ];
                let expected: Fields =
                    expected.map(|(name, value)| (name, value.to_owned())).into();
                assert_eq!(fields, expected);
            },
        );
    });
}

#[test]
fn failures_are_told_from_what_peers_ask_for() {
    listening(|seen| {
        around_each(
            app,
            |app| Spans::new(app).with_query(),
            |client, _| {
                for (path, status, failure) in [
                    ("/fails", "500", Some("500")),
                    ("/missing", "404", None),
                    ("/cut", "200", Some("cut")),
                ] {
                    client.get(path).send();
                    let fields = seen.take();
                    let field = |name| fields.get(name).map(String::as_str);
                    assert_eq!(field("http.response.status_code"), Some(status));
                    assert_eq!(field("error.type"), failure, "{path}");
                    assert_eq!(field("otel.status_code"), failure.map(|_| "ERROR"));
                }
                client.get("/items").gone_after(4).send();
                assert_eq!(seen.take()["error.type"], "disconnected");
                let method = Method::from_bytes(b"BREW").expect("a method");
                client.request(method, "/?with=milk").send();
                let fields = seen.take();
                assert_eq!(fields["http.request.method"], "_OTHER");
                assert_eq!(fields["http.request.method_original"], "BREW");
                assert_eq!(fields["url.query"], "with=milk");
            },
        );
    });
}

#[test]
fn whatever_belongs_to_the_application_runs_within_the_span() {
    listening(|seen| {
        around_each(app, Spans::new, |client, _| {
            for (path, expected) in [
                ("/", &["called"][..]),
                ("/items", &["called", "item 0", "item 1"]),
                ("/stream", &["called", "polled"]),
            ] {
                client.get(path).send();
                seen.take();
                let events = std::mem::take(&mut *seen.events.lock().expect("nobody panics"));
                let (mut messages, within): (Vec<_>, Vec<_>) = events.into_iter().unzip();
                messages.dedup();
                assert_eq!(messages, expected);
                assert!(within.into_iter().all(|within| within), "{path}");
            }
        });
    });
}

#[test]
fn a_sound_traceparent_is_gone_on_with() {
    let sound = format!("00-{TRACE}-{PARENT}-01");
    listening(|seen| {
        around_each(app, Spans::new, |client, _| {
            let request = client.get("/").header("traceparent", &sound);
            let request = request.header("tracestate", "a=1").header("tracestate", "b=2");
            let text = request.send().text();
            let fields = seen.take();
            assert_eq!((&*fields["trace_id"], &*fields["parent_span_id"]), (TRACE, PARENT));
            assert_eq!(text, format!("00-{TRACE}-{}-01 a=1,b=2", fields["span_id"]));
            assert_ne!(fields["span_id"], PARENT);

            let broken =
                client.get("/").header("traceparent", "00-junk").header("tracestate", "a=1");
            let text = broken.send().text();
            let fields = seen.take();
            assert_eq!(fields.get("parent_span_id"), None);
            assert!(text.ends_with("-01 -"), "{text}");
            let twice = client.get("/").header("traceparent", &sound).header("traceparent", &sound);
            twice.send();
            assert_ne!(seen.take()["trace_id"], TRACE);
        });
        let strict = |app: Boxed| Spans::new(app).only_new_traces();
        around_each(app, strict, |client, _| {
            client.get("/").header("traceparent", &sound).send();
            assert_ne!(seen.take()["trace_id"], TRACE);
        });
    });
}

#[test]
fn a_listener_may_add_to_the_span_before_the_application_runs() {
    listening(|seen| {
        let wrap = |app: Boxed| {
            Spans::new(app).on_begin(|context| {
                tracing::info!("begun {}", context.is_sampled());
                tracing::Span::current().record("otel.name", "mine");
            })
        };
        around_each(app, wrap, |client, _| {
            client.get("/").send();
            assert_eq!(seen.take()["otel.name"], "mine");
            let events = std::mem::take(&mut *seen.events.lock().expect("nobody panics"));
            assert_eq!(events[0], ("begun true".to_owned(), true));
        });
    });
}

#[test]
fn without_a_listener_the_trace_goes_on_and_none_is_said_to_be_recorded() {
    // Other tests have listeners at the same time, so that nobody listens has to be said.
    tracing::subscriber::with_default(NoSubscriber::new(), || {
        around_each(app, Spans::new, |client, _| {
            let sound = format!("00-{TRACE}-{PARENT}-01");
            let text = client.get("/").header("traceparent", sound).send().text();
            assert!(text.starts_with(&format!("00-{TRACE}-")) && text.ends_with("-01 -"), "{text}");
            assert!(client.get("/").send().text().ends_with("-00 -"));
        });
    });
}
