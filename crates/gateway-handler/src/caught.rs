//! Panics of the application, turned into its errors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gateway_core::{ApplicationError, Result, panic_message};

/// Runs code of the application and makes an error of its panic.
///
/// # Errors
///
/// [`ApplicationError::Panicked`].
pub fn caught<R>(f: impl FnOnce() -> R) -> Result<R> {
    // What `f` left half done is the application's own: a server keeps its state out of reach.
    catch_unwind(AssertUnwindSafe(f))
        .map_err(|payload| ApplicationError::Panicked { message: panic_message(&*payload) }.into())
}
