//! The pattern that a request was routed by.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::Environ;

/// A place in the extensions of an [`Environ`] for the pattern by which a framework has routed the
/// request: `/users/{id}`, and not `/users/7`.
///
/// A framework [sets](RoutePattern::set) it, whoever listens. Middleware outside of the framework
/// makes the place before it calls the application, and looks at it when the exchange is over: that
/// is why it is a place, and not just a value. `Metrics` and `Spans` do so.
///
/// # Examples
///
/// A router:
///
/// ```
/// use gateway_core::{Environ, Error, Reply, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::RoutePattern;
///
/// fn router(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
///     if environ.path_info().starts_with("/users/") {
///         RoutePattern::set(&mut environ, "/users/{id}");
///         return Ok(start_response.start(StatusCode::OK, ()).with_body("a user\n"));
///     }
///     Err(Error::with_status(StatusCode::NOT_FOUND, "no route"))
/// }
/// # let _ = router;
/// ```
#[derive(Debug, Clone, Default)]
pub struct RoutePattern(Arc<Mutex<Option<Cow<'static, str>>>>);

impl RoutePattern {
    /// Notes that `environ` was routed by `pattern`. The last one counts, which is the innermost
    /// where routers are mounted in others: give it whole, with what led there.
    pub fn set(environ: &mut Environ, pattern: impl Into<Cow<'static, str>>) {
        *RoutePattern::place(environ).0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(pattern.into());
    }

    /// For middleware: the place in `environ`, made if it is missing.
    pub fn place(environ: &mut Environ) -> RoutePattern {
        environ.extensions_mut().get_or_insert_default::<RoutePattern>().clone()
    }

    /// What has been set by now.
    pub fn get(&self) -> Option<Cow<'static, str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
