//! The trailer section: RFC 9112 section 7.1.2, RFC 9110 section 6.5.

use bytes::{Buf, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::fields::FieldScanner;
use crate::{Error, Field, Limits};

/// Finds a trailer section at the begin of a buffer whose bytes may come in any pieces.
#[derive(Debug, Default)]
pub(crate) struct TrailerScanner {
    scanner: FieldScanner,
    fields: Vec<Field>,
}

impl TrailerScanner {
    /// Goes on where it stopped. A whole section is taken off the buffer; `None` if more bytes are
    /// needed. `headers` is how many fields the head had: one limit is for both.
    pub(crate) fn scan(
        &mut self,
        buffer: &mut BytesMut,
        headers: usize,
        limits: &Limits,
    ) -> Result<Option<Option<HeaderMap>>, Error> {
        let section = &buffer[..buffer.len().min(limits.trailers)];
        let limit = limits.headers.saturating_sub(headers);
        let end = self.scanner.scan(section, &mut self.fields, limit, None)?;
        let Some(end) = end else {
            let full = section.len() == limits.trailers;
            return if full { Err(Error::TrailersTooLarge) } else { Ok(None) };
        };
        let mut map = HeaderMap::new();
        for field in &self.fields {
            let name = HeaderName::from_bytes(field.name.of(buffer));
            let value = HeaderValue::from_bytes(field.value.of(buffer));
            let (Ok(name), Ok(value)) = (name, value) else { return Err(Error::FieldName) };
            if is_allowed(&name) {
                map.append(name, value);
            }
        }
        buffer.advance(end);
        Ok(Some((!map.is_empty()).then_some(map)))
    }
}

/// Whether a field may come after the content. Those that frame or route the message, modify the
/// request, authenticate, or say how the content is to be processed may not (RFC 9110 section
/// 6.5.1): they would come too late, behind decisions that were made without them. Received ones are
/// dropped, our caller's are not sent.
pub(crate) fn is_allowed(name: &HeaderName) -> bool {
    const FORBIDDEN: [&str; 44] = [
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "age",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "cookie2",
        "date",
        "expect",
        "expires",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "location",
        "max-forwards",
        "origin",
        "pragma",
        "proxy",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "referer",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "via",
        "www-authenticate",
    ];
    let name = name.as_str();
    FORBIDDEN.binary_search(&name).is_err()
        && !name.starts_with("x-forwarded-")
        && !name.starts_with("x-http-method")
        && name != "x-real-ip"
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = Vec<(String, Vec<u8>)>;

    fn feed(
        input: &[u8],
        piece: usize,
        headers: usize,
        limits: &Limits,
    ) -> Result<Option<(Pairs, Vec<u8>)>, Error> {
        let mut scanner = TrailerScanner::default();
        let mut buffer = BytesMut::new();
        let mut pieces = input.chunks(piece);
        while let Some(part) = pieces.next() {
            buffer.extend_from_slice(part);
            if let Some(map) = scanner.scan(&mut buffer, headers, limits)? {
                buffer.extend(pieces.flatten());
                let pairs =
                    map.iter().flatten().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec()));
                return Ok(Some((pairs.collect(), buffer.to_vec())));
            }
        }
        Ok(None)
    }

    fn three_ways(input: &str, headers: usize, limits: &Limits) -> Result<Option<Pairs>, Error> {
        let whole = feed(input.as_bytes(), usize::MAX, headers, limits);
        assert_eq!(whole, feed(input.as_bytes(), 1, headers, limits), "byte by byte");
        if !matches!(whole, Ok(None)) {
            let trailing =
                feed(&[input.as_bytes(), b"\0GET"].concat(), usize::MAX, headers, limits);
            let expected =
                whole.clone().map(|found| found.map(|(pairs, _)| (pairs, b"\0GET".to_vec())));
            assert_eq!(trailing, expected, "with trailing bytes");
        }
        whole.map(|found| found.map(|(pairs, _)| pairs))
    }

    fn parse(input: &str) -> Result<Option<Pairs>, Error> {
        three_ways(input, 0, &Limits::default())
    }

    #[test]
    fn fields_that_may_come_late() {
        assert_eq!(parse("\r\n"), Ok(Some(vec![])));
        let two = vec![("x-t".to_owned(), b"y".to_vec()), ("x-t".to_owned(), b"z".to_vec())];
        assert_eq!(parse("X-T: y\r\nx-t:z\r\n\r\n"), Ok(Some(two)));
        assert_eq!(parse("X-T: y\r\n"), Ok(None));
    }

    #[test]
    fn fields_that_may_not_are_dropped() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "HOST",
            "Trailer",
            "Authorization",
            "Cookie",
            "Content-Type",
            "Connection",
            "X-Forwarded-For",
            "If-None-Match",
            "Proxy",
            "TE",
            "Via",
            "WWW-Authenticate",
            "Accept",
        ] {
            let section = format!("{name}: 5\r\nX-T: y\r\n\r\n");
            assert_eq!(parse(&section).unwrap().unwrap().len(), 1, "{name}");
        }
    }

    #[test]
    fn the_list_is_sorted() {
        for name in ["accept", "cookie", "host", "te", "www-authenticate"] {
            assert!(!is_allowed(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["etag", "server-timing", "digest", "grpc-status", "x-checksum"] {
            assert!(is_allowed(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn lines_are_as_strict_as_in_a_head() {
        for (section, error) in [
            ("nocolon\r\n\r\n", Error::FieldName),
            ("X-A : b\r\n\r\n", Error::FieldName),
            ("\n", Error::LineEnd),
            (" X: y\r\n\r\n", Error::Fold),
            ("X: y\r\n z\r\n\r\n", Error::Fold),
            ("X: \0\r\n\r\n", Error::FieldValue),
            ("X: y\n\r\n", Error::LineEnd),
            ("Content-Length : 5\r\n\r\n", Error::FieldName),
            (": y\r\n\r\n", Error::FieldName),
        ] {
            assert_eq!(parse(section), Err(error), "{section:?}");
        }
    }

    #[test]
    fn limits_at_the_limit_and_one_past() {
        let limits = Limits { trailers: 20, headers: 5, ..Limits::default() };
        let outcome = |input: &str, headers| {
            three_ways(input, headers, &limits).map(|found| found.map(|p| p.len()))
        };
        assert_eq!(outcome(&format!("X: {}\r\n\r\n", "y".repeat(13)), 0), Ok(Some(1)));
        assert_eq!(
            outcome(&format!("X: {}\r\n\r\n", "y".repeat(14)), 0),
            Err(Error::TrailersTooLarge)
        );
        assert_eq!(outcome("A:\r\nA:\r\n\r\n", 3), Ok(Some(2)));
        assert_eq!(outcome("A:\r\nA:\r\n\r\n", 4), Err(Error::TooManyFields));
    }
}
