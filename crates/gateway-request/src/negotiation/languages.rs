//! `Accept-Language`.

use std::cmp::Reverse;

/// The best of `offered` for ranges with their qualities.
pub(super) fn best<'a>(ranges: &[(&str, u16)], offered: &[&'a str]) -> Option<&'a str> {
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let wanted = offered.iter().filter_map(|&offer| Some((Judgement::of(ranges, offer)?, offer)));
    let wanted = wanted.filter(|(it, _)| it.quality > 0);
    // Of those that are equal in both, the first.
    let best = wanted.min_by_key(|(it, _)| (Reverse(it.quality), it.position));
    best.map(|(_, offer)| offer)
}

/// What the ranges say of an offer.
struct Judgement {
    quality: u16,
    /// Of the range that says it.
    position: usize,
}

impl Judgement {
    /// That of the longest range which fits, or of the most wanted that fits when it is shortened, or
    /// of `*`.
    fn of(ranges: &[(&str, u16)], offer: &str) -> Option<Judgement> {
        let numbered = || ranges.iter().enumerate();
        // Of those that are equal the first: `max_by_key` takes the last.
        let fitting = numbered().rev().filter(|(_, (range, _))| fits(range, offer));
        let longest = fitting.max_by_key(|(_, (range, _))| range.len());
        let shortened = || {
            let wanted = numbered().rev().filter(|(_, (_, quality))| *quality > 0);
            let fitting = wanted.filter(|(_, (range, _))| fits(offer, range));
            fitting.max_by_key(|(_, (_, quality))| *quality)
        };
        let any = || numbered().find(|(_, (range, _))| *range == "*");
        let (position, &(_, quality)) = longest.or_else(shortened).or_else(any)?;
        Some(Judgement { quality, position })
    }
}

/// RFC 4647 §3.3.1: the range is the tag, or what is before one of its hyphens. The other way round,
/// a range that is shortened as §3.4 has it becomes the tag.
fn fits(range: &str, tag: &str) -> bool {
    let (range, tag) = (range.as_bytes(), tag.as_bytes());
    tag.get(..range.len()).is_some_and(|start| start.eq_ignore_ascii_case(range))
        && matches!(tag.get(range.len()), None | Some(b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::weighted;

    #[test]
    fn qualities_decide_and_then_the_order_of_ranges() {
        let offered = ["en-GB", "de", "zh-Hant", "fr"];
        for (field, expected) in [
            ("", Some("en-GB")),
            ("de", Some("de")),
            ("DE", Some("de")),
            ("en", Some("en-GB")),
            ("e", None),
            ("en-G", None),
            ("fr, de", Some("fr")),
            ("de, fr;q=0.9", Some("de")),
            ("fr;q=0.1, de;q=0.2", Some("de")),
            ("*", Some("en-GB")),
            ("*;q=0.5, de", Some("de")),
            ("en;q=0, *;q=0.5", Some("de")),
            ("en;q=0, en-GB", Some("en-GB")),
            ("en-GB;q=0, en", None),
            ("en-GB;q=0, de-AT", Some("de")),
            // Ranges that are shortened, and never to what is refused.
            ("de-CH-1996", Some("de")),
            ("zh-Hant-CN-x-wadegile", Some("zh-Hant")),
            ("fr-CA;q=0.5, de-CH", Some("de")),
            ("fr, de-CH", Some("fr")),
            ("de-CH, fr", Some("de")),
            ("fr;q=0.1, de-CH;q=0.8", Some("de")),
            ("de-CH, *;q=0.5", Some("de")),
            ("de-CH;q=0.1, fr;q=0.5, de-AT;q=0.9", Some("de")),
            ("de-CH;q=0", None),
            ("en;q=0, de-CH;q=0, *;q=0.5", Some("de")),
            ("de-CH, de;q=0", None),
            ("en-US", None),
            ("it, ja", None),
            ("*;q=0", None),
        ] {
            let ranges = weighted([field.as_bytes()]).collect::<Vec<_>>();
            assert_eq!(best(&ranges, &offered), expected, "{field}");
        }
        assert_eq!(best(&[("de", 1000)], &[]), None);
    }
}
