//! Bounds request bodies.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use gateway_core::bytes::Bytes;
use gateway_core::http_body::{Body, Frame, SizeHint};
use gateway_core::{
    Application, Environ, Error, Input, IntoApplication, PeerError, Reply, Result, StartResponse,
};

/// Gives the requests of an application a body limit of their own, above or below the server's.
///
/// A declared length over it is answered with 413 before the application is called; otherwise the
/// read that crosses it fails with [`PeerError::BodyTooLarge`], which becomes 413. The application
/// may ask for less with [`Input::limit`] or [`Input::collect`], and not for more.
///
/// Mount it at the route that is to differ. Inside of `Decompression` it bounds what the application
/// gets, outside what the peer sends. tower-http has `RequestBodyLimitLayer` for applications that are
/// async alone.
///
/// ```
/// use gateway_core::{Environ, Mount, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::BodyLimit;
///
/// fn upload(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let length = std::io::copy(environ.input(), &mut std::io::sink())?;
///     Ok(start_response.start(StatusCode::OK, ()).with_body(format!("{length} bytes\n")))
/// }
///
/// let site = Mount::new()
///     .at("/notes", BodyLimit::new(upload, 10_000))
///     .at("/videos", BodyLimit::new(upload, 4 << 30))
///     .build()?;
/// # let _: Mount = site;
/// # Ok::<(), gateway_core::MountError>(())
/// ```
///
/// Source: RFC 9110 §15.5.14.
#[derive(Debug)]
pub struct BodyLimit<A> {
    app: A,
    bytes: u64,
}

impl<A: Application> BodyLimit<A> {
    /// Lets bodies of up to `bytes` through to `app`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>, bytes: u64) -> BodyLimit<A> {
        BodyLimit { app: app.into_application(), bytes }
    }

    fn apply(&self, environ: &mut Environ) -> Result<()> {
        let limit = self.bytes;
        match environ.input().declared_len() {
            Some(0) => return Ok(()),
            Some(declared) if declared > limit => {
                return Err(PeerError::BodyTooLarge { limit }.into());
            }
            // The framing holds the peer to what it has declared.
            Some(_) => {}
            None => environ.wrap_input(|input| Bounded { input, limit, left: limit }),
        }
        environ.input().limit(limit)
    }
}

impl<A: Application> Application for BodyLimit<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        match self.apply(&mut environ) {
            Ok(()) => self.app.call(environ, start_response),
            Err(error) => error.into(),
        }
    }
}

/// A body that fails where it crosses its limit, whatever the application asks for.
struct Bounded {
    input: Input,
    limit: u64,
    left: u64,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.input).poll_frame(cx)).transpose()?;
        let length = frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => {
                let limit = self.limit;
                return Poll::Ready(Some(Err(PeerError::BodyTooLarge { limit }.into())));
            }
        }
        Poll::Ready(frame.map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        self.input.size_hint()
    }
}
