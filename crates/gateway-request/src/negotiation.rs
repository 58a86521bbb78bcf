//! Which of what an application can send its peer prefers.

mod languages;
mod media_types;
mod weights;

use gateway_core::http::{StatusCode, header::VARY};
use gateway_core::{Environ, Error};

use crate::fields::texts;
use weights::weighted;

/// The one of the `offered` media types that the peer prefers; of those that it wants equally, the
/// first. Without `Accept` that is the first of all.
///
/// An offer has the quality of the most specific range that covers it: `text/html;level=1` goes
/// before `text/html`, that before `text/*`, and that before `*/*`. A parameter of a range must be
/// the offer's as well. Members of the field that break its grammar are passed over.
///
/// Send `Vary: accept` with what is chosen, so that a cache does not give it to others.
///
/// # Errors
///
/// [`NegotiationError::NotAcceptable`] if the peer takes none of them, or none is offered. Who would
/// rather send what was not asked for, as the RFC allows, sends its default then.
/// [`NegotiationError::InvalidOffer`] if an offer is not a media type.
///
/// # Examples
///
/// ```
/// use gateway_core::http::{HeaderValue, StatusCode, header::{CONTENT_TYPE, VARY}};
/// use gateway_core::{Environ, Response, Result, StartResponse};
/// use gateway_request::preferred_media_type;
///
/// fn greeting(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let media_type = preferred_media_type(&environ, &["text/plain", "application/json"])?;
///     let headers = [
///         (CONTENT_TYPE, HeaderValue::from_str(media_type)?),
///         (VARY, HeaderValue::from_static("accept")),
///     ];
///     let text = if media_type == "text/plain" { "Hello\n" } else { "\"Hello\"\n" };
///     Ok(start_response.start(StatusCode::OK, headers).with_body(text))
/// }
/// ```
///
/// Source: RFC 9110 §12.5.1.
pub fn preferred_media_type<'a>(
    environ: &Environ,
    offered: &[&'a str],
) -> Result<&'a str, NegotiationError> {
    media_types::best(texts(environ, "accept"), offered)
}

/// The one of the `offered` language tags that the peer prefers, or `None` if it wants none of them:
/// then send the application's default. Without `Accept-Language` it is the first.
///
/// `en` fits an offered `en-GB`. An offer has the quality of the longest range that fits it, or else
/// of one that does when it is shortened, so that who wants `de-CH` gets `de`, or else of `*`. Of
/// those that are wanted equally, that of the earlier range goes first.
///
/// Send `Vary: accept-language` and `Content-Language` with what is chosen.
///
/// # Examples
///
/// ```
/// use gateway_core::Environ;
/// use gateway_request::preferred_language;
///
/// fn greeting(environ: &Environ) -> &'static str {
///     match preferred_language(environ, &["en", "de"]) {
///         Some("de") => "Guten Tag",
///         _ => "Good day",
///     }
/// }
/// ```
///
/// Source: RFC 9110 §12.5.4; RFC 4647 §3.3.1, and §3.4 for what is shortened.
pub fn preferred_language<'a>(environ: &Environ, offered: &[&'a str]) -> Option<&'a str> {
    let ranges = texts(environ, "accept-language").flat_map(weighted).collect::<Vec<_>>();
    languages::best(&ranges, offered)
}

/// The one of the `offered` content codings that the peer wants most, and at least as much as none
/// at all; of those that it wants equally, the first. `None` says to send what is there as it is,
/// also where the peer refuses that: RFC 9110 prefers it to no answer.
///
/// Without `Accept-Encoding` that is `None`: any is acceptable, but who says nothing may know nothing.
/// `x-gzip` and `x-compress` mean what they mean without the `x-`.
///
/// Send `Vary: accept-encoding`, whatever is chosen. What compresses on the fly is in
/// `gateway-middleware`; this is for who has representations that are compressed already.
///
/// # Examples
///
/// ```
/// use gateway_core::Environ;
/// use gateway_request::preferred_encoding;
///
/// fn file_name(environ: &Environ) -> &'static str {
///     match preferred_encoding(environ, &["br", "gzip"]) {
///         Some("br") => "bundle.js.br",
///         Some("gzip") => "bundle.js.gz",
///         _ => "bundle.js",
///     }
/// }
/// ```
///
/// Source: RFC 9110 §12.5.3 and §8.4.1.
pub fn preferred_encoding<'a>(environ: &Environ, offered: &[&'a str]) -> Option<&'a str> {
    let list = texts(environ, "accept-encoding").flat_map(weighted).collect::<Vec<_>>();
    best_encoding(&list, offered)
}

/// Why no media type was chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The peer takes nothing of what is offered: 406.
    #[error("the peer accepts none of the media types that are offered")]
    NotAcceptable,
    /// The application offers what is not a media type: 500.
    #[error("{offered:?} is offered, and is not a media type like text/plain")]
    InvalidOffer {
        /// The offer.
        offered: String,
    },
}

impl From<NegotiationError> for Error {
    fn from(error: NegotiationError) -> Error {
        match error {
            // A cache must not give this answer to a peer that accepts more.
            NegotiationError::NotAcceptable => {
                Error::with_status(StatusCode::NOT_ACCEPTABLE, error)
                    .with_headers([(VARY, "accept")])
            }
            NegotiationError::InvalidOffer { .. } => {
                Error::with_status(StatusCode::INTERNAL_SERVER_ERROR, error)
            }
        }
    }
}

fn best_encoding<'a>(list: &[(&str, u16)], offered: &[&'a str]) -> Option<&'a str> {
    let quality = |coding: &str| {
        let named = list.iter().find(|(name, _)| is_same_coding(name, coding));
        let named = named.or_else(|| list.iter().find(|(name, _)| *name == "*"));
        named.map(|&(_, quality)| quality)
    };
    // What is not mentioned is acceptable, but whatever is mentioned is wanted more.
    let identity = quality("identity").unwrap_or(1);
    let wanted = offered.iter().map(|&coding| (quality(coding).unwrap_or(0), coding));
    // Of those that are wanted equally, the first: `max_by_key` takes the last.
    let best = wanted.rev().max_by_key(|&(quality, _)| quality)?;
    Some(best).filter(|&(quality, _)| quality > 0 && quality >= identity).map(|(_, coding)| coding)
}

fn is_same_coding(one: &str, other: &str) -> bool {
    fn modern(name: &str) -> &str {
        match name {
            _ if name.eq_ignore_ascii_case("x-gzip") => "gzip",
            _ if name.eq_ignore_ascii_case("x-compress") => "compress",
            _ => name,
        }
    }
    modern(one).eq_ignore_ascii_case(modern(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_wanted_at_least_as_much_as_none() {
        for (field, expected) in [
            ("", None),
            ("gzip", Some("gzip")),
            ("X-Gzip", Some("gzip")),
            ("gzip, br", Some("br")),
            ("br;q=0.5, gzip;q=0.8", Some("gzip")),
            ("*", Some("br")),
            ("br;q=0, *;q=0.1", Some("gzip")),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some("gzip")),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("gzip, *;q=0", Some("gzip")),
            ("deflate, zstd", None),
        ] {
            let list = weighted(field).collect::<Vec<_>>();
            assert_eq!(best_encoding(&list, &["br", "gzip"]), expected, "{field}");
        }
        assert_eq!(best_encoding(&[("br", 1000)], &[]), None);
    }

    #[test]
    fn errors_say_whose_fault_it_is() {
        let offered = "text".to_owned();
        for (error, status) in [
            (NegotiationError::NotAcceptable, StatusCode::NOT_ACCEPTABLE),
            (NegotiationError::InvalidOffer { offered }, StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            assert_eq!(Error::from(error).status(), status);
        }
    }
}
