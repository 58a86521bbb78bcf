//! Which content codings a peer takes.

use std::cmp::Reverse;

use gateway_core::Environ;

use crate::fields::{values, weighted};

/// `Accept-Encoding`, read: which content codings a peer takes, and how gladly.
///
/// For who has, or makes, several representations of one thing, and does not know before it has
/// looked which of them there are: it tries those that are [`wanted`](AcceptEncoding::wanted) one
/// after another. Who knows asks [`preferred_encoding`].
///
/// `x-gzip` and `x-compress` mean what they mean without the `x-`. Members of the field whose weight
/// is none are passed over.
///
/// # Examples
///
/// ```
/// use gateway_request::AcceptEncoding;
///
/// # fn exists(_: &str) -> bool { false }
/// /// The name of a file, or `None` where the peer takes nothing that is there: 406.
/// fn file_name(accepted: &AcceptEncoding<'_>) -> Option<String> {
///     let name = |ending| format!("bundle.js.{ending}");
///     let there = accepted.wanted(&["br", "gzip"]).into_iter().map(name).find(|it| exists(it));
///     there.or_else(|| accepted.takes_identity().then(|| "bundle.js".to_owned()))
/// }
///
/// let accepted = AcceptEncoding::parse([&b"gzip;q=0.5, br"[..]]);
/// assert_eq!(accepted.wanted(&["gzip", "br", "zstd"]), ["br", "gzip"]);
/// assert_eq!(file_name(&accepted).as_deref(), Some("bundle.js"));
/// ```
///
/// Source: RFC 9110 §12.5.3 and §8.4.1.
#[derive(Debug, Clone)]
pub struct AcceptEncoding<'a> {
    list: Vec<(&'a str, u16)>,
}

impl<'a> AcceptEncoding<'a> {
    /// What the request says.
    pub fn of(environ: &'a Environ) -> AcceptEncoding<'a> {
        AcceptEncoding::parse(values(environ, "accept-encoding"))
    }

    /// What the values of the field say, which are one list. [`of`](AcceptEncoding::of) is for a
    /// request at hand.
    pub fn parse(values: impl IntoIterator<Item = &'a [u8]>) -> AcceptEncoding<'a> {
        AcceptEncoding { list: weighted(values).collect() }
    }

    /// Those of the `offered` codings that the peer takes, and wants at least as much as none at all,
    /// the best first; of those that it wants equally, in the order of `offered`.
    ///
    /// Without the field there are none: any is acceptable, but who says nothing may know nothing.
    pub fn wanted<T: AsRef<str> + Copy>(&self, offered: &[T]) -> Vec<T> {
        let mut wanted: Vec<_> = self.rated(offered).collect();
        wanted.sort_by_key(|&(quality, _)| Reverse(quality));
        wanted.into_iter().map(|(_, coding)| coding).collect()
    }

    /// Whether the peer takes what is there as it is, without a coding: it does, unless it says that it
    /// does not. Where it does not, and nothing that it wants is there, answer 406, or what is there in
    /// spite of it; RFC 9110 §12.5.3 prefers the latter.
    pub fn takes_identity(&self) -> bool {
        self.identity() > 0
    }

    /// The first of those that are [`wanted`](AcceptEncoding::wanted).
    fn preferred<T: AsRef<str> + Copy>(&self, offered: &[T]) -> Option<T> {
        // Of those that are equal, the first.
        self.rated(offered).min_by_key(|&(quality, _)| Reverse(quality)).map(|(_, coding)| coding)
    }

    fn rated<T: AsRef<str> + Copy>(&self, offered: &[T]) -> impl Iterator<Item = (u16, T)> {
        let identity = self.identity();
        let rate = |&coding: &T| (self.quality(coding.as_ref()).unwrap_or(0), coding);
        offered.iter().map(rate).filter(move |&(quality, _)| quality > 0 && quality >= identity)
    }

    /// What is not mentioned is acceptable, but whatever is mentioned is wanted more.
    fn identity(&self) -> u16 {
        self.quality("identity").unwrap_or(1)
    }

    fn quality(&self, coding: &str) -> Option<u16> {
        let named = self.list.iter().find(|(name, _)| is_same(name, coding));
        let named = named.or_else(|| self.list.iter().find(|(name, _)| *name == "*"));
        named.map(|&(_, quality)| quality)
    }
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
pub fn preferred_encoding<T: AsRef<str> + Copy>(environ: &Environ, offered: &[T]) -> Option<T> {
    AcceptEncoding::of(environ).preferred(offered)
}

fn is_same(one: &str, other: &str) -> bool {
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

    fn read(field: &str) -> AcceptEncoding<'_> {
        AcceptEncoding::parse([field.as_bytes()])
    }

    #[test]
    fn qualities_decide_and_then_the_order_of_offers() {
        for (field, wanted, identity) in [
            ("", vec![], true),
            ("gzip", vec!["gzip"], true),
            ("x-gzip", vec!["gzip"], true),
            ("GZIP, Br", vec!["br", "gzip"], true),
            ("gzip, deflate, br, zstd", vec!["br", "zstd", "gzip"], true),
            ("br;q=0.5, gzip;q=0.8", vec!["gzip", "br"], true),
            ("br;q=0, gzip", vec!["gzip"], true),
            ("*", vec!["br", "zstd", "gzip"], true),
            ("br;q=0, *;q=0.1", vec!["zstd", "gzip"], true),
            ("gzip;q=0.5, identity", vec![], true),
            ("gzip;q=0.5, identity;q=0.5", vec!["gzip"], true),
            ("identity;q=0", vec![], false),
            ("*;q=0", vec![], false),
            ("gzip, *;q=0", vec!["gzip"], false),
            ("gzip, identity;q=0", vec!["gzip"], false),
            ("*;q=0, identity", vec![], true),
            ("deflate", vec![], true),
        ] {
            let accepted = read(field);
            assert_eq!(accepted.wanted(&["br", "zstd", "gzip"]), wanted, "{field}");
            assert_eq!(accepted.takes_identity(), identity, "{field}");
        }
    }

    #[test]
    fn a_coding_is_wanted_at_least_as_much_as_none() {
        for (field, expected) in [
            ("", None),
            ("gzip", Some("gzip")),
            ("X-Gzip", Some("gzip")),
            ("X-GZIP", Some("gzip")),
            ("gzip, br", Some("br")),
            ("br;q=0.5, gzip;q=0.8", Some("gzip")),
            ("br;q=0, gzip", Some("gzip")),
            ("*", Some("br")),
            ("br;q=0, *;q=0.1", Some("gzip")),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some("gzip")),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("gzip, *;q=0", Some("gzip")),
            ("deflate", None),
            ("deflate, zstd", None),
            ("gzip;q=nonsense", None),
        ] {
            assert_eq!(read(field).preferred(&["br", "gzip"]), expected, "{field}");
            assert_eq!(read(field).wanted(&["br", "gzip"]).first().copied(), expected, "{field}");
        }
        assert_eq!(read("br").preferred::<&str>(&[]), None);
    }

    #[test]
    fn old_names_mean_what_the_new_ones_do() {
        assert_eq!(read("x-compress").preferred(&["compress"]), Some("compress"));
        assert_eq!(read("compress").preferred(&["x-compress"]), Some("x-compress"));
        assert_eq!(read("x-br").preferred(&["br"]), None);
    }
}
