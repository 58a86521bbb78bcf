//! The access log: whatever bytes a peer sends, and beside applications that have a subscriber of
//! `tracing` and such as have none.

use std::io::{Read, Write};

use rustix::process::Signal;

use crate::process::Server;
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
