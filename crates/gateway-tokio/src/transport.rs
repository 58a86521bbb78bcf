//! One connection as the driver sees it.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Instant, UNIX_EPOCH};

use bytes::BytesMut;
use gateway_connection::{Phase, Slot, Transport};
use gateway_core::ServerError;
use gateway_http1::Output;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::Shutdown;

use crate::buffers::{self, LARGE, SMALL};
use crate::place;
use crate::send::{send, send_file};
use crate::signals::{CLOSED, CUT, DUE, END, Party, Signals};
use crate::socket::Socket;
use crate::turn::Turn;
use crate::workers::Workers;

/// A socket on a reactor.
///
/// It has no timer of its own: the server looks at all deadlines every now and then and raises
/// [`DUE`], so that a request costs two stores and a new connection nothing.
pub(crate) struct TokioTransport<S> {
    socket: S,
    slot: Arc<Slot<Signals>>,
    workers: Arc<Workers>,
    turn: Turn,
    /// Bytes may be there that the reactor does not tell of (again).
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
    ) -> TokioTransport<S> {
        TokioTransport {
            socket,
            slot,
            workers,
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
        if into.is_empty() {
            buffers::give(std::mem::take(into));
        }
        match self.signals().wait(Party::Reader, cx.waker()) {
            0 => Poll::Pending,
            up => {
                ready!(self.interrupted(up))?;
                Poll::Ready(Ok(0))
            }
        }
    }

    fn wait_to_write(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.turn.begin();
        match self.signals().wait(Party::Writer, cx.waker()) & !END {
            0 => Poll::Pending,
            up => match self.interrupted(up) {
                Poll::Ready(Err(error)) => Poll::Ready(error),
                _ => Poll::Pending,
            },
        }
    }

    /// What the flags mean to somebody who would have to wait: an error, an end, or nothing.
    #[cold]
    fn interrupted(&self, up: u8) -> Poll<io::Result<()>> {
        if up & (CUT | CLOSED) != 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if up & DUE != 0 {
            if self.slot.is_overdue(now()) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.signals().lower(DUE);
        }
        if up & END != 0 && matches!(self.slot.phase(), Phase::Idle | Phase::Head) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Writes by `write`, which sends up to `wanted` bytes; that is 0 where a short write does not
    /// tell that the socket is full.
    fn write(&self, wanted: usize, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        if self.turn.has_written_enough() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = if self.takes_all.load(Relaxed) {
            let outcome = write();
            if !outcome.as_ref().is_ok_and(|written| *written >= wanted) {
                self.takes_all.store(false, Relaxed);
            }
            outcome?
        } else {
            self.socket.try_write(wanted, write)?
        };
        self.turn.wrote(written);
        Ok(written)
    }

    /// Tries `write` until it does not fail with `WouldBlock`, and waits for the peer in between.
    fn poll_until(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
            ready!(self.turn.poll_write(cx));
            match self.socket.poll_writable(cx) {
                Poll::Ready(outcome) => outcome?,
                Poll::Pending => return self.wait_to_write(cx).map(Err),
            }
        }
    }
}

impl<S: Socket> Transport for TokioTransport<S> {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        ready!(self.turn.poll_read(cx));
        loop {
            let direct = self.unread.load(Relaxed);
            if !direct {
                match self.socket.poll_readable(cx) {
                    Poll::Ready(outcome) => outcome?,
                    Poll::Pending => return self.wait_to_read(cx, into),
                }
            }
            let room = self.make_room(into);
            let outcome = if direct {
                self.unread.store(false, Relaxed);
                receive(&self.socket, into)
            } else {
                self.socket.try_read(into)
            };
            match outcome {
                Ok(read) => {
                    let full = read == room;
                    self.unread.store(direct && full, Relaxed);
                    self.turn.read(full, self.slot.phase());
                    return Poll::Ready(Ok(read));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, out: &Output) -> Poll<io::Result<usize>> {
        self.poll_until(cx, || self.try_write(out))
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
        let sent =
            self.poll_until(cx, || self.write(0, || send_file(&self.socket, file, offset, len)));
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
            self.unread.store(true, Relaxed);
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

    fn now(&self) -> Instant {
        now()
    }

    fn unix_seconds(&self) -> u64 {
        UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
    }

    fn note(&self, phase: Phase, deadline: Option<Instant>) {
        self.slot.note(phase, deadline, now());
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
        let mut outcome = self.workers.run(job);
        poll_fn(move |cx| match Pin::new(&mut outcome).poll(cx) {
            Poll::Pending => self.poll_cut(cx).map(Err),
            outcome => outcome,
        })
    }

    fn may_block(&self) -> bool {
        place::may_block()
    }

    fn on_reactor<R>(&self, call: impl FnOnce() -> R) -> R {
        place::on_reactor(call)
    }
}

impl<S> TokioTransport<S> {
    fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<ServerError> {
        match self.slot.end().wait(Party::Driver, cx.waker()) & CUT {
            0 => Poll::Pending,
            _ => Poll::Ready(ServerError::ShuttingDown),
        }
    }
}

/// The time as Tokio's timers have it, so that a paused clock in a test holds for everything.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
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
