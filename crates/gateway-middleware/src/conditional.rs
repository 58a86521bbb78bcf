//! Spares peers what they have already.

use std::time::SystemTime;

use gateway_core::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, LAST_MODIFIED,
};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{
    Application, Body, Environ, Error, IntoApplication, Reply, Response, Result, StartResponse,
};
use gateway_request::fields::{single, values};
use sha2::{Digest, Sha256};

/// The longest body that gets a tag, in bytes. Longer ones would take a reactor's thread too long,
/// and are better served by an application that knows what has changed.
const LONGEST: usize = 256 << 10;

/// Gives responses an `ETag` and answers 304 where the peer has the same already.
///
/// The tag is a digest of the body, for a 200 to GET or HEAD whose body is
/// [`Body::Bytes`](gateway_core::Body::Bytes) of up to 256 KiB: no other kind can be looked at without
/// taking it out of the peer's hands. `Cache-Control: no-store` gets none. A tag or a `Last-Modified`
/// of the application's own counts as it is, with bodies of every kind.
///
/// The conditions are those of RFC 9110 §13, in its order: 412 where `If-Match` or
/// `If-Unmodified-Since` fails, 304 where `If-None-Match` or `If-Modified-Since` does. This saves the
/// peer's time and the network's, and not the application's, which has answered by then. For the
/// same reason requests by other methods pass untouched: what they do would be done.
///
/// Mount it inside of `Compression`, so that one tag stands for all codings.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::Conditional;
///
/// fn page(_: Environ, start_response: StartResponse) -> Result<Response> {
///     Ok(start_response.start(StatusCode::OK, ()).with_body("a page\n"))
/// }
///
/// let app = Conditional::new(page);
/// # use gateway_conformance::TestClient;
/// let client = TestClient::new(app);
/// let tag = client.get("/").send().header("etag").expect("it has one").to_owned();
/// let again = client.get("/").header("if-none-match", &tag).send();
/// assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
/// ```
///
/// Source: RFC 9110 §8.8 and §13.
#[derive(Debug)]
pub struct Conditional<A> {
    app: A,
}

impl<A: Application> Conditional<A> {
    /// Looks at the responses of `app`.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> Conditional<A> {
        Conditional { app: app.into_application() }
    }
}

impl<A: Application> Application for Conditional<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        if ![Method::GET, Method::HEAD].contains(environ.method()) {
            return self.app.call(environ, start_response);
        }
        let conditions = Conditions::of(&environ);
        let reply = self.app.call(environ, start_response);
        reply.then(move |outcome| outcome.and_then(|response| conditions.apply(response)))
    }
}

/// What a request asks for. The order is that of RFC 9110 §13.2.2.
#[derive(Debug)]
struct Conditions {
    matches: Option<Vec<u8>>,
    unmodified_since: Option<SystemTime>,
    none_matches: Option<Vec<u8>>,
    modified_since: Option<SystemTime>,
}

/// What there is to compare with.
struct Validators<'a> {
    tag: Option<Tag<'a>>,
    modified: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    opaque: &'a [u8],
    is_weak: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Proceed,
    NotModified,
    Failed,
}

impl Conditions {
    fn of(environ: &Environ) -> Conditions {
        let list = |name| {
            let values: Vec<&[u8]> = values(environ, name).collect();
            (!values.is_empty()).then(|| values.join(&b", "[..]))
        };
        // A field that is no date says nothing.
        let date = |name| httpdate::parse_http_date(single(environ, name)?).ok();
        Conditions {
            matches: list("if-match"),
            unmodified_since: date("if-unmodified-since"),
            none_matches: list("if-none-match"),
            modified_since: date("if-modified-since"),
        }
    }

    fn apply(&self, mut response: Response) -> Result<Response> {
        if response.status() != StatusCode::OK || response.is_head_sent() {
            return Ok(response);
        }
        if let Some(tag) = new_tag(response.headers(), response.body()) {
            response.head_mut()?.headers.insert(ETAG, tag);
        }
        match self.verdict(&Validators::of(response.headers())) {
            Verdict::Proceed => Ok(response),
            Verdict::Failed => {
                let cause = "the response is not the one that the request expects";
                Err(Error::with_status(StatusCode::PRECONDITION_FAILED, cause))
            }
            Verdict::NotModified => {
                let head = response.head_mut()?;
                head.status = StatusCode::NOT_MODIFIED;
                head.reason = None;
                // RFC 9110 §15.4.5: what describes the content stays out, but for what a cache needs.
                for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE] {
                    head.headers.remove(name);
                }
                if head.headers.contains_key(ETAG) {
                    head.headers.remove(LAST_MODIFIED);
                }
                Ok(response.with_body(Body::Empty))
            }
        }
    }

    fn verdict(&self, validators: &Validators<'_>) -> Verdict {
        let names = |list: &[u8], is_same: fn(Tag<'_>, Tag<'_>) -> bool| {
            list.trim_ascii() == b"*"
                || validators.tag.is_some_and(|ours| tags(list).any(|tag| is_same(ours, tag)))
        };
        match (&self.matches, self.unmodified_since, validators.modified) {
            (Some(list), ..) if !names(list, strong) => return Verdict::Failed,
            (None, Some(date), Some(modified)) if modified > date => return Verdict::Failed,
            _ => {}
        }
        match (&self.none_matches, self.modified_since, validators.modified) {
            (Some(list), ..) if names(list, weak) => Verdict::NotModified,
            (None, Some(date), Some(modified)) if modified <= date => Verdict::NotModified,
            _ => Verdict::Proceed,
        }
    }
}

impl Validators<'_> {
    fn of(headers: &HeaderMap) -> Validators<'_> {
        let date = headers.get(LAST_MODIFIED).and_then(|value| value.to_str().ok());
        Validators {
            tag: headers.get(ETAG).and_then(|value| Some(tag(value.as_bytes())?.0)),
            modified: date.and_then(|date| httpdate::parse_http_date(date).ok()),
        }
    }
}

/// A tag for `body` if it has none, and its kind allows one.
fn new_tag(headers: &HeaderMap, body: &Body) -> Option<HeaderValue> {
    let Body::Bytes(bytes) = body else { return None };
    if bytes.len() > LONGEST || headers.contains_key(ETAG) || is_not_to_be_stored(headers) {
        return None;
    }
    // Half of the digest is as good as all of it: nobody gains by two bodies with one tag.
    let digest = Sha256::digest(bytes);
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).ok()
}

fn is_not_to_be_stored(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut members = value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii);
        members.any(|member| member.eq_ignore_ascii_case(b"no-store"))
    })
}

/// RFC 9110 §8.8.3.2.
fn strong(ours: Tag<'_>, theirs: Tag<'_>) -> bool {
    !ours.is_weak && !theirs.is_weak && weak(ours, theirs)
}

fn weak(ours: Tag<'_>, theirs: Tag<'_>) -> bool {
    ours.opaque == theirs.opaque
}

/// The tags of a list, up to what is none. A tag may hold a comma, so the list is not split at it.
fn tags(mut list: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', rest @ ..] = list {
            list = rest;
        }
        let (tag, rest) = tag(list)?;
        list = rest;
        Some(tag)
    })
}

/// `[ "W/" ] DQUOTE *etagc DQUOTE`, and what is behind it.
fn tag(text: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let (is_weak, quoted) = match text.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let rest = quoted.strip_prefix(b"\"")?;
    let end = rest.iter().position(|&b| b == b'"')?;
    let opaque = &rest[..end];
    let is_fit = opaque.iter().all(|&b| b > b' ' && b != 0x7f);
    is_fit.then_some((Tag { opaque, is_weak }, &rest[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_quoted_and_may_hold_commas() {
        let read = |list: &'static str| {
            let text =
                |tag: Tag<'_>| (tag.is_weak, String::from_utf8_lossy(tag.opaque).into_owned());
            tags(list.as_bytes()).map(text).collect::<Vec<_>>()
        };
        let tag = |is_weak, opaque: &str| (is_weak, opaque.to_owned());
        assert_eq!(
            read(r#""a", W/"b,c" ,,"d""#),
            [tag(false, "a"), tag(true, "b,c"), tag(false, "d")]
        );
        assert_eq!(read(r#""a", junk, "b""#), [tag(false, "a")]);
        for none in ["", "a", "\"a", "w/\"a\"", "\"a b\"", "W/"] {
            assert_eq!(read(none), [], "{none}");
        }
    }
}
