//! The access log: whatever bytes a peer sends, and beside applications that have a subscriber of
//! `tracing` and such as have none.

use std::io::{BufRead, BufReader, Read, Write};

use rustix::process::Signal;

use crate::process::{Server, gateway};
use crate::serve::site;
use crate::tiny::Crate;

const DEPENDENCIES: &str = r#"
tracing = { version = "0.1", default-features = false, features = ["std"] }
tracing-subscriber = { version = "0.3", default-features = false, features = ["fmt"] }
"#;

const SUBSCRIBERS: &str = r#"
use std::sync::Once;
use gateway_core::{*, http::StatusCode};

/// Panics if there is a default subscriber already.
fn subscribe() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
}

fn answer(_: Environ, start: StartResponse) -> Result<Response> {
    tracing::info!("called");
    Ok(start.start(StatusCode::OK, ()).with_body("done"))
}

pub fn eager() -> impl Application {
    subscribe();
    answer.into_application()
}

pub fn lazy(environ: Environ, start: StartResponse) -> Result<Response> {
    static ONCE: Once = Once::new();
    ONCE.call_once(subscribe);
    answer(environ, start)
}

/// Whether anything in this process has had a subscriber as its default: then the macros of
/// `tracing` write to `log` no more.
pub fn none(_: Environ, start: StartResponse) -> Result<Response> {
    let body = tracing::dispatcher::has_been_set().to_string();
    Ok(start.start(StatusCode::OK, ()).with_body(body))
}
"#;

fn tiny(name: &str) -> Crate {
    Crate::depending_on(name, DEPENDENCIES, SUBSCRIBERS)
}

/// What `path` printed and said when it has answered thrice, each time with `body`.
fn asked_thrice(tiny: &Crate, path: &str, args: &[&str], body: &str) -> (String, String) {
    let server = Server::spawn(&mut tiny.run(path, args));
    for _ in 0..3 {
        let response = server.get("/a?b", "User-Agent: x\"\\\t\r\n");
        assert!(response.ends_with(&format!("\r\n\r\n{body}")), "{path}: {response}");
    }
    server.signal(Signal::TERM);
    let (code, out, err) = server.end();
    assert_eq!(code, Some(0), "{err}");
    (out, err)
}

#[test]
fn an_applications_own_subscriber_takes_no_line_and_gets_every_event() {
    let tiny = tiny("tiny-subscriber");
    for (path, server) in [("eager", "std"), ("lazy", "std"), ("eager", "tokio")] {
        let args = ["--log", "combined", "--server", server];
        let (out, err) = asked_thrice(&tiny, path, &args, "done");
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3, "{path}: {out}");
        for line in lines {
            assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
            assert!(line.ends_with(r#"] "GET /a?b HTTP/1.1" 200 4 "-" "x\"\\""#), "{line}");
        }
        for text in ["called", "gateway::access: request finished"] {
            assert_eq!(err.matches(text).count(), 3, "{path}: {text}: {err}");
        }
    }
}

#[test]
fn without_a_log_there_is_no_event() {
    let (out, err) = asked_thrice(&tiny("tiny-quiet"), "eager", &["--log", "off"], "done");
    assert_eq!(out, "");
    assert_eq!(err.matches("called").count(), 3, "{err}");
    assert!(!err.contains("gateway::access"), "{err}");
}

#[test]
fn an_application_without_a_subscriber_is_given_none() {
    let (out, _) = asked_thrice(&tiny("tiny-none"), "none", &["--log", "json"], "false");
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.lines().all(|line| line.starts_with(r#"{"time":""#)), "{out}");
}

/// More lines than a pipe and what waits for it hold: so many, and each with a target so long.
const MANY: usize = 1_000;
const LONG: usize = 6_000;

/// Asks for `MANY` long targets on one connection; each is answered though nobody reads the log.
fn ask_for_much(server: &Server) {
    let mut stream = server.connect();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for number in 0..MANY {
        let head = format!("GET /none?{number:0LONG$} HTTP/1.1\r\nHost: test\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut body = None;
        loop {
            let mut line = String::new();
            assert_ne!(answers.read_line(&mut line).expect("an answer"), 0, "{number}");
            if let Some(length) = line.strip_prefix("Content-Length: ") {
                body = Some(length.trim_end().parse().unwrap());
            }
            if line == "\r\n" {
                break;
            }
        }
        answers.read_exact(&mut vec![0; body.expect("a length")]).unwrap();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_no_request_and_no_end() {
    let site = site();
    for name in ["std", "tokio"] {
        let mut command = gateway(site.path());
        let server = Server::spawn_unread(command.args(["serve", "--port=0", "--server", name]));
        ask_for_much(&server);
        server.signal(Signal::TERM);
        let (code, _, err) = server.end();
        assert_eq!(code, Some(0), "{name}: {err}");
    }
}

/// A trace, and what servers and applications complain of, the command's own last words among them.
#[test]
fn standard_error_that_nobody_reads_stops_no_request_and_no_end() {
    let site = site();
    for name in ["std", "tokio"] {
        let mut command = gateway(site.path());
        let serve = ["serve", "--port=0", "--trace", "--log=off", "--server", name];
        let server = Server::spawn_unheard(command.args(serve));
        ask_for_much(&server);
        server.signal(Signal::TERM);
        let (code, ..) = server.end();
        assert_eq!(code, Some(0), "{name}");
    }
    let tiny = Crate::new("tiny-complaints", COMPLAINTS);
    for name in ["std", "tokio"] {
        let server = Server::spawn_unheard(&mut tiny.run("app", &["--log=off", "--server", name]));
        ask_for_much(&server);
        server.signal(Signal::TERM);
        let (code, ..) = server.end();
        assert_eq!(code, Some(0), "{name}");
    }
}

const COMPLAINTS: &str = r#"
use gateway_core::{*, http::StatusCode};

pub fn app(environ: Environ, start: StartResponse) -> Result<Response> {
    environ.errors().line(environ.query_string().unwrap_or_default());
    Ok(start.start(StatusCode::OK, ()).with_body("done"))
}
"#;

#[test]
fn a_log_that_is_read_late_has_what_has_been_kept_and_the_rest_is_counted() {
    let site = site();
    for name in ["std", "tokio"] {
        let mut command = gateway(site.path());
        let serve = ["serve", "--port=0", "--server", name];
        let mut server = Server::spawn_unread(command.args(serve));
        ask_for_much(&server);
        server.read();
        let said = server.wait_for("lines of the access log were lost");
        let lost: usize = said.split(' ').next().unwrap().parse().unwrap();
        assert!(server.get("/a.txt", "").ends_with("text\n"));
        server.signal(Signal::TERM);
        let (code, out, err) = server.end();
        assert_eq!(code, Some(0), "{name}: {err}");
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len() + lost, MANY + 1, "{name}");
        for line in &lines {
            assert!(line.starts_with("127.0.0.1 - - [") && line.contains("] \"GET /"), "{line}");
        }
        assert!(lines.last().unwrap().ends_with(r#"] "GET /a.txt HTTP/1.1" 200 5"#));
    }
}

#[test]
fn what_a_peer_sends_stays_within_its_line() {
    let site = site();
    let ends = [
        ("common", "\" 200 5"),
        ("combined", r#"" 200 5 "-" "x\"\\\x09\xc2\x85\xff""#),
        ("json", r#""user_agent":"x\"\\\t\u0085�"}"#),
    ];
    for (format, end) in ends {
        for name in ["std", "tokio"] {
            let server = Server::start(site.path(), &["--log", format, "--server", name]);
            for (target, status) in [("/a.txt", "200"), ("/a.txt\rGET /forged", "400")] {
                let head = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
                let agent = b"User-Agent: x\"\\\t\xc2\x85\xff\r\n\r\n";
                let mut stream = server.connect();
                stream.write_all(&[head.as_bytes(), agent].concat()).unwrap();
                let mut response = Vec::new();
                stream.read_to_end(&mut response).unwrap();
                let response = String::from_utf8_lossy(&response);
                assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
            }
            server.signal(Signal::TERM);
            let (code, out, err) = server.end();
            assert_eq!(code, Some(0), "{err}");
            // What is no request is in no access log.
            let lines: Vec<&str> = out.lines().collect();
            let [line] = lines[..] else { panic!("one request, one line: {out}") };
            assert!(line.ends_with(end), "{line}");
            assert!(!line.contains(char::is_control), "{line}");
        }
    }
}
