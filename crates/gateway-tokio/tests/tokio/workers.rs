use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_core::bytes::Bytes;
use gateway_core::http::header::CONTENT_LENGTH;
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::{ApplicationError, Body, Environ, Error, Reply, StartResponse};

use crate::support::{path, server, start};

/// What a test holds of applications that wait for it.
struct Gate {
    entered: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    /// `/slow` says that it has been entered and waits, on a worker; anything else is quick.
    fn app() -> (Gate, impl Fn(Environ, StartResponse) -> Reply + Send + Sync) {
        let (enter, entered) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let opened = Arc::new(Mutex::new(opened));
        let app = move |environ: Environ, start_response: StartResponse| {
            if environ.path_info() != "/slow" {
                return path(environ, start_response);
            }
            let (enter, opened) = (enter.clone(), Arc::clone(&opened));
            Reply::blocking(move || {
                enter.send(()).map_err(Error::application)?;
                let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = opened.recv_timeout(Duration::from_secs(20));
                Ok(start_response.start(StatusCode::OK, ()).with_body("slow"))
            })
        };
        (Gate { entered, open }, app)
    }
}

#[test]
fn a_slow_application_that_blocks_does_not_stall_a_quick_one() {
    let (gate, app) = Gate::app();
    let server = start(server().threads(1), app);
    let mut slow = server.connect();
    slow.ask("/slow");
    gate.entered.recv().unwrap();
    let mut quick = server.connect();
    for _ in 0..50 {
        assert_eq!(quick.get("/quick").body, b"/quick");
    }
    gate.open.send(()).unwrap();
    assert_eq!(slow.answer().unwrap().body, b"slow");
}

#[test]
fn when_all_workers_are_busy_and_the_queue_is_full_the_answer_is_503() {
    let (gate, app) = Gate::app();
    let server = start(server().threads(1).workers(1).worker_queue(1), app);
    let [mut running, mut queued, mut refused] = [(); 3].map(|()| server.connect());
    running.ask("/slow");
    gate.entered.recv().unwrap();
    queued.ask("/slow");
    // What is answered after it has been sent after it.
    assert_eq!(server.connect().get("/quick").status, 200);
    assert_eq!(refused.get("/slow").status, 503);
    gate.open.send(()).unwrap();
    gate.open.send(()).unwrap();
    assert_eq!(running.answer().unwrap().status, 200);
    assert_eq!(queued.answer().unwrap().status, 200);
}

#[test]
fn without_a_queue_the_refusal_is_immediate() {
    let (gate, app) = Gate::app();
    let server = start(server().workers(1).worker_queue(0), app);
    let [mut running, mut refused] = [(); 2].map(|()| server.connect());
    running.ask("/slow");
    gate.entered.recv().unwrap();
    assert_eq!(refused.get("/slow").status, 503);
    assert_eq!(refused.get("/quick").status, 200, "what needs no worker is served");
    gate.open.send(()).unwrap();
    assert_eq!(running.answer().unwrap().status, 200);
    assert_eq!(refused.get("/quick").status, 200);
}

#[test]
fn a_peer_that_does_not_read_holds_no_worker() {
    let app = |environ: Environ, start_response: StartResponse| {
        if environ.path_info() == "/endless" {
            let endless = std::iter::repeat_with(|| Ok(Bytes::from(vec![b'x'; 64 * 1024])));
            let response = start_response.start(StatusCode::OK, ());
            return Reply::Ready(Ok(response.with_body(Body::iter(endless))));
        }
        Reply::blocking(move || Ok(start_response.start(StatusCode::OK, ()).with_body("done")))
    };
    let server = start(server().workers(1).worker_queue(64), app);
    let mut endless: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for peer in &mut endless {
        peer.ask("/endless");
        peer.take(1024);
    }
    let mut peer = server.connect();
    for _ in 0..10 {
        assert_eq!(peer.get("/").body, b"done");
    }
}

#[test]
fn slow_uploads_hold_no_place() {
    let (enter, entered) = mpsc::channel();
    let app = move |mut environ: Environ, start_response: StartResponse| {
        let enter = enter.clone();
        Reply::blocking(move || {
            let mut body = Vec::new();
            if environ.path_info() == "/upload" {
                enter.send(()).map_err(Error::application)?;
                std::io::Read::read_to_end(environ.input(), &mut body)?;
            }
            Ok(start_response.start(StatusCode::OK, ()).with_body(body))
        })
    };
    let server = start(server().workers(2), app);
    let mut slow: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for peer in &mut slow {
        peer.send("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n12");
    }
    for _ in &slow {
        entered.recv_timeout(Duration::from_secs(20)).expect("all of them have begun");
    }
    assert_eq!(server.connect().get("/").status, 200);
    for peer in &mut slow {
        peer.send("34");
    }
    for peer in &mut slow {
        assert_eq!(peer.answer().unwrap().body, b"1234");
    }
}

#[test]
fn slow_readers_of_what_is_written_hold_no_place() {
    const SIZE: usize = 16 << 20;
    let (enter, entered) = mpsc::channel();
    let app = move |environ: Environ, start_response: StartResponse| {
        let enter = enter.clone();
        Reply::blocking(move || {
            if environ.path_info() != "/large" {
                return Ok(start_response.start(StatusCode::OK, ()));
            }
            enter.send(()).map_err(Error::application)?;
            let length = HeaderValue::from(SIZE);
            let mut response = start_response.start(StatusCode::OK, [(CONTENT_LENGTH, length)]);
            response.write(vec![b'x'; SIZE])?;
            Ok(response)
        })
    };
    let server = start(server().workers(1), app);
    let mut slow: Vec<_> = (0..4).map(|_| server.connect()).collect();
    slow.iter_mut().for_each(|peer| peer.ask("/large"));
    for _ in &slow {
        entered.recv_timeout(Duration::from_secs(20)).expect("all of them have begun");
    }
    assert_eq!(server.connect().get("/").status, 200);
    for peer in &mut slow {
        assert_eq!(peer.answer().unwrap().body.len(), SIZE);
    }
}

#[test]
fn an_iterator_that_goes_on_is_not_refused() {
    // More than a socket takes without its peer, so that the iterator has to wait for it.
    const ITEM: usize = 16 << 20;
    let (gate, app) = Gate::app();
    let app = move |environ: Environ, start_response: StartResponse| {
        if environ.path_info() != "/iterator" {
            return app(environ, start_response);
        }
        let items = (0..2).map(|_| Ok(Bytes::from(vec![b'x'; ITEM])));
        let length = HeaderValue::from(2 * ITEM);
        let response = start_response.start(StatusCode::OK, [(CONTENT_LENGTH, length)]);
        Reply::Ready(Ok(response.with_body(Body::iter(items))))
    };
    let server = start(server().threads(1).workers(1).worker_queue(1), app);
    let mut peers = [(); 3].map(|()| server.connect());
    let [iterator, running, queued] = &mut peers;
    iterator.ask("/iterator");
    iterator.take(1);
    running.ask("/slow");
    gate.entered.recv().unwrap();
    queued.ask("/slow");
    // What is answered after it has been sent after it, here and below.
    assert_eq!(server.connect().get("/quick").status, 200);
    iterator.take(ITEM);
    assert_eq!(server.connect().get("/quick").status, 200);
    gate.open.send(()).unwrap();
    gate.open.send(()).unwrap();
    assert_eq!(running.answer().unwrap().status, 200);
    assert_eq!(queued.answer().unwrap().status, 200);
    iterator.take(ITEM);
}

#[test]
fn a_worker_is_in_the_context_of_a_runtime_and_may_block() {
    let app = |_: Environ, start_response: StartResponse| {
        Reply::blocking(move || {
            let runtime = tokio::runtime::Handle::current();
            let spawned = runtime.block_on(tokio::spawn(async { "spawned" }));
            let mut response = start_response.start(StatusCode::OK, [(CONTENT_LENGTH, "7")]);
            response.write(spawned.map_err(Error::application)?)?;
            Ok(response)
        })
    };
    let server = start(server(), app);
    assert_eq!(server.connect().get("/").body, b"spawned");
}

#[test]
fn blocking_on_the_reactor_is_an_error_and_not_a_stall() {
    let app = |mut environ: Environ, start_response: StartResponse| {
        let read = std::io::Read::read(environ.input(), &mut [0]);
        let error = Error::from(read.expect_err("it would block"));
        assert!(
            matches!(error, Error::Application(ApplicationError::WouldBlock { .. })),
            "{error}"
        );
        Reply::Ready(Ok(start_response.start(StatusCode::OK, ()).with_body("refused")))
    };
    let server = start(server(), app);
    let mut peer = server.connect();
    peer.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(peer.answer().unwrap().body, b"refused");
}

#[test]
fn a_panic_on_a_worker_costs_neither_worker_nor_connection() {
    let app = |environ: Environ, start_response: StartResponse| {
        Reply::blocking(move || {
            assert_ne!(environ.path_info(), "/panic", "on purpose");
            Ok(start_response.start(StatusCode::OK, ()).with_body("fine"))
        })
    };
    let server = start(server().workers(1).worker_queue(0).max_connections(1), app);
    for _ in 0..3 {
        assert_eq!(server.connect().get("/panic").status, 500);
    }
    assert_eq!(server.connect().get("/").body, b"fine");
}
