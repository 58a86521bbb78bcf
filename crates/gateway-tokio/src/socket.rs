//! The two kinds of stream sockets as one.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

/// A nonblocking stream socket that is registered with a reactor.
pub(crate) trait Socket: AsFd + Send + Sync + 'static {
    /// Whether an aborted connection is seen as such by the peer.
    const RESETS: bool;

    /// Ready when there is something to read as far as the reactor knows.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when there is room to write as far as the reactor knows.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads once into the room of `into`.
    ///
    /// A read that does not fill the room has emptied the socket, and says so to the reactor: the
    /// next call costs no system call, unless something has come since.
    fn try_read(&self, into: &mut BytesMut) -> io::Result<usize>;

    /// Writes once by `write`, which tells how many bytes went out of the `wanted` ones. As with
    /// reading, a short write has filled the socket; where it need not have, `wanted` is 0.
    fn try_write(
        &self,
        wanted: usize,
        write: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize>;

    /// What the reactor knows of the reading side.
    fn reading_side(&self) -> Ready;

    /// Forgets that there is something to read, so that
    /// [`poll_readable`](Socket::poll_readable) waits for news.
    fn forget_readable(&self);
}

macro_rules! socket {
    ($stream:ty, resets: $resets:literal) => {
        impl Socket for $stream {
            const RESETS: bool = $resets;

            #[inline]
            fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            #[inline]
            fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            fn try_read(&self, into: &mut BytesMut) -> io::Result<usize> {
                let room = into.capacity() - into.len();
                let mut read = 0;
                let outcome = self.try_io(Interest::READABLE, || {
                    read = self.try_read_buf(into)?;
                    complete(read, room)
                });
                moved(read, outcome)
            }

            fn try_write(
                &self,
                wanted: usize,
                write: impl FnOnce() -> io::Result<usize>,
            ) -> io::Result<usize> {
                let mut written = 0;
                let outcome = self.try_io(Interest::WRITABLE, || {
                    written = write()?;
                    complete(written, wanted)
                });
                moved(written, outcome)
            }

            fn reading_side(&self) -> Ready {
                let ready = pin!(self.ready(Interest::READABLE));
                match ready.poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Ok(ready)) => ready,
                    // The reactor is gone, and so is whatever the peer may do.
                    Poll::Ready(Err(_)) => Ready::READ_CLOSED,
                    Poll::Pending => Ready::EMPTY,
                }
            }

            fn forget_readable(&self) {
                let _ = self
                    .try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            }
        }
    };
}

socket!(TcpStream, resets: true);
socket!(UnixStream, resets: false);

/// `try_io` forgets the readiness that it saw before its call when the outcome is `WouldBlock`: so
/// that is the outcome of a short call, too. News that came during the call stay.
#[inline]
fn complete(moved: usize, wanted: usize) -> io::Result<()> {
    if moved > 0 && moved < wanted {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(())
}

#[inline]
fn moved(bytes: usize, outcome: io::Result<()>) -> io::Result<usize> {
    match outcome {
        Err(error) if bytes == 0 => Err(error),
        _ => Ok(bytes),
    }
}
