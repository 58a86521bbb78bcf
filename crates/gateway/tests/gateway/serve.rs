//! `gateway serve`: what it answers, how it starts, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::Signal;
use tempfile::{TempDir, tempdir};

use crate::process::{Server, gateway, refusal};

/// A directory with a page and a text.
pub(crate) fn site() -> TempDir {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/index.html"), "<p>index\n").unwrap();
    fs::write(dir.path().join("a.txt"), "text\n").unwrap();
    dir
}

#[test]
fn files_and_listings_are_served_on_both_servers() {
    let site = site();
    for name in ["std", "tokio"] {
        let server = Server::start(site.path(), &["--server", name]);
        let text = server.get("/a.txt", "");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\ntext\n"));
        assert!(text.contains(&format!("Server: gateway-{name}/")), "{text}");
        assert!(server.get("/sub/", "").ends_with("<p>index\n"));
        assert!(server.get("/", "").contains("a.txt"));
        assert!(server.get("/none", "").starts_with("HTTP/1.1 404 "));
        assert!(server.said.contains(&site.path().display().to_string()), "{}", server.said);
    }
}

#[test]
fn the_directory_is_an_argument() {
    let site = site();
    let server = Server::start(site.path(), &["sub"]);
    assert!(server.get("/", "").ends_with("<p>index\n"));
    assert!(server.get("/../a.txt", "").starts_with("HTTP/1.1 40"));
}

#[test]
fn a_wildcard_is_shown_as_addresses_that_can_be_visited() {
    let site = site();
    let mut server = Server::start(site.path(), &["--bind", "0.0.0.0", "--qr"]);
    assert!(server.said.contains("Local: "), "{}", server.said);
    assert!(!server.said.contains("0.0.0.0"), "{}", server.said);
    server.wait_for("█");
    assert!(server.get("/a.txt", "").ends_with("text\n"));
}

#[test]
fn what_cannot_be_served_is_one_line_with_a_hint() {
    let site = site();
    let check = |args: &[&str], code: i32, line: &str| {
        let refused = refusal(site.path(), &[&["serve"], args].concat());
        assert_eq!(refused, (format!("error: {line}\n"), Some(code)), "{args:?}");
    };
    check(&["none"], 4, "cannot serve `none`: there is no such directory");
    let hint = "it is not a directory; name the one that holds the files";
    check(&["a.txt"], 4, &format!("cannot serve `a.txt`: {hint}"));
    let missing = "the page `x.html` cannot be sent: there is no such file in the directory";
    check(&["--404", "x.html"], 4, &format!("--404: {missing}"));
    check(&["--spa=x.html"], 4, &format!("--spa: {missing}"));
    check(
        &["--bind", "198.51.100.1"],
        3,
        "cannot listen on 198.51.100.1:8000: this machine has no such address",
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let busy = "the address is in use; stop the other server or choose another port; port 0 is \
                any free one";
    let both = "--bind: `127.0.0.1:9000` has a port in it; write --bind 127.0.0.1 --port 9000";
    check(&["--bind", "127.0.0.1:9000"], 2, both);
    check(&["--port", &port], 3, &format!("cannot listen on 127.0.0.1:{port}: {busy}"));
}

#[test]
fn a_signal_ends_it_when_requests_are_finished() {
    let site = site();
    for (name, signal) in [("std", Signal::INT), ("tokio", Signal::TERM)] {
        let server = Server::start(site.path(), &["--server", name, "--log", "off"]);
        assert!(server.get("/a.txt", "").ends_with("text\n"));
        server.signal(signal);
        let (code, out, err) = server.end();
        assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
        assert!(err.contains("Stopping; "), "{err}");
        assert!(err.ends_with("stopped; every request was finished\n"), "{err}");
    }
}

#[test]
fn a_request_in_flight_is_finished_and_a_second_signal_cuts_it() {
    let site = site();
    // More than the buffers of both sides take.
    let big = fs::File::create(site.path().join("big")).unwrap();
    big.set_len(256 << 20).unwrap();
    for name in ["std", "tokio"] {
        let mut server = Server::start(site.path(), &["--server", name]);
        let mut stream = server.connect();
        stream.write_all(b"GET /big HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut start = [0; 17];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK\r\n");
        server.signal(Signal::TERM);
        server.wait_for("Stopping; ");
        // It is still being sent.
        let mut more = [0; 1 << 16];
        stream.read_exact(&mut more).unwrap();
        server.signal(Signal::TERM);
        let (code, _, err) = server.end();
        assert_eq!(code, Some(143), "{err}");
    }
}

#[test]
fn a_file_that_is_rewritten_while_it_is_sent_is_cut() {
    let site = site();
    let big = fs::File::create(site.path().join("big")).unwrap();
    let len = 256 << 20;
    big.set_len(len).unwrap();
    for (day, name) in [(1, "std"), (2, "tokio")] {
        let server = Server::start(site.path(), &["--server", name, "--log", "off"]);
        let mut stream = server.connect();
        stream.write_all(b"GET /big HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut body = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(body.read_line(&mut line).unwrap(), 0, "{name}");
        }
        // As long as before, by whatever clock.
        big.write_all_at(b"new", 0).unwrap();
        big.set_modified(UNIX_EPOCH + Duration::from_secs(day * 86_400)).unwrap();
        let mut received = 0;
        let mut piece = vec![0; 1 << 20];
        // A reset is a visible cut, too.
        while let Ok(n @ 1..) = body.read(&mut piece) {
            received += n as u64;
        }
        assert!(received < len, "{name}: {received} bytes");
        // The next one gets the new content.
        let now = server.get("/big", "Range: bytes=0-2\r\n");
        assert!(now.ends_with("\r\n\r\nnew"), "{name}: {now}");
    }
}

#[test]
fn a_unix_socket_is_served() {
    let site = site();
    let socket = site.path().join("socket");
    let bind = format!("unix:{}", socket.display());
    let mut command = gateway(site.path());
    // The listener is made before the directory is said, which is what `spawn` waits for.
    command.args(["serve", "--bind", &bind, "--log", "off"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("unix:") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0);
    }
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.write_all(b"GET /a.txt HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(response.ends_with("text\n"), "{response}");
    assert!(!Path::new(&socket).exists());
}
