//! The request body: `wsgi.input`.

mod read;

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::exchange::Exchange;
use crate::wait::wait;
use crate::{ApplicationError, BoxError, Error, PeerError, Result, StreamBody};

/// The body limit where neither server nor application has set another: 2 MiB.
pub const DEFAULT_BODY_LIMIT: u64 = 2 << 20;

/// The request body, to be read by blocking or by awaiting, ending where the message ends.
///
/// It implements [`Read`](std::io::Read) and [`BufRead`](std::io::BufRead) for blocking code and
/// [`http_body::Body`] for async code; [`collect`](Input::collect) and
/// [`collect_async`](Input::collect_async) take it whole. The first read is what sends
/// `100 Continue`. Nothing is read that nobody asks for: a slow application slows its peer down.
///
/// The body limit holds however the body is framed. A declared length over it fails the first
/// read, before anything is read; otherwise the read that crosses it fails. The error becomes 413.
/// It is the request's: a body that middleware puts in the place of another inherits it, and
/// [`Environ::wrap_input`](crate::Environ::wrap_input) lets one limit govern a body and what a
/// wrapper makes of it.
///
/// After an error every further read fails the same way: a body that was cut off never looks like
/// one that has ended. A blocking read on a thread that other connections wait for is an error that
/// breaks nothing: [`ApplicationError::WouldBlock`].
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
///
/// fn upload(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let input = environ.input();
///     input.limit(1 << 30)?;
///     let length = std::io::copy(input, &mut std::io::sink())?;
///     Ok(start_response.start(StatusCode::OK, ()).with_body(format!("{length} bytes\n")))
/// }
/// ```
///
/// Source: PEP 3333, "Input and Error Streams"; RFC 9110 §10.1.1.
pub struct Input {
    source: Source,
    /// What a frame brought beyond what `read` took.
    rest: Bytes,
    declared: Option<u64>,
    /// What reads keep to.
    limit: Limit,
    /// What a body in this one's place inherits: the limit that the server or `limit` has chosen.
    chosen: Option<u64>,
    taken: u64,
    begun: bool,
    trailers: Option<Box<HeaderMap>>,
}

enum Source {
    Ended,
    /// What every further read fails with.
    Failed(Box<Error>),
    Exchange(Arc<dyn Exchange>),
    Body {
        /// The lock is only there to make it `Sync`; it is never contended.
        body: Mutex<StreamBody>,
        /// Knows which threads may block.
        exchange: Option<Arc<dyn Exchange>>,
    },
}

enum Limit {
    Own(u64),
    /// Of a body and of those that are wrapped around it.
    Shared(Arc<AtomicU64>),
}

impl Input {
    /// No body: it has ended, and its length is 0.
    pub fn empty() -> Input {
        Input::with_source(Source::Ended, Some(0), DEFAULT_BODY_LIMIT, None)
    }

    /// For servers: the body that `exchange` receives. `declared` is its length where the message
    /// says one, `limit` the server's body limit in bytes.
    pub fn from_exchange(exchange: Arc<dyn Exchange>, declared: Option<u64>, limit: u64) -> Input {
        Input::with_source(Source::Exchange(exchange), declared, limit, Some(limit))
    }

    /// For middleware and tests: a body that is in memory, so that a limit would save nothing. It
    /// has none until [`limit`](Input::limit) sets one.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Input {
        let bytes = bytes.into();
        let declared = bytes.len() as u64;
        let mut input = Input::with_source(Source::Ended, Some(declared), u64::MAX, None);
        input.rest = bytes;
        input
    }

    /// For middleware: another body in place of the peer's. It must not block in `poll_frame`. One
    /// that reads the peer's, such as its decompression, goes through
    /// [`Environ::wrap_input`](crate::Environ::wrap_input).
    ///
    /// Once [`Environ::set_input`](crate::Environ::set_input) has put it into a request, it has that
    /// request's limit, unless [`limit`](Input::limit) was called, and it is known which threads may
    /// block on it. Before that it has [`DEFAULT_BODY_LIMIT`], and any thread blocks.
    pub fn from_body<B>(body: B) -> Input
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let declared = body.size_hint().exact();
        let source = Source::Body { body: Mutex::new(crate::body::erase(body)), exchange: None };
        Input::with_source(source, declared, DEFAULT_BODY_LIMIT, None)
    }

    /// Takes it and leaves one that has ended; what the message declares and what a replacement
    /// inherits are the same as before.
    pub(crate) fn take(&mut self) -> Input {
        let ended = Input::with_source(Source::Ended, self.declared, u64::MAX, self.chosen);
        std::mem::replace(self, Input { begun: true, ..ended })
    }

    /// The limit that the server or somebody else has set.
    pub(crate) fn chosen_limit(&self) -> Option<u64> {
        self.chosen
    }

    /// Puts it into the place of another, whose limit was `chosen`, in a request of `exchange`, which knows the threads that
    /// may block.
    pub(crate) fn replace(&mut self, chosen: Option<u64>, exchange: &Arc<dyn Exchange>) {
        if let Source::Body { exchange: own, .. } = &mut self.source {
            *own = Some(Arc::clone(exchange));
        }
        if self.chosen.is_some() {
            return;
        }
        self.chosen = chosen;
        if let Some(limit) = self.chosen
            && !matches!(self.source, Source::Ended)
        {
            self.limit.set(limit);
        }
    }

    /// The body that `wrap` makes of this one, with whose limit it has one in common.
    pub(crate) fn wrapped<B>(mut self, wrap: impl FnOnce(Input) -> B) -> Input
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // In memory there may be no limit to share: the wrapper's inherits the request's.
        let is_limited = self.limit.get() != u64::MAX || !matches!(self.source, Source::Ended);
        let limit = is_limited.then(|| self.limit.share());
        let mut outer = Input::from_body(wrap(self));
        if let Some(limit) = limit {
            outer.limit = limit;
        }
        outer
    }

    fn with_source(
        source: Source,
        declared: Option<u64>,
        limit: u64,
        chosen: Option<u64>,
    ) -> Input {
        Input {
            source,
            rest: Bytes::new(),
            declared,
            limit: Limit::Own(limit),
            chosen,
            taken: 0,
            begun: false,
            trailers: None,
        }
    }

    /// Accepts up to `bytes` of body in place of the limit so far; `u64::MAX` accepts any length. A
    /// body in the place of this one inherits it.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::LimitAfterRead`] after the first read.
    pub fn limit(&mut self, bytes: u64) -> Result<()> {
        if self.begun {
            return Err(ApplicationError::LimitAfterRead.into());
        }
        self.limit.set(bytes);
        self.chosen = Some(bytes);
        Ok(())
    }

    /// The length of the whole body where the message declares it.
    pub fn declared_len(&self) -> Option<u64> {
        self.declared
    }

    /// Whether the end has been read, trailers included. A body that failed has no end.
    pub fn is_end(&self) -> bool {
        self.rest.is_empty() && matches!(self.source, Source::Ended)
    }

    /// The trailers, once a read has met the end of a body that had some.
    ///
    /// Source: RFC 9110 §6.5. They are kept apart from the header fields, as §6.5.1 asks.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// The next data, as they come and never empty; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`PeerError`] where the body is too large, malformed, late or cut off; for a body from
    /// [`from_body`](Input::from_body) whatever that fails with.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if let Err(error) = self.begin() {
            return Poll::Ready(Some(Err(error)));
        }
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        loop {
            let frame = match &mut self.source {
                Source::Ended => return Poll::Ready(None),
                Source::Failed(error) => return Poll::Ready(Some(Err(error.again()))),
                Source::Exchange(exchange) => ready!(exchange.poll_input(cx)),
                Source::Body { body, .. } => {
                    let body = body.get_mut().unwrap_or_else(PoisonError::into_inner);
                    ready!(body.as_mut().poll_frame(cx)).map(|frame| frame.map_err(Error::from))
                }
            };
            match frame {
                None => self.source = Source::Ended,
                Some(Err(error)) => return Poll::Ready(Some(Err(self.fail(error)))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Some(self.count(data))),
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.trailers = Some(Box::new(trailers));
                        }
                    }
                },
            }
        }
    }

    /// Awaits the next data; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Those of [`poll_data`](Input::poll_data).
    pub async fn data_async(&mut self) -> Option<Result<Bytes>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Blocks until the next data; `None` at the end. [`Read`](std::io::Read) copies, this does not.
    ///
    /// # Errors
    ///
    /// Those of [`poll_data`](Input::poll_data), and [`ApplicationError::WouldBlock`] on a reactor
    /// thread.
    pub fn data(&mut self) -> Option<Result<Bytes>> {
        self.wait_data("Input::data")
    }

    fn wait_data(&mut self, call: &'static str) -> Option<Result<Bytes>> {
        // What is at hand is had without waiting.
        if self.rest.is_empty()
            && let Err(error) = self.may_block(call)
        {
            return Some(Err(error));
        }
        wait(|cx| self.poll_data(cx))
    }

    /// Blocks until the rest of the body is there, in one piece of at most `limit` bytes. If
    /// nothing has been read, that is the whole body, and `limit` replaces the body limit, be it
    /// smaller or larger.
    ///
    /// # Errors
    ///
    /// [`PeerError::BodyTooLarge`] past `limit`, or past the body limit that was fixed by an
    /// earlier read; the other errors of [`poll_data`](Input::poll_data); and
    /// [`ApplicationError::WouldBlock`] on a reactor thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
    ///
    /// fn shout(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let text = environ.input().collect(64 << 10)?;
    ///     let response = start_response.start(StatusCode::OK, ());
    ///     Ok(response.with_body(text.to_ascii_uppercase()))
    /// }
    ///
    /// # use gateway_core::Input;
    /// // Over the limit, the `?` above answers 413.
    /// let error = Input::from_bytes("far too long").collect(5).unwrap_err();
    /// assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    /// ```
    pub fn collect(&mut self, limit: u64) -> Result<Bytes> {
        self.may_block("Input::collect")?;
        let mut collected = self.begin_collecting(limit);
        wait(|cx| self.poll_collect(cx, &mut collected))
    }

    /// Like [`collect`](Input::collect), for async applications. What has come is lost if the
    /// future is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`collect`](Input::collect), without `WouldBlock`.
    pub async fn collect_async(&mut self, limit: u64) -> Result<Bytes> {
        let mut collected = self.begin_collecting(limit);
        poll_fn(|cx| self.poll_collect(cx, &mut collected)).await
    }

    fn begin_collecting(&mut self, limit: u64) -> Collected {
        if !self.begun {
            self.limit.set(limit);
        }
        Collected { limit, first: Bytes::new(), all: BytesMut::new() }
    }

    fn poll_collect(
        &mut self,
        cx: &mut Context<'_>,
        collected: &mut Collected,
    ) -> Poll<Result<Bytes>> {
        while let Some(data) = ready!(self.poll_data(cx)) {
            let data = data?;
            if collected.len() + data.len() as u64 > collected.limit {
                let limit = collected.limit;
                return Poll::Ready(Err(self.fail(PeerError::BodyTooLarge { limit }.into())));
            }
            collected.push(data, self.declared);
        }
        Poll::Ready(Ok(collected.take()))
    }

    /// Checks the declared length once, before anything is read.
    fn begin(&mut self) -> Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        match self.declared {
            Some(declared) if declared > self.limit.get() => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    fn count(&mut self, data: Bytes) -> Result<Bytes> {
        self.taken = self.taken.saturating_add(data.len() as u64);
        if self.taken > self.limit.get() { Err(self.too_large()) } else { Ok(data) }
    }

    fn too_large(&mut self) -> Error {
        self.fail(PeerError::BodyTooLarge { limit: self.limit.get() }.into())
    }

    /// Remembers `error` for the reads to come, and gives the source up.
    fn fail(&mut self, error: Error) -> Error {
        self.source = Source::Failed(Box::new(error.again()));
        self.rest = Bytes::new();
        error
    }

    fn may_block(&self, call: &'static str) -> Result<()> {
        let exchange = match &self.source {
            Source::Exchange(exchange) => Some(exchange),
            Source::Body { exchange, .. } => exchange.as_ref(),
            Source::Ended | Source::Failed(_) => None,
        };
        match exchange {
            Some(exchange) if !exchange.may_block() => {
                Err(ApplicationError::WouldBlock { call }.into())
            }
            _ => Ok(()),
        }
    }
}

impl Limit {
    fn get(&self) -> u64 {
        match self {
            Limit::Own(bytes) => *bytes,
            Limit::Shared(bytes) => bytes.load(Ordering::Relaxed),
        }
    }

    fn set(&mut self, limit: u64) {
        match self {
            Limit::Own(bytes) => *bytes = limit,
            Limit::Shared(bytes) => bytes.store(limit, Ordering::Relaxed),
        }
    }

    fn share(&mut self) -> Limit {
        let bytes = match self {
            Limit::Own(bytes) => Arc::new(AtomicU64::new(*bytes)),
            Limit::Shared(bytes) => Arc::clone(bytes),
        };
        *self = Limit::Shared(Arc::clone(&bytes));
        Limit::Shared(bytes)
    }
}

/// What [`Input::collect`] has so far. A piece that is the whole body is passed on as it is; others
/// are put together, so that many tiny pieces do not each keep a buffer alive.
struct Collected {
    limit: u64,
    first: Bytes,
    all: BytesMut,
}

impl Collected {
    fn len(&self) -> u64 {
        (self.first.len() + self.all.len()) as u64
    }

    fn push(&mut self, data: Bytes, declared: Option<u64>) {
        if self.len() == 0 && Some(data.len() as u64) == declared {
            self.first = data;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&data);
    }

    fn take(&mut self) -> Bytes {
        match self.all.is_empty() {
            true => std::mem::take(&mut self.first),
            false => std::mem::take(&mut self.all).freeze(),
        }
    }
}

impl Default for Input {
    fn default() -> Input {
        Input::empty()
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("declared", &self.declared)
            .field("limit", &self.limit.get())
            .field("taken", &self.taken)
            .field("ended", &self.is_end())
            .finish_non_exhaustive()
    }
}
