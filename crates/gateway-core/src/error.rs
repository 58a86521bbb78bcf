//! Errors that say whose fault they are.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;

use http::StatusCode;

/// The result of an application, and of most calls in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error behind a pointer.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong with one exchange, by whose fault it was.
///
/// An application answers with one by `Err`. If no head is on the wire yet, the server sends
/// [`status`](Error::status) with a plain body; afterwards it cuts the connection visibly.
/// [`Error::with_status`] and [`Error::application`] wrap any other error, and `?` converts an
/// [`io::Error`], a [`BoxError`] and those of the `http` crate.
///
/// # Examples
///
/// ```
/// use gateway_core::{Error, http::StatusCode};
///
/// let error = Error::with_status(StatusCode::NOT_FOUND, "no such article");
/// assert_eq!(error.status(), StatusCode::NOT_FOUND);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent what it must not, or went away.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The application failed, or broke the contract.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// The server cannot serve.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Reading or writing failed, of a file or of the connection.
    #[error("input or output failed")]
    Io(#[source] io::Error),
}

impl Error {
    /// The application failed with `cause`: status 500.
    pub fn application(cause: impl Into<BoxError>) -> Error {
        Error::with_status(StatusCode::INTERNAL_SERVER_ERROR, cause)
    }

    /// The application failed with `cause` and wants `status` sent for it.
    ///
    /// The cause is logged and not shown to the peer.
    pub fn with_status(status: StatusCode, cause: impl Into<BoxError>) -> Error {
        ApplicationError::Failed { status, cause: cause.into() }.into()
    }

    /// The status that the server sends for this error where no head has been sent.
    pub fn status(&self) -> StatusCode {
        match self {
            Error::Peer(error) => error.status(),
            Error::Application(ApplicationError::Failed { status, .. }) => *status,
            Error::Server(ServerError::Overloaded | ServerError::ShuttingDown) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::Application(_) | Error::Server(_) | Error::Io(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// Whether the peer has gone, so that nobody is left to answer.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Error::Peer(PeerError::Disconnected))
    }

    /// The same error once more, for a source that fails every read after the one that broke it.
    /// Boxed causes become their text.
    pub(crate) fn again(&self) -> Error {
        match self {
            Error::Peer(error) => error.again().into(),
            Error::Application(ApplicationError::ExchangeOver) => {
                ApplicationError::ExchangeOver.into()
            }
            // Readers try again after `Interrupted`, which would never end.
            Error::Io(error) if error.kind() == io::ErrorKind::Interrupted => {
                Error::Io(io::Error::other(error.to_string()))
            }
            Error::Io(error) => Error::Io(io::Error::new(error.kind(), error.to_string())),
            error => Error::with_status(error.status(), error.to_string()),
        }
    }
}

/// What a peer can do wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The request body is larger than the application accepts: 413.
    #[error("the request body is larger than {limit} bytes; raise it with Input::limit")]
    BodyTooLarge {
        /// The limit in force, in bytes.
        limit: u64,
    },
    /// The request body came too slowly: 408.
    #[error("the request body did not come in time")]
    BodyTimeout,
    /// The message breaks its protocol's grammar or a limit.
    #[error("the request is refused with {status}")]
    Malformed {
        /// What to send.
        status: StatusCode,
        /// The protocol engine's error.
        #[source]
        cause: BoxError,
    },
    /// The peer closed or reset the connection before the exchange was over.
    #[error("the peer went away before the exchange was over")]
    Disconnected,
    /// The peer read the response too slowly.
    #[error("the peer did not take the response in time")]
    TooSlow,
}

impl PeerError {
    /// The status that says it.
    pub fn status(&self) -> StatusCode {
        match self {
            PeerError::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            PeerError::BodyTimeout | PeerError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            PeerError::Malformed { status, .. } => *status,
            PeerError::Disconnected => StatusCode::BAD_REQUEST,
        }
    }

    fn again(&self) -> PeerError {
        match self {
            PeerError::BodyTooLarge { limit } => PeerError::BodyTooLarge { limit: *limit },
            PeerError::BodyTimeout => PeerError::BodyTimeout,
            PeerError::Malformed { status, cause } => {
                PeerError::Malformed { status: *status, cause: cause.to_string().into() }
            }
            PeerError::Disconnected => PeerError::Disconnected,
            PeerError::TooSlow => PeerError::TooSlow,
        }
    }
}

/// What an application can do wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationError {
    /// The application said so itself.
    #[error("the application failed with {status}")]
    Failed {
        /// What to send.
        status: StatusCode,
        /// Why; logged, not shown.
        #[source]
        cause: BoxError,
    },
    /// The application panicked.
    #[error("the application panicked: {message}")]
    Panicked {
        /// The panic's message, where it had one.
        message: String,
    },
    /// The head was to be changed after it had been sent.
    #[error("the head is on its way to the peer and cannot be changed any more")]
    HeadSent,
    /// A blocking call on a thread that other connections wait for.
    #[error("blocking {call} on a reactor thread; answer Reply::Blocking, or use the async form")]
    WouldBlock {
        /// Which call.
        call: &'static str,
    },
    /// More data than the declared Content-Length.
    #[error("the body is longer than the declared Content-Length of {declared}")]
    BodyTooLong {
        /// The Content-Length.
        declared: u64,
    },
    /// Less data than the declared Content-Length.
    #[error("the body ended after {sent} of the declared {declared} bytes")]
    BodyTooShort {
        /// The Content-Length.
        declared: u64,
        /// What came.
        sent: u64,
    },
    /// Content-Length fields that contradict one another, or the body, or are no number.
    #[error("the response's Content-Length is not one decimal number that fits its body")]
    InvalidContentLength,
    /// A 1xx status where a final one belongs, or 101 without [`Body::Upgrade`](crate::Body::Upgrade).
    #[error("{status} cannot stand here: 101 goes with Body::Upgrade, and other 1xx are not final")]
    InvalidStatus {
        /// The status in question.
        status: StatusCode,
    },
    /// A handle of this exchange was used after its end, or another exchange's response returned.
    #[error("the handle belongs to another exchange, or to one that is over")]
    ExchangeOver,
    /// [`Input::limit`](crate::Input::limit) after the first read.
    #[error("the body limit can only be changed before the first read")]
    LimitAfterRead,
}

/// What can keep a server from serving.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An address could not be bound. The text says what to do about the common reasons; any other
    /// reason is in the source.
    #[error("cannot listen on {address}{}", bind_hint(.address, .source))]
    Bind {
        /// The address as it was asked for; that of a Unix socket begins with `unix:` or `/`.
        address: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A setting makes no sense.
    #[error("the setting `{setting}` is refused: {reason}")]
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// What is wrong and what would do.
        reason: String,
    },
    /// Listening, threads or a runtime could not be had.
    #[error("the server cannot {action}")]
    Io {
        /// What it was about to do.
        action: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// All workers are busy and their queue is full: 503.
    #[error("all workers are busy and the queue is full")]
    Overloaded,
    /// The server stops: 503.
    #[error("the server is shutting down")]
    ShuttingDown,
}

fn bind_hint(address: &str, source: &io::Error) -> &'static str {
    let unix = address.starts_with("unix:") || address.starts_with('/');
    match (source.kind(), unix) {
        (io::ErrorKind::AddrInUse, false) => {
            ": the address is in use; stop the other server or choose another port"
        }
        (io::ErrorKind::AddrInUse, true) => {
            ": the path is in use; stop the other server or remove what it has left there"
        }
        (io::ErrorKind::PermissionDenied, false) => {
            ": permission denied; ports below 1024 need a privilege"
        }
        (io::ErrorKind::PermissionDenied, true) => {
            ": permission denied; the directory must be writable"
        }
        (io::ErrorKind::NotFound, true) => ": there is no such directory",
        (io::ErrorKind::AddrNotAvailable, _) => ": this machine has no such address",
        (io::ErrorKind::InvalidInput, false) => {
            ": it is no address; write a host and a port, like 127.0.0.1:8000 or [::1]:8000"
        }
        _ => "",
    }
}

impl From<io::Error> for Error {
    /// An [`Error`] that travelled inside an [`io::Error`] comes out as it went in.
    fn from(error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(inner) => inner,
            Err(error) => Error::Io(error),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let error = match error {
            Error::Io(inner) => return inner,
            error => error,
        };
        let kind = match &error {
            Error::Peer(PeerError::Disconnected) => io::ErrorKind::ConnectionAborted,
            Error::Peer(PeerError::BodyTimeout | PeerError::TooSlow) => io::ErrorKind::TimedOut,
            Error::Peer(_) => io::ErrorKind::InvalidData,
            Error::Application(ApplicationError::WouldBlock { .. }) => io::ErrorKind::WouldBlock,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

impl From<BoxError> for Error {
    /// An [`Error`], or the part of one, that travelled in a box comes out as it went in; any other
    /// cause becomes [`Error::application`].
    fn from(cause: BoxError) -> Error {
        fn unbox<T: Into<Error> + StdError + 'static>(cause: BoxError) -> Result<Error, BoxError> {
            cause.downcast::<T>().map(|error| (*error).into())
        }
        unbox::<Error>(cause)
            .or_else(unbox::<PeerError>)
            .or_else(unbox::<ApplicationError>)
            .or_else(unbox::<ServerError>)
            .or_else(unbox::<io::Error>)
            .unwrap_or_else(Error::application)
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Error {
        match never {}
    }
}

impl From<http::Error> for Error {
    fn from(cause: http::Error) -> Error {
        Error::application(cause)
    }
}

impl From<http::header::InvalidHeaderName> for Error {
    fn from(cause: http::header::InvalidHeaderName) -> Error {
        Error::application(cause)
    }
}

impl From<http::header::InvalidHeaderValue> for Error {
    fn from(cause: http::header::InvalidHeaderValue) -> Error {
        Error::application(cause)
    }
}

/// The message of a caught panic, for [`ApplicationError::Panicked`].
pub fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_io() {
        let there = io::Error::from(Error::from(PeerError::BodyTooLarge { limit: 7 }));
        let back = Error::from(there);
        assert!(matches!(back, Error::Peer(PeerError::BodyTooLarge { limit: 7 })), "{back:?}");
        assert_eq!(back.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn an_io_error_stays_one() {
        let there = io::Error::from(Error::from(io::Error::from(io::ErrorKind::NotFound)));
        assert_eq!(there.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_error_is_small() {
        assert!(size_of::<Error>() <= 56, "{}", size_of::<Error>());
    }

    #[track_caller]
    fn check_bind(address: &str, kind: io::ErrorKind, expected: &str) {
        let error = ServerError::Bind { address: address.into(), source: kind.into() };
        assert_eq!(error.to_string(), format!("cannot listen on {address}{expected}"));
    }

    #[test]
    fn an_address_that_cannot_be_bound_is_said_with_a_hint() {
        use io::ErrorKind::{
            AddrInUse, AddrNotAvailable, InvalidInput, NotFound, OutOfMemory, PermissionDenied,
        };
        let tcp = "127.0.0.1:80";
        let busy = ": the address is in use; stop the other server or choose another port";
        check_bind(tcp, AddrInUse, busy);
        let privilege = ": permission denied; ports below 1024 need a privilege";
        check_bind(tcp, PermissionDenied, privilege);
        check_bind("192.0.2.1:80", AddrNotAvailable, ": this machine has no such address");
        let form = ": it is no address; write a host and a port, like 127.0.0.1:8000 or [::1]:8000";
        check_bind("nonsense", InvalidInput, form);
        let left = ": the path is in use; stop the other server or remove what it has left there";
        check_bind("unix:/run/web.sock", AddrInUse, left);
        check_bind("/run/web.sock", NotFound, ": there is no such directory");
        let writable = ": permission denied; the directory must be writable";
        check_bind("/run/web.sock", PermissionDenied, writable);
        // The rest is told once, by the source.
        check_bind(tcp, OutOfMemory, "");
        check_bind("no-such-host:80", NotFound, "");
    }

    #[test]
    fn an_error_in_a_box_is_itself_again() {
        let status = |cause: BoxError| Error::from(cause).status();
        assert_eq!(status(Box::new(Error::from(PeerError::BodyTimeout))), 408);
        assert_eq!(status(Box::new(PeerError::BodyTooLarge { limit: 1 })), 413);
        assert_eq!(status(Box::new(ServerError::Overloaded)), 503);
        let cause = ApplicationError::Failed { status: StatusCode::GONE, cause: "old".into() };
        assert_eq!(status(Box::new(cause)), 410);
        assert_eq!(status(Box::new(io::Error::from(Error::from(PeerError::BodyTimeout)))), 408);
        assert_eq!(status("anything else".into()), 500);
    }
}
