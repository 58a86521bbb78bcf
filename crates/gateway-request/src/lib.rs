//! What a request says, read once for every framework: its query, its form, its cookies, what its
//! peer prefers, and its parts.
//!
//! Most is a thin adapter of a well-kept crate to an [`Environ`](gateway_core::Environ), behind a
//! feature of its name; none is on by default. What needs no more than `gateway-core` is always there.
//!
//! ```
//! use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Search {
//!     q: String,
//!     #[serde(default)]
//!     tag: Vec<String>,
//! }
//!
//! fn search(environ: Environ, start_response: StartResponse) -> Result<Response> {
//!     let Search { q, tag } = gateway_request::query(&environ)?;
//!     let text = format!("{q}, tagged {}\n", tag.join(" and "));
//!     Ok(start_response.start(StatusCode::OK, ()).with_body(text))
//! }
//! ```
//!
//! | feature | what | stands on |
//! |---|---|---|
//! | always there | [`fields`]: values, and lists with weights; [`AcceptEncoding`], [`preferred_encoding`] | – |
//! | `query` | [`query`]: the query string as a type of yours | `serde_html_form` |
//! | `form` | [`form`], [`form_async`]: a form in the body, likewise | `serde_html_form` |
//! | `cookies` | [`cookies`], [`set_cookies`]: a jar, and what changed in it | `cookie` |
//! | `negotiation` | [`preferred_media_type`], [`preferred_language`] | `mediatype` |
//! | `multipart` | [`Multipart`]: forms with files, streamed | `multer` |
//!
//! What reads the body blocks, or awaits where its name ends in `async`. Both work on every server;
//! blocking on a reactor thread is the same typed error as with [`Input`](gateway_core::Input).
//!
//! # Errors
//!
//! Each error says whose fault it is, and becomes a [`gateway_core::Error`] by `?` with the status
//! for it: 400 for what is malformed, 406 where nothing is acceptable, 413 for what is too large, and
//! 415, with `Accept`, for another media type. An error of the body itself stays what it was.

// The table above links to what features add.
#![cfg_attr(not(feature = "full"), allow(rustdoc::broken_intra_doc_links))]

mod accept_encoding;
#[cfg(any(feature = "form", feature = "multipart"))]
mod content_type;
#[cfg(feature = "cookies")]
mod cookies;
pub mod fields;
#[cfg(feature = "form")]
mod form;
#[cfg(feature = "multipart")]
mod multipart;
#[cfg(feature = "negotiation")]
mod negotiation;
#[cfg(feature = "query")]
mod query;

pub use accept_encoding::{AcceptEncoding, preferred_encoding};
#[cfg(feature = "cookies")]
pub use cookie;
#[cfg(feature = "cookies")]
pub use cookies::{InvalidCookie, cookies, set_cookies};
#[cfg(feature = "form")]
pub use form::{FormError, form, form_async};
#[cfg(feature = "multipart")]
pub use multipart::{MAX_PART_HEAD, Multipart, MultipartError, Part};
#[cfg(feature = "negotiation")]
pub use negotiation::{NegotiationError, preferred_language, preferred_media_type};
#[cfg(feature = "query")]
pub use query::{QueryError, query};
