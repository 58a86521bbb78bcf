//! Examples that run as processes of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running example, which is ended at the latest when it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it says it listens on.
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(binary: &str, args: &[&str]) -> Running {
        Running::start_command(Command::new(binary).args(args))
    }

    /// The same where the environment matters.
    pub(crate) fn start_command(command: &mut Command) -> Running {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says something");
        let address = line.strip_prefix("Listening on ").expect("it listens").trim().to_owned();
        Running { child, stdout, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let address = self.address.strip_prefix("http://").expect("an address of TCP");
        TcpStream::connect(address).expect("it listens")
    }

    /// The body of the answer to a GET.
    pub(crate) fn ask(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.0\r\n\r\n")).1
    }

    /// The head and the body of the answer to `request`, after which the server closes.
    pub(crate) fn send(&self, request: &str) -> (String, String) {
        send(self.connect(), request)
    }

    /// Ends it by SIGTERM, which it takes as a success, and tells what it said on standard error.
    pub(crate) fn end(mut self) -> String {
        let ended = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(ended.expect("kill runs").success());
        let (mut rest, mut errors) = (String::new(), String::new());
        let mut stderr = self.child.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut errors).expect("it is text");
        assert!(self.child.wait().expect("it ends").success());
        self.stdout.read_to_string(&mut rest).expect("it is text");
        assert_eq!(rest, "");
        errors
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The head and the body of the answer to `request`.
pub(crate) fn send(mut connection: impl Read + Write, request: &str) -> (String, String) {
    connection.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("there is an answer");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("it has a head");
    (head.to_owned(), body.to_owned())
}

/// Runs `binary` on both servers, one after the other.
pub(crate) fn on_both(binary: &str, check: impl Fn(&Running)) {
    for server in ["std", "tokio"] {
        let running = Running::start(binary, &["--server", server, "--addr", "127.0.0.1:0"]);
        check(&running);
        running.end();
    }
}
