//! Applications around an application.

mod access_log;
mod basic_auth;
mod trace;

pub use access_log::{AccessLog, LogFormat};
pub use basic_auth::BasicAuth;
pub use trace::Trace;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gateway_core::Environ;

/// The `user:password` of the request, if it brings one.
///
/// Source: RFC 7617 §2.
fn basic_credentials(environ: &Environ) -> Option<Vec<u8>> {
    let (scheme, token) = environ.header("authorization")?.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    BASE64_STANDARD.decode(token.trim_ascii()).ok()
}
