//! Where a response goes.

use bytes::Bytes;
use gateway_core::Head;
use gateway_core::http::{HeaderMap, StatusCode};

/// A response as the contract lets it through, in the order of the methods.
///
/// HTTP/1.1, CGI, FastCGI or a test implements it. It queues and does not wait. By the time it is
/// called, everything has been checked: it is never given data past a declared length, data of a
/// response that has none, or a field that belongs to the hop.
pub trait Wire {
    /// An interim response; nothing where the protocol has none.
    fn informational(&mut self, status: StatusCode, headers: &HeaderMap);

    /// The final head, once.
    fn head(&mut self, head: &Head, framing: Framing);

    /// Some of the body, never empty.
    fn data(&mut self, data: Bytes);

    /// That many bytes of the body, which go to the peer by another way, such as `sendfile`.
    fn announce(&mut self, length: u64);

    /// The clean end, once.
    fn end(&mut self, trailers: Option<HeaderMap>);

    /// In place of a clean end: the peer must be able to see that something is missing.
    fn cut(&mut self);
}

/// What the contract found out about a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Framing {
    /// The length to announce; unknown, or not to be announced, where it is `None`.
    pub length: Option<u64>,
    /// No body follows, whatever the length says: the answer to HEAD, 204, 304.
    pub bodiless: bool,
    /// The application said `Connection: close`.
    pub close: bool,
    /// The head has no `Date`; a server with a clock adds one (RFC 9110 §6.6.1).
    pub date_missing: bool,
    /// The head has no `Server`.
    pub server_missing: bool,
}
