//! From a request to what answers it.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use gateway_core::http::header::{
    ALLOW, CONTENT_TYPE, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{
    Application, Environ, Error, Reply, Response, ResponseHeaders, Result, StartResponse,
};
use gateway_request::fields::{values, weighted};
use rustix::io::Errno;

use crate::answer::Answer;
use crate::builder::StaticFilesBuilder;
use crate::compress::Encoders;
use crate::cors::Origins;
use crate::fields::media_quality;
use crate::listing::{self, recent::Recent};
use crate::media::Media;
use crate::path::{PathError, RequestPath, push_query};
use crate::root::{Found, Look, Opened, Root};
use crate::upload::Uploads;

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// A directory of files, as an application. The crate's documentation says what it answers.
///
/// Opening files blocks: where the server cannot have that, it answers [`Reply::Blocking`], unless
/// the kernel finds the file without the disk (Linux 5.12, a local file system, and symbolic links
/// that lead out are not followed).
/// Clones share the root.
///
/// # Examples
///
/// ```
/// use gateway_static::{StaticError, StaticFiles};
///
/// # fn main() -> Result<(), StaticError> {
/// # let directory = std::env::temp_dir();
/// let app = StaticFiles::new(directory).listing(true).cache_control("no-cache").build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct StaticFiles {
    site: Arc<Site>,
}

impl StaticFiles {
    /// A builder for the files below `root`.
    #[expect(clippy::new_ret_no_self, reason = "the builder is how one is made")]
    pub fn new(root: impl Into<PathBuf>) -> StaticFilesBuilder {
        StaticFilesBuilder::new(root.into())
    }

    pub(crate) fn of(site: Site) -> StaticFiles {
        StaticFiles { site: Arc::new(site) }
    }
}

impl Application for StaticFiles {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        if let Some(uploads) = &self.site.uploads
            && uploads.takes(environ.method())
        {
            return uploads.reply(Arc::clone(&self.site), environ, start_response);
        }
        if !environ.nonblocking() {
            let answer = self.site.answer(&environ, &Look::patient());
            return Reply::Ready(self.site.respond(&environ, start_response, answer));
        }
        // Most files are asked for again and again: finding those takes less than another thread.
        if self.site.root.looks_at_once() {
            let look = Look::at_once();
            let answer = self.site.answer(&environ, &look);
            if !look.has_missed() {
                return Reply::Ready(self.site.respond(&environ, start_response, answer));
            }
        }
        let site = Arc::clone(&self.site);
        Reply::blocking(move || {
            let answer = site.answer(&environ, &Look::patient());
            site.respond(&environ, start_response, answer)
        })
    }
}

impl fmt::Debug for StaticFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StaticFiles").field(&self.site).finish()
    }
}

/// The root and what was chosen about it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) root: Root,
    pub(crate) index_files: Vec<Vec<u8>>,
    pub(crate) listing: bool,
    pub(crate) hidden_files: bool,
    pub(crate) precompressed: bool,
    pub(crate) compression: bool,
    pub(crate) encoders: Encoders,
    pub(crate) max_ranges: usize,
    pub(crate) charset: Option<String>,
    pub(crate) spa: Option<Vec<u8>>,
    pub(crate) not_found: Option<Vec<u8>>,
    /// Names below the root and what files below them get, the longest first.
    pub(crate) cache_control: Vec<(Vec<u8>, HeaderValue)>,
    pub(crate) origins: Origins,
    pub(crate) uploads: Option<Uploads>,
    pub(crate) listings: Recent,
}

/// A file below the root, with the name it was found by.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: Cow<'a, [u8]>,
    pub(crate) opened: Opened,
}

enum Place<'a> {
    File(Named<'a>),
    Directory(Opened),
    Missing,
    Forbidden,
}

impl Site {
    pub(crate) fn respond(
        &self,
        environ: &Environ,
        start_response: StartResponse,
        answer: Result<Answer>,
    ) -> Result<Response> {
        let answer = self.origins.apply(environ, answer?.with(X_CONTENT_TYPE_OPTIONS, NOSNIFF));
        let headers: ResponseHeaders = answer.headers.into_iter().collect();
        Ok(start_response.start(answer.status, headers).with_body(answer.body))
    }

    fn answer(&self, environ: &Environ, look: &Look) -> Result<Answer> {
        match *environ.method() {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => {
                let methods = self.methods(environ.raw_path_info());
                return Ok(Answer::empty(StatusCode::NO_CONTENT).with(ALLOW, methods));
            }
            ref other => {
                let methods = self.methods(environ.raw_path_info());
                return Ok(Answer::text(refusal_of(other)).with(ALLOW, methods));
            }
        }
        // A browser would take it for the name of another host when it comes back as a link.
        if environ.raw_script_name().starts_with("//") {
            return self.not_found(look);
        }
        let raw = environ.raw_path_info();
        let path = match RequestPath::parse(raw, self.hidden_files) {
            Ok(path) => path,
            Err(PathError::Malformed) => return Ok(Answer::text(StatusCode::BAD_REQUEST)),
            Err(PathError::Refused) => return self.not_found(look),
        };
        if raw.is_empty() && !environ.raw_script_name().is_empty() {
            return Ok(redirect(environ, &path));
        }
        match self.find(&path, look)? {
            Place::File(file) => self.file(environ, file, look),
            Place::Directory(_) if !path.is_directory() => Ok(redirect(environ, &path)),
            // Its entries are read from the disk.
            Place::Directory(_) if self.listing && look.leaves_out() => self.not_found(look),
            Place::Directory(directory) if self.listing => {
                listing::answer(self, environ, &path, directory)
            }
            Place::Directory(_) | Place::Missing => self.missing(environ, &path, look),
            Place::Forbidden => Ok(Answer::text(StatusCode::FORBIDDEN)),
        }
    }

    /// What `Allow` says of a path.
    pub(crate) fn methods(&self, raw_path: &str) -> HeaderValue {
        self.uploads.as_ref().map_or(METHODS, |uploads| uploads.methods(raw_path))
    }

    fn find<'a>(&self, path: &'a RequestPath, look: &Look) -> Result<Place<'a>> {
        if path.is_directory() {
            // Trying the index first saves opening the directory.
            for index in &self.index_files {
                let name = path.join(index);
                match self.open(name, look)? {
                    Place::File(file) => return Ok(Place::File(file)),
                    Place::Forbidden => return Ok(Place::Forbidden),
                    Place::Directory(_) | Place::Missing => {}
                }
            }
        }
        match self.open(path.name(), look)? {
            Place::File(_) if path.is_directory() => Ok(Place::Missing),
            place => Ok(place),
        }
    }

    fn open<'a>(&self, name: impl Into<Cow<'a, [u8]>>, look: &Look) -> Result<Place<'a>> {
        let name = name.into();
        match self.root.find(&name, look) {
            Ok(Found::File(opened)) => Ok(Place::File(Named { name, opened })),
            Ok(Found::Directory(opened)) => Ok(Place::Directory(opened)),
            Err(error) => failed(error),
        }
    }

    fn missing(&self, environ: &Environ, path: &RequestPath, look: &Look) -> Result<Answer> {
        let Some(page) = &self.spa else { return self.not_found(look) };
        let is_route = !path.segments().last().is_some_and(|name| name.contains(&b'.'));
        if is_route
            && takes_html(environ)
            && let Place::File(file) = self.open(page, look)?
        {
            return Ok(self.file(environ, file, look)?.vary("accept"));
        }
        Ok(self.not_found(look)?.vary("accept"))
    }

    fn not_found(&self, look: &Look) -> Result<Answer> {
        let status = StatusCode::NOT_FOUND;
        if let Some(page) = &self.not_found
            && let Place::File(Named { name, opened }) = self.open(page, look)?
        {
            let content_type = self.content_type(&Media::of(&name))?;
            let whole = 0..opened.facts.len;
            return Ok(Answer::empty(status)
                .with(CONTENT_TYPE, content_type)
                .with_body(opened.part(whole)));
        }
        Ok(Answer::text(status))
    }

    pub(crate) fn content_type(&self, media: &Media) -> Result<HeaderValue> {
        media.content_type(self.charset.as_deref())
    }

    /// The `Cache-Control` of the file `name`.
    pub(crate) fn cache_control_of(&self, name: &[u8]) -> Option<HeaderValue> {
        let fits = |prefix: &[u8]| match name.strip_prefix(prefix) {
            Some(rest) => prefix.is_empty() || matches!(rest, [] | [b'/', ..]),
            None => false,
        };
        self.cache_control.iter().find(|(prefix, _)| fits(prefix)).map(|(_, value)| value.clone())
    }
}

/// What a name that could not be opened means for the peer.
fn failed(error: Errno) -> Result<Place<'static>> {
    match error {
        error if is_missing(error) => Ok(Place::Missing),
        Errno::ACCESS | Errno::PERM => Ok(Place::Forbidden),
        error => Err(refused(error)),
    }
}

/// What it means where something is there: later the system may have room for it again.
pub(crate) fn refused(error: Errno) -> Error {
    let cause = std::io::Error::from(error);
    match error {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => {
            Error::with_status(StatusCode::SERVICE_UNAVAILABLE, cause)
        }
        _ => cause.into(),
    }
}

/// Whether nothing that is served can have been named.
pub(crate) fn is_missing(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOENT
            | Errno::NOTDIR
            | Errno::NAMETOOLONG
            | Errno::LOOP
            | Errno::XDEV
            | Errno::INVAL
            | Errno::ILSEQ
            | Errno::NXIO
            | Errno::NODEV
    )
}

/// RFC 9110 §9.1: of a method that nobody knows it cannot be said that it is not allowed.
fn refusal_of(method: &Method) -> StatusCode {
    match *method {
        Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::TRACE
        | Method::CONNECT => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::NOT_IMPLEMENTED,
    }
}

/// To the same directory with its slash.
fn redirect(environ: &Environ, path: &RequestPath) -> Answer {
    let mut location = path.directory_href(environ.raw_script_name());
    if let Some(query) = environ.query_string() {
        location.push('?');
        push_query(&mut location, query);
    }
    match HeaderValue::from_str(&location) {
        Ok(location) => Answer::text(StatusCode::MOVED_PERMANENTLY).with(LOCATION, location),
        Err(_) => Answer::text(StatusCode::BAD_REQUEST),
    }
}

fn takes_html(environ: &Environ) -> bool {
    let accept: Vec<_> = weighted(values(environ, "accept")).collect();
    media_quality(&accept, "text", "html") > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_is_short_of_is_a_503() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert_eq!(refused(errno).status(), StatusCode::SERVICE_UNAVAILABLE, "{errno}");
        }
        assert_eq!(refused(Errno::IO).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
