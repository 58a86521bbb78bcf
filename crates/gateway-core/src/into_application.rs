//! What can be run as an application.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::{Application, Environ, Error, Reply, Response, StartResponse};

/// Whatever [`run`](crate::run) takes: an [`Application`] (also boxed, in an `Arc`, or a
/// `&'static` one), a `fn`, an `async fn`, or a closure of either kind.
///
/// A synchronous function may block. On a thread server it is called in place, without an
/// allocation; on a reactor it answers [`Reply::Blocking`] and runs on a worker. Wrap it in
/// [`inline`] to promise that it does not block. `Marker` only keeps the implementations apart.
///
/// Errors of a function are anything that converts into [`Error`]; those of one in [`inline`] are
/// [`Error`] itself.
///
/// An async closure that uses what it captured does not implement `Fn`, as the compiler will say:
/// its future borrows from the closure. Let a closure clone what an async block then owns:
///
/// ```
/// use gateway_core::{Environ, Error, IntoApplication, StartResponse, http::StatusCode};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let visits = Arc::new(AtomicU64::new(0));
/// let app = move |_: Environ, start_response: StartResponse| {
///     let visits = Arc::clone(&visits);
///     async move {
///         let visit = visits.fetch_add(1, Ordering::Relaxed);
///         Ok::<_, Error>(start_response.start(StatusCode::OK, ()).with_body(format!("{visit}\n")))
///     }
/// };
/// app.boxed();
/// ```
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, IntoApplication, Response, Result, StartResponse, http::StatusCode};
///
/// fn plain(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("plain\n"))
/// }
///
/// async fn later(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("later\n"))
/// }
///
/// let applications = [
///     plain.boxed(),
///     later.boxed(),
///     (|_: Environ, start_response: StartResponse| -> Result<Response> {
///         Ok(start_response.start(StatusCode::NO_CONTENT, ()))
///     })
///     .boxed(),
/// ];
/// # assert_eq!(applications.len(), 3);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no application",
    label = "no application",
    note = "an application is a function or a closure of `(Environ, StartResponse)`, both owned, that \
            gives `Result<Response, E>`, a future of it, or a `Reply`; or a type that implements \
            `Application`",
    note = "`E` converts into `gateway_core::Error`; what is captured is `Send + Sync + 'static`, and a \
            future `Send + 'static` with all that it holds across an `.await`"
)]
pub trait IntoApplication<Marker> {
    /// The application that it becomes.
    type Application: Application;

    /// Makes it one.
    fn into_application(self) -> Self::Application;

    /// Makes it one behind a pointer, so that different ones fit into one collection.
    ///
    /// Where the compiler finds no such method, `IntoApplication::boxed(f)` has it say why `f` is no
    /// application.
    fn boxed(self) -> Box<dyn Application>
    where
        Self: Sized,
    {
        Box::new(self.into_application())
    }
}

/// Markers that keep the implementations of [`IntoApplication`] apart.
pub mod marker {
    /// An [`Application`](crate::Application).
    #[derive(Debug)]
    pub struct IsApplication;
    /// A function that answers [`Reply`](crate::Reply).
    #[derive(Debug)]
    pub struct AnswersReply;
    /// A function that answers a `Result`, and may block.
    #[derive(Debug)]
    pub struct Blocks<E>(std::marker::PhantomData<fn() -> E>);
    /// A function that answers a future of a `Result`.
    #[derive(Debug)]
    pub struct IsAsync<E>(std::marker::PhantomData<fn() -> E>);
}

impl<A: Application> IntoApplication<marker::IsApplication> for A {
    type Application = A;

    fn into_application(self) -> A {
        self
    }
}

impl<F> IntoApplication<marker::AnswersReply> for F
where
    F: Fn(Environ, StartResponse) -> Reply + Send + Sync + 'static,
{
    type Application = ReplyFn<F>;

    fn into_application(self) -> ReplyFn<F> {
        ReplyFn(self)
    }
}

impl<F, E> IntoApplication<marker::Blocks<E>> for F
where
    F: Fn(Environ, StartResponse) -> Result<Response, E> + Send + Sync + 'static,
    E: Into<Error> + 'static,
{
    type Application = BlockingFn<F>;

    fn into_application(self) -> BlockingFn<F> {
        BlockingFn(Arc::new(self))
    }
}

impl<F, Fut, E> IntoApplication<marker::IsAsync<E>> for F
where
    F: Fn(Environ, StartResponse) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, E>> + Send + 'static,
    E: Into<Error> + 'static,
{
    type Application = FutureFn<F>;

    fn into_application(self) -> FutureFn<F> {
        FutureFn(self)
    }
}

/// A synchronous function that promises not to block: it is called in place on every server.
///
/// Its error type is [`Error`], so that a closure needs no annotation; `?` converts others.
///
/// # Examples
///
/// ```
/// use gateway_core::{BoxError, Environ, inline, http::StatusCode};
///
/// let app = inline(|_, start_response| {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("quick\n"))
/// });
///
/// fn page(environ: &Environ) -> Result<i64, BoxError> {
///     Ok(environ.query_string().unwrap_or("1").parse()?)
/// }
///
/// let app = inline(|environ, start_response| {
///     let text = format!("page {}\n", page(&environ)?);
///     Ok(start_response.start(StatusCode::OK, ()).with_body(text))
/// });
/// ```
pub fn inline<F>(f: F) -> InlineFn<F>
where
    F: Fn(Environ, StartResponse) -> crate::Result<Response> + Send + Sync + 'static,
{
    InlineFn(f)
}

/// A function that answers [`Reply`], as an application.
#[derive(Clone)]
pub struct ReplyFn<F>(F);

/// A function that may block, as an application.
pub struct BlockingFn<F>(Arc<F>);

/// An async function, as an application.
#[derive(Clone)]
pub struct FutureFn<F>(F);

/// A function that does not block, as an application: see [`inline`].
#[derive(Clone)]
pub struct InlineFn<F>(F);

impl<F> Application for ReplyFn<F>
where
    F: Fn(Environ, StartResponse) -> Reply + Send + Sync + 'static,
{
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        (self.0)(environ, start_response)
    }
}

impl<F, E> Application for BlockingFn<F>
where
    F: Fn(Environ, StartResponse) -> Result<Response, E> + Send + Sync + 'static,
    E: Into<Error> + 'static,
{
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        if environ.nonblocking() {
            let f = Arc::clone(&self.0);
            return Reply::blocking(move || f(environ, start_response).map_err(Into::into));
        }
        Reply::Ready((self.0)(environ, start_response).map_err(Into::into))
    }
}

impl<F, Fut, E> Application for FutureFn<F>
where
    F: Fn(Environ, StartResponse) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, E>> + Send + 'static,
    E: Into<Error> + 'static,
{
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let future = (self.0)(environ, start_response);
        Reply::Pending(Box::pin(async move { Reply::Ready(future.await.map_err(Into::into)) }))
    }
}

impl<F> Application for InlineFn<F>
where
    F: Fn(Environ, StartResponse) -> crate::Result<Response> + Send + Sync + 'static,
{
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        Reply::Ready((self.0)(environ, start_response))
    }
}

impl<F> Clone for BlockingFn<F> {
    fn clone(&self) -> Self {
        BlockingFn(Arc::clone(&self.0))
    }
}

macro_rules! debug {
    ($($wrapper:ident),*) => {$(
        impl<F> fmt::Debug for $wrapper<F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($wrapper), "(..)"))
            }
        }
    )*};
}

debug!(ReplyFn, BlockingFn, FutureFn, InlineFn);
