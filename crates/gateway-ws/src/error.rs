//! What can go wrong, whose fault it is, and what the peer is told.

use gateway_core::Error;
use gateway_core::http::header::{ALLOW, HeaderMap, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE};
use gateway_core::http::{Method, StatusCode, Version};

/// A request that does not begin a WebSocket, or one that is not wanted.
///
/// It is the client's fault. With `?` it becomes an [`Error`] with [`status`](HandshakeError::status)
/// and the fields that go with it, so the client is answered and nothing is logged.
///
/// ```
/// use gateway_core::Error;
/// use gateway_ws::HandshakeError;
///
/// let error = Error::from(HandshakeError::Version { offered: Some("8".to_owned()) });
/// assert_eq!(error.status(), 426);
/// assert_eq!(error.headers().expect("ours")["sec-websocket-version"], "13");
/// ```
///
/// Source: RFC 6455 §4.2.1 and §4.2.2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Another method than GET: 405.
    #[error("a WebSocket begins with GET, not with {method}")]
    Method {
        /// The method.
        method: Method,
    },
    /// Another version than HTTP/1.1: 426.
    #[error("a WebSocket begins with HTTP/1.1, not with {version:?}")]
    HttpVersion {
        /// The version.
        version: Version,
    },
    /// No Host: 400.
    #[error("the request does not say which host it is for")]
    Host,
    /// No `websocket` in Upgrade, so this is no attempt: 426.
    #[error("the request offers no upgrade to `websocket`")]
    Upgrade,
    /// No `upgrade` in Connection, as when a proxy has taken it away: 400.
    #[error("the request's Connection does not list `upgrade`; a proxy on the way may remove it")]
    Connection,
    /// No Sec-WebSocket-Version, or not 13: 426, with ours.
    #[error("the request's Sec-WebSocket-Version is not 13 but {offered:?}")]
    Version {
        /// What it is; `None` where it is missing.
        offered: Option<String>,
    },
    /// Several Sec-WebSocket-Version: 400.
    #[error("the request has more than one Sec-WebSocket-Version")]
    VersionRepeated,
    /// No Sec-WebSocket-Key: 400.
    #[error("the request has no Sec-WebSocket-Key")]
    KeyMissing,
    /// Several Sec-WebSocket-Key: 400.
    #[error("the request has more than one Sec-WebSocket-Key")]
    KeyRepeated,
    /// A Sec-WebSocket-Key that is not base64 of 16 bytes: 400.
    #[error("the request's Sec-WebSocket-Key is not base64 of 16 bytes")]
    Key,
    /// A Sec-WebSocket-Protocol with something that is no token, or the same one twice: 400.
    #[error("the request's Sec-WebSocket-Protocol is not a list of different tokens")]
    Protocols,
    /// A page of another origin: 403.
    #[error("pages of {origin:?} may not open this WebSocket")]
    Origin {
        /// The page's origin.
        origin: String,
    },
    /// Several Origin: 400.
    #[error("the request has more than one Origin")]
    OriginRepeated,
}

impl HandshakeError {
    /// What the client is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            HandshakeError::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            HandshakeError::HttpVersion { .. }
            | HandshakeError::Upgrade
            | HandshakeError::Version { .. } => StatusCode::UPGRADE_REQUIRED,
            HandshakeError::Origin { .. } => StatusCode::FORBIDDEN,
            HandshakeError::Host
            | HandshakeError::Connection
            | HandshakeError::VersionRepeated
            | HandshakeError::KeyMissing
            | HandshakeError::KeyRepeated
            | HandshakeError::Key
            | HandshakeError::Protocols
            | HandshakeError::OriginRepeated => StatusCode::BAD_REQUEST,
        }
    }

    /// The fields that go with it: Allow with 405; Upgrade and Sec-WebSocket-Version with 426.
    pub fn headers(&self) -> HeaderMap {
        let fields: &[_] = match self.status() {
            StatusCode::METHOD_NOT_ALLOWED => &[(ALLOW, "GET")],
            StatusCode::UPGRADE_REQUIRED => {
                &[(UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")]
            }
            _ => &[],
        };
        let mut headers = HeaderMap::with_capacity(fields.len());
        for (name, value) in fields {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Error {
        let (status, headers) = (error.status(), error.headers());
        Error::with_status(status, error).with_headers(headers)
    }
}
