//! Lets pages of other origins in.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap,
    HeaderName, HeaderValue,
};
use gateway_core::http::{Method, StatusCode, Uri};
use gateway_core::{Application, Environ, IntoApplication, Reply, StartResponse};
use gateway_request::fields::single;

use crate::vary::add_vary;

/// Tells browsers which pages of other origins may read the responses, and answers their preflights.
///
/// Nothing is allowed that was not named: [`Cors::new`] begins with no origin, the methods GET, HEAD
/// and POST, and no field beyond those that browsers send anyway. A preflight is answered here, with
/// 204, and does not reach the application. Every response says on what it depends, errors as well.
///
/// This protects a browser's user from foreign pages that would read. It keeps nobody from sending.
///
/// For applications that are async alone tower-http's `CorsLayer` does the same.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::{Method, StatusCode}};
/// use gateway_middleware::Cors;
/// use std::time::Duration;
///
/// fn api(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("{}"))
/// }
///
/// let app = Cors::new(api)
///     .origin("https://www.example.org")
///     .methods([Method::GET, Method::PUT])
///     .credentials()
///     .max_age(Duration::from_secs(600))
///     .build()?;
/// # let _ = app;
/// # Ok::<(), gateway_middleware::CorsError>(())
/// ```
///
/// Source: the Fetch standard, "HTTP CORS protocol".
#[derive(Debug)]
pub struct Cors<A> {
    app: A,
    terms: Arc<Terms>,
}

/// What [`Cors`] is made of.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct CorsBuilder<A> {
    app: A,
    origins: Origins,
    methods: Vec<Method>,
    headers: Headers,
    exposed: Vec<HeaderName>,
    credentials: bool,
    max_age: Option<Duration>,
}

/// Why there is no [`Cors`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorsError {
    /// An origin that no browser would send.
    #[error(
        "`{origin}` is no origin; write a scheme and a host in lower case, and a port unless it is \
         the scheme's own, like https://www.example.org or http://localhost:3000"
    )]
    InvalidOrigin {
        /// As it was given.
        origin: String,
    },
    /// Credentials for whoever asks: any page could act for its visitor.
    #[error("credentials cannot go with any origin; name the origins that may use them")]
    CredentialsForAll,
}

#[derive(Debug)]
enum Origins {
    Any,
    These(Vec<String>),
}

#[derive(Debug)]
enum Headers {
    Any,
    These(Vec<HeaderName>),
}

/// The same for all requests.
#[derive(Debug)]
struct Terms {
    origins: Origins,
    methods: Vec<Method>,
    allow_methods: HeaderValue,
    /// `None` allows what is asked for.
    allow_headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: Option<HeaderValue>,
}

impl<A: Application> Cors<A> {
    /// Begins with nothing that is allowed beyond what browsers do by themselves.
    #[allow(clippy::new_ret_no_self)] // The name of every middleware's constructor.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> CorsBuilder<A> {
        CorsBuilder {
            app: app.into_application(),
            origins: Origins::These(Vec::new()),
            methods: vec![Method::GET, Method::HEAD, Method::POST],
            headers: Headers::These(Vec::new()),
            exposed: Vec::new(),
            credentials: false,
            max_age: None,
        }
    }
}

impl<A: Application> CorsBuilder<A> {
    /// Allows pages of `origin`, as a browser writes it: `https://www.example.org`. It is compared
    /// as it is: neither patterns nor subdomains.
    pub fn origin(mut self, origin: impl Into<String>) -> CorsBuilder<A> {
        match &mut self.origins {
            Origins::These(origins) => origins.push(origin.into()),
            Origins::Any => self.origins = Origins::These(vec![origin.into()]),
        }
        self
    }

    /// Allows pages of any origin, for what is public. It cannot go with
    /// [`credentials`](CorsBuilder::credentials).
    pub fn any_origin(self) -> CorsBuilder<A> {
        CorsBuilder { origins: Origins::Any, ..self }
    }

    /// Allows these methods, in the place of GET, HEAD and POST.
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> CorsBuilder<A> {
        CorsBuilder { methods: methods.into_iter().collect(), ..self }
    }

    /// Allows requests to have these fields.
    pub fn headers(self, names: impl IntoIterator<Item = HeaderName>) -> CorsBuilder<A> {
        CorsBuilder { headers: Headers::These(names.into_iter().collect()), ..self }
    }

    /// Allows requests to have any field.
    pub fn any_headers(self) -> CorsBuilder<A> {
        CorsBuilder { headers: Headers::Any, ..self }
    }

    /// Lets pages read these fields of responses.
    pub fn expose(self, names: impl IntoIterator<Item = HeaderName>) -> CorsBuilder<A> {
        CorsBuilder { exposed: names.into_iter().collect(), ..self }
    }

    /// Allows requests that carry the user's cookies or other credentials.
    pub fn credentials(self) -> CorsBuilder<A> {
        CorsBuilder { credentials: true, ..self }
    }

    /// How long a browser may remember the answer to a preflight, in whole seconds: 5 seconds where
    /// it is not said.
    pub fn max_age(self, max_age: Duration) -> CorsBuilder<A> {
        CorsBuilder { max_age: Some(max_age), ..self }
    }

    /// Checks it all.
    ///
    /// # Errors
    ///
    /// [`CorsError::InvalidOrigin`] for an origin that could never match, `null` and patterns
    /// included; [`CorsError::CredentialsForAll`] for credentials with any origin.
    pub fn build(self) -> Result<Cors<A>, CorsError> {
        match &self.origins {
            Origins::Any if self.credentials => return Err(CorsError::CredentialsForAll),
            Origins::Any => {}
            Origins::These(origins) => {
                if let Some(origin) = origins.iter().find(|origin| !is_origin(origin)) {
                    return Err(CorsError::InvalidOrigin { origin: origin.clone() });
                }
            }
        }
        let exposed = list(&self.exposed);
        let terms = Terms {
            origins: self.origins,
            allow_methods: list(&self.methods),
            methods: self.methods,
            allow_headers: match self.headers {
                Headers::Any => None,
                Headers::These(names) => Some(list(&names)),
            },
            expose: Some(exposed).filter(|_| !self.exposed.is_empty()),
            credentials: self.credentials,
            max_age: self.max_age.map(|max_age| HeaderValue::from(max_age.as_secs())),
        };
        Ok(Cors { app: self.app, terms: Arc::new(terms) })
    }
}

impl<A: Application> Application for Cors<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let origin = single(&environ, "origin").and_then(|origin| self.terms.admit(origin));
        if is_preflight(&environ) {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                self.terms.allow(origin, &mut headers);
                self.terms.allow_request(&environ, &mut headers);
            }
            self.terms.say_on_what_it_depends(&mut headers);
            add_vary(&mut headers, "access-control-request-method");
            add_vary(&mut headers, "access-control-request-headers");
            return start_response.start(StatusCode::NO_CONTENT, headers).into();
        }
        let terms = Arc::clone(&self.terms);
        start_response.on_head(move |head| {
            if let Some(origin) = origin {
                terms.allow(origin, &mut head.headers);
                if let Some(expose) = &terms.expose {
                    head.headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
                }
            }
            terms.say_on_what_it_depends(&mut head.headers);
        });
        self.app.call(environ, start_response)
    }
}

impl Terms {
    /// What to answer a page of `origin`, if it is let in.
    fn admit(&self, origin: &str) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::These(origins) => {
                let known = origins.iter().find(|known| *known == origin)?;
                HeaderValue::from_str(known).ok()
            }
        }
    }

    fn allow(&self, origin: HeaderValue, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }

    /// What a preflight asks for.
    fn allow_request(&self, environ: &Environ, headers: &mut HeaderMap) {
        let method = environ.header("access-control-request-method").unwrap_or_default();
        if self.methods.iter().any(|known| known.as_str().as_bytes() == method) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.allow_methods.clone());
        }
        let asked = environ.header("access-control-request-headers");
        let allowed = match &self.allow_headers {
            Some(allowed) => Some(allowed.clone()).filter(|allowed| !allowed.is_empty()),
            // `*` would not do with credentials, nor for Authorization.
            None => asked.and_then(|asked| HeaderValue::from_bytes(asked).ok()),
        };
        if let (Some(_), Some(allowed)) = (asked, allowed) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        if let Some(max_age) = &self.max_age {
            headers.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
        }
    }

    fn say_on_what_it_depends(&self, headers: &mut HeaderMap) {
        if let Origins::These(_) = self.origins {
            add_vary(headers, "origin");
        }
    }
}

fn is_preflight(environ: &Environ) -> bool {
    environ.method() == Method::OPTIONS
        && environ.header("origin").is_some()
        && environ.header("access-control-request-method").is_some()
}

/// Whether a browser would write it so: in lower case, and without the scheme's own port.
fn is_origin(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let is_own_port =
        matches!((scheme, authority.port_u16()), ("http", Some(80)) | ("https", Some(443)));
    let is_host = !authority.host().is_empty() && !authority.as_str().contains(['@', '*']);
    let canonical = format!("{scheme}://{authority}").to_ascii_lowercase();
    is_host && !is_own_port && canonical == origin
}

/// Names of methods or fields as a list; they are tokens, which every value can hold.
fn list(names: &[impl fmt::Display + AsRef<str>]) -> HeaderValue {
    let mut list = String::new();
    for name in names {
        // Writing to a string does not fail.
        let _ = write!(list, "{}{name}", if list.is_empty() { "" } else { ", " });
    }
    HeaderValue::from_str(&list).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for origin in ["https://a.example", "http://localhost:3000", "http://[::1]:8080"] {
            assert!(is_origin(origin), "{origin}");
        }
        for wrong in [
            "",
            "null",
            "*",
            "a.example",
            "https://",
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "http://a.example:80",
            "https://*.example",
            "https://u@a.example",
            "https://a.example?q",
            "//a.example",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }
}
