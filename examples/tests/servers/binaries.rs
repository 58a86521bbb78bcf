//! The examples' binaries: each on both servers, from its command line to a signal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use crate::case::wire;
use crate::outcome::without_facts;

/// A running example, which is ended at the latest when it is dropped.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it says it listens on.
    address: String,
}

impl Running {
    fn start(binary: &str, args: &[&str]) -> Running {
        let mut child = Command::new(binary)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the example starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says something");
        let address = line.strip_prefix("Listening on ").expect("it listens").trim().to_owned();
        Running { child, stdout, address }
    }

    fn ask(&self, path: &str) -> String {
        let address = self.address.strip_prefix("http://").expect("an address of TCP");
        ask(TcpStream::connect(address).expect("it listens"), path)
    }

    /// Ends it by SIGTERM, which it takes as a success.
    fn end(mut self) {
        let ended = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(ended.expect("kill runs").success());
        assert!(self.child.wait().expect("it ends").success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("it is text");
        assert_eq!(rest, "");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of the answer to a GET.
fn ask(mut connection: impl Read + Write, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    connection.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("there is an answer");
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("it has a head");
    String::from_utf8_lossy(&answer[head + 4..]).into_owned()
}

fn on_both(binary: &str, check: impl Fn(&Running)) {
    for server in ["std", "tokio"] {
        let running = Running::start(binary, &["--server", server, "--addr", "127.0.0.1:0"]);
        check(&running);
        running.end();
    }
}

#[test]
fn hello() {
    on_both(env!("CARGO_BIN_EXE_hello"), |hello| assert_eq!(hello.ask("/"), "Hello, World!\n"));
}

#[test]
fn counter() {
    on_both(env!("CARGO_BIN_EXE_counter"), |counter| {
        assert_eq!(counter.ask("/"), "You are request number 1.\n");
        assert_eq!(counter.ask("/"), "You are request number 2.\n");
    });
}

#[test]
fn mount() {
    on_both(env!("CARGO_BIN_EXE_mount"), |mount| {
        assert_eq!(mount.ask("/hello"), "Hello, World!\n");
        assert_eq!(mount.ask("/where/am/I"), "mounted at \"/where\", asked for \"/am/I\"\n");
    });
}

#[test]
fn middleware() {
    on_both(env!("CARGO_BIN_EXE_middleware"), |middleware| {
        assert_eq!(middleware.ask("/quick"), "at once\n");
        assert_eq!(middleware.ask("/async"), "after a while\n");
        assert_eq!(middleware.ask("/blocking"), "after blocking\n");
    });
}

#[test]
fn minimal_framework() {
    on_both(env!("CARGO_BIN_EXE_minimal-framework"), |framework| {
        assert_eq!(framework.ask("/users/a%2Fb"), "This is a/b.\n");
        assert_eq!(framework.ask("/users/a/b"), "404 Not Found\n");
    });
}

#[test]
fn streaming() {
    on_both(env!("CARGO_BIN_EXE_streaming"), |streaming| {
        for path in ["/iter", "/async"] {
            let address = streaming.address.strip_prefix("http://").expect("an address of TCP");
            let mut connection = TcpStream::connect(address).expect("it listens");
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            connection.write_all(request.as_bytes()).expect("the server reads");
            let first = BufReader::new(connection)
                .lines()
                .map(|line| line.expect("the clock ticks"))
                .find(|line| line.starts_with("data: "));
            assert!(first.is_some_and(|first| first.ends_with(" GMT")));
        }
    });
}

#[test]
fn environ() {
    on_both(env!("CARGO_BIN_EXE_environ"), |environ| {
        assert_eq!(environ.ask("/plaintext"), "Hello, World!");
        assert_eq!(environ.ask("/json"), "{\"message\":\"Hello, World!\"}");
        assert_eq!(environ.ask("/big").chars().count(), 1 << 20);
        assert_eq!(environ.ask("/big?n=3000000").chars().count(), 3_000_000);
        assert_eq!(environ.ask("/stream?n=3"), "c".repeat(3 << 10));
        assert_eq!(environ.ask("/sleep?ms=1"), "slept\n");
        assert_eq!(environ.ask("/asleep?ms=1"), "slept\n");
        assert_eq!(environ.ask("/panic"), "500 Internal Server Error\n");
        let report = environ.ask("/a%20b?c");
        let report: serde_json::Value = serde_json::from_str(&report).expect("it is JSON");
        assert_eq!(report["path"], "/a%20b");
        assert_eq!(report["query"], "c");
        assert_eq!(report["body_len"], 0);
        assert_eq!(report["environ"]["PATH_INFO"], "/a b");
    });
}

#[test]
fn on_a_unix_socket() {
    for server in ["std", "tokio"] {
        let name = format!("gateway-examples-{}-{server}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let address = format!("unix:{}", path.display());
        let args = ["--server", server, "--addr", &address];
        let running = Running::start(env!("CARGO_BIN_EXE_hello"), &args);
        assert_eq!(running.address, address);
        let connection = UnixStream::connect(&path).expect("it listens");
        assert_eq!(ask(connection, "/"), "Hello, World!\n");
        running.end();
    }
}

fn fails(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hello")).args(args).output();
    let Output { status, stderr, .. } = output.expect("the example starts");
    assert_eq!(status.code(), Some(1));
    let error = String::from_utf8(stderr).expect("it is text");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn mistakes_are_told_in_one_line() {
    assert!(fails(&["--server", "other"]).contains("it is `std` or `tokio`"));
    assert!(fails(&["--adr", "127.0.0.1:0"]).contains("--adr"));
    for server in ["std", "tokio"] {
        assert!(fails(&["--server", server, "--addr", "nonsense"]).contains("nonsense"));
        let taken = Running::start(env!("CARGO_BIN_EXE_hello"), &["--addr", "127.0.0.1:0"]);
        let address = taken.address.strip_prefix("http://").expect("an address of TCP");
        let error = fails(&["--server", server, "--addr", address]);
        assert!(error.contains(address) && error.contains("in use"), "{error}");
    }
}

#[test]
fn own_server() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_own-server"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let requests = "GET /hello HTTP/1.1\nHost: test\n\n\
                    POST /counter HTTP/1.1\nHost: test\nContent-Length: 5\n\nhello\
                    GET / HTTP/1.1\nno field\n\n";
    let stdin = child.stdin.as_mut().expect("it is piped");
    stdin.write_all(&wire(requests)).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let expected = wire(
        "HTTP/1.1 200 OK\nContent-Length: 14\ncontent-type: text/plain\n\nHello, World!␊\
         HTTP/1.1 200 OK\nContent-Length: 26\ncontent-type: text/plain\n\n\
         You are request number 1.␊\
         HTTP/1.1 400 Bad Request\nContent-Length: 0\nConnection: close\n\n",
    );
    let (got, expected) =
        (without_facts(&output.stdout), String::from_utf8(expected).expect("it is text"));
    assert_eq!(String::from_utf8_lossy(&got), expected);
}
