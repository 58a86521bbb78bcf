//! The interface between web applications and web servers.
//!
//! An application, or a framework, implements [`Application`]; a server drives it; they meet
//! nowhere else. So a server is swapped without touching the application.
//!
//! ```
//! use gateway_core::{Environ, Response, Result, StartResponse};
//! use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
//!
//! fn hello(environ: Environ, start_response: StartResponse) -> Result<Response> {
//!     let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
//!     Ok(response.with_body(format!("Hello from {}\n", environ.path_info())))
//! }
//! ```
//!
//! What a server hands over is an [`Environ`] and a [`StartResponse`]; what it gets back is a
//! [`Reply`]: a [`Response`] that is ready, a future of one, or work that may block. A
//! [`Response`] is a [`Head`] and a [`Body`]. The request's own body is the [`Input`].
//!
//! | for | see |
//! |---|---|
//! | an application | [`Environ`], [`StartResponse`], [`Response`], [`Body`], [`Error`] |
//! | middleware, a framework | [`Application`], [`Reply`], [`IntoApplication`], [`Mount`], [`Recovery`], [`End`] |
//! | an operator | [`run`], [`Handle`], [`ServerInfo`] |
//! | a server | [`Server`], [`exchange`] |
//!
//! The model is PEP 3333 (WSGI); the deviations are those that Rust's types and asynchronous
//! servers ask for.

mod application;
mod body;
mod cgi;
mod disconnected;
mod environ;
mod error;
mod error_stream;
pub mod exchange;
mod headers;
mod input;
mod into_application;
mod mount;
mod reply;
mod request_line;
mod response;
mod response_headers;
mod server;
mod start_response;
mod upgraded;
mod wait;

pub use application::Application;
pub use body::{Body, FileBody, IterBody, StreamBody};
pub use disconnected::Disconnected;
pub use environ::Environ;
pub use error::{ApplicationError, BoxError, Error, PeerError, Result, ServerError, panic_message};
pub use error_stream::{ErrorSink, ErrorStream, Lines};
pub use exchange::End;
pub use input::{DEFAULT_BODY_LIMIT, Input};
pub use into_application::{
    BlockingFn, FutureFn, InlineFn, IntoApplication, ReplyFn, inline, marker,
};
pub use mount::{Mount, MountBuilder, MountError};
pub use reply::{BlockingJob, BoxFuture, Reply};
pub use response::{Head, InvalidReasonPhrase, Parts, ReasonPhrase, Response};
pub use response_headers::ResponseHeaders;
pub use server::{Address, Control, Handle, Server, ServerInfo, Stopped, run, run_with};
pub use start_response::{IntoHeaders, Recovery, StartResponse};
pub use upgraded::{Duplex, Upgrade, Upgraded, UpgradedReader, UpgradedWriter};

pub use {bytes, http, http_body};
