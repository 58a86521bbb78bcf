//! `gateway run`: what can be named, and what is said of what cannot.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::{Server, gateway, refusal};
use crate::tiny::Crate;

const KINDS: &str = r#"
use std::sync::LazyLock;
use gateway_core::{*, http::StatusCode};

pub fn sync(_: Environ, start: StartResponse) -> Result<Response> {
    Ok(start.start(StatusCode::OK, ()).with_body("sync"))
}

pub mod inner {
    use super::*;
    pub async fn later(_: Environ, start: StartResponse) -> Result<Response> {
        Ok(start.start(StatusCode::OK, ()).with_body("later"))
    }
}

pub struct App(&'static str);
impl Application for App {
    fn call(&self, _: Environ, start: StartResponse) -> Reply {
        start.start(StatusCode::OK, ()).with_body(self.0).into()
    }
}

pub static STATIC: App = App("static");
pub static LAZY: LazyLock<App> = LazyLock::new(|| App("lazy"));

pub fn made() -> impl Application {
    App("made")
}

pub fn made_of_a_function() -> impl IntoApplication<marker::IsApplication> {
    App("function")
}

pub fn tried() -> std::result::Result<App, std::fmt::Error> {
    Ok(App("tried"))
}

pub fn failing() -> std::result::Result<App, std::fmt::Error> {
    Err(std::fmt::Error)
}

pub fn number(_: u8) -> u8 {
    7
}

pub fn endless(_: Environ, start: StartResponse) -> Result<Response> {
    let body = Body::iter(std::iter::repeat_with(|| Ok(gateway_core::bytes::Bytes::from_static(&[b'x'; 4096]))));
    Ok(start.start(StatusCode::OK, ()).with_body(body))
}

fn private() -> App {
    App("private")
}
"#;

#[test]
fn whatever_becomes_an_application_is_run() {
    let tiny = Crate::new("tiny-kinds", KINDS);
    for (path, args, body) in [
        ("sync", ["--server", "std"], "sync"),
        ("sync", ["--server", "tokio"], "sync"),
        ("inner::later", ["--server", "std"], "later"),
        ("STATIC", ["--server", "std"], "static"),
        ("LAZY", ["--server", "std"], "lazy"),
        ("made", ["--server", "std"], "made"),
        ("made_of_a_function", ["--server", "std"], "function"),
        ("tried", ["--server", "tokio"], "tried"),
    ] {
        let mut server = Server::spawn(&mut tiny.run(path, &args));
        let response = server.get("/", "");
        assert!(response.ends_with(&format!("\r\n\r\n{body}")), "{path}: {response}");
        assert!(response.contains(&format!("Server: gateway-{}/", args[1])), "{response}");
        assert!(server.line().contains("\"GET / HTTP/1.1\" 200 "));
        server.signal(Signal::TERM);
        let (code, _, err) = server.end();
        assert_eq!(code, Some(0), "{err}");
    }
}

#[test]
fn errors_say_which_half_failed() {
    let tiny = Crate::new("tiny-errors", KINDS);
    let check = |path: &str, code: i32, parts: &[&str]| {
        let (said, exit) = tiny.refusal(path, &[]);
        assert_eq!(exit, Some(code), "{said}");
        for part in parts {
            assert!(said.contains(part), "{path}: {part} is missing in {said}");
        }
        assert!(!said.contains('\x1b'), "{said}");
    };
    let no =
        |path: &str| format!("error: the crate `tiny-errors` has no `{path}` that can be used");
    check("syn", 5, &[&no("syn"), "a function with a similar name exists"]);
    check("iner::later", 5, &[&no("iner::later"), "could not find `iner`"]);
    check("private", 5, &[&no("private"), "private"]);
    let none = "is no application, and no function without arguments that returns one";
    check("number", 5, &[none, "no application"]);
    check("failing", 1, &["error: an error occurred when formatting an argument"]);

    tiny.write("pub fn app( {");
    check("app", 6, &["error: the build failed; the compiler's errors are above", "src/lib.rs:1"]);
}

/// It is more than a pipe holds, and somebody may look at its begin first.
#[test]
fn what_the_compiler_says_is_there_however_late_it_is_read() {
    const ERRORS: usize = 500;
    let wrong = |n| format!("pub fn app{n}() -> u32 {{\n    \"no number\"\n}}\n");
    let tiny = Crate::new("tiny-wrong", &(0..ERRORS).map(wrong).collect::<String>());
    let mut command = tiny.run("app0", &[]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the command starts");
    let mut stderr = child.stderr.take().expect("piped");
    let (tell, ended) = channel();
    thread::spawn(move || tell.send(child.wait()));
    let early = ended.recv_timeout(Duration::from_secs(5));
    assert!(early.is_err(), "nobody has read what it says, and it ended: {early:?}");
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("text");
    let status = ended.recv().expect("it is told").expect("it ends");
    assert_eq!(status.code(), Some(6), "{said}");
    assert_eq!(said.matches("error[E0308]").count(), ERRORS);
    assert!(said.ends_with("error: the build failed; the compiler's errors are above\n"), "{said}");
}

#[test]
fn what_is_built_is_not_built_again() {
    let tiny = Crate::new("tiny-again", KINDS);
    let runner = tiny.target().join("gateway-run/gateway-run-tiny-again-sync-std");
    let start = || {
        let server = Server::spawn(&mut tiny.run("sync", &["--log", "off"]));
        server.signal(Signal::TERM);
        assert_eq!(server.end().0, Some(0));
        let lock = fs::read_to_string(runner.join("Cargo.lock")).unwrap();
        // Cargo has added the runner itself.
        assert!(lock.contains("gateway-run-tiny-again"), "{lock}");
        let written = |name: &str| fs::metadata(runner.join(name)).unwrap().modified().unwrap();
        ["Cargo.toml", "Cargo.lock", "src/main.rs"].map(written)
    };
    assert_eq!(start(), start());
}

#[test]
fn a_second_signal_cuts_what_the_first_one_left() {
    let tiny = Crate::new("tiny-endless", KINDS);
    for (server, signal, code) in [("std", Signal::INT, 130), ("tokio", Signal::TERM, 143)] {
        let args = ["--log", "off", "--server", server];
        let mut gateway = Server::spawn(&mut tiny.run("endless", &args));
        let mut stream = gateway.connect();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut some = [0; 1 << 12];
        stream.read_exact(&mut some).unwrap();
        gateway.signal(signal);
        gateway.wait_for("Stopping; ");
        // It is still being sent.
        stream.read_exact(&mut some).unwrap();
        gateway.signal(signal);
        let (ended, _, err) = gateway.end();
        assert_eq!(ended, Some(code), "{server}: {err}");
    }
}

#[test]
fn outside_of_any_workspace_a_path_is_asked_for() {
    let nowhere = tempfile::tempdir().unwrap();
    let refused = refusal(nowhere.path(), &["run", "shop:app"]);
    let line = "error: there is no crate `shop`: this directory is in no workspace of cargo; name \
                the path to the crate, like ../shop:app\n";
    assert_eq!(refused, (line.to_owned(), Some(5)));
}

#[test]
fn what_is_wrong_is_found_before_anything_is_built() {
    let tiny = Crate::new("tiny-early", KINDS);
    let refused = |app: &str, args: &[&str]| {
        let mut command = gateway(&tiny.directory);
        command.arg("run").args((!app.is_empty()).then_some(app)).args(args);
        let output = command.env("CARGO_NET_OFFLINE", "true").output().unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    let usage = "error: write the application as CRATE:PATH, like examples:hello::app\n";
    assert_eq!(refused("", &[]), (usage.to_owned(), Some(2)));
    assert_eq!(refused("tiny-early", &[]), (usage.to_owned(), Some(2)));
    let (near, code) = refused("tiny-erly:sync", &[]);
    assert!(near.ends_with("; is it `tiny-early`?\n") && code == Some(5), "{near}");
    let (path, code) = refused("../none:sync", &[]);
    let missing = "error: there is no crate `../none` since ../none/Cargo.toml is missing\n";
    assert_eq!((path.as_str(), code), (missing, Some(5)));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (busy, code) = refused("tiny-early:sync", &["--addr", &address]);
    assert!(busy.starts_with(&format!("error: cannot listen on {address}: the address is in use")));
    assert_eq!((busy.lines().count(), code), (1, Some(3)), "{busy}");
}

const HELD: &str = r#"
use gateway_core::*;

pub async fn app(_: Environ, _: StartResponse) -> Result<Response> {
    eprintln!("called");
    loop {
        std::thread::park();
    }
}
"#;

/// The first connection of the Tokio server belongs to the thread that also accepts and ends all.
#[test]
fn an_application_that_holds_the_servers_thread_does_not_keep_it_from_ending() {
    let tiny = Crate::new("tiny-held", HELD);
    let args = ["--server", "tokio"];
    let mut server = Server::spawn(&mut tiny.run("app", &args));
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    server.wait_for("called");
    server.signal(Signal::TERM);
    server.hear("stopped; the application does not give back the server's own thread");
    let (code, _, err) = server.end();
    assert_eq!(code, Some(0), "{err}");
}
