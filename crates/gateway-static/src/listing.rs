//! Directories, listed.

mod json;
mod order;
pub(crate) mod page;
pub(crate) mod recent;

use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use gateway_core::{Body, Environ, Result};
use gateway_request::fields::{values, weighted};
use rustix::fs::{AtFlags, Dir, FileType, statat};

use crate::answer::Answer;
use crate::conditional::{Verdict, evaluate};
use crate::fields::media_quality;
use crate::media::{Kind, Media};
use crate::path::{RequestPath, is_passed_over, push_segment, shown};
use crate::root::{Found, Look, Opened};
use crate::site::{Site, refused};
use crate::validators::Validators;

/// The page's own style is all that it may load.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                                 base-uri 'none'; form-action 'none'";

/// The same, with a form that sends files to where the page is from.
const POLICY_WITH_FORM: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                                base-uri 'none'; form-action 'self'";

/// Lists `directory`, which `path` names.
pub(crate) fn answer(
    site: &Site,
    environ: &Environ,
    path: &RequestPath,
    directory: Opened,
) -> Result<Answer> {
    // A listing has no validators, so of the preconditions only `*` can hold.
    match evaluate(environ, &Validators::default()) {
        Verdict::Failed => return Ok(Answer::text(StatusCode::PRECONDITION_FAILED)),
        Verdict::NotModified => return Ok(Answer::empty(StatusCode::NOT_MODIFIED).vary("accept")),
        Verdict::Proceed => {}
    }
    let place = Place::new(environ, path);
    let (json, uploads) = (prefers_json(environ), site.uploads.is_some());
    let text = site.listings.get(directory.facts, place.href.clone(), json, || {
        let mut entries = read(site, path, &directory)?;
        entries.sort_by_cached_key(Entry::order);
        Ok(if json { json::text(&place, &entries) } else { page::text(&place, &entries, uploads) })
    })?;
    let answer = Answer::empty(StatusCode::OK).vary("accept").with_body(Body::from(text));
    Ok(if json {
        answer.with(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    } else {
        let policy = if uploads { POLICY_WITH_FORM } else { POLICY };
        answer
            .with(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
            .with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
    })
}

/// Where a listed directory is.
struct Place {
    /// Encoded, absolute, with a slash at its end.
    href: String,
    /// From the root to the directory: what to show, and where it leads.
    crumbs: Vec<(String, String)>,
}

impl Place {
    fn new(environ: &Environ, path: &RequestPath) -> Place {
        let root = RequestPath::default().directory_href(environ.raw_script_name());
        let mut href = root.clone();
        let mut crumbs = vec![(String::new(), root)];
        for segment in path.segments() {
            push_segment(&mut href, segment);
            href.push('/');
            crumbs.push((shown(segment), href.clone()));
        }
        Place { href, crumbs }
    }

    fn href_of(&self, entry: &Entry) -> String {
        let mut href = self.href.clone();
        push_segment(&mut href, &entry.name);
        if entry.kind == Kind::Directory {
            href.push('/');
        }
        href
    }
}

/// A file or directory in a listing.
#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    shown: String,
    kind: Kind,
    len: u64,
    /// In seconds since 1970.
    modified: i64,
}

impl Entry {
    /// Directories first, then by name as people count.
    fn order(&self) -> impl Ord + use<> {
        (self.kind != Kind::Directory, order::key(&self.shown), self.name.clone())
    }

    /// RFC 3339, in UTC.
    fn modified(&self) -> Option<String> {
        let seconds = u64::try_from(self.modified).ok()?;
        Some(humantime::format_rfc3339_seconds(crate::validators::time(seconds)).to_string())
    }
}

/// What is there and would be served.
fn read(site: &Site, path: &RequestPath, directory: &Opened) -> Result<Vec<Entry>> {
    let handle = &directory.file;
    let mut entries = Vec::new();
    for item in Dir::read_from(handle).map_err(refused)? {
        let item = item.map_err(refused)?;
        let name = item.file_name().to_bytes();
        if matches!(name, b"." | b"..") || is_passed_over(name, site.hidden_files) {
            continue;
        }
        // Gone already, if this fails.
        let Ok(stat) = statat(handle, item.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let (is_directory, len, modified) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => (true, 0, stat.st_mtime),
            FileType::RegularFile => {
                (false, u64::try_from(stat.st_size).unwrap_or(0), stat.st_mtime)
            }
            FileType::Symlink => match site.root.find(&path.join(name), &Look::patient()) {
                Ok(Found::Directory(opened)) => (true, 0, opened.facts.modified.seconds),
                Ok(Found::File(opened)) => (false, opened.facts.len, opened.facts.modified.seconds),
                Err(_) => continue,
            },
            _ => continue,
        };
        let shown = shown(name);
        entries.push(Entry {
            kind: if is_directory { Kind::Directory } else { Media::of(name).kind() },
            name: name.to_vec(),
            shown,
            len,
            modified,
        });
    }
    Ok(entries)
}

/// Whether programs are answered, and not people.
pub(crate) fn prefers_json(environ: &Environ) -> bool {
    let accept: Vec<_> = weighted(values(environ, "accept")).collect();
    media_quality(&accept, "application", "json") > media_quality(&accept, "text", "html")
}
