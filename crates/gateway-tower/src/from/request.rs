//! From an [`Environ`] to a request.

use std::borrow::Cow;

use gateway_core::http::request::Parts;
use gateway_core::http::uri::PathAndQuery;
use gateway_core::http::{Request, StatusCode, Uri};
use gateway_core::{Environ, Input, PeerError, Result};

use super::MapRequest;
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

/// What the service is called with.
pub(super) fn request(
    environ: &mut Environ,
    map: Option<&MapRequest>,
    offer: &mut Offer,
) -> Result<Request<Input>> {
    let original = Uri::from_maybe_shared(environ.raw_target_bytes()).map_err(|cause| {
        PeerError::Malformed { status: StatusCode::BAD_REQUEST, cause: cause.into() }
    })?;
    let mut request = Request::new(environ.take_input());
    *request.method_mut() = environ.method().clone();
    *request.version_mut() = environ.version();
    *request.headers_mut() = environ.take_headers();
    *request.extensions_mut() = std::mem::take(environ.extensions_mut());
    if environ.raw_script_name().is_empty() {
        *request.uri_mut() = original;
    } else {
        let script_name = environ.raw_script_name().to_owned();
        *request.uri_mut() = below(environ, &original)?;
        request.extensions_mut().insert(Mounted { script_name, original });
    }
    offer.attach(request.extensions_mut());
    match map {
        None => Ok(request),
        Some(map) => {
            let (mut parts, input): (Parts, Input) = request.into_parts();
            map(environ, &mut parts);
            Ok(Request::from_parts(parts, input))
        }
    }
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
