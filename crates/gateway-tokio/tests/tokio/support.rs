//! A server on a thread, and a peer that speaks just enough HTTP.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use gateway_core::http::StatusCode;
use gateway_core::{
    Environ, ErrorStream, Handle, IntoApplication, Reply, Server, StartResponse, Stopped, run,
};
use gateway_tokio::TokioServer;

/// After so long something that should happen does not.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on any free port that complains to nobody.
pub(crate) fn server() -> TokioServer {
    let (errors, _) = ErrorStream::memory();
    TokioServer::bind("127.0.0.1:0").expect("a free port").error_stream(errors)
}

/// A running server. Dropping it stops it at once.
pub(crate) struct Running {
    address: SocketAddr,
    pub(crate) handle: Handle,
    thread: Option<JoinHandle<Stopped>>,
}

pub(crate) fn start<M>(server: TokioServer, app: impl IntoApplication<M>) -> Running {
    let address = server.local_addrs()[0].inet().unwrap_or(([0; 4], 0).into());
    let handle = server.handle();
    let app = app.boxed();
    let thread = thread::spawn(move || run(server, app).expect("it serves"));
    Running { address, handle, thread: Some(thread) }
}

impl Running {
    pub(crate) fn connect(&self) -> Peer<TcpStream> {
        Peer::to(self.address)
    }

    pub(crate) fn is_listening(&self) -> bool {
        TcpStream::connect(self.address).is_ok()
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

    /// Orders it to stop and waits until it has.
    pub(crate) fn stop(mut self, grace: Duration) -> Stopped {
        self.handle.shutdown(grace);
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> Stopped {
        let thread = self.thread.take().expect("it is waited for once");
        thread.join().expect("the server does not panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::ZERO);
        if let Some(thread) = self.thread.take() {
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

/// Whether `test` may go on: it has a process for itself. Otherwise it is run in one here.
pub(crate) fn is_alone(test: &str) -> bool {
    const ALONE: &str = "GATEWAY_TEST_ALONE";
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        return true;
    }
    let binary = std::env::current_exe().expect("a name");
    let arguments = [test, "--exact", "--nocapture"];
    let run = Command::new(binary).args(arguments).env(ALONE, test).output().expect("it starts");
    let said = String::from_utf8_lossy(&run.stdout);
    let complained = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("1 passed"), "{said}{complained}");
    false
}

/// One connection, from the other side.
pub(crate) struct Peer<S>(BufReader<S>);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Peer<TcpStream> {
    pub(crate) fn to(address: SocketAddr) -> Peer<TcpStream> {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Peer(BufReader::new(stream))
    }
}

impl<S: Read> Peer<S>
where
    for<'a> &'a S: Write,
{
    pub(crate) fn over(stream: S) -> Peer<S> {
        Peer(BufReader::new(stream))
    }

    pub(crate) fn stream(&self) -> &S {
        self.0.get_ref()
    }

    pub(crate) fn send(&mut self, bytes: &str) {
        self.0.get_ref().write_all(bytes.as_bytes()).expect("it takes bytes");
    }

    pub(crate) fn ask(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask(path);
        self.answer().expect("an answer")
    }

    /// The next response, which has a length.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head[9..12].parse().expect("a status");
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.expect("a length").parse().expect("a number")];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, head, body })
    }

    /// Whether the connection ends here, in whatever way.
    pub(crate) fn ends(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(n) => n == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Reads so many bytes of whatever comes.
    pub(crate) fn take(&mut self, count: usize) {
        self.0.read_exact(&mut vec![0; count]).expect("so many bytes");
    }
}

/// An application that answers its path.
pub(crate) fn path(environ: Environ, start_response: StartResponse) -> Reply {
    let body = environ.path_info().into_owned();
    Reply::Ready(Ok(start_response.start(StatusCode::OK, ()).with_body(body)))
}
