use std::fs::File;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_core::http::StatusCode;
use gateway_core::{Environ, ErrorStream, Reply, ServerError, StartResponse, run};
use gateway_tokio::Timeouts;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;

use crate::support::{is_alone, path, server, start};

#[test]
fn at_the_limit_the_next_waits_in_the_backlog() {
    let (enter, entered) = mpsc::channel();
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let enter = Mutex::new(enter);
    let app = move |_: Environ, start_response: StartResponse| {
        enter.lock().unwrap().send(()).unwrap();
        let gate = Arc::clone(&gate);
        Reply::future(async move {
            gate.acquire().await.expect("it stays open").forget();
            Ok(start_response.start(StatusCode::OK, ()).with_body("through"))
        })
    };
    let server = start(server().max_connections(2), app);
    let mut peers: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for peer in &mut peers {
        peer.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    }
    entered.recv().unwrap();
    entered.recv().unwrap();
    // The third would be there at once.
    assert!(entered.recv_timeout(Duration::from_millis(300)).is_err(), "two are served");
    opened.add_permits(1);
    entered.recv().unwrap();
    opened.add_permits(2);
    for peer in &mut peers {
        assert_eq!(peer.answer().unwrap().body, b"through");
    }
}

#[test]
fn a_newcomer_takes_the_place_of_one_who_idles() {
    let server = start(server().max_connections(8), path);
    let mut idle: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for peer in &mut idle {
        assert_eq!(peer.get("/").status, 200);
    }
    // It is answered when somebody has idled for a second.
    let mut newcomer = server.connect();
    assert_eq!(newcomer.get("/").status, 200);
    assert!(idle[0].ends(), "the one that idled longest");
}

#[test]
fn unfinished_heads_make_room_without_lingering() {
    let server = server().max_connections(8);
    // Whoever lingers does so for longer than the test.
    let drain = Duration::from_secs(10_000);
    let timeouts = Timeouts { drain, ..server.current_timeouts().clone() };
    let server = start(server.timeouts(timeouts), path);
    let mut slow: Vec<_> = (0..16).map(|_| server.connect()).collect();
    for peer in &mut slow {
        peer.send("GET / HTTP/1.1\r\nHost: te");
    }
    assert_eq!(server.connect().get("/healthy").status, 200);
    let told = slow[0].answer().unwrap();
    assert_eq!(told.status, 503, "{}", told.head);
    assert!(slow[0].ends());
}

#[test]
fn one_address_has_its_share() {
    let server = start(server().max_connections_per_address(1), path);
    let mut first = server.connect();
    assert_eq!(first.get("/").status, 200);
    assert!(server.connect().ends());
    assert_eq!(first.get("/").status, 200);
}

#[test]
fn without_descriptors_accepting_pauses_and_says_so_once() {
    if !is_alone("bounds::without_descriptors_accepting_pauses_and_says_so_once") {
        return;
    }
    let limit = Some(128);
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }).unwrap();
    let (errors, lines) = ErrorStream::memory();
    let server = start(server().threads(2).max_connections(64).error_stream(errors), path);
    // Both reactors are at work, with all that they need.
    let mut first = [(); 2].map(|()| server.connect());
    first.iter_mut().for_each(|peer| assert_eq!(peer.get("/").status, 200));
    let (mut taken, mut late) = (Vec::new(), Vec::new());
    for round in 0..3 {
        taken.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
        // One for this end, and none for the other.
        taken.pop();
        let mut peer = server.connect();
        peer.ask("/late");
        let patience = peer.stream().read_timeout().unwrap();
        peer.stream().set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let nothing = peer.answer().err().expect("nothing to answer with").kind();
        assert_eq!(nothing, io::ErrorKind::WouldBlock);
        assert_eq!(first[0].get("/").status, 200, "who is in is served");
        taken.pop();
        peer.stream().set_read_timeout(patience).unwrap();
        assert_eq!(peer.answer().unwrap().body, b"/late", "in round {round}");
        // Its descriptors would come back at any time.
        late.push(peer);
    }
    drop(taken);
    let lines = lines.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("cannot accept"), "{lines:?}");
}

#[test]
fn the_soft_limit_is_raised_as_far_as_the_hard_one_goes() {
    if !is_alone("bounds::the_soft_limit_is_raised_as_far_as_the_hard_one_goes") {
        return;
    }
    let limit = |current, maximum| Rlimit { current: Some(current), maximum: Some(maximum) };
    setrlimit(Resource::Nofile, limit(64, 2000)).unwrap();
    let server = start(server(), path);
    assert_eq!(server.connect().get("/").status, 200);
    assert_eq!(getrlimit(Resource::Nofile), limit(2000, 2000));
}

#[test]
fn what_cannot_work_is_refused_by_its_name() {
    let refused = |server| match run(server, path) {
        Err(ServerError::Setting { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(server().threads(0)), "threads");
    assert_eq!(refused(server().workers(0)), "workers");
    assert_eq!(refused(server().max_connections(0)), "max_connections");
}
