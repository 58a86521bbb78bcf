//! Bodies of streams, right and wrong.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::bytes::Bytes;
use gateway_core::http::{HeaderMap, HeaderName, HeaderValue};
use gateway_core::http_body::{Body, Frame, SizeHint};

/// What a [`Frames`] does next.
pub(crate) enum Step {
    Data(&'static str),
    Trailer(&'static str),
    Fails(io::Error),
    /// Pending, and awake again at once.
    Waits,
    /// Pending for ever.
    Sleeps,
}

/// A body that takes its steps, one by one.
pub(crate) struct Frames {
    steps: VecDeque<Step>,
    hint: Option<u64>,
    says_end: bool,
}

pub(crate) fn frames<const N: usize>(steps: [Step; N]) -> Frames {
    Frames { steps: steps.into(), hint: None, says_end: false }
}

impl Frames {
    /// Tells a length.
    pub(crate) fn hint(self, len: u64) -> Frames {
        Frames { hint: Some(len), ..self }
    }

    /// Says at any time that it has ended.
    pub(crate) fn says_end(self) -> Frames {
        Frames { says_end: true, ..self }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(match self.steps.pop_front() {
            None => None,
            Some(Step::Data(data)) => Some(Ok(Frame::data(Bytes::from(data)))),
            Some(Step::Trailer(name)) => {
                let pair = (HeaderName::from_static(name), HeaderValue::from_static("1"));
                Some(Ok(Frame::trailers(HeaderMap::from_iter([pair]))))
            }
            Some(Step::Fails(error)) => Some(Err(error)),
            Some(Step::Waits) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Sleeps) => {
                self.steps.push_front(Step::Sleeps);
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.says_end
    }

    fn size_hint(&self) -> SizeHint {
        self.hint.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
