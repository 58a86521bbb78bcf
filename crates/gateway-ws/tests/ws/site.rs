//! A server that runs for the length of one test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway_core::{
    Address, Application, ErrorStream, Handle, IntoApplication, Lines, Server, ServerError, Stopped,
};
use gateway_std::{StdServer, Timeouts};
use gateway_tokio::TokioServer;

/// Whatever must happen happens within it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Std,
    Tokio,
}

impl On {
    pub(crate) const ALL: [On; 2] = [On::Std, On::Tokio];
}

/// A running server.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    log: Lines,
    handle: Handle,
    thread: Option<JoinHandle<Result<Stopped, ServerError>>>,
}

impl Site {
    pub(crate) fn start<M>(on: On, app: impl IntoApplication<M>) -> Site {
        Site::with_stall(on, PATIENCE, app)
    }

    /// One that gives up on writing when nothing goes for so long.
    pub(crate) fn with_stall<M>(on: On, stall: Duration, app: impl IntoApplication<M>) -> Site {
        let app = Arc::new(app.into_application());
        let (errors, log) = ErrorStream::memory();
        let address = "127.0.0.1:0";
        let started = match on {
            On::Std => StdServer::bind(address).map(|server| {
                let timeouts = Timeouts { grace: stall, stall, ..Timeouts::default() };
                Site::of(server.timeouts(timeouts).error_stream(errors), log, app)
            }),
            On::Tokio => TokioServer::bind(address).map(|server| {
                let timeouts = Timeouts { grace: stall, stall, ..Timeouts::default() };
                let server = server.threads(1).timeouts(timeouts);
                Site::of(server.error_stream(errors), log, app)
            }),
        };
        started.expect("a server starts on a free port")
    }

    fn of(server: impl Server + Send + 'static, log: Lines, app: Arc<dyn Application>) -> Site {
        let address = server.local_addrs().iter().find_map(Address::inet);
        let handle = server.handle();
        Site {
            address: address.expect("it listens on an IP address"),
            log,
            handle,
            thread: Some(thread::spawn(move || server.serve(app))),
        }
    }

    /// Stops the server, which has to go without cutting anything, and gives what it logged.
    pub(crate) fn stop(mut self) -> Vec<String> {
        assert_eq!(self.end(PATIENCE), Stopped::default());
        self.log.take()
    }

    /// Stops the server at once.
    pub(crate) fn end(&mut self, grace: Duration) -> Stopped {
        self.handle.shutdown(grace);
        let thread = self.thread.take().expect("it is ended once");
        thread.join().expect("serving does not panic").expect("the server could serve")
    }
}

/// A test that failed has its server end, too.
impl Drop for Site {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::ZERO);
    }
}
