//! What can go wrong on an open socket.

use std::io;

use gateway_core::{Error, PeerError};
use tungstenite::error::{CapacityError, ProtocolError};

use crate::guard::Fault;
use crate::{CloseCode, Violation};

/// Why nothing can be received, or sent, any more.
///
/// Where it is the peer's fault, the peer has been told, with
/// [`close_code`](SocketError::close_code).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The peer broke the protocol.
    #[error("the peer broke the protocol")]
    Violation(#[from] Violation),
    /// The peer sent a text, or a reason to close, that is no UTF-8.
    #[error("the peer sent text that is no UTF-8")]
    NotUtf8,
    /// The peer sent more than is taken.
    #[error("the peer sent a message of more than {limit} bytes; see Accept::max_message")]
    TooLarge {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The connection ended without a close.
    #[error("the peer went away without closing the WebSocket")]
    Gone,
    /// The peer does not read: a message could not be sent within the server's timeout of writes.
    #[error("the peer did not take a message in time")]
    TooSlow,
    /// Something was to be sent after a close, sent or received: the message went nowhere.
    #[error("the WebSocket is closed, so nothing more can be sent")]
    Closed,
    /// Reading or writing failed: among others, a blocking call on a reactor's thread.
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

impl SocketError {
    /// What the peer was told, if it was its fault and could be told.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            SocketError::Violation(_) => Some(CloseCode::PROTOCOL_ERROR),
            SocketError::NotUtf8 => Some(CloseCode::INVALID_DATA),
            SocketError::TooLarge { .. } => Some(CloseCode::TOO_LARGE),
            SocketError::Gone | SocketError::TooSlow | SocketError::Closed | SocketError::Io(_) => {
                None
            }
        }
    }

    /// Out of what tungstenite says.
    pub(crate) fn of(error: tungstenite::Error) -> SocketError {
        use tungstenite::Error as E;

        match error {
            E::Io(error) => SocketError::io(error),
            E::Utf8(_) => SocketError::NotUtf8,
            E::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                SocketError::TooLarge { limit: max_size }
            }
            E::ConnectionClosed
            | E::AlreadyClosed
            | E::Protocol(ProtocolError::SendAfterClosing) => SocketError::Closed,
            E::Protocol(ProtocolError::ResetWithoutClosingHandshake) => SocketError::Gone,
            E::Protocol(ProtocolError::InvalidCloseSequence) => Violation::CloseFrame.into(),
            error => SocketError::Io(io::Error::other(error)),
        }
    }

    pub(crate) fn io(error: io::Error) -> SocketError {
        let error = match error.downcast::<Fault>() {
            Ok(Fault::Violation(violation)) => return violation.into(),
            Ok(Fault::NotUtf8) => return SocketError::NotUtf8,
            Err(error) => error,
        };
        match Error::from(error) {
            Error::Peer(PeerError::TooSlow) => SocketError::TooSlow,
            Error::Peer(_) => SocketError::Gone,
            error => {
                let error = io::Error::from(error);
                match error.kind() {
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable => SocketError::Gone,
                    _ => SocketError::Io(error),
                }
            }
        }
    }

    /// Whether `error` came about by the peer, or with it, so that it tells the operator nothing:
    /// it is, or wraps, one of these.
    pub(crate) fn is_the_cause_of(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<SocketError>() {
                let blocked = io::ErrorKind::WouldBlock;
                return !matches!(error, SocketError::Io(error) if error.kind() == blocked);
            }
            // The source of an `io::Error` is its content's, not its content.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            cause = match inner {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        false
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_about_by_the_peer_is_known_in_any_wrapping() {
        let wrapped = Error::application(io::Error::other(SocketError::Gone));
        assert!(SocketError::is_the_cause_of(&wrapped));
        assert!(SocketError::is_the_cause_of(&SocketError::Violation(Violation::Unmasked)));
        assert!(!SocketError::is_the_cause_of(&io::Error::other("the shelf is empty")));
    }

    /// It is the application that blocks where it must not.
    #[test]
    fn a_call_that_would_block_a_reactor_is_not_the_peers_fault() {
        let blocked = gateway_core::ApplicationError::WouldBlock { call: "Upgraded::read" };
        let error = SocketError::io(Error::from(blocked).into());
        assert!(matches!(error, SocketError::Io(_)), "{error:?}");
        assert!(!SocketError::is_the_cause_of(&error));
    }

    #[test]
    fn what_the_connection_says_becomes_what_the_peer_did() {
        let io = |error: PeerError| SocketError::io(Error::from(error).into());
        assert!(matches!(io(PeerError::TooSlow), SocketError::TooSlow));
        assert!(matches!(io(PeerError::Disconnected), SocketError::Gone));
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(SocketError::io(broken), SocketError::Gone));
        // TCP keep-alive found nobody, or what is on the way said so.
        for kind in [io::ErrorKind::TimedOut, io::ErrorKind::HostUnreachable] {
            assert!(matches!(SocketError::io(kind.into()), SocketError::Gone), "{kind}");
        }
    }
}
