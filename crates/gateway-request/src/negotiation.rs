//! Which of what an application can send its peer prefers.

mod languages;
mod media_types;

use gateway_core::http::{StatusCode, header::VARY};
use gateway_core::{Environ, Error};

use crate::fields::{values, weighted};

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
    let texts = values(environ, "accept").filter_map(|value| std::str::from_utf8(value).ok());
    media_types::best(texts, offered)
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
    let ranges = weighted(values(environ, "accept-language")).collect::<Vec<_>>();
    languages::best(&ranges, offered)
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

#[cfg(test)]
mod tests {
    use super::*;

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
