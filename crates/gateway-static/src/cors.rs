//! Which other origins may read what is served.

use gateway_core::Environ;
use gateway_core::http::HeaderValue;
use gateway_core::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
};
use gateway_request::fields::single;

use crate::answer::Answer;

/// What a script may read beyond what the Fetch standard lets it read anyway.
const EXPOSED: &str = "accept-ranges, content-encoding, content-range, etag";

/// What a script may send beyond that.
const ALLOWED: &str = "range, if-match, if-none-match, if-modified-since, if-range, \
                       if-unmodified-since, cache-control";

/// Whom to let read.
#[derive(Debug, Clone, Default)]
pub(crate) enum Origins {
    #[default]
    None,
    Any,
    Listed(Vec<String>),
}

impl Origins {
    /// Puts onto `answer` what browsers look for.
    ///
    /// Source: the Fetch standard, "HTTP extensions".
    pub(crate) fn apply(&self, environ: &Environ, answer: Answer) -> Answer {
        let (answer, allowed) = match self {
            Origins::None => return answer,
            Origins::Any => (answer, Some(HeaderValue::from_static("*"))),
            Origins::Listed(origins) => {
                let origin = single(environ, "origin")
                    .filter(|origin| origins.iter().any(|listed| listed == origin));
                (answer.vary("origin"), origin.and_then(|o| HeaderValue::from_str(o).ok()))
            }
        };
        let Some(allowed) = allowed else { return answer };
        let answer = answer.with(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if single(environ, "access-control-request-method").is_none() {
            let exposed = HeaderValue::from_static(EXPOSED);
            return answer.with(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        answer
            .with(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"))
            .with(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED))
            .with(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"))
    }
}
