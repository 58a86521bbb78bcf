//! Sends a request's body back while it comes: memory stays constant, however long it is.

use gateway_core::http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use gateway_core::{Body, Environ, Response, Result, StartResponse};

/// Answers with the request's own body and trailers.
///
/// An [`Input`](gateway_core::Input) is an `http_body::Body`, so it can be the response's. Nothing
/// of it is read ahead: a client that reads slowly is one that sends slowly.
pub async fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let mut input = environ.take_input();
    input.limit(u64::MAX)?;
    let content_type = match environ.headers().get(CONTENT_TYPE) {
        Some(content_type) => content_type.clone(),
        None => HeaderValue::from_static("application/octet-stream"),
    };
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, content_type)]);
    Ok(response.with_body(Body::stream(input)))
}
