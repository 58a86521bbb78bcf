//! A server that runs for the length of one case.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway_core::{
    Address, Application, ErrorStream, Handle, Lines, Server, ServerError, Stopped,
};
use gateway_std::StdServer;
use gateway_tokio::TokioServer;

use crate::case::Case;
use crate::client::{Client, Seen};
use crate::outcome::Outcome;
use crate::witness::Witness;

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
    pub(crate) log: Lines,
    handle: Handle,
    thread: JoinHandle<Result<Stopped, ServerError>>,
}

impl Site {
    pub(crate) fn start(on: On, app: Box<dyn Application>) -> Site {
        let (errors, log) = ErrorStream::memory();
        let address = "127.0.0.1:0";
        let started = match on {
            On::Std => StdServer::bind(address)
                .and_then(|server| Site::of(server.error_stream(errors), log, app)),
            On::Tokio => TokioServer::bind(address)
                .and_then(|server| Site::of(server.error_stream(errors), log, app)),
        };
        started.expect("a server starts on a free port")
    }

    fn of(
        server: impl Server + Send + 'static,
        log: Lines,
        app: Box<dyn Application>,
    ) -> Result<Site, ServerError> {
        let address = server.local_addrs().iter().find_map(Address::inet);
        let handle = server.handle();
        Ok(Site {
            address: address.expect("it listens on an IP address"),
            log,
            handle,
            thread: thread::spawn(move || server.serve(Arc::new(app))),
        })
    }

    /// Stops the server and tells how that went.
    pub(crate) fn stop(self) -> Stopped {
        self.handle.shutdown(Duration::from_secs(5));
        let served = self.thread.join().expect("serving does not panic");
        served.expect("the server could serve")
    }
}

/// Runs a case from the server's start to its end.
pub(crate) fn run(case: &Case, on: On) -> Outcome {
    let witness = Witness::default();
    let site = Site::start(on, (case.app)(witness.clone()));
    let log = site.log.clone();
    let seen = drive(case, &site, &witness).expect("the client can connect");
    let Seen { received, reset, mut troubles } = seen;
    witness.wait_for_notes(case.expected.notes.len());
    let stopped = site.stop();
    if stopped != Stopped::default() {
        troubles.push(stopped.to_string());
    }
    if witness.others() > 0 {
        troubles.push(format!("{} parts of the application are left", witness.others()));
    }
    Outcome { received, reset, notes: witness.notes(), log: log.take(), troubles }
}

fn drive(case: &Case, site: &Site, witness: &Witness) -> io::Result<Seen> {
    let mut client = Client::connect(site.address)?;
    for step in &case.steps {
        client.take(step, witness);
    }
    Ok(client.finish())
}
