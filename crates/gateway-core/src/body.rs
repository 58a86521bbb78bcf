//! The application's result.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::pin::Pin;
use std::time::SystemTime;

use bytes::Bytes;

use crate::upgraded::Upgrade;
use crate::{BoxError, Upgraded};

/// What an application sends after the head.
///
/// The kind is visible, so that middleware can look before it touches and a server can choose the
/// best way to send. Dropping a body closes it; a server drops every body exactly once, also after
/// an error or when the peer has gone.
///
/// Source: PEP 3333, "the iterable" and its `close()`.
#[derive(Default)]
#[non_exhaustive]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// All of it, in memory.
    Bytes(Bytes),
    /// One datum after the other, from an iterator whose `next` may block. An `Err` aborts the
    /// response. An async server pumps it on a worker, which it gives back while the peer is slow.
    Iter(IterBody),
    /// A part of a file, which a server may send without copying it.
    File(FileBody),
    /// Data and trailers that are polled. Where the length is known, trailers are sent only if the
    /// head announces them with a `Trailer` field: HTTP/1.1 has no room for them otherwise.
    Stream(StreamBody),
    /// Another protocol, after status 101.
    Upgrade(Upgrade),
}

/// The iterator of [`Body::Iter`].
pub type IterBody = Box<dyn Iterator<Item = io::Result<Bytes>> + Send + 'static>;

/// The body of [`Body::Stream`]. It must not block.
pub type StreamBody =
    Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static>>;

/// The part of a file that [`Body::File`] sends.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileBody {
    /// The open file. Its position is of no account.
    pub file: File,
    /// Where to begin, in bytes.
    pub offset: u64,
    /// How many bytes to send. A file that turns out to be shorter cuts the response visibly.
    pub len: u64,
    /// What the file must still be when its last bytes have been read. In a box, since bodies are
    /// moved a lot and most have no such thing.
    expected: Option<Box<(u64, SystemTime)>>,
}

impl FileBody {
    /// `len` bytes of `file` from `offset` on, whatever becomes of the file meanwhile.
    pub fn new(file: File, offset: u64, len: u64) -> FileBody {
        FileBody { file, offset, len, expected: None }
    }

    /// Cuts the response visibly if the file, when its last bytes have been read, has no longer a
    /// length of `len` bytes and the modification time `modified`. For those who have announced
    /// this state, by an `ETag` for instance.
    ///
    /// ```no_run
    /// use gateway_core::{Body, Environ, FileBody, Response, Result, StartResponse};
    /// use gateway_core::http::{StatusCode, header::ETAG};
    ///
    /// fn poster(_: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let file = std::fs::File::open("poster.pdf")?;
    ///     let facts = file.metadata()?;
    ///     let (len, modified) = (facts.len(), facts.modified()?);
    ///     let body = FileBody::new(file, 0, len).unless_changed(len, modified);
    ///     let response = start_response.start(StatusCode::OK, [(ETAG, "\"2026-03\"")]);
    ///     Ok(response.with_body(Body::File(body)))
    /// }
    /// ```
    pub fn unless_changed(mut self, len: u64, modified: SystemTime) -> FileBody {
        self.expected = Some(Box::new((len, modified)));
        self
    }

    /// Whether [`check`](FileBody::check) has anything to look at.
    pub fn is_checked(&self) -> bool {
        self.expected.is_some()
    }

    /// Looks whether the file is still what [`unless_changed`](FileBody::unless_changed) said. For
    /// servers: call it when the last bytes have been read and before they are sent. A file that
    /// was only renamed or unlinked is still the same.
    ///
    /// # Errors
    ///
    /// If the file's length or modification time is another one, or cannot be had.
    pub fn check(&self) -> io::Result<()> {
        let Some((len, modified)) = self.expected.as_deref().copied() else { return Ok(()) };
        let now = self.file.metadata()?;
        if now.len() == len && now.modified()? == modified {
            return Ok(());
        }
        Err(io::Error::other("the file changed while it was sent"))
    }
}

impl Body {
    /// A body from an iterator, whose items are sent as they come and never coalesced over time.
    ///
    /// ```
    /// use gateway_core::{Body, bytes::Bytes};
    ///
    /// let countdown = Body::iter((0..3).rev().map(|n| Ok(Bytes::from(format!("{n}\n")))));
    /// ```
    pub fn iter<I>(items: I) -> Body
    where
        I: IntoIterator<Item = io::Result<Bytes>>,
        I::IntoIter: Send + 'static,
    {
        Body::Iter(Box::new(items.into_iter()))
    }

    /// A body from anything that implements [`http_body::Body`], with its trailers.
    pub fn stream<B>(body: B) -> Body
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Body::Stream(erase(body))
    }

    /// The rest of `file`, from its position to its present end.
    ///
    /// # Errors
    ///
    /// When the file's length or position cannot be had; of kind `IsADirectory` for a directory.
    ///
    /// ```no_run
    /// use gateway_core::{Body, Environ, Response, Result, StartResponse, http::StatusCode};
    ///
    /// fn poster(_: Environ, start_response: StartResponse) -> Result<Response> {
    ///     let body = Body::file(std::fs::File::open("poster.pdf")?)?;
    ///     Ok(start_response.start(StatusCode::OK, ()).with_body(body))
    /// }
    /// ```
    ///
    /// Source: PEP 3333, "Optional Platform-Specific File Handling".
    pub fn file(mut file: File) -> io::Result<Body> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let offset = file.stream_position()?;
        let len = metadata.len().saturating_sub(offset);
        Ok(Body::File(FileBody::new(file, offset, len)))
    }

    /// After status 101: `protocol` gets the connection, on a thread that may block.
    ///
    /// ```
    /// use gateway_core::{Body, Environ, Response, Result, StartResponse, Upgraded};
    /// use gateway_core::http::{StatusCode, header::UPGRADE};
    /// use std::io::{Read, Write};
    ///
    /// fn echo(environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     if environ.upgrade() != Some(b"echo") {
    ///         let response = start_response.start(StatusCode::UPGRADE_REQUIRED, [(UPGRADE, "echo")]);
    ///         return Ok(response.with_body("only echo is spoken here\n"));
    ///     }
    ///     let response = start_response.start(StatusCode::SWITCHING_PROTOCOLS, [(UPGRADE, "echo")]);
    ///     Ok(response.with_body(Body::upgrade(|mut connection: Upgraded| {
    ///         let mut bytes = [0; 1024];
    ///         while let Ok(n @ 1..) = connection.read(&mut bytes) {
    ///             if connection.write_all(&bytes[..n]).is_err() {
    ///                 break;
    ///             }
    ///         }
    ///     })))
    /// }
    /// ```
    pub fn upgrade(protocol: impl FnOnce(Upgraded) + Send + 'static) -> Body {
        Body::Upgrade(Upgrade::blocking(protocol))
    }

    /// After status 101: `protocol` gets the connection and is awaited.
    ///
    /// ```
    /// use gateway_core::{Body, Upgraded};
    ///
    /// let body = Body::upgrade_async(|connection: Upgraded| async move {
    ///     let mut bytes = [0; 1024];
    ///     while let Ok(n @ 1..) = connection.read_async(&mut bytes).await {
    ///         if connection.write_all_async(&bytes[..n]).await.is_err() {
    ///             break;
    ///         }
    ///     }
    /// });
    /// ```
    pub fn upgrade_async<F, Fut>(protocol: F) -> Body
    where
        F: FnOnce(Upgraded) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Body::Upgrade(Upgrade::future(protocol))
    }

    /// The length in bytes, where the kind tells it.
    pub fn len(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::File(file) => Some(file.len),
            Body::Stream(body) => body.size_hint().exact(),
            Body::Iter(_) | Body::Upgrade(_) => None,
        }
    }

    /// Whether the kind tells that there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Body::Iter(_) => f.write_str("Iter(..)"),
            Body::File(file) => f.debug_tuple("File").field(file).finish(),
            Body::Stream(_) => f.write_str("Stream(..)"),
            Body::Upgrade(_) => f.write_str("Upgrade(..)"),
        }
    }
}

macro_rules! from_bytes {
    ($($source:ty),*) => {$(
        impl From<$source> for Body {
            fn from(bytes: $source) -> Body {
                Body::Bytes(Bytes::from(bytes))
            }
        }
    )*};
}

from_bytes!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

/// Forgets the body's type.
pub(crate) fn erase<B>(body: B) -> StreamBody
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Box::pin(MapError(Box::pin(body)))
}

struct MapError<B>(Pin<Box<B>>);

impl<B> http_body::Body for MapError<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        self.0.as_mut().poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_sent_from_where_it_stands() {
        let mut file = tempfile();
        file.seek(io::SeekFrom::Start(3)).expect("a file seeks");
        let Body::File(body) = Body::file(file).expect("a file has a length") else {
            panic!("not a file")
        };
        assert_eq!((body.offset, body.len), (3, 7));
    }

    #[test]
    fn lengths_are_known_where_the_kind_tells() {
        assert_eq!(Body::Empty.len(), Some(0));
        assert_eq!(Body::from("four").len(), Some(4));
        assert_eq!(Body::iter([Ok(Bytes::new())]).len(), None);
        assert!(Body::from("").is_empty());
    }

    fn tempfile() -> File {
        use std::io::Write;
        let path = std::env::temp_dir().join(format!("gateway-body-{}", std::process::id()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .expect("a temporary file");
        std::fs::remove_file(&path).expect("it can be unlinked");
        file.write_all(b"0123456789").expect("it takes ten bytes");
        file
    }
}
