//! Processes of the command, and a client for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Nothing here takes long; who waits longer than this waits for nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command, run in `dir`, without the settings of whoever runs the tests.
pub(crate) fn gateway(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("GATEWAY_")) {
        command.env_remove(name);
    }
    command.current_dir(dir).env("TZ", "UTC").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs the command with `args` to its end.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    gateway(dir).args(args).output().expect("the command starts")
}

/// What it complained about, and its exit code.
pub(crate) fn refusal(dir: &Path, args: &[&str]) -> (String, Option<i32>) {
    let mut command = gateway(dir);
    let mut child = command.args(args).stderr(Stdio::piped()).spawn().expect("the command starts");
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().expect("piped")).lines() {
        said.push_str(&line.expect("text"));
        said.push('\n');
        if said.contains("Serving ") {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
            panic!("{args:?} is not refused, but: {said}");
        }
    }
    (said, child.wait().expect("it ends").code())
}

/// A server that runs; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
    /// What it has said so far on standard error.
    pub(crate) said: String,
    /// `HOST:PORT`.
    pub(crate) address: String,
}

impl Server {
    /// Starts `serve` in `dir` on a free port, and waits for its address.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Server {
        let mut command = gateway(dir);
        command.args(["serve", "--port", "0"]).args(args);
        Server::spawn(&mut command)
    }

    /// Starts `command` and waits for the address that it prints.
    pub(crate) fn spawn(command: &mut Command) -> Server {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let err = BufReader::new(child.stderr.take().expect("piped"));
        let (said, address) = (String::new(), String::new());
        let mut server = Server { child, out, err, said, address };
        let line = server.wait_for("http://");
        let (_, address) = line.split_once("http://").expect("just found");
        server.address = address.trim_end().trim_end_matches('/').to_owned();
        server
    }

    /// The next line on standard error that has `text` in it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let n = self.err.read_line(&mut line).expect("standard error");
            self.said.push_str(&line);
            assert_ne!(n, 0, "it ended without saying {text:?}, but: {}", self.said);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The next line on standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("standard output");
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end: its exit code, and the rest of what it printed and said.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.err.read_to_string(&mut err).expect("standard error");
        self.out.read_to_string(&mut out).expect("standard output");
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.signal(), None, "{err}");
        (status.code(), out, err)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// The whole response to GET `target`, with more `fields` (whole lines).
    pub(crate) fn get(&self, target: &str, fields: &str) -> String {
        let mut stream = self.connect();
        let head = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        stream.write_all(format!("{head}{fields}\r\n").as_bytes()).expect("a request");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("a response");
        String::from_utf8_lossy(&response).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
