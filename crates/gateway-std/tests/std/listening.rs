//! Addresses, Unix sockets, and what an application is told of them.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use gateway_core::{Address, Environ, Server, StartResponse};
use gateway_std::StdServer;

use super::running::{Peer, Running, ok, path, server};

#[test]
fn many_requests_on_one_connection() {
    let running = Running::start(server(), path);
    let mut peer = running.connect();
    for index in 0..100 {
        let path = format!("/{index}");
        assert_eq!(peer.get(&path), path);
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let running = Running::start(server(), path);
    let mut peer = running.connect();
    let requests: String =
        (0..50).map(|index| format!("GET /{index} HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
    peer.send(&requests);
    for index in 0..50 {
        assert_eq!(peer.response().expect("an answer").1, format!("/{index}"));
    }
}

#[test]
fn a_port_in_use_is_said() {
    let first = server();
    let address = first.local_addrs()[0].to_string();
    let error = StdServer::bind(&address).expect_err("it is in use");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {address}: the address is in use; \
             stop the other server or choose another port"
        )
    );
}

#[test]
fn a_unix_socket_serves_and_its_file_goes() {
    let file = std::env::temp_dir().join(format!("gateway-std-{}-serves", std::process::id()));
    let server = StdServer::bind(format!("unix:{}", file.display())).expect("a free path");
    assert_eq!(server.local_addrs(), [Address::Unix(file.clone())]);
    let told = |environ: Environ, start_response: StartResponse| {
        let local = environ.local_addr().to_string();
        ok(start_response, format!("{local} {}", environ.remote_addr()))
    };
    let running = Running::start(server, told);
    let mut peer = Peer::new(UnixStream::connect(&file).expect("it listens"));
    assert_eq!(peer.get("/"), format!("unix:{} unnamed", file.display()));
    drop(peer);
    drop(running);
    assert!(!file.exists());
}

#[test]
fn each_address_has_its_facts() {
    let server = server().also_bind("127.0.0.1:0").expect("a free port");
    let addresses = server.local_addrs();
    let told = |environ: Environ, start_response: StartResponse| {
        let port = environ.server().port.expect("a port");
        let local = environ.local_addr().inet().expect("an IP address");
        assert!(!environ.nonblocking());
        ok(start_response, format!("{port} {local}"))
    };
    let mut running = Running::start(server, told);
    for address in addresses {
        running.address = address.inet().expect("an IP address");
        let expected = format!("{} {}", running.address.port(), running.address);
        assert_eq!(running.get("/"), expected);
    }
}

#[test]
fn a_listener_on_every_address_tells_the_one_that_was_called() {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let server = StdServer::from_listener(listener).expect("it listens");
    assert_eq!(server.info().name, "localhost");
    let told = |environ: Environ, start_response: StartResponse| {
        ok(start_response, environ.local_addr().to_string())
    };
    let mut running = Running::start(server, told);
    running.address = ([127, 0, 0, 1], port).into();
    assert_eq!(running.get("/"), format!("127.0.0.1:{port}"));
}
