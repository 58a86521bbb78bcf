//! What of an error is worth a line in the log.

use std::fmt::Display;

use gateway_core::{Error, ErrorStream};

/// Logs `error` with its causes, after `what` it concerns, unless it is the peer's fault or an
/// answer that the application chose: a peer must not be able to fill the log.
pub fn complain(errors: &ErrorStream, what: impl Display, error: &Error) {
    let ours = match error {
        Error::Peer(_) => false,
        _ => error.status().is_server_error(),
    };
    if ours {
        errors.error(what, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::PeerError;
    use gateway_core::http::StatusCode;

    #[test]
    fn only_what_is_ours_is_logged() {
        let (errors, lines) = ErrorStream::memory();
        complain(&errors, "GET /", &PeerError::Disconnected.into());
        complain(&errors, "GET /", &Error::with_status(StatusCode::NOT_FOUND, "no such page"));
        assert_eq!(lines.take(), [""; 0]);
        complain(&errors, "GET /", &Error::application("the cache is gone"));
        assert_eq!(
            lines.take(),
            ["GET /: the application failed with 500 Internal Server Error: the cache is gone"]
        );
    }
}
