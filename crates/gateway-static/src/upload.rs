//! Files that peers send.

mod incoming;
mod name;
mod origin;
mod refusal;
mod report;

use std::os::fd::AsFd;
use std::sync::Arc;

use gateway_core::bytes::Bytes;
use gateway_core::http::{HeaderValue, Method};
use gateway_core::{Environ, Input, Reply, Result, StartResponse};
use gateway_request::fields::values;
use gateway_request::{Multipart, Part};
use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;

use crate::answer::Answer;
use crate::path::{RequestPath, decode, is_hidden, push_segment, shown};
use crate::root::{Found, Look, Opened};
use crate::site::{Site, is_missing};
use incoming::Incoming;
use refusal::Refusal;

/// How many parts a form may have, files and other fields together.
const MAX_PARTS: usize = 1000;

/// That files may be uploaded, and how much.
#[derive(Debug)]
pub(crate) struct Uploads {
    /// How many bytes a request may have.
    limit: u64,
}

impl Uploads {
    pub(crate) fn new(allowed: bool, limit: u64) -> Option<Uploads> {
        allowed.then_some(Uploads { limit })
    }

    /// Whether a request of this method is for [`reply`](Uploads::reply).
    pub(crate) fn takes(&self, method: &Method) -> bool {
        matches!(*method, Method::POST | Method::PUT)
    }

    /// What `Allow` says: files are put, and forms are posted to directories.
    pub(crate) fn methods(&self, raw_path: &str) -> HeaderValue {
        HeaderValue::from_static(match raw_path {
            "*" => "GET, HEAD, POST, PUT, OPTIONS",
            path if is_directory(path) => "GET, HEAD, POST, OPTIONS",
            _ => "GET, HEAD, PUT, OPTIONS",
        })
    }

    /// Reads the body, which blocks, and answers.
    pub(crate) fn reply(
        &self,
        site: Arc<Site>,
        mut environ: Environ,
        start: StartResponse,
    ) -> Reply {
        let nonblocking = environ.nonblocking();
        let work = move || {
            let answer = answer(&site, &mut environ);
            site.respond(&environ, start, answer)
        };
        if nonblocking { Reply::blocking(work) } else { Reply::Ready(work()) }
    }
}

/// A file that is in its place.
#[derive(Debug)]
struct Stored {
    name: Vec<u8>,
    /// Encoded, absolute.
    href: String,
    len: u64,
}

fn answer(site: &Site, environ: &mut Environ) -> Result<Answer> {
    let mut stored = Vec::new();
    match receive(site, environ, &mut stored) {
        Ok(()) => report::stored(environ, &stored),
        // Nobody is left to be told.
        Err(Refusal::Body(error)) if error.is_disconnect() => Err(error),
        Err(refusal) => {
            if refusal.is_ours() {
                let about = format!("{} {}", environ.method(), environ.raw_target());
                if refusal.is_shortage() {
                    environ.errors().error_seldom(about, &refusal);
                } else {
                    environ.errors().error(about, &refusal);
                }
            }
            report::refused(site, environ, &refusal, &stored)
        }
    }
}

/// Puts what comes into its place, and notes each file in `stored` when it is there.
fn receive(site: &Site, environ: &mut Environ, stored: &mut Vec<Stored>) -> Result<(), Refusal> {
    // A browser would take it for the name of another host when it comes back as a link.
    if environ.raw_script_name().starts_with("//") {
        return Err(Refusal::NoDirectory);
    }
    origin::check(environ)?;
    let raw = environ.raw_path_info().to_owned();
    match (environ.method() == Method::PUT, is_directory(&raw)) {
        (true, false) => stored.push(put(site, environ, &raw)?),
        (false, true) => post(site, environ, &raw, stored)?,
        (true, true) => return Err(Refusal::NoName),
        (false, false) => return Err(Refusal::NoSlash),
    }
    Ok(())
}

/// The whole body becomes the file that the path names.
///
/// Source: RFC 9110 §9.3.4.
fn put(site: &Site, environ: &mut Environ, raw: &str) -> Result<Stored, Refusal> {
    let slash = raw.rfind('/').ok_or(Refusal::NoDirectory)?;
    let shelf = Shelf::find(site, environ, &raw[..=slash])?;
    let mut name = Vec::new();
    decode(&raw[slash + 1..], &mut name)?;
    shelf.check(&name)?;
    let is_there = |field| values(environ, field).next().is_some();
    // RFC 9110 §14.5: a part of a file must not pass for the whole.
    if is_there("content-range") {
        return Err(Refusal::Range);
    }
    if values(environ, "content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::Coding);
    }
    // §13.1.1: there is nothing that it could match.
    if is_there("if-match") {
        return Err(Refusal::Precondition);
    }
    let input = environ.input();
    limit(site, input)?;
    shelf.store(name, None, || Ok(input.data().transpose()?))
}

/// Each file of the form goes into the directory, under the name that the peer gives.
///
/// Source: RFC 7578.
fn post(
    site: &Site,
    environ: &mut Environ,
    raw: &str,
    stored: &mut Vec<Stored>,
) -> Result<(), Refusal> {
    let shelf = Shelf::find(site, environ, raw)?;
    limit(site, environ.input())?;
    let mut form = Multipart::new(environ)?;
    let mut parts = 0;
    while let Some(mut part) = form.next_part()? {
        parts += 1;
        if parts > MAX_PARTS {
            return Err(Refusal::TooManyParts);
        }
        let Some(name) = file_name(&part)? else { continue };
        let mut first = None;
        if name.is_empty() {
            // So browsers send an input for files in which none was chosen.
            first = part.data()?;
            if first.is_none() {
                continue;
            }
        }
        shelf.check(&name)?;
        stored.push(shelf.store(name, first, || Ok(part.data()?))?);
    }
    if stored.is_empty() { Err(Refusal::NoFile) } else { Ok(()) }
}

/// The name that the peer has for a part that is a file.
fn file_name(part: &Part<'_>) -> Result<Option<Vec<u8>>, Refusal> {
    if let Some(name) = part.file_name() {
        return Ok(Some(name.as_bytes().to_vec()));
    }
    // The parser knows no name that is no UTF-8; its file must not be passed over in silence.
    match part.headers().get("content-disposition") {
        Some(field) if std::str::from_utf8(field.as_bytes()).is_err() => Err(Refusal::NoText),
        _ => Ok(None),
    }
}

/// A declared length over the limit fails the first read, before anything is sent or read.
fn limit(site: &Site, input: &mut Input) -> Result<(), Refusal> {
    let limit = site.uploads.as_ref().map_or(0, |uploads| uploads.limit);
    Ok(input.limit(limit)?)
}

fn is_directory(raw_path: &str) -> bool {
    raw_path.is_empty() || raw_path.ends_with('/')
}

/// A directory that files go into.
struct Shelf {
    directory: Opened,
    href: String,
    hidden_files: bool,
}

impl Shelf {
    /// Opens what `raw` names, which ends with a slash: a directory that is served, without hidden
    /// ones.
    fn find(site: &Site, environ: &Environ, raw: &str) -> Result<Shelf, Refusal> {
        let path = RequestPath::parse(raw, site.hidden_files)?;
        // `/.well-known` can be read; but who writes there speaks for the host, to a certificate
        // authority for one (RFC 8555 §8.3).
        if !site.hidden_files && path.segments().any(is_hidden) {
            return Err(Refusal::NoDirectory);
        }
        match site.root.find(path.name(), &Look::patient()) {
            Ok(Found::Directory(directory)) => Ok(Shelf {
                directory,
                href: path.directory_href(environ.raw_script_name()),
                hidden_files: site.hidden_files,
            }),
            Ok(Found::File(_)) => Err(Refusal::NoDirectory),
            Err(errno) if is_missing(errno) => Err(Refusal::NoDirectory),
            Err(errno) => Err(Refusal::System { name: None, errno }),
        }
    }

    /// Whether `name` can be had here. That it is free is certain only when the file is there.
    fn check(&self, name: &[u8]) -> Result<(), Refusal> {
        name::check(name, self.hidden_files)
            .map_err(|reason| Refusal::Name { name: shown(name), reason })?;
        match statat(&self.directory.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Refusal::Exists(shown(name))),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Refusal::System { name: Some(shown(name)), errno }),
        }
    }

    /// Writes `first` and what `next` gives, to its end, and puts it under its name.
    fn store(
        &self,
        name: Vec<u8>,
        first: Option<Bytes>,
        mut next: impl FnMut() -> Result<Option<Bytes>, Refusal>,
    ) -> Result<Stored, Refusal> {
        let failed = |errno| match errno {
            Errno::EXIST => Refusal::Exists(shown(&name)),
            errno => Refusal::System { name: Some(shown(&name)), errno },
        };
        let mut file = Incoming::create(self.directory.file.as_fd()).map_err(failed)?;
        let mut len = 0;
        let mut data = first;
        loop {
            if let Some(data) = &data {
                file.write(data).map_err(failed)?;
                len += data.len() as u64;
            }
            data = next()?;
            if data.is_none() {
                break;
            }
        }
        file.keep(&name).map_err(failed)?;
        let mut href = self.href.clone();
        push_segment(&mut href, &name);
        Ok(Stored { name, href, len })
    }
}
