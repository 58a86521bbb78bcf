//! Frames, judged as they come.
//!
//! tungstenite judges a frame when all of it is there, so it buffers what cannot be right, and it
//! takes lengths that are longer than they need be. RFC 6455 wants such a connection failed. This
//! looks at headers, and at whether a text is UTF-8, while the bytes pass.

use crate::utf8::Utf8;

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

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Violation(#[from] Violation),
    #[error("a text is no UTF-8")]
    NotUtf8,
}

/// Follows the frames of one peer.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    header: [u8; 14],
    /// How many bytes of the header there are.
    filled: usize,
    /// What is left of the payload.
    payload: u64,
    /// How much of the payload has passed, which tells where in the mask it is.
    passed: u64,
    in_message: bool,
    /// The text of the message that is on, if it is one.
    text: Option<Utf8>,
    fault: Option<Fault>,
}

impl Guard {
    /// How many of `bytes` belong to frames that are right: all, or those before the frame which is
    /// not.
    ///
    /// # Errors
    ///
    /// When the first of them is wrong, or one was before.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (mut at, mut frame_at) = (0, 0);
        while at < bytes.len() {
            let checked = if self.payload > 0 {
                let length = self.payload.min((bytes.len() - at) as u64) as usize;
                let piece = &bytes[at..at + length];
                at += length;
                self.check_payload(piece)
            } else {
                if self.filled == 0 {
                    frame_at = at;
                }
                at += 1;
                self.push(bytes[at - 1])
            };
            if let Err(fault) = checked {
                self.fault = Some(fault);
                return if frame_at == 0 { Err(fault) } else { Ok(frame_at) };
            }
        }
        Ok(bytes.len())
    }

    fn push(&mut self, byte: u8) -> Result<(), Fault> {
        self.header[self.filled] = byte;
        self.filled += 1;
        match self.filled {
            1 => return Ok(self.check_first(byte)?),
            2 => return Ok(self.check_second(byte)?),
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
            self.passed = 0;
            // The mask is where the payload finds it.
            self.header.copy_within(2 + length..2 + length + 4, 2);
            self.filled = 0;
            if self.payload == 0 {
                return self.end_frame();
            }
        }
        Ok(())
    }

    fn check_payload(&mut self, piece: &[u8]) -> Result<(), Fault> {
        if let Some(text) = &mut self.text
            && !is_control(self.header[0])
        {
            let mut plain = [0; 512];
            for part in piece.chunks(plain.len()) {
                let plain = &mut plain[..part.len()];
                for (plain, byte) in plain.iter_mut().zip(part) {
                    *plain = byte ^ self.header[2 + (self.passed & 3) as usize];
                    self.passed += 1;
                }
                text.push(plain).map_err(|_| Fault::NotUtf8)?;
            }
        }
        self.payload -= piece.len() as u64;
        if self.payload == 0 { self.end_frame() } else { Ok(()) }
    }

    fn end_frame(&mut self) -> Result<(), Fault> {
        if is_control(self.header[0]) || self.in_message {
            return Ok(());
        }
        match self.text.take() {
            Some(text) if !text.is_complete() => Err(Fault::NotUtf8),
            _ => Ok(()),
        }
    }

    fn check_first(&mut self, byte: u8) -> Result<(), Violation> {
        if byte & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        let is_final = byte & 0x80 != 0;
        match byte & 0x0f {
            0 if !self.in_message => return Err(Violation::NothingToContinue),
            1 | 2 if self.in_message => return Err(Violation::Unfinished),
            opcode @ 0..=2 => {
                self.in_message = !is_final;
                if opcode == 1 {
                    self.text = Some(Utf8::default());
                }
            }
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
        match byte & 0x7f {
            126.. if is_control(self.header[0]) => Err(Violation::LongControl),
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

fn is_control(first: u8) -> bool {
    first & 0x08 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [u8; 9] = [0x81, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3];

    fn outcome(bytes: &[u8]) -> Result<usize, Fault> {
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
        assert_eq!(guard.pass(&[]), Err(Violation::ReservedBits.into()));
        assert_eq!(guard.pass(&GOOD), Err(Violation::ReservedBits.into()));
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
            assert_eq!(guard.pass(&bytes[bytes.len() - 1..]), Err((*violation).into()));
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

    /// Frames of `payloads`, masked, the first with `opcode`, with a ping after each.
    fn fragments(opcode: u8, payloads: &[&[u8]]) -> Vec<u8> {
        let mask = [0xa5, 0x0f, 0xff, 0x81];
        let fragment = |(n, payload): (usize, &&[u8])| {
            let fin = if n + 1 == payloads.len() { 0x80 } else { 0 };
            let opcode = if n == 0 { opcode } else { 0 };
            let mut frame = vec![opcode | fin, 0x80 | payload.len() as u8];
            frame.extend_from_slice(&mask);
            frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
            frame.extend_from_slice(&[0x89, 0x81, 0, 0, 0, 0, 0xff]);
            frame
        };
        payloads.iter().enumerate().flat_map(fragment).collect()
    }

    #[test]
    fn a_text_is_utf_8_however_it_is_divided() {
        let text = "κόσμε 😀".as_bytes();
        for at in 0..=text.len() {
            let bytes = fragments(1, &[&text[..at], b"", &text[at..]]);
            for piece in [1, 2, 3, bytes.len()] {
                let mut guard = Guard::default();
                for piece in bytes.chunks(piece) {
                    assert_eq!(guard.pass(piece), Ok(piece.len()));
                }
            }
        }
    }

    #[test]
    fn a_text_is_refused_with_the_byte_that_is_wrong() {
        let bytes = fragments(1, &[b"ok", b"caf\xc3 !"]);
        let wrong = bytes.len() - 7 - 2;
        let mut guard = Guard::default();
        for byte in &bytes[..wrong] {
            assert_eq!(guard.pass(&[*byte]), Ok(1));
        }
        assert_eq!(guard.pass(&bytes[wrong..=wrong]), Err(Fault::NotUtf8));
        // Bytes are bytes.
        let bytes = fragments(2, &[b"ok", b"caf\xc3 !"]);
        assert_eq!(outcome(&bytes), Ok(bytes.len()));
    }

    #[test]
    fn a_text_ends_with_a_whole_character() {
        for payloads in [&[&b"caf\xc3"[..]][..], &[b"caf\xc3", b""]] {
            let bytes = fragments(1, payloads);
            let mut guard = Guard::default();
            let passed: Vec<_> = bytes.iter().map(|byte| guard.pass(&[*byte])).collect();
            assert!(passed.contains(&Err(Fault::NotUtf8)));
        }
    }
}
