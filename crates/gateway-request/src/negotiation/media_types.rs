//! `Accept`.

use mediatype::names::{CHARSET, Q};
use mediatype::{MediaType, MediaTypeList, Name, Value};

use super::NegotiationError;
use crate::fields::thousandths;

/// A member of `Accept`.
struct Range<'a> {
    media_type: MediaType<'a>,
    /// How many of the parameters are the range's: those before its weight.
    params: usize,
    quality: u16,
}

/// The best of `offered` by what the lines of the field say.
pub(super) fn best<'a, 'b>(
    lines: impl Iterator<Item = &'b str>,
    offered: &[&'a str],
) -> Result<&'a str, NegotiationError> {
    let ranges: Vec<Range<'_>> =
        lines.flat_map(MediaTypeList::new).flatten().filter_map(Range::new).collect();
    let mut best: Option<(u16, &str)> = None;
    for &offer in offered {
        let invalid = |_| NegotiationError::InvalidOffer { offered: offer.to_owned() };
        let media_type = MediaType::parse(offer).map_err(invalid)?;
        let quality = quality(&ranges, &media_type);
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, offer));
        }
    }
    best.map(|(_, offer)| offer).ok_or(NegotiationError::NotAcceptable)
}

/// That of the most specific range that covers the offer. Where there are no ranges, all is well.
fn quality(ranges: &[Range<'_>], offer: &MediaType<'_>) -> u16 {
    if ranges.is_empty() {
        return 1000;
    }
    let covering = ranges.iter().filter(|range| range.covers(offer));
    covering.max_by_key(|range| range.precedence()).map_or(0, |range| range.quality)
}

impl<'a> Range<'a> {
    /// `None` for what is no range or has no sound weight.
    fn new(media_type: MediaType<'a>) -> Option<Range<'a>> {
        if media_type.ty == "*" && media_type.subty != "*" {
            return None;
        }
        let weight = media_type.params.iter().position(|(name, _)| *name == Q);
        let (params, quality) = match weight {
            Some(at) => (at, thousandths(media_type.params[at].1.as_str())?),
            None => (media_type.params.len(), 1000),
        };
        Some(Range { media_type, params, quality })
    }

    fn covers(&self, offer: &MediaType<'_>) -> bool {
        let range = &self.media_type;
        let is_type = range.ty == "*" || range.ty == offer.ty;
        let is_subtype =
            self.is_any_subtype() || (range.subty == offer.subty && range.suffix == offer.suffix);
        let has_params =
            self.params().iter().all(|param| offer.params.iter().any(|own| is_same(own, param)));
        is_type && is_subtype && has_params
    }

    fn precedence(&self) -> (bool, bool, usize) {
        (self.media_type.ty != "*", !self.is_any_subtype(), self.params)
    }

    fn is_any_subtype(&self) -> bool {
        self.media_type.subty == "*" && self.media_type.suffix.is_none()
    }

    fn params(&self) -> &[(Name<'a>, Value<'a>)] {
        &self.media_type.params[..self.params]
    }
}

/// Names have no case, nor has the value of a charset.
fn is_same(one: &(Name<'_>, Value<'_>), other: &(Name<'_>, Value<'_>)) -> bool {
    let values = (one.1.unquoted_str(), other.1.unquoted_str());
    one.0 == other.0
        && (values.0 == values.1 || (one.0 == CHARSET && values.0.eq_ignore_ascii_case(&values.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(field: &str, offered: &[&'static str]) -> Option<&'static str> {
        match best(std::iter::once(field), offered) {
            Ok(chosen) => Some(chosen),
            Err(NegotiationError::NotAcceptable) => None,
            Err(error) => panic!("{field}: {error}"),
        }
    }

    #[test]
    fn qualities_decide_and_then_the_order_of_offers() {
        let offered = ["text/html", "application/json", "image/svg+xml"];
        for (field, expected) in [
            ("", Some("text/html")),
            ("nonsense", Some("text/html")),
            ("*/*", Some("text/html")),
            ("application/json", Some("application/json")),
            ("APPLICATION/Json", Some("application/json")),
            ("application/*", Some("application/json")),
            ("application/json, text/html", Some("text/html")),
            ("text/html;q=0.5, application/json;q=0.501", Some("application/json")),
            ("text/html;q=0, */*;q=0.1", Some("application/json")),
            ("image/svg+xml, */*;q=0.9", Some("image/svg+xml")),
            ("image/svg", None),
            ("image/*;q=0.2, text/*;q=0.1", Some("image/svg+xml")),
            ("*/html", Some("text/html")),
            ("*/json, image/*", Some("image/svg+xml")),
            ("text/html;q=2, image/*;q=0.1", Some("image/svg+xml")),
            ("text/plain;a=\"x, text/html\", image/*", Some("image/svg+xml")),
            ("*/*;q=0", None),
            ("text/plain", None),
        ] {
            assert_eq!(chosen(field, &offered), expected, "{field}");
        }
        assert_eq!(chosen("*/*", &[]), None);
    }

    #[test]
    fn the_most_specific_range_counts() {
        // The example of RFC 9110 §12.5.1, and what it says of each.
        let field = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, \
                     text/plain;format=fixed;q=0.4, */*;q=0.5";
        let ranges: Vec<_> = MediaTypeList::new(field).flatten().filter_map(Range::new).collect();
        for (offer, expected) in [
            ("text/plain;format=flowed", 1000),
            ("text/plain", 700),
            ("text/html", 300),
            ("image/jpeg", 500),
            ("text/plain;format=fixed", 400),
            ("text/html;level=3", 300),
        ] {
            let media_type = MediaType::parse(offer).expect("it is one");
            assert_eq!(quality(&ranges, &media_type), expected, "{offer}");
        }
    }

    #[test]
    fn parameters_of_a_range_are_the_offers_as_well() {
        let offered = ["text/html;charset=UTF-8", "text/html; level=A"];
        for (field, expected) in [
            ("text/html", Some(offered[0])),
            ("text/html;CHARSET=\"utf-8\"", Some(offered[0])),
            ("text/html;level=A", Some(offered[1])),
            ("text/html;level=a", None),
            ("text/html;level=A;q=0.5;ext=1", Some(offered[1])),
            ("text/html;charset=utf-8;level=A", None),
        ] {
            assert_eq!(chosen(field, &offered), expected, "{field}");
        }
    }

    #[test]
    fn an_offer_that_is_no_media_type_is_said_to_be_none() {
        let error = best(std::iter::empty(), &["text/plain", "text"]).expect_err("it is none");
        assert!(matches!(error, NegotiationError::InvalidOffer { offered } if offered == "text"));
    }
}
