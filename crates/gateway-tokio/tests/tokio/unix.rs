use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use gateway_core::{Address, Server};
use gateway_tokio::TokioServer;

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
