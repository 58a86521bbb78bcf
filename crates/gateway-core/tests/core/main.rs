//! What gateway-core promises to applications, middleware and servers, tried from outside.
//!
//! | module | is about |
//! |---|---|
//! | `environ` | targets, authority, addresses, header fields; what may cross threads |
//! | `mounting` | `Mount` and `Environ::enter` |
//! | `cgi` | the CGI view, and that it cannot be spoofed |
//! | `input` | the request body, blocking and async, and its limits |
//! | `limits` | the body limit through middleware |
//! | `errors` | what becomes of an error that a library has wrapped |
//! | `response` | `start`, `write`, `restart`, `Recovery`, hooks |
//! | `reply` | the three arms, `then`, `map`, `cancel_on`, `Disconnected` |
//! | `upgraded` | connections that have left HTTP |
//! | `applications` | what can be run, and `run` itself |
//! | `call_cost` | what one call allocates |
//!
//! `exchange` plays the server for all of them, in memory.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, and not in what they call"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "an application owns its environ, also where it only looks at it"
)]

mod applications;
mod call_cost;
mod cgi;
mod environ;
mod errors;
mod exchange;
mod input;
mod limits;
mod mounting;
mod reply;
mod response;
mod upgraded;
