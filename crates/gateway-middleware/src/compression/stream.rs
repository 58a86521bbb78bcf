//! Bodies that are compressed as they are polled.

use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::bytes::Bytes;
use gateway_core::http::HeaderMap;
use gateway_core::http_body::{Body, Frame};
use gateway_core::{BoxError, StreamBody};

use super::PIECE;
use super::encoder::Encoder;

/// A stream, compressed as it is polled. What it has given goes out as soon as it is pending.
pub(super) struct CompressedStream {
    stream: StreamBody,
    /// Gone after the end and after an error.
    encoder: Option<Encoder>,
    /// What a frame had beyond one piece.
    rest: Bytes,
    /// Whether the encoder has taken something that it has not been asked to give.
    is_holding: bool,
    trailers: Option<HeaderMap>,
}

impl CompressedStream {
    pub(super) fn new(stream: StreamBody, encoder: Encoder) -> CompressedStream {
        CompressedStream {
            stream,
            encoder: Some(encoder),
            rest: Bytes::new(),
            is_holding: false,
            trailers: None,
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, BoxError>> {
        let mut has_compressed = 0;
        loop {
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(Ok(self.trailers.take().map(Frame::trailers)));
            };
            let ready = if self.rest.is_empty() {
                match self.stream.as_mut().poll_frame(cx) {
                    Poll::Pending if !self.is_holding => return Poll::Pending,
                    Poll::Pending => {
                        self.is_holding = false;
                        // The stream has the waker, and this is polled again in any case.
                        match encoder.flush()? {
                            nothing if nothing.is_empty() => return Poll::Pending,
                            ready => ready,
                        }
                    }
                    Poll::Ready(None) => self.finish()?,
                    Poll::Ready(Some(frame)) => match frame?.into_data() {
                        Ok(data) => {
                            self.rest = data;
                            Bytes::new()
                        }
                        Err(frame) => {
                            self.trailers = frame.into_trailers().ok();
                            self.finish()?
                        }
                    },
                }
            } else if has_compressed >= PIECE {
                // Others wait for the thread.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            } else {
                let piece = self.rest.split_to(self.rest.len().min(PIECE));
                has_compressed += piece.len();
                self.is_holding = true;
                encoder.write(&piece)?
            };
            if !ready.is_empty() {
                return Poll::Ready(Ok(Some(Frame::data(ready))));
            }
        }
    }

    fn finish(&mut self) -> std::io::Result<Bytes> {
        self.encoder.take().map_or(Ok(Bytes::new()), Encoder::finish)
    }
}

impl Body for CompressedStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let step = std::task::ready!(self.poll_step(cx));
        if step.is_err() {
            self.encoder = None;
        }
        Poll::Ready(step.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }
}
