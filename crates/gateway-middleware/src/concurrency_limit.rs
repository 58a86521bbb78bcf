//! Turns away what would be too much at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use gateway_core::{Application, Environ, IntoApplication, Reply, StartResponse};

/// Lets so many exchanges be under way at a time, and answers 503 with `Retry-After` to the others,
/// at once.
///
/// An exchange is under way from the call until its last byte has been handed over or it was given
/// up, so a slow reader counts as long as it reads; an upgraded connection counts to its end.
/// Nothing waits in here: a queue hides from the peer, and from what balances the load, that there
/// is one. What is turned away is not logged, so that a crowd cannot fill the log; an access log
/// outside has it.
///
/// tower's `ConcurrencyLimitLayer` makes requests wait, and knows only async applications.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::ConcurrencyLimit;
///
/// fn report(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("a long story\n"))
/// }
///
/// let app = ConcurrencyLimit::new(report, 4);
/// # let _ = app;
/// ```
///
/// Source: RFC 9110 §15.6.4 and §10.2.3.
#[derive(Debug)]
pub struct ConcurrencyLimit<A> {
    app: A,
    most: usize,
    under_way: Arc<AtomicUsize>,
    retry_after: Duration,
}

impl<A: Application> ConcurrencyLimit<A> {
    /// Lets `most` exchanges of `app` be under way at a time.
    pub fn new<M>(
        app: impl IntoApplication<M, Application = A>,
        most: usize,
    ) -> ConcurrencyLimit<A> {
        ConcurrencyLimit {
            app: app.into_application(),
            most,
            under_way: Arc::default(),
            retry_after: Duration::from_secs(1),
        }
    }

    /// When those who are turned away may come again: one second later if it is not set. It is told
    /// in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(self, retry_after: Duration) -> ConcurrencyLimit<A> {
        ConcurrencyLimit { retry_after, ..self }
    }

    /// How many exchanges are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    fn permit(&self) -> Option<Permit> {
        let one_more = |n: usize| (n < self.most).then(|| n + 1);
        let updated = self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        updated.ok().map(|_| Permit(Arc::clone(&self.under_way)))
    }
}

impl<A: Application> Application for ConcurrencyLimit<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let Some(permit) = self.permit() else {
            let partial = u64::from(self.retry_after.subsec_nanos() > 0);
            let seconds = self.retry_after.as_secs().saturating_add(partial);
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
                (RETRY_AFTER, HeaderValue::from(seconds)),
            ];
            let response = start_response.start(StatusCode::SERVICE_UNAVAILABLE, headers);
            return response.with_body("503 Service Unavailable\n").into();
        };
        start_response.on_end(move |_| drop(permit));
        self.app.call(environ, start_response)
    }
}

/// Given back when it is dropped: by the end hook, or with it where it never runs.
struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
