//! Counts and measures.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use gateway_core::exchange::End;
use gateway_core::http::header::{ALLOW, CONTENT_TYPE};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{
    Application, Environ, Error, IntoApplication, Reply, Response, Result, StartResponse, inline,
};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::RoutePattern;
use crate::counted::count_input;

/// In seconds, as OpenTelemetry's conventions have them.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// In bytes: from 256 B to 64 MiB.
const BYTES: [f64; 10] = [
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// What stands for a route where none was set, and where there are too many.
const NO_ROUTE: &str = "none";
const OTHER: &str = "other";

/// Measurements of one or more applications, in the text format of Prometheus. Cheap to clone.
///
/// | metric | kind | labels |
/// |---|---|---|
/// | `http_requests_total` | counter | `method`, `route`, `status` |
/// | `http_requests_in_flight` | gauge | `method` |
/// | `http_request_duration_seconds` | histogram | `method`, `route` |
/// | `http_request_size_bytes` | histogram | `method`, `route` |
/// | `http_response_size_bytes` | histogram | `method`, `route` |
///
/// An exchange lasts from the call until its last byte has been handed over, and sizes are those of
/// bodies: a request's as far as the application has read it. A response that was cut has the status
/// that was sent; one whose peer had gone before has `none`.
///
/// Labels are bounded, whatever peers send. A method that is not one of RFC 9110 or PATCH is
/// `other`. A route is the pattern that a framework has [set](RoutePattern::set), never a path; it
/// is `none` where nothing was set, and `other` beyond [so many](Metrics::with_max_routes).
///
/// ```
/// use gateway_core::{Environ, Mount, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::Metrics;
///
/// fn shop(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("open\n"))
/// }
///
/// let metrics = Metrics::new();
/// let site = Mount::new().at("/metrics", metrics.page()).at("", metrics.measure(shop)).build()?;
/// # use gateway_conformance::TestClient;
/// let client = TestClient::new(site);
/// client.get("/").send();
/// let text = client.get("/metrics").send().text();
/// let line = r#"http_requests_total{method="GET",route="none",status="200"} 1"#;
/// assert!(text.contains(line));
/// # Ok::<(), gateway_core::MountError>(())
/// ```
///
/// Source: Prometheus, "Exposition formats", version 0.0.4.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

/// An application that is measured: [`Metrics::measure`].
#[derive(Debug)]
pub struct Measured<A> {
    app: A,
    metrics: Metrics,
}

struct Inner {
    registry: Registry,
    requests: IntCounterVec,
    in_flight: IntGaugeVec,
    duration: HistogramVec,
    request_size: HistogramVec,
    response_size: HistogramVec,
    routes: Routes,
}

/// The patterns that have a label of their own.
struct Routes {
    most: usize,
    known: RwLock<BTreeSet<Cow<'static, str>>>,
}

impl Metrics {
    /// With 200 routes at most.
    pub fn new() -> Metrics {
        Metrics::with_max_routes(200)
    }

    /// With `most` routes that have labels of their own; others are counted together. Routes come
    /// from the program, so this is for those that are made while it runs.
    pub fn with_max_routes(most: usize) -> Metrics {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect(SOUND)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            HistogramVec::new(options, &["method", "route"]).expect(SOUND)
        };
        let in_flight = Opts::new("http_requests_in_flight", "Exchanges that are not over.");
        let inner = Inner {
            registry: Registry::new(),
            requests: counter(
                "http_requests_total",
                "Exchanges that are over.",
                &["method", "route", "status"],
            ),
            in_flight: IntGaugeVec::new(in_flight, &["method"]).expect(SOUND),
            duration: histogram(
                "http_request_duration_seconds",
                "Time from the call to the last byte.",
                &SECONDS,
            ),
            request_size: histogram(
                "http_request_size_bytes",
                "Bytes that the application has read of the request's body.",
                &BYTES,
            ),
            response_size: histogram(
                "http_response_size_bytes",
                "Bytes of the response's body, without framing.",
                &BYTES,
            ),
            routes: Routes { most, known: RwLock::default() },
        };
        inner.register();
        Metrics { inner: Arc::new(inner) }
    }

    /// Measures `app`. Several applications may be measured together.
    pub fn measure<M, A: Application>(
        &self,
        app: impl IntoApplication<M, Application = A>,
    ) -> Measured<A> {
        Measured { app: app.into_application(), metrics: self.clone() }
    }

    /// What has been measured by now, in the text format.
    pub fn text(&self) -> String {
        // The metrics are registered once and have sound names, so nothing can be wrong with them.
        TextEncoder::new().encode_to_string(&self.inner.registry.gather()).unwrap_or_default()
    }

    /// The same as an application, to be mounted where Prometheus looks for it, and nobody else can.
    pub fn page(&self) -> impl Application + use<> {
        let metrics = self.clone();
        inline(move |environ, start_response| metrics.answer(&environ, start_response))
    }

    fn answer(&self, environ: &Environ, start_response: StartResponse) -> Result<Response> {
        if ![Method::GET, Method::HEAD].contains(environ.method()) {
            let error = Error::with_status(StatusCode::METHOD_NOT_ALLOWED, "only to be read");
            return Err(error.with_headers([(ALLOW, "GET, HEAD")]));
        }
        let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        Ok(start_response.start(StatusCode::OK, headers).with_body(self.text()))
    }
}

const SOUND: &str = "names and labels are constants that Prometheus takes";

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl<A: Application> Application for Measured<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let begun = Instant::now();
        let method = known_method(environ.method());
        let inner = Arc::clone(&self.metrics.inner);
        let in_flight = InFlight::begin(&inner, method);
        let route = RoutePattern::place(&mut environ);
        let received = count_input(&mut environ);
        start_response.on_end(move |end| {
            let route = inner.routes.label(route.get());
            let bytes = received.load(Ordering::Relaxed);
            inner.note(method, &route, begun, bytes, end);
            drop(in_flight);
        });
        self.app.call(environ, start_response)
    }
}

impl Inner {
    fn register(&self) {
        let all: [Box<dyn prometheus::core::Collector>; 5] = [
            Box::new(self.requests.clone()),
            Box::new(self.in_flight.clone()),
            Box::new(self.duration.clone()),
            Box::new(self.request_size.clone()),
            Box::new(self.response_size.clone()),
        ];
        for collector in all {
            self.registry.register(collector).expect(SOUND);
        }
    }

    fn note(&self, method: &str, route: &str, begun: Instant, received: u64, end: &End<'_>) {
        let status = end.status;
        let status = status.as_ref().map_or("none", StatusCode::as_str);
        self.requests.with_label_values(&[method, route, status]).inc();
        let labels = &[method, route];
        self.duration.with_label_values(labels).observe(begun.elapsed().as_secs_f64());
        self.request_size.with_label_values(labels).observe(received as f64);
        self.response_size.with_label_values(labels).observe(end.bytes_sent as f64);
    }
}

impl Routes {
    fn label(&self, pattern: Option<Cow<'static, str>>) -> Cow<'static, str> {
        let Some(pattern) = pattern else { return NO_ROUTE.into() };
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.contains(&pattern) {
                return pattern;
            }
            if known.len() >= self.most {
                return OTHER.into();
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most && !known.contains(&pattern) {
            return OTHER.into();
        }
        known.insert(pattern.clone());
        pattern
    }
}

/// Counted for as long as it is there: to the end hook, or as long as that is kept.
struct InFlight(prometheus::IntGauge);

impl InFlight {
    fn begin(inner: &Inner, method: &str) -> InFlight {
        let gauge = inner.in_flight.with_label_values(&[method]);
        gauge.inc();
        InFlight(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}
