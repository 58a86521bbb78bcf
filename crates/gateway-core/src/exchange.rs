//! The server's side of one exchange.
//!
//! Applications never see this module: [`Environ`](crate::Environ),
//! [`StartResponse`](crate::StartResponse), [`Response`](crate::Response),
//! [`Input`](crate::Input) and [`Disconnected`](crate::Disconnected) are its face. Whoever plays
//! the server, a test client included, implements [`Exchange`].

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Frame;

pub use crate::headers::RequestFields;
pub use crate::wait::wait;
use crate::{Address, Error, ErrorStream, Head, Result, ServerInfo};

/// A hook that sees, and may change, the head just before it is sent.
pub type HeadHook = Box<dyn FnOnce(&mut Head) + Send + 'static>;

/// A hook that runs once when the exchange is over.
pub type EndHook = Box<dyn FnOnce(&End<'_>) + Send + 'static>;

/// How an exchange ended, for [`StartResponse::on_end`](crate::StartResponse::on_end).
#[derive(Debug)]
#[non_exhaustive]
pub struct End<'a> {
    /// The status that was sent, or `None` if the peer was gone before any head.
    pub status: Option<StatusCode>,
    /// How many bytes of the body were handed to the protocol: of its data, without framing.
    pub bytes_sent: u64,
    /// The error that was answered in place of a response of the application: whole, so that this
    /// is no abort.
    pub error: Option<&'a Error>,
    /// Why the response could not be completed; `None` where it was sent to its end, be it an
    /// error's.
    pub abort: Option<&'a Error>,
}

impl<'a> End<'a> {
    /// For servers: a clean end.
    pub fn new(status: Option<StatusCode>, bytes_sent: u64) -> End<'a> {
        End { status, bytes_sent, error: None, abort: None }
    }

    /// The end of an exchange in which `error` was answered.
    pub fn with_error(self, error: Option<&'a Error>) -> End<'a> {
        End { error, ..self }
    }

    /// The end of a response that `abort` cut off.
    pub fn with_abort(self, abort: Option<&'a Error>) -> End<'a> {
        End { abort, ..self }
    }
}

/// What stays the same for all requests of a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The server's facts.
    pub server: Arc<ServerInfo>,
    /// Where the peer is.
    pub remote: Address,
    /// Where the peer connected to.
    pub local: Address,
    /// `http` or `https`.
    pub url_scheme: &'static str,
    /// Whether [`Application::call`](crate::Application::call) runs on a thread that other
    /// connections wait for.
    pub nonblocking: bool,
    /// Where complaints go.
    pub errors: ErrorStream,
}

impl ConnectionInfo {
    /// Plain HTTP between unnamed peers on a server that may block; change the fields as they are.
    pub fn new(server: Arc<ServerInfo>) -> ConnectionInfo {
        ConnectionInfo {
            server,
            remote: Address::Unnamed,
            local: Address::Unnamed,
            url_scheme: "http",
            nonblocking: false,
            errors: ErrorStream::stderr(),
        }
    }
}

/// One exchange as the application's handles see it: implemented by servers.
///
/// All methods may be called from any thread, also after the exchange is over: a handle that an
/// application kept must then get [`ApplicationError::ExchangeOver`] or [`PeerError::Disconnected`],
/// and never reach the next exchange.
///
/// [`ApplicationError::ExchangeOver`]: crate::ApplicationError::ExchangeOver
/// [`PeerError::Disconnected`]: crate::PeerError::Disconnected
pub trait Exchange: Send + Sync + 'static {
    /// The connection's facts.
    fn connection(&self) -> &ConnectionInfo;

    /// The fields of the request, if the server keeps them with the exchange: it then needs no memory
    /// for them that lives and dies with each [`Environ`](crate::Environ). They do not change while
    /// an environ of this exchange lives. An exchange that wraps another one passes this on.
    ///
    /// None by default; they come by [`Environ::with_fields`](crate::Environ::with_fields) or
    /// [`Environ::with_headers`](crate::Environ::with_headers) then, which go first.
    fn fields(&self) -> Option<&RequestFields> {
        None
    }

    /// Whether the calling thread may block until the peer acts.
    fn may_block(&self) -> bool;

    /// Keeps `hook` for the head. Hooks run once, the last one added first.
    fn on_head(&self, hook: HeadHook);

    /// Keeps `hook` for the end. Hooks run once, the last one added first.
    fn on_end(&self, hook: EndHook);

    /// Queues a 103 with `headers`, without waiting; does nothing where the protocol has none or
    /// the head has been sent.
    fn early_hints(&self, headers: &HeaderMap);

    /// Whether the final head has been sent. Also asked after a [`write`](Exchange::write) that
    /// failed: its head may be out although its data is not.
    fn head_sent(&self) -> bool;

    /// Queues the head, if it has not been sent yet, after its hooks have seen it; then `data`, which
    /// may be empty where the head is to go alone. Does not wait.
    ///
    /// # Errors
    ///
    /// When the head is invalid, the data exceeds the declared length, the peer has gone, or the
    /// exchange is over.
    fn write(&self, head: &mut Head, data: Bytes) -> Result<()>;

    /// Ready when everything queued has been handed to the transport.
    ///
    /// # Errors
    ///
    /// When the peer has gone or takes data too slowly, or the exchange is over.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// The request body's next frame, `None` after its end. The first call is what sends
    /// `100 Continue`. After `None` or an error [`Input`](crate::Input) does not call it again.
    ///
    /// # Errors
    ///
    /// When the body is malformed, late, or cut off, or the exchange is over.
    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>>;

    /// Ready when the peer has gone: it closed its side, or reset the connection. Every waker that
    /// polled is woken.
    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether the peer is known to have gone; asks, without blocking.
    fn is_disconnected(&self) -> bool;
}
