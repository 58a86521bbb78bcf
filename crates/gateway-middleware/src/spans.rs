//! A span of `tracing` for every request.

mod context;
mod within;

use std::fmt;
use std::sync::Arc;

use gateway_core::exchange::End;
use gateway_core::{Address, Application, Environ, IntoApplication, Reply, StartResponse};
use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use crate::conventions::{OTHER_METHOD, error_type, known_method, protocol_version};
use crate::{RequestId, RoutePattern};

pub use context::TraceContext;

type OnBegin = Arc<dyn Fn(&TraceContext) + Send + Sync>;

/// Opens a span for every request, with the names of OpenTelemetry's conventions for HTTP, and takes
/// part in traces by W3C's `traceparent`.
///
/// The application runs within the span, whichever way it answers, and so do its iterators and
/// streams. The span is named `HTTP request`, of level INFO, and is closed when the exchange is over.
/// Its fields:
///
/// | at the beginning | at the end |
/// |---|---|
/// | `http.request.method`, `http.request.method_original` | `http.response.status_code` |
/// | `url.scheme`, `url.path`, `url.query` if [wanted](Spans::with_query) | `http.response.body.size` |
/// | `server.address`, `server.port` | `http.route`, if a framework has [set](RoutePattern::set) it |
/// | `client.address`, `network.protocol.version` | `error.type`, where it failed or was cut |
/// | `user_agent.original` | `otel.name`, `otel.status_code` |
/// | `trace_id`, `span_id`, `parent_span_id`, `request.id`, `otel.kind` | |
///
/// Where the request has a sound `traceparent`, it goes on in that trace; otherwise a new one begins.
/// The application finds it as [`TraceContext`] and passes it on when it asks other servers.
/// `tracing-opentelemetry` gives spans ids of its own: tell it the parent by
/// [`on_begin`](Spans::on_begin).
///
/// For applications that are async alone there is tower-http's `TraceLayer`, whose fields are yours
/// to choose; it does not see a peer go.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::{Spans, TraceContext};
///
/// fn app(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     tracing::info!("this is within the span");
///     let context = TraceContext::of(&environ).map(TraceContext::traceparent);
///     // … ask another server, with `context` as its `traceparent` …
///     Ok(start_response.start(StatusCode::OK, ()))
/// }
///
/// let app = Spans::new(app);
/// # let _ = app;
/// ```
///
/// Source: OpenTelemetry, "Semantic conventions for HTTP spans" 1.23; W3C Trace Context.
pub struct Spans<A> {
    app: A,
    with_query: bool,
    accepts: bool,
    on_begin: Option<OnBegin>,
}

impl<A: Application> Spans<A> {
    /// Opens spans for the requests of `app`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> Spans<A> {
        Spans { app: app.into_application(), with_query: false, accepts: true, on_begin: None }
    }

    /// Says what stands in the query, too. It may hold what is nobody's business.
    #[must_use]
    pub fn with_query(self) -> Spans<A> {
        Spans { with_query: true, ..self }
    }

    /// Begins a new trace with every request, for servers that strangers reach.
    #[must_use]
    pub fn only_new_traces(self) -> Spans<A> {
        Spans { accepts: false, ..self }
    }

    /// Calls `f` within each new span, before the application: `tracing::Span::current()` is that
    /// span, and what it is told there holds, such as OpenTelemetry's parent.
    #[must_use]
    pub fn on_begin(self, f: impl Fn(&TraceContext) + Send + Sync + 'static) -> Spans<A> {
        Spans { on_begin: Some(Arc::new(f)), ..self }
    }

    fn span(&self, environ: &Environ, context: &TraceContext) -> Span {
        let method = known_method(environ.method());
        let (host, port) = authority(environ);
        let span = info_span!(
            "HTTP request",
            otel.kind = "server",
            otel.name = method.unwrap_or("HTTP"),
            otel.status_code = Empty,
            http.request.method = method.unwrap_or(OTHER_METHOD),
            http.request.method_original = Empty,
            http.response.status_code = Empty,
            http.response.body.size = Empty,
            http.route = Empty,
            url.scheme = environ.url_scheme(),
            url.path = %path(environ),
            url.query = Empty,
            server.address = host,
            server.port = port,
            client.address = Empty,
            network.protocol.version = protocol_version(environ.version()),
            user_agent.original = Empty,
            error.type = Empty,
            trace_id = %context.trace_id(),
            span_id = %context.span_id(),
            parent_span_id = context.parent_span_id().map(display),
            request.id = RequestId::of(environ).map(display),
        );
        if method.is_none() {
            span.record("http.request.method_original", environ.method().as_str());
        }
        if let Some(query) = environ.query_string().filter(|_| self.with_query) {
            span.record("url.query", query);
        }
        match environ.remote_addr() {
            Address::Inet(address) => {
                span.record("client.address", display(address.ip().to_canonical()));
            }
            Address::Unix(path) => {
                span.record("client.address", display(path.display()));
            }
            _ => {}
        }
        if let Some(agent) = environ.header("user-agent") {
            span.record("user_agent.original", &*String::from_utf8_lossy(agent));
        }
        span
    }
}

impl<A: Application> Application for Spans<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let context = TraceContext::begin(&environ, self.accepts);
        let span = self.span(&environ, &context);
        if span.is_disabled() {
            environ.extensions_mut().insert(context.not_recorded());
            return self.app.call(environ, start_response);
        }
        environ.extensions_mut().insert(context.clone());
        let route = RoutePattern::place(&mut environ);
        let method = known_method(environ.method()).unwrap_or("HTTP");
        let ended = span.clone();
        start_response.on_end(move |end| {
            if let Some(route) = route.get() {
                ended.record("otel.name", display(format_args!("{method} {route}")));
                ended.record("http.route", &*route);
            }
            record_end(&ended, end);
        });
        let reply = span.in_scope(|| {
            if let Some(on_begin) = &self.on_begin {
                on_begin(&context);
            }
            self.app.call(environ, start_response)
        });
        within::span(span, reply)
    }
}

impl<A: fmt::Debug> fmt::Debug for Spans<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans")
            .field("app", &self.app)
            .field("with_query", &self.with_query)
            .field("accepts", &self.accepts)
            .finish_non_exhaustive()
    }
}

fn record_end(span: &Span, end: &End<'_>) {
    span.record("http.response.body.size", end.bytes_sent);
    if let Some(status) = end.status {
        span.record("http.response.status_code", status.as_u16());
    }
    let Some(failure) = error_type(end) else { return };
    span.record("error.type", failure);
    span.record("otel.status_code", "ERROR");
}

/// The whole path as it came, and no query.
fn path(environ: &Environ) -> String {
    format!("{}{}", environ.raw_script_name(), environ.raw_path_info())
}

/// The host and the port that the request is for; without a port, that of the scheme.
fn authority(environ: &Environ) -> (Option<&str>, Option<u16>) {
    let Some(authority) = environ.authority() else { return (None, None) };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let usual = if environ.url_scheme() == "https" { 443 } else { 80 };
    (Some(host), port.or(Some(usual)))
}
