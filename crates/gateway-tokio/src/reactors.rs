//! The runtimes of a server that owns them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use gateway_core::{ServerError, Stopped};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::heart::Reactor;

/// How long a reactor may take to end. One that takes longer is held up by an application.
const END: Duration = Duration::from_millis(250);

/// One current-thread runtime per thread: a request never changes its thread, which is cheaper
/// than having it stolen.
pub(crate) struct Reactors {
    /// The calling thread's.
    first: Runtime,
    others: Vec<Other>,
    ended: mpsc::Receiver<()>,
}

struct Other {
    handle: Handle,
    /// Its thread ends when this is dropped.
    _stop: oneshot::Sender<()>,
}

impl Reactors {
    /// Starts all but the calling thread's, which runs inside of [`block_on`](Reactors::block_on).
    pub(crate) fn start(threads: usize) -> Result<Reactors, ServerError> {
        let first = runtime(Builder::new_current_thread())?;
        let (end, ended) = mpsc::channel();
        let others = (1..threads).map(|n| start(n, end.clone())).collect::<Result<_, _>>()?;
        Ok(Reactors { first, others, ended })
    }

    /// All of them, the calling thread's first.
    pub(crate) fn reactors(&self) -> Vec<Arc<Reactor>> {
        let others = self.others.iter().map(|other| &other.handle);
        [self.first.handle()].into_iter().chain(others).cloned().map(Reactor::new).collect()
    }

    /// The calling thread's.
    pub(crate) fn handle(&self) -> &Handle {
        self.first.handle()
    }

    /// Runs `server` to its end, then ends the runtimes. Nothing is waited for that does not end
    /// by itself.
    pub(crate) fn block_on(
        self,
        server: impl Future<Output = Result<Stopped, ServerError>>,
    ) -> Result<Stopped, ServerError> {
        let mut stopped = self.first.block_on(server);
        self.first.shutdown_background();
        let threads = self.others.len();
        drop(self.others);
        let until = Instant::now() + END;
        let ended = (0..threads)
            .take_while(|_| {
                let left = until.saturating_duration_since(Instant::now());
                self.ended.recv_timeout(left).is_ok()
            })
            .count();
        if let Ok(stopped) = &mut stopped {
            stopped.left_running += threads - ended;
        }
        stopped
    }
}

/// The work-stealing runtime.
pub(crate) fn work_stealing(threads: usize) -> Result<Runtime, ServerError> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name("gateway-reactor");
    runtime(builder)
}

/// Drops the tasks that are left, and with them what holds the application. What the application
/// runs on threads of the runtime is not waited for any longer than for a reactor.
pub(crate) fn end_runtime(runtime: Runtime) {
    runtime.shutdown_timeout(END);
}

fn runtime(mut builder: Builder) -> Result<Runtime, ServerError> {
    builder.enable_all().build().map_err(not_started)
}

fn start(n: usize, end: mpsc::Sender<()>) -> Result<Other, ServerError> {
    let runtime = runtime(Builder::new_current_thread())?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new()
        .name(format!("gateway-reactor-{n}"))
        .spawn(move || {
            // It is never sent, only dropped.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
            // Nobody listens any more when the server has waited long enough.
            let _ = end.send(());
        })
        .map_err(not_started)?;
    Ok(Other { handle, _stop: stop })
}

fn not_started(source: io::Error) -> ServerError {
    ServerError::Io { action: "start its runtime", source }
}
