//! Frame headers, judged as they come.
//!
//! tungstenite judges a frame when all of it is there, so it buffers what cannot be right, and it
//! takes lengths that are longer than they need be. RFC 6455 wants such a connection failed. This
//! looks at the headers only and copies nothing.

/// How a peer breaks the framing of RFC 6455; it is told with code 1002.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// §5.2: a reserved bit, for which an extension would be needed.
    #[error("a frame has a reserved bit set, and no extension was agreed on")]
    ReservedBits,
    /// §5.2: an opcode without meaning.
    #[error("a frame has the opcode {0}, which has no meaning")]
    Opcode(u8),
    /// §5.1: a client masks.
    #[error("a frame is not masked, as a client's must be")]
    Unmasked,
    /// §5.4: a continuation of nothing.
    #[error("a frame continues a message that was not begun")]
    NothingToContinue,
    /// §5.4: a message within another.
    #[error("a message begins before the one before it has ended")]
    Unfinished,
    /// §5.5: control frames are whole.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// §5.5: control frames have at most 125 bytes.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// §5.2: the shortest form of the length, of at most 63 bits.
    #[error("a frame's length is not in its shortest form")]
    Length,
    /// §5.5.1: a close has no content, or two bytes and more.
    #[error("a close frame has one byte")]
    CloseFrame,
}

/// Follows the frames of one peer.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    header: [u8; 14],
    /// How many bytes of the header there are.
    filled: usize,
    /// What is left of the payload.
    payload: u64,
    in_message: bool,
    violation: Option<Violation>,
}

impl Guard {
    /// How many of `bytes` belong to frames that are right: all, or those before the frame which is
    /// not.
    ///
    /// # Errors
    ///
    /// When the first of them is wrong, or one was before.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        let (mut at, mut frame_at) = (0, 0);
        while at < bytes.len() {
            if self.payload > 0 {
                let skipped = self.payload.min((bytes.len() - at) as u64);
                self.payload -= skipped;
                at += skipped as usize;
                continue;
            }
            if self.filled == 0 {
                frame_at = at;
            }
            if let Err(violation) = self.push(bytes[at]) {
                self.violation = Some(violation);
                return if frame_at == 0 { Err(violation) } else { Ok(frame_at) };
            }
            at += 1;
        }
        Ok(bytes.len())
    }

    fn push(&mut self, byte: u8) -> Result<(), Violation> {
        self.header[self.filled] = byte;
        self.filled += 1;
        match self.filled {
            1 => return self.check_first(byte),
            2 => return self.check_second(byte),
            _ => {}
        }
        let length = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if length > 0 && self.filled == 2 + length {
            self.check_length(length)?;
        }
        if self.filled == 2 + length + 4 {
            self.payload = match length {
                0 => u64::from(self.header[1] & 0x7f),
                _ => self.long_length(length),
            };
            self.filled = 0;
        }
        Ok(())
    }

    fn check_first(&mut self, byte: u8) -> Result<(), Violation> {
        if byte & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        let is_final = byte & 0x80 != 0;
        match byte & 0x0f {
            0 if !self.in_message => return Err(Violation::NothingToContinue),
            1 | 2 if self.in_message => return Err(Violation::Unfinished),
            0..=2 => self.in_message = !is_final,
            8..=10 if !is_final => return Err(Violation::FragmentedControl),
            8..=10 => {}
            opcode => return Err(Violation::Opcode(opcode)),
        }
        Ok(())
    }

    fn check_second(&self, byte: u8) -> Result<(), Violation> {
        if byte & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        let is_control = self.header[0] & 0x08 != 0;
        match byte & 0x7f {
            126.. if is_control => Err(Violation::LongControl),
            1 if self.header[0] & 0x0f == 8 => Err(Violation::CloseFrame),
            _ => Ok(()),
        }
    }

    fn check_length(&self, length: usize) -> Result<(), Violation> {
        let range = match length {
            2 => 126..=u64::from(u16::MAX),
            _ => u64::from(u16::MAX) + 1..=i64::MAX as u64,
        };
        if range.contains(&self.long_length(length)) { Ok(()) } else { Err(Violation::Length) }
    }

    fn long_length(&self, length: usize) -> u64 {
        self.header[2..2 + length].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [u8; 9] = [0x81, 0x83, 1, 2, 3, 4, b'a', b'b', b'c'];

    fn outcome(bytes: &[u8]) -> Result<usize, Violation> {
        Guard::default().pass(bytes)
    }

    #[test]
    fn frames_that_are_right_pass_in_any_pieces() {
        let mut long = vec![0x82, 0xfe, 0, 200, 0, 0, 0, 0];
        long.resize(8 + 200, 7);
        let all = [&GOOD[..], &long, &GOOD, &[0x89, 0x80, 0, 0, 0, 0]].concat();
        for piece in [1, 2, 3, 7, 100, all.len()] {
            let mut guard = Guard::default();
            for bytes in all.chunks(piece) {
                assert_eq!(guard.pass(bytes), Ok(bytes.len()));
            }
            assert_eq!((guard.filled, guard.payload, guard.in_message), (0, 0, false));
        }
    }

    #[test]
    fn what_came_before_a_violation_passes() {
        let bytes = [&GOOD[..], &[0xc1, 0x80, 0, 0, 0, 0]].concat();
        let mut guard = Guard::default();
        assert_eq!(guard.pass(&bytes), Ok(GOOD.len()));
        assert_eq!(guard.pass(&[]), Err(Violation::ReservedBits));
        assert_eq!(guard.pass(&GOOD), Err(Violation::ReservedBits));
    }

    #[test]
    fn a_violation_is_found_with_its_byte() {
        let cases: &[(&[u8], Violation)] = &[
            (&[0x91], Violation::ReservedBits),
            (&[0x83], Violation::Opcode(3)),
            (&[0x8b], Violation::Opcode(11)),
            (&[0x81, 0x03], Violation::Unmasked),
            (&[0x80], Violation::NothingToContinue),
            (&[0x09], Violation::FragmentedControl),
            (&[0x89, 0xfe], Violation::LongControl),
            (&[0x89, 0xff], Violation::LongControl),
            (&[0x88, 0x81], Violation::CloseFrame),
            (&[0x82, 0xfe, 0, 125], Violation::Length),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Violation::Length),
            (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], Violation::Length),
            (&[0x01, 0x80, 0, 0, 0, 0, 0x01], Violation::Unfinished),
            (&[0x01, 0x80, 0, 0, 0, 0, 0x80, 0x80, 0, 0, 0, 0, 0x80], Violation::NothingToContinue),
        ];
        for (bytes, violation) in cases {
            let mut guard = Guard::default();
            for byte in &bytes[..bytes.len() - 1] {
                assert_eq!(guard.pass(&[*byte]), Ok(1), "{violation}");
            }
            assert_eq!(guard.pass(&bytes[bytes.len() - 1..]), Err(*violation));
            assert!(matches!(outcome(bytes), Err(_) | Ok(1..)));
        }
    }

    #[test]
    fn the_longest_and_shortest_of_each_form_pass() {
        for header in [
            &[0x82, 0xfd, 0, 0, 0, 0][..],
            &[0x82, 0xfe, 0, 126, 0, 0, 0, 0],
            &[0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0],
            &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        ] {
            assert_eq!(outcome(header), Ok(header.len()));
        }
    }
}
