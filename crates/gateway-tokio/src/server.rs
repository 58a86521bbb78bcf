//! The server and its settings.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;

use gateway_connection::{Descriptors, Listener, Settings, builder_methods};
use gateway_core::{
    Address, Application, Control, Handle, IntoApplication, Server, ServerError, ServerInfo,
    Stopped,
};
use tokio::runtime::Handle as Runtime;

use crate::heart::{Heart, Reactor};
use crate::reactors::{Reactors, end_runtime, work_stealing};
use crate::stop::Stop;
use crate::workers::{self, Workers};

/// What the `Server` field says.
const SOFTWARE: &str = concat!("gateway-tokio/", env!("CARGO_PKG_VERSION"));

/// The most connections where the operator says nothing.
const CONNECTIONS: usize = 10_000;

/// A connection has its socket, and often something that it is answered from: a file, or a socket of
/// the application's.
const DESCRIPTORS: Descriptors = Descriptors::each(2);

/// The most workers where the operator says nothing.
const WORKERS: usize = 512;

/// The most jobs that wait for a worker where the operator says nothing.
const WORKER_QUEUE: usize = 1024;

/// Serves an application on Tokio.
///
/// With [`run`](gateway_core::run) it owns its runtimes; [`serve_async`](TokioServer::serve_async)
/// serves inside a runtime that is there.
///
/// ```no_run
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode, run};
/// use gateway_tokio::TokioServer;
///
/// async fn app(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("Hello\n"))
/// }
///
/// run(TokioServer::bind("127.0.0.1:8000")?, app)?;
/// # Ok::<(), gateway_core::ServerError>(())
/// ```
///
/// # Where an application runs
///
/// It is called on a reactor thread, which other connections wait for; `environ.nonblocking()` is
/// true. `Reply::Ready` is sent from there, `Reply::Pending` is awaited there. `Reply::Blocking`, an
/// iterator as a body, and a blocking upgrade go to a [worker](TokioServer::workers); that thread
/// is in the context of the server's first runtime (or of the caller's), so that
/// `tokio::spawn` works. Blocking calls on [`Input`](gateway_core::Input) and
/// [`Response`](gateway_core::Response) work on workers and on threads outside of any runtime. On
/// all other threads they fail with
/// [`ApplicationError::WouldBlock`](gateway_core::ApplicationError::WouldBlock), those of
/// `tokio::task::spawn_blocking` included: answer `Reply::Blocking` instead, or use the async form.
///
/// [`Body::File`](gateway_core::Body) with a length is sent from the reactor by `sendfile`, which
/// does not wait for the peer, but does for the file: its pages are read there when they are not in
/// memory, and other connections wait meanwhile. So are the last 16 KiB of a file that
/// [must not change](gateway_core::FileBody::unless_changed), which are read. From a slow file system, or much that is cold, send
/// an iterator ([`Body::iter`](gateway_core::Body::iter)): it is read on a worker.
///
/// # Connections
///
/// When [`max_connections`](TokioServer::max_connections) are live, no other is accepted before one
/// ends; the rest waits in the listener's backlog. The default is 10,000, or what the process's file
/// descriptors [allow](gateway_connection::Descriptors) if that is less, where a connection counts as
/// two: its socket, and the file that it is sent or whatever else the application opens for it.
/// [`run`](gateway_core::run) raises the process's soft limit on them as far as is needed and the hard
/// limit allows; `serve_async` leaves it alone. What is set explicitly is not lowered. When
/// descriptors run out all the same, accepting pauses for 50 ms, which is logged once in 10 s.
///
/// A connection's deadlines are looked at every eighth of the shortest of the
/// [`timeouts`](TokioServer::timeouts), 250 ms at the most: that is how late one can be. What counts
/// as a peer's progress with a response is that the socket takes more of it, since what the peer has
/// acknowledged makes room there. That is tried once more before a connection is given up.
///
/// # Stopping
///
/// [`handle`](Server::handle) stops the server. Who waits in the backlog is accepted once more if
/// there is room, then the listener is closed. Connections that wait for their next request end at
/// once; those that have begun one, or have just connected, have a second from then on to send its
/// head; the others end after their response, which says so. When the grace is over, `Pending`
/// replies are dropped, what remains is cut, and workers that still run are left to their ends and
/// counted.
pub struct TokioServer {
    listener: Listener,
    settings: Settings,
    threads: Option<usize>,
    workers: usize,
    worker_queue: usize,
    work_stealing: bool,
    stop: Arc<Stop>,
}

impl TokioServer {
    /// Listens on `address`: `HOST:PORT`, where port 0 is any free one, or `unix:PATH`.
    /// Connections are accepted when it serves; until then they wait in the backlog.
    ///
    /// # Errors
    ///
    /// [`ServerError::Bind`] if `address` is no address, or the system refuses it.
    pub fn bind(address: impl AsRef<str>) -> Result<TokioServer, ServerError> {
        Ok(TokioServer::new(Listener::bind(address.as_ref())?))
    }

    /// Takes over a socket that listens already.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] if it cannot be made non-blocking.
    pub fn from_listener(listener: TcpListener) -> Result<TokioServer, ServerError> {
        Ok(TokioServer::new(Listener::from_tcp(listener)?))
    }

    /// Takes over a Unix socket that listens already. Its file is not removed at the end.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] if it cannot be made non-blocking.
    pub fn from_unix_listener(listener: UnixListener) -> Result<TokioServer, ServerError> {
        Ok(TokioServer::new(Listener::from_unix(listener)?))
    }

    fn new(listener: Listener) -> TokioServer {
        TokioServer {
            listener,
            settings: Settings::default(),
            threads: None,
            workers: WORKERS,
            worker_queue: WORKER_QUEUE,
            work_stealing: false,
            stop: Arc::default(),
        }
    }

    builder_methods!();

    /// How many reactor threads there are, with [`run`](gateway_core::run) only: in a runtime of the
    /// caller's that is the caller's affair. Default: as many as the process may use cores.
    ///
    /// Each has a runtime of its own and keeps the connections that it was given; a new one goes to
    /// the thread that has the fewest.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// How many workers may run at a time: threads that run what may block. They are made when they
    /// are needed and end after 2 s without work. Default: 512.
    ///
    /// A worker whose application waits for its own peer, in a blocking call on
    /// [`Input`](gateway_core::Input), [`Response`](gateway_core::Response) or
    /// [`Upgraded`](gateway_core::Upgraded), does not count: slow uploads keep no other application
    /// from running. It does hold its thread, so there are up to as many threads as workers and
    /// connections together. When peers go on, more than `workers` may run for a moment; nothing new
    /// begins before they are fewer. A wait for anything else counts, as for a lock or a database.
    ///
    /// An iterator holds a worker only while it yields, not while its peer is slow.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How many jobs may wait when all workers run. Default: 1,024. Beyond that the answer is 503 at
    /// once. What has begun is not refused: an iterator that goes on is queued in any case.
    #[must_use]
    pub fn worker_queue(mut self, jobs: usize) -> Self {
        self.worker_queue = jobs;
        self
    }

    /// Whether the threads share one work-stealing runtime, with [`run`](gateway_core::run) only.
    /// Default: no, since keeping a connection on its thread costs less per request. It helps
    /// where few connections are busy with long computations on the reactor.
    #[must_use]
    pub fn work_stealing(mut self, work_stealing: bool) -> Self {
        self.work_stealing = work_stealing;
        self
    }

    /// Serves `app` inside the runtime that the caller has, one task per connection, until the
    /// [`handle`](Server::handle) stops it. When the future is dropped instead, the listener is
    /// closed and all connections are cut.
    ///
    /// ```no_run
    /// # use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
    /// # async fn app(_: Environ, start_response: StartResponse) -> Result<Response> {
    /// #     Ok(start_response.start(StatusCode::OK, ()).with_body("Hello\n"))
    /// # }
    /// use std::time::Duration;
    /// use gateway_core::Server;
    /// use gateway_tokio::TokioServer;
    ///
    /// # async fn quit() {}
    /// # async fn serve() -> Result<(), gateway_core::ServerError> {
    /// let server = TokioServer::bind("127.0.0.1:8000")?;
    /// let handle = server.handle();
    /// tokio::spawn(async move {
    ///     quit().await;
    ///     handle.shutdown(Duration::from_secs(25));
    /// });
    /// println!("{}", server.serve_async(app).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServerError::Setting`] if a setting makes no sense; [`ServerError::Io`] if there is no
    /// runtime, or it does not take the listener.
    ///
    /// # Panics
    ///
    /// If the runtime was built without its drivers for I/O and time.
    pub async fn serve_async<M>(
        self,
        app: impl IntoApplication<M>,
    ) -> Result<Stopped, ServerError> {
        self.validate()?;
        let runtime = Runtime::try_current().map_err(|error| ServerError::Io {
            action: "serve outside of a runtime; use `run` there",
            source: io::Error::other(error),
        })?;
        let reactors = vec![Reactor::new(runtime.clone())];
        let stop = Arc::clone(&self.stop);
        let (heart, listener) = self.heart(reactors, runtime, Arc::new(app.into_application()));
        heart.beat(listener, &stop).await
    }

    fn validate(&self) -> Result<(), ServerError> {
        self.settings.validate()?;
        let refuse = |setting, reason: &str| {
            Err(ServerError::Setting { setting, reason: reason.to_owned() })
        };
        if self.threads == Some(0) {
            return refuse("threads", "with 0 nobody is served; it is at least 1");
        }
        if self.workers == 0 {
            return refuse("workers", "with 0 nothing that blocks can run; it is at least 1");
        }
        Ok(())
    }

    fn heart(
        self,
        reactors: Vec<Arc<Reactor>>,
        runtime: Runtime,
        app: Arc<dyn Application>,
    ) -> (Arc<Heart>, Listener) {
        let max = self.settings.connections(CONNECTIONS, DESCRIPTORS);
        let workers = Workers::new(self.workers, self.worker_queue, max, workers::IDLE, runtime);
        let info = self.info();
        (Heart::new(&self.settings, info, max, reactors, workers, app), self.listener)
    }
}

impl Server for TokioServer {
    fn info(&self) -> ServerInfo {
        self.listener.server_info(SOFTWARE, self.settings.server_name.as_deref())
    }

    fn local_addrs(&self) -> Vec<Address> {
        vec![self.listener.local_addr()]
    }

    fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.stop) as Arc<dyn Control>)
    }

    /// Serves on runtimes of its own, the first of which is the calling thread's.
    ///
    /// # Errors
    ///
    /// [`ServerError::Setting`] if a setting makes no sense; [`ServerError::Io`] if the runtimes
    /// cannot be started, as inside another runtime.
    fn serve(self, app: Arc<dyn Application>) -> Result<Stopped, ServerError> {
        self.validate()?;
        if Runtime::try_current().is_ok() {
            return Err(ServerError::Io {
                action: "start a runtime inside another one; use `serve_async` there",
                source: io::ErrorKind::Unsupported.into(),
            });
        }
        let threads = self
            .threads
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get));
        DESCRIPTORS.raise_limit(self.settings.max_connections.unwrap_or(CONNECTIONS));
        let stop = Arc::clone(&self.stop);
        if self.work_stealing {
            let runtime = work_stealing(threads)?;
            let reactors = vec![Reactor::new(runtime.handle().clone())];
            let (heart, listener) = self.heart(reactors, runtime.handle().clone(), app);
            let beating = runtime.spawn(async move { heart.beat(listener, &stop).await });
            let outcome = runtime.block_on(beating).unwrap_or_else(|error| {
                Err(ServerError::Io { action: "go on", source: io::Error::other(error) })
            });
            end_runtime(runtime);
            return outcome;
        }
        let reactors = Reactors::start(threads)?;
        let (heart, listener) = self.heart(reactors.reactors(), reactors.handle().clone(), app);
        reactors.block_on(heart.beat(listener, &stop))
    }
}

impl fmt::Debug for TokioServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioServer")
            .field("listener", &self.listener)
            .field("settings", &self.settings)
            .field("threads", &self.threads)
            .field("workers", &self.workers)
            .field("worker_queue", &self.worker_queue)
            .field("work_stealing", &self.work_stealing)
            .finish_non_exhaustive()
    }
}
