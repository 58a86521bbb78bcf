//! Request targets and authorities: RFC 9112 section 3.2, RFC 3986 section 3.2.

use std::net::Ipv6Addr;

use http::Method;

use crate::scan::{host_end, is_hex, is_host};
use crate::{Error, Span, TargetForm};

/// A request target, taken apart. Positions are those of the head it stands in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) form: TargetForm,
    pub(crate) authority: Option<Span>,
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
}

impl Target {
    /// Takes the target at `span` in `head` apart; `question` is where its first question mark
    /// stands, or 0. Its bytes have been checked one by one, so this is about their order.
    #[inline(always)]
    pub(crate) fn parse(
        head: &[u8],
        span: Span,
        question: u16,
        method: &Method,
    ) -> Result<Self, Error> {
        let start = usize::from(span.start);
        let end = start + usize::from(span.len);
        let (path_end, query) = match usize::from(question) {
            0 => (end, None),
            question => (question, Some(Span::between(question + 1, end))),
        };
        if head[start] == b'/' && *method != Method::CONNECT {
            let path = Span::between(start, path_end);
            return Ok(Self { form: TargetForm::Origin, authority: None, path, query });
        }
        Self::parse_unusual(&head[..path_end], span, query, method)
    }

    /// `*`, or `http://host/path?query`. Only this server's own scheme: `https` needs a secured
    /// connection (RFC 9110 section 7.4), everything else a proxy.
    #[cold]
    fn parse_unusual(
        head: &[u8],
        span: Span,
        query: Option<Span>,
        method: &Method,
    ) -> Result<Self, Error> {
        let start = usize::from(span.start);
        let target = &head[start..];
        if *method == Method::CONNECT {
            return Err(Error::Connect);
        }
        if target == b"*" && query.is_none() && *method == Method::OPTIONS {
            return Ok(Self {
                form: TargetForm::Asterisk,
                authority: None,
                path: span,
                query: None,
            });
        }
        let separator = target.windows(3).position(|three| three == b"://").ok_or(Error::Target)?;
        let scheme = &target[..separator];
        if scheme.eq_ignore_ascii_case(b"https") {
            return Err(Error::Misdirected);
        }
        if !scheme.eq_ignore_ascii_case(b"http") {
            return Err(Error::Target);
        }
        let from = start + separator + 3;
        let rest = &head[from..];
        let to = from + rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let authority = Span::between(from, to);
        if authority.len == 0 || !is_authority(authority.of(head)) {
            return Err(Error::Authority);
        }
        let path = Span::between(to, head.len());
        Ok(Self { form: TargetForm::Absolute, authority: Some(authority), path, query })
    }
}

/// Whether `bytes` are `uri-host [":" port]`, possibly empty: no user information, no list, no
/// blanks, and no port that cannot be one.
#[inline(never)]
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    let plain = host_end(bytes);
    match bytes.get(plain) {
        None => true,
        Some(b':') if plain > 0 => is_port(&bytes[plain + 1..]),
        Some(_) => is_unusual_authority(bytes),
    }
}

/// The same with percent-encoding or brackets.
#[cold]
fn is_unusual_authority(bytes: &[u8]) -> bool {
    if let [b'[', rest @ ..] = bytes {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
        return is_ip_literal(&rest[..end])
            && match &rest[end + 1..] {
                [] => true,
                [b':', port @ ..] => is_port(port),
                _ => false,
            };
    }
    let colon = bytes.iter().position(|&byte| byte == b':').unwrap_or(bytes.len());
    let port = bytes.get(colon + 1..).unwrap_or_default();
    colon > 0 && is_registered_name(&bytes[..colon]) && is_port(port)
}

/// Digits, or none: `host:` is the same as `host` (RFC 3986 section 3.2.3).
#[inline(always)]
fn is_port(port: &[u8]) -> bool {
    let mut value = 0;
    for digit in port {
        if !digit.is_ascii_digit() {
            return false;
        }
        value = value * 10 + u32::from(digit & 15);
        if value > u32::from(u16::MAX) {
            return false;
        }
    }
    true
}

fn is_registered_name(mut host: &[u8]) -> bool {
    loop {
        host = match host {
            [] => return true,
            [b'%', high, low, rest @ ..] if is_hex(*high) && is_hex(*low) => rest,
            [byte, rest @ ..] if is_host(*byte) => rest,
            _ => return false,
        };
    }
}

/// What stands between brackets: an IPv6 address without a zone, or an address of the future.
fn is_ip_literal(literal: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = literal {
        let Some(dot) = rest.iter().position(|&byte| byte == b'.') else { return false };
        let (version, address) = (&rest[..dot], &rest[dot + 1..]);
        return !version.is_empty()
            && version.iter().all(|&byte| is_hex(byte))
            && !address.is_empty()
            && address.iter().all(|&byte| is_host(byte) || byte == b':');
    }
    str::from_utf8(literal).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for good in [
            "",
            "a",
            "probe.test",
            "probe.test:8080",
            "probe.test.",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::192.0.2.1]",
            "[v1.a:b]",
            "0.0.0.0=5000",
            "a_b-c~d",
            "a%41b",
            "%C3%A9:1",
            "host:",
            "a:0",
            "a:65535",
            "a:00080",
            "1.2.3.4.5",
            "a!$&'()*+;=b",
        ] {
            assert!(is_authority(good.as_bytes()), "{good:?}");
        }
        for bad in [
            ":80",
            ":",
            "a b",
            "a,b",
            "a, b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "u:p@a",
            "a\\b",
            "<a>",
            "\"a\"",
            "http://a",
            "a:-1",
            "a:+1",
            "a:8a",
            "a:80:80",
            "a:65536",
            "a:99999999999999999999",
            "a: 80",
            "[::1",
            "::1",
            "[::1]a",
            "[::1]:x",
            "[]",
            "[1.2.3.4]",
            "[::1%25eth0]",
            "[::1%eth0]",
            "[:::1]",
            "[v.a]",
            "[vg.a]",
            "[v1.]",
            "[v1a]",
            "a[::1]",
            "a%",
            "a%4",
            "a%zz",
            "%zz",
            "caf\u{e9}",
            "a\u{1}",
            "a\u{7f}",
            "a|b",
            "a^b",
            "{a}",
            "a\tb",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad:?}");
        }
    }

    type Parts = (TargetForm, Option<&'static str>, &'static str, Option<&'static str>);

    /// Parses with bytes before and behind, and gives the parts as text.
    #[track_caller]
    fn check(method: &Method, target: &str, expected: Result<Parts, Error>) {
        let head = format!("{method} {target} HTTP/1.1");
        let start = method.as_str().len() + 1;
        let span = Span::between(start, start + target.len());
        let text = |span: Span| str::from_utf8(span.of(head.as_bytes())).unwrap().to_owned();
        let question = target.find('?').map_or(0, |at| (start + at) as u16);
        let found = Target::parse(head.as_bytes(), span, question, method)
            .map(|t| (t.form, t.authority.map(text), text(t.path), t.query.map(text)));
        let own = |s: &str| s.to_owned();
        let expected = expected.map(|(form, authority, path, query)| {
            (form, authority.map(own), own(path), query.map(own))
        });
        assert_eq!(found, expected, "{target}");
    }

    #[test]
    fn origin_form() {
        let get = &Method::GET;
        check(get, "/", Ok((TargetForm::Origin, None, "/", None)));
        check(get, "/x?", Ok((TargetForm::Origin, None, "/x", Some(""))));
        check(get, "/x?a=b?c/d", Ok((TargetForm::Origin, None, "/x", Some("a=b?c/d"))));
        check(get, "//evil.test/x", Ok((TargetForm::Origin, None, "//evil.test/x", None)));
        check(get, "/http://a/b", Ok((TargetForm::Origin, None, "/http://a/b", None)));
        check(get, "/%zz%4", Ok((TargetForm::Origin, None, "/%zz%4", None)));
    }

    #[test]
    fn absolute_form() {
        let get = &Method::GET;
        let form = TargetForm::Absolute;
        check(get, "http://a", Ok((form, Some("a"), "", None)));
        check(get, "http://a/", Ok((form, Some("a"), "/", None)));
        check(get, "HTTP://a:80?q", Ok((form, Some("a:80"), "", Some("q"))));
        check(get, "http://[::1]:1/x?y", Ok((form, Some("[::1]:1"), "/x", Some("y"))));
        check(&Method::OPTIONS, "http://a:8001", Ok((form, Some("a:8001"), "", None)));
        for bad in [
            "http://",
            "http:///x",
            "http://u@a/",
            "http://u:p@a/",
            "http://[::1/x",
            "http://a,b/",
            "http://:80/",
            "http://a:x/",
        ] {
            check(get, bad, Err(Error::Authority));
        }
        check(get, "https://a/", Err(Error::Misdirected));
        for bad in [
            "ftp://a/",
            "s://]ufd/:",
            "http:/a",
            "http:a",
            "://a",
            "foo/bar",
            "a:80",
            "http",
            "?x",
            "\\x",
        ] {
            check(get, bad, Err(Error::Target));
        }
    }

    #[test]
    fn asterisk_only_with_options() {
        check(&Method::OPTIONS, "*", Ok((TargetForm::Asterisk, None, "*", None)));
        check(&Method::GET, "*", Err(Error::Target));
        check(&Method::OPTIONS, "*?", Err(Error::Target));
        check(&Method::from_bytes(b"options").unwrap(), "*", Err(Error::Target));
    }

    #[test]
    fn connect_is_refused_whatever_its_target() {
        for target in ["a:443", "a:", "/", "*", "http://a/"] {
            check(&Method::CONNECT, target, Err(Error::Connect));
        }
    }
}
