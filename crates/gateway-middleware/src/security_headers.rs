//! Asks browsers to be careful.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use gateway_core::{Application, Environ, IntoApplication, Reply, StartResponse};

const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");

/// Adds fields that keep browsers from doing what few pages need. One that the application set stays.
///
/// | field | value, if no other is [set](SecurityHeaders::set) |
/// |---|---|
/// | `X-Content-Type-Options` | `nosniff` |
/// | `X-Frame-Options` | `DENY` |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin` |
/// | `Cross-Origin-Opener-Policy` | `same-origin` |
/// | `Content-Security-Policy` | none: it has to fit the pages |
/// | `Strict-Transport-Security` | none: it has to be [meant](SecurityHeaders::hsts) |
///
/// They are on every response, also on errors that the server itself answers.
///
/// For applications that are async alone a tower-http `SetResponseHeaderLayer` for each does the
/// same; it does not see the errors of the server.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_core::http::HeaderValue;
/// use gateway_middleware::SecurityHeaders;
/// use std::time::Duration;
///
/// fn page(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("a page\n"))
/// }
///
/// let app = SecurityHeaders::new(page)
///     .content_security_policy(HeaderValue::from_static("default-src 'self'"))
///     .hsts(Duration::from_secs(31_536_000), true);
/// # let _ = app;
/// ```
///
/// Source: the Fetch and HTML standards; W3C Referrer Policy and Content Security Policy; RFC 6797.
#[derive(Debug)]
pub struct SecurityHeaders<A> {
    app: A,
    fields: Arc<Vec<(HeaderName, HeaderValue)>>,
    hsts: Option<HeaderValue>,
}

impl<A: Application> SecurityHeaders<A> {
    /// Adds the fields of the table to the responses of `app`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> SecurityHeaders<A> {
        let fields = [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "strict-origin-when-cross-origin"),
            (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        ];
        let fields = fields.map(|(name, value)| (name, HeaderValue::from_static(value)));
        SecurityHeaders {
            app: app.into_application(),
            fields: Arc::new(fields.to_vec()),
            hsts: None,
        }
    }

    /// Gives the field `name` another value, or adds one that is not in the table.
    #[must_use]
    pub fn set(self, name: HeaderName, value: HeaderValue) -> SecurityHeaders<A> {
        let mut changed = self.without(&name);
        Arc::make_mut(&mut changed.fields).push((name, value));
        changed
    }

    /// Leaves the field `name` out.
    #[must_use]
    pub fn without(mut self, name: &HeaderName) -> SecurityHeaders<A> {
        Arc::make_mut(&mut self.fields).retain(|(known, _)| known != name);
        self
    }

    /// What pages may load, and from where.
    #[must_use]
    pub fn content_security_policy(self, policy: HeaderValue) -> SecurityHeaders<A> {
        self.set(CONTENT_SECURITY_POLICY, policy)
    }

    /// Has browsers come by HTTPS alone for `max_age`, in whole seconds, and to all subdomains if
    /// that is wanted. There is no way back before it is over. It is said only by HTTPS, as
    /// [`url_scheme`](Environ::url_scheme) has it: behind a proxy, mount this inside of `Forwarded`.
    ///
    /// Source: RFC 6797 §6.1 and §7.2.
    #[must_use]
    pub fn hsts(self, max_age: Duration, include_subdomains: bool) -> SecurityHeaders<A> {
        let subdomains = if include_subdomains { "; includeSubDomains" } else { "" };
        let value = format!("max-age={}{subdomains}", max_age.as_secs());
        SecurityHeaders { hsts: HeaderValue::from_str(&value).ok(), ..self }
    }
}

impl<A: Application> Application for SecurityHeaders<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let fields = Arc::clone(&self.fields);
        let hsts = self.hsts.clone().filter(|_| environ.url_scheme() == "https");
        start_response.on_head(move |head| {
            for (name, value) in &*fields {
                head.headers.entry(name).or_insert_with(|| value.clone());
            }
            if let Some(hsts) = hsts {
                head.headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(hsts);
            }
        });
        self.app.call(environ, start_response)
    }
}
