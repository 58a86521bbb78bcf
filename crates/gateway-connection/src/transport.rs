//! What a server brings: the bytes of one connection, time, and places to run work.

use std::fs::File;
use std::future::Future;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use gateway_core::ServerError;
use gateway_http1::Output;

/// One connection as [`serve`](crate::serve) drives it: implemented once per server.
///
/// A transport is either *in place* or *reactive*. In place (threads), every poll method blocks
/// the calling thread and is always `Ready`, except while [`drive`](Transport::drive) runs: there
/// nothing may block, since other wakers must interleave. Reactive (an async runtime), poll methods
/// never block and keep the waker.
///
/// At most one party polls each of reading and writing at a time, and of several polls the last
/// waker counts; [`poll_gone`](Transport::poll_gone) belongs to the reading side, and is polled with
/// the same waker as [`poll_read`](Transport::poll_read) then. The parties may be different threads:
/// the connection's own, and those of an application.
///
/// A reactive transport so keeps two wakers, one to read and one to write. It keeps the waker before
/// it tries, so that no event falls in between, and wakes by four things: the socket, a deadline of
/// [`note`](Transport::note) that has passed, the server's wish that the connection ends, and the end
/// of its grace. Nobody else has a timer. A blocking read or write of an application polls it too, on
/// a worker of [`work`](Transport::work), and parks that thread until the waker is called.
/// [`ConnectionInfo::nonblocking`](gateway_core::exchange::ConnectionInfo::nonblocking) is true with
/// it.
///
/// The server makes a new TCP socket one without delay (`TCP_NODELAY`): responses are written whole,
/// and the last piece of one is not to wait for the peer.
///
/// A handle that an application keeps beyond its exchange keeps the transport, so the socket may stay
/// open after [`serve`](crate::serve) has returned: what a peer is to see is done by
/// [`close`](Transport::close), and not by dropping.
pub trait Transport: Send + Sync + 'static {
    /// Reads what is there, at least one byte, and appends it to `into`, for which it makes room;
    /// 0 is the peer's end.
    ///
    /// # Errors
    ///
    /// Those of the socket; of kind `TimedOut` when nothing is there and the deadline of
    /// [`note`](Transport::note) has passed. When the server wants the connection to end (drain,
    /// eviction) in [`Phase::Idle`] or [`Phase::Head`], bytes that are there are still read, and then
    /// 0 is returned; at a drain not before a head that has just begun has had its moment
    /// ([`Slot::is_spared`](crate::Slot::is_spared)). In any other phase such a wish changes nothing.
    ///
    /// When it is pending, `into` holds what it held.
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Writes some of `out`, as many slices at once as the system takes, and tells how many bytes;
    /// the caller advances `out`. Where it [is followed](Output::is_followed) at once by a file, a
    /// last small packet may be held back for that.
    ///
    /// # Errors
    ///
    /// Those of the socket; of kind `TimedOut` when the deadline has passed.
    fn poll_write(&self, cx: &mut Context<'_>, out: &Output) -> Poll<io::Result<usize>>;

    /// Like [`poll_write`](Transport::poll_write), but never waits, on any transport.
    ///
    /// # Errors
    ///
    /// Those of the socket; of kind `WouldBlock` when it takes nothing now.
    fn try_write(&self, out: &Output) -> io::Result<usize>;

    /// Sends up to `len` bytes of `file` from `offset` without copying them through user space,
    /// and tells how many; 0 when the file ends there.
    ///
    /// # Errors
    ///
    /// Those of the socket and of the file; of kind `TimedOut` when the deadline has passed.
    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: &File,
        offset: u64,
        len: u64,
    ) -> Poll<io::Result<u64>>;

    /// Ends the sending side (FIN). Reading goes on.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    fn shutdown_write(&self) -> io::Result<()>;

    /// Ends both directions at once. With `abort`, so that the peer sees a reset and not a clean
    /// end where the system can do that: over TCP by `connect` to no address (`AF_UNSPEC`; `rustix`
    /// has it as `connect_unspec`), which resets at once; or by a linger time of zero, which resets
    /// when the last descriptor is closed. A `shutdown` before either sends the clean end.
    fn close(&self, abort: bool);

    /// Ready when the peer has closed its sending side or reset the connection, also while bytes
    /// before that are unread. Reads nothing.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// The same, asked without waiting, from any thread.
    fn is_gone(&self) -> bool;

    /// The time, as exact as timeouts of seconds need it.
    fn now(&self) -> Instant;

    /// Seconds since 1970, for the Date field.
    fn unix_seconds(&self) -> u64;

    /// Notes what the connection does from now on, and when that must be over: one moving deadline.
    /// Called for every change and cheap: a server stores two values and looks at them later.
    fn note(&self, phase: Phase, deadline: Option<Instant>);

    /// Whether the server wants the connection to end (drain, eviction), so that this response
    /// should be its last.
    fn is_draining(&self) -> bool;

    /// Drives `future` to its end: awaits it on a reactor, polls it in place on a thread, where the
    /// thread then waits for the socket and for wake-ups alike.
    ///
    /// Its outcome is [`ServerError::ShuttingDown`] when the server's shutdown deadline ends it,
    /// and `future` is dropped.
    fn drive<R: Send>(
        &self,
        future: impl Future<Output = R> + Send,
    ) -> impl Future<Output = Result<R, ServerError>> + Send;

    /// Runs `job`, which may block: in place on a thread, on a worker of a bounded pool beside a
    /// reactor. `job` does not panic.
    ///
    /// Its outcome is [`ServerError::Overloaded`] when no worker and no place in the queue is
    /// free, or [`ServerError::ShuttingDown`] when the shutdown deadline comes first. A job that has
    /// not begun is dropped then, and when the future is dropped; one that runs is left to its end,
    /// on a thread that counts as [left running](gateway_core::Stopped::left_running).
    fn work<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, ServerError>> + Send;

    /// Like [`work`](Transport::work), for work that was admitted before and goes on: it is not
    /// refused because the queue is full.
    fn go_on<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, ServerError>> + Send {
        self.work(job)
    }

    /// Whether the calling thread may block until the peer acts.
    fn may_block(&self) -> bool;

    /// Runs `call`, which must not block, while this thread counts as one that may not block: the
    /// application is called and its futures are polled inside. A thread server just runs it.
    fn on_reactor<R>(&self, call: impl FnOnce() -> R) -> R {
        call()
    }
}

/// What a connection does, by which a server chooses what to end when it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a request after a response: the first to be ended.
    Idle,
    /// It has been accepted, or the head of a request is coming; unfinished.
    Head,
    /// An application runs, or its response is on its way.
    Exchange,
    /// The response's write makes no progress until the peer reads.
    Writing,
    /// It is ending: what the peer still sends is thrown away for a while.
    Closing,
}
