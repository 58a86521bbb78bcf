//! From an [`Environ`] to a request.

use std::borrow::Cow;

use gateway_core::http::request::Parts;
use gateway_core::http::uri::PathAndQuery;
use gateway_core::http::{Request, StatusCode, Uri};
use gateway_core::{Environ, PeerError, Result};

use super::upgrade::Offer;

/// Where a service stands below other applications, as an extension of its requests: only there
/// where the script name is not empty.
///
/// The request's URI has the path below; axum's `OriginalUri` says the same by the other half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The raw path that led to the service.
    pub script_name: String,
    /// The whole request target.
    pub original: Uri,
}

/// The head of what the service is called with.
pub(super) fn parts(environ: &mut Environ, offer: &mut Offer) -> Result<Parts> {
    let original = Uri::from_maybe_shared(environ.raw_target_bytes()).map_err(|cause| {
        PeerError::Malformed { status: StatusCode::BAD_REQUEST, cause: cause.into() }
    })?;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = environ.method().clone();
    parts.version = environ.version();
    parts.headers = environ.take_headers();
    parts.extensions = std::mem::take(environ.extensions_mut());
    if environ.raw_script_name().is_empty() {
        parts.uri = original;
    } else {
        let script_name = environ.raw_script_name().to_owned();
        parts.uri = below(environ, &original)?;
        parts.extensions.insert(Mounted { script_name, original });
    }
    offer.attach(&mut parts.extensions);
    Ok(parts)
}

/// The URI with the path info for its path: `/` where that is empty, as every URI has it.
fn below(environ: &Environ, original: &Uri) -> Result<Uri> {
    let path = match environ.raw_path_info() {
        "" => "/",
        path => path,
    };
    let path = match environ.query_string() {
        Some(query) => Cow::Owned(format!("{path}?{query}")),
        None => Cow::Borrowed(path),
    };
    let mut parts = original.clone().into_parts();
    parts.path_and_query =
        Some(PathAndQuery::try_from(&*path).map_err(gateway_core::Error::application)?);
    Uri::from_parts(parts).map_err(gateway_core::Error::application)
}
