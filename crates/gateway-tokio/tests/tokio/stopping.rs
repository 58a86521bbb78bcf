use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_core::http::StatusCode;
use gateway_core::{Disconnected, Environ, Reply, Server, StartResponse, run};
use tokio::sync::Semaphore;

use crate::support::{Peer, path, server, start, within_a_second};

const GRACE: Duration = Duration::from_secs(60);

/// `/wait` is awaited until the semaphore lets it through; says that it began, and that it was
/// dropped.
struct Waiting {
    began: mpsc::Receiver<()>,
    dropped: mpsc::Receiver<()>,
    gate: Arc<Semaphore>,
}

struct OnDrop(mpsc::Sender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Waiting {
    fn app() -> (Waiting, impl Fn(Environ, StartResponse) -> Reply + Send + Sync) {
        let (begin, began) = mpsc::channel();
        let (drop, dropped) = mpsc::channel();
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let app = move |environ: Environ, start_response: StartResponse| {
            if environ.path_info() != "/wait" {
                return path(environ, start_response);
            }
            begin.send(()).expect("the test listens");
            let (gate, dropped) = (Arc::clone(&opened), OnDrop(drop.clone()));
            Reply::future(async move {
                let _dropped = dropped;
                gate.acquire().await.expect("it stays open").forget();
                Ok(start_response.start(StatusCode::OK, ()).with_body("waited"))
            })
        };
        (Waiting { began, dropped, gate }, app)
    }
}

#[test]
fn the_idle_end_soon_and_the_busy_after_their_response() {
    let (waiting, app) = Waiting::app();
    let mut server = start(server().threads(2), app);
    let [mut idle, mut unfinished, mut busy] = [(); 3].map(|()| server.connect());
    assert_eq!(idle.get("/").status, 200);
    unfinished.send("GET / HT");
    busy.ask("/wait");
    waiting.began.recv().unwrap();
    server.handle.shutdown(GRACE);
    assert!(idle.ends());
    // It may be told that its time is over, but it is not waited for.
    let _ = unfinished.answer();
    assert!(unfinished.ends());
    drop(unfinished);
    assert!(!server.is_listening());
    waiting.gate.add_permits(1);
    let answer = busy.answer().unwrap();
    assert_eq!(answer.body, b"waited");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert!(busy.ends());
    drop(busy);
    let stopped = server.wait();
    assert_eq!((stopped.cut, stopped.left_running), (0, 0));
}

#[test]
fn when_the_grace_is_over_what_waits_is_dropped_and_counted() {
    let (waiting, app) = Waiting::app();
    let mut server = start(server(), app);
    let mut busy = server.connect();
    busy.ask("/wait");
    waiting.began.recv().unwrap();
    server.handle.shutdown(GRACE);
    // A second order shortens the first one.
    server.handle.shutdown(Duration::ZERO);
    waiting.dropped.recv().unwrap();
    assert_eq!(server.wait().cut, 1);
    // Told or not, the connection is over.
    let _ = busy.answer();
    assert!(busy.ends());
}

#[test]
fn a_worker_that_still_runs_is_left_and_counted() {
    let (enter, entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let app = move |_: Environ, start_response: StartResponse| {
        let (enter, released) = (enter.clone(), Arc::clone(&released));
        Reply::blocking(move || {
            enter.send(()).unwrap();
            let _ = released.lock().unwrap().recv_timeout(Duration::from_secs(20));
            Ok(start_response.start(StatusCode::OK, ()))
        })
    };
    let server = start(server(), app);
    let mut peer = server.connect();
    peer.ask("/");
    entered.recv().unwrap();
    let stopped = server.stop(Duration::ZERO);
    assert_eq!((stopped.cut, stopped.left_running), (1, 1));
    release.send(()).unwrap();
}

#[test]
fn a_worker_that_waits_for_its_peer_is_not_left() {
    let (enter, entered) = mpsc::channel();
    let app = move |mut environ: Environ, start_response: StartResponse| {
        let enter = enter.clone();
        Reply::blocking(move || {
            enter.send(()).unwrap();
            std::io::Read::read_to_end(environ.input(), &mut Vec::new())?;
            Ok(start_response.start(StatusCode::OK, ()))
        })
    };
    let server = start(server(), app);
    let mut peer = server.connect();
    peer.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    entered.recv().unwrap();
    let stopped = server.stop(Duration::ZERO);
    assert_eq!((stopped.cut, stopped.left_running), (1, 0));
}

#[test]
fn a_server_may_be_stopped_before_it_serves() {
    let server = server();
    server.handle().shutdown(GRACE);
    let stopped = run(server, path).unwrap();
    assert_eq!((stopped.cut, stopped.left_running), (0, 0));
}

/// A client may be between connecting and asking when a server is replaced by another one.
#[test]
fn who_has_just_connected_may_still_ask() {
    within_a_second(|| {
        let mut server = start(server().threads(2), path);
        let [mut silent, mut newcomer, mut last] = [(); 3].map(|()| server.connect());
        // All are accepted: this one was the last in the backlog.
        assert_eq!(last.get("/").status, 200);
        server.handle.shutdown(GRACE);
        server.closes();
        newcomer.ask("/late");
        let answer = newcomer.answer()?;
        assert_eq!(answer.body, b"/late");
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        assert!(silent.ends());
        drop([silent, newcomer, last]);
        let stopped = server.wait();
        assert_eq!((stopped.cut, stopped.left_running), (0, 0));
        Ok(())
    });
}

/// Whoever finds nobody listening any more may rely on it, whatever reactor its connection is on.
#[test]
fn once_nobody_listens_no_answer_promises_another() {
    for _ in 0..200 {
        within_a_second(|| {
            let server = start(server().threads(2), path);
            let mut peers = [(); 2].map(|()| server.connect());
            for peer in &mut peers {
                assert_eq!(peer.get("/").status, 200);
            }
            server.handle.shutdown(GRACE);
            server.closes();
            for peer in &mut peers {
                peer.ask("/last");
            }
            for peer in &mut peers {
                let answer = peer.answer()?;
                assert!(answer.head.contains("connection: close"), "{}", answer.head);
            }
            Ok(())
        });
    }
}

/// A busy proxy's next request may be on its way, and if it is a POST the proxy must not repeat it.
#[test]
fn who_was_just_answered_may_ask_again() {
    within_a_second(|| {
        let mut server = start(server().threads(2), path);
        let [mut busy, mut silent] = [(); 2].map(|()| server.connect());
        assert_eq!(silent.get("/").status, 200);
        assert_eq!(busy.get("/").status, 200);
        server.handle.shutdown(GRACE);
        server.closes();
        busy.ask("/again");
        let answer = busy.answer()?;
        assert_eq!(answer.body, b"/again");
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        assert!(busy.ends());
        assert!(silent.ends());
        drop([silent, busy]);
        let stopped = server.wait();
        assert_eq!((stopped.cut, stopped.left_running), (0, 0));
        Ok(())
    });
}

#[test]
fn whoever_waits_in_the_backlog_is_served() {
    let server = server().threads(2);
    let address = server.local_addrs()[0].inet().unwrap();
    let [mut silent, mut asking, mut too] = [(); 3].map(|()| Peer::to(address));
    asking.ask("/asked");
    too.ask("/asked");
    server.handle().shutdown(GRACE);
    let mut server = start(server, path);
    for peer in [&mut asking, &mut too] {
        let answer = peer.answer().unwrap();
        assert_eq!(answer.body, b"/asked");
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        assert!(peer.ends());
    }
    let _ = silent.answer();
    assert!(silent.ends());
    assert!(!server.is_listening());
    drop([silent, asking, too]);
    let stopped = server.wait();
    assert_eq!((stopped.cut, stopped.left_running), (0, 0));
}

#[test]
fn a_handle_that_an_application_kept_does_not_hold_up_the_end() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeping = Arc::clone(&kept);
    let app = move |environ: Environ, start_response: StartResponse| {
        keeping.lock().unwrap().push(environ.disconnected());
        path(environ, start_response)
    };
    let server = start(server().max_connections(1), app);
    for _ in 0..3 {
        assert_eq!(server.connect().get("/").status, 200);
    }
    server.stop(GRACE);
    assert!(kept.lock().unwrap().iter().all(Disconnected::is_disconnected));
}

#[test]
fn a_panic_loses_no_place() {
    let app = |environ: Environ, start_response: StartResponse| {
        assert_ne!(environ.path_info(), "/panic", "on purpose");
        path(environ, start_response)
    };
    let server = start(server().threads(1).max_connections(1), app);
    for _ in 0..3 {
        assert_eq!(server.connect().get("/panic").status, 500);
    }
    assert_eq!(server.connect().get("/").status, 200);
}

#[test]
fn the_application_is_dropped_before_run_returns() {
    struct App(OnDrop);
    impl gateway_core::Application for App {
        fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
            let OnDrop(_) = &self.0;
            path(environ, start_response)
        }
    }
    for server in [server().threads(1), server().threads(3), server().work_stealing(true)] {
        let (drop, dropped) = mpsc::channel();
        let server = start(server, App(OnDrop(drop)));
        let mut peers: Vec<_> = (0..3).map(|_| server.connect()).collect();
        for peer in &mut peers {
            assert_eq!(peer.get("/").status, 200);
        }
        server.stop(Duration::ZERO);
        dropped.try_recv().expect("it has been dropped");
    }
}
