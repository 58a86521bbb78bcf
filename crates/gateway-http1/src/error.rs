//! Whose fault it is: [`Error`] is the peer's, [`UsageError`] our caller's.

use http::StatusCode;

/// What the peer did wrong, with the status to answer it with. The connection cannot go on after
/// one: where the bytes of the next request begin is unknown.
///
/// It is sticky: [`next_event`](crate::Connection::next_event) returns it again and parses nothing
/// more. If no response head has been sent, answer with [`status`](Self::status) through
/// [`send_head`](crate::Connection::send_head), which then says `Connection: close`; else
/// [`cut`](crate::Connection::cut) what is under way. Close and
/// [`linger`](crate::Connection::linger) after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A byte that no method contains (RFC 9110 section 9.1), or none at all. Junk and a TLS hello
    /// on a plain port end here.
    #[error("the request line does not start with a method: send a token and one space")]
    Method,
    /// Longer than `limits.method`.
    #[error("the method is longer than any that is known here")]
    MethodTooLong,
    /// A byte that the request target must not contain, or a form that the method does not have
    /// (RFC 9112 section 3.2).
    #[error("the request target is not valid: percent-encode it, without a fragment")]
    Target,
    /// An authority that is no `host [":" port]`, or has user information (RFC 9110 section 4.2).
    #[error("the authority in the request target is not valid")]
    Authority,
    /// An `https` target: this connection is not secured (RFC 9110 section 7.4).
    #[error("https is not served on this connection")]
    Misdirected,
    /// CONNECT (RFC 9110 section 9.3.6): this is no proxy.
    #[error("CONNECT is not supported: this is no proxy")]
    Connect,
    /// Longer than `limits.request_line`.
    #[error("the request line is too long")]
    RequestLineTooLong,
    /// Not `HTTP/` digit `.` digit, in capitals, right after one space (RFC 9112 section 2.3).
    #[error("the request line does not end with an HTTP version such as HTTP/1.1")]
    Version,
    /// A major version that is not 1.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    VersionUnsupported,
    /// A CR without LF, or an LF without CR (RFC 9112 section 2.2).
    #[error("a line ends with something other than CR LF")]
    LineEnd,
    /// A name that is no token, or not directly followed by a colon (RFC 9112 section 5.1).
    #[error("a field name is not a token directly followed by a colon")]
    FieldName,
    /// A line that starts with a blank: a continuation of the line before (RFC 9112 section 5.2), or
    /// a blank before the first field (section 2.2).
    #[error("a field line starts with a blank: send each field on one line")]
    Fold,
    /// A control byte in a value (RFC 9110 section 5.5).
    #[error("a field value contains a control byte")]
    FieldValue,
    /// More than `limits.head`.
    #[error("the request head is too large")]
    HeadTooLarge,
    /// More than `limits.headers`.
    #[error("the request has too many header fields")]
    TooManyFields,
    /// HTTP/1.1 without `Host` (RFC 9112 section 3.2).
    #[error("the Host field is missing")]
    HostMissing,
    /// More than one `Host`.
    #[error("there is more than one Host field")]
    HostRepeated,
    /// `Host` is no `host [":" port]`.
    #[error("the Host field is not valid: send a host and an optional port")]
    Host,
    /// Both framings at once (RFC 9112 section 6.1).
    #[error("both Transfer-Encoding and Content-Length: send one of them")]
    AmbiguousLength,
    /// More than one `Content-Length`, be they equal or not.
    #[error("there is more than one Content-Length field")]
    LengthRepeated,
    /// `Content-Length` is not one decimal number below 2^63.
    #[error("Content-Length is not a decimal number")]
    Length,
    /// A transfer coding other than `chunked` (RFC 9112 section 6.1).
    #[error("no transfer coding but chunked is understood")]
    CodingUnknown,
    /// `Transfer-Encoding` is not exactly one final `chunked`.
    #[error("Transfer-Encoding is not exactly one final chunked")]
    Coding,
    /// `Transfer-Encoding` in HTTP/1.0 (RFC 9112 section 6.1).
    #[error("Transfer-Encoding does not exist in HTTP/1.0")]
    CodingInHttp10,
    /// An expectation other than `100-continue` (RFC 9110 section 10.1.1).
    #[error("no expectation but 100-continue can be met")]
    Expectation,
    /// A chunk size that is not hexadecimal digits below 2^63 (RFC 9112 section 7.1).
    #[error("a chunk size is not a hexadecimal number")]
    ChunkSize,
    /// A chunk extension that is not `;name`, `;name=token` or `;name="quoted"` (section 7.1.1).
    #[error("a chunk extension is not valid")]
    ChunkExtension,
    /// A chunk line longer than `limits.chunk_line`.
    #[error("a chunk line is too long")]
    ChunkLineTooLong,
    /// More extensions in one body than `limits.chunk_extensions`.
    #[error("the chunk extensions of this body are too large")]
    ChunkExtensionsTooLarge,
    /// Something other than CR LF after a chunk's data.
    #[error("chunk data is longer than its size says")]
    ChunkEnd,
    /// More than `limits.trailers`.
    #[error("the trailers are too large")]
    TrailersTooLarge,
    /// The peer ended the connection inside a head.
    #[error("the connection ended inside a request head")]
    IncompleteHead,
    /// The peer ended the connection inside a body.
    #[error("the connection ended inside a request body")]
    IncompleteBody,
    /// The head took longer than `timeouts.head`.
    #[error("the request head took too long")]
    HeadTimeout,
    /// The body came slower than `timeouts.min_rate` or stalled.
    #[error("the request body came too slowly")]
    BodyTimeout,
    /// After the response more of the request's body was left than `limits.unread`.
    #[error("more of the request body was left unread than is thrown away for a next request")]
    UnreadBody,
}

impl Error {
    /// The status that tells the peer what it did wrong.
    ///
    /// ```
    /// assert_eq!(gateway_http1::Error::HeadTooLarge.status(), 431);
    /// ```
    pub fn status(self) -> StatusCode {
        match self {
            Self::HeadTimeout | Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnreadBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestLineTooLong => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailersTooLarge => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::MethodTooLong | Self::Connect | Self::CodingUnknown => {
                StatusCode::NOT_IMPLEMENTED
            }
            Self::VersionUnsupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// What our caller did wrong. Nothing was written and the state is as before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// There is no request to answer: none was received, or its response has ended.
    #[error("there is no request to answer: wait for Event::Request")]
    NoRequest,
    /// The final head has been sent already.
    #[error("the response head has been sent already")]
    HeadSent,
    /// Data or the end before the head.
    #[error("the response head has not been sent yet: call send_head first")]
    HeadNotSent,
    /// The response was cut: nothing more may be sent on this connection.
    #[error("the response was cut")]
    Cut,
    /// A 1xx status other than 101 as the final one.
    #[error("an informational status is not final: use send_informational")]
    InformationalStatus,
    /// 101 for a request that offers no upgrade.
    #[error("the peer offered no upgrade")]
    NoUpgrade,
    /// A reason phrase with bytes that must not be in one (RFC 9112 section 4).
    #[error("the reason phrase contains a control byte")]
    Reason,
    /// A `date`, a `server` or another field with bytes that must not be in a field value.
    #[error("the value for {0} contains a control byte")]
    FieldValue(&'static str),
    /// More data than `Content-Length` announced.
    #[error("the response body is {excess} bytes longer than its Content-Length")]
    TooLong {
        /// Bytes over the announced length.
        excess: u64,
    },
    /// The end before all data that `Content-Length` announced; [`cut`](crate::Connection::cut) it.
    #[error("the response body is {missing} bytes shorter than its Content-Length")]
    TooShort {
        /// Bytes missing.
        missing: u64,
    },
    /// Data beside the engine in a chunked response, or in one that has no body.
    #[error("only a body that is framed by Content-Length or by the close can be sent aside")]
    NotAnnounceable,
}
