//! What `from_tower` hands on.

use std::convert::Infallible;
use std::future::pending;
use std::io::{BufReader, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use gateway_core::{Application, BoxError, Input, Mount, http};
use gateway_tower::{Locked, Mounted, from_tower, into_tower};
use tokio::sync::Notify;
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, service_fn};

use crate::client::{ask, connect, get as ask_for, read_answer, read_chunk, read_head, with_body};
use crate::hosts::{Host, PATIENCE, axum_serves, std_serves, tokio_serves};

/// The same application on both of our servers.
fn both<A: Application>(app: impl Fn() -> A) -> [Host; 2] {
    [tokio_serves(app()), std_serves(app())]
}

/// Tells when it is dropped.
struct Tell(Sender<&'static str>, &'static str);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

fn await_note(notes: &Receiver<&'static str>) -> &'static str {
    notes.recv_timeout(PATIENCE).expect("a note in time")
}

#[test]
fn readiness_is_awaited_before_the_call() {
    let entered = Arc::new(Notify::new());
    let gate = Arc::new(Notify::new());
    let (inside, opened) = (Arc::clone(&entered), Arc::clone(&gate));
    let service = service_fn(move |_: http::Request<Input>| {
        let (inside, opened) = (Arc::clone(&inside), Arc::clone(&opened));
        async move {
            inside.notify_one();
            opened.notified().await;
            Ok::<_, Infallible>(http::Response::new(Body::from("through")))
        }
    });
    let service = ServiceBuilder::new().concurrency_limit(1).service(service);
    let host = tokio_serves(from_tower(service));
    let send = || {
        let mut stream = connect(&host);
        let request = b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
        stream.write_all(request).expect("the host reads");
        BufReader::new(stream)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut waiting = [send(), send()];
    for _ in 0..2 {
        // One is inside, and the other is not before that one is through.
        runtime.block_on(entered.notified());
        assert!(pending_now(&entered), "two are inside");
        gate.notify_one();
        let _ = runtime;
    }
    for reader in &mut waiting {
        assert_eq!(read_answer(reader, false).text(), "through");
    }
}

/// Whether nobody has notified it.
fn pending_now(notify: &Notify) -> bool {
    let mut notified = Box::pin(notify.notified());
    notified.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending()
}

#[test]
fn a_peer_that_goes_away_ends_the_future_and_the_body() {
    for (path, dropped) in [("/future", "future dropped"), ("/body", "body dropped")] {
        let router = || {
            let (notes, heard) = channel();
            let router = Router::new()
                .route(
                    "/future",
                    get(|State(notes): State<Sender<&'static str>>| async move {
                        let _tell = Tell(notes.clone(), "future dropped");
                        let _ = notes.send("called");
                        pending::<()>().await;
                    }),
                )
                .route(
                    "/body",
                    get(|State(notes): State<Sender<&'static str>>| async move {
                        let _ = notes.send("called");
                        Body::new(Endless(Tell(notes, "body dropped")))
                    }),
                )
                .with_state(notes);
            (router, heard)
        };
        let hosts: [fn(Router) -> Host; 3] = [
            axum_serves,
            |router| tokio_serves(from_tower(router)),
            |router| std_serves(from_tower(router)),
        ];
        for start in hosts {
            let (router, heard) = router();
            let host = start(router);
            let mut stream = connect(&host);
            let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("the host reads");
            assert_eq!(await_note(&heard), "called");
            drop(stream);
            assert_eq!(await_note(&heard), dropped);
        }
    }
}

/// A body that never has anything.
struct Endless(#[expect(dead_code, reason = "it tells when it is dropped")] Tell);

impl http_body_util_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

use hyper::body as http_body_util_body;

#[test]
fn a_half_closed_client_can_be_answered() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let router = Router::new().route(
        "/",
        get(move || async move {
            opened.notified().await;
            "late"
        }),
    );
    let host = tokio_serves(from_tower(router).cancel(false));
    let mut stream = connect(&host);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("the host reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is connected");
    gate.notify_one();
    assert_eq!(read_answer(&mut BufReader::new(stream), false).text(), "late");
}

/// A browser's `EventSource` is open when the head has come, which may be long before an event.
#[test]
fn a_head_does_not_wait_for_data() {
    let gate = Arc::new(Notify::new());
    let app = || {
        let gate = Arc::clone(&gate);
        Router::new().route(
            "/",
            get(move || async move {
                Body::new(Gated(Some(Box::pin(async move {
                    gate.notified().await;
                }))))
            }),
        )
    };
    let hosts =
        [axum_serves(app()), tokio_serves(from_tower(app())), std_serves(from_tower(app()))];
    for host in hosts {
        let mut stream = connect(&host);
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("the host reads");
        let mut reader = BufReader::new(stream);
        assert_eq!(read_head(&mut reader).0, "HTTP/1.1 200 OK");
        gate.notify_one();
        assert_eq!(read_chunk(&mut reader).as_deref(), Some(&b"at last"[..]));
        assert_eq!(read_chunk(&mut reader), None);
    }
}

/// One datum, when a future is ready.
struct Gated(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl hyper::body::Body for Gated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        let Some(gate) = &mut self.0 else { return Poll::Ready(None) };
        std::task::ready!(gate.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(b"at last")))))
    }
}

#[test]
fn limits_are_the_services_unless_they_are_set() {
    let count = || {
        Router::new().route(
            "/",
            post(|body: Body| async move {
                match axum::body::to_bytes(body, usize::MAX).await {
                    Ok(bytes) => (StatusCode::OK, bytes.len().to_string()),
                    Err(error) => (StatusCode::PAYLOAD_TOO_LARGE, format!("{error:?}")),
                }
            }),
        )
    };
    let large = vec![b'x'; 3 << 20];
    let request = with_body("POST /", &[], &large);
    let statuses = |app: fn(Router) -> Host| ask(&app(count()), &request).status;
    assert_eq!(statuses(|router| tokio_serves(from_tower(router))), 200);
    assert_eq!(statuses(|router| tokio_serves(from_tower(router).keep_body_limit())), 413);
    assert_eq!(statuses(|router| tokio_serves(from_tower(router).body_limit(1000))), 413);
    assert_eq!(statuses(|router| tokio_serves(from_tower(router).body_limit(4 << 20))), 200);
}

#[test]
fn a_mounted_service_sees_the_path_below() {
    let app = || {
        let router = Router::new().fallback(|request: Request| async move {
            let mounted = request.extensions().get::<Mounted>().cloned();
            format!(
                "{} {:?}",
                request.uri(),
                mounted.map(|at| (at.script_name, at.original.to_string()))
            )
        });
        Mount::new()
            .at("/a%20b", from_tower(router.clone()))
            .at("/deep/er", from_tower(router))
            .build()
            .expect("sound")
    };
    for host in both(app) {
        assert_eq!(
            ask_for(&host, "/deep/er/x?y=1").text(),
            r#"/x?y=1 Some(("/deep/er", "/deep/er/x?y=1"))"#
        );
        assert_eq!(ask_for(&host, "/deep/er").text(), r#"/ Some(("/deep/er", "/deep/er"))"#);
        assert_eq!(ask_for(&host, "/deep/er?y").text(), r#"/?y Some(("/deep/er", "/deep/er?y"))"#);
    }
}

#[test]
fn a_boxed_service_and_its_errors() {
    let service = || {
        let service = service_fn(|request: http::Request<Input>| async move {
            match request.uri().path() {
                "/fine" => Ok(http::Response::new(Body::from("fine"))),
                "/conflict" => {
                    let error = gateway_core::Error::with_status(StatusCode::CONFLICT, "taken");
                    Err(BoxError::from(error))
                }
                _ => Err("it is broken".into()),
            }
        });
        from_tower(Locked::new(BoxCloneService::new(service)))
    };
    for host in both(service) {
        let statuses = ["/fine", "/conflict", "/else"].map(|path| ask_for(&host, path).status);
        assert_eq!(statuses, [200, 409, 500]);
    }
}

#[test]
fn a_tower_layer_goes_around_an_application() {
    use gateway_core::http::HeaderValue;
    use tower_http::set_header::SetResponseHeaderLayer;
    let app = || {
        let value = HeaderValue::from_static("layered");
        let layer =
            SetResponseHeaderLayer::overriding(http::HeaderName::from_static("x-by"), value);
        let inner = gateway_core::inline(|environ, start_response| {
            Ok(start_response.start(StatusCode::OK, ()).with_body(environ.path_info().into_owned()))
        });
        from_tower(ServiceBuilder::new().layer(layer).service(into_tower(inner)))
    };
    for host in both(app) {
        let answer = ask_for(&host, "/path");
        assert_eq!((answer.field("x-by"), answer.text().as_str()), ("layered", "/path"));
    }
}
