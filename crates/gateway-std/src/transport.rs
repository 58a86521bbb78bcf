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

/// A blocking socket. Who waits for the next request does so in recv(2), and who waits for anything
/// else in poll(2), up to the connection's deadline.
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
    fn until_ready<R>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let socket = self.socket();
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
            if self.is_late(interest) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            if socket.waiting.is_driven() && socket.waiting.register(interest, cx.waker()) {
                return Poll::Pending;
            }
            let events = match interest {
                Interest::Write => PollFlags::OUT,
                Interest::Read | Interest::Gone => PollFlags::IN | PollFlags::RDHUP,
            };
            if let Err(error) = socket.wait(events, self.until_deadline()) {
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Whether the deadline has passed, if it is about this direction.
    fn is_late(&self, interest: Interest) -> bool {
        (self.slot.phase() == Phase::Writing) == (interest == Interest::Write)
            && self.until_deadline() == Some(Duration::ZERO)
    }

    /// Asks the clock: whoever wants to know is about to wait.
    fn until_deadline(&self) -> Option<Duration> {
        self.slot.remaining(self.shared.clock.refresh())
    }

    /// What nothing more to read means: the peer's end, or that the reading side was ended for
    /// being idle too long, or when a request had just come, whose body is still to be read.
    #[cold]
    fn end_of_input(&self, into: &mut BytesMut) -> io::Result<usize> {
        let socket = self.socket();
        if !socket.is_read_ended() {
            return Ok(0);
        }
        if self.slot.is_overdue(self.shared.clock.refresh()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match self.slot.phase() {
            // It blocks, also while a future is driven: nothing else tells of these bytes, and the
            // body's deadline bounds it.
            Phase::Exchange => socket.receive_after_end(into, || self.until_deadline()),
            _ => Ok(0),
        }
    }
}

impl Transport for StdTransport {
    #[inline]
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        let socket = self.socket();
        let received = if self.slot.phase() == Phase::Idle && !socket.waiting.is_driven() {
            // One call for the next request. The acceptor ends this if it takes too long.
            match socket.receive(into, true) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.until_ready(cx, Interest::Read, || socket.receive(into, false))
                }
                received => Poll::Ready(received),
            }
        } else {
            self.until_ready(cx, Interest::Read, || socket.receive(into, false))
        };
        match received {
            Poll::Ready(Ok(0)) => Poll::Ready(self.end_of_input(into)),
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
        if self.shared.is_draining() && matches!(phase, Phase::Idle | Phase::Head) {
            self.socket().end_reading();
        }
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
