//! What the driver and the application's handles share of one connection.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use gateway_core::exchange::ConnectionInfo;
use gateway_core::{ApplicationError, Body, Error, Head, PeerError, Result};
use gateway_handler::Contract;
use gateway_http1::{Connection, Output, Timeout};

use crate::wakers::Waiters;
use crate::wire::EngineWire;
use crate::{Phase, Service, Transport};

/// One connection. The lock is never held while the transport is at work, nor while code of the
/// application runs; what is being read into or written from is taken out meanwhile.
pub(crate) struct Link<T> {
    pub(crate) transport: T,
    pub(crate) service: Arc<Service>,
    pub(crate) info: ConnectionInfo,
    state: Mutex<State>,
    /// Who waits for the peer's bytes, or for the news that it has gone.
    pub(crate) reading: Arc<Waiters>,
    /// Who waits for another party's write to be over.
    writing: Waiters,
}

pub(crate) struct State {
    pub(crate) engine: Connection,
    pub(crate) contract: Contract,
    pub(crate) out: Output,
    /// Which exchange of the connection is on; handles of another one are void.
    pub(crate) number: u64,
    /// The receive buffer has been taken out by somebody who reads.
    being_read: bool,
    /// The output has been taken out by somebody who writes.
    being_written: bool,
    /// Somebody waits for that writer in `Link::writing`.
    writer_awaited: bool,
    /// The engine counts how long the peer takes to read.
    write_timed: bool,
    /// Somebody may wait in `Link::reading`.
    pub(crate) reader_awaited: bool,
    /// Writing has failed, which no later write can mend.
    pub(crate) failed: Option<Failure>,
}

/// Why nothing reaches the peer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Gone,
    TooSlow,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Gone => PeerError::Disconnected.into(),
            Failure::TooSlow => PeerError::TooSlow.into(),
        }
    }
}

/// What the driver has taken out of the state between two exchanges: what waits to be written, and
/// what is read into.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) out: Output,
    pub(crate) buffer: BytesMut,
}

/// How a read ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// The engine has more bytes, or the peer's end.
    Some,
    /// A deadline has passed.
    TimedOut(Option<Timeout>),
}

impl State {
    /// Takes out what is written from and read into between two exchanges, if nobody else is at it
    /// and the peer keeps up. Tells whether it has.
    pub(crate) fn take_out(&mut self, taken: &mut Taken) -> bool {
        if self.being_read || self.being_written || self.write_timed || self.failed.is_some() {
            return false;
        }
        self.being_read = true;
        self.being_written = true;
        mem::swap(&mut self.out, &mut taken.out);
        taken.buffer = self.engine.take_buffer();
        true
    }

    /// Puts that back, when everything has been written. `read` is how the read ended.
    pub(crate) fn put_taken_back(
        &mut self,
        taken: &mut Taken,
        read: io::Result<usize>,
        now: impl FnOnce() -> Instant,
    ) -> io::Result<Read> {
        // Between exchanges nobody queues anything.
        debug_assert!(self.out.is_empty() && taken.out.is_empty());
        self.being_written = false;
        mem::swap(&mut self.out, &mut taken.out);
        self.has_read(mem::take(&mut taken.buffer), read, now)
    }

    /// Puts back what has been read into, and tells the engine what came of it.
    fn has_read(
        &mut self,
        buffer: BytesMut,
        read: io::Result<usize>,
        now: impl FnOnce() -> Instant,
    ) -> io::Result<Read> {
        self.being_read = false;
        self.engine.receive(buffer);
        match read {
            Ok(0) => self.engine.receive_eof(),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Ok(Read::TimedOut(self.time_out(now())));
            }
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        Ok(Read::Some)
    }

    /// Notes that a deadline has passed, and tells whose.
    pub(crate) fn time_out(&mut self, now: Instant) -> Option<Timeout> {
        let timeout = self.engine.handle_timeout(now);
        if timeout == Some(Timeout::Write) {
            self.failed = Some(Failure::TooSlow);
        }
        timeout
    }
}

impl<T: Transport> Link<T> {
    pub(crate) fn new(transport: T, service: Arc<Service>, info: ConnectionInfo) -> Link<T> {
        let engine = Connection::new(Arc::clone(&service.config));
        Link {
            transport,
            service,
            info,
            state: Mutex::new(State {
                engine,
                contract: Contract::default(),
                out: Output::default(),
                number: 0,
                being_read: false,
                being_written: false,
                writer_awaited: false,
                write_timed: false,
                reader_awaited: false,
                failed: None,
            }),
            reading: Arc::default(),
            writing: Waiters::default(),
        }
    }

    /// No code that can panic half way runs under the lock, so a poisoned one is sound.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` on the contract and a wire to put its results on.
    pub(crate) fn with_wire<R>(
        &self,
        state: &mut State,
        f: impl FnOnce(&mut Contract, &mut EngineWire<'_>) -> R,
    ) -> R {
        let mut wire = EngineWire {
            engine: &mut state.engine,
            out: &mut state.out,
            server: self.service.server_header.then_some(&*self.info.server.software),
            unix_seconds: self.transport.unix_seconds(),
            draining: self.transport.is_draining(),
            failed: &mut state.failed,
        };
        f(&mut state.contract, &mut wire)
    }

    /// Lets the hooks of the application see a head that is about to be sent with `body`, with the
    /// lock released. `number` is the exchange's.
    pub(crate) fn run_head_hooks(&self, number: u64, head: &mut Head, body: &Body) -> Result<()> {
        let hooks = self.of(number)?.contract.take_head_hooks(head, body)?;
        let Some(mut hooks) = hooks else { return Ok(()) };
        let outcome = hooks.run(head);
        self.of(number)?.contract.put_back(hooks);
        outcome
    }

    /// The state, while the exchange `number` is on and something can still reach the peer.
    pub(crate) fn of(&self, number: u64) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.number != number {
            return Err(ApplicationError::ExchangeOver.into());
        }
        match state.failed {
            Some(failure) => Err(failure.into()),
            None => Ok(state),
        }
    }

    /// Reads once for the engine. `exchange` is the one that is on, so that several parties may wait
    /// for the peer; once it is over, its handles read nothing.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        phase: Phase,
        exchange: Option<u64>,
    ) -> Poll<io::Result<Read>> {
        let shared = exchange.is_some();
        let (mut buffer, deadline) = {
            let mut state = self.lock();
            // Under the same lock as what follows: a late reader must not take the place, and the
            // waker, of one that waits for the next request.
            if exchange.is_some_and(|number| number != state.number) {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            }
            if state.being_read {
                // A handle that outlived its exchange reads on a thread of its own. What it gets is
                // the engine's, and it wakes us when it has handed it over.
                self.reading.register(cx.waker());
                state.reader_awaited = true;
                return Poll::Pending;
            }
            state.being_read = true;
            state.reader_awaited |= shared;
            (state.engine.take_buffer(), state.engine.poll_timeout(self.transport.now()))
        };
        self.transport.note(phase, deadline);
        let polled = if shared {
            self.reading.poll(cx, |cx| self.transport.poll_read(cx, &mut buffer))
        } else {
            self.transport.poll_read(cx, &mut buffer)
        };
        let read = match polled {
            Poll::Pending => {
                self.put_back(buffer);
                return Poll::Pending;
            }
            Poll::Ready(read) => self.lock().has_read(buffer, read, || self.transport.now()),
        };
        if shared {
            self.reading.wake_all();
        }
        Poll::Ready(read)
    }

    /// Puts back what was taken out to read into, where nothing has been read.
    pub(crate) fn put_back(&self, buffer: BytesMut) {
        let mut state = self.lock();
        state.being_read = false;
        state.engine.receive(buffer);
    }

    /// Ready when everything queued has been handed to the transport.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_flush_of(cx, None)
    }

    /// The same for a handle of an exchange, which fails when that is over: its waker would be
    /// nobody's between exchanges.
    pub(crate) fn poll_flush_of(
        &self,
        cx: &mut Context<'_>,
        exchange: Option<u64>,
    ) -> Poll<Result<()>> {
        let mut waited = false;
        loop {
            let (out, deadline) = {
                let mut state = self.lock();
                if exchange.is_some_and(|number| number != state.number) {
                    return Poll::Ready(Err(ApplicationError::ExchangeOver.into()));
                }
                if let Some(failure) = state.failed {
                    return Poll::Ready(Err(failure.into()));
                }
                if state.being_written {
                    self.writing.register(cx.waker());
                    state.writer_awaited = true;
                    return Poll::Pending;
                }
                if state.out.is_empty() {
                    if waited {
                        let deadline = state.engine.poll_timeout(self.transport.now());
                        self.transport.note(Phase::Exchange, deadline);
                    }
                    return Poll::Ready(Ok(()));
                }
                state.being_written = true;
                let now = waited.then(|| self.transport.now());
                (mem::take(&mut state.out), now.and_then(|now| state.engine.poll_timeout(now)))
            };
            // At first without waiting: then it takes no deadline and no clock.
            let written = if waited {
                self.transport.note(Phase::Writing, deadline);
                self.transport.poll_write(cx, &out)
            } else {
                Poll::Ready(self.transport.try_write(&out))
            };
            let pending = written.is_pending();
            let drained = self.give_back_output(out, written);
            if pending {
                return Poll::Pending;
            }
            waited = !drained;
        }
    }

    /// Writes what the transport takes without waiting; what is left goes with the next write.
    /// Tells whether nothing is left.
    pub(crate) fn try_flush(&self) -> Result<bool> {
        let out = {
            let mut state = self.lock();
            if let Some(failure) = state.failed {
                return Err(failure.into());
            }
            if state.being_written || state.out.is_empty() {
                return Ok(state.out.is_empty());
            }
            state.being_written = true;
            mem::take(&mut state.out)
        };
        let written = self.transport.try_write(&out);
        let drained = self.give_back_output(out, Poll::Ready(written));
        Ok(drained)
    }

    /// Puts back what was not written, before what was queued meanwhile. Tells whether all is out.
    pub(crate) fn give_back_output(
        &self,
        mut out: Output,
        written: Poll<io::Result<usize>>,
    ) -> bool {
        let written = match written {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Poll::Ready(Ok(0))
            }
            written => written,
        };
        // What has gone is dropped without the lock, and so is what is given up: bytes may have an
        // owner of the application's.
        if let Poll::Ready(Ok(n)) = written {
            out.advance(n);
        }
        let mut state = self.lock();
        state.being_written = false;
        match written {
            Poll::Pending => {}
            Poll::Ready(Ok(n)) => {
                let pending = out.len() + state.out.len();
                if pending > 0 || state.write_timed {
                    state.engine.sent(n, pending, self.transport.now());
                    state.write_timed = pending > 0;
                }
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                // It may be the reading side that is late, whose reader will be told.
                let _ = state.time_out(self.transport.now());
            }
            Poll::Ready(Err(_)) => state.failed = Some(Failure::Gone),
        }
        let lost = state.failed.is_some().then(|| (mem::take(&mut out), mem::take(&mut state.out)));
        mem::swap(&mut state.out, &mut out);
        if !out.is_empty() {
            state.out.append(mem::take(&mut out));
        }
        let drained = state.out.is_empty();
        let awaited = mem::take(&mut state.writer_awaited);
        drop(state);
        drop(lost);
        if awaited {
            self.writing.wake_all();
        }
        drained
    }
}
