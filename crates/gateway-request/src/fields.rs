//! Request fields by name.

use gateway_core::Environ;

/// All values of a field, in order, but for those that are no text.
#[cfg(feature = "negotiation")]
pub(crate) fn texts<'a>(environ: &'a Environ, name: &'a str) -> impl Iterator<Item = &'a str> {
    values(environ, name).filter_map(|value| std::str::from_utf8(value).ok())
}

/// The value of a field that can be there only once; `None` where it is missing, there twice, or no
/// text.
#[cfg(any(feature = "form", feature = "multipart"))]
pub(crate) fn single<'a>(environ: &'a Environ, name: &'a str) -> Option<&'a str> {
    let mut values = values(environ, name);
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    std::str::from_utf8(first).ok().map(str::trim)
}

fn values<'a>(environ: &'a Environ, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    environ
        .fields()
        .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}
