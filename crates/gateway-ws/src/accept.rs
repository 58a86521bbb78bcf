//! How an application answers a handshake.

use gateway_core::http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use gateway_core::http::{HeaderMap, HeaderValue, StatusCode};
use gateway_core::{Environ, ErrorStream, Response, Result, StartResponse};

use crate::HandshakeError;
use crate::handshake::Offer;
use crate::origin::{Origin, Origins};

/// The largest message that is taken where nothing else is said: 1 MiB.
pub const DEFAULT_MAX_MESSAGE: usize = 1 << 20;

/// Checks that a request begins a WebSocket, as RFC 6455 §4.2.1 has it.
///
/// The page's origin is checked when the [`Accept`] is used, since it may say which are allowed.
///
/// # Errors
///
/// A [`HandshakeError`] for what is missing or wrong. Pass it on with `?`: the client is answered
/// with the status and the fields that belong to it.
///
/// # Examples
///
/// A page and a socket at the same address:
///
/// ```
/// use gateway_core::{Body, Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_ws::HandshakeError;
///
/// async fn app(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     match gateway_ws::accept(&environ) {
///         Ok(accepted) => {
///             // With the feature `async`, here is `accepted.on_upgrade(start_response, …)`.
///             let response = accepted.response(start_response)?;
///             Ok(response.with_body(Body::upgrade_async(async |_connection| {})))
///         }
///         Err(HandshakeError::Upgrade) => {
///             Ok(start_response.start(StatusCode::OK, ()).with_body("a page\n"))
///         }
///         Err(error) => Err(error.into()),
///     }
/// }
/// ```
pub fn accept(environ: &Environ) -> Result<Accept, HandshakeError> {
    let offer = Offer::of(environ)?;
    Ok(Accept {
        offer,
        origin: Origin::of(environ),
        origins: Origins::Same,
        protocol: None,
        limits: Limits { max_message: DEFAULT_MAX_MESSAGE, max_frame: None },
        log: Log {
            errors: environ.errors().clone(),
            request: format!("{} {}", environ.method(), environ.raw_target()),
        },
    })
}

/// A handshake that is right, and how it is to be answered.
///
/// By default pages of the same origin are let in, and clients that are no pages, which send no
/// origin; no subprotocol is agreed on; a message has at most 1 MiB.
#[derive(Debug)]
#[must_use = "a handshake that is not answered is an error of the application's"]
pub struct Accept {
    offer: Offer,
    origin: Origin,
    origins: Origins,
    pub(crate) protocol: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
}

/// What a peer may send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_message: usize,
    pub(crate) max_frame: Option<usize>,
}

/// Where an application's failure is told.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) errors: ErrorStream,
    pub(crate) request: String,
}

impl Accept {
    /// Agrees on the first of `protocols` that the client offers: they stand in the order of the
    /// application's preference. If it offers none of them there is none, and the client decides
    /// whether it goes on; see [`protocol`](Accept::protocol).
    ///
    /// Source: RFC 6455 §1.9 and §4.2.2, 5.5.
    pub fn protocols<P: AsRef<str>>(mut self, protocols: impl IntoIterator<Item = P>) -> Accept {
        let offered = |protocol: &P| self.offer.protocols.iter().any(|p| p == protocol.as_ref());
        self.protocol = protocols.into_iter().find(offered).map(|p| p.as_ref().to_owned());
        self
    }

    /// The subprotocol that is agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The subprotocols that the client offers, in the order of its preference.
    pub fn offered_protocols(&self) -> &[String] {
        &self.offer.protocols
    }

    /// Lets pages of `origins` in, and of no others: also not of the same origin, unless it is
    /// listed. An origin is written like `https://example.com`, without a slash at the end.
    ///
    /// The same origin is found by comparing Origin with Host. List the origins where a proxy
    /// changes Host, and where the server is in a private network: a page of a name that an
    /// attacker lets point there is of the same origin, too (DNS rebinding).
    ///
    /// Source: RFC 6455 §4.2.2 and §10.2; RFC 6454.
    pub fn origins<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Accept {
        self.origins = Origins::Only(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Lets pages of any origin in. Browsers send cookies with a handshake from any page, so this is
    /// for what needs no login, or asks for it within the socket.
    pub fn any_origin(mut self) -> Accept {
        self.origins = Origins::All;
        self
    }

    /// How large a message may be, in bytes. A larger one closes the socket with 1009.
    pub fn max_message(mut self, bytes: usize) -> Accept {
        self.limits.max_message = bytes;
        self
    }

    /// How large a frame of a message may be, in bytes; as large as the message, if not set. Room
    /// is made for a frame when its length is known.
    pub fn max_frame(mut self, bytes: usize) -> Accept {
        self.limits.max_frame = Some(bytes);
        self
    }

    /// The 101 without a body, for another implementation of the frames: add a
    /// [`Body::Upgrade`](gateway_core::Body::Upgrade) that speaks them.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Origin`] or [`HandshakeError::OriginRepeated`], as an
    /// [`Error`](gateway_core::Error).
    pub fn response(&self, start_response: StartResponse) -> Result<Response> {
        self.origin.check(&self.origins)?;
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.offer.accept.clone());
        if let Some(protocol) = &self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol)?);
        }
        Ok(start_response.start(StatusCode::SWITCHING_PROTOCOLS, headers))
    }
}
