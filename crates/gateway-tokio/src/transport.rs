//! One connection as the driver sees it.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BytesMut;
use gateway_connection::{Phase, Slot, Transport};
use gateway_core::ServerError;
use gateway_http1::Output;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::Shutdown;

use crate::buffers::{self, LARGE, SMALL};
use crate::clock::Clock;
use crate::job::Outcome;
use crate::place;
use crate::send::{send, send_file};
use crate::signals::{CLOSED, CUT, DUE, END, Party, Signals};
use crate::socket::Socket;
use crate::turn::Turn;
use crate::waiting;
use crate::workers::Workers;

/// A socket on a reactor.
///
/// It has no timer of its own: the server looks at all deadlines every now and then and raises
/// [`DUE`], so that a request costs two stores and a new connection nothing.
pub(crate) struct TokioTransport<S> {
    socket: S,
    slot: Arc<Slot<Signals>>,
    workers: Arc<Workers>,
    clock: Arc<Clock>,
    turn: Turn,
    /// Bytes may be there that the reactor does not tell of (again). Whoever puts it up does so
    /// before the reactor forgets them, and whoever reads takes it down before reading and looks at
    /// it again before waiting: so no bytes are missed, on whatever threads the two are.
    unread: AtomicBool,
    /// The socket took every write whole so far, so the reactor need not be asked, which may not
    /// know yet that a new one takes bytes.
    takes_all: AtomicBool,
}

impl<S: Socket> TokioTransport<S> {
    /// `socket` is a new connection: its first read and write do not wait for the reactor's news.
    pub(crate) fn new(
        socket: S,
        slot: Arc<Slot<Signals>>,
        workers: Arc<Workers>,
        clock: Arc<Clock>,
    ) -> TokioTransport<S> {
        TokioTransport {
            socket,
            slot,
            workers,
            clock,
            turn: Turn::default(),
            unread: AtomicBool::new(true),
            takes_all: AtomicBool::new(true),
        }
    }

    fn signals(&self) -> &Signals {
        self.slot.end()
    }

    /// Makes room in `into` and tells how much: little for heads, much for a body that fills it.
    fn make_room(&self, into: &mut BytesMut) -> usize {
        let body = self.turn.last_was_full() && self.slot.phase() == Phase::Exchange;
        let (wanted, least) = if body { (LARGE, LARGE / 2) } else { (SMALL, SMALL / 8) };
        if into.capacity() - into.len() < least {
            if into.is_empty() {
                let small = std::mem::replace(into, buffers::take(wanted));
                buffers::give(small);
            } else {
                into.reserve(wanted);
            }
        }
        into.capacity() - into.len()
    }

    /// Nothing is there to be read: the buffer is given up, and whoever waits is told what else
    /// happens.
    fn wait_to_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.turn.begin();
        let up = self.signals().wait(Party::Reader, cx.waker());
        if up != 0
            && let Poll::Ready(outcome) = self.interrupted(up)
        {
            return Poll::Ready(self.read_at_last(into, outcome));
        }
        if into.is_empty() {
            buffers::give(std::mem::take(into));
        }
        waiting::for_the_peer();
        Poll::Pending
    }

    /// Reads what is there though the reactor did not tell yet; if nothing is, it is `outcome`.
    #[cold]
    fn read_at_last(&self, into: &mut BytesMut, outcome: io::Result<()>) -> io::Result<usize> {
        if outcome.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::TimedOut) {
            return outcome.map(|()| 0);
        }
        let room = self.make_room(into);
        match receive(&self.socket, into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => outcome.map(|()| 0),
            received => received.inspect(|read| self.has_read(*read == room, true)),
        }
    }

    #[inline]
    fn has_read(&self, full: bool, direct: bool) {
        if direct && full {
            self.unread.store(true, Release);
        }
        self.turn.read(full, self.slot.phase());
    }

    /// Waits for room to write. Before the deadline ends that, `send` is tried once more: a reactor
    /// tells of room when a third of the socket's buffer is free, which a slow reader of a large
    /// buffer may not bring about in time.
    fn wait_to_write(
        &self,
        cx: &mut Context<'_>,
        send: impl FnOnce() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.turn.begin();
        let up = self.signals().wait(Party::Writer, cx.waker()) & !END;
        if up != 0
            && let Poll::Ready(Err(why)) = self.interrupted(up)
        {
            if why.kind() != io::ErrorKind::TimedOut {
                return Poll::Ready(Err(why));
            }
            return Poll::Ready(match send() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(why),
                sent => sent.inspect(|sent| self.turn.wrote(*sent)),
            });
        }
        waiting::for_the_peer();
        Poll::Pending
    }

    /// What the flags mean to somebody who would have to wait: an error, an end, or nothing.
    #[cold]
    fn interrupted(&self, up: u8) -> Poll<io::Result<()>> {
        if up & (CUT | CLOSED) != 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if up & DUE != 0 {
            if self.slot.is_overdue(self.clock.now()) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.signals().lower(DUE);
        }
        if up & END != 0
            && matches!(self.slot.phase(), Phase::Idle | Phase::Head)
            && (self.slot.is_evicted() || !self.slot.is_spared(self.clock.now()))
        {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Writes by `send`, which sends up to `wanted` bytes; that is 0 where a short write does not
    /// tell that the socket is full.
    fn write(&self, wanted: usize, send: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        if self.turn.has_written_enough() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = if self.takes_all.load(Relaxed) {
            let outcome = send();
            if !outcome.as_ref().is_ok_and(|written| *written >= wanted) {
                self.takes_all.store(false, Relaxed);
            }
            outcome?
        } else {
            self.socket.try_write(wanted, send)?
        };
        self.turn.wrote(written);
        Ok(written)
    }

    /// Tries `send` until it does not fail with `WouldBlock`, and waits for the peer in between.
    fn poll_until(
        &self,
        cx: &mut Context<'_>,
        wanted: usize,
        send: impl Fn() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let outcome = loop {
            match self.write(wanted, &send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => break outcome,
            }
            ready!(self.turn.poll_write(cx));
            match self.socket.poll_writable(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Pending => break ready!(self.wait_to_write(cx, &send)),
            }
        };
        waiting::no_more();
        Poll::Ready(outcome)
    }

    fn poll_read_in_turn(
        &self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut direct = self.is_unread();
            if !direct {
                match self.socket.poll_readable(cx) {
                    Poll::Ready(outcome) => outcome?,
                    // Somebody who looked for the peer's end may have made the reactor forget.
                    Poll::Pending if self.is_unread() => direct = true,
                    Poll::Pending => return self.wait_to_read(cx, into),
                }
            }
            let room = self.make_room(into);
            let outcome =
                if direct { receive(&self.socket, into) } else { self.socket.try_read(into) };
            match outcome {
                Ok(read) => {
                    self.has_read(read == room, direct);
                    return Poll::Ready(Ok(read));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Whether to read unasked. Takes the flag down, so it is to be done then.
    #[inline]
    fn is_unread(&self) -> bool {
        self.unread.load(Relaxed) && self.unread.swap(false, Acquire)
    }
}

impl<S: Socket> Transport for TokioTransport<S> {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        ready!(self.turn.poll_read(cx));
        let outcome = ready!(self.poll_read_in_turn(cx, into));
        waiting::no_more();
        Poll::Ready(outcome)
    }

    fn poll_write(&self, cx: &mut Context<'_>, out: &Output) -> Poll<io::Result<usize>> {
        let first = out.first();
        self.poll_until(cx, out.len(), || send(&self.socket, first, out))
    }

    fn try_write(&self, out: &Output) -> io::Result<usize> {
        let first = out.first();
        self.write(out.len(), || send(&self.socket, first, out))
    }

    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: &File,
        offset: u64,
        len: u64,
    ) -> Poll<io::Result<u64>> {
        let sent = self.poll_until(cx, 0, || send_file(&self.socket, file, offset, len));
        sent.map_ok(|sent| sent as u64)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.socket, Shutdown::Write)?)
    }

    fn close(&self, abort: bool) {
        // They fail where the peer was faster; closed is closed.
        let _ = if abort && S::RESETS {
            // The peer sees the reset at once, also while other handles keep the socket open.
            rustix::net::connect_unspec(&self.socket)
        } else {
            rustix::net::shutdown(&self.socket, Shutdown::Both)
        };
        self.signals().raise(CLOSED);
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.socket.poll_readable(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {
                    return match self.signals().wait(Party::Reader, cx.waker()) & CLOSED {
                        0 => Poll::Pending,
                        _ => Poll::Ready(()),
                    };
                }
            }
            if self.socket.reading_side().is_read_closed() {
                return Poll::Ready(());
            }
            // Only data: whoever reads next has to look for it unasked.
            self.unread.store(true, Release);
            self.socket.forget_readable();
        }
    }

    fn is_gone(&self) -> bool {
        if self.signals().flags() & CLOSED != 0 {
            return true;
        }
        let mut asked = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut asked, Some(&now)).is_ok_and(|n| n > 0)
    }

    #[inline]
    fn now(&self) -> Instant {
        self.clock.now()
    }

    #[inline]
    fn unix_seconds(&self) -> u64 {
        self.clock.unix_seconds()
    }

    #[inline]
    fn note(&self, phase: Phase, deadline: Option<Instant>) {
        // The deadline is reckoned from a time that was asked for; when the phase began may be told
        // a little early.
        self.slot.note_late(phase, deadline, 0, self.clock.millis());
    }

    fn is_draining(&self) -> bool {
        self.signals().flags() & END != 0
    }

    async fn drive<R: Send>(
        &self,
        future: impl Future<Output = R> + Send,
    ) -> Result<R, ServerError> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(value) = place::on_reactor(|| future.as_mut().poll(cx)) {
                return Poll::Ready(Ok(value));
            }
            self.poll_cut(cx).map(Err)
        })
        .await
    }

    fn work<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, ServerError>> + Send {
        self.outcome(self.workers.run(job))
    }

    fn go_on<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, ServerError>> + Send {
        self.outcome(self.workers.go_on(job))
    }

    fn may_block(&self) -> bool {
        // Whoever asks is about to wait, and so did not wait until now.
        waiting::no_more();
        place::may_block()
    }

    fn on_reactor<R>(&self, call: impl FnOnce() -> R) -> R {
        place::on_reactor(call)
    }
}

impl<S: Socket> TokioTransport<S> {
    /// What comes of a job, unless the server's patience ends before.
    fn outcome<F: Send, R: Send>(
        &self,
        mut outcome: Outcome<F, R>,
    ) -> impl Future<Output = Result<R, ServerError>> + Send {
        poll_fn(move |cx| match Pin::new(&mut outcome).poll(cx) {
            Poll::Pending => self.poll_cut(cx).map(Err),
            outcome => outcome,
        })
    }

    fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<ServerError> {
        match self.slot.end().wait(Party::Driver, cx.waker()) & CUT {
            0 => Poll::Pending,
            _ => Poll::Ready(ServerError::ShuttingDown),
        }
    }
}

/// Reads once without asking the reactor.
fn receive<S: Socket>(socket: &S, into: &mut BytesMut) -> io::Result<usize> {
    let before = into.len();
    into.resize(into.capacity(), 0);
    let received = rustix::net::recv(socket, &mut into[before..], rustix::net::RecvFlags::empty());
    into.truncate(before + received.map_or(0, |(_, read)| read));
    Ok(received?.1)
}

#[cfg(test)]
mod tests;
