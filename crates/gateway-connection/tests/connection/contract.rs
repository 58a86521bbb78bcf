//! What reaches the wire.

use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use gateway_core::bytes::Bytes;
use gateway_core::http::StatusCode;
use gateway_core::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRAILER, UPGRADE,
};
use gateway_core::{
    Application, Body, Environ, Error, FileBody, Mount, PeerError, Reply, Response, Result,
    StartResponse, inline,
};

use super::simulation::{Outcome, Step, answer, play};

const HEAD: &str = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: simulation\r\n";

fn hello(_: Environ, start_response: StartResponse) -> Result<Response> {
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    Ok(response.with_body("hello"))
}

/// Field names in one case and in one order.
fn normal(answer: &str) -> String {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return answer.to_owned() };
    let mut lines: Vec<String> = head
        .split("\r\n")
        .map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
            None => line.to_owned(),
        })
        .collect();
    lines[1..].sort();
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

#[test]
fn a_ready_response_is_one_write() {
    let outcome = answer(hello, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let expected = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n{HEAD}\r\nhello"
    );
    assert_eq!(normal(&outcome.sent), expected);
    assert_eq!(outcome.writes, 1);
    assert_eq!(outcome.log, [""; 0]);
}

#[test]
fn a_pipelined_batch_is_answered_in_order_and_in_one_write() {
    let app = |environ: Environ, start_response: StartResponse| -> Result<Response> {
        let path = environ.path_info().into_owned();
        Ok(start_response.start(StatusCode::OK, ()).with_body(path))
    };
    let request: String =
        (0..16).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let outcome = answer(app, &request);
    let places: Vec<usize> = (0..16)
        .map(|n| outcome.sent.find(&format!("\r\n\r\n/{n}")).expect("each is answered"))
        .collect();
    assert!(places.is_sorted(), "{}", outcome.sent);
    assert_eq!(outcome.writes, 1);
    // Before the batch is waited for, and before more is.
    assert_eq!(outcome.asked, 2, "the time is asked for where somebody waits");
}

#[test]
fn an_error_becomes_its_status_and_is_logged_with_its_causes() {
    let app = |_: Environ, _: StartResponse| -> Result<Response> {
        Err(Error::application(std::io::Error::other("the disk is full")))
    };
    let outcome = answer(app, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(outcome.sent.starts_with("HTTP/1.1 500 "), "{}", outcome.sent);
    assert!(!outcome.sent.contains("disk"), "{}", outcome.sent);
    assert_eq!(
        outcome.log,
        ["GET /x: the application failed with 500 Internal Server Error: the disk is full"]
    );
}

#[test]
fn a_panic_is_a_500_and_the_connection_goes_on() {
    let app = |environ: Environ, start_response: StartResponse| -> Result<Response> {
        assert_ne!(environ.path_info(), "/panic", "on purpose");
        hello(environ, start_response)
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let outcome = answer(app, &(get("/panic") + &get("/")));
    assert!(outcome.sent.starts_with("HTTP/1.1 500 "), "{}", outcome.sent);
    assert!(outcome.sent.ends_with("\r\n\r\nhello"), "{}", outcome.sent);
    assert!(outcome.log[0].contains("on purpose"), "{:?}", outcome.log);
}

#[test]
fn a_line_of_the_log_is_not_as_long_as_the_target() {
    let app = |environ: Environ, start_response: StartResponse| -> Result<Response> {
        if environ.path_info().starts_with("/removed") {
            return Ok(start_response.start(StatusCode::OK, [(UPGRADE, "chess")]));
        }
        Err(Error::application("the shelf is empty"))
    };
    for (path, end) in [("/", "…: the application failed"), ("/removed", "…: the application set")]
    {
        let target = format!("{path}{}", "a".repeat(4096));
        let outcome = answer(app, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let [line] = &outcome.log[..] else { panic!("{:?}", outcome.log) };
        assert!(line.starts_with("GET /") && line.contains(end), "{line}");
        assert!(line.len() < 400, "{line}");
    }
}

#[test]
fn an_error_in_the_body_cuts_the_response() {
    let app = inline(|_, start_response| {
        let items = [Ok(Bytes::from("some")), Err(std::io::Error::other("no more"))];
        Ok(start_response.start(StatusCode::OK, ()).with_body(Body::iter(items)))
    });
    let outcome = answer(app, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(outcome.sent.ends_with("4\r\nsome\r\n"), "no last chunk: {}", outcome.sent);
    assert_eq!(outcome.sent.matches("HTTP/1.1 200").count(), 1);
    assert_eq!(outcome.log.len(), 1, "{:?}", outcome.log);
}

#[test]
fn a_cut_response_of_unknown_length_to_http_10_is_a_reset() {
    let app = inline(|_, start_response| {
        let items = [Ok(Bytes::from("some")), Err(std::io::Error::other("no more"))];
        Ok(start_response.start(StatusCode::OK, ()).with_body(Body::iter(items)))
    });
    assert!(answer(app, "GET / HTTP/1.0\r\n\r\n").aborted);
}

/// What the application says of the peer does not make half an answer a whole one.
#[test]
fn so_is_one_that_the_application_gives_up() {
    let app = |_: Environ, start_response: StartResponse| -> Result<Response> {
        start_response.start(StatusCode::OK, ()).write("some")?;
        Err(PeerError::Disconnected.into())
    };
    assert!(answer(app, "GET / HTTP/1.0\r\n\r\n").aborted);
}

/// A reset could destroy it.
#[test]
fn a_response_that_is_whole_by_its_length_is_no_reset() {
    let app = |_: Environ, start_response: StartResponse| -> Result<Response> {
        let response = start_response.start(StatusCode::OK, [(CONTENT_LENGTH, "5")]);
        Ok(response.with_body("12345678"))
    };
    let outcome = answer(app, "GET / HTTP/1.0\r\n\r\n");
    assert!(outcome.sent.ends_with("\r\n\r\n12345") && !outcome.aborted, "{outcome:?}");
}

#[test]
fn a_declared_length_is_kept() {
    let declared = |body: &'static str| {
        inline(move |_, start_response| {
            let response = start_response.start(StatusCode::OK, [(CONTENT_LENGTH, "5")]);
            Ok(response.with_body(body))
        })
    };
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let short = answer(declared("123"), &get.repeat(2));
    assert!(short.sent.ends_with("\r\n\r\n123"), "cut there: {}", short.sent);
    let long = answer(declared("12345678"), &get.repeat(2));
    assert!(long.sent.ends_with("\r\n\r\n12345"), "stopped there: {}", long.sent);
    assert!(short.log[0].contains("3 of the declared 5"), "{:?}", short.log);
    assert!(long.log[0].contains("longer than the declared"), "{:?}", long.log);
}

#[test]
fn write_sends_the_head_and_the_body_follows() {
    let app = |_: Environ, start_response: StartResponse| -> Result<Response> {
        let mut response = start_response.start(StatusCode::OK, ());
        response.write("one")?;
        assert!(response.head_mut().is_err(), "it is out");
        Ok(response.with_body("two"))
    };
    let outcome = answer(app, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(outcome.sent.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), "{}", outcome.sent);
    assert_eq!(outcome.writes, 2);
}

#[test]
fn hooks_see_the_head_that_the_server_made_itself() {
    struct Hooked<A>(A);
    impl<A: Application> Application for Hooked<A> {
        fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
            for order in ["outer", "inner"] {
                start_response.on_head(move |head| {
                    head.headers.append("x-order", HeaderValue::from_static(order));
                });
            }
            self.0.call(environ, start_response)
        }
    }
    let app = Hooked(inline(|_, _| Err(Error::with_status(StatusCode::IM_A_TEAPOT, "short"))));
    let outcome = answer(app, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(outcome.sent.starts_with("HTTP/1.1 418 "), "{}", outcome.sent);
    assert!(outcome.sent.contains("x-order: inner\r\nx-order: outer\r\n"), "{}", outcome.sent);
}

#[test]
fn a_continue_is_sent_by_the_first_read_only() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    let steps = [Step::Send(head.into()), Step::Send(b"body".to_vec())];
    let reads = |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        let body = environ.input().collect(10)?;
        Ok(start_response.start(StatusCode::OK, ()).with_body(body))
    };
    let outcome = play(reads, &steps);
    assert!(outcome.sent.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), "{outcome:?}");
    assert!(outcome.sent.ends_with("\r\n\r\nbody"), "{outcome:?}");
    let outcome = play(hello, &steps[..1]);
    assert!(outcome.sent.starts_with("HTTP/1.1 200"), "{outcome:?}");
    assert!(outcome.sent.to_lowercase().contains("connection: close"), "{outcome:?}");
}

#[test]
fn early_hints_and_trailers_stand_around_the_response() {
    let app = inline(|_, start_response| {
        let mut hints = HeaderMap::new();
        hints.insert("link", HeaderValue::from_static("</a.css>; rel=preload"));
        start_response.early_hints(hints);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        let body = http_body_util::BodyExt::with_trailers(
            http_body_util::Full::new(Bytes::from("seven")),
            std::future::ready(Some(Ok(trailers))),
        );
        let response = start_response.start(StatusCode::OK, [(TRAILER, "x-sum")]);
        Ok(response.with_body(Body::stream(body)))
    });
    let outcome = answer(app, "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
    assert!(outcome.sent.starts_with("HTTP/1.1 103 "), "{outcome:?}");
    assert!(outcome.sent.ends_with("5\r\nseven\r\n0\r\nx-sum: 7\r\n\r\n"), "{outcome:?}");
}

#[test]
fn a_file_is_sent_behind_its_head_and_a_shrunk_one_cut() {
    let path = std::env::temp_dir().join(format!("gateway-connection-{}", std::process::id()));
    std::fs::write(&path, "0123456789").expect("a temporary file");
    let file = move |len: u64| {
        let path = path.clone();
        inline(move |_, start_response| {
            let file = std::fs::File::open(&path)?;
            let body = Body::File(FileBody::new(file, 2, len));
            Ok(start_response.start(StatusCode::OK, ()).with_body(body))
        })
    };
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let outcome = answer(file(4), &get.repeat(2));
    assert_eq!(outcome.sent.matches("\r\n\r\n2345").count(), 2, "{outcome:?}");
    let outcome = answer(file(40), &get.repeat(2));
    assert_eq!(outcome.sent.matches("\r\n\r\n23456789").count(), 1, "{outcome:?}");
    assert!(outcome.log[0].contains("became shorter"), "{:?}", outcome.log);
}

#[test]
fn a_file_that_has_changed_is_cut_before_its_end() {
    let path = std::env::temp_dir().join(format!("gateway-connection-new-{}", std::process::id()));
    let len = 100_000;
    std::fs::write(&path, "x".repeat(len)).expect("a temporary file");
    let modified = std::fs::metadata(&path).and_then(|facts| facts.modified()).expect("its time");
    let file = |modified: SystemTime| {
        let path = path.clone();
        inline(move |_, start_response| {
            let file = std::fs::File::open(&path)?;
            let body = FileBody::new(file, 1, len as u64 - 1).unless_changed(len as u64, modified);
            Ok(start_response.start(StatusCode::OK, ()).with_body(Body::File(body)))
        })
    };
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let sent = |outcome: &Outcome| outcome.sent.matches('x').count();
    let same = answer(file(modified), &get.repeat(2));
    assert_eq!(sent(&same), 2 * (len - 1));
    let changed = answer(file(modified - Duration::from_nanos(1)), &get.repeat(2));
    assert!(sent(&changed) < len - 1, "{} bytes", sent(&changed));
    assert!(changed.log[0].contains("the file changed"), "{:?}", changed.log);
    std::fs::remove_file(&path).expect("it was there");
}

#[test]
fn mounted_applications_know_where_they_are() {
    let show = |environ: Environ, start_response: StartResponse| -> Result<Response> {
        let text = format!("{}|{}", environ.script_name(), environ.path_info());
        Ok(start_response.start(StatusCode::OK, ()).with_body(text))
    };
    let app = || Mount::new().at("/a", show).build().expect("it is sound");
    let outcome = answer(app(), "GET /a/b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(outcome.sent.ends_with("\r\n\r\n/a|/b"), "{outcome:?}");
    let outcome = answer(app(), "GET /ab HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(outcome.sent.starts_with("HTTP/1.1 404"), "{outcome:?}");
    assert_eq!(outcome.log, [""; 0]);
}

fn switching(_: Environ, start_response: StartResponse) -> Result<Response> {
    let response = start_response.start(StatusCode::SWITCHING_PROTOCOLS, [(UPGRADE, "echo")]);
    Ok(response.with_body(Body::upgrade(|mut connection| {
        let mut all = Vec::new();
        connection.read_to_end(&mut all).expect("the peer ends it");
        connection.write_all(&all).expect("the peer reads");
        connection.flush().expect("the peer reads");
    })))
}

/// The bytes of the request's body are none of the other protocol's.
#[test]
fn another_protocol_begins_behind_the_request() {
    let offer = "Host: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n";
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "\r\n",
    ] {
        let outcome = answer(switching, &format!("POST / HTTP/1.1\r\n{offer}{body}first"));
        assert!(outcome.sent.starts_with("HTTP/1.1 101 "), "{}", outcome.sent);
        assert!(outcome.sent.ends_with("\r\n\r\nfirst"), "{body:?}: {}", outcome.sent);
    }
}

#[test]
fn nobody_is_switched_who_did_not_offer_it() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nfirst",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\nfirst",
        "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfirst",
    ] {
        let outcome = answer(switching, request);
        assert!(outcome.sent.starts_with("HTTP/1.1 500 "), "{}", outcome.sent);
        assert!(outcome.log[0].contains("offered no upgrade"), "{:?}", outcome.log);
    }
}

#[test]
fn nobody_is_switched_in_the_middle_of_a_response() {
    let app = |environ: Environ, start_response: StartResponse| -> Result<Response> {
        let mut response = start_response.start(StatusCode::OK, ());
        response.write("some")?;
        assert!(environ.upgrade().is_some());
        Ok(response.with_body(Body::upgrade(|_| unreachable!("it is not switched"))))
    };
    let offer = "Host: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let outcome = answer(app, &format!("GET / HTTP/1.1\r\n{offer}"));
    assert!(outcome.sent.ends_with("4\r\nsome\r\n"), "{}", outcome.sent);
    assert!(outcome.log[0].contains("101 goes with"), "{:?}", outcome.log);
}

#[test]
fn a_head_that_waits_and_one_that_is_refused_are_seen_by_hooks_once() {
    let app = inline(|_, start_response: StartResponse| {
        start_response.on_head(|head| {
            head.headers.append("x-status", HeaderValue::from(head.status.as_u16()));
        });
        let items = [Ok(Bytes::new()), Err(std::io::Error::other("gone"))];
        Ok(start_response.start(StatusCode::OK, ()).with_body(Body::iter(items)))
    });
    let outcome = answer(app, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(outcome.sent.starts_with("HTTP/1.1 500 "), "{}", outcome.sent);
    assert_eq!(outcome.sent.matches("x-status: 500\r\n").count(), 1, "{}", outcome.sent);
}
