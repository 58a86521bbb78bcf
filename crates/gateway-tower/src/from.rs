//! A tower service as an application.

mod request;
mod response;
#[cfg(feature = "hyper")]
mod upgrade;
#[cfg(not(feature = "hyper"))]
#[path = "from/no_upgrade.rs"]
mod upgrade;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use gateway_core::bytes::Buf;
use gateway_core::http::{self, request::Parts};
use gateway_core::{
    Application, BoxError, Disconnected, Environ, Error, Input, PeerError, Reply, Result,
    StartResponse, http_body,
};
use tower_service::Service;

pub use request::Mounted;
use response::respond;
use upgrade::Offer;

/// Makes an application of a tower service.
///
/// The service is cloned for every request, as hyper's adapters do it; `poll_ready` of the clone is
/// awaited before its `call`, so a concurrency limit holds requests back. An axum `Router` is such a
/// service as it is.
///
/// The application answers `Reply::Pending`. On a Tokio server it is awaited on the reactor; on a
/// thread server it is driven in place, where a service that wants Tokio's timers or sockets has to
/// find a runtime: `StdServer::with_context` enters one.
///
/// # What the service is given
///
/// The method, the version, the header fields and the extensions of the request, and the [`Input`]
/// as its body, with the length that was declared as its size hint. The URI is the request target;
/// where the application is [mounted](gateway_core::Mount) it is the path below, as with axum's
/// `nest`, and the extension [`Mounted`] tells the rest.
/// [`map_request`](FromTower::map_request) adds what else a service wants, such as axum's
/// `ConnectInfo`.
///
/// # What it is not given
///
/// The server's body limit: a tower service brings its own, such as axum's `DefaultBodyLimit`. See
/// [`body_limit`](FromTower::body_limit).
///
/// # What becomes of errors
///
/// A request target that is no URI is answered 400. An error of the service is answered 500, or with
/// the status of a [`gateway_core::Error`] among its causes; an error of a response's body cuts the
/// response. Fields of the hop, which a tower service may set but a server has to, are removed.
///
/// # Examples
///
/// ```
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use gateway_tower::from_tower;
/// use std::net::SocketAddr;
///
/// let router = Router::new().route("/", get(|peer: ConnectInfo<SocketAddr>| async move {
///     format!("Hello, {}\n", peer.0)
/// }));
/// let app = from_tower(router).map_request(|environ, request| {
///     if let Some(peer) = environ.remote_addr().inet() {
///         request.extensions.insert(ConnectInfo(peer));
///     }
/// });
/// # let _ = || -> Result<(), gateway_core::ServerError> {
/// gateway_core::run(gateway_tokio::TokioServer::bind("127.0.0.1:8000")?, app)?;
/// # Ok(()) };
/// ```
pub fn from_tower<S, B>(service: S) -> FromTower<S>
where
    S: Service<http::Request<Input>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    FromTower { service, map_request: None, cancels: true, body_limit: BodyLimit::None }
}

/// A tower service as an [`Application`]: see [`from_tower`].
#[derive(Clone)]
pub struct FromTower<S> {
    service: S,
    map_request: Option<Arc<MapRequest>>,
    cancels: bool,
    body_limit: BodyLimit,
}

type MapRequest = dyn Fn(&Environ, &mut Parts) + Send + Sync + 'static;

#[derive(Debug, Clone, Copy)]
enum BodyLimit {
    None,
    Bytes(u64),
    Servers,
}

impl BodyLimit {
    /// The same body, of which the service may read so much.
    fn of(self, mut input: Input) -> Input {
        let limited = match self {
            BodyLimit::None => input.limit(u64::MAX),
            BodyLimit::Bytes(bytes) => input.limit(bytes),
            BodyLimit::Servers => Ok(()),
        };
        // It fails where middleware has begun to read: then what is left of its limit holds.
        drop(limited);
        input
    }
}

impl<S> FromTower<S> {
    /// Lets `map` see every request before the service does, and change it: to add extensions that
    /// the service's extractors look for. The environ still has the addresses, the server's facts
    /// and the paths; header fields and extensions are in the request already.
    ///
    /// It must not block. A second call replaces the first.
    #[must_use]
    pub fn map_request(
        mut self,
        map: impl Fn(&Environ, &mut Parts) + Send + Sync + 'static,
    ) -> FromTower<S> {
        self.map_request = Some(Arc::new(map));
        self
    }

    /// Whether the service's future, and later the response's body, are dropped when the peer has
    /// gone. Default: true, as hyper does it.
    ///
    /// A peer that has closed only its sending side counts as gone, as with hyper; with `false` it
    /// is answered, and every call of the service runs to its end.
    #[must_use]
    pub fn cancel(mut self, cancels: bool) -> FromTower<S> {
        self.cancels = cancels;
        self
    }

    /// Lets the service read no more than `bytes` of a request's body; past it, reading fails with
    /// [`PeerError::BodyTooLarge`]. Default: no limit, since a tower service has its own.
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> FromTower<S> {
        self.body_limit = BodyLimit::Bytes(bytes);
        self
    }

    /// Leaves the server's body limit, or that of middleware outside, as it is.
    #[must_use]
    pub fn keep_body_limit(mut self) -> FromTower<S> {
        self.body_limit = BodyLimit::Servers;
        self
    }
}

impl<S, B> Application for FromTower<S>
where
    S: Service<http::Request<Input>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let mut offer = Offer::of(&environ);
        let bodiless = *environ.method() == http::Method::HEAD;
        let mut parts = match request::parts(&mut environ, &mut offer) {
            Ok(parts) => parts,
            Err(error) => return error.into(),
        };
        if let Some(map) = &self.map_request {
            map(&environ, &mut parts);
        }
        let input = self.body_limit.of(environ.take_input());
        let watch = Watch { environ: &environ, cancels: self.cancels };
        let mut service = self.service.clone();
        // Most services are ready, and most of their futures at the first poll, in the call itself:
        // then nothing has to be kept. The others are polled again, with the waker that counts.
        let mut now = Context::from_waker(Waker::noop());
        let mut future = match service.poll_ready(&mut now) {
            Poll::Ready(Ok(())) => Box::pin(service.call(http::Request::from_parts(parts, input))),
            Poll::Ready(Err(error)) => return Error::application(error).into(),
            Poll::Pending => {
                let ready = async move {
                    poll_fn(|cx| service.poll_ready(cx)).await?;
                    service.call(http::Request::from_parts(parts, input)).await
                };
                return later(Box::pin(ready), start_response, bodiless, watch.gone(), offer);
            }
        };
        match future.as_mut().poll(&mut now) {
            Poll::Ready(Ok(served)) => {
                respond(served, start_response, bodiless, || watch.gone(), offer)
            }
            Poll::Ready(Err(error)) => Error::application(error).into(),
            Poll::Pending => later(future, start_response, bodiless, watch.gone(), offer),
        }
    }
}

/// How it is known that the peer has gone.
struct Watch<'a> {
    environ: &'a Environ,
    cancels: bool,
}

impl Watch<'_> {
    fn gone(&self) -> Option<Disconnected> {
        self.cancels.then(|| self.environ.disconnected())
    }
}

/// Awaits what the service answers.
fn later<F, B, E>(
    mut served: Pin<Box<F>>,
    start_response: StartResponse,
    bodiless: bool,
    mut gone: Option<Disconnected>,
    offer: Offer,
) -> Reply
where
    F: Future<Output = Result<http::Response<B>, E>> + Send + 'static,
    E: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    Reply::Pending(Box::pin(async move {
        match unless_gone(served.as_mut(), &mut gone).await {
            Ok(Ok(served)) => respond(served, start_response, bodiless, || gone, offer),
            Ok(Err(error)) => Error::application(error).into(),
            Err(error) => error.into(),
        }
    }))
}

/// The outcome of `future`, if the peer waits for it.
async fn unless_gone<F: Future>(
    mut future: Pin<&mut F>,
    gone: &mut Option<Disconnected>,
) -> Result<F::Output> {
    poll_fn(|cx| {
        // An answer that is ready is worth more than the news that nobody waits for it.
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        poll_gone(gone, cx).map(Err)
    })
    .await
}

fn poll_gone(gone: &mut Option<Disconnected>, cx: &mut Context<'_>) -> Poll<Error> {
    match gone {
        Some(gone) => Pin::new(gone).poll(cx).map(|()| PeerError::Disconnected.into()),
        None => Poll::Pending,
    }
}

impl<S> fmt::Debug for FromTower<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromTower")
            .field("cancels", &self.cancels)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}

/// Makes a service that is not `Sync`, such as a boxed one, fit for [`from_tower`]: clones are made
/// under a lock.
///
/// ```
/// use gateway_tower::{Locked, from_tower};
/// use tower::util::BoxCloneService;
/// # use gateway_core::{Input, http::{Request, Response}};
/// # let service = tower::service_fn(|_: Request<Input>| async {
/// #     Ok::<_, std::convert::Infallible>(Response::new(axum::body::Body::empty()))
/// # });
///
/// let app = from_tower(Locked::new(BoxCloneService::new(service)));
/// ```
#[derive(Debug)]
pub struct Locked<S>(Mutex<S>);

impl<S> Locked<S> {
    /// Puts `service` under a lock.
    pub fn new(service: S) -> Locked<S> {
        Locked(Mutex::new(service))
    }
}

impl<S: Clone> Clone for Locked<S> {
    fn clone(&self) -> Locked<S> {
        Locked::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl<R, S: Service<R>> Service<R> for Locked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).call(request)
    }
}

/// All of a buffer as one piece; what is one already is not copied.
pub(crate) fn into_bytes(mut data: impl Buf) -> gateway_core::bytes::Bytes {
    data.copy_to_bytes(data.remaining())
}
