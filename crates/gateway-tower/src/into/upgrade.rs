//! What only hyper's types can say: upgrades, reason phrases, and that a peer has gone.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use gateway_core::bytes::Bytes;
use gateway_core::http::Extensions;
use gateway_core::{ApplicationError, Duplex, PeerError, ReasonPhrase, Result, Upgrade, Upgraded};
use gateway_handler::complain;
use hyper::rt::{Read, ReadBuf, Write};

use super::exchange::HostExchange;
use super::pool;

pub(super) use hyper::upgrade::OnUpgrade;

/// The host's offer to leave HTTP, if the request has one.
pub(super) fn take(extensions: &mut Extensions) -> Option<OnUpgrade> {
    extensions.remove::<OnUpgrade>()
}

/// Has a task wait for the connection and run `protocol` on it.
///
/// # Errors
///
/// When there is no runtime for the task.
pub(super) fn switch(exchange: &Arc<HostExchange>, protocol: Upgrade) -> Result<()> {
    let handle = pool::handle("switch protocols")?;
    let Some(on_upgrade) = exchange.take_on_upgrade() else {
        return Err(ApplicationError::UpgradeNotOffered.into());
    };
    let exchange = Arc::clone(exchange);
    handle.spawn(async move {
        let outcome = match on_upgrade.await {
            Ok(upgraded) => speak(protocol, upgraded).await,
            Err(_) => Err(PeerError::Disconnected.into()),
        };
        if let Err(error) = &outcome {
            complain(&exchange.info().errors, exchange.about(), error);
        }
        exchange.finish(outcome.err());
    });
    Ok(())
}

async fn speak(protocol: Upgrade, upgraded: hyper::upgrade::Upgraded) -> Result<()> {
    let upgraded = Upgraded::new(Arc::new(Taken(Mutex::new(upgraded))));
    match protocol {
        Upgrade::Blocking(protocol) => pool::run(move || protocol(upgraded))?.await,
        Upgrade::Future(protocol) => {
            let mut future = pool::on_reactor(|| protocol(upgraded))?;
            poll_fn(|cx| match pool::on_reactor(|| future.as_mut().poll(cx)) {
                Ok(polled) => polled.map(Ok),
                Err(error) => Poll::Ready(Err(error)),
            })
            .await
        }
        _ => Ok(()),
    }
}

/// Whether `error` says that the peer has gone.
pub(super) fn is_disconnect(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_closed() || error.is_canceled())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
            );
        }
        next = error.source();
    }
    false
}

pub(super) fn say_reason(extensions: &mut Extensions, reason: &ReasonPhrase) {
    let bytes = Bytes::copy_from_slice(reason.as_bytes());
    // What hyper does not take is not said.
    if let Ok(reason) = hyper::ext::ReasonPhrase::try_from(bytes) {
        extensions.insert(reason);
    }
}

/// Hyper's connection, shared by both directions. The lock is held for a poll, which does not wait.
struct Taken(Mutex<hyper::upgrade::Upgraded>);

impl Taken {
    fn lock(&self) -> MutexGuard<'_, hyper::upgrade::Upgraded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Duplex for Taken {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(into);
        ready!(Pin::new(&mut *self.lock()).poll_read(cx, read.unfilled()))?;
        Poll::Ready(Ok(read.filled().len()))
    }

    fn poll_write(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, from)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }

    fn may_block(&self) -> bool {
        pool::may_block()
    }
}
