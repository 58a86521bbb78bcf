//! Exercises an application without a socket.

#[cfg(feature = "cookies")]
mod cookies;
mod drive;
mod exchange;
mod recorder;
mod request;
mod response;
mod upgrade;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::http::Method;
use gateway_core::{Address, Application, DEFAULT_BODY_LIMIT, IntoApplication, ServerInfo};

use crate::lint::{Lint, Violations};

pub use request::TestRequest;
pub use response::TestResponse;

/// Calls an application as a server would, on the calling thread and without a socket.
///
/// Synchronous, asynchronous and blocking applications are called alike. The contract between
/// application and server is the one that servers run, so an error becomes a status, a wrong length
/// a cut, and a panic a 500. Where a server must not block, this does not allow it either: a future
/// or a stream that reads by blocking fails.
///
/// The [`Lint`] is on: [`send`](TestRequest::send) panics if the application breaks a MUST.
/// Everything else that there is to know comes back with the [`TestResponse`].
///
/// No runtime stands behind it. A future that needs one of Tokio's timers or sockets is tested from
/// within that runtime.
///
/// # Examples
///
/// ```
/// use gateway_conformance::TestClient;
/// use gateway_core::{Environ, Response, Result, StartResponse};
/// use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
///
/// async fn echo(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let text = environ.input().collect_async(1 << 10).await?;
///     let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
///     Ok(response.with_body(text))
/// }
///
/// let client = TestClient::new(echo);
/// let response = client.post("/echo?twice").header("accept", "text/plain").body("Hello!").send();
/// assert_eq!(response.status(), StatusCode::OK);
/// assert_eq!(response.text(), "Hello!");
///
/// // Over the limit, and in two pieces:
/// let response = client.post("/echo").pieces(["a".repeat(1000), "b".repeat(1000)]).send();
/// assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
/// ```
///
/// Source: Rack's `MockRequest`; PSGI's `Plack::Test`.
pub struct TestClient {
    app: Arc<dyn Application>,
    linted: Arc<dyn Application>,
    violations: Violations,
    checks: Checks,
    settings: Settings,
    #[cfg(feature = "cookies")]
    jar: Option<std::sync::Mutex<cookies::Jar>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    Panic,
    Report,
    Off,
}

/// What the requests of a client share.
#[derive(Debug, Clone)]
struct Settings {
    server: ServerInfo,
    local: Address,
    remote: Address,
    url_scheme: &'static str,
    script_name: String,
    body_limit: u64,
    nonblocking: bool,
    patience: Duration,
}

impl TestClient {
    /// A client of `app`, with the lint on, as if on a server with threads.
    pub fn new<M>(app: impl IntoApplication<M>) -> TestClient {
        let app: Arc<dyn Application> = Arc::new(app.into_application());
        let (linted, violations) = Lint::new(Arc::clone(&app)).collecting();
        let address = |port| Address::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let software = concat!("gateway-conformance/", env!("CARGO_PKG_VERSION"));
        TestClient {
            app,
            linted: Arc::new(linted),
            violations,
            checks: Checks::Panic,
            settings: Settings {
                server: ServerInfo::new("localhost", Some(80), software),
                local: address(80),
                remote: address(49_152),
                url_scheme: "http",
                script_name: String::new(),
                body_limit: DEFAULT_BODY_LIMIT,
                nonblocking: false,
                patience: Duration::from_secs(30),
            },
            #[cfg(feature = "cookies")]
            jar: None,
        }
    }

    /// Calls the application as it is.
    #[must_use]
    pub fn without_lint(self) -> TestClient {
        TestClient { checks: Checks::Off, ..self }
    }

    /// Lets [`send`](TestRequest::send) return whatever the lint finds, in
    /// [`TestResponse::violations`], in place of a panic.
    #[must_use]
    pub fn reporting(self) -> TestClient {
        TestClient { checks: Checks::Report, ..self }
    }

    /// As if on a reactor: `nonblocking` is true, so a plain function answers
    /// [`Reply::Blocking`](gateway_core::Reply::Blocking), and a blocking call before that fails.
    #[must_use]
    pub fn on_reactor(mut self) -> TestClient {
        self.settings.nonblocking = true;
        self
    }

    /// Mounts the application: every target is put behind `script_name`, which the application
    /// finds there. It begins with `/` and does not end with one; it is as a URL has it.
    #[must_use]
    pub fn mounted_at(mut self, script_name: impl Into<String>) -> TestClient {
        self.settings.script_name = script_name.into();
        self
    }

    /// Makes the server another one.
    #[must_use]
    pub fn server(mut self, server: ServerInfo) -> TestClient {
        self.settings.server = server;
        self
    }

    /// Makes the server's body limit another one, in bytes.
    #[must_use]
    pub fn body_limit(mut self, limit: u64) -> TestClient {
        self.settings.body_limit = limit;
        self
    }

    /// How long an application may be pending without being woken, 30 seconds if not set. Then its
    /// reply, or its body, has failed.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> TestClient {
        self.settings.patience = patience;
        self
    }

    /// Keeps the cookies that responses set, and sends them back where they belong.
    ///
    /// ```
    /// use gateway_conformance::TestClient;
    /// use gateway_core::{Environ, Response, Result, StartResponse};
    /// use gateway_core::http::{StatusCode, header::SET_COOKIE};
    ///
    /// fn visits(environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let status = match environ.header("cookie") {
    ///         Some(b"visited=yes") => StatusCode::NOT_MODIFIED,
    ///         _ => StatusCode::NO_CONTENT,
    ///     };
    ///     Ok(start_response.start(status, [(SET_COOKIE, "visited=yes; Path=/shop")]))
    /// }
    ///
    /// let client = TestClient::new(visits).keep_cookies();
    /// assert_eq!(client.get("/shop/a").send().status(), StatusCode::NO_CONTENT);
    /// assert_eq!(client.get("/shop/b").send().status(), StatusCode::NOT_MODIFIED);
    /// assert_eq!(client.get("/").send().status(), StatusCode::NO_CONTENT);
    /// assert_eq!(client.cookie("visited").as_deref(), Some("yes"));
    /// ```
    #[cfg(feature = "cookies")]
    #[must_use]
    pub fn keep_cookies(mut self) -> TestClient {
        self.jar = Some(std::sync::Mutex::default());
        self
    }

    /// The value of the cookie `name`, wherever it is sent to, if it is kept.
    #[cfg(feature = "cookies")]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar()?.value(name)
    }

    #[cfg(feature = "cookies")]
    fn jar(&self) -> Option<std::sync::MutexGuard<'_, cookies::Jar>> {
        let jar = self.jar.as_ref()?;
        Some(jar.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// What the lint has found when no request was under way: what an application does with the
    /// handles of an exchange that is over.
    pub fn violations(&self) -> &Violations {
        &self.violations
    }

    /// A GET request of `target`: a path with its query, as it stands in a request line.
    pub fn get(&self, target: impl Into<String>) -> TestRequest<'_> {
        self.request(Method::GET, target)
    }

    /// A HEAD request.
    pub fn head(&self, target: impl Into<String>) -> TestRequest<'_> {
        self.request(Method::HEAD, target)
    }

    /// A POST request.
    pub fn post(&self, target: impl Into<String>) -> TestRequest<'_> {
        self.request(Method::POST, target)
    }

    /// A PUT request.
    pub fn put(&self, target: impl Into<String>) -> TestRequest<'_> {
        self.request(Method::PUT, target)
    }

    /// A PATCH request.
    pub fn patch(&self, target: impl Into<String>) -> TestRequest<'_> {
        self.request(Method::PATCH, target)
    }

    /// A DELETE request.
    pub fn delete(&self, target: impl Into<String>) -> TestRequest<'_> {
        self.request(Method::DELETE, target)
    }

    /// An OPTIONS request; its target may be `*`.
    pub fn options(&self, target: impl Into<String>) -> TestRequest<'_> {
        self.request(Method::OPTIONS, target)
    }

    /// A request by any method.
    pub fn request(&self, method: Method, target: impl Into<String>) -> TestRequest<'_> {
        TestRequest::new(self, method, target.into())
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("checks", &self.checks)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
