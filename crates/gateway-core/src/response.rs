//! A head and a body on their way to the peer.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::exchange::Exchange;
use crate::start_response::IntoHeaders;
use crate::wait::wait;
use crate::{ApplicationError, Body, Error, ResponseHeaders, Result};

/// The status line and the header fields.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Head {
    /// The status code.
    pub status: StatusCode,
    /// The reason phrase, where it is not the usual one. HTTP/2 has none.
    pub reason: Option<ReasonPhrase>,
    /// The header fields.
    pub headers: ResponseHeaders,
}

impl Head {
    /// A head with the usual reason phrase.
    pub fn new(status: StatusCode, headers: impl Into<ResponseHeaders>) -> Head {
        Head { status, reason: None, headers: headers.into() }
    }
}

/// A checked reason phrase of a status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonPhrase(Box<[u8]>);

impl ReasonPhrase {
    /// Checks `phrase`.
    ///
    /// # Errors
    ///
    /// [`InvalidReasonPhrase`] for a byte outside of tab, space, visible ASCII and 0x80–0xFF
    /// (RFC 9112 §4: `reason-phrase`), so for CR, LF and NUL.
    ///
    /// ```
    /// use gateway_core::ReasonPhrase;
    ///
    /// assert!(ReasonPhrase::new("Fine").is_ok());
    /// assert!(ReasonPhrase::new("Fine\r\nX-Injected: 1").is_err());
    /// ```
    pub fn new(phrase: impl Into<Bytes>) -> Result<ReasonPhrase, InvalidReasonPhrase> {
        let phrase = phrase.into();
        match phrase.iter().position(|&b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            None => Ok(ReasonPhrase(phrase[..].into())),
            Some(at) => Err(InvalidReasonPhrase { byte: phrase[at], at }),
        }
    }

    /// The phrase.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A reason phrase with a byte that must not be on a status line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the reason phrase has the byte {byte:#04x} at {at}, which no status line may hold")]
pub struct InvalidReasonPhrase {
    /// The byte.
    pub byte: u8,
    /// Where it stands: an index in bytes.
    pub at: usize,
}

impl From<InvalidReasonPhrase> for Error {
    fn from(cause: InvalidReasonPhrase) -> Error {
        Error::application(cause)
    }
}

/// A begun response: [`StartResponse::start`](crate::StartResponse::start) made it, the
/// application returns it.
///
/// The head is sent with the first data, whether the body brings it or [`write`](Response::write).
pub struct Response {
    head: Head,
    body: Body,
    sent: bool,
    exchange: Arc<dyn Exchange>,
}

impl Response {
    pub(crate) fn new(head: Head, exchange: Arc<dyn Exchange>) -> Response {
        Response { head, body: Body::Empty, sent: false, exchange }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The head as it will be sent, or as it was.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The head, to change it.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::HeadSent`] once [`write`](Response::write) has sent it: a change would
    /// be lost. [`on_head`](crate::StartResponse::on_head) is in time in both cases.
    pub fn head_mut(&mut self) -> Result<&mut Head> {
        if self.sent { Err(ApplicationError::HeadSent.into()) } else { Ok(&mut self.head) }
    }

    /// Whether [`write`](Response::write) or
    /// [`send_head_async`](Response::send_head_async) has sent the head.
    pub fn is_head_sent(&self) -> bool {
        self.sent
    }

    /// The same response with `body`. The former body is dropped, which closes it.
    pub fn with_body(mut self, body: impl Into<Body>) -> Response {
        self.body = body.into();
        self
    }

    /// The body, to look at its kind and length.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body, to look into or to replace.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// Puts the body through `f`. What `f` makes of its length is its affair: it keeps
    /// `Content-Length` right, or removes it with [`head_mut`](Response::head_mut).
    pub fn map_body(mut self, f: impl FnOnce(Body) -> Body) -> Response {
        self.body = f(std::mem::take(&mut self.body));
        self
    }

    /// Sends `data` now, ahead of the body, and waits until it has been handed to the transport:
    /// PEP 3333's `write`. The first non-empty data sends the head; empty data does nothing.
    ///
    /// A body that is iterated or streamed does the same without waiting in the application, and
    /// is the better choice where there is one.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::WouldBlock`] on a reactor thread, with nothing sent: use
    /// [`write_async`](Response::write_async) there, or answer
    /// [`Reply::Blocking`](crate::Reply::Blocking). [`ApplicationError::BodyTooLong`] past a
    /// declared Content-Length. [`PeerError`](crate::PeerError) when the peer has gone or does not
    /// read.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
    ///
    /// fn report(_: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let mut response = start_response.start(StatusCode::OK, ());
    ///     for step in 1..=3 {
    ///         // … do something long …
    ///         response.write(format!("step {step} is done\n"))?;
    ///     }
    ///     Ok(response.with_body("all is done\n"))
    /// }
    /// ```
    ///
    /// Source: PEP 3333, "The `write()` Callable".
    pub fn write(&mut self, data: impl Into<Bytes>) -> Result<()> {
        if !self.exchange.may_block() {
            return Err(ApplicationError::WouldBlock { call: "Response::write" }.into());
        }
        if self.push(data.into())? {
            wait(|cx| self.exchange.poll_flush(cx))?;
        }
        Ok(())
    }

    /// Like [`write`](Response::write), for async applications: awaits the transport.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Response::write), without `WouldBlock`. Once the
    /// future has been polled, the data is sent even if it is dropped.
    pub async fn write_async(&mut self, data: impl Into<Bytes>) -> Result<()> {
        if self.push(data.into())? {
            poll_fn(|cx| self.exchange.poll_flush(cx)).await?;
        }
        Ok(())
    }

    /// Sends the head now, ahead of any data, and awaits the transport. Otherwise it waits for the
    /// first data, and a peer that acts on the head alone, as with server-sent events, waits with it.
    ///
    /// Afterwards an error cannot become a status any more: it cuts the response. The length of a
    /// body that comes later is not known to the head; declare Content-Length where it is.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] for a head that cannot be sent, and [`PeerError`](crate::PeerError) when
    /// the peer has gone or does not read.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Body, Environ, Response, Result, StartResponse};
    /// use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
    /// # fn events() -> Body { Body::Empty }
    ///
    /// async fn news(_: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let headers = [(CONTENT_TYPE, "text/event-stream")];
    ///     let mut response = start_response.start(StatusCode::OK, headers);
    ///     // The first event may be hours away; that the stream is open is news by itself.
    ///     response.send_head_async().await?;
    ///     Ok(response.with_body(events()))
    /// }
    /// ```
    pub async fn send_head_async(&mut self) -> Result<()> {
        if !self.sent {
            // Without data it queues the head alone.
            let queued = self.exchange.write(&mut self.head, Bytes::new());
            self.sent = queued.is_ok() || self.exchange.head_sent();
            queued?;
        }
        poll_fn(|cx| self.exchange.poll_flush(cx)).await
    }

    /// Replaces the head and drops the body, if no head has been sent: PEP 3333's
    /// `start_response(status, headers, exc_info)`.
    ///
    /// # Errors
    ///
    /// Hands `cause` back if the head has been sent; return it, and the server cuts the response.
    ///
    /// ```
    /// use gateway_core::{Error, Response, http::StatusCode};
    ///
    /// fn on_failure(mut response: Response, cause: Error) -> Result<Response, Error> {
    ///     response.restart(StatusCode::BAD_GATEWAY, (), cause)?;
    ///     Ok(response.with_body("the backend failed\n"))
    /// }
    /// ```
    pub fn restart<E>(
        &mut self,
        status: StatusCode,
        headers: impl IntoHeaders,
        cause: E,
    ) -> Result<(), E> {
        if self.sent || self.exchange.head_sent() {
            return Err(cause);
        }
        self.head = Head::new(status, headers.into_headers());
        self.body = Body::Empty;
        Ok(())
    }

    /// For servers: the parts, whether the head has been sent, and whose response it is.
    pub fn into_parts(self) -> Parts {
        let Response { head, body, sent, exchange } = self;
        Parts { head, body, head_sent: sent, exchange }
    }

    fn push(&mut self, data: Bytes) -> Result<bool> {
        if data.is_empty() {
            return Ok(false);
        }
        let written = self.exchange.write(&mut self.head, data);
        // What fails may be the data, with the head already on its way.
        self.sent = self.sent || written.is_ok() || self.exchange.head_sent();
        written.map(|()| true)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("head", &self.head)
            .field("body", &self.body)
            .field("head_sent", &self.sent)
            .finish_non_exhaustive()
    }
}

/// A [`Response`] taken apart, for servers.
#[non_exhaustive]
pub struct Parts {
    /// The head as it stands.
    pub head: Head,
    /// What is still to be sent.
    pub body: Body,
    /// Whether the head has been sent.
    pub head_sent: bool,
    /// The exchange whose response it is.
    pub exchange: Arc<dyn Exchange>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("head", &self.head)
            .field("body", &self.body)
            .field("head_sent", &self.head_sent)
            .finish_non_exhaustive()
    }
}
