//! The request body: `wsgi.input`.

mod read;

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::exchange::Exchange;
use crate::wait::wait;
use crate::{ApplicationError, BoxError, Error, PeerError, Result, StreamBody};

/// The body limit where neither server nor application set another: 2 MiB.
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
    limit: u64,
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

impl Input {
    /// No body: it has ended, and its length is 0.
    pub fn empty() -> Input {
        Input::with_source(Source::Ended, Some(0), DEFAULT_BODY_LIMIT)
    }

    /// For servers: the body that `exchange` receives. `declared` is its length where the message
    /// says one, `limit` the server's body limit in bytes.
    pub fn from_exchange(exchange: Arc<dyn Exchange>, declared: Option<u64>, limit: u64) -> Input {
        Input::with_source(Source::Exchange(exchange), declared, limit)
    }

    /// For middleware and tests: a body that is in memory.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Input {
        let bytes = bytes.into();
        let declared = bytes.len() as u64;
        let mut input = Input::with_source(Source::Ended, Some(declared), DEFAULT_BODY_LIMIT);
        input.rest = bytes;
        input
    }

    /// For middleware: another body in place of the peer's, such as its decompression. It must not
    /// block in `poll_frame`; its limit is [`DEFAULT_BODY_LIMIT`] until it is changed.
    ///
    /// Which threads may block on it is known once [`Environ::set_input`](crate::Environ::set_input)
    /// has put it into a request; before that, any thread does.
    pub fn from_body<B>(body: B) -> Input
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let declared = body.size_hint().exact();
        let source = Source::Body { body: Mutex::new(crate::body::erase(body)), exchange: None };
        Input::with_source(source, declared, DEFAULT_BODY_LIMIT)
    }

    /// What stays in an environ whose input was taken: it has ended, and what the message declares
    /// is the same as before.
    pub(crate) fn taken(declared: Option<u64>) -> Input {
        Input { begun: true, ..Input::with_source(Source::Ended, declared, 0) }
    }

    /// Makes a body of middleware one of `exchange`, which knows the threads that may block.
    pub(crate) fn attach(&mut self, exchange: &Arc<dyn Exchange>) {
        if let Source::Body { exchange: own, .. } = &mut self.source {
            *own = Some(Arc::clone(exchange));
        }
    }

    fn with_source(source: Source, declared: Option<u64>, limit: u64) -> Input {
        Input {
            source,
            rest: Bytes::new(),
            declared,
            limit,
            taken: 0,
            begun: false,
            trailers: None,
        }
    }

    /// Accepts up to `bytes` of body in place of the server's limit; `u64::MAX` accepts any length.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::LimitAfterRead`] after the first read.
    pub fn limit(&mut self, bytes: u64) -> Result<()> {
        if self.begun {
            return Err(ApplicationError::LimitAfterRead.into());
        }
        self.limit = bytes;
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
        match self.may_block(call) {
            Ok(()) => wait(|cx| self.poll_data(cx)),
            Err(error) => Some(Err(error)),
        }
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
            self.limit = limit;
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
            Some(declared) if declared > self.limit => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    fn count(&mut self, data: Bytes) -> Result<Bytes> {
        self.taken = self.taken.saturating_add(data.len() as u64);
        if self.taken > self.limit { Err(self.too_large()) } else { Ok(data) }
    }

    fn too_large(&mut self) -> Error {
        self.fail(PeerError::BodyTooLarge { limit: self.limit }.into())
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
            Some(exchange) if self.rest.is_empty() && !exchange.may_block() => {
                Err(ApplicationError::WouldBlock { call }.into())
            }
            _ => Ok(()),
        }
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
            .field("limit", &self.limit)
            .field("taken", &self.taken)
            .field("ended", &self.is_end())
            .finish_non_exhaustive()
    }
}
