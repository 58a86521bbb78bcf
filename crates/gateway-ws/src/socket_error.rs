//! What can go wrong on an open socket.

use std::io;

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
            SocketError::Gone | SocketError::Closed | SocketError::Io(_) => None,
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
        match error.downcast::<Fault>() {
            Ok(Fault::Violation(violation)) => violation.into(),
            Ok(Fault::NotUtf8) => SocketError::NotUtf8,
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected => SocketError::Gone,
                _ => SocketError::Io(error),
            },
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }
}
