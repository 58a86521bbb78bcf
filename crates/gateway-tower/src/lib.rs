//! Tower services as applications, and applications as tower services.
//!
//! | from | to | by |
//! |---|---|---|
//! | a `tower::Service` of HTTP requests: an axum router, a tower-http stack | an [`Application`] that any server runs | [`from_tower`] |
//! | an [`Application`] | a `tower::Service` that runs under hyper, and that axum nests | [`into_tower`] |
//!
//! Bodies stream both ways, with backpressure, and are never collected. Trailers, extensions, size
//! hints, `poll_ready`, cancellation and, with the feature `hyper`, upgrades carry over.
//!
//! The two compose: `from_tower(layer.layer(into_tower(app)))` puts a tower layer around an
//! application.
//!
//! # Features
//!
//! | feature | brings | needs |
//! |---|---|---|
//! | `into-tower` (default) | [`into_tower`] | Tokio's runtime, for work that may block |
//! | `hyper` | upgrades (WebSockets) in both directions, reason phrases | hyper |
//!
//! [`Application`]: gateway_core::Application

mod from;
#[cfg(feature = "into-tower")]
mod into;

pub use from::{FromTower, Locked, Mounted, from_tower};
#[cfg(feature = "into-tower")]
pub use into::{IntoTower, ResponseBody, ResponseFuture, into_tower};
