//! A transport in memory, in place, whose peer follows a script.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use gateway_connection::{Phase, Service, Transport, serve};
use gateway_core::bytes::BytesMut;
use gateway_core::exchange::{ConnectionInfo, wait};
use gateway_core::{ErrorStream, IntoApplication, ServerError, ServerInfo};
use gateway_http1::Output;

/// What the peer does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// It sends this.
    Send(Vec<u8>),
    /// It is silent until the deadline that the connection noted.
    Silence,
    /// It takes nothing any more.
    Full,
    /// It resets the connection.
    Reset,
}

/// What a connection came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) sent: String,
    pub(crate) log: Vec<String>,
    pub(crate) aborted: bool,
    pub(crate) writes: usize,
    /// How often the time was asked for.
    pub(crate) asked: usize,
}

/// Plays `steps` and then the peer's end.
pub(crate) fn play<M>(app: impl IntoApplication<M>, steps: &[Step]) -> Outcome {
    let peer = Arc::new(Mutex::new(Peer {
        steps: steps.iter().cloned().collect(),
        sent: Vec::new(),
        now: Instant::now(),
        deadline: None,
        full: false,
        reset: false,
        aborted: false,
        writes: 0,
        asked: 0,
    }));
    let (errors, log) = ErrorStream::memory();
    let mut info = ConnectionInfo::new(Arc::new(ServerInfo::new("sim", Some(80), "simulation")));
    info.errors = errors;
    let service = Arc::new(Service::new(Arc::from(app.boxed())));
    let mut served = pin!(is_send(serve(Memory(Arc::clone(&peer)), service, info)));
    wait(|cx| served.as_mut().poll(cx));
    let peer = peer.lock().expect("nothing panics under it");
    Outcome {
        sent: String::from_utf8_lossy(&peer.sent).into_owned(),
        log: log.take(),
        aborted: peer.aborted,
        writes: peer.writes,
        asked: peer.asked,
    }
}

/// A reactor moves the driver between threads.
fn is_send<F: Future + Send>(future: F) -> F {
    future
}

/// Plays one piece of bytes.
pub(crate) fn answer<M>(app: impl IntoApplication<M>, request: &str) -> Outcome {
    play(app, &[Step::Send(request.as_bytes().to_vec())])
}

struct Peer {
    steps: VecDeque<Step>,
    sent: Vec<u8>,
    now: Instant,
    deadline: Option<Instant>,
    full: bool,
    reset: bool,
    aborted: bool,
    writes: usize,
    asked: usize,
}

impl Peer {
    fn next_step(&mut self) -> Option<Step> {
        while let Some(Step::Full) = self.steps.front() {
            self.full = true;
            self.steps.pop_front();
        }
        self.steps.pop_front()
    }
}

struct Memory(Arc<Mutex<Peer>>);

impl Memory {
    fn peer<R>(&self, f: impl FnOnce(&mut Peer) -> R) -> R {
        f(&mut self.0.lock().expect("nothing panics under it"))
    }
}

impl Transport for Memory {
    fn poll_read(&self, _: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        Poll::Ready(self.peer(|peer| match peer.next_step() {
            None => Ok(0),
            Some(Step::Send(bytes)) => {
                into.extend_from_slice(&bytes);
                Ok(bytes.len())
            }
            Some(Step::Silence) => {
                let deadline = peer.deadline.expect("a silent peer needs a deadline");
                peer.now = peer.now.max(deadline);
                Err(io::ErrorKind::TimedOut.into())
            }
            Some(Step::Full | Step::Reset) => {
                peer.reset = true;
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }))
    }

    fn poll_write(&self, _: &mut Context<'_>, out: &Output) -> Poll<io::Result<usize>> {
        match self.try_write(out) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.peer(|peer| {
                if !peer.steps.is_empty() {
                    return Poll::Pending;
                }
                let deadline = peer.deadline.expect("a peer that takes nothing needs a deadline");
                peer.now = peer.now.max(deadline);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }),
            written => Poll::Ready(written),
        }
    }

    fn try_write(&self, out: &Output) -> io::Result<usize> {
        self.peer(|peer| {
            if peer.reset {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if peer.full {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            peer.writes += 1;
            let before = peer.sent.len();
            let mut slices = [IoSlice::new(&[]); 8];
            let count = out.slices(&mut slices);
            for slice in &slices[..count] {
                peer.sent.extend_from_slice(slice);
            }
            Ok(peer.sent.len() - before)
        })
    }

    fn poll_send_file(
        &self,
        _: &mut Context<'_>,
        file: &File,
        offset: u64,
        len: u64,
    ) -> Poll<io::Result<u64>> {
        let mut piece = vec![0; len as usize];
        Poll::Ready(file.read_at(&mut piece, offset).map(|n| {
            self.peer(|peer| peer.sent.extend_from_slice(&piece[..n]));
            n as u64
        }))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(&self, abort: bool) {
        self.peer(|peer| peer.aborted |= abort);
    }

    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<()> {
        if self.is_gone() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_gone(&self) -> bool {
        self.peer(|peer| peer.steps.is_empty() || peer.reset)
    }

    fn now(&self) -> Instant {
        self.peer(|peer| {
            peer.asked += 1;
            peer.now += Duration::from_micros(1);
            peer.now
        })
    }

    fn unix_seconds(&self) -> u64 {
        784_111_777
    }

    fn note(&self, _: Phase, deadline: Option<Instant>) {
        self.peer(|peer| peer.deadline = deadline);
    }

    fn is_draining(&self) -> bool {
        false
    }

    async fn drive<R: Send>(
        &self,
        future: impl Future<Output = R> + Send,
    ) -> Result<R, ServerError> {
        // Whatever is not ready now never will be: the peer acts only when it is read from.
        let mut future = pin!(future);
        for _ in 0..100 {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return Ok(value);
            }
        }
        Err(ServerError::ShuttingDown)
    }

    async fn work<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, ServerError> {
        Ok(job())
    }

    fn may_block(&self) -> bool {
        true
    }
}
