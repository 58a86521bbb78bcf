//! What the `gateway` command and the runners that it generates have in common. It is no library for
//! others: the middlewares are in `gateway-middleware`, files in `gateway-static`.
//!
//! The command itself is the binary of this package: `gateway --help` says what it does. Without
//! the default feature `command`, only this library and little below it is built.

mod backlog;
#[doc(hidden)]
pub mod console;
#[cfg(any(feature = "std", feature = "tokio"))]
#[doc(hidden)]
pub mod limits;
#[cfg(any(feature = "std", feature = "tokio"))]
#[doc(hidden)]
pub mod runner;
#[cfg(any(feature = "std", feature = "tokio"))]
#[doc(hidden)]
pub mod stop;
