//! Responses, read strictly.

use super::scene::{Checked, Trouble, ensure};

/// A response as a client reads it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) version: String,
    pub(super) status: u16,
    pub(super) reason: String,
    /// Names in lower case; values with a character for each byte.
    pub(super) fields: Vec<(String, String)>,
    pub(super) framing: Framing,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<(String, String)>,
}

/// What says where the body ends: RFC 9112 §6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, whatever the fields say.
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Answer {
    /// All values of `name`.
    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(have, _)| have == name).map(|(_, value)| &**value).collect()
    }

    /// The body as text, with a character for each byte.
    pub(super) fn text(&self) -> String {
        latin1(&self.body)
    }

    /// Expects this status.
    pub(super) fn must_be(&self, status: u16) -> Checked {
        ensure!(self.status == status, "the status is {} in place of {status}", self.status);
        Ok(())
    }

    /// Expects a 200 with this body.
    pub(super) fn must_say(&self, body: &str) -> Checked {
        self.must_be(200)?;
        let text = self.text();
        ensure!(text == body, "the body is {text:?} in place of {body:?}");
        Ok(())
    }

    /// Expects `name` once, with this value.
    pub(super) fn must_have(&self, name: &str, value: &str) -> Checked {
        let values = self.values(name);
        ensure!(values == [value], "`{name}` is {values:?} in place of {value:?} once");
        Ok(())
    }

    /// Expects no field `name`.
    pub(super) fn must_lack(&self, name: &str) -> Checked {
        let values = self.values(name);
        ensure!(values.is_empty(), "there is `{name}` with {values:?}");
        Ok(())
    }

    /// Whether the response says that the connection ends behind it.
    pub(super) fn closes(&self) -> bool {
        self.options().any(|option| option.eq_ignore_ascii_case("close"))
    }

    /// The options of `Connection`.
    pub(super) fn options(&self) -> impl Iterator<Item = &str> {
        self.values("connection").into_iter().flat_map(|value| value.split(',')).map(str::trim)
    }
}

/// Every byte becomes the character of the same number.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// Reads a head, its empty line included, of an answer to `method`.
pub(super) fn parse_head(bytes: &[u8], method: &str) -> Result<Answer, Trouble> {
    let at = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap_or_default();
    let (line, fields) = (&latin1(&bytes[..at]), &bytes[at + 2..bytes.len() - 2]);
    let no_line = || Trouble::new(format!("{line:?} is no status line"));
    let (version, rest) = line.split_once(' ').ok_or_else(no_line)?;
    let (status, reason) = rest.split_once(' ').ok_or_else(no_line)?;
    let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(digits && version.starts_with("HTTP/1."), "{line:?} is no status line");
    let mut answer = Answer {
        version: version.to_owned(),
        status: status.parse().map_err(|_| no_line())?,
        reason: reason.to_owned(),
        fields: parse_fields(fields)?,
        framing: Framing::None,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    answer.framing = framing(&answer, method)?;
    Ok(answer)
}

/// Reads fields, each with its CRLF.
pub(super) fn parse_fields(bytes: &[u8]) -> Result<Vec<(String, String)>, Trouble> {
    let text = latin1(bytes);
    let mut fields = Vec::new();
    for line in text.split_terminator("\r\n") {
        let (name, value) = line.split_once(':').unwrap_or((line, "\0"));
        let token = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        let sound = value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f));
        ensure!(token && sound, "{line:?} is no header field");
        fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok(fields)
}

pub(super) fn parse_chunk_size(line: &[u8]) -> Result<u64, Trouble> {
    let text = latin1(line);
    let size = text.split(';').next().unwrap_or_default().trim_end();
    let hex = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = if hex { u64::from_str_radix(size, 16).ok() } else { None };
    size.ok_or_else(|| Trouble::new(format!("{text:?} is no size of a chunk")))
}

fn framing(answer: &Answer, method: &str) -> Result<Framing, Trouble> {
    let lengths = answer.values("content-length");
    let codings = answer.values("transfer-encoding");
    ensure!(lengths.len() <= 1, "there is more than one Content-Length: {lengths:?}");
    ensure!(
        lengths.is_empty() || codings.is_empty(),
        "there is a Content-Length and a Transfer-Encoding"
    );
    if method == "HEAD" || answer.status < 200 || [204, 304].contains(&answer.status) {
        return Ok(Framing::None);
    }
    match (&lengths[..], &codings[..]) {
        ([length], _) => match length.parse() {
            Ok(length) => Ok(Framing::Length(length)),
            Err(_) => Err(Trouble::new(format!("{length:?} is no Content-Length"))),
        },
        (_, []) => Ok(Framing::UntilClose),
        (_, ["chunked"]) => Ok(Framing::Chunked),
        _ => Err(Trouble::new(format!("{codings:?} are no transfer codings to rely on"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read() {
        let head = b"HTTP/1.1 200 Very fine\r\nA:  b \r\na: c\r\ncontent-length: 5\r\n\r\n";
        let answer = parse_head(head, "GET").expect("it is one");
        assert_eq!((answer.status, &*answer.reason), (200, "Very fine"));
        assert_eq!(answer.values("a"), ["b", "c"]);
        assert_eq!(answer.framing, Framing::Length(5));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for head in [
            "HTTP/1.1 200\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(parse_head(head.as_bytes(), "GET").is_err(), "{head:?}");
        }
    }

    #[test]
    fn sizes_are_hexadecimal() {
        assert_eq!(parse_chunk_size(b"1f;x=y").expect("a size"), 31);
        assert!(parse_chunk_size(b"").is_err());
        assert!(parse_chunk_size(b"0x1").is_err());
    }
}
