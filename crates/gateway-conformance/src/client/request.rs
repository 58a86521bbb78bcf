//! A request to be sent.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, Exchange};
use gateway_core::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use gateway_core::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Version};
use gateway_core::{Address, Application, Environ, ErrorStream, Input};

use super::drive::run;
use super::{Checks, Settings, TestClient, TestResponse};
use crate::lint::Violation;

/// A request that [`send`](TestRequest::send) gives to the application.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct TestRequest<'a> {
    client: &'a TestClient,
    pub(super) settings: Settings,
    pub(super) method: Method,
    pub(super) version: Version,
    target: String,
    pub(super) headers: HeaderMap,
    extensions: Extensions,
    pub(super) body: RequestBody,
    /// The peer goes when it has so much of the response's body.
    pub(super) gone_after: Option<u64>,
    pub(super) after_upgrade: Bytes,
}

/// What the peer sends behind the head.
#[derive(Debug, Default)]
pub(super) struct RequestBody {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
    /// Every piece lets its reader wait once.
    pub(super) hesitates: bool,
    /// The peer goes in place of the end.
    pub(super) cut_off: bool,
}

impl<'a> TestRequest<'a> {
    pub(super) fn new(client: &'a TestClient, method: Method, target: String) -> TestRequest<'a> {
        TestRequest {
            client,
            settings: client.settings.clone(),
            method,
            version: Version::HTTP_11,
            target,
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            body: RequestBody::default(),
            gone_after: None,
            after_upgrade: Bytes::new(),
        }
    }

    /// Adds a header field. `Host: localhost` is there unless another is added.
    ///
    /// # Panics
    ///
    /// If the name or the value is none that HTTP has.
    #[track_caller]
    pub fn header<N, V>(mut self, name: N, value: V) -> TestRequest<'a>
    where
        N: TryInto<HeaderName, Error: Debug>,
        V: TryInto<HeaderValue, Error: Debug>,
    {
        let name = name.try_into().expect("the name of a header field");
        self.headers.append(name, value.try_into().expect("the value of a header field"));
        self
    }

    /// The protocol's version; HTTP/1.1 if not given.
    pub fn version(mut self, version: Version) -> TestRequest<'a> {
        self.version = version;
        self
    }

    /// Where the peer is.
    pub fn remote_addr(mut self, remote: impl Into<Address>) -> TestRequest<'a> {
        self.settings.remote = remote.into();
        self
    }

    /// `http` or `https`.
    pub fn url_scheme(mut self, scheme: &'static str) -> TestRequest<'a> {
        self.settings.url_scheme = scheme;
        self
    }

    /// Attaches a value, as middleware or a server would.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> TestRequest<'a> {
        self.extensions.insert(value);
        self
    }

    /// A body in one piece, with a Content-Length.
    pub fn body(mut self, body: impl Into<Bytes>) -> TestRequest<'a> {
        let body = body.into();
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        self.body.pieces = VecDeque::from([body]);
        self
    }

    /// A body that comes piece by piece, each after its reader has waited, so that an application
    /// which streams is seen streaming. It is chunked, unless a Content-Length is among the header
    /// fields.
    pub fn pieces<I>(mut self, pieces: I) -> TestRequest<'a>
    where
        I: IntoIterator,
        I::Item: Into<Bytes>,
    {
        self.body.pieces = pieces.into_iter().map(Into::into).collect();
        self.body.hesitates = true;
        self
    }

    /// Trailers behind a body of [`pieces`](TestRequest::pieces).
    pub fn trailers(mut self, trailers: HeaderMap) -> TestRequest<'a> {
        self.body.trailers = Some(trailers);
        self.body.hesitates = true;
        self
    }

    /// The peer goes away in place of the body's end.
    pub fn body_cut_off(mut self) -> TestRequest<'a> {
        self.body.cut_off = true;
        self
    }

    /// `value` as JSON, with its Content-Type.
    ///
    /// # Panics
    ///
    /// If `value` cannot be JSON.
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn json(mut self, value: &impl serde::Serialize) -> TestRequest<'a> {
        use gateway_core::http::header::CONTENT_TYPE;
        let json = serde_json::to_vec(value).expect("a value that can be JSON");
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body(json)
    }

    /// `value`, a struct or pairs, as a URL-encoded form, with its Content-Type.
    ///
    /// # Panics
    ///
    /// If `value` cannot be a form.
    ///
    /// ```
    /// use gateway_conformance::TestClient;
    /// use gateway_core::{Environ, Response, Result, StartResponse};
    /// use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
    ///
    /// fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let form = environ.input().collect(1 << 10)?;
    ///     let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    ///     Ok(response.with_body(form))
    /// }
    ///
    /// let response = TestClient::new(app).post("/").form(&[("name", "Ada L.")]).send();
    /// assert_eq!(response.text(), "name=Ada+L.");
    /// ```
    #[cfg(feature = "form")]
    #[track_caller]
    pub fn form(mut self, value: &impl serde::Serialize) -> TestRequest<'a> {
        use gateway_core::http::header::CONTENT_TYPE;
        let form = serde_urlencoded::to_string(value).expect("a value that can be a form");
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body(form)
    }

    /// The peer goes away as soon as it has `bytes` of the response's body; with 0 it has gone
    /// before the application is called.
    pub fn gone_after(mut self, bytes: u64) -> TestRequest<'a> {
        self.gone_after = Some(bytes);
        self
    }

    /// What the peer sends, before it ends, when the response is an upgrade.
    pub fn after_upgrade(mut self, bytes: impl Into<Bytes>) -> TestRequest<'a> {
        self.after_upgrade = bytes.into();
        self
    }

    /// Calls the application, drives its reply and its body to the end, and runs the end hooks.
    ///
    /// # Panics
    ///
    /// If the lint is on and a MUST is broken; the message has every rule with what was seen and how
    /// to mend it. If the target is not under the path that the client
    /// [mounts](TestClient::mounted_at) its application at.
    #[track_caller]
    pub fn send(mut self) -> TestResponse {
        let client = self.client;
        self.complete();
        let app: &dyn Application = match client.checks {
            Checks::Off => &*client.app,
            Checks::Panic | Checks::Report => &*client.linted,
        };
        let mut response = run(app, self);
        #[cfg(feature = "cookies")]
        if let Some(mut jar) = client.jar() {
            jar.keep(&response);
        }
        response.violations = client.violations.take();
        if client.checks == Checks::Panic {
            let broken: Vec<String> = response
                .violations
                .iter()
                .filter(|violation| violation.is_binding())
                .map(Violation::to_string)
                .collect();
            assert!(broken.is_empty(), "the lint has found:\n{}", broken.join("\n"));
        }
        response
    }

    /// Adds the fields that every client sends.
    fn complete(&mut self) {
        if !self.headers.contains_key(HOST) {
            self.headers.insert(HOST, HeaderValue::from_static("localhost"));
        }
        if self.body.hesitates && !self.headers.contains_key(CONTENT_LENGTH) {
            self.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        #[cfg(feature = "cookies")]
        if let Some(jar) = self.client.jar() {
            let path = format!("{}{}", self.settings.script_name, self.target);
            jar.send(self.settings.url_scheme == "https", &path, &mut self.headers);
        }
    }

    pub(super) fn connection(&self, errors: ErrorStream) -> ConnectionInfo {
        let settings = &self.settings;
        let mut info = ConnectionInfo::new(Arc::new(settings.server.clone()));
        info.remote = settings.remote.clone();
        info.local = settings.local.clone();
        info.url_scheme = settings.url_scheme;
        info.nonblocking = settings.nonblocking;
        info.errors = errors;
        info
    }

    #[track_caller]
    pub(super) fn environ(&mut self, exchange: Arc<dyn Exchange>) -> Environ {
        let script_name = &self.settings.script_name;
        let target = format!("{script_name}{}", self.target);
        let declared = match self.headers.get(CONTENT_LENGTH) {
            Some(length) => length.to_str().ok().and_then(|length| length.parse().ok()),
            None if self.body.hesitates => None,
            None => Some(0),
        };
        let input = Input::from_exchange(Arc::clone(&exchange), declared, self.settings.body_limit);
        let mut environ = Environ::new(exchange, self.method.clone(), self.version, target.into())
            .with_headers(self.headers.clone())
            .with_input(input);
        let prefix = percent_encoding::percent_decode_str(script_name).decode_utf8_lossy();
        assert!(environ.enter(&prefix), "{:?} is not under {script_name:?}", self.target);
        *environ.extensions_mut() = std::mem::take(&mut self.extensions);
        environ
    }
}
