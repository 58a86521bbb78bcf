//! The request head: RFC 9112 sections 3 and 5.

use bytes::Bytes;
use http::{Method, Version};

use crate::fields::FieldScanner;
use crate::framing::{Expect, Notes};
use crate::scan::{path_end, query_end, token_end};
use crate::target::{Target, is_authority};
use crate::{Error, Field, Limits, RequestHead, Span};

/// Finds a request head in bytes that may come in any pieces; an impossible byte is told at once,
/// and none is looked at twice.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    phase: Phase,
    /// Where to go on in the request line.
    at: u16,
    method: u16,
    target: Span,
    /// Where the first question mark of the target stands; 0 if there is none.
    question: u16,
    minor: u8,
    fields: FieldScanner,
    notes: Notes,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Method,
    Path,
    Query,
    Version,
    Fields,
}

impl HeadScanner {
    /// What the fields of a whole head said about the connection.
    #[inline]
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Goes on where it stopped: `buffer` must begin with the bytes it had the last time. Returns a
    /// whole head's length, with its fields in `fields`; `None` if more bytes are needed.
    #[inline(always)]
    pub(crate) fn scan(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        fields: &mut Vec<Field>,
    ) -> Result<Option<usize>, Error> {
        // What is beyond the limit is not looked at, so that what happens there depends neither on
        // how the bytes were cut nor on what they are.
        let head = &buffer[..buffer.len().min(limits.head)];
        if !matches!(self.phase, Phase::Fields) && !self.scan_line(head, limits)? {
            return Ok(None);
        }
        let notes = Some(&mut self.notes);
        let end = self.fields.scan(head, fields, limits.headers, notes)?;
        match end {
            None if head.len() == limits.head => Err(Error::HeadTooLarge),
            end => Ok(end),
        }
    }

    /// Whether the request line is complete.
    #[inline(always)]
    fn scan_line(&mut self, head: &[u8], limits: &Limits) -> Result<bool, Error> {
        let line = &head[..head.len().min(limits.request_line.saturating_add(2))];
        let mut at = usize::from(self.at);
        if matches!(self.phase, Phase::Method) {
            at = match line {
                [b'G', b'E', b'T', b' ', ..] if limits.method >= 3 => 3,
                _ => token_end(&line[..line.len().min(limits.method + 1)], at),
            };
            match line.get(at) {
                _ if at > limits.method => return Err(Error::MethodTooLong),
                None => return self.line_unfinished(line, at, limits),
                Some(b' ') if at > 0 => {}
                Some(_) => return Err(Error::Method),
            }
            self.method = at as u16;
            at += 1;
            self.phase = Phase::Path;
        }
        if matches!(self.phase, Phase::Path) {
            at = path_end(line, at);
            match line.get(at) {
                None => return self.line_unfinished(line, at, limits),
                Some(b'?') => {
                    self.question = at as u16;
                    at += 1;
                    self.phase = Phase::Query;
                }
                Some(_) => self.phase = Phase::Version,
            }
        }
        if matches!(self.phase, Phase::Query) {
            at = query_end(line, at);
            if at == line.len() {
                return self.line_unfinished(line, at, limits);
            }
            self.phase = Phase::Version;
        }
        if self.target.len == 0 {
            let first = usize::from(self.method) + 1;
            if line[at] != b' ' || at == first {
                return Err(Error::Target);
            }
            self.target = Span::between(first, at);
            at += 1;
        }
        match version(&line[at..])? {
            None => self.line_unfinished(line, at, limits),
            Some(minor) => {
                self.minor = minor;
                self.phase = Phase::Fields;
                self.fields = FieldScanner::starting_at(at + VERSION);
                Ok(true)
            }
        }
    }

    #[cold]
    fn line_unfinished(&mut self, line: &[u8], at: usize, limits: &Limits) -> Result<bool, Error> {
        self.at = at as u16;
        if line.len() == limits.request_line.saturating_add(2) {
            Err(Error::RequestLineTooLong)
        } else if line.len() == limits.head {
            Err(Error::HeadTooLarge)
        } else {
            Ok(false)
        }
    }

    /// All lines are in: what they mean together. `head` is the whole head; its bytes are still to
    /// be put into what is returned.
    #[inline(always)]
    pub(crate) fn finish(&self, head: &[u8]) -> Result<RequestHead, Error> {
        let notes = &self.notes;
        let version = if self.minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
        match notes.host {
            _ if notes.host_repeated => return Err(Error::HostRepeated),
            Some(host) if !is_authority(host.of(head)) => return Err(Error::Host),
            None if version == Version::HTTP_11 => return Err(Error::HostMissing),
            _ => {}
        }
        let body = notes.body_framing(version)?;
        // RFC 9110 section 10.1.1: an expectation in HTTP/1.0 must be ignored.
        let expect = if version == Version::HTTP_11 { notes.expect } else { Expect::Nothing };
        if expect == Expect::Unknown {
            return Err(Error::Expectation);
        }
        let method = method(&head[..usize::from(self.method)])?;
        let target = Target::parse(head, self.target, self.question, &method)?;
        Ok(RequestHead {
            bytes: Bytes::new(),
            method,
            version,
            target: self.target,
            form: target.form,
            authority: target.authority,
            path: target.path,
            query: target.query,
            host: notes.host,
            body,
            expect_continue: expect == Expect::Continue && !body.is_empty(),
            upgrade: notes.offers_upgrade(version),
        })
    }
}

#[inline(never)]
fn method(name: &[u8]) -> Result<Method, Error> {
    match name {
        b"GET" => Ok(Method::GET),
        b"POST" => Ok(Method::POST),
        _ => Method::from_bytes(name).map_err(|_| Error::Method),
    }
}

/// The length of a version with the line's end.
const VERSION: usize = 10;

/// The minor version at the begin of `rest`, with the line's end behind it; `None` if bytes are
/// missing and those that are there are right.
#[inline(always)]
fn version(rest: &[u8]) -> Result<Option<u8>, Error> {
    if rest.starts_with(b"HTTP/1.1\r\n") { Ok(Some(1)) } else { unusual_version(rest) }
}

#[cold]
fn unusual_version(rest: &[u8]) -> Result<Option<u8>, Error> {
    for (at, &byte) in rest.iter().take(VERSION).enumerate() {
        match at {
            0..5 if byte == b"HTTP/"[at] => {}
            5 | 7 if byte.is_ascii_digit() => {}
            6 if byte == b'.' => {}
            8 if byte == b'\r' => {}
            9 if byte == b'\n' => {}
            8 if byte == b'\n' => return Err(Error::LineEnd),
            9 => return Err(Error::LineEnd),
            _ => return Err(Error::Version),
        }
    }
    match rest.get(..VERSION) {
        None => Ok(None),
        Some(version) if version[5] == b'1' => Ok(Some(version[7] - b'0')),
        Some(_) => Err(Error::VersionUnsupported),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use http::Method;

    use super::*;
    use crate::{BodyLength, TargetForm};

    type Outcome = Result<Option<RequestHead>, Error>;

    fn feed(input: &[u8], piece: usize, limits: &Limits) -> (Outcome, usize) {
        let mut scanner = HeadScanner::default();
        let mut fields = Vec::new();
        let mut buffer = BytesMut::new();
        let mut fed = 0;
        for part in input.chunks(piece) {
            buffer.extend_from_slice(part);
            fed += part.len();
            match scanner.scan(&buffer, limits, &mut fields) {
                Ok(None) => {}
                Ok(Some(end)) => {
                    let bytes = buffer.split_to(end).freeze();
                    let head = scanner.finish(&bytes).map(|head| RequestHead { bytes, ..head });
                    return (head.map(Some), fed - buffer.len());
                }
                Err(error) => return (Err(error), fed),
            }
        }
        (Ok(None), fed)
    }

    /// Whole, byte by byte, and with trailing bytes: the same outcome. For an error, also tells how
    /// many bytes it took when they came one by one.
    #[track_caller]
    fn three_ways(input: &[u8], limits: &Limits) -> (Outcome, usize) {
        let (whole, _) = feed(input, usize::MAX, limits);
        let (bytewise, taken) = feed(input, 1, limits);
        let (trailing, _) = feed(&[input, b"\x00GET"].concat(), usize::MAX, limits);
        let show = |outcome: &Outcome| format!("{outcome:?}");
        assert_eq!(show(&whole), show(&bytewise), "byte by byte: {}", input.escape_ascii());
        if !matches!(whole, Ok(None)) {
            assert_eq!(show(&whole), show(&trailing), "with trailing bytes");
        }
        (whole, taken)
    }

    fn parse(input: &str) -> Outcome {
        let bytes: Vec<u8> = input.chars().map(|c| u8::try_from(c).unwrap()).collect();
        three_ways(&bytes, &Limits::default()).0
    }

    #[track_caller]
    fn head(input: &str) -> RequestHead {
        parse(input).unwrap().unwrap()
    }

    #[track_caller]
    fn refused(input: &str, error: Error) {
        assert_eq!(parse(input).map(|_| ()), Err(error), "{input:?}");
    }

    const HOST: &str = "Host: probe.test\r\n\r\n";

    #[test]
    fn a_plain_head() {
        let head = head("GET /hello?x=1&y=2 HTTP/1.1\r\nHost: probe.test\r\nX-A: b\r\n\r\n");
        assert_eq!((head.method, head.version), (Method::GET, Version::HTTP_11));
        assert_eq!(head.target.of(&head.bytes), b"/hello?x=1&y=2");
        assert_eq!(head.path.of(&head.bytes), b"/hello");
        assert_eq!(head.query.unwrap().of(&head.bytes), b"x=1&y=2");
        assert_eq!(head.host.unwrap().of(&head.bytes), b"probe.test");
        assert_eq!((head.form, head.body), (TargetForm::Origin, BodyLength::None));
        assert!(head.bytes.ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn methods_are_tokens() {
        for method in ["GET", "POST", "M-SEARCH", "-BLARGH", "get", "X", "!#$%&'*+-.^_`|~"] {
            assert_eq!(head(&format!("{method} / HTTP/1.1\r\n{HOST}")).method.as_str(), method);
        }
        for start in [
            "",
            " GET",
            "GET:",
            "G(T",
            "G\"T",
            "G\0T",
            "G\u{e9}T",
            "\u{16}\u{3}\u{1}",
            "GET\t",
            "GET\r\n",
            "GET\n",
            "\r\n",
            "\n",
            "\0",
        ] {
            refused(&format!("{start} / HTTP/1.1\r\n{HOST}"), Error::Method);
        }
    }

    #[test]
    fn targets_are_visible_ascii_without_a_fragment() {
        for target in [
            "/",
            "/a[1]{2}|^",
            "/\"q\"?foo=\"bar\"",
            "/%zz%4",
            "/x;v=1,2/y=3?z",
            "/a\\b`",
            "/a%00b",
        ] {
            assert_eq!(
                head(&format!("GET {target} HTTP/1.1\r\n{HOST}")).target.len as usize,
                target.len()
            );
        }
        for target in [
            "",
            " /x",
            "/x ",
            "/x y",
            "/x#f",
            "/x?a#f",
            "/a\u{7f}b",
            "/caf\u{e9}",
            "/a\u{0}b",
            "/a\tb",
            "/<a>",
            "foo/bar",
            "*",
            "a:80",
            "/x\rHTTP/1.1",
            "/\nHTTP/1.1",
            "/x HTTP/1.1/../y",
        ] {
            let error = parse(&format!("GET {target} HTTP/1.1\r\n{HOST}")).unwrap_err();
            assert!(matches!(error, Error::Target | Error::Version), "{target:?}: {error:?}");
        }
        refused("GET HTTP/1.1\r\n\r\n", Error::Target);
        refused("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Error::Connect);
    }

    #[test]
    fn versions() {
        assert_eq!(head("GET / HTTP/1.0\r\n\r\n").version, Version::HTTP_10);
        assert_eq!(head(&format!("GET / HTTP/1.2\r\n{HOST}")).version, Version::HTTP_11);
        assert_eq!(head(&format!("GET / HTTP/1.9\r\n{HOST}")).version, Version::HTTP_11);
        for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/0.99", "HTTP/9.9", "HTTP/3.1"] {
            let expected =
                if version.len() == 8 { Error::VersionUnsupported } else { Error::Version };
            refused(&format!("GET / {version}\r\n{HOST}"), expected);
        }
        for version in [
            "",
            "http/1.1",
            "Http/1.1",
            "RTSP/1.0",
            "HTTP/1",
            "HTTP/1.",
            "HTTP/.1",
            "HTTP/ 1.1",
            "HTTP/1.1x",
            "HTTP/1.10",
            "HTTP/01.1",
            "HTTP/1.1 ",
            "HTTP/1.1\t",
            "HTTP/+1.1",
            "HTTP/1,1",
            "HTTP1.1",
            " HTTP/1.1",
            "HTTP/1.1 HTTP/1.1",
            "HTTP/111111111111.1",
            "HTTP/\u{b9}.1",
            "HTTP/............0596.7407.",
        ] {
            refused(&format!("GET / {version}\r\n{HOST}"), Error::Version);
        }
        refused("GET /\r\n\r\n", Error::Target);
        for end in ["\n", "\r", "\r\r\n", "\rX"] {
            let error = parse(&format!("GET / HTTP/1.1{end}{HOST}")).unwrap_err();
            assert_eq!(error, Error::LineEnd, "{end:?}");
        }
    }

    #[test]
    fn impossible_bytes_are_told_at_once() {
        for (input, taken) in [
            ("\x16\x03\x01", 1),
            ("GET  ", 5),
            ("GET / h", 7),
            ("GET / HTTP/1.1\n", 15),
            ("GET / HTTP/1.1\r\nA ", 18),
            ("GET / HTTP/1.1\r\n ", 17),
            ("GET / HTTP/1.1\r\nA: \0", 20),
            ("GET / HTTP/1.1\r\nA: \r\r", 21),
        ] {
            let (outcome, bytes) = three_ways(input.as_bytes(), &Limits::default());
            assert!(outcome.is_err() && bytes == taken, "{input:?} took {bytes}");
            let (before, _) = feed(&input.as_bytes()[..taken - 1], usize::MAX, &Limits::default());
            assert!(matches!(before, Ok(None)), "{input:?} was refused too early");
        }
    }

    #[test]
    fn host_comes_exactly_once_and_is_valid() {
        let get = |fields: &str| parse(&format!("GET / HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(get("").unwrap_err(), Error::HostMissing);
        assert_eq!(get("Host: a\r\nHost: a\r\n").unwrap_err(), Error::HostRepeated);
        assert_eq!(get("Host: a\r\nX: y\r\nhOST: b\r\n").unwrap_err(), Error::HostRepeated);
        assert_eq!(get("Host: a, b\r\n").unwrap_err(), Error::Host);
        assert_eq!(get("Host:\r\n").unwrap().unwrap().host.unwrap().len, 0);
        assert_eq!(get("X: y\r\nhoSt:\ta \r\n").unwrap().unwrap().host.unwrap().len, 1);
        assert!(head("GET / HTTP/1.0\r\n\r\n").host.is_none());
        refused("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", Error::Host);
        refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Error::HostRepeated);
        refused("GET http://a/ HTTP/1.1\r\n\r\n", Error::HostMissing);
        refused("GET http://a/ HTTP/1.1\r\nHost: b c\r\n\r\n", Error::Host);
        let absolute = head("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n");
        assert_eq!(absolute.authority.unwrap().of(&absolute.bytes), b"a");
        assert_eq!(absolute.host.unwrap().of(&absolute.bytes), b"b");
    }

    #[test]
    fn expectations() {
        let expect = |fields: &str, version: &str| {
            parse(&format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n"))
                .map(|head| head.unwrap().expect_continue)
        };
        assert_eq!(expect("Expect: 100-continue\r\nContent-Length: 5\r\n", "1.1"), Ok(true));
        assert_eq!(
            expect("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", "1.1"),
            Ok(true)
        );
        assert_eq!(expect("Expect: 100-continue\r\nContent-Length: 0\r\n", "1.1"), Ok(false));
        assert_eq!(expect("Expect: 100-continue\r\n", "1.1"), Ok(false));
        assert_eq!(expect("Expect: 100-continue\r\nContent-Length: 5\r\n", "1.0"), Ok(false));
        assert_eq!(expect("Expect: 200-ok\r\n", "1.0"), Ok(false));
        assert_eq!(expect("Expect: 200-ok\r\n", "1.1"), Err(Error::Expectation));
    }

    #[test]
    fn limits_at_the_limit_and_one_past() {
        let limits =
            Limits { method: 5, request_line: 40, head: 100, headers: 3, ..Limits::default() };
        let outcome =
            |input: String| three_ways(input.as_bytes(), &limits).0.map(|head| head.is_some());
        assert_eq!(outcome(format!("ABCDE / HTTP/1.1\r\n{HOST}")), Ok(true));
        assert_eq!(outcome(format!("ABCDEF / HTTP/1.1\r\n{HOST}")), Err(Error::MethodTooLong));
        assert_eq!(outcome(format!("ABCDEF\0/ HTTP/1.1\r\n{HOST}")), Err(Error::MethodTooLong));
        let path = |n| "x".repeat(n - "GET / HTTP/1.1".len());
        assert_eq!(outcome(format!("GET /{} HTTP/1.1\r\n{HOST}", path(40))), Ok(true));
        assert_eq!(
            outcome(format!("GET /{} HTTP/1.1\r\n{HOST}", path(41))),
            Err(Error::RequestLineTooLong)
        );
        assert_eq!(outcome(format!("GET /{}", path(100))), Err(Error::RequestLineTooLong));
        let start = "GET / HTTP/1.1\r\nHost: a\r\n";
        let value = |n| "x".repeat(n - start.len() - "X: \r\n\r\n".len());
        assert_eq!(outcome(format!("{start}X: {}\r\n\r\n", value(100))), Ok(true));
        assert_eq!(outcome(format!("{start}X: {}\r\n\r\n", value(101))), Err(Error::HeadTooLarge));
        assert_eq!(outcome(format!("{start}{}\r\n", "A: b\r\n".repeat(2))), Ok(true));
        assert_eq!(
            outcome(format!("{start}{}\r\n", "A: b\r\n".repeat(3))),
            Err(Error::TooManyFields)
        );
        let short = Limits { head: 30, ..limits.clone() };
        let long_line = format!("GET /{} HTTP/1.1\r\n", path(40));
        assert_eq!(
            three_ways(long_line.as_bytes(), &short).0.map(|_| ()),
            Err(Error::HeadTooLarge)
        );
    }

    #[test]
    fn every_prefix_waits() {
        let input = format!("GET /hello?x=1 HTTP/1.1\r\nX-A: b\r\n{HOST}");
        for length in 0..input.len() {
            assert!(matches!(parse(&input[..length]), Ok(None)), "{length} bytes");
        }
    }
}
