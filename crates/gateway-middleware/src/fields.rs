//! Request fields, read as their grammar has them.

use gateway_core::Environ;

/// All values of a field, in order.
pub(crate) fn values<'a>(environ: &'a Environ, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    environ
        .fields()
        .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}

/// The value of a field that can be there only once; `None` where it is missing, there twice, or no
/// text.
#[cfg(any(
    feature = "conditional",
    feature = "cors",
    feature = "method-override",
    feature = "request-id",
    feature = "tracing"
))]
pub(crate) fn single<'a>(environ: &'a Environ, name: &'a str) -> Option<&'a str> {
    let mut values = values(environ, name);
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    std::str::from_utf8(first).ok().map(str::trim)
}

/// The members of a list with weights, such as `Accept-Encoding`: each with its quality in
/// thousandths. A member whose `q` is no weight is passed over.
///
/// Source: RFC 9110 §12.4.2.
#[cfg(feature = "compression")]
pub(crate) fn weighted<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = (&'a str, u16)> {
    let text = values.filter_map(|value| std::str::from_utf8(value).ok());
    text.flat_map(|value| value.split(',')).filter_map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight = parts.find_map(|part| {
            let (key, weight) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then_some(weight.trim())
        });
        Some((name, weight.map_or(Some(1000), thousandths)?))
    })
}

/// `weight = ( "0" [ "." *3DIGIT ] ) / ( "1" [ "." *3"0" ] )`.
#[cfg(feature = "compression")]
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

#[cfg(all(test, feature = "compression"))]
mod tests {
    use super::*;

    #[test]
    fn weights_are_thousandths() {
        let read = |value: &'static str| {
            weighted(std::iter::once(value.as_bytes())).collect::<Vec<(&str, u16)>>()
        };
        assert_eq!(
            read("a;q=0.5, b ; Q=0.25,,c;x=1;q=1.000"),
            [("a", 500), ("b", 250), ("c", 1000)]
        );
        assert_eq!(read("a;q=0, b;q=2, c;q=1.001, d;q=, e;q=0.1234, f"), [("a", 0), ("f", 1000)]);
    }
}
