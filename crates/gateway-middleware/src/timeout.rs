//! Ends what takes too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use gateway_core::http::StatusCode;
use gateway_core::{Application, BoxFuture, Environ, Error, IntoApplication, Reply, StartResponse};

/// Gives an application a time to answer in.
///
/// What it can do depends on how the application answers:
///
/// | reply | when the time is over |
/// |---|---|
/// | `Pending` | the future is dropped where it stands, and 503 is answered |
/// | `Blocking`, not begun | it is not begun, and 503 is answered: it has waited for a worker |
/// | `Blocking`, begun | it runs to its end, and its answer counts: no thread can be stopped |
/// | `Ready` | it has answered |
///
/// On a server with threads a function that blocks is called in place, so it is one that has begun:
/// there, what waits for other systems needs their timeouts. The time runs from the call until the
/// response is returned; its body has the server's own timeouts. Where a head has been sent by then,
/// the response is cut.
///
/// The error has a 5xx status, so the server logs it.
///
/// For applications that are async alone tower-http's `TimeoutLayer` does the same. The timer is a
/// thread of the `futures-timer` crate, so that it needs no runtime.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::Timeout;
/// use std::time::Duration;
///
/// async fn stuck(_: Environ, start_response: StartResponse) -> Result<Response> {
///     std::future::pending::<()>().await;
///     Ok(start_response.start(StatusCode::OK, ()))
/// }
///
/// let app = Timeout::new(stuck, Duration::from_millis(10)).status(StatusCode::GATEWAY_TIMEOUT);
/// # use gateway_conformance::TestClient;
/// assert_eq!(TestClient::new(app).get("/").send().status(), StatusCode::GATEWAY_TIMEOUT);
/// ```
///
/// Source: RFC 9110 §15.6.4 and §15.6.5.
#[derive(Debug)]
pub struct Timeout<A> {
    app: A,
    time: Duration,
    status: StatusCode,
}

impl<A: Application> Timeout<A> {
    /// Gives `app` so much `time` for each answer.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>, time: Duration) -> Timeout<A> {
        Timeout { app: app.into_application(), time, status: StatusCode::SERVICE_UNAVAILABLE }
    }

    /// Answers `status` in place of 503: for instance 504, where the application waits for another
    /// server.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Timeout<A> {
        Timeout { status, ..self }
    }
}

impl<A: Application> Application for Timeout<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let limit = Limit { begun: Instant::now(), time: self.time, status: self.status };
        limit.on(self.app.call(environ, start_response))
    }
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    begun: Instant,
    time: Duration,
    status: StatusCode,
}

impl Limit {
    fn on(self, reply: Reply) -> Reply {
        match reply {
            Reply::Ready(outcome) => Reply::Ready(outcome),
            Reply::Pending(work) => {
                Reply::Pending(Box::pin(Timed { work: Some(work), timer: None, limit: self }))
            }
            Reply::Blocking(job) => Reply::Blocking(Box::new(move || {
                if self.left().is_zero() {
                    return self.exceeded();
                }
                self.on(job())
            })),
        }
    }

    fn left(&self) -> Duration {
        self.time.saturating_sub(self.begun.elapsed())
    }

    fn exceeded(&self) -> Reply {
        let cause = format!("no answer within {:?}", self.time);
        Error::with_status(self.status, cause).into()
    }
}

struct Timed {
    work: Option<BoxFuture<Reply>>,
    /// Set when the work has been found to be pending: most is not for long.
    timer: Option<Delay>,
    limit: Limit,
}

impl Future for Timed {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        let Some(work) = &mut this.work else { return Poll::Ready(this.limit.exceeded()) };
        // The work first: an answer that is there is worth more than the news that it is late.
        if let Poll::Ready(reply) = work.as_mut().poll(cx) {
            this.work = None;
            return Poll::Ready(this.limit.on(reply));
        }
        let timer = this.timer.get_or_insert_with(|| Delay::new(this.limit.left()));
        if Pin::new(timer).poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.work = None;
        Poll::Ready(this.limit.exceeded())
    }
}
