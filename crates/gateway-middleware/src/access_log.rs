//! An event for every request.

mod event;
mod format;
mod lines;
mod texts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gateway_core::exchange::End;
use gateway_core::http::{Method, Version};
use gateway_core::{Address, Application, Environ, IntoApplication, Reply, StartResponse};
use tracing::field::{Value, display};
use tracing::{Dispatch, Span};

use crate::RequestId;
use crate::conventions::{OTHER_METHOD, error_type, known_method, protocol_version};
use crate::credentials::basic_credentials;
use event::{FIELDS, Values, place};
use texts::Texts;

pub use format::LogFormat;
pub use lines::AccessLines;

/// Tells `tracing` of every request once it is over, also of those that fail or are cut off.
///
/// It is one event for each, of level INFO and of the target `gateway::access`, by which it can be
/// filtered. It comes to the default subscriber, and to one of [your own](AccessLog::also_to).
/// [`AccessLines`] makes of it the lines that web servers write. Where nobody listens, it costs
/// nothing. The fields have the names of OpenTelemetry's conventions, where these have one:
///
/// | field | what |
/// |---|---|
/// | `client.address` | the IP address of the remote side, or the path of its Unix socket |
/// | `gateway.remote` | the same as [`Address`] shows it, so with the port |
/// | `user.name` | whoever the request says it is by Basic authentication; with a 401 beside it, do not believe it |
/// | `http.request.method` | the method, `_OTHER` if it is none that the conventions know |
/// | `http.request.method_original` | the method in that case |
/// | `url.original` | the request target as it came, with its query |
/// | `network.protocol.version` | `1.1`, for instance |
/// | `http.response.status_code` | the status that was sent, if one was |
/// | `http.response.body.size` | bytes of the body, without framing |
/// | `http.server.request.duration` | seconds from the call to the end |
/// | `http.request.header.referer`, `user_agent.original` | what the peer says there |
/// | `request.id` | the [`RequestId`], if it has one |
/// | `error.type` | where it failed, the status; where it was cut, `disconnected`, `timeout` or `cut` |
/// | `error.message` | where it was cut, why |
///
/// What a peer sends is recorded as text, which subscribers escape; what is no UTF-8, as bytes.
///
/// Mount it inside of `Forwarded`, so that the remote address is the client's and not a proxy's, and
/// inside of `Spans`: then the event is within the request's span.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::{AccessLines, AccessLog, LogFormat};
/// use tracing_subscriber::{Registry, layer::SubscriberExt};
///
/// fn hello(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("Hello\n"))
/// }
///
/// let lines = AccessLines::new(LogFormat::Combined, std::io::stdout());
/// let subscriber = Registry::default().with(lines); // and others, for other events
/// tracing::subscriber::set_global_default(subscriber)?;
/// let app = AccessLog::new(hello);
/// # gateway_conformance::TestClient::new(app).get("/").send();
/// # Ok::<(), tracing::subscriber::SetGlobalDefaultError>(())
/// ```
///
/// Source: OpenTelemetry, "Semantic conventions for HTTP spans" 1.23, and its registry of attributes.
#[derive(Debug)]
pub struct AccessLog<A> {
    app: A,
    also: Option<Dispatch>,
}

impl<A: Application> AccessLog<A> {
    /// Tells of the requests of `app`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> AccessLog<A> {
        AccessLog { app: app.into_application(), also: None }
    }

    /// Gives the events to `subscriber` as well, whichever one is the default, and also if none is.
    /// It sees nothing else. So a program that is no application itself logs what it runs, and leaves
    /// the default to it. Of two calls the last one counts; what is the default as well is told twice.
    ///
    /// Where the application has an access log of its own inside of this one, the default subscriber
    /// gets that one's events alone, which know more.
    ///
    /// ```
    /// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
    /// use gateway_middleware::{AccessLines, AccessLog, LogFormat};
    ///
    /// fn hello(_: Environ, start_response: StartResponse) -> Result<Response> {
    ///     Ok(start_response.start(StatusCode::OK, ()).with_body("Hello\n"))
    /// }
    ///
    /// let lines = AccessLines::new(LogFormat::Json, std::io::stderr());
    /// let app = AccessLog::new(hello).also_to(lines);
    /// # gateway_conformance::TestClient::new(app).get("/").send();
    /// ```
    #[must_use]
    pub fn also_to(self, subscriber: impl Into<Dispatch>) -> AccessLog<A> {
        AccessLog { also: Some(subscriber.into()), ..self }
    }
}

impl<A: Application> Application for AccessLog<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        if let Some(listeners) = Listeners::of(&mut environ, self.also.as_ref()) {
            let request = Request::of(&environ);
            start_response
                .on_end(move |end| request.with_event(end, |event| listeners.tell(event)));
        }
        self.app.call(environ, start_response)
    }
}

/// Who is told of a request.
struct Listeners {
    also: Option<Dispatch>,
    /// The one that the application is called in.
    span: Span,
    inside: Option<Inside>,
}

/// In the extensions of a request: whether an access log inside tells the default subscriber.
#[derive(Clone, Default)]
struct Inside(Arc<AtomicBool>);

impl Listeners {
    /// `None` where nobody listens.
    fn of(environ: &mut Environ, also: Option<&Dispatch>) -> Option<Listeners> {
        let default_listens = event::default_listens();
        if !default_listens && also.is_none() {
            return None;
        }
        let mut listeners = Listeners { also: also.cloned(), span: Span::none(), inside: None };
        if default_listens {
            listeners.span = Span::current();
            if let Some(Inside(inside)) = environ.extensions().get() {
                inside.store(true, Ordering::Relaxed);
            }
            if also.is_some() {
                let inside = Inside::default();
                environ.extensions_mut().insert(inside.clone());
                listeners.inside = Some(inside);
            }
        }
        Some(listeners)
    }

    fn tell(&self, event: &Values<'_>) {
        if let Some(also) = &self.also {
            event::tell(also, None, event);
        }
        if !self.inside.as_ref().is_some_and(|Inside(inside)| inside.load(Ordering::Relaxed)) {
            event::tell_default(&self.span, event);
        }
    }
}

/// What is left of a request when it is over.
struct Request {
    begun: Instant,
    id: Option<RequestId>,
    remote: Address,
    method: Method,
    version: Version,
    texts: Texts<4>,
}

/// The numbers of [`Request`]'s texts.
const USER: usize = 0;
const TARGET: usize = 1;
const REFERER: usize = 2;
const USER_AGENT: usize = 3;

impl Request {
    fn of(environ: &Environ) -> Request {
        let credentials = basic_credentials(environ);
        let user = credentials.as_deref().and_then(user_of);
        let target = environ.raw_target().as_bytes();
        Request {
            begun: Instant::now(),
            id: RequestId::of(environ).cloned(),
            remote: environ.remote_addr().clone(),
            method: environ.method().clone(),
            version: environ.version(),
            texts: Texts::of([
                user,
                Some(target),
                environ.header("referer"),
                environ.header("user-agent"),
            ]),
        }
    }

    /// Hands `tell` the values of the event that says how the request ended.
    fn with_event(&self, end: &End<'_>, tell: impl FnOnce(&Values<'_>)) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let known = known_method(&self.method);
        let odd_method = known.is_none().then(|| self.method.as_str());
        let version = protocol_version(self.version);
        let status = end.status.map(|status| status.as_u16());
        // Addresses show themselves. A path may hold anything, so it has to be text.
        let inet = self.remote.inet();
        let (ip, socket) = (inet.map(|inet| display(inet.ip().to_canonical())), inet.map(display));
        let path = match &self.remote {
            Address::Unix(path) => Some(path.to_string_lossy()),
            _ => None,
        };
        let remote = inet.is_none().then(|| self.remote.to_string());
        let (path, remote) = (path.as_deref(), remote.as_deref());
        let [user, target, referer, user_agent] =
            [USER, TARGET, REFERER, USER_AGENT].map(|number| self.texts.get(number).map(text));
        let id = self.id.as_ref().map(RequestId::as_str);
        let error_type = error_type(end);
        let aborted = end.abort.map(ToString::to_string);
        let aborted = aborted.as_deref();

        let mut values: Values<'_> = [None; FIELDS];
        values[place::MESSAGE] = Some(&"request finished");
        values[place::CLIENT] = if path.is_some() { Some(&path) } else { Some(&ip) };
        values[place::REMOTE] = if remote.is_some() { Some(&remote) } else { Some(&socket) };
        values[place::USER] = user.as_ref().map(value);
        values[place::METHOD] = Some(known.as_ref().unwrap_or(&OTHER_METHOD));
        values[place::ODD_METHOD] = Some(&odd_method);
        values[place::TARGET] = target.as_ref().map(value);
        values[place::VERSION] = Some(&version);
        values[place::STATUS] = Some(&status);
        values[place::BYTES] = Some(&end.bytes_sent);
        values[place::SECONDS] = Some(&seconds);
        values[place::REFERER] = referer.as_ref().map(value);
        values[place::USER_AGENT] = user_agent.as_ref().map(value);
        values[place::ID] = Some(&id);
        values[place::ERROR_TYPE] = Some(&error_type);
        values[place::ABORTED] = Some(&aborted);
        tell(&values);
    }
}

/// As text where it is text, and else as it is.
fn text(bytes: &[u8]) -> Result<&str, &[u8]> {
    std::str::from_utf8(bytes).map_err(|_| bytes)
}

fn value<'a>(text: &'a Result<&'a str, &'a [u8]>) -> &'a dyn Value {
    match text {
        Ok(text) => text,
        Err(bytes) => bytes,
    }
}

fn user_of(credentials: &[u8]) -> Option<&[u8]> {
    let colon = credentials.iter().position(|&b| b == b':')?;
    Some(&credentials[..colon]).filter(|user| !user.is_empty())
}
