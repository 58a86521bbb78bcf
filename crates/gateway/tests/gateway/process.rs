//! Processes of the command, and a client for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Nothing here takes long; who waits longer than this waits for nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same where something may have to be built first.
const PATIENCE_WITH_BUILDS: Duration = Duration::from_secs(900);

/// The command, run in `dir`, without the settings of whoever runs the tests.
pub(crate) fn gateway(dir: &Path) -> Command {
    without_settings(dir, Command::new(env!("CARGO_BIN_EXE_gateway")))
}

/// The same with no more than so many file descriptors.
pub(crate) fn gateway_with_descriptors(dir: &Path, most: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_gateway")]);
    without_settings(dir, command)
}

fn without_settings(dir: &Path, mut command: Command) -> Command {
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
    out: Receiver<String>,
    err: Receiver<String>,
    /// What it has said so far on standard error.
    pub(crate) said: String,
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// Standard error, where nobody reads it.
    _unheard: Option<BufReader<ChildStderr>>,
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
        let mut server = Server::spawn_unread(command);
        server.read();
        server
    }

    /// The same, but what it prints on standard output is not read before [`read`](Server::read).
    pub(crate) fn spawn_unread(command: &mut Command) -> Server {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let (_, out) = channel();
        let err = lines(child.stderr.take().expect("piped"));
        let (said, address) = (String::new(), String::new());
        let mut server = Server { child, out, err, said, address, _unheard: None };
        let line = server.wait_for("http://");
        server.address = address_in(&line).expect("just found");
        server
    }

    /// The same, but what it says on standard error is not read behind the address.
    pub(crate) fn spawn_unheard(command: &mut Command) -> Server {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut unheard = BufReader::new(child.stderr.take().expect("piped"));
        let out = lines(child.stdout.take().expect("piped"));
        let (_, err) = channel();
        let (said, address) = (String::new(), String::new());
        let mut server = Server { child, out, err, said, address, _unheard: None };
        let (tell, told) = channel();
        thread::spawn(move || {
            let mut said = String::new();
            while unheard.read_line(&mut said).is_ok_and(|n| n > 0) && !said.contains("http://") {}
            tell.send((said, unheard))
        });
        let told = told.recv_timeout(PATIENCE_WITH_BUILDS).expect("it says where it listens");
        let (said, unheard) = told;
        server.address = said.lines().find_map(address_in).expect(&said);
        server.said = said;
        server._unheard = Some(unheard);
        server
    }

    /// Begins to read its standard output.
    pub(crate) fn read(&mut self) {
        self.out = lines(self.child.stdout.take().expect("piped, and not read yet"));
    }

    /// The next line on standard error that has `text` in it, before which there may be a build.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        self.wait_as_long_as(PATIENCE_WITH_BUILDS, text)
    }

    /// The same where nothing is built.
    #[track_caller]
    pub(crate) fn hear(&mut self, text: &str) -> String {
        self.wait_as_long_as(PATIENCE, text)
    }

    #[track_caller]
    fn wait_as_long_as(&mut self, patience: Duration, text: &str) -> String {
        loop {
            let line = match self.err.recv_timeout(patience) {
                Ok(line) => line,
                Err(error) => panic!("{text:?} was not said ({error}), but: {}", self.said),
            };
            self.said.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The next line on standard output.
    pub(crate) fn line(&mut self) -> String {
        let line = self.out.recv_timeout(PATIENCE).expect("a line on standard output");
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end: its exit code, and the rest of what it printed and said.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let (err, out) = (rest(&self.err), rest(&self.out));
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
        self.ask(&format!("GET {target}"), fields, "")
    }

    /// The whole response to `request`, a method and a target, with a `body` where there is one.
    pub(crate) fn ask(&self, request: &str, fields: &str, body: &str) -> String {
        let mut stream = self.connect();
        let length = match body {
            "" => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{request} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{length}");
        stream.write_all(format!("{head}{fields}\r\n{body}").as_bytes()).expect("a request");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("a response");
        String::from_utf8_lossy(&response).into_owned()
    }
}

fn address_in(line: &str) -> Option<String> {
    let (_, address) = line.split_once("http://")?;
    Some(address.trim_end().trim_end_matches('/').to_owned())
}

/// The lines of `from`, as they come; a thread reads them, so that waiting for one can end.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        while from.read_line(&mut line).is_ok_and(|n| n > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    lines
}

/// What is left to come of `lines`, to their end.
#[track_caller]
fn rest(lines: &Receiver<String>) -> String {
    let mut rest = String::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => rest.push_str(&line),
            Err(RecvTimeoutError::Disconnected) => return rest,
            Err(RecvTimeoutError::Timeout) => panic!("it does not end, but said: {rest}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
