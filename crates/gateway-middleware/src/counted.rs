//! A request body that is counted on its way.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use gateway_core::bytes::Bytes;
use gateway_core::http_body::{Body, Frame, SizeHint};
use gateway_core::{Environ, Error, Input};

/// Counts what the application reads of its request's body. Nothing is put around a body that has
/// ended before it began.
pub(crate) fn count_input(environ: &mut Environ) -> Arc<AtomicU64> {
    let received = Arc::new(AtomicU64::new(0));
    if !environ.input().is_end() && environ.input().declared_len() != Some(0) {
        let bytes = Arc::clone(&received);
        environ.wrap_input(|input| Counted { input, bytes });
    }
    received
}

struct Counted {
    input: Input,
    bytes: Arc<AtomicU64>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.input).poll_frame(cx)).transpose()?;
        if let Some(data) = frame.as_ref().and_then(Frame::data_ref) {
            self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame.map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        self.input.size_hint()
    }
}
