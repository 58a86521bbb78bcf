//! The traits that others read an [`Input`] by: blocking and polled.

use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Frame;

use super::{Input, Source};
use crate::{Error, Result};

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.rest = self.wait_data("Input::read").transpose()?.unwrap_or_default();
        } else {
            self.begin()?;
        }
        Ok(&self.rest)
    }

    fn consume(&mut self, amount: usize) {
        self.rest.advance(amount.min(self.rest.len()));
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let available = self.fill_buf()?;
        let n = available.len().min(into.len());
        into[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl http_body::Body for Input {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        match ready!(self.poll_data(cx)) {
            Some(data) => Poll::Ready(Some(data.map(Frame::data))),
            None => Poll::Ready(self.trailers.take().map(|map| Ok(Frame::trailers(*map)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_end() && self.trailers.is_none()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let rest = self.rest.len() as u64;
        match (&self.source, self.declared) {
            (Source::Ended, _) => http_body::SizeHint::with_exact(rest),
            (Source::Failed(_), _) | (_, None) => {
                let mut hint = http_body::SizeHint::new();
                hint.set_lower(rest);
                hint
            }
            (_, Some(declared)) => {
                http_body::SizeHint::with_exact(declared.saturating_sub(self.taken) + rest)
            }
        }
    }
}
