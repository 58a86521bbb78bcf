//! `--max-connections` and `--max-connections-per-address`.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::process::{Server, gateway, refusal};
use crate::serve::site;
use crate::tiny::Crate;

const ENDLESS: &str = r#"
use gateway_core::{*, http::StatusCode};

pub fn app(_: Environ, start: StartResponse) -> Result<Response> {
    let body = Body::iter(std::iter::repeat_with(|| Ok(gateway_core::bytes::Bytes::from_static(&[b'x'; 4096]))));
    Ok(start.start(StatusCode::OK, ()).with_body(body))
}
"#;

/// How an answer begins that is being sent.
const START: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// A connection on which much more is being sent than anybody reads.
fn busy(server: &Server) -> TcpStream {
    let mut stream = asking(server);
    let mut start = [0; START.len()];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(start, START);
    stream
}

fn asking(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    stream
}

/// How many bytes come next, at most one, or why none does.
fn read(stream: &mut TcpStream) -> Result<usize, ErrorKind> {
    loop {
        match stream.read(&mut [0; 1]).map_err(|error| error.kind()) {
            Err(ErrorKind::Interrupted) => {}
            outcome => return outcome,
        }
    }
}

/// There is one place, and `server` has been told so.
fn check_one_place(server: &Server) {
    let first = busy(server);
    let mut second = asking(server);
    let patience = second.read_timeout().unwrap();
    second.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let waits = read(&mut second);
    assert!(matches!(waits, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{waits:?}");
    second.set_read_timeout(patience).unwrap();
    drop(first);
    assert_eq!(read(&mut second), Ok(1));
}

/// There is one place for each address, and `server` has been told so.
fn check_one_place_for_an_address(server: &Server) {
    let _first = busy(server);
    let mut second = server.connect();
    // It may be closed before this is sent, and is answered by nothing but an end or a reset.
    let _ = second.write_all(b"GET /big HTTP/1.1\r\nHost: test\r\n\r\n");
    let answer = read(&mut second);
    let closed = [Ok(0), Err(ErrorKind::ConnectionReset), Err(ErrorKind::BrokenPipe)];
    assert!(closed.contains(&answer), "{answer:?}");
}

#[test]
fn a_directory_is_served_to_as_many_as_is_said() {
    let site = site();
    // More than the buffers of both sides take.
    fs::File::create(site.path().join("big")).unwrap().set_len(256 << 20).unwrap();
    for name in ["std", "tokio"] {
        let with =
            |flag| Server::start(site.path(), &["--server", name, "--log", "off", flag, "1"]);
        check_one_place(&with("--max-connections"));
        check_one_place_for_an_address(&with("--max-connections-per-address"));
    }
    let mut command = gateway(site.path());
    command.env("GATEWAY_MAX_CONNECTIONS_PER_ADDRESS", "1").args(["serve", "--port", "0"]);
    check_one_place_for_an_address(&Server::spawn(&mut command));
    fs::write(site.path().join("gateway.toml"), "[serve]\nmax-connections = 1\n").unwrap();
    check_one_place(&Server::start(site.path(), &[]));
}

#[test]
fn an_application_is_served_to_as_many_as_is_said() {
    let tiny = Crate::new("tiny-limits", ENDLESS);
    for name in ["std", "tokio"] {
        let with = |flag: &str| {
            let args = ["--server", name, "--log", "off", flag, "1"];
            Server::spawn(&mut tiny.run("app", &args))
        };
        check_one_place(&with("--max-connections"));
        check_one_place_for_an_address(&with("--max-connections-per-address"));
    }
}

#[test]
fn nobody_at_all_is_refused_before_anything_is_built() {
    let site = site();
    let none = "with 0 nobody is served; it is at least 1";
    for command in [&["serve"][..], &["run", "none:app"]] {
        let refused = |flag| refusal(site.path(), &[command, &[flag, "0"]].concat());
        let line = format!("error: --max-connections: {none}\n");
        assert_eq!(refused("--max-connections"), (line, Some(2)));
        let line = format!("error: --max-connections-per-address: {none}, or do not set it\n");
        assert_eq!(refused("--max-connections-per-address"), (line, Some(2)));
    }
}
