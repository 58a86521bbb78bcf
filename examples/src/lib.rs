//! Examples: one module each, and a binary of the same name that serves it.
//!
//! `cargo run --bin hello` serves the first one; every binary but `own-server` takes
//! `--server std|tokio` and `--addr`, see [`launch`].
//!
//! | to see | read |
//! |---|---|
//! | the smallest application | [`hello`] |
//! | a request body that streams through | [`echo`] |
//! | a request body that is read by blocking | [`upload`] |
//! | a response without an end | [`streaming`] |
//! | state that requests share | [`counter`] |
//! | a form, a query, a cookie, and an answer as the peer prefers it | [`guest_book`] |
//! | applications under prefixes | [`mount`] |
//! | WebSockets, with a page | [`chat`] |
//! | middleware | [`middleware`] |
//! | an axum application | [`axum_app`] |
//! | the start of a framework | [`minimal_framework`] |
//! | a server | [`own_server`] |
//! | everything a request says | [`environ`] |

#![expect(
    clippy::needless_pass_by_value,
    reason = "an application owns its environ, also where a look would do"
)]

pub mod axum_app;
pub mod chat;
pub mod counter;
pub mod echo;
pub mod environ;
pub mod guest_book;
pub mod hello;
pub mod launch;
pub mod middleware;
pub mod minimal_framework;
pub mod mount;
pub mod own_server;
pub mod streaming;
pub mod upload;
