//! The chunked transfer coding, both ways: RFC 9112 section 7.1.

use bytes::{Buf, Bytes, BytesMut};

use crate::connection::hand_over;
use crate::scan::{is_blank, is_token, is_value};
use crate::{Error, Limits};

/// Takes chunks apart in the buffer they came in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Decoder {
    phase: Phase,
    /// The size while its line is read, then what is left of the chunk's data.
    left: u64,
    /// The length so far of the present chunk line.
    line: usize,
    /// The length so far of this body's chunk extensions.
    extensions: usize,
}

/// Where in the grammar: `chunk-size *( BWS ";" BWS name [ BWS "=" BWS value ] ) CRLF data CRLF`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Before the first digit.
    #[default]
    Start,
    Size,
    /// A blank behind the size or behind a value: only a semicolon can follow.
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escaped,
    AfterQuoted,
    /// Behind the CR of a chunk line.
    LineLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
}

/// What the buffer held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// All data that was there, however many chunks it came in.
    Data(Bytes),
    NeedData,
    /// The last chunk is over; the trailer section begins at the buffer's first byte.
    Trailers,
}

impl Decoder {
    /// Takes off the buffer what belongs to chunks. The data of all of them is moved together in
    /// place, so that a byte per chunk costs neither a buffer nor an event per byte. An error is told
    /// after the data before it.
    pub(crate) fn decode(
        &mut self,
        buffer: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Decoded, Error> {
        let bytes = &mut buffer[..];
        let (mut at, mut start, mut end) = (0, 0, 0);
        let outcome = loop {
            if self.phase == Phase::Data {
                let here = bytes.len() - at;
                let take = usize::try_from(self.left).unwrap_or(here).min(here);
                if start == end {
                    start = at;
                    end = at;
                } else if end != at {
                    bytes.copy_within(at..at + take, end);
                }
                at += take;
                end += take;
                self.left -= take as u64;
                if self.left > 0 {
                    break Ok(Decoded::NeedData);
                }
                self.phase = Phase::DataCr;
            }
            if self.phase == Phase::Trailers {
                break Ok(Decoded::Trailers);
            }
            let Some(&byte) = bytes.get(at) else { break Ok(Decoded::NeedData) };
            match self.step(byte, limits) {
                Ok(phase) => self.phase = phase,
                // The byte stays where it is, so the error is found again behind the data.
                Err(error) => break Err(error),
            }
            at += 1;
        };
        if start == end {
            buffer.advance(at);
            return outcome;
        }
        buffer.advance(start);
        let data = hand_over(buffer, end - start);
        buffer.advance(at - end);
        Ok(Decoded::Data(data))
    }

    /// One byte that is not data. Changes nothing if it is an error.
    #[inline]
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<Phase, Error> {
        let next = match (self.phase, byte) {
            (Phase::DataCr, b'\r') => return Ok(Phase::DataLf),
            (Phase::DataLf, b'\n') => return Ok(Phase::Start),
            (Phase::DataCr | Phase::DataLf, _) => return Err(Error::ChunkEnd),
            (Phase::LineLf, b'\n') => {
                self.line = 0;
                return Ok(if self.left == 0 { Phase::Trailers } else { Phase::Data });
            }
            (Phase::LineLf, _) | (_, b'\n') => return Err(Error::LineEnd),
            (Phase::Size | Phase::Name | Phase::Token | Phase::AfterQuoted, b'\r') => {
                return Ok(Phase::LineLf);
            }
            (Phase::Start | Phase::Size, _) if byte.is_ascii_hexdigit() => {
                if self.line == limits.chunk_line {
                    return Err(Error::ChunkLineTooLong);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                if self.left > i64::MAX as u64 >> 4 {
                    return Err(Error::ChunkSize);
                }
                self.left = self.left << 4 | u64::from(digit);
                self.line += 1;
                return Ok(Phase::Size);
            }
            (Phase::Start, _) => return Err(Error::ChunkSize),
            // BWS is allowed around these two, and a recipient must parse it (RFC 9110 section
            // 5.6.3). At the line's end there is none to parse.
            (
                Phase::Size
                | Phase::Name
                | Phase::AfterName
                | Phase::Token
                | Phase::AfterQuoted
                | Phase::BeforeSemicolon,
                b';',
            ) => Phase::BeforeName,
            (Phase::Name | Phase::AfterName, b'=') => Phase::BeforeValue,
            (Phase::Size | Phase::Token | Phase::AfterQuoted | Phase::BeforeSemicolon, _)
                if is_blank(byte) =>
            {
                Phase::BeforeSemicolon
            }
            (Phase::Name | Phase::AfterName, _) if is_blank(byte) => Phase::AfterName,
            (Phase::BeforeName | Phase::BeforeValue, _) if is_blank(byte) => self.phase,
            (Phase::Size, _) => return Err(Error::ChunkSize),
            (Phase::BeforeName | Phase::Name, _) if is_token(byte) => Phase::Name,
            (Phase::BeforeValue | Phase::Token, _) if is_token(byte) => Phase::Token,
            (Phase::BeforeValue, b'"') => Phase::Quoted,
            (Phase::Quoted, b'"') => Phase::AfterQuoted,
            (Phase::Quoted, b'\\') => Phase::Escaped,
            (Phase::Quoted | Phase::Escaped, _) if is_value(byte) => Phase::Quoted,
            // A blank that no semicolon follows stands behind the size, as far as one can tell.
            (Phase::BeforeSemicolon, _) => return Err(Error::ChunkSize),
            _ => return Err(Error::ChunkExtension),
        };
        if self.line == limits.chunk_line {
            return Err(Error::ChunkLineTooLong);
        }
        if self.extensions == limits.chunk_extensions {
            return Err(Error::ChunkExtensionsTooLarge);
        }
        self.line += 1;
        self.extensions += 1;
        Ok(next)
    }
}

/// Writes a chunk's line: the size in hexadecimal digits.
#[inline]
pub(crate) fn push_size(out: &mut Vec<u8>, size: usize) {
    let mut digits = [0; 18];
    let mut at = 16;
    let mut rest = size;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    digits[16..].copy_from_slice(b"\r\n");
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All data up to the trailers or the error, and what is left of the bytes.
    fn decode(input: &[u8], piece: usize, limits: &Limits) -> (Vec<u8>, Option<Error>, Vec<u8>) {
        let mut decoder = Decoder::default();
        let (mut buffer, mut data) = (BytesMut::new(), Vec::new());
        let mut pieces = input.chunks(piece);
        loop {
            match decoder.decode(&mut buffer, limits) {
                Ok(Decoded::Data(more)) => {
                    assert!(!more.is_empty());
                    data.extend_from_slice(&more);
                }
                Ok(Decoded::NeedData) => match pieces.next() {
                    Some(part) => buffer.extend_from_slice(part),
                    None => return (data, Some(Error::IncompleteBody), Vec::new()),
                },
                Ok(Decoded::Trailers) => {
                    buffer.extend(pieces.flatten());
                    return (data, None, buffer.to_vec());
                }
                Err(error) => return (data, Some(error), Vec::new()),
            }
        }
    }

    #[track_caller]
    fn three_ways(input: &str, limits: &Limits) -> Result<String, Error> {
        let input: Vec<u8> = input.chars().map(|c| u8::try_from(c).unwrap()).collect();
        let whole = decode(&input, usize::MAX, limits);
        assert_eq!(whole, decode(&input, 1, limits), "byte by byte");
        assert_eq!(whole, decode(&input, 3, limits), "three bytes at a time");
        if whole.1 != Some(Error::IncompleteBody) {
            let trailing = decode(&[&input[..], b"\0\n0"].concat(), usize::MAX, limits);
            assert_eq!((&whole.0, whole.1), (&trailing.0, trailing.1), "with trailing bytes");
        }
        match whole.1 {
            Some(error) => Err(error),
            None => Ok(format!("{}|{}", whole.0.escape_ascii(), whole.2.escape_ascii())),
        }
    }

    #[track_caller]
    fn check(input: &str, expected: Result<&str, Error>) {
        let found = three_ways(input, &Limits::default());
        assert_eq!(found, expected.map(str::to_owned), "{input:?}");
    }

    #[test]
    fn chunks() {
        check("0\r\n", Ok("|"));
        check("5\r\nhello\r\n0\r\n\r\n", Ok("hello|\\r\\n"));
        check("A\r\n0123456789\r\n0\r\n", Ok("0123456789|"));
        check("a\r\n0123456789\r\n0\r\n", Ok("0123456789|"));
        check("0005\r\nhello\r\n6\r\n world\r\n000\r\nX: y", Ok("hello world|X: y"));
        check("00000000000000000000000005\r\nhello\r\n0\r\n", Ok("hello|"));
        check(
            "e\r\n0\r\n\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n",
            Ok("0\\r\\n\\r\\n\\r\\n0\\r\\n\\r\\n\\r\\n|"),
        );
    }

    #[test]
    fn all_that_is_there_comes_as_one() {
        let mut buffer = BytesMut::from("1\r\na\r\n1;x=y\r\nb\r\n3\r\ncde\r\n9\r\nfgh");
        let mut decoder = Decoder::default();
        let limits = Limits::default();
        let data = decoder.decode(&mut buffer, &limits).unwrap();
        assert_eq!(data, Decoded::Data(Bytes::from_static(b"abcdefgh")));
        assert_eq!(decoder.decode(&mut buffer, &limits).unwrap(), Decoded::NeedData);
        assert!(buffer.is_empty());
    }

    #[test]
    fn data_before_an_error_is_told_first() {
        let mut buffer = BytesMut::from("2\r\nab\r\nx");
        let mut decoder = Decoder::default();
        let limits = Limits::default();
        assert!(matches!(decoder.decode(&mut buffer, &limits), Ok(Decoded::Data(_))));
        assert_eq!(decoder.decode(&mut buffer, &limits), Err(Error::ChunkSize));
        assert_eq!(decoder.decode(&mut buffer, &limits), Err(Error::ChunkSize));
    }

    #[test]
    fn sizes_are_hexadecimal_digits() {
        for size in [
            "", "-5", "+5", "-0", "0x5", "5h", "Z", "5.0", "\"5\"", "5\0", "\u{b}5", " 5", "\t5",
            "5 ", "5\t", "5 5", "0_5", "5,", "\u{b2}", "5\u{a0}",
        ] {
            check(&format!("{size}\r\nhello\r\n0\r\n"), Err(Error::ChunkSize));
        }
        for size in
            ["10000000000000005", "ffffffffffffffff", "fffffffffffffffe", "8000000000000000"]
        {
            check(&format!("{size}\r\nhello\r\n0\r\n"), Err(Error::ChunkSize));
        }
        check("7fffffffffffffff\r\nhello", Err(Error::IncompleteBody));
        for line in
            ["5\nhello", "5\n;\r\nhello", "5\rhello", "5\r\rhello", "5;a\nhello", "5;a\r;", "\n"]
        {
            check(line, Err(Error::LineEnd));
        }
    }

    #[test]
    fn data_ends_with_crlf() {
        for end in ["XX", "\n", "\rX", "\r\r", "x\r\n", "\0", " \r\n"] {
            check(&format!("5\r\nhello{end}0\r\n"), Err(Error::ChunkEnd));
        }
        check("5\r\nhello\r\n\r\n0\r\n", Err(Error::ChunkSize));
    }

    #[test]
    fn extensions_have_a_grammar() {
        for good in [
            ";a",
            ";a=b",
            ";a=\"b\"",
            ";a;b=c;d=\"e\"",
            " ;\t a = b",
            ";a\t=\"b;\\\"\\\\\r\"",
            ";a=\"\"",
            ";a=\"\u{ff}\t\"",
        ] {
            let expected =
                if good.contains('\r') { Err(Error::ChunkExtension) } else { Ok("hello|") };
            check(&format!("5{good}\r\nhello\r\n0\r\n"), expected);
        }
        for bad in [
            ";",
            ";;a",
            ";=",
            ";a=",
            ";a=;",
            ";a==b",
            ";bad[=x",
            ";a=\"b",
            ";a=\"\r\n",
            ";a=\"b\"c",
            ";a b",
            ";a=b=c",
            ";a=\"\0\"",
            ";a=\u{e9}",
            ";a =",
            "; ",
            ";a ",
        ] {
            check(&format!("5{bad}\r\nhello\r\n0\r\n"), Err(Error::ChunkExtension));
        }
        for bad in [";a=b ", ";a=b c", ";a=\"b\" ", " x", " \t"] {
            check(&format!("5{bad}\r\nhello\r\n0\r\n"), Err(Error::ChunkSize));
        }
    }

    #[test]
    fn limits_at_the_limit_and_one_past() {
        let limits = Limits { chunk_line: 10, chunk_extensions: 20, ..Limits::default() };
        let zeros = |n: usize| format!("{}1\r\nx\r\n0\r\n", "0".repeat(n - 1));
        assert_eq!(three_ways(&zeros(10), &limits), Ok("x|".to_owned()));
        assert_eq!(three_ways(&zeros(11), &limits), Err(Error::ChunkLineTooLong));
        let extension = |n: usize| format!("1;{}\r\nx\r\n", "a".repeat(n - 2));
        assert_eq!(three_ways(&(extension(10) + "0\r\n"), &limits), Ok("x|".to_owned()));
        assert_eq!(three_ways(&(extension(11) + "0\r\n"), &limits), Err(Error::ChunkLineTooLong));
        let two = extension(10) + &extension(10);
        assert_eq!(three_ways(&format!("{two}1;a\r\nx\r\n0\r\n"), &limits), Ok("xxx|".to_owned()));
        assert_eq!(
            three_ways(&format!("{two}1;ab\r\nx\r\n0\r\n"), &limits),
            Err(Error::ChunkExtensionsTooLarge)
        );
        let open = extension(10).replace("1;", "0;");
        assert_eq!(three_ways(&open, &limits), Ok("|x\\r\\n".to_owned()));
    }

    #[test]
    fn sizes_are_written_without_leading_zeros() {
        for size in [0, 1, 9, 10, 15, 16, 255, 4096, 65_535, usize::MAX] {
            let mut out = Vec::new();
            push_size(&mut out, size);
            assert_eq!(out, format!("{size:x}\r\n").as_bytes());
        }
    }
}
