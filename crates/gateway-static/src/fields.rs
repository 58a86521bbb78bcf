//! Request fields, read as their grammar has them.

use gateway_core::Environ;
use gateway_core::bytes::Bytes;
use gateway_core::http::header::{HeaderValue, InvalidHeaderValue};

/// A value that keeps the text it is given.
pub(crate) fn owned(text: String) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text))
}

/// All values of a field, in order.
pub(crate) fn values<'a>(environ: &'a Environ, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    environ
        .fields()
        .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}

/// The value of a field that can be there only once; `None` where it is missing, there twice, or no
/// text.
pub(crate) fn single<'a>(environ: &'a Environ, name: &'a str) -> Option<&'a str> {
    let mut values = values(environ, name);
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    std::str::from_utf8(first).ok().map(str::trim)
}

/// The members of a list with weights, such as `Accept`: each with its quality in thousandths.
///
/// Parameters other than `q` are passed over, and so is a member whose `q` is no weight.
///
/// Source: RFC 9110 §12.4.2.
pub(crate) fn weighted<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = (&'a str, u16)> {
    values.filter_map(|value| std::str::from_utf8(value).ok()).flat_map(|value| {
        value.split(',').filter_map(|member| {
            let mut parts = member.split(';').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?;
            let weight = parts.find_map(|part| {
                let (key, weight) = part.split_once('=')?;
                key.trim().eq_ignore_ascii_case("q").then_some(weight.trim())
            });
            Some((name, weight.map_or(Some(1000), thousandths)?))
        })
    })
}

/// How much a peer wants a media type, in thousandths; the most specific range decides.
///
/// Source: RFC 9110 §12.5.1.
pub(crate) fn media_quality(accept: &[(&str, u16)], kind: &str, subkind: &str) -> u16 {
    if accept.is_empty() {
        return 1000;
    }
    let best = accept.iter().filter_map(|&(range, quality)| {
        let (a, b) = range.split_once('/')?;
        let specificity = match (a, b) {
            ("*", "*") => 0,
            (a, "*") if a.eq_ignore_ascii_case(kind) => 1,
            (a, b) if a.eq_ignore_ascii_case(kind) && b.eq_ignore_ascii_case(subkind) => 2,
            _ => return None,
        };
        Some((specificity, quality))
    });
    best.max().map_or(0, |(_, quality)| quality)
}

/// `weight = ( "0" [ "." *3DIGIT ] ) / ( "1" [ "." *3"0" ] )`.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let whole = match whole {
        "0" => 0,
        "1" => 1000,
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole + fraction).filter(|&sum| sum <= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> Vec<(&str, u16)> {
        weighted(std::iter::once(value.as_bytes())).collect()
    }

    #[test]
    fn weights_are_thousandths() {
        for (value, expected) in [
            ("a", vec![("a", 1000)]),
            ("a;q=0.5, b ; Q=0.25,,c;x=1;q=1.000", vec![("a", 500), ("b", 250), ("c", 1000)]),
            ("a;q=0", vec![("a", 0)]),
            ("a;q=0.", vec![("a", 0)]),
            ("a;q=2, b;q=1.001, c;q=-1, d;q=, e;q=0.1234, f", vec![("f", 1000)]),
            ("", vec![]),
        ] {
            assert_eq!(accept(value), expected, "{value}");
        }
    }

    #[test]
    fn the_most_specific_range_decides() {
        let list = accept("text/*;q=0.3, text/html;q=0.7, */*;q=0.5");
        assert_eq!(media_quality(&list, "text", "html"), 700);
        assert_eq!(media_quality(&list, "text", "plain"), 300);
        assert_eq!(media_quality(&list, "image", "png"), 500);
        assert_eq!(media_quality(&accept("application/json"), "text", "html"), 0);
        assert_eq!(media_quality(&[], "text", "html"), 1000);
    }
}
