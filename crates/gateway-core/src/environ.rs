//! The request's variables.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Version};

use crate::exchange::{ConnectionInfo, Exchange};
use crate::headers::Headers;
use crate::request_line::{self, RequestLine};
use crate::{Address, BoxError, Disconnected, ErrorStream, Input, ServerInfo};

/// A request, and what surrounds it: PEP 3333's `environ`, typed.
///
/// Paths come raw and decoded. The raw form loses nothing; the decoded form is what most code
/// wants. [`var`](Environ::var) and [`vars`](Environ::vars) give the CGI view of the same.
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
///
/// fn app(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let agent = environ.header("user-agent").map(String::from_utf8_lossy).unwrap_or_default();
///     let answer = format!("{} {} by {agent}\n", environ.method(), environ.path_info());
///     Ok(start_response.start(StatusCode::OK, ()).with_body(answer))
/// }
/// ```
///
/// Source: PEP 3333, "`environ` Variables"; RFC 3875 §4.1.
pub struct Environ {
    line: RequestLine,
    headers: Headers,
    /// None where there is no body, and nobody has looked.
    input: Option<Box<Input>>,
    extensions: Extensions,
    exchange: Arc<dyn Exchange>,
    overrides: Option<Box<Overrides>>,
}

/// What middleware set in place of what the server said.
#[derive(Default)]
pub(crate) struct Overrides {
    remote: Option<Address>,
    url_scheme: Option<Cow<'static, str>>,
    authority: Option<Cow<'static, str>>,
    pub(crate) vars: BTreeMap<String, String>,
}

impl Environ {
    /// For servers: a request without fields and body; add them with
    /// [`with_fields`](Environ::with_fields) or [`with_headers`](Environ::with_headers), and
    /// [`with_input`](Environ::with_input).
    ///
    /// `target` is the request target as it came, in origin-form, absolute-form, or `*`; with
    /// CONNECT in authority-form. A byte that is not ASCII is percent-encoded.
    ///
    /// Source: RFC 9112 §3.2.
    pub fn new(
        exchange: Arc<dyn Exchange>,
        method: Method,
        version: Version,
        target: Bytes,
    ) -> Environ {
        Environ {
            line: RequestLine::new(method, version, target),
            headers: Headers::default(),
            input: None,
            extensions: Extensions::new(),
            exchange,
            overrides: None,
        }
    }

    /// For servers that have the head as bytes: the positions of each field's name and value in
    /// `bytes`. Nothing is copied, and no map is built until somebody asks for one; only a head of
    /// more than 65,535 bytes is made a map at once.
    ///
    /// Values must be free of surrounding blanks and of control characters. A field that does not
    /// lie within `bytes` is left out.
    pub fn with_fields(
        mut self,
        bytes: Bytes,
        positions: impl Iterator<Item = (Range<usize>, Range<usize>)>,
    ) -> Environ {
        self.headers = Headers::from_positions(bytes, positions);
        self
    }

    /// For servers whose protocol has a map already.
    #[inline]
    pub fn with_headers(mut self, headers: HeaderMap) -> Environ {
        self.headers = Headers::from_map(headers);
        self
    }

    /// The same request with another body.
    pub fn with_input(mut self, input: Input) -> Environ {
        self.set_input(input);
        self
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.line.method
    }

    /// Replaces the method, for middleware.
    pub fn set_method(&mut self, method: Method) {
        self.line.method = method;
    }

    /// The version of the protocol that the request came by.
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// `http` or `https`, unless middleware knows better.
    pub fn url_scheme(&self) -> &str {
        match self.overrides.as_deref().and_then(|set| set.url_scheme.as_deref()) {
            Some(scheme) => scheme,
            None => self.exchange.connection().url_scheme,
        }
    }

    /// Replaces the URL scheme, for middleware that trusts a proxy.
    pub fn set_url_scheme(&mut self, scheme: impl Into<Cow<'static, str>>) {
        self.overrides_mut().url_scheme = Some(scheme.into());
    }

    /// The host, and the port if it was given, that the request is for: from the target where it
    /// names one, else from the Host field, unless middleware knows better.
    ///
    /// `None` where neither is there, or the field is no text; `""` for an empty Host field.
    ///
    /// Source: RFC 9112 §3.2.2 and §3.3.
    pub fn authority(&self) -> Option<&str> {
        let authority = self.stated_authority().or_else(|| self.header("host"))?;
        std::str::from_utf8(authority).ok()
    }

    /// Replaces the authority, for middleware that trusts a proxy.
    pub fn set_authority(&mut self, authority: impl Into<Cow<'static, str>>) {
        self.overrides_mut().authority = Some(authority.into());
    }

    /// The authority that goes before the Host field.
    pub(crate) fn stated_authority(&self) -> Option<&[u8]> {
        self.overrides
            .as_deref()
            .and_then(|set| set.authority.as_deref())
            .map(str::as_bytes)
            .or_else(|| self.line.authority())
    }

    /// Where the peer is, unless middleware knows better.
    pub fn remote_addr(&self) -> &Address {
        match self.overrides.as_deref().and_then(|set| set.remote.as_ref()) {
            Some(remote) => remote,
            None => &self.exchange.connection().remote,
        }
    }

    /// Replaces the peer's address, for middleware that trusts a proxy.
    pub fn set_remote_addr(&mut self, remote: Address) {
        self.overrides_mut().remote = Some(remote);
    }

    /// Where the peer connected to.
    pub fn local_addr(&self) -> &Address {
        &self.exchange.connection().local
    }

    /// The server's facts.
    pub fn server(&self) -> &ServerInfo {
        &self.exchange.connection().server
    }

    /// Whether the call runs on a thread that other connections wait for, so that blocking belongs
    /// into [`Reply::Blocking`](crate::Reply::Blocking).
    pub fn nonblocking(&self) -> bool {
        self.exchange.connection().nonblocking
    }

    /// The request target as it came.
    pub fn raw_target(&self) -> &str {
        request_line::text(self.line.raw())
    }

    /// The request target as it came, to keep; nothing is copied.
    pub fn raw_target_bytes(&self) -> Bytes {
        self.line.raw().clone()
    }

    /// The part of the path, decoded, that led to this application: empty at the root.
    ///
    /// What is no UTF-8 becomes U+FFFD.
    pub fn script_name(&self) -> Cow<'_, str> {
        request_line::decode_text(self.line.script_name())
    }

    /// The same as it came.
    pub fn raw_script_name(&self) -> &str {
        request_line::text(self.line.script_name())
    }

    /// The rest of the path, decoded: what this application is to make sense of.
    ///
    /// It is empty for a request to the very place where the application is mounted, and with
    /// CONNECT. It is `*` where the request is for the server as a whole: `OPTIONS *`, or OPTIONS
    /// with an absolute-form that has neither path nor query. Any other absolute-form without a
    /// path means `/`, so that is what it gives. Empty segments, `.` and `..` stay as they are.
    ///
    /// What is no UTF-8 becomes U+FFFD, and a `%2F` cannot be told from a `/`: routers that care
    /// split [`raw_path_info`](Environ::raw_path_info) and decode the segments.
    ///
    /// Source: RFC 3875 §4.1.5; RFC 9110 §4.2.3; RFC 9112 §3.2.4.
    pub fn path_info(&self) -> Cow<'_, str> {
        request_line::decode_text(self.line.path_info())
    }

    /// The same, decoded to the bytes that it is.
    pub fn path_info_bytes(&self) -> Cow<'_, [u8]> {
        request_line::decode(self.line.path_info())
    }

    /// The same as it came, but for a `/` or `*` that no path stands for.
    pub fn raw_path_info(&self) -> &str {
        request_line::text(self.line.path_info())
    }

    /// What stands behind the `?`, as it came; `None` where there is no `?`.
    pub fn query_string(&self) -> Option<&str> {
        self.line.query().map(request_line::text)
    }

    /// Moves a prefix of the path info to the script name, if the path info begins with the
    /// segments of `prefix`, and says whether it did. [`Mount`](crate::Mount) is made of it.
    ///
    /// `prefix` is decoded, begins with `/` and does not end with it; the empty one is always there,
    /// and any other is never. Segments are compared decoded, and only a raw `/` separates them:
    /// `/a%2Fb` is not under `/a`. Nothing is allocated and the raw path stays.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Application, Environ, Reply, StartResponse};
    ///
    /// /// `/v1/…` goes to one application, everything else to the other.
    /// struct Versions<A, B>(A, B);
    ///
    /// impl<A: Application, B: Application> Application for Versions<A, B> {
    ///     fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
    ///         if environ.enter("/v1") {
    ///             // Of `/v1/users`, the script name is now `/v1` and the path info `/users`.
    ///             self.0.call(environ, start_response)
    ///         } else {
    ///             self.1.call(environ, start_response)
    ///         }
    ///     }
    /// }
    /// ```
    pub fn enter(&mut self, prefix: &str) -> bool {
        match self.line.prefix_len(prefix) {
            Some(len) => {
                self.line.shift(len);
                true
            }
            None => false,
        }
    }

    /// The first value of the header field `name`, in any case; as bytes, since a value need not
    /// be text. For the host that the request is for, see [`authority`](Environ::authority).
    pub fn header(&self, name: impl AsRef<str>) -> Option<&[u8]> {
        self.headers.get(self.exchange.fields(), name.as_ref())
    }

    /// The protocols that the peer offers to go on in, as its `Upgrade` field lists them, if it
    /// offers any: then 101 with a [`Body::Upgrade`](crate::Body::Upgrade) may be answered.
    ///
    /// `None` without `Connection: upgrade`, and on any other version than HTTP/1.1.
    ///
    /// Source: RFC 9110 §7.8.
    pub fn upgrade(&self) -> Option<&[u8]> {
        let offered = self.header("upgrade").filter(|_| self.version() == Version::HTTP_11)?;
        let is_connected = self.fields().any(|(name, value)| {
            name.eq_ignore_ascii_case(b"connection")
                && value
                    .split(|&b| b == b',')
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        });
        is_connected.then_some(offered)
    }

    /// All header fields, in the order they came in, with names in the case they came in. Once
    /// [`headers_mut`](Environ::headers_mut) was called, or where the server has a map, they are
    /// those of the map: names in lower case, fields of one name together.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter(self.exchange.fields())
    }

    /// The header fields as a map, which is built at the first call.
    pub fn headers(&self) -> &HeaderMap {
        self.headers.map(self.exchange.fields())
    }

    /// The header fields as a map, to change; from then on it is the only source.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers.map_mut(self.exchange.fields())
    }

    /// The header fields as a map, to keep; the request has none afterwards. For adapters that hand
    /// a request on.
    pub fn take_headers(&mut self) -> HeaderMap {
        self.headers.take(self.exchange.fields())
    }

    /// The request body, to be read in place.
    pub fn input(&mut self) -> &mut Input {
        self.input.get_or_insert_with(|| Box::new(Input::empty()))
    }

    /// The request body, to keep: it has its limit with it. One that has ended stays.
    ///
    /// To put a wrapper in its place use [`wrap_input`](Environ::wrap_input): what was taken knows
    /// nothing of a limit that the application sets later.
    pub fn take_input(&mut self) -> Input {
        // What nobody has looked at is not put into a box to be taken out of it.
        self.input.as_deref_mut().map_or_else(Input::empty, Input::take)
    }

    /// Replaces the request body, for middleware. A body without a limit of its own choice has the
    /// request's from here on.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Environ, Input, Result};
    ///
    /// /// Lets the application inside read the body again.
    /// fn peek(environ: &mut Environ) -> Result<()> {
    ///     let body = environ.input().collect(1 << 20)?;
    ///     // … look at it …
    ///     environ.set_input(Input::from_bytes(body));
    ///     Ok(())
    /// }
    /// ```
    pub fn set_input(&mut self, mut input: Input) {
        let chosen = self.input.as_deref().and_then(Input::chosen_limit);
        input.replace(chosen, &self.exchange);
        self.input = Some(Box::new(input));
    }

    /// Puts a wrapper around the request body, for middleware: `wrap` is given the body, and what
    /// it makes of it takes its place.
    ///
    /// One limit governs both, what the peer sends and what the wrapper makes of it: the request's,
    /// until [`Input::limit`] or [`Input::collect`] changes it for both. So neither a decompression
    /// nor what goes into it outgrows the limit, and an application that raises it need not know of
    /// the wrapper.
    ///
    /// The wrapper must not block in `poll_frame`. Its `size_hint` says how long the new body is;
    /// one that changes the data removes the fields that describe the old, such as
    /// `Content-Encoding`.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Application, Environ, Error, Input, Reply, StartResponse, bytes::Bytes};
    /// use gateway_core::http_body::{Body, Frame, SizeHint};
    /// use std::pin::Pin;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::task::{Context, Poll, ready};
    ///
    /// /// Counts what the application reads of its requests' bodies.
    /// struct Counts<A> {
    ///     app: A,
    ///     bytes: Arc<AtomicU64>,
    /// }
    ///
    /// impl<A: Application> Application for Counts<A> {
    ///     fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
    ///         let bytes = Arc::clone(&self.bytes);
    ///         environ.wrap_input(|body| Counted { body, bytes });
    ///         self.app.call(environ, start_response)
    ///     }
    /// }
    ///
    /// struct Counted {
    ///     body: Input,
    ///     bytes: Arc<AtomicU64>,
    /// }
    ///
    /// impl Body for Counted {
    ///     type Data = Bytes;
    ///     type Error = Error;
    ///
    ///     fn poll_frame(
    ///         mut self: Pin<&mut Self>,
    ///         cx: &mut Context<'_>,
    ///     ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
    ///         let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?;
    ///         if let Some(data) = frame.as_ref().and_then(Frame::data_ref) {
    ///             self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
    ///         }
    ///         Poll::Ready(frame.map(Ok))
    ///     }
    ///
    ///     fn size_hint(&self) -> SizeHint {
    ///         self.body.size_hint()
    ///     }
    /// }
    ///
    /// let bytes = Arc::new(AtomicU64::new(0));
    /// let counted = Counted { body: Input::from_bytes("hello"), bytes: Arc::clone(&bytes) };
    /// assert_eq!(Input::from_body(counted).collect(100)?, "hello");
    /// assert_eq!(bytes.load(Ordering::Relaxed), 5);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn wrap_input<B>(&mut self, wrap: impl FnOnce(Input) -> B)
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let wrapped = self.take_input().wrapped(wrap);
        self.set_input(wrapped);
    }

    /// The length of the body where the message declares it.
    pub(crate) fn declared_len(&self) -> Option<u64> {
        self.input.as_deref().map_or(Some(0), Input::declared_len)
    }

    /// Where to complain: `wsgi.errors`.
    pub fn errors(&self) -> &ErrorStream {
        &self.exchange.connection().errors
    }

    /// A future that is ready when the peer has gone; owned, so that it may outlive the environ.
    pub fn disconnected(&self) -> Disconnected {
        Disconnected::new(Arc::clone(&self.exchange))
    }

    /// Values that middleware and servers attach to the request, by type.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The same, to change.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    pub(crate) fn overrides(&self) -> Option<&Overrides> {
        self.overrides.as_deref()
    }

    pub(crate) fn overrides_mut(&mut self) -> &mut Overrides {
        self.overrides.get_or_insert_default()
    }

    pub(crate) fn connection(&self) -> &ConnectionInfo {
        self.exchange.connection()
    }
}

/// The fields as text, for `Debug`.
struct Fields<'a>(&'a Environ);

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        f.debug_map().entries(self.0.fields().map(text)).finish()
    }
}

impl fmt::Debug for Environ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environ")
            .field("method", self.method())
            .field("version", &self.version())
            .field("target", &self.raw_target())
            .field("fields", &Fields(self))
            .field("input", &self.input.as_deref())
            .finish_non_exhaustive()
    }
}
