//! The media type of the request body.

use gateway_core::Environ;
use mediatype::MediaType;

use crate::fields::single;

/// The body's media type, if it is `ty`/`subty`, with its parameters.
///
/// Source: RFC 9110 §8.3.
pub(crate) fn content_type<'a>(
    environ: &'a Environ,
    ty: &str,
    subty: &str,
) -> Option<MediaType<'a>> {
    let parsed = MediaType::parse(single(environ, "content-type")?).ok()?;
    (parsed.ty == ty && parsed.subty == subty && parsed.suffix.is_none()).then_some(parsed)
}
