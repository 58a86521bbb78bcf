//! A harness around a right one, with faults.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_conformance::suite::Outlet;
use gateway_conformance::{Dialled, Harness, Running, ServerHarness};
use gateway_core::{Application, BoxError, ServerInfo, Stopped};
use gateway_std::StdServer;

use crate::wire::Rewrite;

/// Makes an application one that runs on a wrong server.
pub(crate) type Around = fn(Arc<dyn Application>) -> Box<dyn Application>;

/// What is wrong.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// What the application sees, or what becomes of its answer.
    App(Around),
    /// What the server sends.
    Sends(fn() -> Box<dyn Rewrite>),
    /// What the server hears.
    Hears(fn() -> Box<dyn Rewrite>),
    /// A reset looks like an end.
    NoResets,
    /// A client that ends its side is thrown out.
    NoHalfClose,
    /// A client that goes away is not missed.
    NoDepartures,
    /// It ends with its first failure.
    DiesOfFailures,
    /// It logs nothing.
    NoLog,
    /// It says one thing of itself and another to requests.
    TwoFaces,
    /// It gives no grace.
    NoGrace,
    /// It says this of how it stopped.
    Stops(fn(Stopped) -> Stopped),
    /// It keeps the application.
    KeepsApplication,
}

/// A server with a fault.
pub(crate) struct Broken {
    pub(crate) fault: Fault,
    inner: ServerHarness<StdServer>,
}

impl Broken {
    pub(crate) fn new(fault: Fault) -> Broken {
        let inner = ServerHarness::new("broken", |errors| {
            Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
        });
        Broken { fault, inner }
    }
}

impl Harness for Broken {
    fn name(&self) -> String {
        "broken".to_owned()
    }

    /// A wrong server often leaves the suite waiting.
    fn patience(&self) -> Duration {
        match self.fault {
            Fault::None => self.inner.patience(),
            _ => Duration::from_millis(500),
        }
    }

    fn start(&self, app: Box<dyn Application>) -> Result<Box<dyn Running>, BoxError> {
        let app: Arc<dyn Application> = Arc::from(app);
        let app = match self.fault {
            Fault::App(around) => around(app),
            Fault::KeepsApplication => {
                std::mem::forget(Arc::clone(&app));
                Box::new(app)
            }
            _ => Box::new(app),
        };
        let inner = self.inner.start(app)?;
        Ok(Box::new(BrokenRunning { fault: self.fault, inner, dead: Arc::default() }))
    }
}

struct BrokenRunning {
    fault: Fault,
    inner: Box<dyn Running>,
    dead: Arc<AtomicBool>,
}

impl Running for BrokenRunning {
    fn dial(&self) -> io::Result<Dialled> {
        if self.dead.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let Dialled { reader, writer, hang_up, .. } = self.inner.dial()?;
        let hang_up = Arc::new(Mutex::new(Some(hang_up)));
        let leave = {
            let hang_up = Arc::clone(&hang_up);
            move || hang_up.lock().expect("nobody panics").take().map_or((), |hang_up| hang_up())
        };
        let reader = FaultyReader {
            fault: self.fault,
            inner: reader,
            rewrite: if let Fault::Sends(make) = self.fault { Some(make()) } else { None },
            ready: Vec::new(),
            ended: false,
            dead: Arc::clone(&self.dead),
        };
        let writer = FaultyWriter {
            inner: writer,
            rewrite: if let Fault::Hears(make) = self.fault { Some(make()) } else { None },
            leave: match self.fault {
                Fault::NoHalfClose => Some(Box::new(leave.clone())),
                _ => None,
            },
        };
        Ok(match self.fault {
            Fault::NoDepartures => Dialled::new(reader, writer, move || {
                // Kept open for as long as the suite waits.
                std::mem::forget(leave);
            }),
            _ => Dialled::new(reader, writer, leave),
        })
    }

    fn info(&self) -> Option<ServerInfo> {
        let info = self.inner.info()?;
        match self.fault {
            Fault::TwoFaces => Some(ServerInfo::new("another.test", info.port, "another/1")),
            _ => Some(info),
        }
    }

    fn logged(&self) -> Option<Vec<String>> {
        match self.fault {
            Fault::NoLog => Some(Vec::new()),
            _ => self.inner.logged(),
        }
    }

    fn stop(self: Box<Self>, grace: Duration) -> Result<Stopped, BoxError> {
        let grace = if matches!(self.fault, Fault::NoGrace) { Duration::ZERO } else { grace };
        let stopped = self.inner.stop(grace)?;
        match self.fault {
            Fault::Stops(says) => Ok(says(stopped)),
            _ => Ok(stopped),
        }
    }
}

struct FaultyReader {
    fault: Fault,
    inner: Box<dyn Read + Send>,
    rewrite: Option<Box<dyn Rewrite>>,
    ready: Vec<u8>,
    ended: bool,
    dead: Arc<AtomicBool>,
}

impl Read for FaultyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.ended {
            let mut some = vec![0; into.len()];
            let length = match self.inner.read(&mut some) {
                Err(_) if matches!(self.fault, Fault::NoResets) => 0,
                read => read?,
            };
            if matches!(self.fault, Fault::DiesOfFailures) && some.starts_with(b"HTTP/1.1 500") {
                self.dead.store(true, Ordering::SeqCst);
            }
            self.ended = length == 0;
            self.ready = match &mut self.rewrite {
                None => some[..length].to_vec(),
                Some(rewrite) if self.ended => rewrite.end(),
                Some(rewrite) => rewrite.bytes(&some[..length]),
            };
            self.ended |= self.rewrite.as_ref().is_some_and(|rewrite| rewrite.is_over());
        }
        let length = self.ready.len().min(into.len());
        into[..length].copy_from_slice(&self.ready[..length]);
        self.ready.drain(..length);
        Ok(length)
    }
}

struct FaultyWriter {
    inner: Box<dyn Outlet>,
    rewrite: Option<Box<dyn Rewrite>>,
    leave: Option<Box<dyn Fn() + Send>>,
}

impl Write for FaultyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.rewrite {
            Some(rewrite) => self.inner.write_all(&rewrite.bytes(bytes))?,
            None => self.inner.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Outlet for FaultyWriter {
    fn half_close(&mut self) -> io::Result<()> {
        if let Some(leave) = &self.leave {
            leave();
        }
        self.inner.half_close()
    }
}
