//! Responses of every kind.

use gateway_core::bytes::Bytes;
use gateway_core::http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRAILER,
};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{
    Body, Disconnected, Environ, Error, FileBody, PeerError, Reply, Response, Result,
    StartResponse, inline,
};
use gateway_handler::FilePieces;

use super::channel::{GET, Request, run};

#[test]
fn a_known_length_is_filled_in() {
    let app = inline(|_, start| Ok(start.start(StatusCode::OK, ()).with_body("hello")));
    assert_eq!(run(app, GET).calls(), ["head 200 5", "data hello", "end"]);
}

#[test]
fn an_iterator_has_no_length_and_empty_data_send_nothing() {
    let app = inline(|_, start| {
        let items = ["", "a", "", "b"].map(|item| Ok(Bytes::from(item)));
        Ok(start.start(StatusCode::OK, ()).with_body(Body::iter(items)))
    });
    assert_eq!(run(app, GET).calls(), ["head 200 ?", "data a", "data b", "end"]);
}

/// Middleware sees the head that is sent: the error's where there was no data, else its own.
#[test]
fn a_head_waits_for_the_first_data_of_its_body() {
    let failing = |items: &'static [&'static str]| {
        inline(move |_, start: StartResponse| {
            start.on_head(|head| {
                head.headers.insert("x-status", HeaderValue::from(head.status.as_u16()));
            });
            let items = items.iter().map(|item| Ok(Bytes::from(*item)));
            let items = items.chain([Err(std::io::Error::other("the disk is on fire"))]);
            Ok(start.start(StatusCode::OK, ()).with_body(Body::iter(items)))
        })
    };
    for (items, status, end) in [(&[""][..], "500", "end"), (&["", "some"], "200", "cut")] {
        let outcome = run(failing(items), GET);
        assert_eq!(outcome.calls().last(), Some(&end));
        let (head, _) = outcome.recorder.head.as_ref().expect("a head was sent");
        assert_eq!(head.status.as_str(), status);
        assert_eq!(head.headers["x-status"], status);
        assert!(outcome.log[0].contains("the disk is on fire"), "{:?}", outcome.log);
    }
}

#[test]
fn a_stream_ends_in_its_trailers() {
    let app = inline(|_, start| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        let body = http_body_util::BodyExt::with_trailers(
            http_body_util::Full::new(Bytes::from("a")),
            std::future::ready(Some(Ok(trailers))),
        );
        let response = start.start(StatusCode::OK, [(TRAILER, "x-sum")]);
        Ok(response.with_body(Body::stream(body)))
    });
    assert_eq!(run(app, GET).calls(), ["head 200 ?", "data a", r#"end {"x-sum": "1"}"#]);
}

#[test]
fn a_file_is_sent_in_pieces_and_a_short_one_cut() {
    let path = std::env::temp_dir().join(format!("gateway-handler-{}", std::process::id()));
    std::fs::write(&path, "0123456789").expect("a temporary file");
    let from = |offset: u64, len: u64| {
        let path = path.clone();
        inline(move |_, start| {
            let file = std::fs::File::open(&path)?;
            let body = Body::File(FileBody::new(file, offset, len));
            Ok(start.start(StatusCode::OK, ()).with_body(body))
        })
    };
    assert_eq!(run(from(2, 3), GET).calls(), ["head 200 3", "data 234", "end"]);
    let short = run(from(8, 3), GET);
    assert_eq!(short.calls(), ["head 200 3", "data 89", "cut"]);
    assert!(short.log[0].contains("became shorter"), "{:?}", short.log);
    std::fs::remove_file(&path).expect("it was there");
}

#[test]
fn a_file_that_has_changed_loses_its_last_piece() {
    let path = std::env::temp_dir().join(format!("gateway-handler-new-{}", std::process::id()));
    std::fs::write(&path, "x".repeat(100_000)).expect("a temporary file");
    let modified = std::fs::metadata(&path).and_then(|facts| facts.modified()).expect("its time");
    let before = modified - std::time::Duration::from_nanos(1);
    let from = |part: u64, len: u64, modified: std::time::SystemTime| {
        let path = path.clone();
        inline(move |_, start| {
            let file = std::fs::File::open(&path)?;
            let body = FileBody::new(file, 2, part).unless_changed(len, modified);
            Ok(start.start(StatusCode::OK, ()).with_body(Body::File(body)))
        })
    };
    assert_eq!(run(from(3, 100_000, modified), GET).calls(), ["head 200 3", "data xxx", "end"]);
    for (len, modified) in [(100_001, modified), (100_000, before)] {
        let changed = run(from(99_000, len, modified), GET);
        let calls = changed.calls();
        assert_eq!((calls.len(), calls[0], calls[2]), (3, "head 200 99000", "cut"));
        assert!(changed.log[0].contains("the file changed"), "{:?}", changed.log);
        // Where nothing has been sent, it can still be said.
        assert_eq!(run(from(3, len, modified), GET).calls()[0], "head 500 26");
    }
    std::fs::remove_file(&path).expect("it was there");
}

#[test]
fn a_head_request_gets_no_body_but_its_length() {
    let head = Request { method: Method::HEAD, ..GET };
    let app = inline(|_, start| Ok(start.start(StatusCode::OK, ()).with_body("hello")));
    assert_eq!(run(app, head).calls(), ["head 200 5", "end"]);
    let head = Request { method: Method::HEAD, ..GET };
    let app = inline(|_, start| Ok(start.start(StatusCode::OK, ())));
    assert_eq!(run(app, head).calls(), ["head 200 ?", "end"]);
    // It was not left out: it is empty.
    let head = Request { method: Method::HEAD, ..GET };
    let app = inline(|_, start| Ok(start.start(StatusCode::OK, ()).with_body("")));
    assert_eq!(run(app, head).calls(), ["head 200 0", "end"]);
}

#[test]
fn statuses_without_a_body_have_none() {
    for (status, length) in [(204, "?"), (205, "0"), (304, "?")] {
        let status = StatusCode::from_u16(status).expect("a status");
        let app = inline(move |_, start| Ok(start.start(status, ()).with_body("unwanted")));
        let head = format!("head {} {length}", status.as_u16());
        assert_eq!(run(app, GET).calls(), [&head, "end"]);
    }
}

#[test]
fn a_declared_length_is_kept() {
    let declared = |items: &'static [&'static str]| {
        inline(move |_, start| {
            let items = items.iter().map(|item| Ok(Bytes::from(*item)));
            let response = start.start(StatusCode::OK, [(CONTENT_LENGTH, "5")]);
            Ok(response.with_body(Body::iter(items)))
        })
    };
    assert_eq!(
        run(declared(&["123", "45"]), GET).calls(),
        ["head 200 5", "data 123", "data 45", "end"]
    );
    assert_eq!(run(declared(&["123"]), GET).calls(), ["head 200 5", "data 123", "cut"]);
    let long = run(declared(&["123", "4567"]), GET);
    assert_eq!(long.calls(), ["head 200 5", "data 123", "data 45", "cut"]);
    assert!(long.log[0].contains("longer than the declared"), "{:?}", long.log);
}

#[test]
fn an_invalid_head_is_a_500() {
    for wrong in ["five", "-1", "1, 2"] {
        let app =
            inline(move |_, start| Ok(start.start(StatusCode::OK, [(CONTENT_LENGTH, wrong)])));
        assert!(run(app, GET).calls()[0].starts_with("head 500"), "{wrong}");
    }
    for status in [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS] {
        let app = inline(move |_, start| Ok(start.start(status, ())));
        assert!(run(app, GET).calls()[0].starts_with("head 500"), "{status}");
    }
    let app = inline(|_, start| Ok(start.start(StatusCode::OK, ()).with_body(Body::upgrade(drop))));
    assert!(run(app, GET).calls()[0].starts_with("head 500"));
}

#[test]
fn an_error_has_its_status_and_a_panic_500() {
    let app = inline(|_, _| Err(Error::with_status(StatusCode::NOT_FOUND, "no such page")));
    assert_eq!(run(app, GET).calls(), ["head 404 14", "data 404 Not Found\n", "end"]);
    let app = inline(|_, _| Err(PeerError::BodyTooLarge { limit: 1 }.into()));
    assert!(run(app, GET).calls()[0].starts_with("head 413"));
    let outcome = run(inline(|_, _| panic!("oh no")), GET);
    assert!(outcome.calls()[0].starts_with("head 500"));
    assert!(outcome.log[0].contains("oh no"), "{:?}", outcome.log);
}

#[test]
fn a_failure_after_the_head_is_a_cut() {
    let app = inline(|_, start| {
        let mut response = start.start(StatusCode::OK, ());
        response.write("some")?;
        Err(Error::application("too late"))
    });
    assert_eq!(run(app, GET).calls(), ["head 200 ?", "data some", "cut"]);
    let app = inline(|_, start| {
        let body =
            std::iter::once(Ok(Bytes::from("some"))).chain(std::iter::from_fn(|| panic!("no")));
        Ok(start.start(StatusCode::OK, ()).with_body(Body::iter(body)))
    });
    assert_eq!(run(app, GET).calls(), ["head 200 ?", "data some", "cut"]);
}

#[test]
fn a_restart_replaces_what_has_not_been_sent() {
    let app = inline(|_, start| {
        let response = start.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        let mut response = response.with_body("half a page");
        response.restart(StatusCode::BAD_GATEWAY, (), "cause").expect("nothing is out");
        Ok(response.with_body("sorry"))
    });
    let outcome = run(app, GET);
    assert_eq!(outcome.calls(), ["head 502 5", "data sorry", "end"]);
    assert!(outcome.recorder.head.expect("it was sent").0.headers.is_empty());
    let app = inline(|_, start| {
        let mut response = start.start(StatusCode::OK, ());
        response.write("some")?;
        let cause = Error::application("the backend is gone");
        response.restart(StatusCode::BAD_GATEWAY, (), cause)?;
        Ok(response)
    });
    let outcome = run(app, GET);
    assert_eq!(outcome.calls(), ["head 200 ?", "data some", "cut"]);
    assert!(outcome.log[0].contains("the backend is gone"), "{:?}", outcome.log);
}

#[test]
fn every_kind_of_reply_is_driven() {
    fn read(mut environ: Environ, start: StartResponse) -> Result<Response> {
        let body = environ.input().collect(100)?;
        Ok(start.start(StatusCode::OK, ()).with_body(body))
    }
    async fn read_async(mut environ: Environ, start: StartResponse) -> Result<Response> {
        let body = environ.input().collect_async(100).await?;
        Ok(start.start(StatusCode::OK, ()).with_body(body))
    }
    fn nested(environ: Environ, start: StartResponse) -> Reply {
        Reply::Pending(Box::pin(async { Reply::blocking(move || read(environ, start)) }))
    }
    let post = || Request { method: Method::POST, input: &["ab", "cd"], gone: false };
    let expected = ["head 200 4", "data abcd", "end"];
    assert_eq!(run(read, post()).calls(), expected);
    assert_eq!(run(read_async, post()).calls(), expected);
    assert_eq!(run(nested, post()).calls(), expected);
}

#[test]
fn a_peer_that_has_gone_fails_a_write() {
    let app = inline(|_, start| {
        let mut response = start.start(StatusCode::OK, ());
        let error = response.write("some").expect_err("nobody is there");
        assert!(error.is_disconnect(), "{error:?}");
        Err(error)
    });
    let outcome = run(app, Request { gone: true, ..GET });
    assert_eq!(outcome.calls(), ["head 200 ?", "data some", "cut"]);
    assert_eq!(outcome.log, [""; 0], "the peer's fault is not logged");
}

/// Asks a handle of its exchange when it is closed, and then panics.
struct Asks(Disconnected);

impl Iterator for Asks {
    type Item = std::io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        assert!(!self.0.is_disconnected(), "it is still on");
        panic!("closing failed");
    }
}

#[test]
fn a_body_that_is_not_wanted_is_closed_as_carefully() {
    let head = Request { method: Method::HEAD, ..GET };
    let app = inline(|environ: Environ, start: StartResponse| {
        let body = Body::iter(Asks(environ.disconnected()));
        Ok(start.start(StatusCode::OK, ()).with_body(body))
    });
    assert_eq!(run(app, head).calls(), ["head 200 ?", "end"]);
}

#[test]
fn too_much_is_a_cut_also_if_the_application_looks_away() {
    let app = inline(|_, start: StartResponse| {
        let mut response = start.start(StatusCode::OK, [(CONTENT_LENGTH, "3")]);
        let _ = response.write("12345");
        Ok(response)
    });
    let outcome = run(app, GET);
    assert_eq!(outcome.calls(), ["head 200 3", "data 123", "cut"]);
    assert!(outcome.log[0].contains("longer than the declared"), "{:?}", outcome.log);
}

#[test]
fn an_error_without_a_body_announces_none() {
    let app = inline(|_, _| Err(Error::with_status(StatusCode::NOT_MODIFIED, "as before")));
    let outcome = run(app, GET);
    assert_eq!(outcome.calls(), ["head 304 ?", "end"]);
    assert!(outcome.recorder.head.expect("it was sent").0.headers.is_empty());
}

/// The files of two responses may be one and the same to the system.
#[test]
fn a_files_own_position_is_of_no_account() {
    let path = std::env::temp_dir().join(format!("gateway-handler-shared-{}", std::process::id()));
    std::fs::write(&path, "0123456789").expect("a temporary file");
    let file = std::fs::File::open(&path).expect("it was just written");
    std::fs::remove_file(&path).expect("it was there");
    let pieces = |offset| {
        let file = file.try_clone().expect("it can be cloned");
        FilePieces::new(FileBody::new(file, offset, 4))
    };
    let (first, second) = (pieces(2), pieces(6));
    let all = |pieces: FilePieces| pieces.map(|piece| piece.expect("it reads")).collect::<Vec<_>>();
    assert_eq!((all(first), all(second)), (vec!["2345".into()], vec!["6789".into()]));
}

#[test]
fn a_response_whose_head_was_not_sent_cannot_follow_one_that_was() {
    let app = inline(|_, start: StartResponse| {
        let recovery = start.recovery();
        let mut response = start.start(StatusCode::OK, ());
        let other = recovery.start(StatusCode::BAD_GATEWAY, (), Error::application("first"));
        response.write("one")?;
        other.map(|other| other.with_body("two"))
    });
    assert_eq!(run(app, GET).calls(), ["head 200 ?", "data one", "cut"]);
}

#[test]
fn an_error_brings_its_fields() {
    let app = inline(|_, _| {
        let error = Error::with_status(StatusCode::METHOD_NOT_ALLOWED, "only GET");
        Err(error.with_headers([(ALLOW, "GET"), (CONTENT_TYPE, "text/wrong")]))
    });
    let outcome = run(app, GET);
    assert_eq!(outcome.calls()[0], "head 405 23");
    let headers = outcome.recorder.head.expect("it was sent").0.headers;
    assert_eq!(headers[ALLOW], "GET");
    assert_eq!(headers.get_all(CONTENT_TYPE).iter().count(), 1);
    assert_eq!(headers[CONTENT_TYPE], "text/plain; charset=utf-8");
}
