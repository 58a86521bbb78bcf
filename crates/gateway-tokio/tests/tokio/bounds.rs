use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use gateway_core::http::StatusCode;
use gateway_core::{Environ, Reply, ServerError, StartResponse, run};
use tokio::sync::Semaphore;

use crate::support::{path, server, start};

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
    assert!(entered.try_recv().is_err(), "two are served");
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
fn one_address_has_its_share() {
    let server = start(server().max_connections_per_address(1), path);
    let mut first = server.connect();
    assert_eq!(first.get("/").status, 200);
    assert!(server.connect().ends());
    assert_eq!(first.get("/").status, 200);
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
