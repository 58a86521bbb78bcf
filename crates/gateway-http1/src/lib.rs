//! HTTP/1.1, server side, without I/O: bytes in, events out, bytes to send.
//!
//! A [`Connection`] is the protocol state of one connection. It has no socket, no thread, no clock
//! and no environment: whoever drives it reads, writes and waits, in whichever way, and passes
//! instants in. So a thread server and a reactor put the same bytes on the wire, and every timeout
//! can be tested without waiting for it.
//!
//! It is strict: what RFC 9112 leaves ambiguous is refused ([`Error`]), never guessed, and what a
//! peer may cost is bounded ([`Limits`], [`Timeouts`]). `docs/http.md` of the project lists each rule
//! with its clause and its test.
//!
//! # A cycle
//!
//! Both sides of the connection move on their own, and meet again in
//! [`start_next_cycle`](Connection::start_next_cycle):
//!
//! ```text
//!              ┌────────────────────────── Next::Ready ──────────────────────────┐
//!              ▼                                                                 │
//!  the peer   HEAD ──Request──▶ BODY ──Data…──▶ COMPLETE ──End──▶ PAUSED ───────▶┤
//!              │                 │                  ▲                            │
//!              │ Closed          │ Next::Drain      │                            │
//!              ▼                 ▼                  │                            │
//!            CLOSED           DRAINING ─────────────┘                            │
//!                                                                                │
//!  we         IDLE ──Request──▶ OWED ──send_head──▶ SENDING ──send_end──▶ DONE ──┘
//!                                │ send_continue,    │ send_data…          │
//!                                │ informational     │                     │ Next::Close
//!                                └───────── cut ─────┴──▶ CUT ─────────────┴──▶ linger
//!
//!  An Error or a timeout leads from HEAD, BODY and DRAINING to FAILED: one head with its status
//!  may be sent if none was, then Next::Close. 101 leads from PAUSED and DONE to Next::Upgraded.
//! ```
//!
//! # Driving it
//!
//! A whole cycle, with the socket left out:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! use bytes::Bytes;
//! use gateway_http1::{Config, Connection, Event, Next, Output, ResponseHead};
//! use http::{HeaderMap, StatusCode};
//!
//! let config = Config::default();
//! config.validate()?;
//! let mut connection = Connection::new(Arc::new(config));
//! let mut output = Output::default();
//!
//! // Nothing has come yet, so: read. A socket would append to the buffer here.
//! assert!(matches!(connection.next_event()?, Event::NeedData));
//! assert!(connection.wants_read());
//! let now = Instant::now();
//! assert_eq!(connection.poll_timeout(now), Some(now + Duration::from_secs(10)));
//! let mut buffer = connection.take_buffer();
//! buffer.extend_from_slice(
//!     b"POST /greet?loud HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nworld",
//! );
//! connection.receive(buffer);
//!
//! let Event::Request(head) = connection.next_event()? else { panic!("a whole head came") };
//! assert_eq!(head.method, http::Method::POST);
//! assert_eq!(head.path.of(&head.bytes), b"/greet");
//! let first = connection.fields()[0];
//! assert_eq!(first.name.of(&head.bytes), b"Host");
//!
//! let Event::Data(name) = connection.next_event()? else { panic!("the body came with it") };
//! assert!(matches!(connection.next_event()?, Event::End(None)));
//! assert!(matches!(connection.next_event()?, Event::Paused));
//!
//! let headers = HeaderMap::new();
//! let mut head = ResponseHead::new(StatusCode::OK, &headers);
//! head.length = Some(12);
//! connection.send_head(&head, &mut output)?;
//! connection.send_data(Bytes::from_static(b"Hello, "), &mut output)?;
//! connection.send_data(name, &mut output)?;
//! connection.send_end(None, &mut output)?;
//!
//! // Write what waits, as far as it goes, and tell.
//! assert_eq!(
//!     output.first(),
//!     b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, world",
//! );
//! let written = output.len();
//! output.advance(written);
//! connection.sent(written, output.len(), now);
//!
//! assert_eq!(connection.start_next_cycle(), Next::Ready);
//! assert_eq!(connection.poll_timeout(now), Some(now + Duration::from_secs(75)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A peer that sends nonsense is told so, once, and nothing more of it is read:
//!
//! ```
//! # use std::sync::Arc;
//! # use gateway_http1::{CloseReason, Config, Connection, Next, Output, ResponseHead};
//! # use http::HeaderMap;
//! # let mut connection = Connection::new(Arc::new(Config::default()));
//! # let mut output = Output::default();
//! connection.receive(b"GET / HTTP/1.1\r\nHost : a\r\n"[..].into());
//! let error = connection.next_event().unwrap_err();
//!
//! let headers = HeaderMap::new();
//! let mut head = ResponseHead::new(error.status(), &headers);
//! head.length = Some(0);
//! connection.send_head(&head, &mut output)?;
//! connection.send_end(None, &mut output)?;
//! assert_eq!(
//!     output.first(),
//!     b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
//! );
//! assert_eq!(connection.start_next_cycle(), Next::Close(CloseReason::PeerError));
//! // Write it, send a FIN, then read and throw away what still comes, for a while.
//! connection.linger();
//! assert!(!connection.is_lingering_done());
//! # Ok::<(), gateway_http1::UsageError>(())
//! ```

mod chunked;
mod config;
mod connection;
mod encode;
mod error;
mod event;
mod fields;
mod framing;
mod head;
mod output;
mod response;
mod scan;
mod send;
mod state;
mod target;
mod time;
mod timer;
mod trailers;

pub use config::{Config, ConfigError, Limits, Timeouts};
pub use connection::Connection;
pub use error::{Error, UsageError};
pub use event::{BodyLength, Event, Field, RequestHead, Span, TargetForm};
pub use output::Output;
pub use response::{CommonFields, Fields, ResponseHead};
pub use state::{CloseReason, Next};
pub use time::Timeout;
