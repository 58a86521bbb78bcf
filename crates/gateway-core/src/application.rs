//! What a server invokes.

use std::sync::Arc;

use crate::{Environ, Reply, StartResponse};

/// A web application, or a framework that runs many.
///
/// A server calls [`call`](Application::call) once for every request, from any thread, several at
/// a time. There is one method and no default: a wrapper cannot forget to pass anything on.
///
/// Plain functions and closures are applications too; see [`IntoApplication`](crate::IntoApplication).
///
/// # Examples
///
/// Middleware plays both sides: it is an application to the server and a server to the
/// application inside.
///
/// ```
/// use gateway_core::{Application, Environ, Reply, StartResponse, http::HeaderValue};
///
/// struct PoweredBy<A>(A);
///
/// impl<A: Application> Application for PoweredBy<A> {
///     fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
///         start_response.on_head(|head| {
///             head.headers.insert("x-powered-by", HeaderValue::from_static("gateway"));
///         });
///         self.0.call(environ, start_response)
///     }
/// }
/// ```
///
/// Source: PEP 3333, "The Application/Framework Side".
pub trait Application: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// `start_response` is called at most once, which its type ensures; what it gives back is the
    /// [`Response`](crate::Response) that the [`Reply`] carries. This method itself must not
    /// block when [`environ.nonblocking()`](Environ::nonblocking) is true: answer
    /// [`Reply::Blocking`] with the part that blocks, or [`Reply::Pending`] with a future.
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<A: Application + ?Sized> Application for $pointer {
            fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
                (**self).call(environ, start_response)
            }
        }
    )*};
}

forward!(Box<A>, Arc<A>, &'static A);
