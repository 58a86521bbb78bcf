//! Content codings: which one a peer wants.

use gateway_core::Environ;

use crate::fields::{values, weighted};

/// A content coding that this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

/// By falling preference where a peer has none.
const CODINGS: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What the names of files end in that have it.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }

    /// RFC 9110 §8.4.1.3: `x-gzip` means the same.
    fn is_named(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name())
            || (self == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }
}

/// What a peer accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Those that it wants at least as much as no coding, the best first.
    pub(crate) codings: Vec<Coding>,
    /// Whether it takes no coding at all.
    pub(crate) identity: bool,
}

/// Reads `Accept-Encoding`. Without the field any coding is acceptable, and none is the safe one.
///
/// Source: RFC 9110 §12.5.3.
pub(crate) fn accepted(environ: &Environ) -> Accepted {
    let list: Vec<(&str, u16)> = weighted(values(environ, "accept-encoding")).collect();
    choose(&list)
}

fn choose(list: &[(&str, u16)]) -> Accepted {
    let any = list.iter().find(|(name, _)| *name == "*").map(|&(_, quality)| quality);
    let named = |is_named: &dyn Fn(&str) -> bool| {
        list.iter().find(|(name, _)| is_named(name)).map(|&(_, quality)| quality)
    };
    // What is not mentioned is acceptable, but whatever is mentioned is wanted more.
    let identity = named(&|name| name.eq_ignore_ascii_case("identity")).or(any).unwrap_or(1);
    let mut codings: Vec<(u16, Coding)> = CODINGS
        .iter()
        .map(|&coding| (named(&|name| coding.is_named(name)).or(any).unwrap_or(0), coding))
        .filter(|&(quality, _)| quality > 0 && quality >= identity)
        .collect();
    codings.sort_by_key(|&(quality, _)| std::cmp::Reverse(quality));
    Accepted {
        codings: codings.into_iter().map(|(_, coding)| coding).collect(),
        identity: identity > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Zstd};

    #[test]
    fn qualities_decide_and_then_our_preference() {
        for (field, codings, identity) in [
            ("", vec![], true),
            ("gzip", vec![Gzip], true),
            ("x-gzip", vec![Gzip], true),
            ("GZIP, Br", vec![Brotli, Gzip], true),
            ("gzip, deflate, br, zstd", vec![Brotli, Zstd, Gzip], true),
            ("br;q=0.5, gzip;q=0.8", vec![Gzip, Brotli], true),
            ("br;q=0, gzip", vec![Gzip], true),
            ("*", vec![Brotli, Zstd, Gzip], true),
            ("br;q=0, *;q=0.1", vec![Zstd, Gzip], true),
            ("gzip;q=0.5, identity", vec![], true),
            ("gzip;q=0.5, identity;q=0.5", vec![Gzip], true),
            ("identity;q=0", vec![], false),
            ("*;q=0", vec![], false),
            ("gzip, *;q=0", vec![Gzip], false),
            ("gzip, identity;q=0", vec![Gzip], false),
            ("*;q=0, identity", vec![], true),
            ("deflate", vec![], true),
        ] {
            let list: Vec<_> = weighted(std::iter::once(field.as_bytes())).collect();
            assert_eq!(choose(&list), Accepted { codings, identity }, "{field}");
        }
    }
}
