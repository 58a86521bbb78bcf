//! Upgrades as tower services know them: hyper's `OnUpgrade`.
//!
//! Only a connection of hyper can make an `OnUpgrade`. So where a request offers an upgrade, hyper
//! serves a request of its own, over a line that leads nowhere, and its `OnUpgrade` goes to the
//! service. When the service has accepted, hyper is let answer 101, which the line swallows; then
//! the line becomes the real connection, which hyper hands to whoever waits. No byte is copied
//! between tasks, and hyper sees no bytes of the peer before it hands them on.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use gateway_core::bytes::Bytes;
use gateway_core::http::{self, Extensions, StatusCode};
use gateway_core::{Body, BoxFuture, Environ, ReasonPhrase, Response, Result, Upgraded};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;

/// What hyper reads of the line before the service has accepted.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: line\r\n\r\n";

/// The end of the head that hyper writes then.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The most that is read at a time, in bytes.
const PIECE: usize = 8 * 1024;

/// The peer's offer of an upgrade, if there is one.
pub(super) struct Offer(Option<Box<Handshake>>);

/// Hyper's part of it.
struct Handshake {
    hyper: BoxFuture<()>,
    on_upgrade: Option<OnUpgrade>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    accepted: AtomicBool,
    on_upgrade: Mutex<Option<OnUpgrade>>,
    upgraded: Mutex<Option<Upgraded>>,
}

impl Offer {
    pub(super) fn of(environ: &Environ) -> Offer {
        Offer(environ.upgrade().map(|_| Box::new(Handshake::begin())))
    }

    pub(super) fn attach(&mut self, extensions: &mut Extensions) {
        let on_upgrade = self.0.as_mut().and_then(|handshake| handshake.on_upgrade.take());
        if let Some(on_upgrade) = on_upgrade {
            extensions.insert(on_upgrade);
        }
    }

    /// Gives the connection, once it has left HTTP, to whoever holds the `OnUpgrade`. A 101 that
    /// nobody asked for is refused by the contract.
    pub(super) fn accept(self, response: Response) -> Result<Response> {
        let Some(handshake) = self.0 else { return Ok(response) };
        Ok(response.with_body(Body::upgrade_async(|upgraded| handshake.finish(upgraded))))
    }
}

/// A reason phrase that was set as hyper has it.
pub(super) fn say_reason(response: &mut Response, extensions: &Extensions) -> Result<()> {
    if let Some(reason) = extensions.get::<hyper::ext::ReasonPhrase>() {
        let phrase = ReasonPhrase::new(Bytes::copy_from_slice(reason.as_bytes()))?;
        response.head_mut()?.reason = Some(phrase);
    }
    Ok(())
}

impl Handshake {
    fn begin() -> Handshake {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let service = service_fn(move |request| {
            *lock(&seen.on_upgrade) = Some(hyper::upgrade::on(request));
            let seen = Arc::clone(&seen);
            async move {
                // Hyper is polled again when this has changed, so nobody needs a waker.
                poll_fn(|_| match seen.accepted.load(Ordering::Acquire) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                let mut response = http::Response::new(String::new());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                Ok::<_, Infallible>(response)
            }
        });
        let line = Line { unread: REQUEST, matched: 0, shared: Arc::clone(&shared), open: None };
        let connection = http1::Builder::new().serve_connection(line, service).with_upgrades();
        let mut hyper: BoxFuture<()> = Box::pin(async move {
            // It fails only where the peer has gone, and then the `OnUpgrade` says so.
            let _ = connection.await;
        });
        // The request is there already: the first poll gets as far as the service above.
        let _ = hyper.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let on_upgrade = lock(&shared.on_upgrade).take();
        Handshake { hyper, on_upgrade, shared }
    }

    async fn finish(self: Box<Self>, upgraded: Upgraded) {
        *lock(&self.shared.upgraded) = Some(upgraded);
        self.shared.accepted.store(true, Ordering::Release);
        self.hyper.await;
    }
}

/// What hyper takes for a connection: nothing at first, the real one when 101 has been said.
struct Line {
    unread: &'static [u8],
    /// How much of [`HEAD_END`] has been written last.
    matched: usize,
    shared: Arc<Shared>,
    open: Option<Upgraded>,
}

impl Line {
    /// Swallows hyper's head; behind it the line is open. Tells how much of `from` was taken.
    fn swallow(&mut self, from: &[u8]) -> usize {
        for (at, &byte) in from.iter().enumerate() {
            self.matched = match byte == HEAD_END[self.matched] {
                true => self.matched + 1,
                false => usize::from(byte == HEAD_END[0]),
            };
            if self.matched == HEAD_END.len() {
                self.open = lock(&self.shared.upgraded).take();
                return at + 1;
            }
        }
        from.len()
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(upgraded) = &self.open else {
            if self.unread.is_empty() {
                // Whoever reads what the peer sends reads anew.
                return Poll::Pending;
            }
            let (now, later) = self.unread.split_at(into.remaining().min(self.unread.len()));
            into.put_slice(now);
            self.unread = later;
            return Poll::Ready(Ok(()));
        };
        let mut piece = [0; PIECE];
        let wanted = into.remaining().min(PIECE);
        upgraded.poll_read(cx, &mut piece[..wanted]).map_ok(|read| into.put_slice(&piece[..read]))
    }
}

impl Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &self.open {
            Some(upgraded) => upgraded.poll_write(cx, from),
            None => Poll::Ready(Ok(self.swallow(from))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open.as_ref().map_or(Poll::Ready(Ok(())), |upgraded| upgraded.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open.as_ref().map_or(Poll::Ready(Ok(())), |upgraded| upgraded.poll_shutdown(cx))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
