use crate::support::{path, server, start};

#[test]
fn a_connection_is_used_again() {
    let server = start(server(), path);
    let mut peer = server.connect();
    for n in 0..100 {
        let answer = peer.get(&format!("/{n}"));
        assert_eq!((answer.status, answer.body), (200, format!("/{n}").into_bytes()));
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = start(server().threads(1), path);
    let mut peer = server.connect();
    // More than fits into one buffer, so that the connection gives way in between.
    let count = 900;
    let requests: String =
        (0..count).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
    std::thread::scope(|scope| {
        let mut other = server.connect();
        scope.spawn(move || (0..50).for_each(|_| assert_eq!(other.get("/").status, 200)));
        peer.send(&requests);
        for n in 0..count {
            assert_eq!(peer.answer().unwrap().body, format!("/{n}").into_bytes());
        }
    });
}

#[test]
fn whoever_says_close_is_closed() {
    let server = start(server(), path);
    let mut peer = server.connect();
    peer.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_eq!(peer.answer().unwrap().status, 200);
    assert!(peer.ends());
}

#[test]
fn an_idle_connection_ends_when_its_time_is_over() {
    let server = server();
    let mut timeouts = server.current_timeouts().clone();
    timeouts.keep_alive = std::time::Duration::from_millis(20);
    let server = start(server.timeouts(timeouts), path);
    let mut peer = server.connect();
    assert_eq!(peer.get("/").status, 200);
    assert!(peer.ends());
}

#[test]
fn an_unfinished_head_is_refused_when_its_time_is_over() {
    let server = server();
    let mut timeouts = server.current_timeouts().clone();
    timeouts.head = std::time::Duration::from_millis(20);
    let server = start(server.timeouts(timeouts), path);
    let mut peer = server.connect();
    peer.send("GET / HTTP/1.1\r\n");
    assert_eq!(peer.answer().unwrap().status, 408);
    assert!(peer.ends());
}
