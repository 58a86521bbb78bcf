//! What a server's author brings: a way to start the server and to reach it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway_core::{
    Address, Application, BoxError, ErrorStream, Handle, Lines, Server, ServerError, ServerInfo,
    Stopped,
};

use super::PATIENCE;
use super::claims::Claims;

/// Starts a server with an application of the suite's.
///
/// For a server that implements [`Server`] there is [`ServerHarness`]. Any other way of being a
/// server has a harness of its own; the application lives in the process that runs the suite, so
/// the server does, too.
pub trait Harness: Sync {
    /// The name of the server in reports.
    fn name(&self) -> String;

    /// What the server claims: by default everything. Rules about the rest are not applicable.
    fn claims(&self) -> Claims {
        Claims::everything()
    }

    /// How long the suite waits for something before it takes it for missing. Nothing that a rule
    /// asks for takes long, so this is for busy machines: 10 s.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Starts a server that runs `app`. Several run at a time if tests do.
    ///
    /// # Errors
    ///
    /// When it cannot be started: every rule fails then.
    fn start(&self, app: Box<dyn Application>) -> Result<Box<dyn Running>, BoxError>;
}

/// A server that runs.
pub trait Running: Send + Sync {
    /// Connects to it.
    ///
    /// # Errors
    ///
    /// When that fails; the rule fails then.
    fn dial(&self) -> io::Result<Dialled>;

    /// What the server said of itself before it served; `None` where it says nothing.
    fn info(&self) -> Option<ServerInfo> {
        None
    }

    /// The lines that have come through [`Environ::errors`](gateway_core::Environ::errors), or that
    /// the server wrote there itself; `None` where the harness cannot see them.
    fn logged(&self) -> Option<Vec<String>> {
        None
    }

    /// Ends the server, giving requests in flight `grace` to finish, and tells how that went.
    ///
    /// It returns when the server has ended and has dropped the application. The suite waits for it
    /// on a thread of its own, and not for ever.
    ///
    /// # Errors
    ///
    /// When the server failed; the rule fails then.
    fn stop(self: Box<Self>, grace: Duration) -> Result<Stopped, BoxError>;
}

/// The client's end of a connection: what it reads from, what it writes to, and how it goes away.
#[non_exhaustive]
pub struct Dialled {
    /// What the server says.
    pub reader: Box<dyn Read + Send>,
    /// What it hears.
    pub writer: Box<dyn Outlet>,
    /// Ends both directions, also while another thread reads or writes.
    pub hang_up: Box<dyn FnOnce() + Send>,
}

/// What a client writes to, and can end while it goes on reading.
pub trait Outlet: Write + Send {
    /// Says that nothing more comes.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn half_close(&mut self) -> io::Result<()>;
}

impl Dialled {
    /// A connection of parts. `hang_up` ends both directions, also while another thread reads or
    /// writes, as a client does that goes away.
    pub fn new(
        reader: impl Read + Send + 'static,
        writer: impl Outlet + 'static,
        hang_up: impl FnOnce() + Send + 'static,
    ) -> Dialled {
        Dialled { reader: Box::new(reader), writer: Box::new(writer), hang_up: Box::new(hang_up) }
    }

    /// A connection over TCP.
    ///
    /// # Errors
    ///
    /// When the process has no descriptors left.
    pub fn tcp(stream: TcpStream) -> io::Result<Dialled> {
        stream.set_nodelay(true)?;
        let (reader, control) = (stream.try_clone()?, stream.try_clone()?);
        Ok(Dialled::new(reader, stream, move || {
            // The server may have been faster.
            let _ = control.shutdown(Shutdown::Both);
        }))
    }

    /// A connection over a Unix socket.
    ///
    /// # Errors
    ///
    /// When the process has no descriptors left.
    pub fn unix(stream: UnixStream) -> io::Result<Dialled> {
        let (reader, control) = (stream.try_clone()?, stream.try_clone()?);
        Ok(Dialled::new(reader, stream, move || {
            let _ = control.shutdown(Shutdown::Both);
        }))
    }

    /// A pair of pipes: `reader` has what the server says, `writer` takes what it hears. Dropping
    /// `writer` is the end of what it hears; nothing can be told of a client that goes away.
    pub fn pipes(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
    ) -> Dialled {
        Dialled::new(reader, Pipe(Some(writer)), || {})
    }
}

impl fmt::Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialled(..)")
    }
}

impl Outlet for TcpStream {
    fn half_close(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Outlet for UnixStream {
    fn half_close(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

struct Pipe<W>(Option<W>);

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |pipe| pipe.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write + Send> Outlet for Pipe<W> {
    fn half_close(&mut self) -> io::Result<()> {
        self.0 = None;
        Ok(())
    }
}

/// A [`Harness`] for whatever implements [`Server`], over TCP or a Unix socket.
///
/// # Examples
///
/// ```
/// use gateway_conformance::ServerHarness;
/// use gateway_std::StdServer;
///
/// // In the server's own tests.
/// fn harness() -> ServerHarness<StdServer> {
///     ServerHarness::new("gateway-std", |errors| {
///         Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
///     })
/// }
///
/// gateway_conformance::server_suite!(harness());
/// ```
pub struct ServerHarness<S> {
    name: &'static str,
    claims: Claims,
    make: Box<dyn Fn(ErrorStream) -> Result<S, ServerError> + Send + Sync>,
}

impl<S> ServerHarness<S> {
    /// Every rule gets a server from `make`: bound to a free port of its own or to a path of its
    /// own, and given the error stream.
    pub fn new(
        name: &'static str,
        make: impl Fn(ErrorStream) -> Result<S, ServerError> + Send + Sync + 'static,
    ) -> ServerHarness<S> {
        ServerHarness { name, claims: Claims::everything(), make: Box::new(make) }
    }

    /// What the server claims, where that is not everything.
    #[must_use]
    pub fn claiming(mut self, claims: Claims) -> ServerHarness<S> {
        self.claims = claims;
        self
    }
}

impl<S> fmt::Debug for ServerHarness<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHarness")
            .field("name", &self.name)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl<S: Server + Send + 'static> Harness for ServerHarness<S> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn claims(&self) -> Claims {
        self.claims.clone()
    }

    fn start(&self, app: Box<dyn Application>) -> Result<Box<dyn Running>, BoxError> {
        let (errors, lines) = ErrorStream::memory();
        let server = (self.make)(errors)?;
        let address = server.local_addrs().into_iter().next().ok_or("it listens nowhere")?;
        let (info, handle) = (server.info(), server.handle());
        let thread = thread::Builder::new()
            .name("suite: server".to_owned())
            .spawn(move || server.serve(Arc::new(app)))?;
        let log = Log { lines, taken: Mutex::default() };
        Ok(Box::new(Served { address, info, log, handle, thread: Some(thread) }))
    }
}

struct Served {
    address: Address,
    info: ServerInfo,
    log: Log,
    handle: Handle,
    thread: Option<JoinHandle<Result<Stopped, ServerError>>>,
}

struct Log {
    lines: Lines,
    taken: Mutex<Vec<String>>,
}

impl Running for Served {
    fn dial(&self) -> io::Result<Dialled> {
        match &self.address {
            Address::Inet(address) => {
                Dialled::tcp(TcpStream::connect_timeout(&reachable(*address), PATIENCE)?)
            }
            Address::Unix(path) => Dialled::unix(UnixStream::connect(path)?),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "it has no address to dial")),
        }
    }

    fn info(&self) -> Option<ServerInfo> {
        Some(self.info.clone())
    }

    fn logged(&self) -> Option<Vec<String>> {
        let mut taken = self.log.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        taken.extend(self.log.lines.take());
        Some(taken.clone())
    }

    fn stop(mut self: Box<Self>, grace: Duration) -> Result<Stopped, BoxError> {
        self.handle.shutdown(grace);
        let thread = self.thread.take().ok_or("it was stopped before")?;
        Ok(thread.join().map_err(|panic| gateway_core::panic_message(&*panic))??)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::ZERO);
    }
}

/// A wildcard is no address to connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        }
    }
    address
}
