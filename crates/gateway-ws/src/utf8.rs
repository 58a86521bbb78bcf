//! Whether a text that comes in pieces is UTF-8.

/// The end of a piece may be the beginning of a character.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    begun: [u8; 4],
    length: usize,
}

/// It is not, and never will be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

impl Utf8 {
    /// Looks at the next piece.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with the piece that has the first byte that cannot be right.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.length > 0
            && let Some((byte, rest)) = piece.split_first()
        {
            self.begun[self.length] = *byte;
            self.length += 1;
            piece = rest;
            match std::str::from_utf8(&self.begun[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return Err(Invalid),
                Err(_) => {}
            }
        }
        if let Err(error) = std::str::from_utf8(piece) {
            if error.error_len().is_some() {
                return Err(Invalid);
            }
            // What is begun has at most three bytes.
            let begun = &piece[error.valid_up_to()..];
            self.begun[..begun.len()].copy_from_slice(begun);
            self.length = begun.len();
        }
        Ok(())
    }

    /// Whether it may end here.
    pub(crate) fn is_complete(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first piece that is wrong, if any, and whether the text may end.
    fn outcome<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Option<usize>, bool) {
        let mut utf8 = Utf8::default();
        let wrong = pieces.enumerate().find_map(|(n, piece)| utf8.push(piece).err().map(|_| n));
        (wrong, utf8.is_complete())
    }

    #[test]
    fn pieces_of_any_size_are_judged_like_the_whole() {
        let texts: [&[u8]; 8] = [
            b"",
            b"plain",
            "κόσμε 😀 €".as_bytes(),
            b"\xce",
            b"caf\xc3 ",
            b"\xf0\x9f\x98\x80\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
        ];
        for text in texts {
            let whole = std::str::from_utf8(text);
            for size in 1..=text.len().max(1) {
                let (wrong, complete) = outcome(text.chunks(size));
                assert_eq!(wrong.is_none() && complete, whole.is_ok(), "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn the_wrong_byte_is_found_with_its_piece() {
        assert_eq!(outcome(b"caf\xc3 !".chunks(1)).0, Some(4));
        assert_eq!(outcome(b"\xce\xba\xf4\x90\x80\x80".chunks(1)).0, Some(3));
        assert_eq!(outcome(b"\xe0\x80".chunks(1)).0, Some(1));
    }
}
