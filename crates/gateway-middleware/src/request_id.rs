//! The name of a request, as middleware and applications find it.

use std::fmt;
use std::sync::Arc;

use gateway_core::Environ;

/// The name of a request, in the extensions of its [`Environ`]; `RequestIds` puts it there.
///
/// Log it with whatever concerns the request. `AccessLog` and `Spans` do.
///
/// ```
/// use gateway_core::Environ;
/// use gateway_middleware::RequestId;
///
/// fn complain(environ: &Environ, what: &str) {
///     let id = RequestId::of(environ).map_or("-", RequestId::as_str);
///     environ.errors().line(format_args!("{id}: {what}"));
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest name that is one, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Checks `name`; `None` if it is no name of a request. One has 1 to
    /// [`MAX_LEN`](RequestId::MAX_LEN) of the letters and digits of ASCII and of `-._~+/=:@`, so it
    /// can stand in a field, in a URL's query, and in any log.
    pub fn new(name: &str) -> Option<RequestId> {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=:@".contains(&b);
        let is_name = (1..=RequestId::MAX_LEN).contains(&name.len()) && name.bytes().all(is_fit);
        is_name.then(|| RequestId(name.into()))
    }

    /// The name of the request, if it has been given one.
    pub fn of(environ: &Environ) -> Option<&RequestId> {
        environ.extensions().get()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(RequestId::new("0190a5d8-7e51:a/b+c==").is_some());
        assert!(RequestId::new(&"x".repeat(128)).is_some());
        for wrong in ["", "a b", "a\"b", "a\nb", "é", "a,b", "a;b", &"x".repeat(129)] {
            assert_eq!(RequestId::new(wrong), None, "{wrong:?}");
        }
    }
}
