//! The request line: its target, and where the script name ends and the path info begins in that.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Version};
use percent_encoding::percent_decode;

/// A request line, its target as it came, with the index that splits its path.
///
/// The path's bytes stay raw, so nothing is lost by decoding, and mounting an application moves an
/// index.
#[derive(Debug, Clone)]
pub(crate) struct RequestLine {
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// What the path info means where the target has no path.
    pathless: Pathless,
    raw: Bytes,
    /// Where the path begins: behind the authority of an absolute-form.
    start: u32,
    /// Where the path info begins.
    split: u32,
    /// Where the path ends: at `?` or at the end.
    end: u32,
}

#[derive(Debug, Clone, Copy)]
enum Pathless {
    /// There is none.
    Nothing,
    /// An absolute-form without a path means `/` (RFC 9110 §4.2.3).
    Root,
    /// With OPTIONS and no query either it means the server as a whole (RFC 9112 §3.2.4).
    Server,
}

impl RequestLine {
    /// Takes an origin-form, an absolute-form, or `*`; with CONNECT an authority-form. What is none of
    /// them is path throughout. A byte that is not ASCII is percent-encoded, since HTTP/1.1 servers
    /// refuse it and others should.
    pub(crate) fn new(method: Method, version: Version, target: Bytes) -> RequestLine {
        let raw = ascii(target);
        let (start, pathless) = match method {
            // Extended CONNECT (RFC 8441) has a path.
            Method::CONNECT if !raw.starts_with(b"/") => (raw.len(), Pathless::Nothing),
            _ => match absolute_path_start(&raw) {
                None => (0, Pathless::Nothing),
                Some(start) if method == Method::OPTIONS && start == raw.len() => {
                    (start, Pathless::Server)
                }
                Some(start) => (start, Pathless::Root),
            },
        };
        let path = &raw[start..];
        let end = start + path.iter().position(|&b| b == b'?').unwrap_or(path.len());
        // Longer targets than u32 counts cannot come through any server's limits.
        let (start, end) = (start as u32, end as u32);
        RequestLine { method, version, pathless, raw, start, split: start, end }
    }

    pub(crate) fn raw(&self) -> &Bytes {
        &self.raw
    }

    pub(crate) fn script_name(&self) -> &[u8] {
        &self.raw[self.start as usize..self.split as usize]
    }

    pub(crate) fn path_info(&self) -> &[u8] {
        if self.start == self.end {
            return match self.pathless {
                Pathless::Nothing => b"",
                Pathless::Root => b"/",
                Pathless::Server => b"*",
            };
        }
        &self.raw[self.split as usize..self.end as usize]
    }

    pub(crate) fn query(&self) -> Option<&[u8]> {
        self.raw.get(self.end as usize + 1..)
    }

    /// The authority of an absolute-form or an authority-form.
    pub(crate) fn authority(&self) -> Option<&[u8]> {
        let before = &self.raw[..self.start as usize];
        let scheme = scheme_len(before).map_or(0, |len| len + 3);
        Some(&before[scheme..]).filter(|authority| !authority.is_empty())
    }

    /// How long the raw start of the path info is that means the segments of `prefix`, if it does.
    ///
    /// `prefix` is decoded, begins with `/` and does not end with it, or is empty; any other fits
    /// nothing. Segments are compared decoded; only a raw `/` separates them.
    pub(crate) fn prefix_len(&self, prefix: &str) -> Option<usize> {
        if prefix.ends_with('/') || !(prefix.is_empty() || prefix.starts_with('/')) {
            return None;
        }
        let path = self.path_info();
        let mut at = 0;
        for segment in prefix.split('/').skip(1) {
            if path.get(at) != Some(&b'/') {
                return None;
            }
            let rest = &path[at + 1..];
            let end = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
            if !percent_decode(&rest[..end]).eq(segment.bytes()) {
                return None;
            }
            at += 1 + end;
        }
        Some(at)
    }

    /// Moves `len` raw bytes from the path info to the script name.
    pub(crate) fn shift(&mut self, len: usize) {
        self.split = (self.split as usize + len).min(self.end as usize) as u32;
    }
}

fn ascii(raw: Bytes) -> Bytes {
    if raw.is_ascii() {
        return raw;
    }
    percent_encoding::percent_encode(&raw, percent_encoding::CONTROLS).to_string().into()
}

/// A part of a target as text, which it is since [`ascii`] saw it.
pub(crate) fn text(raw: &[u8]) -> &str {
    std::str::from_utf8(raw).unwrap_or_default()
}

pub(crate) fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(raw).into()
}

/// As UTF-8; what is none becomes U+FFFD.
pub(crate) fn decode_text(raw: &[u8]) -> Cow<'_, str> {
    percent_decode(raw).decode_utf8_lossy()
}

/// Where the path of an absolute-form begins, if it is one.
fn absolute_path_start(raw: &[u8]) -> Option<usize> {
    let authority = scheme_len(raw)? + 3;
    let len = raw[authority..].iter().position(|&b| b == b'/' || b == b'?');
    Some(len.map_or(raw.len(), |len| authority + len))
}

/// The length of the scheme that `://` follows, if the bytes begin with one (RFC 3986 §3.1).
fn scheme_len(raw: &[u8]) -> Option<usize> {
    let len = raw.iter().position(|b| !b.is_ascii_alphanumeric() && !b"+-.".contains(b))?;
    (raw[0].is_ascii_alphabetic() && raw[len..].starts_with(b"://")).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(method: Method, raw: &'static str) -> RequestLine {
        RequestLine::new(method, Version::HTTP_11, Bytes::from_static(raw.as_bytes()))
    }

    fn target(raw: &'static str) -> RequestLine {
        by(Method::GET, raw)
    }

    #[test]
    fn an_origin_form_is_split_at_the_question_mark() {
        let target = target("/a%20b/c?x=1?y");
        assert_eq!(target.path_info(), b"/a%20b/c");
        assert_eq!(target.query(), Some(&b"x=1?y"[..]));
        assert_eq!(target.script_name(), b"");
    }

    #[test]
    fn an_empty_query_is_not_a_missing_one() {
        assert_eq!(target("/a?").query(), Some(&b""[..]));
        assert_eq!(target("/a").query(), None);
    }

    #[test]
    fn an_absolute_form_has_its_authority_taken_off() {
        let target = target("http://example.com:80/a/b?q");
        assert_eq!(target.path_info(), b"/a/b");
        assert_eq!(target.authority(), Some(&b"example.com:80"[..]));
        assert_eq!(target.query(), Some(&b"q"[..]));
    }

    #[test]
    fn an_absolute_form_may_have_no_path() {
        for raw in ["http://example.com", "http://example.com?q"] {
            assert_eq!(target(raw).script_name(), b"", "{raw}");
            assert_eq!(target(raw).path_info(), b"/", "{raw}");
            assert_eq!(target(raw).authority(), Some(&b"example.com"[..]), "{raw}");
        }
    }

    #[test]
    fn a_scheme_elsewhere_makes_no_absolute_form() {
        for raw in [
            "/go/http://example.com/x",
            "go/http://example.com/x",
            "://example.com/x",
            "1http://example.com/x",
            "",
        ] {
            assert_eq!(target(raw).path_info(), raw.as_bytes(), "{raw}");
            assert_eq!(target(raw).authority(), None, "{raw}");
        }
        let target = target("?to=http://example.com/x");
        assert_eq!(target.path_info(), b"");
        assert_eq!(target.query(), Some(&b"to=http://example.com/x"[..]));
    }

    #[test]
    fn an_absolute_form_without_a_host_names_no_authority() {
        let target = target("http:///x");
        assert_eq!(target.authority(), None);
        assert_eq!(target.path_info(), b"/x");
    }

    #[test]
    fn an_authority_form_has_no_path() {
        let target = by(Method::CONNECT, "example.com:443");
        assert_eq!(target.authority(), Some(&b"example.com:443"[..]));
        assert_eq!(target.path_info(), b"");
        assert_eq!(target.query(), None);
    }

    #[test]
    fn prefixes_are_whole_decoded_segments() {
        for (raw, prefix, len) in [
            ("/blog/1", "/blog", Some(5)),
            ("/blog", "/blog", Some(5)),
            ("/bl%6Fg/1", "/blog", Some(7)),
            ("/blogger", "/blog", None),
            ("/a%2Fb/c", "/a/b", None),
            ("/a%2Fb/c", "/a%2Fb", None),
            ("/a/b/c", "/a/b", Some(4)),
            ("/a", "/a/b", None),
            ("/a//b", "/a/b", None),
            ("/%C3%A9", "/é", Some(7)),
            ("*", "/blog", None),
            ("/x", "", Some(0)),
            ("/x", "x", None),
            ("/x/", "/x/", None),
            ("/", "/", None),
            ("http://a", "", Some(0)),
            ("http://a", "/", None),
            ("http://a", "/a", None),
        ] {
            assert_eq!(target(raw).prefix_len(prefix), len, "{raw} under {prefix}");
        }
    }

    #[test]
    fn shifting_moves_the_split_and_keeps_the_bytes() {
        let mut target = target("/bl%6Fg/1?q");
        let len = target.prefix_len("/blog").expect("it is under /blog");
        target.shift(len);
        assert_eq!(target.script_name(), b"/bl%6Fg");
        assert_eq!(target.path_info(), b"/1");
    }
}
