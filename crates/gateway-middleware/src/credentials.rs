//! Who a request says it is from.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gateway_core::Environ;
use gateway_request::fields::single;

/// The `user:password` of the request, if it brings one and not several: another party may go by
/// another one of them.
///
/// Source: RFC 7617 §2, RFC 9110 §5.3.
pub(crate) fn basic_credentials(environ: &Environ) -> Option<Vec<u8>> {
    let (scheme, token) = single(environ, "authorization")?.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case("basic ") {
        return None;
    }
    BASE64_STANDARD.decode(token.trim_ascii()).ok()
}
