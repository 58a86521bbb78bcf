//! Stopping: at once, in time, and not in time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::http::StatusCode;
use gateway_core::{
    Body, Environ, Error, PeerError, Reply, Response, Result, Server, StartResponse, Stopped,
};
use gateway_std::StdServer;

use super::running::{LONG, Peer, Running, gate, ok, path, server, within_a_second};

#[test]
fn a_stop_before_the_start_holds() {
    let server = server();
    server.handle().shutdown(LONG);
    assert_eq!(Running::start(server, path).join(), Stopped::new(0, 0));
}

#[test]
fn idle_connections_and_unfinished_heads_are_not_waited_for() {
    let running = Running::start(server(), path);
    let mut idle = running.connect();
    assert_eq!(idle.get("/"), "/");
    let mut silent = running.connect();
    let mut unfinished = running.connect();
    unfinished.send("GET / HTTP/1.1\r\nHost: te");
    // Whoever comes in between is behind these two in the backlog.
    assert_eq!(running.get("/"), "/");
    assert_eq!(running.stop(LONG), Stopped::new(0, 0));
    for peer in [&mut idle, &mut silent] {
        assert_eq!(peer.rest().expect("a clean end"), "");
    }
    let told = unfinished.rest().expect("a clean end");
    assert!(!told.contains(" 200 "), "{told}");
}

/// A client may be between connecting and asking when a server is replaced by another one.
#[test]
fn who_has_just_connected_may_still_ask() {
    within_a_second(|| {
        let running = Running::start(server(), path);
        let mut silent = running.connect();
        let mut newcomer = running.connect();
        // Both are accepted: this one is behind them in the backlog.
        assert_eq!(running.get("/"), "/");
        running.handle.shutdown(LONG);
        running.closes();
        newcomer.ask("/late");
        let (head, body) = newcomer.response()?;
        assert_eq!(body, "/late");
        assert!(head.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{head}");
        assert_eq!(silent.rest().expect("a clean end"), "");
        assert_eq!(running.join(), Stopped::new(0, 0));
        Ok(())
    });
}

/// A busy proxy's next request may be on its way, and if it is a POST the proxy must not repeat it.
#[test]
fn who_was_just_answered_may_ask_again() {
    within_a_second(|| {
        let running = Running::start(server(), path);
        let mut silent = running.connect();
        assert_eq!(silent.get("/"), "/");
        let mut busy = running.connect();
        assert_eq!(busy.get("/"), "/");
        running.handle.shutdown(LONG);
        running.closes();
        busy.ask("/again");
        let (head, body) = busy.response()?;
        assert_eq!(body, "/again");
        assert!(head.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{head}");
        assert_eq!(silent.rest().expect("a clean end"), "");
        assert_eq!(running.join(), Stopped::new(0, 0));
        Ok(())
    });
}

#[test]
fn a_request_in_flight_is_finished_and_told_to_close() {
    let (gate, app) = gate();
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.ask("/hold");
    gate.wait_for_one();
    running.handle.shutdown(LONG);
    running.closes();
    gate.let_one_go();
    let (head, body) = peer.response().expect("an answer");
    assert_eq!(body, "/hold");
    assert!(head.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(peer.rest().expect("a clean end"), "");
    assert_eq!(running.join(), Stopped::new(0, 0));
}

#[test]
fn a_request_that_waits_in_the_backlog_is_answered() {
    let server = server();
    let handle = server.handle();
    let mut address = server.local_addrs()[0].inet().expect("an IP address");
    address.set_ip([127, 0, 0, 1].into());
    let mut peer = Peer::new(TcpStream::connect(address).expect("it listens"));
    peer.ask("/early");
    handle.shutdown(LONG);
    let running = Running::start(server, path);
    assert_eq!(peer.response().expect("an answer").1, "/early");
    assert_eq!(running.join(), Stopped::new(0, 0));
}

/// An upload that had begun, wholly or by its first bytes, is not cut short.
#[test]
fn an_upload_that_waits_in_the_backlog_is_read_to_its_end() {
    let file = std::env::temp_dir().join(format!("gateway-std-{}-upload", std::process::id()));
    let unix = StdServer::bind(format!("unix:{}", file.display())).expect("a free path");
    let tcp = server();
    let address = tcp.local_addrs()[0].inet().expect("an IP address");
    upload(unix, || UnixStream::connect(&file).expect("it listens"));
    upload(tcp, || TcpStream::connect(address).expect("it listens"));
}

fn upload<S: Read + Write>(server: StdServer, connect: impl FnOnce() -> S) {
    let (enter, entered) = channel();
    let app = move |mut environ: Environ, start_response: StartResponse| {
        enter.send(()).expect("the test listens");
        let body = environ.take_input().collect(1 << 20)?;
        ok(start_response, body.len().to_string())
    };
    let mut peer = Peer::new(connect());
    peer.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nhalf");
    server.handle().shutdown(LONG);
    let running = Running::start(server, app);
    entered.recv_timeout(LONG).expect("a request comes in");
    peer.send("rest");
    let (head, body) = peer.response().expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(body, "8");
    assert_eq!(running.join(), Stopped::new(0, 0));
}

/// Without a length and without chunks, a plain end would make it look whole.
#[test]
fn a_response_that_the_deadline_cuts_ends_with_a_reset() {
    let (open, opened) = channel::<()>();
    let opened = Arc::new(Mutex::new(opened));
    let app = move |_: Environ, start_response: StartResponse| -> Result<Response> {
        let opened = Arc::clone(&opened);
        let first = std::iter::once(Ok(Bytes::from_static(b"first")));
        let rest = std::iter::from_fn(move || {
            let _ = opened.lock().expect("not poisoned").recv();
            None
        });
        let response = start_response.start(StatusCode::OK, ());
        Ok(response.with_body(Body::iter(first.chain(rest))))
    };
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.send("GET / HTTP/1.0\r\n\r\n");
    // The response has begun.
    assert!(!peer.is_ended_within(LONG));
    assert_eq!(running.stop(Duration::from_millis(10)), Stopped::new(1, 1));
    let error = peer.rest().expect_err("no clean end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    drop(open);
}

#[test]
fn an_upload_that_the_deadline_cuts_is_not_blamed_on_the_peer() {
    let (tell, told) = channel();
    let app = move |mut environ: Environ, _: StartResponse| -> Result<Response> {
        tell.send(None).expect("the test listens");
        let error = environ.take_input().collect(1 << 20).expect_err("half a body");
        tell.send(Some(error.to_string())).expect("the test listens");
        Err(error)
    };
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nhalf");
    told.recv_timeout(LONG).expect("a request comes in");
    assert_eq!(running.stop(Duration::from_millis(10)), Stopped::new(1, 0));
    let told = told.recv_timeout(LONG).expect("it ends").expect("an error");
    assert_eq!(told, Error::from(PeerError::Disconnected).to_string());
    assert!(!peer.rest().is_ok_and(|rest| rest.contains(" 400 ")));
}

#[test]
fn a_blocking_application_that_does_not_end_is_cut_and_left() {
    let (gate, app) = gate();
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.ask("/hold");
    gate.wait_for_one();
    assert_eq!(running.stop(Duration::from_millis(10)), Stopped::new(1, 1));
    assert!(peer.is_ended_within(LONG));
    gate.let_one_go();
}

#[test]
fn a_pending_reply_is_dropped_at_the_deadline() {
    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let dropped = Arc::new(AtomicBool::new(false));
    let guard = Arc::clone(&dropped);
    let (enter, entered) = channel();
    let app = move |_: Environ, _: StartResponse| {
        let guard = Dropped(Arc::clone(&guard));
        let enter = enter.clone();
        Reply::future(async move {
            enter.send(()).expect("the test listens");
            std::future::pending::<()>().await;
            drop(guard);
            unreachable!("it never wakes")
        })
    };
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.ask("/");
    entered.recv_timeout(LONG).expect("a request comes in");
    assert_eq!(running.stop(Duration::from_millis(10)), Stopped::new(1, 0));
    assert!(dropped.load(Ordering::SeqCst));
    let (head, _) = peer.response().expect("an answer");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}

#[test]
fn a_peer_that_does_not_read_is_cut() {
    let big = |_: Environ, start_response: StartResponse| -> Result<Response> {
        let response = start_response.start(StatusCode::OK, ());
        Ok(response.with_body(vec![b'x'; 64 << 20]))
    };
    let running = Running::start(server(), big);
    let mut peer = running.connect();
    peer.ask("/");
    // The response has begun.
    assert!(!peer.is_ended_within(LONG));
    assert_eq!(running.stop(Duration::from_millis(10)), Stopped::new(1, 0));
}

#[test]
fn a_second_stop_shortens_the_first() {
    let (gate, app) = gate();
    let running = Running::start(server(), app);
    let mut peer = running.connect();
    peer.ask("/hold");
    gate.wait_for_one();
    running.handle.shutdown(100 * LONG);
    running.handle.shutdown(Duration::ZERO);
    assert_eq!(running.join(), Stopped::new(1, 1));
    gate.let_one_go();
}

#[test]
fn the_application_is_dropped_before_the_server_returns() {
    let owned = Arc::new(());
    let kept = Arc::clone(&owned);
    let app = move |environ: Environ, start_response: StartResponse| {
        let _ = &kept;
        path(environ, start_response)
    };
    let running = Running::start(server(), app);
    let mut idle = running.connect();
    assert_eq!(idle.get("/"), "/");
    assert_eq!(running.stop(LONG), Stopped::new(0, 0));
    assert_eq!(Arc::strong_count(&owned), 1);
}
