//! A server in a thread, and a peer that speaks plain bytes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gateway_core::http::StatusCode;
use gateway_core::{
    Environ, ErrorStream, Handle, IntoApplication, Response, Result, Server, StartResponse,
    Stopped, run,
};
use gateway_std::{StdServer, Timeouts};

/// Nothing that works takes so long; what does not work ends by it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<Stopped>>,
}

/// A server on a free port whose timeouts never pass, and which complains to nobody.
pub(crate) fn server() -> StdServer {
    let server = StdServer::bind("127.0.0.1:0").expect("a free port");
    let timeouts =
        Timeouts { head: 100 * LONG, keep_alive: 100 * LONG, ..server.current_timeouts().clone() };
    server.timeouts(timeouts).error_stream(ErrorStream::memory().0)
}

impl Running {
    pub(crate) fn start<M>(server: StdServer, app: impl IntoApplication<M>) -> Running {
        let address = server.local_addrs()[0].inet();
        let handle = server.handle();
        let app = app.into_application();
        let thread = std::thread::spawn(move || run(server, app).expect("it serves"));
        Running {
            address: address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            handle,
            thread: Some(thread),
        }
    }

    pub(crate) fn connect(&self) -> Peer<TcpStream> {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        Peer::new(stream)
    }

    /// Waits until nobody listens. The system loses a connection that comes at the moment of the
    /// listener's end and tries it again after a second, which is too long here.
    pub(crate) fn closes(&self) {
        const SOON: Duration = Duration::from_millis(20);
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        let begin = Instant::now();
        while !TcpStream::connect_timeout(&self.address, SOON).is_err_and(refused) {
            assert!(begin.elapsed() < Duration::from_secs(60), "it listens");
        }
    }

    /// Asks for `path` on a connection of its own, and tells the body.
    pub(crate) fn get(&self, path: &str) -> String {
        self.connect().get(path)
    }

    /// Waits for the end of a shutdown that was asked for.
    pub(crate) fn join(mut self) -> Stopped {
        self.thread.take().expect("joined once").join().expect("it does not panic")
    }

    pub(crate) fn stop(self, grace: Duration) -> Stopped {
        self.handle.shutdown(grace);
        self.join()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::ZERO);
        if let Some(thread) = self.thread.take() {
            // Its panic is told by the thread itself.
            let _ = thread.join();
        }
    }
}

/// Runs `round`, which tells a server to stop, until it was fast enough to prove something: its
/// connections are spared for a second, which a busy machine may let pass.
pub(crate) fn within_a_second(mut round: impl FnMut() -> io::Result<()>) {
    for _ in 0..20 {
        let begin = Instant::now();
        match round() {
            Ok(()) => return,
            Err(error) => assert!(begin.elapsed() >= Duration::from_secs(1), "{error}"),
        }
    }
    panic!("it was never fast enough");
}

/// A client's end of a connection.
pub(crate) struct Peer<S> {
    pub(crate) stream: BufReader<S>,
}

impl<S: Read + Write> Peer<S> {
    pub(crate) fn new(stream: S) -> Peer<S> {
        Peer { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: &str) {
        self.stream.get_mut().write_all(bytes.as_bytes()).expect("the server reads");
    }

    pub(crate) fn ask(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }

    pub(crate) fn get(&mut self, path: &str) -> String {
        self.ask(path);
        self.response().expect("an answer").1
    }

    /// A whole response with a Content-Length: its head and its body.
    pub(crate) fn response(&mut self) -> io::Result<(String, String)> {
        let mut head = String::new();
        let mut length = 0;
        loop {
            let before = head.len();
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = head[before..].trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((head, String::from_utf8(body).expect("text")))
    }

    /// Waits until the server ends the connection, and tells what it sent before that.
    ///
    /// # Errors
    ///
    /// When it does not end well, or not within [`LONG`].
    pub(crate) fn rest(&mut self) -> io::Result<String> {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest)?;
        Ok(rest)
    }
}

impl Peer<TcpStream> {
    /// Whether the server ends the connection within `time`.
    pub(crate) fn is_ended_within(&mut self, time: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(time)).expect("a timeout");
        let ended = match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
        };
        self.stream.get_ref().set_read_timeout(Some(LONG)).expect("a timeout");
        ended
    }
}

pub(crate) fn ok(start_response: StartResponse, body: impl Into<String>) -> Result<Response> {
    Ok(start_response.start(StatusCode::OK, ()).with_body(body.into()))
}

/// Answers with the path.
pub(crate) fn path(environ: Environ, start_response: StartResponse) -> Result<Response> {
    ok(start_response, environ.path_info().into_owned())
}

/// Holds requests for a path that begins with `/hold` until they are let go.
pub(crate) struct Gate {
    /// Sends when a request has come in.
    pub(crate) entered: Receiver<()>,
    /// Lets one request go.
    pub(crate) open: Sender<()>,
}

/// A gate, and the blocking application behind it.
pub(crate) fn gate()
-> (Gate, impl Fn(Environ, StartResponse) -> Result<Response> + Send + Sync + 'static) {
    let (enter, entered) = channel();
    let (open, opened) = channel();
    let opened = Arc::new(Mutex::new(opened));
    let app = move |environ: Environ, start_response: StartResponse| {
        if environ.path_info().starts_with("/hold") {
            // The test may be over.
            let _ = enter.send(());
            let _ = opened.lock().expect("not poisoned").recv();
        }
        path(environ, start_response)
    };
    (Gate { entered, open }, app)
}

impl Gate {
    pub(crate) fn wait_for_one(&self) {
        self.entered.recv_timeout(LONG).expect("a request comes in");
    }

    pub(crate) fn let_one_go(&self) {
        self.open.send(()).expect("the application waits");
    }
}
