//! What begins the response.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::exchange::{End, Exchange};
use crate::{Error, Head, Response, ResponseHeaders, Result};

/// Begins the response of one exchange: PEP 3333's `start_response`, owned.
///
/// [`start`](StartResponse::start) consumes it, so neither a second start nor a body before the
/// start compiles.
///
/// ```compile_fail
/// # use gateway_core::{StartResponse, Response, http::StatusCode};
/// fn twice(start_response: StartResponse) -> Response {
///     start_response.start(StatusCode::OK, ());
///     start_response.start(StatusCode::OK, ())
/// }
/// ```
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse};
/// use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
///
/// fn hello(_: Environ, start_response: StartResponse) -> Result<Response> {
///     let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
///     Ok(response.with_body("Hello, World!\n"))
/// }
/// ```
///
/// Source: PEP 3333, "The `start_response()` Callable".
pub struct StartResponse {
    exchange: Arc<dyn Exchange>,
}

impl StartResponse {
    /// For servers: what begins the response of `exchange`.
    pub fn new(exchange: Arc<dyn Exchange>) -> StartResponse {
        StartResponse { exchange }
    }

    /// Stores the head and sends nothing: it goes out with the first data, so until then an error
    /// can still become another response.
    ///
    /// A server adds `Date` and `Server` where they are missing and the framing fields; it removes
    /// hop-by-hop fields other than `Connection: close`. `status` is a final one, or 101 with
    /// [`Body::Upgrade`](crate::Body::Upgrade).
    ///
    /// # Panics
    ///
    /// If a literal among `headers` is no field value, see [`IntoHeaders`].
    pub fn start(self, status: StatusCode, headers: impl IntoHeaders) -> Response {
        Response::new(Head::new(status, headers.into_headers()), self.exchange)
    }

    /// Lets `hook` see and change the head just before it is sent, whoever sends it: also where the
    /// application uses [`Response::write`], or the server answers an error by itself.
    ///
    /// Every hook runs once, innermost first: the one that was added last runs first. None runs
    /// if no head is sent at all because the peer has gone. One that panics makes the answer a 500,
    /// which those see that have not run. [`Application`](crate::Application)
    /// has an example.
    pub fn on_head(&self, hook: impl FnOnce(&mut Head) + Send + 'static) {
        self.exchange.on_head(Box::new(hook));
    }

    /// Lets `hook` know how the exchange ended: once, when the last byte has been handed over or
    /// the exchange was given up. Access logs, metrics and permits need no wrapped body for it.
    /// It must not block.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Application, Environ, Reply, StartResponse};
    ///
    /// /// Writes a line for every request, also for those that fail or are cut off.
    /// struct AccessLog<A>(A);
    ///
    /// impl<A: Application> Application for AccessLog<A> {
    ///     fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
    ///         let request = format!("{} {}", environ.method(), environ.raw_target());
    ///         let errors = environ.errors().clone();
    ///         start_response.on_end(move |end| {
    ///             let status = end.status.map_or(0, |status| status.as_u16());
    ///             errors.line(format_args!("{request} {status} {} bytes", end.bytes_sent));
    ///             if let Some(cause) = end.abort {
    ///                 errors.error(format_args!("{request} was cut off"), cause);
    ///             }
    ///         });
    ///         self.0.call(environ, start_response)
    ///     }
    /// }
    /// ```
    pub fn on_end(&self, hook: impl FnOnce(&End<'_>) + Send + 'static) {
        self.exchange.on_end(Box::new(hook));
    }

    /// Queues a `103 Early Hints` with `headers` and never waits. Does nothing on HTTP/1.0. Call it
    /// as soon as the hints are known; it may be called again.
    ///
    /// Source: RFC 8297.
    pub fn early_hints(&self, headers: impl IntoHeaders) {
        self.exchange.early_hints(&headers.into_headers());
    }

    /// A way to answer in place of an application that fails: middleware keeps it while the
    /// application inside consumes this.
    pub fn recovery(&self) -> Recovery {
        Recovery { exchange: Arc::clone(&self.exchange) }
    }
}

impl fmt::Debug for StartResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartResponse")
    }
}

/// Begins another response after an error, if nothing has been sent: `start_response(…, exc_info)`
/// for whoever stands outside the application.
///
/// An error that is answered by this is over: the server neither logs it nor sends its fields, and
/// hooks of the end see a response like any other. So whoever recovers logs what is to be logged, and
/// passes on [`Error::headers`], such as the `Allow` of a 405. A panic is no outcome and does not get
/// here: the server answers it.
///
/// # Examples
///
/// ```
/// use gateway_core::http::{HeaderValue, header::CONTENT_TYPE};
/// use gateway_core::{Application, Environ, Reply, StartResponse};
///
/// /// Error pages of the site's own.
/// struct Friendly<A>(A);
///
/// impl<A: Application> Application for Friendly<A> {
///     fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
///         let recovery = start_response.recovery();
///         let errors = environ.errors().clone();
///         self.0.call(environ, start_response).then(move |outcome| {
///             outcome.or_else(|cause| {
///                 if cause.is_disconnect() || recovery.is_head_sent() {
///                     return Err(cause);
///                 }
///                 let status = cause.status();
///                 if status.is_server_error() {
///                     errors.error("a page could not be made", &cause);
///                 }
///                 let mut headers = cause.headers().cloned().unwrap_or_default();
///                 headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
///                 let response = recovery.start(status, headers, cause)?;
///                 Ok(response.with_body(format!("Sorry: {status}\n")))
///             })
///         })
///     }
/// }
/// ```
pub struct Recovery {
    exchange: Arc<dyn Exchange>,
}

impl Recovery {
    /// Whether the head has been sent, so that [`start`](Recovery::start) would hand the cause back.
    /// To be asked before the cause is logged: one that is handed back is logged by the server.
    pub fn is_head_sent(&self) -> bool {
        self.exchange.head_sent()
    }

    /// Begins a response in place of the one that failed with `cause`.
    ///
    /// # Errors
    ///
    /// Hands `cause` back if the head has been sent: return it, and the server cuts the response.
    pub fn start(
        self,
        status: StatusCode,
        headers: impl IntoHeaders,
        cause: Error,
    ) -> Result<Response> {
        if self.is_head_sent() {
            return Err(cause);
        }
        Ok(Response::new(Head::new(status, headers.into_headers()), self.exchange))
    }
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recovery")
    }
}

/// What can stand for header fields: [`ResponseHeaders`], a [`HeaderMap`], `()` for none, or an array
/// of pairs. Any other number of pairs can be collected into [`ResponseHeaders`].
///
/// # Panics
///
/// An array with `&'static str` values panics when a value has a byte that a field value must not
/// have: literals are the programmer's. Build values from data with [`HeaderValue::from_str`].
///
/// # Examples
///
/// ```
/// use gateway_core::{Response, Result, StartResponse};
/// use gateway_core::http::{HeaderValue, StatusCode, header::{CONTENT_TYPE, LOCATION}};
///
/// fn moved(start_response: StartResponse, place: &str) -> Result<Response> {
///     let headers = [
///         (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
///         (LOCATION, HeaderValue::from_str(place)?),
///     ];
///     Ok(start_response.start(StatusCode::SEE_OTHER, headers))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand for header fields",
    label = "not `()`, an array of pairs, `HeaderMap` or `ResponseHeaders`",
    note = "in a pair the name is a `HeaderName`: a constant of `http::header`, or \
            `HeaderName::from_static(\"x-name\")`; the value is a literal or a `HeaderValue`, the same \
            in all pairs",
    note = "any other number of pairs of a `HeaderName` and a `HeaderValue` is collected into \
            `ResponseHeaders`"
)]
pub trait IntoHeaders {
    /// The fields.
    fn into_headers(self) -> ResponseHeaders;
}

impl IntoHeaders for ResponseHeaders {
    fn into_headers(self) -> ResponseHeaders {
        self
    }
}

impl IntoHeaders for HeaderMap {
    fn into_headers(self) -> ResponseHeaders {
        self.into()
    }
}

impl IntoHeaders for () {
    fn into_headers(self) -> ResponseHeaders {
        ResponseHeaders::default()
    }
}

impl<const N: usize> IntoHeaders for [(HeaderName, HeaderValue); N] {
    fn into_headers(self) -> ResponseHeaders {
        self.into()
    }
}

impl<const N: usize> IntoHeaders for [(HeaderName, &'static str); N] {
    #[inline]
    fn into_headers(self) -> ResponseHeaders {
        ResponseHeaders::from_static(self)
    }
}
