//! Takes requests out of their content coding.

mod decoder;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use gateway_core::bytes::Bytes;
use gateway_core::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use gateway_core::http::{HeaderMap, HeaderValue, StatusCode};
use gateway_core::http_body::{Body, Frame};
use gateway_core::{
    Application, Environ, Error, Input, IntoApplication, PeerError, Reply, Result, StartResponse,
};
use gateway_request::fields::values;

use decoder::Decoder;

/// How much is decoded at a time, in bytes.
const PIECE: usize = 32 * 1024;

/// Lets an application read what was compressed as if it had not been: gzip, deflate, and Brotli if
/// that is asked for.
///
/// The body limit holds for what the peer sends and for what comes out of it, so a small request
/// that would become a large one is a 413 where it crosses the limit; nothing of it is kept. What
/// cannot be decoded, or is cut off, fails the read with [`PeerError::Malformed`], which becomes
/// 400; only behind the end of Brotli's data a little more may pass unseen. A coding that is not known, or several at once, are answered with 415 and what would be
/// accepted.
///
/// The application finds neither `Content-Encoding` nor `Content-Length`: the length is not known
/// before the end. Decoding happens where the body is read, a piece at a time.
///
/// For applications that are async alone there is tower-http's `RequestDecompressionLayer`; mind that
/// its limit has to be put inside of it.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::Decompression;
///
/// fn upload(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let text = environ.input().collect(1 << 20)?;
///     Ok(start_response.start(StatusCode::OK, ()).with_body(text))
/// }
///
/// let app = Decompression::new(upload);
/// # let _ = app;
/// ```
///
/// Source: RFC 9110 §8.4.1, §12.5.3 and §15.5.16.
#[derive(Debug)]
pub struct Decompression<A> {
    app: A,
    /// The codings that are accepted, as `Accept-Encoding` has them.
    accepted: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    #[cfg(feature = "brotli")]
    Brotli,
    Deflate,
    Gzip,
}

impl<A: Application> Decompression<A> {
    /// Accepts gzip and deflate for `app`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> Decompression<A> {
        Decompression { app: app.into_application(), accepted: "gzip, deflate" }
    }

    /// Accepts Brotli as well. It takes up to 16 MiB of memory for a request that says so.
    #[cfg(feature = "brotli")]
    #[must_use]
    pub fn brotli(self) -> Decompression<A> {
        Decompression { accepted: "br, gzip, deflate", ..self }
    }

    fn apply(&self, environ: &mut Environ) -> Result<()> {
        let lines: Vec<&[u8]> = values(environ, "content-encoding").collect();
        let names =
            lines.iter().flat_map(|line| line.split(|&b| b == b',')).map(<[u8]>::trim_ascii);
        let is_coding = |name: &&[u8]| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity");
        let names: Vec<&[u8]> = names.filter(is_coding).collect();
        if names.is_empty() {
            return Ok(());
        }
        let coding = match names[..] {
            [name] => self.coding(name),
            _ => None,
        };
        let Some(coding) = coding else {
            let names = String::from_utf8_lossy(&names.join(&b", "[..])).into_owned();
            let cause = format!("the request's content coding is `{names}`");
            let error = Error::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, cause);
            let accepted = HeaderValue::from_static(self.accepted);
            return Err(error.with_headers([(ACCEPT_ENCODING, accepted)]));
        };
        if environ.input().declared_len() == Some(0) {
            return Ok(());
        }
        environ.wrap_input(|input| Decoded {
            input,
            decoder: Decoder::new(coding),
            piece: vec![0; PIECE],
            trailers: None,
            is_over: false,
        });
        let headers = environ.headers_mut();
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
        Ok(())
    }

    fn coding(&self, name: &[u8]) -> Option<Coding> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match () {
            // RFC 9110 §8.4.1.3: `x-gzip` means the same.
            () if is("gzip") || is("x-gzip") => Some(Coding::Gzip),
            () if is("deflate") => Some(Coding::Deflate),
            #[cfg(feature = "brotli")]
            () if is("br") && self.accepted.starts_with("br") => Some(Coding::Brotli),
            () => None,
        }
    }
}

impl<A: Application> Application for Decompression<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        match self.apply(&mut environ) {
            Ok(()) => self.app.call(environ, start_response),
            Err(error) => error.into(),
        }
    }
}

/// A request body, decoded as it is read.
struct Decoded {
    input: Input,
    decoder: Decoder,
    /// Where it is decoded to.
    piece: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Nothing more comes but trailers.
    is_over: bool,
}

impl Decoded {
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>>> {
        while !self.is_over {
            match self.decoder.read(&mut self.piece) {
                Ok(0) => ready!(self.poll_end(cx))?,
                Ok(n) => {
                    let data = Bytes::copy_from_slice(&self.piece[..n]);
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_feed(cx))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(malformed(error))),
            }
        }
        Poll::Ready(Ok(self.trailers.take().map(Frame::trailers)))
    }

    /// Feeds the decoder with what the peer sends next.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let frame = ready!(Pin::new(&mut self.input).poll_frame(cx)).transpose()?;
        let feed = self.decoder.feed();
        match frame.map(Frame::into_data) {
            None => {
                feed.end();
                // No body is no broken one.
                self.is_over = feed.is_empty();
            }
            Some(Ok(data)) => feed.push(data),
            Some(Err(frame)) => self.trailers = frame.into_trailers().ok(),
        }
        Poll::Ready(Ok(()))
    }

    /// What was encoded has ended: so must the body.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.decoder.feed().has_ended() {
            if self.decoder.feed().has_rest() {
                return Poll::Ready(Err(malformed("data behind the end of what was encoded")));
            }
            ready!(self.poll_feed(cx))?;
        }
        self.is_over = true;
        Poll::Ready(Ok(()))
    }
}

impl Body for Decoded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.poll_step(cx).map(Result::transpose)
    }
}

fn malformed(cause: impl Into<gateway_core::BoxError>) -> Error {
    PeerError::Malformed { status: StatusCode::BAD_REQUEST, cause: cause.into() }.into()
}
