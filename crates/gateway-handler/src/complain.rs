//! What of an error is worth a line in the log.

use std::fmt::Display;

use gateway_core::http::StatusCode;
use gateway_core::{Error, ErrorStream};

/// Logs `error` with its causes, after `what` it concerns, unless it is the peer's fault or an
/// answer that the application chose: a peer must not be able to fill the log.
///
/// So what is answered by 503, of which overloaded servers give as many as they are asked for, is
/// logged at most once in ten seconds, with a count: [`ErrorStream::error_seldom`].
pub fn complain(errors: &ErrorStream, what: impl Display, error: &Error) {
    let status = error.status();
    match error {
        Error::Peer(_) => {}
        _ if status == StatusCode::SERVICE_UNAVAILABLE => errors.error_seldom(what, error),
        _ if status.is_server_error() => errors.error(what, error),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{PeerError, ServerError};

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

    /// A peer can have as many of these as it asks for.
    #[test]
    fn overload_is_told_once_in_a_while() {
        let (errors, lines) = ErrorStream::memory();
        let shortage =
            || Error::with_status(StatusCode::SERVICE_UNAVAILABLE, "too many open files");
        for _ in 0..3 {
            complain(&errors, "GET /", &ServerError::Overloaded.into());
            complain(&errors, "GET /", &shortage());
            complain(&errors.clone(), "GET /", &ServerError::ShuttingDown.into());
        }
        assert_eq!(lines.take(), ["GET /: all workers are busy and the queue is full"]);
        for _ in 0..3 {
            complain(&errors, "GET /", &Error::application("the cache is gone"));
        }
        assert_eq!(lines.take().len(), 3, "what the application fails in is always told");
    }
}
