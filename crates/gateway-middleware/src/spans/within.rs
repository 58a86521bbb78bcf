//! Code of the application, run within its span.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::bytes::Bytes;
use gateway_core::http_body::{self, Frame, SizeHint};
use gateway_core::{Body, BoxError, BoxFuture, IterBody, Reply, StreamBody};
use tracing::Span;

/// Runs what is left of `reply` within `span`, and its body as well.
pub(super) fn span(span: Span, reply: Reply) -> Reply {
    match reply {
        Reply::Ready(outcome) => {
            Reply::Ready(outcome.map(|response| response.map_body(|body| body_within(span, body))))
        }
        Reply::Pending(work) => Reply::Pending(Box::pin(FutureWithin { work: Some(work), span })),
        Reply::Blocking(job) => Reply::Blocking(Box::new(move || {
            let reply = span.in_scope(job);
            self::span(span, reply)
        })),
    }
}

fn body_within(span: Span, body: Body) -> Body {
    match body {
        Body::Iter(items) => Body::iter(ItemsWithin { items: Some(items), span }),
        Body::Stream(stream) => Body::stream(StreamWithin { stream: Some(stream), span }),
        other => other,
    }
}

struct FutureWithin {
    work: Option<BoxFuture<Reply>>,
    span: Span,
}

impl Future for FutureWithin {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        let entered = this.span.enter();
        let Some(work) = &mut this.work else { return Poll::Pending };
        let Poll::Ready(reply) = work.as_mut().poll(cx) else { return Poll::Pending };
        this.work = None;
        drop(entered);
        Poll::Ready(span(this.span.clone(), reply))
    }
}

impl Drop for FutureWithin {
    fn drop(&mut self) {
        let FutureWithin { work, span } = self;
        span.in_scope(|| drop(work.take()));
    }
}

struct ItemsWithin {
    items: Option<IterBody>,
    span: Span,
}

impl Iterator for ItemsWithin {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let ItemsWithin { items, span } = self;
        span.in_scope(|| items.as_mut()?.next())
    }
}

impl Drop for ItemsWithin {
    fn drop(&mut self) {
        let ItemsWithin { items, span } = self;
        span.in_scope(|| drop(items.take()));
    }
}

struct StreamWithin {
    stream: Option<StreamBody>,
    span: Span,
}

impl http_body::Body for StreamWithin {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let StreamWithin { stream, span } = &mut *self;
        span.in_scope(|| match stream {
            Some(stream) => stream.as_mut().poll_frame(cx),
            None => Poll::Ready(None),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for StreamWithin {
    fn drop(&mut self) {
        let StreamWithin { stream, span } = self;
        span.in_scope(|| drop(stream.take()));
    }
}
