//! SIGHUP: a terminal has gone.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;

use crate::process::{Server, gateway};
use crate::serve::site;
use crate::tiny::Crate;

const BIG: u64 = 64 << 20;

const LARGE: &str = r#"
use gateway_core::{*, http::StatusCode};

pub fn app(_: Environ, start: StartResponse) -> Result<Response> {
    let piece = gateway_core::bytes::Bytes::from_static(&[b'x'; 1 << 16]);
    let body = Body::iter(std::iter::repeat_n(piece, 1 << 10).map(Ok));
    Ok(start.start(StatusCode::OK, ()).with_body(body))
}
"#;

/// A connection on which much more is being sent than the buffers of both sides take.
fn in_flight(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    let request = "GET /big HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 17];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK\r\n");
    stream
}

/// A request that is in flight when the terminal goes is finished, however often that is said.
fn check_that_hangups_cut_nothing(mut server: Server) {
    let mut stream = in_flight(&server);
    server.signal(Signal::HUP);
    assert_eq!(server.wait_for("Stopping; "), "Stopping; requests have 25 s to finish.\n");
    server.signal(Signal::HUP);
    server.signal(Signal::TERM);
    server.signal(Signal::HUP);
    let mut body = Vec::new();
    stream.read_to_end(&mut body).unwrap();
    // There is the rest of a head as well.
    assert!(body.len() as u64 >= BIG, "{} bytes", body.len());
    let (code, _, err) = server.end();
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn a_terminal_that_goes_lets_requests_finish() {
    let site = site();
    fs::File::create(site.path().join("big")).unwrap().set_len(BIG).unwrap();
    let tiny = Crate::new("tiny-hangup", LARGE);
    for name in ["std", "tokio"] {
        let args = ["--server", name, "--log", "off"];
        check_that_hangups_cut_nothing(Server::start(site.path(), &args));
        check_that_hangups_cut_nothing(Server::spawn(&mut tiny.run("app", &args)));
    }
}

#[test]
fn who_has_begun_with_a_hangup_still_ends_at_once_after_two_other_signals() {
    let site = site();
    fs::File::create(site.path().join("big")).unwrap().set_len(BIG).unwrap();
    let tiny = Crate::new("tiny-hangup-twice", LARGE);
    let serve = Server::start(site.path(), &["--log", "off"]);
    let run = Server::spawn(&mut tiny.run("app", &["--log", "off", "--server", "tokio"]));
    for mut server in [serve, run] {
        let _stream = in_flight(&server);
        server.signal(Signal::HUP);
        server.wait_for("Stopping; ");
        // It is one signal while nobody has noticed it, and two kinds are two.
        server.signal(Signal::TERM);
        server.signal(Signal::INT);
        let (code, _, err) = server.end();
        assert!(matches!(code, Some(130 | 143)), "{code:?} {err}");
    }
}

/// `command`, run by something that ignores SIGHUP, as `nohup` does.
fn nohup(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

#[test]
fn who_is_told_to_ignore_hangups_does() {
    let site = site();
    fs::File::create(site.path().join("big")).unwrap().set_len(BIG).unwrap();
    let tiny = Crate::new("tiny-nohup", LARGE);
    let mut serve = gateway(site.path());
    serve.args(["serve", "--port", "0", "--log", "off"]);
    for command in [serve, tiny.run("app", &["--log", "off"])] {
        let mut server = Server::spawn(&mut nohup(&command));
        let stream = in_flight(&server);
        server.signal(Signal::HUP);
        // That was not what began it, so this is the first signal.
        server.signal(Signal::TERM);
        assert!(server.wait_for("Stopping; ").ends_with("Once more ends at once.\n"));
        drop(stream);
        let (code, _, err) = server.end();
        assert_eq!(code, Some(0), "{err}");
    }
}
