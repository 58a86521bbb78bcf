//! The smallest application.

use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Environ, Response, Result, StartResponse};

/// Greets the world.
pub fn app(_: Environ, start_response: StartResponse) -> Result<Response> {
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    Ok(response.with_body("Hello, World!\n"))
}
