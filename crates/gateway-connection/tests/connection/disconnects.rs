//! Peers that go, stay silent, or are refused; handles that are kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gateway_core::bytes::Bytes;
use gateway_core::http::StatusCode;
use gateway_core::{
    ApplicationError, Body, Environ, Error, Input, PeerError, Response, Result, StartResponse,
    inline,
};

use super::simulation::{Step, answer, play};

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

/// A body that counts how often it is closed.
struct Counted(Arc<AtomicUsize>);

impl Iterator for Counted {
    type Item = std::io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(Ok(Bytes::from_static(b"more")))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_endless_body_is_closed_once_when_the_peer_has_reset() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    let ends = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&ends);
    let app = move |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        let told = Arc::clone(&told);
        start_response.on_end(move |end| {
            let cause = end.abort.map(ToString::to_string);
            told.lock().expect("sound").push((end.status, cause));
        });
        // The reset is seen by reading.
        let error = environ.input().collect(10).expect_err("the peer resets");
        assert!(error.is_disconnect(), "{error:?}");
        let body = Body::iter(Counted(Arc::clone(&count)));
        Ok(start_response.start(StatusCode::OK, ()).with_body(body))
    };
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let outcome = play(app, &[send(head), Step::Reset]);
    assert_eq!(outcome.sent, "");
    assert_eq!(closed.load(Ordering::Relaxed), 1);
    let ends = ends.lock().expect("sound");
    assert_eq!(ends.len(), 1);
    assert!(ends[0].1.as_deref().is_some_and(|cause| cause.contains("went away")), "{ends:?}");
}

#[test]
fn a_silent_peer_is_told_408_for_a_head_and_nothing_when_idle() {
    let ok = inline(|_, start_response| Ok(start_response.start(StatusCode::NO_CONTENT, ())));
    let outcome = play(ok.clone(), &[send("GET / HT"), Step::Silence]);
    assert!(outcome.sent.starts_with("HTTP/1.1 408 "), "{outcome:?}");
    let outcome = play(ok, &[send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Step::Silence]);
    assert!(outcome.sent.starts_with("HTTP/1.1 204 "), "{outcome:?}");
    assert_eq!(outcome.sent.matches("HTTP/1.1").count(), 1, "{outcome:?}");
}

#[test]
fn a_silent_body_is_a_408_by_the_application_s_error() {
    let app = |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        environ.input().collect(10)?;
        Ok(start_response.start(StatusCode::OK, ()))
    };
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let outcome = play(app, &[send(head), Step::Silence]);
    assert!(outcome.sent.starts_with("HTTP/1.1 408 "), "{outcome:?}");
    assert_eq!(outcome.log, [""; 0], "the peer's fault is not logged");
}

#[test]
fn a_body_over_the_limit_is_a_413_and_is_not_read() {
    let app = |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        environ.input().limit(3)?;
        std::io::copy(environ.input(), &mut std::io::sink())?;
        Ok(start_response.start(StatusCode::OK, ()))
    };
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    let outcome = play(app, &[send(head)]);
    assert!(outcome.sent.starts_with("HTTP/1.1 413 "), "{outcome:?}");
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
    assert!(answer(app, chunked).sent.starts_with("HTTP/1.1 413 "));
}

#[test]
fn what_is_no_request_is_refused_with_a_reason() {
    let app = inline(|_, _| panic!("it must not be called"));
    let outcome = answer(app, "GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    assert!(outcome.sent.starts_with("HTTP/1.1 400 "), "{outcome:?}");
    assert!(outcome.sent.to_lowercase().contains("connection: close"), "{outcome:?}");
}

#[test]
fn handles_that_are_kept_reach_no_other_exchange() {
    type Kept = (Option<Input>, Option<Response>);
    let kept: Arc<Mutex<Kept>> = Arc::default();
    let app = {
        let kept = Arc::clone(&kept);
        move |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
            let mut kept = kept.lock().expect("sound");
            if environ.path_info() == "/first" {
                *kept =
                    (Some(environ.take_input()), Some(start_response.start(StatusCode::OK, ())));
                return Err(PeerError::BodyTimeout.into());
            }
            let (input, response) = &mut *kept;
            let read = input.as_mut().expect("it was kept").collect(10);
            let over =
                |error: &Error| matches!(error, Error::Application(ApplicationError::ExchangeOver));
            assert!(over(&read.expect_err("it is over")));
            let mut late = response.take().expect("it was kept");
            assert!(over(&late.write("x").expect_err("it is over")));
            let body = environ.input().collect(10)?;
            if environ.path_info() == "/foreign" {
                return Ok(late);
            }
            Ok(start_response.start(StatusCode::OK, ()).with_body(body))
        }
    };
    let post = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{}", &path[1..5])
    };
    let outcome = answer(app.clone(), &(post("/first") + &post("/second")));
    assert!(outcome.sent.ends_with("\r\n\r\nseco"), "{outcome:?}");
    let outcome = answer(app, &(post("/first") + &post("/foreign")));
    assert!(outcome.sent.contains("HTTP/1.1 500 "), "{outcome:?}");
    assert!(outcome.log[0].contains("another exchange"), "{outcome:?}");
}

#[test]
fn half_closed_peers_are_answered() {
    // The script's end is the peer's FIN, which comes right behind the requests.
    let ok = inline(|_, start_response| Ok(start_response.start(StatusCode::OK, ())));
    let outcome = answer(ok, &"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
    assert_eq!(outcome.sent.matches("HTTP/1.1 200").count(), 3, "{outcome:?}");
}

/// Whoever meets the deadline, be it the one that reads: what was to be written is lost, and that
/// has to be seen.
#[test]
fn a_response_that_is_not_taken_is_cut_also_while_its_body_reads() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&ends);
    let app = inline(move |mut environ: Environ, start_response: StartResponse| {
        let told = Arc::clone(&told);
        start_response.on_end(move |end| {
            told.lock().expect("sound").push(end.abort.map(ToString::to_string));
        });
        let body = Body::stream(environ.take_input());
        Ok(start_response.start(StatusCode::OK, ()).with_body(body))
    });
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n";
    let steps = [send(head), Step::Full, send("some"), Step::Silence, send("more")];
    let outcome = play(app, &steps);
    assert!(outcome.aborted);
    let ends = ends.lock().expect("sound").clone();
    assert_eq!(ends, [Some("the peer did not take the response in time".to_owned())]);
}
