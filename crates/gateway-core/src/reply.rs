//! How an application answers: at once, later, or by blocking.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Disconnected, Error, PeerError, Response, Result};

/// An owned future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// An owned piece of work that may block the thread which runs it.
pub type BlockingJob = Box<dyn FnOnce() -> Reply + Send + 'static>;

/// The answer to one call of an [`Application`](crate::Application), chosen per request.
///
/// A `Pending` or `Blocking` arm yields a `Reply` again; the server goes on until it is `Ready`.
/// So an async application can end in a blocking part and the other way round.
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Reply, StartResponse, http::StatusCode};
///
/// fn app(environ: Environ, start_response: StartResponse) -> Reply {
///     match environ.header("x-slow") {
///         None => Reply::Ready(Ok(start_response.start(StatusCode::OK, ()).with_body("fast"))),
///         Some(_) => Reply::future(async move {
///             // … await something …
///             Ok(start_response.start(StatusCode::OK, ()).with_body("slow"))
///         }),
///     }
/// }
/// ```
#[must_use = "a reply does nothing until a server drives it"]
pub enum Reply {
    /// Done; nothing blocked.
    Ready(Result<Response>),
    /// A reactor awaits it; a thread server drives it in place.
    Pending(BoxFuture<Reply>),
    /// A thread server runs it in place; a reactor sends it to a worker.
    Blocking(BlockingJob),
}

impl Reply {
    /// A reply that is the outcome of `future`, which must not block.
    pub fn future(future: impl Future<Output = Result<Response>> + Send + 'static) -> Reply {
        Reply::Pending(Box::pin(async move { Reply::Ready(future.await) }))
    }

    /// A reply that is the outcome of `job`, which may block.
    pub fn blocking(job: impl FnOnce() -> Result<Response> + Send + 'static) -> Reply {
        Reply::Blocking(Box::new(move || Reply::Ready(job())))
    }

    /// Passes the outcome, good or bad, through `f`, whichever arm it comes by.
    ///
    /// Middleware that looks at the outcome is written once with this for synchronous,
    /// asynchronous and blocking applications. A `Ready` reply costs one call and no allocation,
    /// the others one allocation each time. `f` must not block.
    ///
    /// [`Recovery`](crate::Recovery) has an example.
    pub fn then(
        self,
        f: impl FnOnce(Result<Response>) -> Result<Response> + Send + 'static,
    ) -> Reply {
        match self {
            Reply::Ready(outcome) => Reply::Ready(f(outcome)),
            Reply::Pending(future) => Reply::Pending(Box::pin(async move { future.await.then(f) })),
            Reply::Blocking(job) => Reply::Blocking(Box::new(move || job().then(f))),
        }
    }

    /// Passes the response through `f`; an error stays as it is. `f` must not block.
    ///
    /// To add header fields, [`on_head`](crate::StartResponse::on_head) is the better way: it also
    /// sees the head of an error, and of a response that is written rather than returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Application, Environ, Reply, StartResponse};
    /// use std::time::{Duration, Instant};
    ///
    /// /// Reports answers that took long, whether they were awaited or blocked.
    /// struct Slow<A>(A, Duration);
    ///
    /// impl<A: Application> Application for Slow<A> {
    ///     fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
    ///         let (began, limit) = (Instant::now(), self.1);
    ///         let errors = environ.errors().clone();
    ///         self.0.call(environ, start_response).map(move |response| {
    ///             let took = began.elapsed();
    ///             if took > limit {
    ///                 errors.line(format_args!("a {} took {took:?}", response.status()));
    ///             }
    ///             response
    ///         })
    ///     }
    /// }
    /// ```
    pub fn map(self, f: impl FnOnce(Response) -> Response + Send + 'static) -> Reply {
        self.then(move |outcome| outcome.map(f))
    }

    /// Drops the work when the peer goes away: a future is dropped where it stands, a blocking job
    /// that has not begun is not begun; one that has begun runs to its end. The outcome is then
    /// [`PeerError::Disconnected`]. An answer that is ready stays one.
    ///
    /// Without this an application that was called runs to its end. A peer that has closed only its
    /// sending side counts as gone, so use it where such peers are not expected.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Environ, Reply, Response, Result, StartResponse, http::StatusCode};
    ///
    /// async fn search(start_response: StartResponse) -> Result<Response> {
    ///     // … something long …
    ///     Ok(start_response.start(StatusCode::OK, ()).with_body("found"))
    /// }
    ///
    /// fn app(environ: Environ, start_response: StartResponse) -> Reply {
    ///     Reply::future(search(start_response)).cancel_on(environ.disconnected())
    /// }
    /// ```
    pub fn cancel_on(self, gone: Disconnected) -> Reply {
        match self {
            Reply::Ready(outcome) => Reply::Ready(outcome),
            Reply::Pending(future) => {
                Reply::Pending(Box::pin(CancelOn { work: Some(future), gone }))
            }
            Reply::Blocking(job) => Reply::Blocking(Box::new(move || {
                if gone.is_disconnected() {
                    return Reply::Ready(Err(disconnected()));
                }
                job().cancel_on(gone)
            })),
        }
    }
}

impl From<Result<Response>> for Reply {
    fn from(outcome: Result<Response>) -> Reply {
        Reply::Ready(outcome)
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply::Ready(Ok(response))
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Reply {
        Reply::Ready(Err(error))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Ready(outcome) => f.debug_tuple("Ready").field(outcome).finish(),
            Reply::Pending(_) => f.write_str("Pending(..)"),
            Reply::Blocking(_) => f.write_str("Blocking(..)"),
        }
    }
}

struct CancelOn {
    work: Option<BoxFuture<Reply>>,
    gone: Disconnected,
}

impl Future for CancelOn {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        let Some(work) = &mut this.work else {
            return Poll::Ready(Reply::Ready(Err(disconnected())));
        };
        // The work first: an answer that is ready is worth more than the news that nobody waits.
        if let Poll::Ready(reply) = work.as_mut().poll(cx) {
            this.work = None;
            return Poll::Ready(reply.cancel_on(this.gone.clone()));
        }
        if Pin::new(&mut this.gone).poll(cx).is_ready() {
            this.work = None;
            return Poll::Ready(Reply::Ready(Err(disconnected())));
        }
        Poll::Pending
    }
}

fn disconnected() -> Error {
    PeerError::Disconnected.into()
}
