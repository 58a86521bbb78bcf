//! State that requests share: the application owns it.

use std::sync::atomic::{AtomicU64, Ordering};

use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Application, inline};

/// Counts its requests.
///
/// Requests come from several threads at a time, which the compiler knows: a plain `u64` would not
/// build. `inline` promises that nothing blocks, so no server uses a worker for it.
pub fn app() -> impl Application {
    let requests = AtomicU64::new(0);
    inline(move |_, start_response| {
        let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        Ok(response.with_body(format!("You are request number {number}.\n")))
    })
}
