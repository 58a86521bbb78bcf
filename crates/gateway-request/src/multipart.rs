//! Forms with files, part by part.

mod error;
mod feed;

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream as _;
use gateway_core::bytes::{Buf, Bytes, BytesMut};
use gateway_core::http::header::{CONTENT_TYPE, HeaderMap};
use gateway_core::{Environ, Input};
use mediatype::ReadParams;
use mediatype::names::BOUNDARY;

use crate::content_type::content_type;
use feed::Feed;

pub use error::MultipartError;

/// How much may stand before the data of a part: what is in front of its boundary, and its head.
/// 8 KiB, and what has come with the last of it.
pub const MAX_PART_HEAD: usize = 8 << 10;

/// The parts of a `multipart/form-data` body, one after another as they come.
///
/// Nothing is kept: a part is read before the next, or passed over, and at most one piece of the body
/// is in memory, so a slow application slows its peer down. Every call is there to block and to
/// await, and one body may be read by both.
///
/// The whole body is bound by the body limit, 2 MiB where nobody has set another: call
/// [`Input::limit`] before for larger files.
///
/// After an error of the parser or of the body there are no more parts.
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_request::Multipart;
///
/// fn upload(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
///     environ.input().limit(1 << 30)?;
///     let mut multipart = Multipart::new(&mut environ)?;
///     let (mut title, mut length) = (String::new(), 0);
///     while let Some(mut part) = multipart.next_part()? {
///         match part.name() {
///             "title" => title = part.text(1000)?,
///             "file" => length += std::io::copy(&mut part, &mut std::io::sink())?,
///             _ => {}
///         }
///     }
///     let text = format!("{title}: {length} bytes\n");
///     Ok(start_response.start(StatusCode::OK, ()).with_body(text))
/// }
/// ```
///
/// Source: RFC 7578; RFC 2046 §5.1.
pub struct Multipart {
    parser: multer::Multipart<'static>,
    /// The part that was given out last.
    part: Option<multer::Field<'static>>,
    /// How much has been read since its data ended.
    before_data: usize,
    source: Source,
}

impl Multipart {
    /// Takes the request's body; nothing is read yet.
    ///
    /// # Errors
    ///
    /// [`MultipartError::MediaType`] if the body is not said to be `multipart/form-data`;
    /// [`MultipartError::Boundary`] if it is, without a boundary of 1 to 70 characters. The body
    /// stays in the environ then.
    pub fn new(environ: &mut Environ) -> Result<Multipart, MultipartError> {
        let media_type =
            content_type(environ, "multipart", "form-data").ok_or(MultipartError::MediaType)?;
        let boundary = media_type.get_param(BOUNDARY).ok_or(MultipartError::Boundary)?;
        let boundary = boundary.unquoted_str().into_owned();
        if !(1..=70).contains(&boundary.len()) {
            return Err(MultipartError::Boundary);
        }
        Ok(Multipart::of(environ.take_input(), boundary))
    }

    fn of(input: Input, boundary: String) -> Multipart {
        let (feed, pieces) = feed::feed();
        let parser = multer::Multipart::new(pieces, boundary);
        let source = Source { input, feed, rest: Bytes::new(), failed: false };
        Multipart { parser, part: None, before_data: 0, source }
    }

    /// Blocks until the head of the next part is there; `None` after the last. What is unread of the
    /// part before is read and dropped.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Malformed`], [`Unnamed`](MultipartError::Unnamed) or
    /// [`HeadTooLarge`](MultipartError::HeadTooLarge) where the peer sends no such body;
    /// [`AfterError`](MultipartError::AfterError) after any of these;
    /// [`Read`](MultipartError::Read) with the errors of [`Input::data`].
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, MultipartError> {
        let part = loop {
            match self.poll_head() {
                Poll::Ready(part) => break part?,
                Poll::Pending => self.before_data += self.source.read()?,
            }
        };
        self.give_out(part)
    }

    /// Awaits the head of the next part; `None` after the last. Dropping the future loses nothing
    /// but the rest of the part before.
    ///
    /// # Errors
    ///
    /// Those of [`next_part`](Multipart::next_part), with the errors of [`Input::data_async`].
    pub async fn next_part_async(&mut self) -> Result<Option<Part<'_>>, MultipartError> {
        let part = loop {
            match self.poll_head() {
                Poll::Ready(part) => break part?,
                Poll::Pending => self.before_data += self.source.read_async().await?,
            }
        };
        self.give_out(part)
    }

    /// Parses what is there; `Pending` where more of the body is wanted.
    fn poll_head(&mut self) -> Poll<Result<Option<multer::Field<'static>>, MultipartError>> {
        if let Some(part) = &mut self.part {
            // Here, and not by the parser, which would stop where the data ends.
            while ready!(self.source.poll_data(part))?.is_some() {}
            self.part = None;
            self.before_data = 0;
        }
        if self.source.failed {
            return Poll::Ready(Err(MultipartError::AfterError));
        }
        match self.parser.poll_next_field(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(part) => Poll::Ready(part.map_err(|error| self.source.fail(error))),
            Poll::Pending if self.before_data > MAX_PART_HEAD => {
                self.source.failed = true;
                Poll::Ready(Err(MultipartError::HeadTooLarge { limit: MAX_PART_HEAD }))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn give_out(
        &mut self,
        part: Option<multer::Field<'static>>,
    ) -> Result<Option<Part<'_>>, MultipartError> {
        let Some(field) = part else { return Ok(None) };
        if field.name().is_none() {
            self.source.failed = true;
            return Err(MultipartError::Unnamed);
        }
        Ok(Some(Part { field: self.part.insert(field), source: &mut self.source }))
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart").field("input", &self.source.input).finish_non_exhaustive()
    }
}

/// One part: its head is there, its data comes as it is read, by blocking or by awaiting.
///
/// It is a [`Read`], too, for [`io::copy`] and the like; its errors become what they were by `?`.
pub struct Part<'a> {
    field: &'a mut multer::Field<'static>,
    source: &'a mut Source,
}

impl Part<'_> {
    /// The name of the form's field.
    pub fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// The name that the file has at the peer, where it is one. It is the peer's word: show it, keep
    /// it, but make no path of it.
    ///
    /// Source: RFC 7578 §4.2.
    pub fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// The media type that the peer gives, which is its word as well. Without one it is `text/plain`.
    ///
    /// Source: RFC 7578 §4.4.
    pub fn content_type(&self) -> Option<&str> {
        self.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// All fields of the part's head; of several with one name the last.
    pub fn headers(&self) -> &HeaderMap {
        self.field.headers()
    }

    /// Blocks until the next data, which is never empty; `None` at the part's end.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Malformed`] if the body ends within the part, or
    /// [`AfterError`](MultipartError::AfterError) after that; [`Read`](MultipartError::Read) with the
    /// errors of [`Input::data`].
    pub fn data(&mut self) -> Result<Option<Bytes>, MultipartError> {
        loop {
            match self.source.poll_data(self.field) {
                Poll::Ready(data) => return data,
                Poll::Pending => _ = self.source.read()?,
            }
        }
    }

    /// Awaits the next data, which is never empty; `None` at the part's end. Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    ///
    /// Those of [`data`](Part::data), with the errors of [`Input::data_async`].
    pub async fn data_async(&mut self) -> Result<Option<Bytes>, MultipartError> {
        loop {
            match self.source.poll_data(self.field) {
                Poll::Ready(data) => return data,
                Poll::Pending => _ = self.source.read_async().await?,
            }
        }
    }

    /// Blocks until the rest of the part is there, in one piece of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`MultipartError::PartTooLarge`] past `limit`, after which the next part can still be read;
    /// and those of [`data`](Part::data).
    pub fn collect(&mut self, limit: usize) -> Result<Bytes, MultipartError> {
        let mut all = BytesMut::new();
        while let Some(data) = self.data()? {
            extend(&mut all, &data, limit)?;
        }
        Ok(all.freeze())
    }

    /// Like [`collect`](Part::collect), for async applications. What has come is lost if the future
    /// is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`collect`](Part::collect).
    pub async fn collect_async(&mut self, limit: usize) -> Result<Bytes, MultipartError> {
        let mut all = BytesMut::new();
        while let Some(data) = self.data_async().await? {
            extend(&mut all, &data, limit)?;
        }
        Ok(all.freeze())
    }

    /// Like [`collect`](Part::collect), for a field that is text. It must be UTF-8, as what browsers
    /// send from pages in UTF-8 is.
    ///
    /// # Errors
    ///
    /// [`MultipartError::NotText`] if it is not UTF-8; and those of [`collect`](Part::collect).
    pub fn text(&mut self, limit: usize) -> Result<String, MultipartError> {
        text(self.collect(limit)?)
    }

    /// Like [`text`](Part::text), for async applications.
    ///
    /// # Errors
    ///
    /// Those of [`text`](Part::text).
    pub async fn text_async(&mut self, limit: usize) -> Result<String, MultipartError> {
        text(self.collect_async(limit).await?)
    }
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let Some(mut data) = self.data().map_err(gateway_core::Error::from)? else { return Ok(0) };
        let taken = data.len().min(into.len());
        data.copy_to_slice(&mut into[..taken]);
        self.source.rest = data;
        Ok(taken)
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name())
            .field("file_name", &self.file_name())
            .field("content_type", &self.content_type())
            .finish_non_exhaustive()
    }
}

/// The body, and how it goes to the parser: one piece, when the parser has none left. The parser by
/// itself would take all that is ready, which on a server that reads in place is the whole body.
struct Source {
    input: Input,
    feed: Feed,
    /// What `read` has left of the data that it took last.
    rest: Bytes,
    /// The parser has lost its place.
    failed: bool,
}

impl Source {
    /// Gives the parser the next piece, and says how much that was.
    fn read(&mut self) -> Result<usize, MultipartError> {
        let data = self.input.data().transpose()?;
        Ok(self.feed.put(data))
    }

    async fn read_async(&mut self) -> Result<usize, MultipartError> {
        let data = self.input.data_async().await.transpose()?;
        Ok(self.feed.put(data))
    }

    /// The next data of the part that is there; `Pending` where more of the body is wanted.
    fn poll_data(
        &mut self,
        part: &mut multer::Field<'static>,
    ) -> Poll<Result<Option<Bytes>, MultipartError>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.rest))));
        }
        if self.failed {
            return Poll::Ready(Err(MultipartError::AfterError));
        }
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match ready!(Pin::new(&mut *part).poll_next(&mut cx)) {
                // Where the boundary comes right behind.
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Poll::Ready(Ok(Some(data))),
                Some(Err(error)) => return Poll::Ready(Err(self.fail(error))),
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn fail(&mut self, error: multer::Error) -> MultipartError {
        self.failed = true;
        MultipartError::Malformed(error.into())
    }
}

fn extend(all: &mut BytesMut, data: &[u8], limit: usize) -> Result<(), MultipartError> {
    if data.len() > limit - all.len() {
        return Err(MultipartError::PartTooLarge { limit });
    }
    all.extend_from_slice(data);
    Ok(())
}

fn text(bytes: Bytes) -> Result<String, MultipartError> {
    String::from_utf8(bytes.into()).map_err(|error| MultipartError::NotText(error.utf8_error()))
}

#[cfg(test)]
mod tests;
