//! What comes out of [`Connection::next_event`](crate::Connection::next_event).

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, Method, Version};

/// What the peer's bytes mean, in order.
///
/// A cycle is `Request`, any number of `Data`, one `End`, then `Paused` until
/// [`start_next_cycle`](crate::Connection::start_next_cycle).
#[derive(Debug)]
#[must_use]
pub enum Event {
    /// Nothing more can be told before more bytes (or the end of them) are received.
    NeedData,
    /// A whole request head. [`fields`](crate::Connection::fields) are valid from here on.
    Request(RequestHead),
    /// A part of the request's body: never empty, at most as long as what was buffered. The parts
    /// say nothing about how the peer chunked it.
    Data(Bytes),
    /// The request is complete, with the trailers if there were any that may be looked at. Comes
    /// for requests without a body, too.
    End(Option<HeaderMap>),
    /// The request is complete and its response is not: nothing more is read before
    /// [`start_next_cycle`](crate::Connection::start_next_cycle).
    Paused,
    /// The peer closed between two requests. Nothing is owed.
    Closed,
}

/// A request head: one [`Bytes`] and positions in it. The positions of the header fields are in
/// [`Connection::fields`](crate::Connection::fields).
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The whole head as received, request line and final empty line included.
    pub bytes: Bytes,
    /// The method, as sent (methods are case-sensitive).
    pub method: Method,
    /// `HTTP_10` or `HTTP_11`; a higher minor version counts as 1.1 (RFC 9110 section 2.5).
    pub version: Version,
    /// The raw request target, undecoded.
    pub target: Span,
    /// Which of the forms of RFC 9112 section 3.2 the target has.
    pub form: TargetForm,
    /// The authority of an absolute-form target, checked like `Host`. Where present it replaces
    /// `Host` (RFC 9112 section 3.2.2).
    pub authority: Option<Span>,
    /// The raw path, undecoded: starts with `/`, or is `*` in asterisk-form, or is empty in an
    /// absolute-form without a path (then it means `/`, or `*` with OPTIONS).
    pub path: Span,
    /// What follows the first `?`, undecoded, possibly empty. `None` without a `?`.
    pub query: Option<Span>,
    /// The one `Host` field's value; `None` only on HTTP/1.0. May be empty.
    pub host: Option<Span>,
    /// How the body ends.
    pub body: BodyLength,
    /// Whether the peer waits for a `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// Whether the peer offers an upgrade: HTTP/1.1, `Connection: upgrade` and an `Upgrade` field.
    pub upgrade: bool,
}

/// How long a request's body is, by RFC 9112 section 6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// No body was announced.
    None,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The form of a request target. Authority-form exists only with CONNECT, which is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `*`, only with OPTIONS.
    Asterisk,
}

/// A position in a head's bytes.
///
/// ```
/// use gateway_http1::Span;
///
/// let span = Span { start: 4, len: 5 };
/// assert_eq!(span.of(b"GET /path HTTP/1.1"), b"/path");
/// assert_eq!(span.range(), 4..9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// The first byte's offset.
    pub start: u16,
    /// The number of bytes.
    pub len: u16,
}

/// The position of one header field: its name as sent, and its value without the blanks around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, in the case it was sent in. A valid token, never empty.
    pub name: Span,
    /// The value: visible ASCII, bytes above 127, and blanks or tabs inside. May be empty.
    pub value: Span,
}

impl BodyLength {
    /// Whether no byte of a body follows the head: none was announced, or one of length 0.
    #[inline]
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

impl Span {
    /// The position as a range of `usize`.
    #[inline]
    pub fn range(self) -> Range<usize> {
        let start = usize::from(self.start);
        start..start + usize::from(self.len)
    }

    /// The bytes at this position.
    ///
    /// # Panics
    ///
    /// If the position lies outside `bytes`, that is, if those are not of the head it belongs to.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }

    /// From one offset up to another; both are below a limit that is checked to fit.
    #[inline]
    pub(crate) fn between(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= usize::from(u16::MAX));
        Self { start: start as u16, len: (end - start) as u16 }
    }
}
