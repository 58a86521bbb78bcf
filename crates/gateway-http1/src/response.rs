//! The response head, as our caller describes it.

use http::{HeaderMap, StatusCode};

/// A final response head for [`Connection::send_head`](crate::Connection::send_head), which writes
/// the framing itself.
///
/// `content-length`, `transfer-encoding`, `connection` and `keep-alive` in `headers` are skipped, as
/// are `date` and `server` where those are given here.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status: not 1xx, but for 101.
    pub status: StatusCode,
    /// Another reason phrase than the usual one.
    pub reason: Option<&'a [u8]>,
    /// The fields, written in the map's order under lower-case names.
    pub headers: &'a HeaderMap,
    /// The body's length, if it is known: `Content-Length`. Else chunked (HTTP/1.1) or until the
    /// connection closes (HTTP/1.0).
    pub length: Option<u64>,
    /// The `Date` field's value.
    pub date: Option<&'a [u8]>,
    /// The `Server` field's value.
    pub server: Option<&'a [u8]>,
    /// Close the connection after this response, and say so.
    pub close: bool,
    /// Trailers may follow: chunked where the peer understands it, even if `length` is known.
    pub trailers: bool,
}

impl<'a> ResponseHead<'a> {
    /// A head with a status and fields, nothing else: no length, no date, the connection kept.
    pub fn new(status: StatusCode, headers: &'a HeaderMap) -> Self {
        Self {
            status,
            reason: None,
            headers,
            length: None,
            date: None,
            server: None,
            close: false,
            trailers: false,
        }
    }
}
