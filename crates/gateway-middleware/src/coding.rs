//! Content codings: which one a peer wants.

use gateway_core::Environ;

use crate::fields::{values, weighted};

/// A content coding that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    #[cfg(feature = "brotli")]
    Brotli,
    Gzip,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "brotli")]
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// RFC 9110 §8.4.1.3: `x-gzip` means the same.
    fn is_named(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name())
            || (self == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }
}

/// Which of `offered`, by falling preference, the peer wants most, and at least as much as none.
///
/// Without `Accept-Encoding` any is acceptable, and none is the safe one.
///
/// Source: RFC 9110 §12.5.3.
pub(crate) fn choose(environ: &Environ, offered: &[Coding]) -> Option<Coding> {
    let list: Vec<(&str, u16)> = weighted(values(environ, "accept-encoding")).collect();
    best(&list, offered)
}

fn best(list: &[(&str, u16)], offered: &[Coding]) -> Option<Coding> {
    let quality = |is_named: &dyn Fn(&str) -> bool| {
        let named = list.iter().find(|(name, _)| is_named(name));
        let named = named.or_else(|| list.iter().find(|(name, _)| *name == "*"));
        named.map(|&(_, quality)| quality)
    };
    // What is not mentioned is acceptable, but whatever is mentioned is wanted more.
    let identity = quality(&|name| name.eq_ignore_ascii_case("identity")).unwrap_or(1);
    let wanted =
        offered.iter().map(|&coding| (quality(&|name| coding.is_named(name)).unwrap_or(0), coding));
    // Of those that are wanted equally, the first: `max_by_key` takes the last.
    let best = wanted.rev().max_by_key(|&(quality, _)| quality)?;
    Some(best).filter(|&(quality, _)| quality > 0 && quality >= identity).map(|(_, coding)| coding)
}

#[cfg(all(test, feature = "brotli"))]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip};

    #[test]
    fn qualities_decide_and_then_our_preference() {
        for (field, expected) in [
            ("", None),
            ("gzip", Some(Gzip)),
            ("X-GZIP", Some(Gzip)),
            ("gzip, br", Some(Brotli)),
            ("br;q=0.5, gzip;q=0.8", Some(Gzip)),
            ("br;q=0, gzip", Some(Gzip)),
            ("*", Some(Brotli)),
            ("br;q=0, *;q=0.1", Some(Gzip)),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("gzip, *;q=0", Some(Gzip)),
            ("deflate, zstd", None),
            ("gzip;q=nonsense", None),
        ] {
            let list: Vec<_> = weighted(std::iter::once(field.as_bytes())).collect();
            assert_eq!(best(&list, &[Brotli, Gzip]), expected, "{field}");
        }
    }
}
