//! From a request head to an [`Environ`].

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use gateway_core::exchange::{Exchange, RequestFields};
use gateway_core::http::header::HOST;
use gateway_core::{DEFAULT_BODY_LIMIT, Environ, Input};
use gateway_http1::{BodyLength, Field, RequestHead};

/// What the application is given. The exchange has the head's bytes and fields; `target` is a part
/// of them.
#[inline]
pub(crate) fn environ(
    exchange: Arc<dyn Exchange>,
    request: RequestHead,
    target: Bytes,
    body_limit: u64,
) -> Environ {
    let declared = match request.body {
        BodyLength::None => Some(0),
        BodyLength::Length(length) => Some(length),
        BodyLength::Chunked => None,
    };
    let input = match declared {
        // What an environ has by itself.
        Some(0) if body_limit == DEFAULT_BODY_LIMIT => None,
        // Middleware may replace it by a body, for which the operator's limit holds.
        Some(0) => Some(empty(body_limit)),
        _ => Some(Input::from_exchange(Arc::clone(&exchange), declared, body_limit)),
    };
    let mut environ = Environ::new(exchange, request.method, request.version, target);
    if let Some(input) = input {
        environ.set_input(input);
    }
    environ
}

/// Keeps the request's fields, with its bytes. An absolute-form's authority stands in the place of the Host field's
/// value, which RFC 9112 §3.2.2 has the server ignore.
#[inline]
pub(crate) fn keep(kept: &mut RequestFields, request: &mut RequestHead, fields: &[Field]) {
    let head = mem::take(&mut request.bytes);
    match request.authority {
        None => {
            kept.set(head, fields.iter().map(|field| (field.name.range(), field.value.range())));
        }
        Some(authority) => {
            let bytes = head.clone();
            let positions = fields.iter().map(|field| {
                let name = field.name.of(&bytes);
                let is_host = name.eq_ignore_ascii_case(HOST.as_str().as_bytes());
                let value = if is_host { authority } else { field.value };
                (field.name.range(), value.range())
            });
            kept.set(head, positions);
        }
    }
}

fn empty(limit: u64) -> Input {
    let mut input = Input::empty();
    // It fails only for one that has been read from.
    let _ = input.limit(limit);
    input
}
