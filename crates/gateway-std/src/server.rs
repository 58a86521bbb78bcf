//! The builder, and the facts of the server.

use std::fmt;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use gateway_connection::{Descriptors, Listener, Settings, Timeouts};
use gateway_core::{
    Address, Application, Control, Handle, Server, ServerError, ServerInfo, Stopped,
};

use crate::acceptor::Acceptor;
use crate::shared::Shared;

/// What `Server` and `SERVER_SOFTWARE` say.
const SOFTWARE: &str = concat!("gateway-std/", env!("CARGO_PKG_VERSION"));

/// How many connections, and so threads, there are where nothing else is set.
const MAX_CONNECTIONS: usize = 512;

/// A connection has its socket, and its thread an eventfd once it has waited for both a socket and a
/// wake-up; or a file that it is answered from.
const DESCRIPTORS: Descriptors = Descriptors::each(2);

/// How long a connection may be idle where nothing else is set: it occupies a thread.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// With less, not even a small application can be called.
const LEAST_STACK: usize = 64 * 1024;

/// Deadlines are looked at at least, and at most, so often.
const TICKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// What runs a connection on its thread, for [`StdServer::with_context`].
pub(crate) type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync + 'static>;

/// A server with a thread for each connection.
///
/// Every method but the constructors has a default. By default it serves 512 connections at a time,
/// keeps an idle one for 5 s, and is otherwise as [`Limits`](gateway_connection::Limits) and
/// [`Timeouts`] say. Settings are checked when it begins to serve.
///
/// Where the process's file descriptors [allow](gateway_connection::Descriptors) fewer connections,
/// that is the default of [`max_connections`](StdServer::max_connections). A connection counts as two:
/// its socket, and what its thread waits with or the file that it is sent. When the server begins to
/// serve it raises the process's soft limit on them as far as is needed and the hard limit allows.
/// What is set explicitly is not lowered. When descriptors run out all the same, accepting pauses for
/// 50 ms, which is logged once in 10 s.
///
/// ```
/// use std::time::Duration;
/// use gateway_core::Server;
/// use gateway_std::StdServer;
///
/// let server = StdServer::bind("127.0.0.1:0")?.max_connections(64).body_limit(10 << 20);
/// println!("listening on {}", server.local_addrs()[0]);
///
/// // From a signal handler's thread, say:
/// let handle = server.handle();
/// handle.shutdown(Duration::from_secs(25));
/// # Ok::<(), gateway_core::ServerError>(())
/// ```
pub struct StdServer {
    listeners: Vec<Listener>,
    settings: Settings,
    shared: Arc<Shared>,
    stack_size: Option<usize>,
    around: Option<Around>,
}

impl StdServer {
    /// A server on `address`: `HOST:PORT` with a name, an IPv4 address or an IPv6 address in
    /// brackets, where port 0 is any free one; or `unix:PATH`.
    ///
    /// From here on peers may connect; they are served when the server is run.
    ///
    /// # Errors
    ///
    /// [`ServerError::Bind`] if `address` is none of these or cannot be had, and
    /// [`ServerError::Io`] if the process has no descriptors left.
    pub fn bind(address: impl AsRef<str>) -> Result<StdServer, ServerError> {
        StdServer::new(Listener::bind(address.as_ref())?)
    }

    /// A server on a socket that listens already, as a supervisor hands it over.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] if it cannot be made non-blocking, or the process has no descriptors
    /// left.
    pub fn from_listener(listener: TcpListener) -> Result<StdServer, ServerError> {
        StdServer::new(Listener::from_tcp(listener)?)
    }

    /// The same for a Unix socket. Its file is not removed later.
    ///
    /// # Errors
    ///
    /// Those of [`from_listener`](StdServer::from_listener).
    pub fn from_unix_listener(listener: UnixListener) -> Result<StdServer, ServerError> {
        StdServer::new(Listener::from_unix(listener)?)
    }

    fn new(listener: Listener) -> Result<StdServer, ServerError> {
        let timeouts = Timeouts { keep_alive: KEEP_ALIVE, ..Timeouts::default() };
        Ok(StdServer {
            listeners: vec![listener],
            settings: Settings { timeouts, ..Settings::default() },
            shared: Shared::new()?,
            stack_size: None,
            around: None,
        })
    }

    /// Listens on `address`, too, with the same settings and threads.
    ///
    /// # Errors
    ///
    /// [`ServerError::Bind`] as with [`bind`](StdServer::bind).
    pub fn also_bind(mut self, address: impl AsRef<str>) -> Result<StdServer, ServerError> {
        self.listeners.push(Listener::bind(address.as_ref())?);
        Ok(self)
    }

    gateway_connection::builder_methods!();

    /// How large the stack of a connection's thread is, in bytes: the application runs on it.
    /// Default: 2 MiB, of which only what has been used occupies memory.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> StdServer {
        self.stack_size = Some(bytes);
        self
    }

    /// Has `around` run each connection, on its thread: it gets a function and calls it once, with
    /// whatever the application wants to find set up.
    ///
    /// ```ignore
    /// // The application awaits Tokio's timers and sockets.
    /// let runtime = tokio::runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// let server = server.with_context(move |run| {
    ///     let _entered = handle.enter();
    ///     run();
    /// });
    /// ```
    ///
    /// If it does not call the function, the connection is closed.
    #[must_use]
    pub fn with_context(
        mut self,
        around: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
    ) -> StdServer {
        self.around = Some(Arc::new(around));
        self
    }

    fn validate(&self) -> Result<(), ServerError> {
        self.settings.validate()?;
        match self.stack_size {
            Some(bytes) if bytes < LEAST_STACK => Err(ServerError::Setting {
                setting: "stack_size",
                reason: format!("{bytes} bytes are too few; it is at least {LEAST_STACK}"),
            }),
            _ => Ok(()),
        }
    }
}

impl Server for StdServer {
    fn info(&self) -> ServerInfo {
        info(&self.listeners[0], &self.settings)
    }

    fn local_addrs(&self) -> Vec<Address> {
        self.listeners.iter().map(Listener::local_addr).collect()
    }

    fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.shared) as Arc<dyn Control>)
    }

    /// Serves on the calling thread, which accepts, until the [`Handle`] stops it. The application
    /// has been dropped when this returns, unless threads of it are still running.
    ///
    /// # Errors
    ///
    /// [`ServerError::Setting`] for a setting that cannot work.
    fn serve(self, app: Arc<dyn Application>) -> Result<Stopped, ServerError> {
        self.validate()?;
        self.shared.set_tick(tick(&self.settings.timeouts));
        let service = self.settings.service(app);
        DESCRIPTORS.raise_limit(self.settings.max_connections.unwrap_or(MAX_CONNECTIONS));
        let max = self.settings.connections(MAX_CONNECTIONS, DESCRIPTORS);
        let per_address = self.settings.max_connections_per_address;
        let infos = self.listeners.iter().map(|listener| info(listener, &self.settings)).collect();
        let acceptor = Acceptor::new(
            self.shared,
            service,
            self.settings.errors,
            self.around,
            max,
            per_address,
            self.stack_size,
        );
        Ok(acceptor.run(self.listeners, infos))
    }
}

impl fmt::Debug for StdServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdServer")
            .field("listeners", &self.listeners)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn info(listener: &Listener, settings: &Settings) -> ServerInfo {
    listener.server_info(SOFTWARE, settings.server_name.as_deref())
}

/// How often deadlines are looked at: often enough for the shortest of them.
fn tick(timeouts: &Timeouts) -> Duration {
    let Timeouts { head, keep_alive, grace, stall, drain, .. } = timeouts;
    let shortest = [head, keep_alive, grace, stall, drain].into_iter().min().copied();
    (shortest.unwrap_or_default() / 4).clamp(TICKS.0, TICKS.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tick_suits_the_shortest_timeout() {
        assert_eq!(tick(&Timeouts::default()), Duration::from_millis(250));
        let drain = Duration::from_millis(200);
        assert_eq!(tick(&Timeouts { drain, ..Timeouts::default() }), Duration::from_millis(50));
        let drain = Duration::from_millis(1);
        assert_eq!(tick(&Timeouts { drain, ..Timeouts::default() }), Duration::from_millis(10));
    }

    #[test]
    fn what_cannot_work_is_refused_before_it_serves() {
        let server = StdServer::bind("127.0.0.1:0").expect("a free port").stack_size(100);
        let error = server.validate().expect_err("a tiny stack");
        assert_eq!(
            error.to_string(),
            "the setting `stack_size` is refused: 100 bytes are too few; it is at least 65536"
        );
    }

    #[test]
    fn it_tells_where_it_listens() {
        let server = StdServer::bind("127.0.0.1:0")
            .and_then(|server| server.also_bind("localhost:0"))
            .expect("free ports")
            .server_name("example.org");
        let addresses = server.local_addrs();
        assert_eq!(addresses.len(), 2);
        let info = server.info();
        assert_eq!(info.name, "example.org");
        assert_eq!(info.port, addresses[0].inet().map(|address| address.port()));
        assert_eq!(info.software, SOFTWARE);
        assert!(info.multithread && !info.multiprocess && !info.run_once);
    }
}
