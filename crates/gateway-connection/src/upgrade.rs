//! A connection after HTTP.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use gateway_core::{Duplex, Result, Upgrade, Upgraded};
use gateway_handler::caught;

use crate::link::Link;
use crate::wakers::Waiters;
use crate::{Phase, Transport};

/// Gives the connection to `upgrade` and returns when nobody holds it any more.
pub(crate) async fn upgrade<T: Transport>(link: Arc<Link<T>>, upgrade: Upgrade) -> Result<()> {
    poll_fn(|cx| link.poll_flush(cx)).await?;
    let rest = link.lock().engine.into_rest();
    link.transport.note(Phase::Exchange, None);
    let end = Arc::new(End::default());
    let upgraded = Upgraded::new(Arc::new(Taken {
        link: Arc::clone(&link),
        rest: Mutex::new(rest),
        end: Arc::clone(&end),
    }));
    let outcome = match upgrade {
        Upgrade::Blocking(protocol) => {
            link.transport.work(move || caught(|| protocol(upgraded))).await?
        }
        Upgrade::Future(protocol) => {
            let mut future = caught(|| protocol(upgraded))?;
            let poll = poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
                Ok(poll) => poll.map(Ok),
                Err(error) => Poll::Ready(Err(error)),
            });
            link.transport.drive(poll).await?
        }
        _ => Ok(()),
    };
    // A half may live on in another thread or task.
    link.transport.drive(poll_fn(|cx| end.poll(cx))).await?;
    outcome
}

/// What the protocol holds.
struct Taken<T> {
    link: Arc<Link<T>>,
    /// What the peer sent behind its request, then the buffer to read into.
    rest: Mutex<BytesMut>,
    end: Arc<End>,
}

impl<T: Transport> Duplex for Taken<T> {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = {
            let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *rest)
        };
        let polled = if buffer.is_empty() {
            self.link.transport.poll_read(cx, &mut buffer).map_ok(drop)
        } else {
            Poll::Ready(Ok(()))
        };
        let n = buffer.len().min(into.len());
        into[..n].copy_from_slice(&buffer[..n]);
        buffer.advance(n);
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = buffer;
        polled.map_ok(|()| n)
    }

    fn poll_write(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        // Queued only when what came before has gone: the queue does not grow.
        ready!(self.poll_flush(cx))?;
        self.link.lock().out.push_slice(from);
        self.link.try_flush()?;
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.link.poll_flush(cx));
        Poll::Ready(flushed.map_err(io::Error::from))
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Poll::Ready(self.link.transport.shutdown_write())
    }

    fn may_block(&self) -> bool {
        self.link.transport.may_block()
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        self.end.reached.store(true, Ordering::Release);
        self.end.waiters.wake_all();
    }
}

/// The moment when the last half is dropped.
#[derive(Default)]
struct End {
    reached: AtomicBool,
    waiters: Waiters,
}

impl End {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiters.register(cx.waker());
        if self.reached.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}
