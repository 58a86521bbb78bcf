//! The fields of a head that this engine itself understands, and what follows from them for the body.

use http::Version;

use crate::scan::{is_token, is_word, trim};
use crate::{BodyLength, Error, Field, Span};

/// What the fields said that matter to the connection. All other fields are only positions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) host: Option<Span>,
    pub(crate) host_repeated: bool,
    length: Length,
    coding: Coding,
    pub(crate) expect: Expect,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expect {
    #[default]
    Nothing,
    Continue,
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Known(u64),
    Invalid,
    Repeated,
}

/// All `Transfer-Encoding` fields read as one list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Absent,
    Chunked,
    /// Well-formed, so far without chunked.
    Unknown,
    /// Others, then one final chunked.
    UnknownChunked,
    Invalid,
}

impl Notes {
    /// Takes note of a field in `head` if it matters here.
    #[inline(always)]
    pub(crate) fn note(&mut self, head: &[u8], field: Field) {
        /// By the length of a name that matters, its first letter: a question cheap enough to be
        /// asked for every field.
        const FIRST: [u8; 18] = {
            let mut first = [0; 18];
            first["host".len()] = b'h';
            first["expect".len()] = b'e';
            first["upgrade".len()] = b'u';
            first["connection".len()] = b'c';
            first["content-length".len()] = b'c';
            first["transfer-encoding".len()] = b't';
            first
        };
        let first = head[usize::from(field.name.start)] | 0x20;
        if FIRST.get(usize::from(field.name.len)) == Some(&first) {
            self.note_known(field.name.of(head), field.value.of(head), field.value);
        }
    }

    #[inline(never)]
    fn note_known(&mut self, name: &[u8], value: &[u8], at: Span) {
        match name.len() {
            4 if is_word(name, b"host") => {
                self.host_repeated |= self.host.is_some();
                self.host = Some(at);
            }
            6 if is_word(name, b"expect") => self.note_expect(value),
            7 if is_word(name, b"upgrade") => self.upgrade |= !value.is_empty(),
            10 if is_word(name, b"connection") => self.note_connection(value),
            14 if is_word(name, b"content-length") => {
                self.length = match (self.length, decimal(value)) {
                    (Length::Absent, Some(length)) => Length::Known(length),
                    (Length::Absent, None) => Length::Invalid,
                    _ => Length::Repeated,
                };
            }
            17 if is_word(name, b"transfer-encoding") => {
                for coding in value.split(|&byte| byte == b',') {
                    self.coding = self.coding.followed_by(trim(coding));
                }
            }
            _ => {}
        }
    }

    /// RFC 9110 section 7.8: an upgrade is offered by both fields together, and only by HTTP/1.1.
    #[inline]
    pub(crate) fn offers_upgrade(&self, version: Version) -> bool {
        self.upgrade && self.connection_upgrade && version == Version::HTTP_11
    }

    /// How the request's body is framed: RFC 9112 section 6.3 for a request, by its numbers. Steps 1
    /// and 2 are about responses, and step 8, too.
    #[inline]
    pub(crate) fn body_framing(&self, version: Version) -> Result<BodyLength, Error> {
        match (self.coding, self.length) {
            // 6. No Transfer-Encoding, a valid Content-Length.
            (Coding::Absent, Length::Known(length)) => Ok(BodyLength::Length(length)),
            // 7. Neither.
            (Coding::Absent, Length::Absent) => Ok(BodyLength::None),
            // 5. No Transfer-Encoding, an invalid Content-Length. Equal repetitions may be taken as
            //    one there; they are not, since the next to read them may take another.
            (Coding::Absent, Length::Invalid) => Err(Error::Length),
            (Coding::Absent, Length::Repeated) => Err(Error::LengthRepeated),
            // 3. Both: "ought to be handled as an error".
            (_, Length::Known(_) | Length::Invalid | Length::Repeated) => {
                Err(Error::AmbiguousLength)
            }
            // 6.1: in HTTP/1.0 its framing is to be treated as faulty.
            (_, Length::Absent) if version == Version::HTTP_10 => Err(Error::CodingInHttp10),
            // 4. Transfer-Encoding: exactly chunked; not understood; or not finally chunked.
            (Coding::Chunked, Length::Absent) => Ok(BodyLength::Chunked),
            (Coding::Unknown | Coding::UnknownChunked, Length::Absent) => Err(Error::CodingUnknown),
            (Coding::Invalid, Length::Absent) => Err(Error::Coding),
        }
    }

    fn note_expect(&mut self, value: &[u8]) {
        // Empty members are none (RFC 9110 section 5.6.1.2).
        for member in value.split(|&byte| byte == b',').map(trim).filter(|one| !one.is_empty()) {
            self.expect = match self.expect {
                Expect::Unknown => Expect::Unknown,
                _ if is_word(member, b"100-continue") => Expect::Continue,
                _ => Expect::Unknown,
            };
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        // The one that nearly every client sends.
        if is_word(value, b"keep-alive") {
            self.keep_alive = true;
            return;
        }
        for option in value.split(|&byte| byte == b',').map(trim) {
            self.close |= is_word(option, b"close");
            self.keep_alive |= is_word(option, b"keep-alive");
            self.connection_upgrade |= is_word(option, b"upgrade");
        }
    }
}

impl Coding {
    /// The list with one more element. Empty elements are refused: a sender must not make them, and
    /// a reader that drops them would see another list than one that does not.
    fn followed_by(self, coding: &[u8]) -> Self {
        let name_end = coding.iter().position(|&byte| !is_token(byte)).unwrap_or(coding.len());
        let (name, rest) = coding.split_at(name_end);
        let chunked = is_word(name, b"chunked");
        match (self, trim(rest).first()) {
            (Self::Absent, None) if chunked => Self::Chunked,
            (Self::Unknown, None) if chunked => Self::UnknownChunked,
            // Parameters of a coding that is refused anyway are not looked at.
            (Self::Absent | Self::Unknown, None | Some(b';')) if !name.is_empty() && !chunked => {
                Self::Unknown
            }
            _ => Self::Invalid,
        }
    }
}

/// A decimal number below 2^63, digits only.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        let value = value.checked_mul(10)?.checked_add(digit)?;
        (value <= i64::MAX as u64).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(fields: &[(&str, &str)]) -> Notes {
        let mut notes = Notes::default();
        for (name, value) in fields {
            let value: Vec<u8> = value.chars().map(|c| u8::try_from(c).unwrap()).collect();
            let head = [name.as_bytes(), &value].concat();
            let field = Field {
                name: Span::between(0, name.len()),
                value: Span::between(name.len(), head.len()),
            };
            notes.note(&head, field);
        }
        notes
    }

    fn framing(fields: &[(&str, &str)]) -> Result<BodyLength, Error> {
        notes(fields).body_framing(Version::HTTP_11)
    }

    #[test]
    fn content_length_is_digits() {
        for (value, length) in [
            ("0", 0),
            ("5", 5),
            ("003", 3),
            ("00000000000000000000000000005", 5),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(
                framing(&[("Content-Length", value)]),
                Ok(BodyLength::Length(length)),
                "{value}"
            );
        }
        for value in [
            "",
            "-0",
            "-5",
            "+5",
            "5 5",
            "5,5",
            "5, 5",
            "5,",
            ",5",
            "0x10",
            "1Z",
            "5.0",
            "5;",
            "5\t5",
            "1e3",
            "0_1",
            "\"5\"",
            "\u{b2}",
            "\u{d9}\u{a5}",
            "\u{85}35",
            "9223372036854775808",
            "18446744073709551616",
            "18446744073709551621",
            "99999999999999999999999999",
        ] {
            assert_eq!(framing(&[("content-length", value)]), Err(Error::Length), "{value:?}");
        }
    }

    #[test]
    fn content_length_comes_once() {
        for (first, second) in [("5", "5"), ("5", "05"), ("5", "10"), ("x", "5"), ("5", "x")] {
            let fields = [("Content-Length", first), ("content-LENGTH", second)];
            assert_eq!(framing(&fields), Err(Error::LengthRepeated));
        }
    }

    #[test]
    fn transfer_encoding_is_exactly_chunked() {
        for value in ["chunked", "Chunked", "CHUNKED", "cHuNkEd"] {
            assert_eq!(framing(&[("Transfer-Encoding", value)]), Ok(BodyLength::Chunked));
        }
        for value in [
            "identity",
            "gzip",
            "xchunked",
            "chunkedd",
            "gzip, chunked",
            "gzip;q=1, chunked",
            "x, y",
        ] {
            assert_eq!(
                framing(&[("Transfer-Encoding", value)]),
                Err(Error::CodingUnknown),
                "{value}"
            );
        }
        for value in [
            "",
            ",",
            "chunked,",
            ",chunked",
            "chunked, chunked",
            "chunked, gzip",
            "chunked;a=b",
            "chunked ;",
            "chun ked",
            "x chunked",
            "\"chunked\"",
            "chunked\u{a0}",
            "\u{a0}chunked",
            "\u{b}chunked",
            "gzip,,chunked",
            "gzip, chunked, chunked",
            "chunked, identity",
            ";",
            "gzip x",
        ] {
            assert_eq!(framing(&[("Transfer-Encoding", value)]), Err(Error::Coding), "{value:?}");
        }
    }

    #[test]
    fn transfer_encoding_lines_are_one_list() {
        let two = |a, b| framing(&[("Transfer-Encoding", a), ("X", "y"), ("transfer-encoding", b)]);
        assert_eq!(two("chunked", "chunked"), Err(Error::Coding));
        assert_eq!(two("chunked", "identity"), Err(Error::Coding));
        assert_eq!(two("chunked", ""), Err(Error::Coding));
        assert_eq!(two("", "chunked"), Err(Error::Coding));
        assert_eq!(two("gzip", "chunked"), Err(Error::CodingUnknown));
    }

    #[test]
    fn never_both_framings() {
        for coding in ["chunked", "identity", "", "x chunked"] {
            for length in ["0", "5", "x"] {
                for fields in [
                    [("Transfer-Encoding", coding), ("Content-Length", length)],
                    [("Content-Length", length), ("Transfer-Encoding", coding)],
                ] {
                    assert_eq!(framing(&fields), Err(Error::AmbiguousLength));
                    assert_eq!(
                        notes(&fields).body_framing(Version::HTTP_10),
                        Err(Error::AmbiguousLength)
                    );
                }
            }
        }
    }

    #[test]
    fn no_transfer_encoding_in_http_10() {
        for coding in ["chunked", "gzip", ""] {
            let notes = notes(&[("Transfer-Encoding", coding)]);
            assert_eq!(notes.body_framing(Version::HTTP_10), Err(Error::CodingInHttp10));
        }
    }

    #[test]
    fn look_alikes_are_other_fields() {
        for name in [
            "Content_Length",
            "X-Content-Length",
            "Content-Length2",
            "Content-Lengt",
            "Transfer_Encoding",
            "X-Transfer-Encoding",
            "Transfer-Encodin",
            "Content-Lengti",
            "Connectiox",
            "Transfer-Encodinh",
        ] {
            assert_eq!(framing(&[(name, "7")]), Ok(BodyLength::None), "{name}");
        }
    }

    #[test]
    fn connection_options() {
        let options = |value| {
            let notes = notes(&[("Connection", value)]);
            (notes.close, notes.keep_alive)
        };
        for value in ["close", "Close", "foo, close", "close,x", "x,\tCLOSE\t,y", ",,close"] {
            assert_eq!(options(value), (true, false), "{value}");
        }
        assert_eq!(options("keep-alive, close"), (true, true));
        assert_eq!(options("Keep-Alive"), (false, true));
        for value in [
            "",
            "x-close",
            "close=1",
            "closed",
            "clos",
            "\"close\"",
            "close;x",
            "x close",
            "content-length",
        ] {
            assert_eq!(options(value), (false, false), "{value}");
        }
        let both = notes(&[("Connection", "keep-alive"), ("connection", "close")]);
        assert!(both.close && both.keep_alive);
    }

    #[test]
    fn an_upgrade_takes_both_fields_and_http_11() {
        let offers = |fields: &[(&str, &str)], version| notes(fields).offers_upgrade(version);
        let both = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket")];
        assert!(offers(&both, Version::HTTP_11));
        assert!(!offers(&both, Version::HTTP_10));
        assert!(!offers(&both[..1], Version::HTTP_11));
        assert!(!offers(&both[1..], Version::HTTP_11));
        assert!(!offers(&[("Connection", "upgrade"), ("Upgrade", "")], Version::HTTP_11));
    }

    #[test]
    fn expectations() {
        let expect = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|value| ("Expect", *value)).collect();
            notes(&fields).expect
        };
        assert_eq!(expect(&[]), Expect::Nothing);
        assert_eq!(expect(&["100-continue"]), Expect::Continue);
        assert_eq!(expect(&["100-Continue", "100-continue"]), Expect::Continue);
        for value in ["100-continue,", " , 100-continue", "100-continue ,\t100-Continue"] {
            assert_eq!(expect(&[value]), Expect::Continue, "{value:?}");
        }
        for value in ["", ", ,"] {
            assert_eq!(expect(&[value]), Expect::Nothing, "{value:?}");
            assert_eq!(expect(&["100-continue", value]), Expect::Continue, "{value:?}");
        }
        for values in [
            &["200-ok"][..],
            &["100-continue, x"],
            &["x, 100-continue"],
            &["100-continue=1"],
            &["100-continue;x=\", 100-continue\""],
            &["x", "100-continue"],
            &["100-continue", "x"],
        ] {
            assert_eq!(expect(values), Expect::Unknown, "{values:?}");
        }
    }
}
