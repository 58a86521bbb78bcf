//! Response heads and trailers as bytes: RFC 9112 sections 4 and 5.

use http::{HeaderMap, StatusCode};

use crate::ResponseHead;
use crate::scan::is_all_value;
use crate::state::Framing;
use crate::trailers::is_allowed;

/// What the `Connection` field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Nothing: HTTP/1.1 is kept by default.
    Default,
    /// `keep-alive`: an HTTP/1.0 peer asked for it and gets it.
    Kept,
    Close,
    /// Not this protocol's matter any more.
    Switched,
}

/// Writes a final head, whose reason, date and server have been checked. Tells whether all values of
/// its fields can be written; if not, nothing is.
#[inline]
pub(crate) fn push_head(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_>,
    announced: Option<Framing>,
    persistence: Persistence,
) -> bool {
    let before = out.len();
    match head.reason {
        None => push_status_line(out, head.status),
        Some(reason) => push_custom_status_line(out, head.status, reason),
    }
    match head.common {
        Some(common) => out.extend_from_slice(common.lines()),
        None => {
            if let Some(date) = head.date {
                push_field(out, b"Date", date);
            }
            if let Some(server) = head.server {
                push_field(out, b"Server", server);
            }
        }
    }
    match announced {
        Some(Framing::Length(length)) => push_content_length(out, length),
        Some(Framing::Chunked) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    let (mut upgrades, mut sound, common) = (false, true, head.common.is_some());
    let (date, server) = (common || head.date.is_some(), common || head.server.is_some());
    head.headers.for_each(&mut |name, value| {
        let name = name.as_str();
        if !is_ours(name, date, server) {
            upgrades |= name == "upgrade";
            sound &= is_all_value(value);
            push_field(out, name.as_bytes(), value);
        }
    });
    if !sound {
        out.truncate(before);
        return false;
    }
    push_connection(out, persistence, upgrades);
    out.extend_from_slice(b"\r\n");
    true
}

/// Writes an informational response: its fields cannot be about framing or the connection.
pub(crate) fn push_informational(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    push_status_line(out, status);
    for (name, value) in headers {
        if !is_ours(name.as_str(), true, false) && name != "upgrade" {
            push_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the last chunk and the trailers that are allowed to be some.
pub(crate) fn push_last_chunk(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if is_allowed(name) {
            push_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 9110 section 7.8: whoever sends `Upgrade` lists it in `Connection`, also with a 426.
fn push_connection(out: &mut Vec<u8>, persistence: Persistence, upgrades: bool) {
    let field: &[u8] = match (persistence, upgrades) {
        (Persistence::Default, false) => return,
        (Persistence::Default, true) | (Persistence::Switched, _) => b"Connection: upgrade\r\n",
        (Persistence::Kept, false) => b"Connection: keep-alive\r\n",
        (Persistence::Kept, true) => b"Connection: keep-alive, upgrade\r\n",
        (Persistence::Close, false) => b"Connection: close\r\n",
        (Persistence::Close, true) => b"Connection: close, upgrade\r\n",
    };
    out.extend_from_slice(field);
}

/// Whether a field, by its lower-case name, is written by the engine alone.
#[inline(always)]
fn is_ours(name: &str, date: bool, server: bool) -> bool {
    match name.len() {
        4 => date && name == "date",
        6 => server && name == "server",
        10 => name == "connection" || name == "keep-alive",
        14 => name == "content-length",
        17 => name == "transfer-encoding",
        _ => false,
    }
}

#[inline(always)]
pub(crate) fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn push_status_line(out: &mut Vec<u8>, status: StatusCode) {
    macro_rules! line {
        ($text:literal) => {
            concat!("HTTP/1.1 ", $text, "\r\n").as_bytes()
        };
    }
    let line = match status.as_u16() {
        100 => line!("100 Continue"),
        101 => line!("101 Switching Protocols"),
        200 => line!("200 OK"),
        201 => line!("201 Created"),
        204 => line!("204 No Content"),
        206 => line!("206 Partial Content"),
        301 => line!("301 Moved Permanently"),
        302 => line!("302 Found"),
        303 => line!("303 See Other"),
        304 => line!("304 Not Modified"),
        307 => line!("307 Temporary Redirect"),
        308 => line!("308 Permanent Redirect"),
        400 => line!("400 Bad Request"),
        401 => line!("401 Unauthorized"),
        403 => line!("403 Forbidden"),
        404 => line!("404 Not Found"),
        405 => line!("405 Method Not Allowed"),
        408 => line!("408 Request Timeout"),
        413 => line!("413 Content Too Large"),
        422 => line!("422 Unprocessable Content"),
        500 => line!("500 Internal Server Error"),
        503 => line!("503 Service Unavailable"),
        _ => {
            let reason = status.canonical_reason().unwrap_or_default();
            return push_custom_status_line(out, status, reason.as_bytes());
        }
    };
    out.extend_from_slice(line);
}

/// RFC 9112 section 4: the space before the reason is there even if the reason is not.
#[cold]
fn push_custom_status_line(out: &mut Vec<u8>, status: StatusCode, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// In one piece: the name, up to twenty digits, and the line's end.
#[inline]
fn push_content_length(out: &mut Vec<u8>, mut length: u64) {
    const NAME: &[u8; 16] = b"Content-Length: ";
    const END: usize = NAME.len() + 22;
    let mut line = [0; END];
    line[END - 2..].copy_from_slice(b"\r\n");
    let mut at = END - 2;
    loop {
        at -= 1;
        line[at] = b'0' + (length % 10) as u8;
        length /= 10;
        if length == 0 {
            break;
        }
    }
    at -= NAME.len();
    line[at..at + NAME.len()].copy_from_slice(NAME);
    out.extend_from_slice(&line[at..]);
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn lengths_are_decimals() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = Vec::new();
            push_content_length(&mut out, number);
            assert_eq!(out, format!("Content-Length: {number}\r\n").as_bytes());
        }
    }

    #[test]
    fn status_lines_agree_with_the_registry() {
        for code in 100..1000 {
            let status = StatusCode::from_u16(code).unwrap();
            let mut out = Vec::new();
            push_status_line(&mut out, status);
            let reason = match code {
                413 => "Content Too Large",
                422 => "Unprocessable Content",
                _ => status.canonical_reason().unwrap_or_default(),
            };
            assert_eq!(out, format!("HTTP/1.1 {code} {reason}\r\n").as_bytes());
        }
    }

    fn written(
        head: &ResponseHead<'_>,
        framing: Option<Framing>,
        persistence: Persistence,
    ) -> String {
        let mut out = Vec::new();
        push_head(&mut out, head, framing, persistence);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn our_own_fields_are_written_once() {
        let mut headers = HeaderMap::new();
        for name in
            ["content-length", "transfer-encoding", "connection", "keep-alive", "date", "server"]
        {
            headers.insert(name, HeaderValue::from_static("theirs"));
        }
        headers.insert("x-a", HeaderValue::from_static("b"));
        headers.append("x-a", HeaderValue::from_static("c"));
        let mut head = ResponseHead::new(StatusCode::OK, &headers);
        let expected = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\ndate: theirs\r\nserver: theirs\r\nx-a: b\r\nx-a: c\r\n\r\n";
        assert_eq!(written(&head, Some(Framing::Length(5)), Persistence::Default), expected);
        head.date = Some(b"now");
        head.server = Some(b"us");
        let expected = "HTTP/1.1 200 OK\r\nDate: now\r\nServer: us\r\nTransfer-Encoding: chunked\r\nx-a: b\r\nx-a: c\r\nConnection: close\r\n\r\n";
        assert_eq!(written(&head, Some(Framing::Chunked), Persistence::Close), expected);
    }

    #[test]
    fn upgrade_is_listed_in_connection() {
        let mut headers = HeaderMap::new();
        headers.insert("upgrade", HeaderValue::from_static("foo"));
        let head = ResponseHead::new(StatusCode::UPGRADE_REQUIRED, &headers);
        for (persistence, option) in [
            (Persistence::Default, "upgrade"),
            (Persistence::Switched, "upgrade"),
            (Persistence::Kept, "keep-alive, upgrade"),
            (Persistence::Close, "close, upgrade"),
        ] {
            let expected = format!(
                "HTTP/1.1 426 Upgrade Required\r\nupgrade: foo\r\nConnection: {option}\r\n\r\n"
            );
            assert_eq!(written(&head, None, persistence), expected);
        }
    }

    #[test]
    fn a_reason_may_be_empty() {
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(StatusCode::from_u16(299).unwrap(), &headers);
        assert_eq!(written(&head, None, Persistence::Default), "HTTP/1.1 299 \r\n\r\n");
        head.reason = Some(b"Fine");
        assert_eq!(written(&head, None, Persistence::Default), "HTTP/1.1 299 Fine\r\n\r\n");
    }

    #[test]
    fn trailers_that_would_come_too_late_are_not_sent() {
        let mut trailers = HeaderMap::new();
        trailers.insert("content-length", HeaderValue::from_static("5"));
        trailers.insert("x-t", HeaderValue::from_static("y"));
        let mut out = Vec::new();
        push_last_chunk(&mut out, Some(&trailers));
        assert_eq!(out, b"0\r\nx-t: y\r\n\r\n");
    }
}
