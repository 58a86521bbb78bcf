//! Header fields by their grammar: values, values that stand alone, and lists with weights.
//!
//! It is there without any feature, and stands on nothing but `gateway-core`. Use it where
//! [`Environ::header`], which gives the first value alone, does not tell enough: for a field that is
//! a list, or that must not be there twice.
//!
//! ```
//! use gateway_core::http::StatusCode;
//! use gateway_core::{Environ, Response, Result, StartResponse};
//! use gateway_request::fields::{values, weighted};
//!
//! fn charset(environ: Environ, start_response: StartResponse) -> Result<Response> {
//!     let wanted = weighted(values(&environ, "accept-charset")).max_by_key(|&(_, weight)| weight);
//!     let text = wanted.map_or("any", |(name, _)| name).to_owned();
//!     Ok(start_response.start(StatusCode::OK, ()).with_body(text))
//! }
//!
//! # use gateway_conformance::TestClient;
//! let client = TestClient::new(charset);
//! let response = client.get("/").header("accept-charset", "latin1;q=0.3, utf-8;q=0.9").send();
//! assert_eq!(response.text(), "utf-8");
//! ```

use gateway_core::Environ;

/// All values of the field `name`, in the order they came in, each as it stands in its line. `name`
/// is compared without case.
///
/// Those of a field that is a list are one list, whose members are between the commas of each:
/// [`weighted`] takes them so.
///
/// # Examples
///
/// ```
/// use gateway_core::Environ;
/// use gateway_request::fields::values;
///
/// fn is_partial(environ: &Environ) -> bool {
///     values(environ, "range").next().is_some()
/// }
/// ```
///
/// Source: RFC 9110 §5.2 and §5.3.
pub fn values<'a>(environ: &'a Environ, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    environ
        .fields()
        .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}

/// The value of a field that can be there only once, without the spaces and tabs around it; `None` where
/// it is missing, there twice, or no UTF-8.
///
/// So a field that two parties may read differently, one its first line and one its last, says
/// nothing at all.
///
/// # Examples
///
/// ```
/// use gateway_core::Environ;
/// use gateway_request::fields::single;
///
/// fn is_own_page(environ: &Environ) -> bool {
///     single(environ, "origin") == Some("https://example.com")
/// }
/// ```
///
/// Source: RFC 9110 §5.3, §5.5 and §5.6.3.
pub fn single<'a>(environ: &'a Environ, name: &'a str) -> Option<&'a str> {
    only(values(environ, name))
}

/// The members of a list with weights, such as `Accept-Language`, in order: each with its quality in
/// thousandths, which is 1000 where it has no `q`. `values` are those of the field.
///
/// Empty members are none. Parameters other than `q` are passed over, and so is a member whose `q`
/// is no weight, and a value that is no UTF-8. Names are not checked.
///
/// Quotes are not known here, so a comma within them parts members: of the lists with weights only
/// `Accept` may have any, and [`preferred_media_type`] knows them.
///
/// [`preferred_media_type`]: crate::preferred_media_type
///
/// # Examples
///
/// ```
/// use gateway_request::fields::weighted;
///
/// let list = weighted([&b"de-CH, de;q=0.9"[..], b"en;q=0.25, *;q=0"]);
/// let list = list.collect::<Vec<_>>();
/// assert_eq!(list, [("de-CH", 1000), ("de", 900), ("en", 250), ("*", 0)]);
/// ```
///
/// Source: RFC 9110 §12.4.2, and §5.6.1.2 for empty members, §5.6.3 for whitespace.
pub fn weighted<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = (&'a str, u16)> {
    let texts = values.into_iter().filter_map(|value| std::str::from_utf8(value).ok());
    texts.flat_map(|text| text.split(',')).filter_map(|member| {
        let mut parts = member.split(';').map(trimmed);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight = parts.find_map(|part| {
            let (key, weight) = part.split_once('=')?;
            trimmed(key).eq_ignore_ascii_case("q").then_some(trimmed(weight))
        });
        Some((name, weight.map_or(Some(1000), thousandths)?))
    })
}

/// `weight = ( "0" [ "." *3DIGIT ] ) / ( "1" [ "." *3"0" ] )`.
pub(crate) fn thousandths(weight: &str) -> Option<u16> {
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

fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a str> {
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    std::str::from_utf8(first).ok().map(trimmed)
}

/// `OWS = *( SP / HTAB )`: what else is white in Unicode belongs to the value.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<(&str, u16)> {
        weighted([value.as_bytes()]).collect()
    }

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
        for (value, expected) in [
            ("a", vec![("a", 1000)]),
            ("a;q=0.5, b ; Q=0.25,,c;x=1;q=1.000", vec![("a", 500), ("b", 250), ("c", 1000)]),
            ("a;q=0", vec![("a", 0)]),
            ("a;q=0.", vec![("a", 0)]),
            ("a;q=2, b;q=1.001, c;q=-1, d;q=, e;q=0.1234, f", vec![("f", 1000)]),
            ("a;q=0, b;q=2, c;q=1.001, d;q=, e;q=0.1234, f", vec![("a", 0), ("f", 1000)]),
            ("", vec![]),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
        let spaced = " a;q=0.5, b ; x=1 ; Q = 0.25,, c;q=nonsense, d;q=0 ,";
        assert_eq!(read(spaced), [("a", 500), ("b", 250), ("d", 0)]);
        let wide = "\ta\t;\tq=0.5\t, b\u{a0}, c;\u{2003}q=0, d;q=0.5\u{a0}";
        assert_eq!(read(wide), [("a", 500), ("b\u{a0}", 1000), ("c", 1000)]);
    }

    #[test]
    fn lines_are_one_list_without_those_that_are_no_text() {
        let lines = [&b"a, b;q=0.5"[..], b"\xff, c", b"", b"d;q=0.1"];
        assert_eq!(weighted(lines).collect::<Vec<_>>(), [("a", 1000), ("b", 500), ("d", 100)]);
    }

    #[test]
    fn a_value_that_stands_alone_is_taken() {
        for (lines, expected) in [
            (vec![], None),
            (vec![&b" one\t"[..]], Some("one")),
            (vec!["one\u{a0}".as_bytes()], Some("one\u{a0}")),
            (vec![b""], Some("")),
            (vec![b"one", b"one"], None),
            (vec![b"\xff"], None),
        ] {
            assert_eq!(only(lines.iter().copied()), expected, "{lines:?}");
        }
    }
}
