//! Bodies that are compressed where it may block: on a thread, or by a worker.

use std::io;
use std::os::unix::fs::FileExt;

use gateway_core::bytes::{Bytes, BytesMut};
use gateway_core::{FileBody, IterBody};

use super::PIECE;
use super::encoder::Encoder;

/// Items, compressed as they are asked for.
pub(super) struct CompressedItems {
    items: IterBody,
    /// Gone after the end and after an error.
    encoder: Option<Encoder>,
    /// What an item had beyond one piece.
    rest: Bytes,
    /// Whether each item goes out as it comes.
    flushes: bool,
}

impl CompressedItems {
    /// Of an application: the next item may take long, so each goes out before it is asked for.
    pub(super) fn of_application(items: IterBody, encoder: Encoder) -> CompressedItems {
        CompressedItems { items, encoder: Some(encoder), rest: Bytes::new(), flushes: true }
    }

    /// Of data that are all there.
    pub(super) fn at_hand(
        items: impl Iterator<Item = io::Result<Bytes>> + Send + 'static,
        encoder: Encoder,
    ) -> CompressedItems {
        let items = Box::new(items);
        CompressedItems { items, encoder: Some(encoder), rest: Bytes::new(), flushes: false }
    }

    fn step(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(encoder) = &mut self.encoder else { return Ok(None) };
            if self.rest.is_empty() {
                match self.items.next().transpose()? {
                    Some(data) if data.is_empty() => continue,
                    Some(data) => self.rest = data,
                    None => return self.encoder.take().map(Encoder::finish).transpose(),
                }
            }
            let piece = self.rest.split_to(self.rest.len().min(PIECE));
            let mut ready = encoder.write(&piece)?;
            if self.flushes && self.rest.is_empty() {
                ready = [ready, encoder.flush()?].concat().into();
            }
            if !ready.is_empty() {
                return Ok(Some(ready));
            }
        }
    }
}

impl Iterator for CompressedItems {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let step = self.step();
        if step.is_err() {
            self.encoder = None;
        }
        step.transpose()
    }
}

/// The data of a file, which fails where it is no longer what the body expects. The file's own
/// position is neither used nor moved.
pub(super) fn pieces(mut body: FileBody) -> impl Iterator<Item = io::Result<Bytes>> + Send {
    std::iter::from_fn(move || {
        let wanted = usize::try_from(body.len).unwrap_or(usize::MAX).min(PIECE);
        if wanted == 0 {
            return None;
        }
        let mut piece = BytesMut::zeroed(wanted);
        // Too short a file is an error here as it is where the server sends it.
        let read = body.file.read_exact_at(&mut piece, body.offset);
        body.offset += wanted as u64;
        body.len -= wanted as u64;
        let is_last = body.len == 0;
        let kept = read.and_then(|()| if is_last { body.check() } else { Ok(()) });
        Some(kept.map(|()| piece.freeze()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::Coding;

    #[test]
    fn nothing_comes_behind_an_error() {
        let items = [Err(io::Error::other("dry")), Ok(Bytes::from_static(b"more"))].into_iter();
        let mut items =
            CompressedItems::of_application(Box::new(items), Encoder::new(Coding::Gzip));
        assert!(items.next().is_some_and(|item| item.is_err()));
        assert!(items.next().is_none(), "an end would make it look whole");
    }
}
