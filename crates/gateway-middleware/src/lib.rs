//! Applications around an application, each written once for every kind of reply.
//!
//! An application may answer at once, later, or by blocking; what is in here fits all three, on any
//! server. Each is behind a feature of its name, and none is on by default.
//!
//! ```
//! use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
//! use gateway_middleware::{AccessLines, AccessLog, LogFormat, RequestIds};
//!
//! fn hello(_: Environ, start_response: StartResponse) -> Result<Response> {
//!     Ok(start_response.start(StatusCode::OK, ()).with_body("Hello\n"))
//! }
//!
//! let lines = AccessLines::new(LogFormat::Json, std::io::stdout());
//! let app = AccessLog::new(hello).also_to(lines);
//! let app = RequestIds::new(app);
//! # let _ = app;
//! ```
//!
//! | feature | what | where tower-http has the like |
//! |---|---|---|
//! | `access-log` | [`AccessLog`]: an event of `tracing` for every request; [`AccessLines`]: a line of it | – |
//! | `basic-auth` | [`BasicAuth`]: lets in who knows the password | `ValidateRequestHeaderLayer` |
//! | `body-limit` | [`BodyLimit`]: bounds request bodies, route by route | `RequestBodyLimitLayer` |
//! | `compression` | [`Compression`]: makes responses shorter | `CompressionLayer` |
//! | `concurrency-limit` | [`ConcurrencyLimit`]: turns away what is too much at a time | – |
//! | `conditional` | [`Conditional`]: spares peers what they have already | – |
//! | `cors` | [`Cors`]: lets pages of other origins in | `CorsLayer` |
//! | `decompression` | [`Decompression`]: takes requests out of their coding | `RequestDecompressionLayer` |
//! | `development-page` | [`DevelopmentPage`]: shows developers what went wrong | `CatchPanicLayer` |
//! | `forwarded` | [`Forwarded`]: believes what trusted proxies say | – |
//! | `method-override` | [`MethodOverride`]: lets a POST stand for another method | – |
//! | `metrics` | [`Metrics`]: counts and measures, for Prometheus | – |
//! | `request-id` | [`RequestIds`]: a name for every request | `SetRequestIdLayer` |
//! | `security-headers` | [`SecurityHeaders`]: asks browsers to be careful | `SetResponseHeaderLayer` |
//! | `timeout` | [`Timeout`]: ends what takes too long | `TimeoutLayer` |
//! | `trace` | [`Trace`]: shows requests and responses, like `curl -v` | – |
//! | `tracing` | [`Spans`]: a span of `tracing` for every request | `TraceLayer` |
//!
//! The last column is for applications that are async alone: they run tower-http's layers as they
//! are, and nothing here does more for them. These are for applications that block, which tower-http
//! cannot hold, and for what has to see the end of an exchange, which tower does not know.
//!
//! Order matters: what is outside sees what is inside. `docs/guides/middleware.md` has an order that
//! makes sense, and says how to write one more.

// The table above links to what features add.
#![cfg_attr(not(feature = "full"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "access-log")]
mod access_log;
#[cfg(feature = "basic-auth")]
mod basic_auth;
#[cfg(feature = "body-limit")]
mod body_limit;
#[cfg(feature = "compression")]
mod coding;
#[cfg(feature = "compression")]
mod compression;
#[cfg(feature = "concurrency-limit")]
mod concurrency_limit;
#[cfg(feature = "conditional")]
mod conditional;
#[cfg(any(feature = "access-log", feature = "tracing"))]
mod conventions;
#[cfg(feature = "cors")]
mod cors;
#[cfg(any(feature = "metrics", feature = "trace"))]
mod counted;
#[cfg(any(feature = "access-log", feature = "basic-auth"))]
mod credentials;
#[cfg(feature = "decompression")]
mod decompression;
#[cfg(feature = "development-page")]
mod development_page;
#[cfg(feature = "forwarded")]
mod forwarded;
#[cfg(feature = "method-override")]
mod method_override;
#[cfg(feature = "metrics")]
mod metrics;
mod request_id;
#[cfg(feature = "request-id")]
mod request_ids;
mod route;
#[cfg(feature = "security-headers")]
mod security_headers;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(feature = "timeout")]
mod timeout;
#[cfg(feature = "trace")]
mod trace;
#[cfg(any(feature = "compression", feature = "cors"))]
mod vary;

#[cfg(feature = "access-log")]
pub use access_log::{AccessLines, AccessLog, LogFormat};
#[cfg(feature = "basic-auth")]
pub use basic_auth::{BasicAuth, InvalidRealm};
#[cfg(feature = "body-limit")]
pub use body_limit::BodyLimit;
#[cfg(feature = "compression")]
pub use compression::Compression;
#[cfg(feature = "concurrency-limit")]
pub use concurrency_limit::ConcurrencyLimit;
#[cfg(feature = "conditional")]
pub use conditional::Conditional;
#[cfg(feature = "cors")]
pub use cors::{Cors, CorsBuilder, CorsError};
#[cfg(feature = "decompression")]
pub use decompression::Decompression;
#[cfg(feature = "development-page")]
pub use development_page::DevelopmentPage;
#[cfg(feature = "forwarded")]
pub use forwarded::{Forwarded, ForwardedFields, InvalidNetwork, TrustedProxy};
#[cfg(feature = "method-override")]
pub use method_override::{MethodOverride, OriginalMethod};
#[cfg(feature = "metrics")]
pub use metrics::{Measured, Metrics};
pub use request_id::RequestId;
#[cfg(feature = "request-id")]
pub use request_ids::RequestIds;
pub use route::RoutePattern;
#[cfg(feature = "security-headers")]
pub use security_headers::SecurityHeaders;
#[cfg(feature = "tracing")]
pub use spans::{Spans, TraceContext};
#[cfg(feature = "timeout")]
pub use timeout::Timeout;
#[cfg(feature = "trace")]
pub use trace::Trace;

/// The guide, whose code is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/middleware.md")]
struct Guide;
