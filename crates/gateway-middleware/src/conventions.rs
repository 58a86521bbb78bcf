//! What OpenTelemetry's conventions for HTTP call things, for spans and events.

use gateway_core::exchange::End;
use gateway_core::http::{Method, StatusCode, Version};
use gateway_core::{Error, PeerError};

/// `None` for a method that the conventions do not know.
pub(crate) fn known_method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

/// What stands for a method that the conventions do not know.
pub(crate) const OTHER_METHOD: &str = "_OTHER";

/// `network.protocol.version`.
pub(crate) fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// `error.type`, of few values, as the conventions ask: the status, or how it was cut off. `None`
/// where nothing failed.
pub(crate) fn error_type<'a>(end: &'a End<'_>) -> Option<&'a str> {
    let failed = end.status.as_ref().filter(|status| StatusCode::is_server_error(status));
    match (end.abort, failed) {
        (Some(Error::Peer(PeerError::Disconnected)), _) => Some("disconnected"),
        (Some(Error::Peer(PeerError::TooSlow)), _) => Some("timeout"),
        (Some(_), _) => Some("cut"),
        (None, failed) => failed.map(StatusCode::as_str),
    }
}
