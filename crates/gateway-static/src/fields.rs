//! Values of header fields: one that is made, and what `Accept` says.

use gateway_core::bytes::Bytes;
use gateway_core::http::header::{HeaderValue, InvalidHeaderValue};

/// A value that keeps the text it is given.
pub(crate) fn owned(text: String) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text))
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

#[cfg(test)]
mod tests {
    use gateway_request::fields::weighted;

    use super::*;

    fn accept(value: &str) -> Vec<(&str, u16)> {
        weighted([value.as_bytes()]).collect()
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
