//! A service on gateway-std: driven in place, with a runtime's timers and tasks where one is entered.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use gateway_core::{Server, run};
use gateway_std::StdServer;
use gateway_tower::from_tower;

use crate::apps;
use crate::client::{ask, chunked, get as ask_for, with_body};
use crate::hosts::{application, axum_serves, std_serves};

#[test]
fn timers_and_tasks_of_a_runtime() {
    let router = Router::new().route(
        "/",
        get(|| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokio::spawn(async { "from a task" }).await.expect("the task ends")
        }),
    );
    let host = std_serves(from_tower(router));
    assert_eq!(ask_for(&host, "/").text(), "from a task");
}

#[test]
fn without_a_runtime_where_none_is_needed() {
    let server = StdServer::bind("127.0.0.1:0").expect("a free port");
    let (address, handle) = (server.local_addrs()[0].clone(), server.handle());
    let app = application(apps::hello());
    let thread = std::thread::spawn(move || run(server, app).expect("it serves"));
    let mut stream =
        std::net::TcpStream::connect(address.inet().expect("TCP")).expect("it listens");
    let request = b"GET /teapot HTTP/1.0\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).expect("the host reads");
    let answer = crate::client::read_answer(&mut std::io::BufReader::new(stream), false);
    assert_eq!((answer.status, answer.text().as_str()), (418, "tea"));
    handle.shutdown(Duration::ZERO);
    thread.join().expect("it stops");
}

#[test]
fn the_same_as_axum_serves() {
    let axum = axum_serves(apps::streams());
    let ours = std_serves(application(apps::streams()));
    let large = vec![b'u'; 3 << 20];
    for request in [
        with_body("POST /echo", &[], &large),
        chunked("POST /count", &[&large], "x-end: 1\r\n"),
        b"GET /download HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n".to_vec(),
        with_body("POST /whole", &[], &large[..1 << 20]),
    ] {
        assert_eq!(ask(&ours, &request), ask(&axum, &request));
    }
}
