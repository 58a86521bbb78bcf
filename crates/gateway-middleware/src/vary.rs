//! What a response depends on.

use gateway_core::http::header::{HeaderMap, HeaderValue, VARY};

/// Says that the response would be another one for another value of the request's field `name`.
///
/// Source: RFC 9110 §12.5.5.
pub(crate) fn add_vary(headers: &mut HeaderMap, name: &'static str) {
    let is_said = headers.get_all(VARY).iter().any(|value| {
        let mut members = value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii);
        members.any(|member| member == b"*" || member.eq_ignore_ascii_case(name.as_bytes()))
    });
    if !is_said {
        headers.append(VARY, HeaderValue::from_static(name));
    }
}
