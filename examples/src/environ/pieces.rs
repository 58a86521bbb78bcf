//! Bodies whose data are at hand.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::bytes::Bytes;
use gateway_core::http_body::{Body, Frame, SizeHint};

/// An iterator that neither blocks nor waits, as a body that no server needs a worker for.
pub(super) struct Pieces<I> {
    pieces: I,
    /// How much is to come, where that is known.
    left: Option<u64>,
}

impl<I> Pieces<I> {
    pub(super) fn new(pieces: I) -> Pieces<I> {
        Pieces { pieces, left: None }
    }

    /// The same with a declared length.
    pub(super) fn with_len(self, len: u64) -> Pieces<I> {
        Pieces { left: Some(len), ..self }
    }
}

/// `piece` again and again, `len` bytes in all.
pub(super) fn repeat(piece: Bytes, len: u64) -> impl Iterator<Item = io::Result<Bytes>> + Unpin {
    let mut left = len;
    std::iter::from_fn(move || {
        // What a piece holds fits its length.
        let next = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        left -= next as u64;
        (next > 0).then(|| Ok(piece.slice(..next)))
    })
}

impl<I> Body for Pieces<I>
where
    I: Iterator<Item = io::Result<Bytes>> + Unpin,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = self.pieces.next();
        if let (Some(left), Some(Ok(data))) = (&mut self.left, &piece) {
            *left = left.saturating_sub(data.len() as u64);
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
