use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gateway_core::http::StatusCode;
use gateway_core::{Environ, Error, Reply, Server, ServerError, StartResponse, run};
use gateway_tokio::TokioServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{path, server, start};

fn serves(server: TokioServer) {
    let server = start(server, path);
    let mut peers: Vec<_> = (0..9).map(|_| server.connect()).collect();
    for round in 0..3 {
        for (n, peer) in peers.iter_mut().enumerate() {
            let path = format!("/{round}/{n}");
            assert_eq!(peer.get(&path).body, path.as_bytes());
        }
    }
    drop(peers);
    let stopped = server.stop(Duration::from_secs(20));
    assert_eq!((stopped.cut, stopped.left_running), (0, 0));
}

#[test]
fn one_thread() {
    serves(server().threads(1));
}

#[test]
fn three_threads_with_a_runtime_each() {
    serves(server().threads(3));
}

#[test]
fn three_threads_that_steal_work() {
    serves(server().threads(3).work_stealing(true));
}

#[test]
fn as_many_threads_as_cores() {
    serves(server());
}

#[test]
fn each_connection_goes_to_the_thread_with_the_fewest() {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let seen_by = Arc::clone(&seen);
    let app = move |environ: Environ, start_response: StartResponse| {
        seen_by.lock().unwrap().insert(thread::current().id());
        path(environ, start_response)
    };
    let server = start(server().threads(3), app);
    let mut peers: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for peer in &mut peers {
        peer.get("/");
    }
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn inside_a_current_thread_runtime() {
    inside_a_runtime().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_a_work_stealing_runtime() {
    inside_a_runtime().await;
}

async fn inside_a_runtime() {
    let app = async |_: Environ, start_response: StartResponse| {
        tokio::task::yield_now().await;
        Ok::<_, Error>(start_response.start(StatusCode::OK, ()).with_body("here"))
    };
    let server = server();
    let address = server.local_addrs()[0].inet().expect("an IP address");
    let handle = server.handle();
    let serving = tokio::spawn(server.serve_async(app));
    let mut peer = tokio::net::TcpStream::connect(address).await.expect("it listens");
    peer.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .await
        .expect("it takes bytes");
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("\r\n\r\nhere"), "{answer}");
    handle.shutdown(Duration::from_secs(20));
    let stopped = serving.await.expect("it does not panic").expect("it serves");
    assert_eq!((stopped.cut, stopped.left_running), (0, 0));
}

#[tokio::test]
async fn dropping_the_future_ends_the_server() {
    let server = server();
    let address = server.local_addrs()[0].inet().unwrap();
    let serving = tokio::spawn(server.serve_async(path));
    let mut peer = tokio::net::TcpStream::connect(address).await.unwrap();
    peer.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    assert!(peer.read(&mut [0; 9]).await.unwrap() > 0);
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    // The rest of the response, and then an end, clean or not.
    let _ = peer.read_to_end(&mut Vec::new()).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_runtime_inside_a_runtime_is_refused() {
    let outcome = run(server(), path);
    assert!(matches!(outcome, Err(ServerError::Io { .. })), "{outcome:?}");
}

#[test]
fn a_reactor_that_an_application_blocks_is_left_behind() {
    let (enter, entered) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let app = move |_: Environ, _: StartResponse| -> Reply {
        enter.send(thread::current().name().unwrap_or("").to_owned()).unwrap();
        let _ = released.lock().unwrap().recv_timeout(Duration::from_secs(20));
        Reply::Ready(Err(Error::application("late")))
    };
    let server = start(server().threads(2), app);
    // The first goes to the accepting thread, which must stay free; it asks nothing.
    let _first = server.connect();
    let mut second = server.connect();
    second.ask("/");
    assert_eq!(entered.recv().unwrap(), "gateway-reactor-1");
    let stopped = server.stop(Duration::ZERO);
    assert_eq!((stopped.cut, stopped.left_running), (1, 1));
    release.send(()).unwrap();
}
