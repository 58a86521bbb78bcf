//! An application as a tower service.

mod exchange;
mod outbox;
mod pool;
mod pump;
mod response;
mod run;
#[cfg(feature = "hyper")]
mod upgrade;
#[cfg(not(feature = "hyper"))]
#[path = "into/no_upgrade.rs"]
mod upgrade;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use gateway_core::bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, Exchange};
use gateway_core::http::header::{CONNECTION, UPGRADE};
use gateway_core::http::{Extensions, Request, Uri, Version, request::Parts};
use gateway_core::{
    Application, BoxError, DEFAULT_BODY_LIMIT, Disconnected, Environ, ErrorStream, Input,
    IntoApplication, ServerInfo, StartResponse, http_body,
};
use gateway_handler::Terms;
use percent_encoding::percent_decode_str;
use tower_service::Service;

use exchange::{HostExchange, Received};

pub use response::{ResponseBody, ResponseFuture};

/// What `SERVER_SOFTWARE` says.
const SOFTWARE: &str = concat!("gateway-tower/", env!("CARGO_PKG_VERSION"));

/// Makes a tower service of an application: hyper serves it, and axum nests it.
///
/// The application is called on the host's reactor, and `environ.nonblocking()` is true.
/// `Reply::Pending` and streams are polled by the host's task; `Reply::Blocking`, iterators, files
/// and blocking upgrades run on Tokio's pool for blocking work (`spawn_blocking`), so the service has
/// to be called inside a Tokio runtime if there are any. Blocking calls on
/// [`Input`](gateway_core::Input) and [`Response`](gateway_core::Response) work there. An iterator
/// that is ahead of its peer gives its thread back.
///
/// The whole contract of the interface holds, as on the servers: the head waits for the first data, a
/// declared length is kept, hooks run, an error or a panic becomes a status or a body that fails.
/// Complaints go to standard error, or [`errors`](IntoTower::errors).
///
/// # What differs from a server of our own
///
/// - The host writes to the wire: `Date`, `Server` and the framing are its affair. An HTTP/1.1 host
///   like hyper has no way for `early_hints`; they go nowhere.
/// - That the peer has gone is known when the host drops the future or the body: then
///   `environ.disconnected()` is ready, and writing fails. A [`Disconnected`] among the request's
///   extensions, such as `from_tower`'s `map_request` can put there, is heeded as well.
/// - A target without a path, `OPTIONS http://host`, cannot be told from one with `/`.
/// - The service is always ready. What is to be limited is limited by a layer.
/// - Addresses are unknown to a tower service; [`map_request`](IntoTower::map_request) says where the
///   host keeps them.
///
/// [`Disconnected`]: gateway_core::Disconnected
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use axum::extract::ConnectInfo;
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_tower::into_tower;
/// use std::net::SocketAddr;
///
/// fn legacy(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let text = format!("{} for {}\n", environ.path_info(), environ.remote_addr());
///     Ok(start_response.start(StatusCode::OK, ()).with_body(text))
/// }
///
/// let service = into_tower(legacy).map_request(|request, connection| {
///     if let Some(ConnectInfo(peer)) = request.extensions.get::<ConnectInfo<SocketAddr>>() {
///         connection.remote = (*peer).into();
///     }
/// });
/// let router: Router = Router::new().nest_service("/legacy", service);
/// ```
pub fn into_tower<M, A: IntoApplication<M>>(app: A) -> IntoTower<A::Application> {
    let mut info = ConnectionInfo::new(Arc::new(ServerInfo::new("localhost", None, SOFTWARE)));
    info.nonblocking = true;
    IntoTower {
        app: Arc::new(app.into_application()),
        settings: Arc::new(Settings {
            info: Arc::new(info),
            body_limit: DEFAULT_BODY_LIMIT,
            map_request: None,
            original_uri: None,
            cancels: false,
        }),
    }
}

/// An application as a tower service: see [`into_tower`]. Clones share the application.
pub struct IntoTower<A> {
    app: Arc<A>,
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    info: Arc<ConnectionInfo>,
    body_limit: u64,
    map_request: Option<Arc<MapRequest>>,
    original_uri: Option<Arc<OriginalUri>>,
    cancels: bool,
}

type MapRequest = dyn Fn(&mut Parts, &mut ConnectionInfo) + Send + Sync + 'static;
type OriginalUri = dyn Fn(&Extensions) -> Option<Uri> + Send + Sync + 'static;

impl<A> IntoTower<A> {
    /// Lets `map` see every request before the application does: to change it, and to say what the
    /// host knows of the connection, such as the peer's address and whether it is encrypted.
    ///
    /// It must not block. A second call replaces the first.
    #[must_use]
    pub fn map_request(
        mut self,
        map: impl Fn(&mut Parts, &mut ConnectionInfo) + Send + Sync + 'static,
    ) -> IntoTower<A> {
        self.settings_mut().map_request = Some(Arc::new(map));
        self
    }

    /// Tells where the host keeps the URI that it nested the service by: then the part of it that the
    /// request's URI has lost is the script name. With axum:
    ///
    /// ```
    /// use axum::extract::OriginalUri;
    /// # fn app(_: gateway_core::Environ, _: gateway_core::StartResponse) -> gateway_core::Reply {
    /// #     unreachable!()
    /// # }
    ///
    /// let service = gateway_tower::into_tower(app)
    ///     .original_uri(|extensions| Some(extensions.get::<OriginalUri>()?.0.clone()));
    /// ```
    #[must_use]
    pub fn original_uri(
        mut self,
        find: impl Fn(&Extensions) -> Option<Uri> + Send + Sync + 'static,
    ) -> IntoTower<A> {
        self.settings_mut().original_uri = Some(Arc::new(find));
        self
    }

    /// Whether a `Pending` reply is dropped where the host drops its future: as usual with tower, so
    /// that a timeout layer ends the work. Default: false, as everywhere with applications: one that
    /// was called runs to its end, in a task of its own, unless it asked otherwise by `cancel_on`.
    #[must_use]
    pub fn cancel(mut self, cancels: bool) -> IntoTower<A> {
        self.settings_mut().cancels = cancels;
        self
    }

    /// How many bytes of a request's body the application may read where it sets no limit itself.
    /// Default: [`DEFAULT_BODY_LIMIT`].
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> IntoTower<A> {
        self.settings_mut().body_limit = bytes;
        self
    }

    /// Where the application's complaints go, and those about it. Default: standard error.
    #[must_use]
    pub fn errors(mut self, errors: ErrorStream) -> IntoTower<A> {
        Arc::make_mut(&mut self.settings_mut().info).errors = errors;
        self
    }

    /// What the application is told of its server. Default: `localhost`, without a port.
    #[must_use]
    pub fn server_info(mut self, info: ServerInfo) -> IntoTower<A> {
        Arc::make_mut(&mut self.settings_mut().info).server = Arc::new(info);
        self
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl<A, B> Service<Request<B>> for IntoTower<A>
where
    A: Application,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = gateway_core::http::Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.answer(request)
    }
}

/// Hyper serves it without an adapter of its own, which would keep the request for a while.
#[cfg(feature = "hyper")]
impl<A, B> hyper::service::Service<Request<B>> for IntoTower<A>
where
    A: Application,
    B: http_body::Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = gateway_core::http::Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<B>) -> ResponseFuture {
        self.answer(request)
    }
}

impl<A: Application> IntoTower<A> {
    fn answer<B>(&self, request: Request<B>) -> ResponseFuture
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let settings = &*self.settings;
        let mut info = Arc::clone(&settings.info);
        if let Some(map) = &settings.map_request {
            map(&mut parts, Arc::make_mut(&mut info));
        }
        let on_upgrade = upgrade::take(&mut parts.extensions).filter(|_| is_upgrade(&parts));
        // What cannot be accepted was not offered to the application. To look at the names costs less
        // than to look one up.
        if on_upgrade.is_none() && parts.headers.keys().any(|name| *name == UPGRADE) {
            parts.headers.remove(UPGRADE);
        }
        let peer = parts.extensions.remove::<Disconnected>();
        let original = settings.original_uri.as_ref().and_then(|find| find(&parts.extensions));
        let prefix = original.as_ref().and_then(|original| prefix(original, &parts.uri));
        let target = match (&prefix, &original) {
            (Some(_), Some(original)) => target(original),
            _ => target(&parts.uri),
        };
        let input = if body.is_end_stream() { None } else { Some(body.size_hint().exact()) };
        let body = input.map(|_| Box::pin(Received(Box::pin(body))) as RequestBody);
        let terms = Terms::new(&parts.method, on_upgrade.is_some());
        let about = (parts.method.clone(), parts.uri);
        let headers = parts.headers;
        let exchange = HostExchange::begin(info, terms, about, headers, peer, body, on_upgrade);
        let handle: Arc<dyn Exchange> = Arc::clone(&exchange) as _;
        let input = match input {
            // What an environ has by itself.
            None if settings.body_limit == DEFAULT_BODY_LIMIT => None,
            None => Some(empty(settings.body_limit)),
            Some(declared) => {
                Some(Input::from_exchange(Arc::clone(&handle), declared, settings.body_limit))
            }
        };
        let start_response = StartResponse::new(Arc::clone(&handle));
        let mut environ = Environ::new(handle, parts.method, parts.version, target);
        if let Some(input) = input {
            environ.set_input(input);
        }
        *environ.extensions_mut() = parts.extensions;
        if let Some(prefix) = prefix {
            environ.enter(&prefix);
        }
        let call = || self.app.call(environ, start_response);
        ResponseFuture::of(exchange, settings.cancels, call)
    }
}

/// No body. Middleware may put one in its place, for which the limit holds.
fn empty(limit: u64) -> Input {
    let mut input = Input::empty();
    // It fails only for one that has been read from.
    let _ = input.limit(limit);
    input
}

/// The request target that a URI came from.
fn target(uri: &Uri) -> Bytes {
    match (uri.scheme(), uri.authority(), uri.path_and_query()) {
        (None, None, Some(path)) => Bytes::copy_from_slice(path.as_str().as_bytes()),
        // The authority-form of CONNECT.
        (None, Some(authority), None) => Bytes::copy_from_slice(authority.as_str().as_bytes()),
        _ => Bytes::from(uri.to_string()),
    }
}

/// Whether the request offers to go on in another protocol (RFC 9110 §7.8).
fn is_upgrade(parts: &Parts) -> bool {
    let options = parts.headers.get_all(CONNECTION).iter();
    parts.version == Version::HTTP_11
        && options
            .flat_map(|value| value.as_bytes().split(|&b| b == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// What the path of `original` has in front of that of `uri`, decoded. `None` where it has nothing,
/// and where that is no text.
fn prefix(original: &Uri, uri: &Uri) -> Option<String> {
    // A service that is called at its very mount is given `/`.
    let below = if uri.path() == "/" { "" } else { uri.path() };
    let whole = original.path();
    let above = whole.strip_suffix(below)?.trim_end_matches('/');
    if above.is_empty() {
        return None;
    }
    Some(percent_decode_str(above).decode_utf8().ok()?.into_owned())
}

impl<A> Clone for IntoTower<A> {
    fn clone(&self) -> IntoTower<A> {
        IntoTower { app: Arc::clone(&self.app), settings: Arc::clone(&self.settings) }
    }
}

impl<A> fmt::Debug for IntoTower<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoTower")
            .field("body_limit", &self.settings.body_limit)
            .finish_non_exhaustive()
    }
}

/// A request's body with its types forgotten.
type RequestBody = std::pin::Pin<
    Box<dyn http_body::Body<Data = Bytes, Error = gateway_core::Error> + Send + 'static>,
>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_name_is_what_the_host_has_taken_away() {
        let of = |original: &'static str, uri: &'static str| {
            prefix(&Uri::from_static(original), &Uri::from_static(uri))
        };
        assert_eq!(of("/api/users?a=1", "/users?a=1").as_deref(), Some("/api"));
        assert_eq!(of("/api", "/").as_deref(), Some("/api"));
        assert_eq!(of("/api/", "/").as_deref(), Some("/api"));
        assert_eq!(of("/a%20b/x", "/x").as_deref(), Some("/a b"));
        assert_eq!(of("/%ff/x", "/x"), None);
        assert_eq!(of("/users", "/users"), None);
        assert_eq!(of("/users", "/else"), None);
    }
}
