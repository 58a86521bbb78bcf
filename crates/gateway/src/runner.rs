//! What a runner is made of: the program that `gateway run` generates for one application. Not for
//! others, and not stable.

use std::fs::File;
use std::net::TcpListener;
use std::num::ParseIntError;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::LazyLock;
use std::{env, io};

use gateway_core::{Application, BoxError, IntoApplication, Server, ServerError};
use gateway_middleware::{
    AccessLines, AccessLog, Forwarded, ForwardedFields, LogFormat, Trace, TrustedProxy,
};
use rustix::process::{Pid, Signal, getppid, kill_process};

use crate::console;
use crate::limits::{ConnectionLimits, Limited};
use crate::stop::{LaunchError, launch};

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
    /// How many connections, or nothing.
    pub const MAX_CONNECTIONS: &str = "GATEWAY_RUNNER_MAX_CONNECTIONS";
    /// How many of one address, or nothing.
    pub const MAX_CONNECTIONS_PER_ADDRESS: &str = "GATEWAY_RUNNER_MAX_CONNECTIONS_PER_ADDRESS";
    /// Proxies with commas between them, or nothing.
    pub const TRUSTED_PROXY: &str = "GATEWAY_RUNNER_TRUSTED_PROXY";
    /// `x-forwarded` or `forwarded`.
    pub const TRUSTED_FIELDS: &str = "GATEWAY_RUNNER_TRUSTED_FIELDS";
}

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

/// `app`, which sees the client where one of `proxies` says in `fields` who that is. Nothing that
/// looks at addresses is to be outside of it.
pub fn believing(
    app: Box<dyn Application>,
    proxies: Vec<TrustedProxy>,
    fields: ForwardedFields,
) -> Box<dyn Application> {
    if proxies.is_empty() {
        return app;
    }
    Box::new(Forwarded::new(app, fields).trust_all(proxies))
}

fn run<M, S: Server + Limited>(
    app: impl Runnable<M>,
    tcp: impl FnOnce(TcpListener) -> Result<S, ServerError>,
    unix: impl FnOnce(UnixListener) -> Result<S, ServerError>,
) -> Result<ExitCode, BoxError> {
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
    let server = server.limited(ConnectionLimits {
        connections: number(variables::MAX_CONNECTIONS)?,
        per_address: number(variables::MAX_CONNECTIONS_PER_ADDRESS)?,
    });
    let log = match variable(variables::LOG).as_str() {
        "common" => Some(LogFormat::Common),
        "combined" => Some(LogFormat::Combined),
        "json" => Some(LogFormat::Json),
        _ => None,
    };
    let proxies = variable(variables::TRUSTED_PROXY);
    let proxies = proxies.split(',').filter(|proxy| !proxy.is_empty()).map(TrustedProxy::from_str);
    let proxies = proxies.collect::<Result<Vec<_>, _>>()?;
    let fields = match variable(variables::TRUSTED_FIELDS).as_str() {
        "forwarded" => ForwardedFields::Standard,
        _ => ForwardedFields::X,
    };
    let app = observed(app.application()?, log, variable(variables::TRACE) == "true");
    let app = believing(app, proxies, fields);
    launch(server, app, false, || {
        // If the parent has gone, it tells so itself by a signal.
        let _ = kill_process(parent, Signal::USR1);
    })
    .map_err(|error| match error {
        LaunchError::Server(error) => error.into(),
        LaunchError::Io(action, source) => format!("cannot {action}: {source}").into(),
    })
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn number(name: &str) -> Result<Option<usize>, ParseIntError> {
    Some(variable(name)).filter(|text| !text.is_empty()).map(|text| text.parse()).transpose()
}

/// The socket in its place would stay open when the server has closed its own handle.
fn take_standard_input() -> io::Result<OwnedFd> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

fn exit(outcome: Result<ExitCode, BoxError>) -> ExitCode {
    let code = outcome.unwrap_or_else(|error| {
        console::error(error);
        ExitCode::FAILURE
    });
    console::finish();
    code
}
