//! What the server itself answers.

use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use gateway_core::{Body, Error, Head};

use crate::contract::has_no_body;

/// What the server answers `error` with: its status in plain text and its
/// [fields](Error::headers), and nothing of the cause.
pub(crate) fn page_of(error: &Error) -> (Head, Body) {
    let (mut head, body) = error_page(error.status());
    if let Some(theirs) = error.headers() {
        let ours = std::mem::replace(&mut head.headers, theirs.clone().into());
        head.headers.remove(CONTENT_TYPE);
        head.headers.remove(CONTENT_LENGTH);
        head.headers.extend(ours);
    }
    (head, body)
}

/// What the server says by itself: the status in plain text.
pub fn error_page(status: StatusCode) -> (Head, Body) {
    if has_no_body(status) {
        return (Head::new(status, HeaderMap::new()), Body::Empty);
    }
    let reason = match status {
        // As RFC 9110 has it, and the status line of the same response.
        StatusCode::PAYLOAD_TOO_LARGE => Some("Content Too Large"),
        StatusCode::UNPROCESSABLE_ENTITY => Some("Unprocessable Content"),
        _ => status.canonical_reason(),
    };
    let text = match reason {
        Some(reason) => format!("{} {reason}\n", status.as_str()),
        None => format!("{}\n", status.as_str()),
    };
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    (Head::new(status, headers), Body::from(text))
}
