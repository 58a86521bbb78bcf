//! Makes responses shorter.

mod encoder;
mod items;
mod stream;

use std::fmt;
use std::sync::Arc;

use gateway_core::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderValue,
};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{
    Application, Body, Environ, Head, IntoApplication, Reply, Response, StartResponse,
};
use gateway_request::fields::values;
use gateway_request::preferred_encoding;

use crate::coding::Coding;
use crate::vary::add_vary;
use encoder::Encoder;
use items::{CompressedItems, pieces};
use stream::CompressedStream;

/// How much is compressed at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// Up to which length a body in memory is compressed at once, in bytes: it may be on a thread that
/// others wait for.
const AT_ONCE: usize = 32 * 1024;

/// Fields that say what the bytes are; with other bytes they would be wrong.
const DIGESTS: [&str; 4] = ["content-digest", "content-md5", "digest", "repr-digest"];

type IsCompressible = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Compresses responses for peers that accept it, with gzip, and with Brotli if that is asked for.
///
/// A response is left as it is if it
///
/// - has a content coding already, so nothing is compressed twice;
/// - is shorter than [`min_size`](Compression::min_size), as far as its length is known;
/// - has no [type](Compression::types) that compresses well, or none at all;
/// - has `Cache-Control: no-transform`, or a digest of its bytes;
/// - is a part (206, or with `Content-Range`) or has no content;
/// - is on its way already, by `write`.
///
/// What could have been compressed says `Vary: Accept-Encoding`, and what was has no
/// `Content-Length` but the new one, no `Accept-Ranges`, and a weak `ETag` in the place of a strong
/// one; a 304 keeps to that.
///
/// Bodies stream: an item of an iterator is flushed before the next is asked for, and a stream's
/// data as soon as it is pending, so nothing waits in here. Files, iterators and bytes beyond
/// 32 KiB become iterators, which servers pump where blocking is no harm; streams are compressed
/// where they are polled. A compressor lives until its response is read, and takes 0.4 MiB with gzip and
/// 2 with Brotli: beside peers who read slowly, [`ConcurrencyLimit`](crate::ConcurrencyLimit) bounds how
/// many there are.
///
/// What an application inside adds with `on_head` comes too late to be heeded here. Do not compress
/// a secret beside something that a stranger chose: the length gives it away.
///
/// For applications that are async alone tower-http's `CompressionLayer` knows more codings.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse};
/// use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
/// use gateway_middleware::Compression;
///
/// fn report(_: Environ, start_response: StartResponse) -> Result<Response> {
///     let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
///     Ok(response.with_body("a long story\n".repeat(1000)))
/// }
///
/// let app = Compression::new(report);
/// # use gateway_conformance::TestClient;
/// let client = TestClient::new(app);
/// let response = client.get("/").header("accept-encoding", "gzip").send();
/// assert_eq!(response.header("content-encoding"), Some("gzip"));
/// assert!(response.body().len() < 200);
/// ```
///
/// Source: RFC 9110 §8.4, §8.8.1 and §12.5.3; RFC 9111 §5.2.2.6.
pub struct Compression<A> {
    app: A,
    codings: Vec<Coding>,
    min_size: u64,
    types: IsCompressible,
}

impl<A: Application> Compression<A> {
    /// Compresses the responses of `app` with gzip.
    pub fn new<M>(app: impl IntoApplication<M, Application = A>) -> Compression<A> {
        Compression {
            app: app.into_application(),
            codings: vec![Coding::Gzip],
            min_size: 1024,
            types: Arc::new(is_compressible),
        }
    }

    /// Compresses with Brotli where the peer accepts it and does not want gzip more.
    #[cfg(feature = "brotli")]
    #[must_use]
    pub fn brotli(mut self) -> Compression<A> {
        self.codings = vec![Coding::Brotli, Coding::Gzip];
        self
    }

    /// How long a response has to be, in bytes; 1024 if it is not set. One whose length is not known
    /// is long enough.
    #[must_use]
    pub fn min_size(self, min_size: u64) -> Compression<A> {
        Compression { min_size, ..self }
    }

    /// Which media types to compress, in place of the usual ones: texts, JSON, XML, scripts, fonts
    /// without a compression of their own, and the like. `types` is given the type and subtype in
    /// lower case, without parameters.
    #[must_use]
    pub fn types(self, types: impl Fn(&str) -> bool + Send + Sync + 'static) -> Compression<A> {
        Compression { types: Arc::new(types), ..self }
    }
}

impl<A: Application> Application for Compression<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let plan = Plan {
            coding: preferred_encoding(&environ, &self.codings),
            is_head: environ.method() == Method::HEAD,
            known_tags: values(&environ, "if-none-match").collect::<Vec<_>>().join(&b", "[..]),
            min_size: self.min_size,
            types: Arc::clone(&self.types),
        };
        self.app.call(environ, start_response).map(|response| plan.apply(response))
    }
}

impl<A: fmt::Debug> fmt::Debug for Compression<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression")
            .field("app", &self.app)
            .field("codings", &self.codings)
            .field("min_size", &self.min_size)
            .finish_non_exhaustive()
    }
}

/// What is known when the request has come.
struct Plan {
    coding: Option<Coding>,
    is_head: bool,
    /// What the request says in `If-None-Match`.
    known_tags: Vec<u8>,
    min_size: u64,
    types: IsCompressible,
}

impl Plan {
    fn apply(self, mut response: Response) -> Response {
        let is_not_modified = response.status() == StatusCode::NOT_MODIFIED;
        let is_fit = is_not_modified || self.is_fit(response.head(), response.body());
        let mut body = std::mem::take(response.body_mut());
        if let Ok(head) = response.head_mut() {
            if is_not_modified {
                self.keep_weak(&mut head.headers);
            } else if is_fit {
                add_vary(&mut head.headers, "accept-encoding");
                if let Some(coding) = self.coding {
                    body = encode(coding, &mut head.headers, body);
                }
            }
        }
        response.with_body(body)
    }

    fn is_fit(&self, head: &Head, body: &Body) -> bool {
        let has_content = match body {
            Body::Bytes(_) | Body::Iter(_) | Body::File(_) | Body::Stream(_) => true,
            // An application that answers HEAD may leave the body out.
            Body::Empty => self.is_head && head.headers.contains_key(CONTENT_LENGTH),
            _ => false,
        };
        let headers = &head.headers;
        has_content
            && !is_without_content(head.status)
            && head.status != StatusCode::PARTIAL_CONTENT
            && ![CONTENT_ENCODING, CONTENT_RANGE].iter().any(|name| headers.contains_key(name))
            && !DIGESTS.iter().any(|name| headers.contains_key(*name))
            && length(headers, body).is_none_or(|length| length >= self.min_size)
            && !is_not_to_be_transformed(headers)
            && media_type(headers).is_some_and(|media_type| (self.types)(&media_type))
    }

    /// A 304 names the response that the peer has, and that one was weakened.
    fn keep_weak(&self, headers: &mut HeaderMap) {
        let Some(weak) = headers.get(ETAG).and_then(weakened) else { return };
        let known = self.known_tags.windows(weak.len());
        if known.into_iter().any(|tag| tag == weak.as_bytes()) {
            headers.insert(ETAG, weak);
            add_vary(headers, "accept-encoding");
        }
    }
}

/// The body in `coding`, with the fields that say so; as it is if it would not be shorter.
fn encode(coding: Coding, headers: &mut HeaderMap, body: Body) -> Body {
    let encoder = Encoder::new(coding);
    let encoded = match body {
        Body::Bytes(bytes) if bytes.len() <= AT_ONCE => match at_once(encoder, &bytes) {
            Some(encoded) => Body::from(encoded),
            None => return Body::Bytes(bytes),
        },
        Body::Bytes(bytes) => {
            Body::iter(CompressedItems::at_hand(std::iter::once(Ok(bytes)), encoder))
        }
        Body::File(file) => Body::iter(CompressedItems::at_hand(pieces(file), encoder)),
        Body::Iter(items) => Body::iter(CompressedItems::of_application(items, encoder)),
        Body::Stream(stream) => Body::stream(CompressedStream::new(stream, encoder)),
        other => other,
    };
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    if let Some(weak) = headers.get(ETAG).and_then(weakened) {
        headers.insert(ETAG, weak);
    }
    encoded
}

fn at_once(mut encoder: Encoder, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoded = encoder.write(bytes).ok()?.to_vec();
    encoded.extend_from_slice(&encoder.finish().ok()?);
    Some(encoded).filter(|encoded| encoded.len() < bytes.len())
}

/// The weak form of a strong tag.
fn weakened(tag: &HeaderValue) -> Option<HeaderValue> {
    if !tag.as_bytes().starts_with(b"\"") {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok()
}

fn is_without_content(status: StatusCode) -> bool {
    status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT)
}

fn length(headers: &HeaderMap, body: &Body) -> Option<u64> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    declared.or_else(|| body.len())
}

fn is_not_to_be_transformed(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut members = value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii);
        members.any(|member| member.eq_ignore_ascii_case(b"no-transform"))
    })
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

fn is_compressible(media_type: &str) -> bool {
    const NAMES: [&str; 14] = [
        "application/graphql",
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/rtf",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/xml",
        "font/otf",
        "font/ttf",
        "image/bmp",
    ];
    media_type.starts_with("text/")
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
        || NAMES.contains(&media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_compress_well_and_pictures_do_not() {
        for fit in ["text/html", "text/event-stream", "image/svg+xml", "application/ld+json"] {
            assert!(is_compressible(fit), "{fit}");
        }
        for unfit in ["image/png", "video/mp4", "application/zip", "font/woff2", ""] {
            assert!(!is_compressible(unfit), "{unfit}");
        }
    }

    #[test]
    fn a_weak_tag_stays_as_it_is() {
        let tag = |value| HeaderValue::from_static(value);
        assert_eq!(weakened(&tag("\"a\"")), Some(tag("W/\"a\"")));
        assert_eq!(weakened(&tag("W/\"a\"")), None);
        assert_eq!(weakened(&tag("nonsense")), None);
    }
}
