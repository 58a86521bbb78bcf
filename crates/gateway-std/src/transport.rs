//! One connection, as the driver sees it.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use gateway_connection::{Phase, Slot, Transport};
use gateway_core::ServerError;
use gateway_http1::Output;
use rustix::event::PollFlags;

use crate::drive::{Interest, drive, in_poll};
use crate::shared::Shared;
use crate::socket::Socket;

/// A blocking socket. Who waits for the next request does so in recv(2), for a tick, and who waits
/// for anything else, or longer, in poll(2), up to the connection's deadline.
///
/// Nobody has to wake a thread that waits for a request when the server wants the connection to end:
/// it looks once a tick. shutdown(2) of the reading side would wake it at once, but cannot be undone.
/// Whoever does that sees a phase that may be over: the request has come meanwhile and its body is
/// on its way. Over TCP poll(2) then tells of an end for ever, and over a Unix socket the peer cannot
/// even send it.
#[derive(Debug)]
pub(crate) struct StdTransport {
    slot: Arc<Slot<Socket>>,
    shared: Arc<Shared>,
}

impl StdTransport {
    pub(crate) fn new(slot: Arc<Slot<Socket>>, shared: Arc<Shared>) -> StdTransport {
        StdTransport { slot, shared }
    }

    fn socket(&self) -> &Socket {
        self.slot.end()
    }

    /// Repeats `attempt` until the socket is ready for it, as `interest` says.
    fn until_ready<R: Default>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let socket = self.socket();
        let events = match interest {
            Interest::Write => PollFlags::OUT,
            Interest::Read | Interest::Gone => PollFlags::IN | PollFlags::RDHUP,
        };
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
            let mut is_ready = false;
            while !is_ready {
                if self.is_late(interest) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                if interest == Interest::Read && self.gives_up() {
                    // As if it were the peer's end.
                    return Poll::Ready(Ok(R::default()));
                }
                if socket.waiting.is_driven() && socket.waiting.register(interest, cx.waker()) {
                    return Poll::Pending;
                }
                let _waits = socket.waiting.begin();
                match socket.wait(events, self.patience(interest)) {
                    Ok(there) => is_ready = !there.is_empty(),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
    }

    /// Whether the deadline has passed, if it may be about this direction. The one that somebody
    /// noted who reads covers the write as well.
    fn is_late(&self, interest: Interest) -> bool {
        (interest == Interest::Write || self.slot.phase() != Phase::Writing)
            && self.until_deadline() == Some(Duration::ZERO)
    }

    /// Whether nothing more is waited for: the server wants the connection to end, and no request is
    /// on. What is there has been read.
    fn gives_up(&self) -> bool {
        matches!(self.slot.phase(), Phase::Idle | Phase::Head)
            && self.is_draining()
            && !self.is_spared()
    }

    /// Whether it has a moment yet, though the server ends: it began its request just now.
    fn is_spared(&self) -> bool {
        !self.slot.is_evicted() && self.slot.is_spared(self.shared.clock.refresh())
    }

    /// How long to wait in one call.
    fn patience(&self, interest: Interest) -> Option<Duration> {
        let tick = self.shared.tick();
        match (interest, self.slot.phase(), self.until_deadline()) {
            (Interest::Read, Phase::Idle | Phase::Head, left) => {
                Some(left.map_or(tick, |left| left.min(tick)))
            }
            // It is about a write, and who writes sees to it.
            (_, _, Some(Duration::ZERO)) => Some(tick),
            (_, _, left) => left,
        }
    }

    /// Asks the clock: whoever wants to know is about to wait.
    fn until_deadline(&self) -> Option<Duration> {
        self.slot.remaining(self.shared.clock.refresh())
    }

    /// What nothing more to read means: the peer's end, or ours when a shutdown's time was up.
    #[cold]
    fn end_of_input(&self) -> io::Result<usize> {
        let by_us = self.socket().is_read_ended() || self.socket().is_ended();
        if by_us && self.slot.phase() == Phase::Exchange {
            // A body that we do not read to its end is not the peer's fault.
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(0)
    }
}

impl Transport for StdTransport {
    #[inline]
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        let socket = self.socket();
        let received = if self.slot.phase() == Phase::Idle && !socket.waiting.is_driven() {
            // One call for the next request.
            match socket.receive_in(into, self.shared.tick()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.until_ready(cx, Interest::Read, || socket.receive(into))
                }
                received => Poll::Ready(received),
            }
        } else {
            self.until_ready(cx, Interest::Read, || socket.receive(into))
        };
        match received {
            Poll::Ready(Ok(0)) => Poll::Ready(self.end_of_input()),
            received => received,
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, out: &Output) -> Poll<io::Result<usize>> {
        self.until_ready(cx, Interest::Write, || self.socket().send(out))
    }

    #[inline]
    fn try_write(&self, out: &Output) -> io::Result<usize> {
        self.socket().send(out)
    }

    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: &File,
        offset: u64,
        len: u64,
    ) -> Poll<io::Result<u64>> {
        self.until_ready(cx, Interest::Write, || self.socket().send_file(file, offset, len))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.socket().end_writing()
    }

    fn close(&self, abort: bool) {
        if abort {
            self.socket().reset();
        } else {
            self.socket().end();
        }
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let socket = self.socket();
        if socket.is_gone() {
            return Poll::Ready(());
        }
        if !socket.waiting.register(Interest::Gone, cx.waker()) {
            // Nobody waits for the socket just now, so the acceptor looks after it.
            self.shared.gone_awaited.store(true, Ordering::SeqCst);
        }
        Poll::Pending
    }

    fn is_gone(&self) -> bool {
        self.socket().is_gone()
    }

    #[inline]
    fn now(&self) -> Instant {
        self.shared.clock.now()
    }

    #[inline]
    fn unix_seconds(&self) -> u64 {
        self.shared.clock.unix_seconds()
    }

    #[inline]
    fn note(&self, phase: Phase, deadline: Option<Instant>) {
        // The driver reckons with a clock that may lag by a tick: nothing ends before its time.
        self.slot.note_late(phase, deadline, self.shared.tick_millis(), self.shared.clock.millis());
    }

    #[inline]
    fn is_draining(&self) -> bool {
        self.shared.is_draining() || self.slot.is_evicted()
    }

    async fn drive<R: Send>(
        &self,
        future: impl Future<Output = R> + Send,
    ) -> Result<R, ServerError> {
        drive(self.socket(), pin!(future), || self.until_deadline())
    }

    async fn work<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, ServerError> {
        Ok(job())
    }

    fn may_block(&self) -> bool {
        !in_poll()
    }
}

#[cfg(test)]
mod tests;
