//! What the test client plays, and what it tells.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gateway_conformance::TestClient;
use gateway_core::bytes::Bytes;
use gateway_core::http::header::CONTENT_TYPE;
use gateway_core::http::{StatusCode, Version};
use gateway_core::{
    Address, Body, Environ, PeerError, Reply, Response, Result, StartResponse, inline,
    panic_message,
};

fn text(start_response: StartResponse) -> Response {
    start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")])
}

#[test]
fn a_request_is_as_it_was_asked_for() {
    let app = inline(|environ, start_response| {
        let seen = format!(
            "{} {:?} {} | {} {} {:?} | {} {} {:?} | {:?}",
            environ.method(),
            environ.version(),
            environ.raw_target(),
            environ.script_name(),
            environ.path_info(),
            environ.query_string(),
            environ.url_scheme(),
            environ.remote_addr(),
            environ.authority(),
            environ.extensions().get::<u8>(),
        );
        Ok(text(start_response).with_body(seen))
    });
    let client = TestClient::new(app).mounted_at("/app");
    let remote: std::net::SocketAddr = "192.0.2.7:1234".parse().expect("an address");
    let response = client
        .delete("/a%20b?c")
        .version(Version::HTTP_10)
        .remote_addr(remote)
        .url_scheme("https")
        .header("host", "shop.test")
        .extension(7_u8)
        .send();
    assert_eq!(
        response.text(),
        "DELETE HTTP/1.0 /app/a%20b?c | /app /a b Some(\"c\") | \
         https 192.0.2.7:1234 Some(\"shop.test\") | Some(7)"
    );
}

#[test]
fn early_hints_are_not_for_http_1_0() {
    let app = inline(|_, start_response| {
        start_response.early_hints(());
        Ok(text(start_response).with_body("x"))
    });
    let client = TestClient::new(app);
    assert_eq!(client.get("/").send().early_hints().len(), 1);
    assert!(client.get("/").version(Version::HTTP_10).send().early_hints().is_empty());
}

#[test]
fn a_body_over_the_limit_is_413() {
    let app = |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        while environ.input().data().transpose()?.is_some() {}
        Ok(text(start_response))
    };
    let client = TestClient::new(app).body_limit(4);
    for request in [client.post("/").body("12345"), client.post("/").pieces(["123", "45"])] {
        assert_eq!(request.send().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(client.post("/").pieces(["12", "34"]).send().status(), StatusCode::OK);
}

#[test]
fn the_body_comes_piece_by_piece() {
    let app = |mut environ: Environ, start_response: StartResponse| {
        Reply::future(async move {
            let mut pieces = Vec::new();
            while let Some(piece) = environ.input().data_async().await {
                pieces.push(piece?);
            }
            Ok(text(start_response).with_body(format!("{pieces:?}")))
        })
    };
    let response = TestClient::new(app).post("/").pieces(["ab", "", "c"]).send();
    assert_eq!(response.text(), "[b\"ab\", b\"c\"]");
}

#[test]
fn a_body_that_is_cut_off_fails() {
    let app = |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        let error = environ.input().collect(100).expect_err("the peer goes");
        assert!(matches!(error, gateway_core::Error::Peer(PeerError::Disconnected)), "{error}");
        Ok(text(start_response).with_body("noticed"))
    };
    let client = TestClient::new(app);
    assert_eq!(client.post("/").pieces(["a"]).body_cut_off().send().text(), "noticed");
    let declared = client.post("/").header("content-length", "5").pieces(["a"]).body_cut_off();
    assert_eq!(declared.send().text(), "noticed");
}

#[test]
fn a_peer_goes_in_the_middle_and_the_body_is_closed() {
    struct Closes(Arc<AtomicBool>);
    impl Drop for Closes {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (pulled, closed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, flag) = (Arc::clone(&pulled), Arc::clone(&closed));
    let app = inline(move |environ, start_response| {
        let (count, closes) = (Arc::clone(&count), Closes(Arc::clone(&flag)));
        let gone = environ.disconnected();
        let data = std::iter::repeat_with(move || {
            let _closes = &closes;
            let number = count.fetch_add(1, Ordering::Relaxed);
            assert_eq!(gone.is_disconnected(), number >= 2, "at {number}");
            Ok(Bytes::from("12345"))
        });
        Ok(text(start_response).with_body(Body::iter(data)))
    });
    let response = TestClient::new(app).get("/").gone_after(7).send();
    assert_eq!(&response.body()[..], b"1234512");
    assert!(response.is_cut() && response.body_closed());
    assert!(closed.load(Ordering::Relaxed));
    assert_eq!(pulled.load(Ordering::Relaxed), 3);
    assert_eq!(response.error(), Some("the peer went away before the exchange was over"));
    assert_eq!(response.errors(), [""; 0]);
}

#[test]
fn a_peer_that_has_gone_cancels_what_asked_for_it() {
    let app = |environ: Environ, _: StartResponse| {
        Reply::future(std::future::pending()).cancel_on(environ.disconnected())
    };
    let response = TestClient::new(app).get("/").gone_after(0).send();
    assert!(response.head().is_none() && response.is_cut());
}

#[test]
fn end_hooks_are_told() {
    let app = inline(|environ, start_response| {
        let errors = environ.errors().clone();
        start_response.on_end(move |end| {
            errors.line(format_args!("{:?} {}", end.status, end.bytes_sent));
        });
        Ok(text(start_response).with_body("12345"))
    });
    let response = TestClient::new(app).get("/").send();
    assert_eq!(response.errors(), ["Some(200) 5"]);
    assert_eq!(response.bytes_sent(), 5);
}

#[test]
fn a_sleeper_is_given_up() {
    let app = |_: Environ, start_response: StartResponse| {
        Reply::future(async move {
            // It is woken by nobody, although somebody keeps the waker.
            let mut kept = None;
            std::future::poll_fn(|cx| {
                kept = Some(cx.waker().clone());
                std::task::Poll::<()>::Pending
            })
            .await;
            Ok(text(start_response))
        })
    };
    let response = TestClient::new(app).patience(Duration::from_millis(1)).get("/").send();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.error().is_some_and(|error| error.contains("was not woken in 1ms")));
}

#[test]
fn another_thread_may_wake() {
    let app = |_: Environ, start_response: StartResponse| {
        Reply::future(async move {
            let mut thread = None;
            std::future::poll_fn(|cx| {
                if thread.is_some() {
                    return std::task::Poll::Ready(());
                }
                let waker = cx.waker().clone();
                thread = Some(std::thread::spawn(move || waker.wake()));
                std::task::Poll::Pending
            })
            .await;
            thread.take().expect("it was begun").join().expect("it only wakes");
            Ok(text(start_response).with_body("awake"))
        })
    };
    assert_eq!(TestClient::new(app).get("/").send().text(), "awake");
}

#[test]
fn a_broken_must_panics_with_all_that_helps() {
    let app = inline(|_, start_response| {
        let headers =
            [(CONTENT_TYPE, "text/plain"), (gateway_core::http::header::CONTENT_LENGTH, "9")];
        Ok(start_response.start(StatusCode::OK, headers).with_body("x"))
    });
    let client = TestClient::new(app);
    let panicked = catch_unwind(AssertUnwindSafe(|| client.get("/x").send()));
    let message = panic_message(&*panicked.expect_err("a MUST is broken"));
    for part in ["APP-06", "At GET /x: 9 bytes were declared, and there are 1.", "count bytes"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(client.without_lint().get("/x").send().is_cut());
}

#[test]
fn a_broken_should_is_told() {
    let app = inline(|_, start_response| {
        Ok(start_response.start(StatusCode::OK, ()).with_body("of no type"))
    });
    let response = TestClient::new(app).get("/").send();
    assert_eq!(response.violations().len(), 1);
    assert!(!response.violations()[0].is_binding());
}

#[test]
fn the_server_can_be_another() {
    let app = inline(|environ, start_response| {
        let seen = format!("{} {}", environ.server().name, environ.local_addr());
        Ok(text(start_response).with_body(seen))
    });
    let server = gateway_core::ServerInfo::new("shop.test", None, "shop/1.0");
    let client = TestClient::new(app).server(server);
    let response = client.get("/").remote_addr(Address::Unnamed).send();
    assert_eq!(response.text(), "shop.test 127.0.0.1:80");
}
