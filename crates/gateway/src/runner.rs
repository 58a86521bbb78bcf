//! What a runner is made of: the program that `gateway run` generates for one application. Not for
//! others, and not stable.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use std::{env, thread};

use gateway_core::{Application, BoxError, Handle, IntoApplication, Server, ServerError, Stopped};
use rustix::process::{Pid, Signal, getppid, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::console;
use gateway_middleware::{AccessLines, AccessLog, LogFormat, Trace};

/// The variables by which `gateway run` tells a runner what to do. The socket is standard input.
pub mod variables {
    /// The process that is told, by SIGUSR1, that the application serves.
    pub const PARENT: &str = "GATEWAY_RUNNER_PARENT";
    /// `tcp` or `unix`.
    pub const SOCKET: &str = "GATEWAY_RUNNER_SOCKET";
    /// `common`, `combined`, `json` or `off`.
    pub const LOG: &str = "GATEWAY_RUNNER_LOG";
    /// `true` or `false`.
    pub const TRACE: &str = "GATEWAY_RUNNER_TRACE";
}

/// How long requests may take to finish after a signal.
pub const GRACE: Duration = Duration::from_secs(25);

/// How long the server may take to end once the grace is over.
const OVERTIME: Duration = Duration::from_secs(3);

/// How long the server may take to end at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What `gateway run` can name. `Marker` only keeps the implementations apart.
#[diagnostic::on_unimplemented(
    message = "this is no application, and no function without arguments that returns one",
    label = "no application",
    note = "an application is `fn(Environ, StartResponse) -> Result<Response>`, an `async fn` like \
            it, or a type that implements `Application`"
)]
pub trait Runnable<Marker> {
    /// The application.
    ///
    /// # Errors
    ///
    /// Those of the function that makes it.
    fn application(self) -> Result<Box<dyn Application>, BoxError>;
}

/// Markers of [`Runnable`].
pub mod marker {
    /// An application itself.
    #[derive(Debug)]
    pub struct Itself<M>(std::marker::PhantomData<fn() -> M>);
    /// One behind a `LazyLock`.
    #[derive(Debug)]
    pub struct Lazy;
    /// A function that returns one.
    #[derive(Debug)]
    pub struct Made<M>(std::marker::PhantomData<fn() -> M>);
    /// A function that returns one, or an error.
    #[derive(Debug)]
    pub struct Tried<M, E>(std::marker::PhantomData<fn() -> (M, E)>);
}

impl<A: IntoApplication<M>, M> Runnable<marker::Itself<M>> for A {
    fn application(self) -> Result<Box<dyn Application>, BoxError> {
        Ok(self.boxed())
    }
}

impl<A: Application> Runnable<marker::Lazy> for &'static LazyLock<A> {
    fn application(self) -> Result<Box<dyn Application>, BoxError> {
        let app: &'static A = self;
        Ok(Box::new(app))
    }
}

impl<F: FnOnce() -> A, A: IntoApplication<M>, M> Runnable<marker::Made<M>> for F {
    fn application(self) -> Result<Box<dyn Application>, BoxError> {
        Ok(self().boxed())
    }
}

impl<F, A, E, M> Runnable<marker::Tried<M, E>> for F
where
    F: FnOnce() -> Result<A, E>,
    A: IntoApplication<M>,
    E: Into<BoxError>,
{
    fn application(self) -> Result<Box<dyn Application>, BoxError> {
        self().map(IntoApplication::boxed).map_err(Into::into)
    }
}

/// The runner's `main`, with a thread for each connection.
#[cfg(feature = "std")]
pub fn run_std<M>(app: impl Runnable<M>) -> ExitCode {
    use gateway_std::StdServer;
    exit(run(app, StdServer::from_listener, StdServer::from_unix_listener))
}

/// The runner's `main`, on Tokio.
#[cfg(feature = "tokio")]
pub fn run_tokio<M>(app: impl Runnable<M>) -> ExitCode {
    use gateway_tokio::TokioServer;
    exit(run(app, TokioServer::from_listener, TokioServer::from_unix_listener))
}

/// `app` within the middlewares that were asked for.
///
/// The lines have a subscriber of their own, and none is made the default: that is for the application
/// to choose, when it is made or at any time later. Its own one gets the events as well.
pub fn observed(
    mut app: Box<dyn Application>,
    log: Option<LogFormat>,
    trace: bool,
) -> Box<dyn Application> {
    if let Some(format) = log {
        let lines = AccessLines::new(format, console::access_lines());
        app = Box::new(AccessLog::new(app).also_to(lines));
    }
    if trace {
        app = Box::new(Trace::new(app, console::trace_lines()));
    }
    app
}

/// Why a server did not serve.
#[derive(Debug)]
pub enum LaunchError {
    /// The server says so.
    Server(ServerError),
    /// What the system did not do, and why.
    Io(&'static str, io::Error),
}

/// Serves `app` until signals stop it; `ready` is called when signals are heard and peers may come.
///
/// # Errors
///
/// If there are no signals or threads to be had, and those of the server.
pub fn launch(
    server: impl Server,
    app: Box<dyn Application>,
    verbose: bool,
    ready: impl FnOnce(),
) -> Result<ExitCode, LaunchError> {
    let code = stop_on_signals(server.handle(), verbose)
        .map_err(|source| LaunchError::Io("listen to signals", source))?;
    ready();
    let stopped = gateway_core::run(server, app);
    console::finish_access_lines();
    let stopped = stopped.map_err(LaunchError::Server)?;
    if verbose || stopped != Stopped::default() {
        console::last_note(stopped);
    }
    Ok(ExitCode::from(code.load(Ordering::Relaxed)))
}

/// The exit code is 0, or 128 and the signal's number after a second signal.
fn stop_on_signals(handle: Handle, verbose: bool) -> io::Result<Arc<AtomicU8>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let code = Arc::new(AtomicU8::new(0));
    let ended = Arc::clone(&code);
    let wait = move || {
        let mut signals = signals.forever();
        if signals.next().is_none() {
            return;
        }
        handle.shutdown(GRACE);
        end_in_any_case();
        if verbose {
            say_stopping();
        }
        let Some(second) = signals.next() else { return };
        let second = u8::try_from(128 + second).unwrap_or(1);
        ended.store(second, Ordering::Relaxed);
        handle.shutdown(Duration::ZERO);
        // Usually the process is gone before; but nothing that hangs may keep it.
        thread::sleep(AT_ONCE);
        console::finish_access_lines();
        std::process::exit(second.into());
    };
    thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(code)
}

/// Ends the process when the server has not, though the grace is over: an application holds the
/// thread that the server itself needs.
fn end_in_any_case() {
    let wait = || {
        thread::sleep(GRACE + OVERTIME);
        console::finish_access_lines();
        console::last_note("stopped; the application does not give back the server's own thread");
        std::process::exit(0);
    };
    // Without a thread, a second signal is left.
    let _ = thread::Builder::new().name("end".into()).spawn(wait);
}

/// Says what the first signal began.
pub fn say_stopping() {
    let seconds = GRACE.as_secs();
    console::note(format_args!(
        "Stopping; requests have {seconds} s to finish. Once more ends at once."
    ));
}

fn run<M, S: Server>(
    app: impl Runnable<M>,
    tcp: impl FnOnce(TcpListener) -> Result<S, ServerError>,
    unix: impl FnOnce(UnixListener) -> Result<S, ServerError>,
) -> Result<ExitCode, BoxError> {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let parent = variable(variables::PARENT).parse().ok().and_then(Pid::from_raw);
    let parent = parent.ok_or("this is started by `gateway run`, and not by hand")?;
    // Nobody is to be left behind, however the parent ends.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    if getppid() != Some(parent) {
        return Err("`gateway run` has gone".into());
    }
    let socket = take_standard_input()?;
    let server = match variable(variables::SOCKET).as_str() {
        "unix" => unix(socket.into())?,
        _ => tcp(socket.into())?,
    };
    let log = match variable(variables::LOG).as_str() {
        "common" => Some(LogFormat::Common),
        "combined" => Some(LogFormat::Combined),
        "json" => Some(LogFormat::Json),
        _ => None,
    };
    let app = observed(app.application()?, log, variable(variables::TRACE) == "true");
    launch(server, app, false, || {
        // If the parent has gone, it tells so itself by a signal.
        let _ = kill_process(parent, Signal::USR1);
    })
    .map_err(|error| match error {
        LaunchError::Server(error) => error.into(),
        LaunchError::Io(action, source) => format!("cannot {action}: {source}").into(),
    })
}

/// The socket in its place would stay open when the server has closed its own handle.
fn take_standard_input() -> io::Result<OwnedFd> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

fn exit(outcome: Result<ExitCode, BoxError>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        console::error(error);
        ExitCode::FAILURE
    })
}
