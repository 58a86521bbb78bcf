//! Errors that say whose fault they are.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use http::{HeaderMap, StatusCode};

use crate::IntoHeaders;

/// The result of an application, and of most calls in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error behind a pointer.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong with one exchange, by whose fault it was.
///
/// An application answers with one by `Err`. If no head is on the wire yet, the server sends
/// [`status`](Error::status) and [`headers`](Error::headers) with a plain body; afterwards it cuts
/// the connection visibly. [`Error::with_status`] and [`Error::application`] wrap any other error,
/// and `?` converts an [`io::Error`], a [`BoxError`] and those of the `http` crate.
///
/// The peer sees nothing of an error but its status and fields. The server logs an error with its
/// causes where the status is a 5xx and the fault not the peer's; of any other error nothing is
/// logged, since a peer must not be able to fill the log.
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
    /// The application failed with `cause`: status 500, unless `cause` knows better.
    ///
    /// An error of this module comes out as it went in. One that a library has wrapped is looked
    /// for among the causes, and its status is kept: a body over the limit is a 413 also where a
    /// parser met it. [`with_status`](Error::with_status) keeps to the status that it is given.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Error, Input, http::StatusCode};
    ///
    /// let mut input = Input::from_bytes("[1, 2, 3]");
    /// input.limit(4)?;
    /// let parsed: Result<Vec<u32>, _> = serde_json::from_reader(&mut input);
    /// let error = parsed.map_err(Error::application).unwrap_err();
    /// assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    ///
    /// let error = Error::application("the shelf is empty");
    /// assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn application(cause: impl Into<BoxError>) -> Error {
        match Error::from(cause.into()) {
            Error::Io(cause) => Error::with_status(StatusCode::INTERNAL_SERVER_ERROR, cause),
            error => error,
        }
    }

    /// The application failed with `cause` and wants `status` sent for it.
    ///
    /// The peer does not see the cause. It is logged where `status` is a 5xx, and goes to nobody
    /// otherwise, but to [`on_end`](crate::StartResponse::on_end) and to middleware.
    pub fn with_status(status: StatusCode, cause: impl Into<BoxError>) -> Error {
        ApplicationError::Failed { status, headers: None, cause: cause.into() }.into()
    }

    /// The same error with fields for the head of its response, in place of those of the same name
    /// that it had. The server sets the ones that describe its error page, such as Content-Length.
    ///
    /// An error that is not the application's becomes [`ApplicationError::Failed`] with the same
    /// status and the error as its cause; only one of a peer that has gone stays as it is.
    ///
    /// # Panics
    ///
    /// Like [`IntoHeaders`], for literals that no field value can be.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Environ, Error, Response, Result, StartResponse};
    /// use gateway_core::http::{Method, StatusCode, header::ALLOW};
    ///
    /// fn page(environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     if environ.method() != Method::GET {
    ///         let error = Error::with_status(StatusCode::METHOD_NOT_ALLOWED, "only GET");
    ///         return Err(error.with_headers([(ALLOW, "GET")]));
    ///     }
    ///     Ok(start_response.start(StatusCode::OK, ()).with_body("a page\n"))
    /// }
    /// ```
    ///
    /// Source: RFC 9110 §15.5.6 wants Allow with 405, §15.5.22 Upgrade with 426, and §11.6.1
    /// WWW-Authenticate with 401.
    pub fn with_headers(self, headers: impl IntoHeaders) -> Error {
        let (status, mut all, cause) = match self {
            Error::Application(ApplicationError::Failed { status, headers, cause }) => {
                (status, headers.unwrap_or_default(), cause)
            }
            Error::Peer(PeerError::Disconnected) => return self,
            error => (error.status(), Box::default(), error.into()),
        };
        all.extend(headers.into_headers());
        ApplicationError::Failed { status, headers: Some(all), cause }.into()
    }

    /// The fields for the head of this error's response, if it has any.
    pub fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Error::Application(ApplicationError::Failed { headers, .. }) => headers.as_deref(),
            _ => None,
        }
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
            Error::Application(ApplicationError::Failed { status, headers, cause }) => {
                let (status, headers, cause) = (*status, headers.clone(), cause.to_string().into());
                ApplicationError::Failed { status, headers, cause }.into()
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
        /// What to say in the head; see [`Error::with_headers`].
        headers: Option<Box<HeaderMap>>,
        /// Why. The peer does not see it; it is logged where the status is a 5xx.
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
    /// 101 for a request that offered no upgrade; see [`Environ::upgrade`](crate::Environ::upgrade).
    #[error("101 was answered to a request that offered no upgrade; ask environ.upgrade() first")]
    UpgradeNotOffered,
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
    /// An [`Error`] that travelled inside an [`io::Error`] comes out as it went in, and one among
    /// its causes keeps its status, as with [`Error::application`].
    fn from(error: io::Error) -> Error {
        let unpacked = error.downcast::<Packed>().map(|packed| packed.0);
        unpacked.or_else(io::Error::downcast::<Error>).unwrap_or_else(|error| match find(&error) {
            Some(found) => found.with_cause(error.into()),
            None => Error::Io(error),
        })
    }
}

impl From<Error> for io::Error {
    /// [`Error::from`] gives it back as it was. It is the source of the [`io::Error`], so that it
    /// is in the chain of whatever wraps that.
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
        io::Error::new(kind, Packed(error))
    }
}

/// An error inside an [`io::Error`]. That gives its content's source for its own, and leaves the
/// content out; without a layer in between the error would be in no chain.
#[derive(Debug)]
struct Packed(Error);

impl fmt::Display for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Packed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl From<BoxError> for Error {
    /// An [`Error`], or the part of one, that travelled in a box comes out as it went in, an
    /// [`io::Error`] is converted, and any other cause becomes [`Error::application`].
    fn from(cause: BoxError) -> Error {
        fn unbox<T: Into<Error> + StdError + 'static>(cause: BoxError) -> Result<Error, BoxError> {
            cause.downcast::<T>().map(|error| (*error).into())
        }
        unbox::<Error>(cause)
            .or_else(unbox::<PeerError>)
            .or_else(unbox::<ApplicationError>)
            .or_else(unbox::<ServerError>)
            .or_else(unbox::<io::Error>)
            .unwrap_or_else(|cause| match find(&*cause) {
                Some(found) => found.with_cause(cause),
                None => Error::with_status(StatusCode::INTERNAL_SERVER_ERROR, cause),
            })
    }
}

/// What an error means because of one of its causes.
enum Found {
    Itself(Error),
    Failed { status: StatusCode, headers: Option<Box<HeaderMap>> },
}

impl Found {
    fn with_cause(self, cause: BoxError) -> Error {
        match self {
            Found::Itself(error) => error,
            Found::Failed { status, headers } => {
                ApplicationError::Failed { status, headers, cause }.into()
            }
        }
    }
}

/// Looks among `cause` and its causes for an error of ours that says more than a bare 500.
fn find(cause: &(dyn StdError + 'static)) -> Option<Found> {
    /// A chain may be a circle.
    const DEPTH: usize = 64;
    fn next<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside),
            None => cause.source(),
        }
    }
    std::iter::successors(Some(cause), |cause| next(*cause)).take(DEPTH).find_map(found)
}

fn found(cause: &(dyn StdError + 'static)) -> Option<Found> {
    match cause.downcast_ref::<Error>() {
        Some(Error::Peer(error)) => error.found(),
        Some(Error::Application(error)) => error.found(),
        Some(Error::Server(error)) => error.found(),
        Some(Error::Io(_)) => None,
        None => {
            let peer = cause.downcast_ref().and_then(PeerError::found);
            let application = || cause.downcast_ref().and_then(ApplicationError::found);
            let server = || cause.downcast_ref().and_then(ServerError::found);
            peer.or_else(application).or_else(server)
        }
    }
}

impl PeerError {
    fn found(&self) -> Option<Found> {
        Some(Found::Itself(self.again().into()))
    }
}

impl ApplicationError {
    fn found(&self) -> Option<Found> {
        match self {
            ApplicationError::Failed { status, headers, .. } => {
                Some(Found::Failed { status: *status, headers: headers.clone() })
            }
            ApplicationError::WouldBlock { call } => {
                Some(Found::Itself(ApplicationError::WouldBlock { call }.into()))
            }
            ApplicationError::ExchangeOver => {
                Some(Found::Itself(ApplicationError::ExchangeOver.into()))
            }
            _ => None,
        }
    }
}

impl ServerError {
    fn found(&self) -> Option<Found> {
        match self {
            ServerError::Overloaded => Some(Found::Itself(ServerError::Overloaded.into())),
            ServerError::ShuttingDown => Some(Found::Itself(ServerError::ShuttingDown.into())),
            _ => None,
        }
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
        let (gone, cause) = (StatusCode::GONE, "old".into());
        let cause = ApplicationError::Failed { status: gone, headers: None, cause };
        assert_eq!(status(Box::new(cause)), 410);
        assert_eq!(status(Box::new(io::Error::from(Error::from(PeerError::BodyTimeout)))), 408);
        assert_eq!(status("anything else".into()), 500);
    }
}
