//! The `Range` field: which bytes a peer wants.

use std::ops::Range;

/// Bytes of a representation, from the first to behind the last.
pub(crate) type Span = Range<u64>;

/// What a `Range` field comes to for a representation of known length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: the field says nothing that holds here.
    Whole,
    /// These bytes: at least one span, none empty, none touching another.
    Parts(Vec<Span>),
    /// 416: the field is well-formed and names nothing that is there.
    Unsatisfiable,
}

/// Reads a `Range` field.
///
/// Another unit than bytes, a malformed set, and a set of more than `cap` ranges are passed over,
/// as a server may with any range. Ranges that overlap or touch become one, so a peer cannot have
/// the same bytes sent twice (CVE-2011-3192); the others stay in the order they came in.
///
/// Source: RFC 9110 §14.1.2, §14.2, §15.3.7.2.
pub(crate) fn wanted(field: &str, len: u64, cap: usize) -> Wanted {
    match parse(field, cap) {
        Some(specs) => resolve(&specs, len),
        None => Wanted::Whole,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// From the first to the last position, inclusive.
    Int(u64, u64),
    /// So many bytes at the end.
    Suffix(u64),
}

fn parse(field: &str, cap: usize) -> Option<Vec<Spec>> {
    let (unit, set) = field.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    // RFC 9110 §5.6.1.2: a recipient accepts empty members, within reason.
    for member in set.split(',').map(|member| member.trim_matches([' ', '\t'])) {
        if member.is_empty() {
            continue;
        }
        let (first, last) = member.split_once('-')?;
        let spec = match (first, last) {
            ("", suffix) => Spec::Suffix(number(suffix)?),
            (first, "") => Spec::Int(number(first)?, u64::MAX),
            (first, last) => Spec::Int(number(first)?, number(last)?),
        };
        if matches!(spec, Spec::Int(first, last) if first > last) || specs.len() == cap {
            return None;
        }
        specs.push(spec);
    }
    if specs.is_empty() { None } else { Some(specs) }
}

fn resolve(specs: &[Spec], len: u64) -> Wanted {
    let mut parts: Vec<Span> = Vec::new();
    for spec in specs {
        let part = match *spec {
            Spec::Int(first, last) if first < len => first..last.saturating_add(1).min(len),
            Spec::Int(..) | Spec::Suffix(0) => continue,
            // Satisfiable by the letter, but no Content-Range can say "no bytes".
            Spec::Suffix(_) if len == 0 => return Wanted::Whole,
            Spec::Suffix(suffix) => len.saturating_sub(suffix)..len,
        };
        insert(&mut parts, part);
    }
    if parts.is_empty() { Wanted::Unsatisfiable } else { Wanted::Parts(parts) }
}

/// Adds `part`, in the place of the first of those that it touches. One pass is enough: what is in
/// `parts` already does not touch one another, so the union reaches nothing that `part` did not.
fn insert(parts: &mut Vec<Span>, mut part: Span) {
    let mut place = parts.len();
    for at in (0..parts.len()).rev() {
        let other = &parts[at];
        if part.start <= other.end && other.start <= part.end {
            part = part.start.min(other.start)..part.end.max(other.end);
            parts.remove(at);
            place = at;
        }
    }
    parts.insert(place.min(parts.len()), part);
}

/// 1*DIGIT; what is larger than any length counts as the largest.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(spans: &[(u64, u64)]) -> Wanted {
        Wanted::Parts(spans.iter().map(|&(start, end)| start..end).collect())
    }

    #[test]
    fn ranges_of_a_thousand_bytes() {
        for (field, expected) in [
            ("bytes=0-8", parts(&[(0, 9)])),
            ("Bytes=0-8", parts(&[(0, 9)])),
            ("bytes=990-", parts(&[(990, 1000)])),
            ("bytes=-10", parts(&[(990, 1000)])),
            ("bytes=-5000", parts(&[(0, 1000)])),
            ("bytes=5-99999999999999999999999", parts(&[(5, 1000)])),
            ("bytes=0-18446744073709551615", parts(&[(0, 1000)])),
            ("bytes=0-0 ,\t2-2", parts(&[(0, 1), (2, 3)])),
            ("bytes=,0-0,,2-2,", parts(&[(0, 1), (2, 3)])),
            ("bytes=500-599,0-9", parts(&[(500, 600), (0, 10)])),
            ("bytes=0-9,5-19,100-199", parts(&[(0, 20), (100, 200)])),
            ("bytes=0-9,10-19", parts(&[(0, 20)])),
            ("bytes=50-59,0-9,70-79,5-75", parts(&[(0, 80)])),
            ("bytes=0-9,100000-", parts(&[(0, 10)])),
            ("bytes=0-9,-0", parts(&[(0, 10)])),
            ("bytes=1000-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=18446744073709551616-", Wanted::Unsatisfiable),
            ("items=0-8", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=,", Wanted::Whole),
            ("bytes=9-8", Wanted::Whole),
            ("bytes=0-1,9-8", Wanted::Whole),
            ("bytes=10", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=--5", Wanted::Whole),
            ("bytes=+0-5", Wanted::Whole),
            ("bytes=0x0-0x5", Wanted::Whole),
            ("bytes=0-1-2", Wanted::Whole),
            ("bytes=10-11 12-", Wanted::Whole),
            ("bytes= 0 - 5", Wanted::Whole),
            ("bytes =0-5", Wanted::Whole),
            ("bytes 0-5", Wanted::Whole),
            ("bytes=0-1,2-3,4-5,6-7,8-9", Wanted::Whole),
        ] {
            assert_eq!(wanted(field, 1000, 4), expected, "{field}");
        }
    }

    #[test]
    fn an_empty_file_has_no_bytes_to_name() {
        assert_eq!(wanted("bytes=0-", 0, 4), Wanted::Unsatisfiable);
        assert_eq!(wanted("bytes=-5", 0, 4), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn parts_are_inside_and_apart(field in "bytes=([0-9]{0,4}-?[0-9]{0,4}[, ]{0,2}){0,12}", len in 0u64..5000) {
            if let Wanted::Parts(parts) = wanted(&field, len, 8) {
                prop_assert!(!parts.is_empty() && parts.len() <= 8);
                for (at, part) in parts.iter().enumerate() {
                    prop_assert!(part.start < part.end && part.end <= len);
                    for other in &parts[..at] {
                        prop_assert!(part.end < other.start || other.end < part.start);
                    }
                }
            }
        }

        #[test]
        fn every_byte_that_is_asked_for_is_in_one_part(
            specs in proptest::collection::vec((0u64..120, 0u64..40), 1..8),
            len in 1u64..100,
        ) {
            let list: Vec<String> =
                specs.iter().map(|(first, n)| format!("{first}-{}", first + n)).collect();
            let asked = |byte: u64| specs.iter().any(|(first, n)| (*first..=first + n).contains(&byte));
            let got: Vec<Span> = match wanted(&format!("bytes={}", list.join(",")), len, 8) {
                Wanted::Parts(parts) => parts,
                _ => Vec::new(),
            };
            for byte in 0..len {
                let times = got.iter().filter(|part| part.contains(&byte)).count();
                prop_assert_eq!(times, usize::from(asked(byte)), "byte {}", byte);
            }
        }

        #[test]
        fn no_field_is_a_panic(field in any::<String>(), len: u64) {
            let _ = wanted(&field, len, 16);
        }
    }
}
