//! The limit on connections, who is ended to make room, and threads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_core::{Environ, ErrorStream, StartResponse};
use gateway_std::Timeouts;

use super::running::{LONG, Running, gate, ok, path, server};

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn beyond_the_limit_one_waits_in_the_backlog() {
    let (gate, app) = gate();
    let running = Running::start(server().max_connections(2), app);
    let mut held = [running.connect(), running.connect()];
    for peer in &mut held {
        peer.ask("/hold");
        gate.wait_for_one();
    }
    let mut third = running.connect();
    third.ask("/third");
    assert!(!third.is_ended_within(SHORT));
    assert!(third.stream.buffer().is_empty(), "it is not answered yet");

    gate.let_one_go();
    gate.let_one_go();
    for peer in &mut held {
        assert_eq!(peer.response().expect("an answer").1, "/hold");
    }
    drop(held);
    assert_eq!(third.response().expect("an answer").1, "/third");
}

#[test]
fn an_address_has_no_more_than_its_share() {
    let running = Running::start(server().max_connections_per_address(2), path);
    let mut kept = [running.connect(), running.connect()];
    for peer in &mut kept {
        assert_eq!(peer.get("/"), "/");
    }
    let mut third = running.connect();
    assert!(third.is_ended_within(LONG));
    drop(kept);
    // A place is given back when the server sees that its peer has gone.
    while running.connect().is_ended_within(SHORT) {}
}

#[test]
fn the_idle_make_room() {
    let running = Running::start(server().max_connections(8), path);
    let mut idle: Vec<_> = (0..7).map(|_| running.connect()).collect();
    for peer in &mut idle {
        assert_eq!(peer.get("/"), "/");
    }
    // Each of these is another connection; at 7/8, whoever has been idle for a second has to go.
    let mut rounds = 0;
    // Which of them is not known: a thread may note late that it waits again.
    while !idle.iter_mut().any(|peer| peer.is_ended_within(SHORT)) {
        assert_eq!(running.get("/new"), "/new");
        rounds += 1;
        assert!(rounds < 1000, "nobody is evicted");
    }
}

#[test]
fn unfinished_heads_make_room_even_when_they_have_it_all() {
    let server = server().max_connections(8);
    // Whoever lingers does so for longer than the test.
    let timeouts = Timeouts { drain: 100 * LONG, ..server.current_timeouts().clone() };
    let running = Running::start(server.timeouts(timeouts), path);
    let mut slow: Vec<_> = (0..16).map(|_| running.connect()).collect();
    for peer in &mut slow {
        peer.send("GET / HTTP/1.1\r\nHost: te");
    }
    assert_eq!(running.get("/healthy"), "/healthy");
    // The oldest one; it is our end, not its fault.
    let told = slow.swap_remove(0).rest().expect("a clean end");
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
}

#[test]
fn an_idle_connection_ends_in_time_and_without_a_word() {
    let server = server();
    let keep_alive = Duration::from_millis(100);
    let timeouts = Timeouts { keep_alive, ..server.current_timeouts().clone() };
    let running = Running::start(server.timeouts(timeouts), path);
    let mut peer = running.connect();
    assert_eq!(peer.get("/"), "/");
    assert_eq!(peer.rest().expect("a clean end"), "");
}

#[test]
fn an_unfinished_head_is_told_that_it_is_late() {
    let server = server();
    let head = Duration::from_millis(100);
    let timeouts = Timeouts { head, ..server.current_timeouts().clone() };
    let running = Running::start(server.timeouts(timeouts), path);
    let mut peer = running.connect();
    peer.send("GET / HTTP/1.1\r\nHost: te");
    let rest = peer.rest().expect("a clean end");
    assert!(rest.starts_with("HTTP/1.1 408 "), "{rest}");
}

#[test]
fn threads_are_used_again() {
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&threads);
    let app = move |environ: Environ, start_response: StartResponse| {
        seen.lock().expect("not poisoned").insert(std::thread::current().id());
        path(environ, start_response)
    };
    let running = Running::start(server().max_connections(2), app);
    for _ in 0..50 {
        assert_eq!(running.get("/"), "/");
    }
    assert!(threads.lock().expect("not poisoned").len() <= 2);
}

#[test]
fn a_panic_costs_neither_the_server_nor_a_place() {
    let (errors, lines) = ErrorStream::memory();
    let app = |environ: Environ, start_response: StartResponse| {
        assert!(environ.path_info() != "/panic", "on purpose");
        ok(start_response, "fine")
    };
    let running = Running::start(server().max_connections(1).error_stream(errors), app);
    for _ in 0..3 {
        let mut peer = running.connect();
        peer.ask("/panic");
        let (head, _) = peer.response().expect("an answer");
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    }
    assert_eq!(running.get("/"), "fine");
    assert!(lines.take().iter().all(|line| line.contains("on purpose")));
}

#[test]
fn a_panic_around_a_connection_is_told_and_costs_no_place() {
    let (errors, lines) = ErrorStream::memory();
    let panicked = Mutex::new(false);
    let around = move |run: &mut dyn FnMut()| {
        if !std::mem::replace(&mut *panicked.lock().expect("not poisoned"), true) {
            std::panic::panic_any("around");
        }
        run();
    };
    let server = server().max_connections(1).error_stream(errors).with_context(around);
    let running = Running::start(server, path);
    // Nobody knows how far it came.
    let error = running.connect().rest().expect_err("no clean end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(running.get("/"), "/");
    drop(running);
    assert_eq!(lines.take(), ["a connection panicked: around"]);
}

#[test]
fn a_panic_after_a_connection_spoils_no_response() {
    let around = |run: &mut dyn FnMut()| {
        run();
        std::panic::panic_any("around");
    };
    let running = Running::start(server().with_context(around), path);
    let mut peer = running.connect();
    peer.send("GET /whole HTTP/1.0\r\n\r\n");
    assert!(peer.rest().expect("a clean end").ends_with("/whole"));
}
