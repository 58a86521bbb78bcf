//! A request, as the application sees it.

use std::sync::Arc;

use gateway_core::exchange::Exchange;
use gateway_core::{DEFAULT_BODY_LIMIT, Environ, Input};
use gateway_http1::{BodyLength, Field, RequestHead};

/// What `head` and its fields say; the body comes through the exchange, when it is asked for.
pub(super) fn environ(exchange: Arc<dyn Exchange>, head: RequestHead, fields: &[Field]) -> Environ {
    let declared = match head.body {
        BodyLength::None => Some(0),
        BodyLength::Length(length) => Some(length),
        BodyLength::Chunked => None,
    };
    let target = head.bytes.slice(head.target.range());
    let input = Input::from_exchange(Arc::clone(&exchange), declared, DEFAULT_BODY_LIMIT);
    let positions = fields.iter().map(|field| (field.name.range(), field.value.range()));
    let environ = Environ::new(exchange, head.method, head.version, target);
    environ.with_fields(head.bytes, positions).with_input(input)
}
