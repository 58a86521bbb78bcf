//! The request body, watched.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gateway_core::http_body::{self, Body as _, Frame, SizeHint};
use gateway_core::{Environ, Error, Input, Result};

use super::exchange::NOT_AFTER_END;
use super::record::Record;
use crate::{Check, Level, Rule, Topic};

pub(crate) static LIMIT_BEFORE_READ: Rule = Rule {
    id: "APP-26",
    level: Level::Must,
    topic: Topic::Input,
    text: "An application MUST set the body limit before the first read.",
    source: "design: `Input::limit`",
    mend: "call `limit` first, or give the limit to `collect`",
    check: Check::Lint,
};

pub(crate) static INPUT_IS_WHOLE: Rule = Rule {
    id: "SRV-19",
    level: Level::Must,
    topic: Topic::Input,
    text: "A server MUST let an input with a declared length bring so many bytes, or fail.",
    source: "RFC 9112 §8; PEP 3333, \"Input and Error Streams\"",
    mend: "end the input after the declared length, and fail it when the peer ends before",
    check: Check::Lint,
};

/// Puts a watched input around the one that `environ` has.
///
/// One that has ended, or that somebody has read from, stays: there is nothing to see, or its limit
/// is fixed.
pub(super) fn watch(environ: &mut Environ, record: Arc<Record>) {
    let input = environ.input();
    let left = input.size_hint().exact();
    if input.is_end() || left != input.declared_len() {
        return;
    }
    environ.wrap_input(|input| WatchedInput { input, left, record });
}

/// The server's input, counted.
struct WatchedInput {
    input: Input,
    /// How much is to come, where it is known.
    left: Option<u64>,
    record: Arc<Record>,
}

impl WatchedInput {
    fn count(&mut self, data: &Bytes) {
        let Some(left) = self.left else { return };
        self.left = Some(left.saturating_sub(data.len() as u64));
        if data.len() as u64 > left {
            self.record.report(&INPUT_IS_WHOLE, "the input brings more than was declared");
        }
    }

    fn end(&self) {
        if let Some(left) = self.left.filter(|left| *left > 0) {
            self.record.report(&INPUT_IS_WHOLE, format_args!("it ended {left} bytes too early"));
        }
    }
}

impl http_body::Body for WatchedInput {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.record.facts().over {
            self.record.report(&NOT_AFTER_END, "the input was read after the end");
        }
        let frame = ready!(Pin::new(&mut self.input).poll_frame(cx));
        match &frame {
            None => self.end(),
            Some(Err(_)) => {}
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.count(data);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.input.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.input.size_hint()
    }
}
