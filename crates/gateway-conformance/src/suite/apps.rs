//! Pieces that the suite's applications are made of.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::{io, thread};

use bytes::Bytes;
use gateway_core::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use gateway_core::http_body::{self, Frame};
use gateway_core::{Application, Body, Environ, Response, Result, StartResponse, inline};

use super::witness::Witness;

/// A 200 with a plain text.
pub(super) fn text(start_response: StartResponse, text: impl Into<Body>) -> Response {
    start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text)
}

/// Answers every request with the same text.
pub(super) fn saying(words: &'static str) -> impl Application {
    inline(move |_, start_response| Ok(text(start_response, words)))
}

/// Answers with what `tell` makes of the request, without blocking.
pub(super) fn telling(
    tell: impl Fn(&mut Environ) -> String + Send + Sync + 'static,
) -> impl Application {
    inline(move |mut environ, start_response| {
        let words = tell(&mut environ);
        Ok(text(start_response, words))
    })
}

/// Answers with the body that `make` makes.
pub(super) fn answering<B: Into<Body>>(
    make: impl Fn() -> B + Send + Sync + 'static,
) -> impl Application {
    inline(move |_, start_response| Ok(text(start_response, make())))
}

/// Answers with a function that may block.
pub(super) fn blocking<F>(f: F) -> F
where
    F: Fn(Environ, StartResponse) -> Result<Response> + Send + Sync + 'static,
{
    f
}

/// Data of an iterator that notes its drop as `body dropped`.
pub(super) fn iterated<I>(witness: &Witness, items: I) -> Body
where
    I: IntoIterator<Item = io::Result<Bytes>>,
    I::IntoIter: Send + 'static,
{
    let (token, mut items) = (witness.token("body"), items.into_iter());
    Body::iter(std::iter::from_fn(move || {
        let _ = &token;
        items.next()
    }))
}

/// Data without an error among them.
pub(super) fn data<const N: usize>(
    items: [&'static str; N],
) -> impl Iterator<Item = io::Result<Bytes>> + Send + 'static {
    items.into_iter().map(|item| Ok(Bytes::from_static(item.as_bytes())))
}

/// An error in the place of data.
pub(super) fn broken() -> io::Result<Bytes> {
    Err(io::Error::other("the disk is on fire"))
}

/// Frames in their order, as a body that is polled; before each comes a wake-up that it has to wait
/// for. It notes its drop as `body dropped`.
pub(super) fn streamed(witness: &Witness, frames: Vec<io::Result<Frame<Bytes>>>) -> Body {
    let token = witness.token("body");
    Body::stream(Frames { frames: frames.into_iter(), waits: false, _token: token })
}

/// Frames of data.
pub(super) fn frames(
    items: impl Iterator<Item = io::Result<Bytes>>,
) -> Vec<io::Result<Frame<Bytes>>> {
    items.map(|item| item.map(Frame::data)).collect()
}

/// A frame with one trailer.
pub(super) fn trailer(name: &'static str, value: &'static str) -> io::Result<Frame<Bytes>> {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, gateway_core::http::HeaderValue::from_static(value));
    Ok(Frame::trailers(trailers))
}

struct Frames<T> {
    frames: std::vec::IntoIter<io::Result<Frame<Bytes>>>,
    waits: bool,
    _token: T,
}

impl<T: Unpin> http_body::Body for Frames<T> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.waits = !self.waits;
        if self.waits {
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake());
            return Poll::Pending;
        }
        Poll::Ready(self.frames.next())
    }
}
