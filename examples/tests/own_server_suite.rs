//! `own-server` keeps the rules that it claims to keep, over a pair of pipes.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway_conformance::{Claims, Dialled, Feature, Harness, Running};
use gateway_core::{Application, BoxError, Stopped};

/// Serves one connection in each start.
struct OwnServer;

struct Pipes {
    ends: Mutex<Option<(PipeReader, PipeWriter)>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Harness for OwnServer {
    fn name(&self) -> String {
        "own-server".to_owned()
    }

    fn claims(&self) -> Claims {
        Claims::least().with(Feature::KeepAlive).with(Feature::Trailers).with(Feature::Continue)
    }

    fn start(&self, app: Box<dyn Application>) -> Result<Box<dyn Running>, BoxError> {
        let (input, to_server) = io::pipe()?;
        let (from_server, output) = io::pipe()?;
        let thread = thread::spawn(move || examples::own_server::serve(&*app, input, output));
        Ok(Box::new(Pipes { ends: Mutex::new(Some((from_server, to_server))), thread }))
    }
}

impl Running for Pipes {
    fn dial(&self) -> io::Result<Dialled> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (reader, writer) = ends.ok_or(io::ErrorKind::AddrInUse)?;
        Ok(Dialled::pipes(reader, writer))
    }

    fn stop(self: Box<Self>, _: Duration) -> Result<Stopped, BoxError> {
        // It ends when its client has.
        drop(self.ends);
        match self.thread.join() {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            Ok(_) => Ok(Stopped::default()),
            Err(panic) => Err(gateway_core::panic_message(&*panic).into()),
        }
    }
}

gateway_conformance::server_suite!(OwnServer);
