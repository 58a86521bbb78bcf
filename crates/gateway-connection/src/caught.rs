//! Replies and bodies of an application that panics.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::{BoxFuture, Reply};
use gateway_handler::caught;

/// [`caught`], for what answers a [`Reply`].
pub(crate) fn caught_reply(f: impl FnOnce() -> Reply) -> Reply {
    caught(f).unwrap_or_else(Reply::from)
}

/// A future of the application whose panic is an error, in its polls and in its drop.
pub(crate) struct CaughtFuture(pub(crate) Option<BoxFuture<Reply>>);

impl Future for CaughtFuture {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        match caught(|| future.as_mut().poll(cx)) {
            Ok(poll) => poll,
            Err(error) => Poll::Ready(error.into()),
        }
    }
}

impl Drop for CaughtFuture {
    fn drop(&mut self) {
        let future = self.0.take();
        // Its error has nowhere to go: the exchange has its outcome, or has been given up.
        let _ = caught(move || drop(future));
    }
}

/// Something of the application that is closed by being dropped, which may panic: a body, its items.
pub(crate) struct Closing<B>(pub(crate) Option<B>);

impl<B> Drop for Closing<B> {
    fn drop(&mut self) {
        let body = self.0.take();
        // The response has its outcome; closing cannot change it.
        let _ = caught(move || drop(body));
    }
}
