//! Who a request says it is from.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gateway_core::Environ;

/// The `user:password` of the request, if it brings one.
///
/// Source: RFC 7617 §2.
pub(crate) fn basic_credentials(environ: &Environ) -> Option<Vec<u8>> {
    let (scheme, token) = environ.header("authorization")?.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    BASE64_STANDARD.decode(token.trim_ascii()).ok()
}
