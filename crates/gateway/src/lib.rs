//! Middlewares of the `gateway` command, for any application on any server.
//!
//! ```
//! use gateway::middleware::{AccessLog, LogFormat, Trace};
//! use gateway_core::{ErrorStream, inline, http::StatusCode};
//!
//! let app = inline(|_, start_response| {
//!     Ok(start_response.start(StatusCode::OK, ()).with_body("Hello\n"))
//! });
//! let app = AccessLog::new(app, LogFormat::Combined, ErrorStream::stderr());
//! let app = Trace::new(app, ErrorStream::stderr());
//! ```
//!
//! The command itself is the binary of this package: `gateway --help` says what it does. Without
//! the default feature `command`, only this library and little below it is built.

#[doc(hidden)]
pub mod console;
pub mod middleware;
#[cfg(any(feature = "std", feature = "tokio"))]
#[doc(hidden)]
pub mod runner;
