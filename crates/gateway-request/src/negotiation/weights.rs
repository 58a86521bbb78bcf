//! Lists with weights.

/// The members of a list of tokens with weights, each with its quality in thousandths. A member whose
/// `q` is no weight is passed over.
///
/// Source: RFC 9110 §12.4.2 and §5.6.1.2.
pub(super) fn weighted(list: &str) -> impl Iterator<Item = (&str, u16)> {
    list.split(',').filter_map(|member| {
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
pub(super) fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let whole = match whole {
        "0" => 0,
        "1" => 1000,
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let fraction = padded.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some(whole + fraction).filter(|&sum| sum <= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_thousandths() {
        for (weight, expected) in [
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.025", Some(25)),
            ("1.000", Some(1000)),
            ("1.001", None),
            ("2", None),
            ("0.1234", None),
            ("-0", None),
            ("", None),
            (".5", None),
        ] {
            assert_eq!(thousandths(weight), expected, "{weight}");
        }
    }

    #[test]
    fn members_without_a_sound_weight_are_passed_over() {
        let list = weighted(" a;q=0.5, b ; x=1 ; Q = 0.25,, c;q=nonsense, d;q=0 ,");
        assert_eq!(list.collect::<Vec<_>>(), [("a", 500), ("b", 250), ("d", 0)]);
    }
}
