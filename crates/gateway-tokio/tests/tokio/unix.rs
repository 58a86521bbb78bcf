use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use gateway_core::http::StatusCode;
use gateway_core::{Address, Environ, Reply, Server, StartResponse};
use gateway_tokio::TokioServer;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::support::{Peer, path, start};

#[test]
fn a_unix_socket_serves_and_is_cleared_away() {
    let file = std::env::temp_dir().join(format!("gateway-tokio-{}.sock", std::process::id()));
    let server = TokioServer::bind(format!("unix:{}", file.display())).unwrap();
    assert_eq!(server.local_addrs(), [Address::Unix(file.clone())]);
    assert_eq!(server.info().port, None);
    let server = start(server.threads(2), path);
    let mut peers = [(); 2].map(|()| Peer::over(UnixStream::connect(&file).unwrap()));
    for peer in &mut peers {
        assert_eq!(peer.get("/here").body, b"/here");
    }
    server.stop(Duration::from_secs(20));
    assert!(!file.exists());
}

#[test]
fn a_listener_can_be_handed_over() {
    let file = std::env::temp_dir().join(format!("gateway-tokio-{}-2.sock", std::process::id()));
    let listener = UnixListener::bind(&file).unwrap();
    let server = start(TokioServer::from_unix_listener(listener).unwrap(), path);
    assert_eq!(Peer::over(UnixStream::connect(&file).unwrap()).get("/").status, 200);
    server.stop(Duration::from_secs(20));
    std::fs::remove_file(&file).expect("it is the other's to remove");
}

#[test]
fn a_named_peer_is_reported_by_its_name() {
    let file = |who| {
        let name = format!("gateway-tokio-{}-{who}.sock", std::process::id());
        std::env::temp_dir().join(name)
    };
    let (own, peers) = (file("server"), file("peer"));
    let server = TokioServer::bind(format!("unix:{}", own.display())).unwrap();
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&peers).unwrap()).unwrap();
    let app = |environ: Environ, start_response: StartResponse| {
        let body = format!("{:?}", environ.remote_addr());
        Reply::Ready(Ok(start_response.start(StatusCode::OK, ()).with_body(body)))
    };
    let server = start(server, app);
    rustix::net::connect(&socket, &SocketAddrUnix::new(&own).unwrap()).unwrap();
    let named = Peer::over(UnixStream::from(socket)).get("/").body;
    std::fs::remove_file(&peers).unwrap();
    assert_eq!(named, format!("{:?}", Address::Unix(peers)).into_bytes());
    let unnamed = Peer::over(UnixStream::connect(&own).unwrap()).get("/").body;
    assert_eq!(unnamed, format!("{:?}", Address::Unnamed).into_bytes());
    drop(server);
}
