//! What runs applications.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Application, IntoApplication, ServerError};

/// Serves `app` on `server` until its [`Handle`] stops it.
///
/// Another server is another first argument; nothing else changes.
///
/// ```
/// # use gateway_core::{Address, Application, Control, Handle, Server, ServerError, ServerInfo, Stopped};
/// # use std::{sync::Arc, time::Duration};
/// # struct StdServer;
/// # struct Nothing;
/// # impl Control for Nothing { fn shutdown(&self, _: Duration) {} }
/// # impl StdServer {
/// #     fn bind(_: &str) -> Result<StdServer, ServerError> { Ok(StdServer) }
/// # }
/// # impl Server for StdServer {
/// #     fn info(&self) -> ServerInfo { ServerInfo::new("localhost", None, "none") }
/// #     fn local_addrs(&self) -> Vec<Address> { Vec::new() }
/// #     fn handle(&self) -> Handle { Handle::new(Arc::new(Nothing)) }
/// #     fn serve(self, _: Arc<dyn Application>) -> Result<Stopped, ServerError> { Ok(Stopped::default()) }
/// # }
/// use gateway_core::{Environ, Response, StartResponse, http::StatusCode, run};
///
/// fn app(_: Environ, start_response: StartResponse) -> gateway_core::Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("Hello, World!\n"))
/// }
///
/// # fn main() -> Result<(), ServerError> {
/// let stopped = run(StdServer::bind("127.0.0.1:8000")?, app)?;
/// println!("{stopped}");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`ServerError`] when the server cannot begin to serve. What goes wrong with single connections
/// is logged and does not end it.
pub fn run<M>(server: impl Server, app: impl IntoApplication<M>) -> Result<Stopped, ServerError> {
    server.serve(Arc::new(app.into_application()))
}

/// Like [`run`], for an application that wants to know its server: `build` is called once, before
/// the first request. Start-up is that builder; shutdown is the application's `Drop`.
///
/// A start-up that can fail and needs none of the facts is better done before, and its outcome
/// given to [`run`].
///
/// ```
/// use gateway_core::{Address, Application, Control, Handle, Server, ServerError, ServerInfo, Stopped};
/// use gateway_core::{Environ, Response, StartResponse, http::StatusCode, run_with};
/// use std::{sync::Arc, time::Duration};
///
/// /// A server without a single connection; a real one accepts them in `serve`.
/// struct Quiet;
///
/// impl Server for Quiet {
///     fn info(&self) -> ServerInfo {
///         ServerInfo::new("localhost", Some(8000), "quiet/1.0")
///     }
///     fn local_addrs(&self) -> Vec<Address> {
///         vec![Address::Unnamed]
///     }
///     fn handle(&self) -> Handle {
///         Handle::new(Arc::new(Nothing))
///     }
///     fn serve(self, _app: Arc<dyn Application>) -> Result<Stopped, ServerError> {
///         Ok(Stopped::default())
///     }
/// }
///
/// struct Nothing;
///
/// impl Control for Nothing {
///     fn shutdown(&self, _grace: Duration) {}
/// }
///
/// # fn main() -> Result<(), ServerError> {
/// run_with(Quiet, |info| {
///     let greeting = format!("This is {}.\n", info.software);
///     move |_: Environ, start_response: StartResponse| -> gateway_core::Result<Response> {
///         Ok(start_response.start(StatusCode::OK, ()).with_body(greeting.clone()))
///     }
/// })?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`run`].
pub fn run_with<A: IntoApplication<M>, M>(
    server: impl Server,
    build: impl FnOnce(&ServerInfo) -> A,
) -> Result<Stopped, ServerError> {
    let info = server.info();
    let app = build(&info).into_application();
    server.serve(Arc::new(app))
}

/// A runner of applications.
///
/// Binding, limits and timeouts are each server's own builder; this is what they share.
pub trait Server: Sized {
    /// The facts that every request will carry.
    fn info(&self) -> ServerInfo;

    /// Where the server listens, with the real port where 0 was asked for.
    fn local_addrs(&self) -> Vec<Address>;

    /// Stops the server from elsewhere. Take it before [`serve`](Server::serve).
    fn handle(&self) -> Handle;

    /// Serves until stopped. Prefer [`run`].
    ///
    /// # Errors
    ///
    /// [`ServerError`] when the server cannot begin to serve.
    fn serve(self, app: Arc<dyn Application>) -> Result<Stopped, ServerError>;
}

/// Stops a server; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    control: Arc<dyn Control>,
}

/// The server's side of a [`Handle`].
pub trait Control: Send + Sync + 'static {
    /// Begins to stop, or shortens the grace of a stop that has begun. Does not wait.
    fn shutdown(&self, grace: Duration);
}

impl Handle {
    /// For servers: what `control` stops.
    pub fn new(control: Arc<dyn Control>) -> Handle {
        Handle { control }
    }

    /// Begins a graceful shutdown and returns: no new connection is accepted, idle connections end,
    /// requests in flight get `grace` to finish. What is left then is cut and counted in
    /// [`Stopped`]. A second call with a shorter grace shortens it; `Duration::ZERO` ends at once.
    pub fn shutdown(&self, grace: Duration) {
        self.control.shutdown(grace);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stopped {
    /// Connections that were cut at the deadline with an exchange in flight.
    pub cut: usize,
    /// Threads of the application that were still running and had to be left behind.
    pub left_running: usize,
}

impl Stopped {
    /// For servers: `cut` connections were cut, `left_running` threads left behind.
    pub fn new(cut: usize, left_running: usize) -> Stopped {
        Stopped { cut, left_running }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cut, self.left_running) {
            (0, 0) => f.write_str("stopped; every request was finished"),
            (cut, 0) => write!(f, "stopped; {cut} connections were cut at the deadline"),
            (0, left) => write!(f, "stopped; {left} threads are still running"),
            (cut, left) => write!(
                f,
                "stopped; {cut} connections were cut at the deadline and \
                 {left} threads are still running"
            ),
        }
    }
}

/// What an application may know of its server, when it is built and with every request.
///
/// Source: PEP 3333, `SERVER_NAME` … `wsgi.run_once`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The host name or address to build URLs with where a request has no Host.
    pub name: Cow<'static, str>,
    /// The port; `None` for a Unix socket and where there is none.
    pub port: Option<u16>,
    /// What the `Server` field and `SERVER_SOFTWARE` say, like `gateway-std/0.1.0`.
    pub software: Cow<'static, str>,
    /// Whether the application may be called by several threads at a time.
    pub multithread: bool,
    /// Whether other processes run the same application.
    pub multiprocess: bool,
    /// Whether the process ends after one request, as under CGI.
    pub run_once: bool,
}

impl ServerInfo {
    /// A multi-threaded server in one process.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        port: Option<u16>,
        software: impl Into<Cow<'static, str>>,
    ) -> ServerInfo {
        ServerInfo {
            name: name.into(),
            port,
            software: software.into(),
            multithread: true,
            multiprocess: false,
            run_once: false,
        }
    }
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port.
    Inet(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// A pipe, a test, or a Unix socket without a name.
    Unnamed,
}

impl Address {
    /// The IP address and port, where it has them.
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(address) => Some(*address),
            _ => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Inet(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Unnamed => f.write_str("unnamed"),
        }
    }
}
