//! WebSockets for applications: the handshake, and sockets to await or to block on.
//!
//! One line answers the handshake, and the socket is a conversation of whole messages. It runs on
//! every server, since all it needs is [`Body::Upgrade`](gateway_core::Body::Upgrade).
//!
#![cfg_attr(feature = "async", doc = "```")]
#![cfg_attr(not(feature = "async"), doc = "```ignore")]
//! use gateway_core::{Environ, Response, Result, StartResponse};
//!
//! async fn shout(environ: Environ, start_response: StartResponse) -> Result<Response> {
//!     gateway_ws::accept(&environ)?.on_upgrade(start_response, |mut socket| async move {
//!         while let Some(message) = socket.receive().await? {
//!             if let Some(text) = message.as_text() {
//!                 socket.send(text.to_uppercase()).await?;
//!             }
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! | feature | what it adds |
//! |---|---|
//! | none | the handshake: [`accept`], [`Accept`], [`HandshakeError`] |
//! | `async` | `Accept::on_upgrade` with a `WebSocket` to await, on tokio-tungstenite |
//! | `blocking` | `Accept::on_upgrade_blocking` with a `blocking::WebSocket`, on tungstenite |
//!
//! # What is checked
//!
//! The handshake is, point by point, as RFC 6455 §4.2.1 has it, and each violation is an error of
//! its own with its status. So is the origin: by default only pages of the host that the request is
//! for may open a socket. Frames are tungstenite's affair, but they are judged before, as their bytes
//! come: what breaks the protocol is closed with 1002, text that is no UTF-8 with 1007, and what is
//! too large with 1009, at once and without being buffered first.
//!
//! # What there is not
//!
//! - No extension, so no `permessage-deflate`: tungstenite has none. A client that offers it is
//!   answered without it. [`Accept::response`] lends the handshake to another implementation.
//! - No WebSockets over HTTP/2 (RFC 8441).
//! - No timeouts for a peer that is silent: ping it, and close if it does not answer. A peer that
//!   does not read is up to the server's timeout of writes.

#![cfg_attr(
    not(any(feature = "async", feature = "blocking")),
    expect(dead_code, reason = "the limits and the log are for sockets, and there are none")
)]

mod accept;
#[cfg(feature = "blocking")]
pub mod blocking;
mod error;
#[cfg(any(feature = "async", feature = "blocking"))]
mod guard;
#[cfg(all(doctest, feature = "async", feature = "blocking"))]
mod guide;
mod handshake;
#[cfg(any(feature = "async", feature = "blocking"))]
mod message;
mod origin;
#[cfg(feature = "async")]
mod socket;
#[cfg(any(feature = "async", feature = "blocking"))]
mod socket_error;
#[cfg(any(feature = "async", feature = "blocking"))]
mod upgrade;
#[cfg(any(feature = "async", feature = "blocking"))]
mod utf8;

pub use accept::{Accept, DEFAULT_MAX_MESSAGE, accept};
pub use error::HandshakeError;
#[cfg(any(feature = "async", feature = "blocking"))]
pub use guard::Violation;
#[cfg(any(feature = "async", feature = "blocking"))]
pub use message::{Close, CloseCode, Message, Text};
#[cfg(feature = "async")]
pub use socket::WebSocket;
#[cfg(any(feature = "async", feature = "blocking"))]
pub use socket_error::SocketError;
