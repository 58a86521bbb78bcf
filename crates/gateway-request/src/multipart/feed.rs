//! How pieces of the body get to the parser: by a place for one.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use gateway_core::bytes::Bytes;

/// Where pieces are put, and what gives them to the parser. The parser is polled again after each, so
/// no waker is kept.
pub(super) fn feed() -> (Feed, Pieces) {
    let place = Arc::new(Mutex::new(Place::Empty));
    (Feed(Arc::clone(&place)), Pieces(place))
}

enum Place {
    Empty,
    Piece(Bytes),
    /// There will be no more.
    End,
}

/// The side that reads the body.
pub(super) struct Feed(Arc<Mutex<Place>>);

impl Feed {
    /// Puts the next piece there, or that there is none, and says how long it is. The parser has
    /// taken the one before.
    pub(super) fn put(&self, piece: Option<Bytes>) -> usize {
        let length = piece.as_ref().map_or(0, Bytes::len);
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *place = piece.map_or(Place::End, Place::Piece);
        length
    }
}

/// The parser's side.
pub(super) struct Pieces(Arc<Mutex<Place>>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *place, Place::Empty) {
            Place::Empty => Poll::Pending,
            Place::Piece(piece) => Poll::Ready(Some(Ok(piece))),
            Place::End => Poll::Ready(None),
        }
    }
}
