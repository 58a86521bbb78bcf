//! Preconditions: whether a request still wants what it asked for.

use std::time::UNIX_EPOCH;

use gateway_core::Environ;
use gateway_request::fields::{single, values};

use crate::validators::{Tag, Validators};

/// What the preconditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send the representation.
    Proceed,
    /// 304: the peer has it.
    NotModified,
    /// 412: it is not what the peer expects.
    Failed,
}

/// Evaluates the preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2.
///
/// `If-Range` comes last and is a question of its own: [`range_holds`].
pub(crate) fn evaluate(environ: &Environ, validators: &Validators) -> Verdict {
    // Most requests have no condition, and one look tells.
    if !environ.fields().any(|(name, _)| is_condition(name)) {
        return Verdict::Proceed;
    }
    // Steps 1 and 2.
    if is_there(environ, "if-match") {
        if !names(environ, "if-match", validators, strong) {
            return Verdict::Failed;
        }
    } else if let (Some(date), Some(modified)) =
        (date(environ, "if-unmodified-since"), validators.modified)
        && modified > date
    {
        return Verdict::Failed;
    }
    // Steps 3 and 4.
    if is_there(environ, "if-none-match") {
        if names(environ, "if-none-match", validators, weak) {
            return Verdict::NotModified;
        }
    } else if let (Some(date), Some(modified)) =
        (date(environ, "if-modified-since"), validators.modified)
        && modified <= date
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Step 5: whether a range is a part of what the peer has; true without `If-Range`.
///
/// Source: RFC 9110 §13.1.5.
pub(crate) fn range_holds(environ: &Environ, validators: &Validators) -> bool {
    if !is_there(environ, "if-range") {
        return true;
    }
    let Some(value) = single(environ, "if-range") else { return false };
    if let Some((tag, rest)) = tag(value.as_bytes()) {
        return rest.is_empty() && validators.tag.as_ref().is_some_and(|ours| strong(ours, &tag));
    }
    validators.is_date_strong() && parse_date(value) == validators.modified
}

/// The names of all of them begin alike.
fn is_condition(name: &[u8]) -> bool {
    name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"if-"))
}

fn is_there(environ: &Environ, name: &str) -> bool {
    values(environ, name).next().is_some()
}

/// Whether the field lists the representation's tag, or is `*`. What is no list of tags lists none.
fn names(
    environ: &Environ,
    field: &str,
    validators: &Validators,
    same: fn(&Tag, &TagRef<'_>) -> bool,
) -> bool {
    values(environ, field).any(|value| {
        value.trim_ascii() == b"*"
            || validators.tag.as_ref().is_some_and(|ours| tags(value).any(|tag| same(ours, &tag)))
    })
}

/// A date of a field, in seconds since 1970; `None` if it is no date, and then the field says
/// nothing.
fn date(environ: &Environ, name: &str) -> Option<u64> {
    parse_date(single(environ, name)?)
}

fn parse_date(value: &str) -> Option<u64> {
    let time = httpdate::parse_http_date(value).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

struct TagRef<'a> {
    opaque: &'a [u8],
    weak: bool,
}

/// RFC 9110 §8.8.3.2.
fn strong(ours: &Tag, theirs: &TagRef<'_>) -> bool {
    !ours.weak && !theirs.weak && weak(ours, theirs)
}

fn weak(ours: &Tag, theirs: &TagRef<'_>) -> bool {
    ours.is(theirs.opaque)
}

/// The tags of a list, up to what is none. A tag may hold a comma, so the list is not split at it.
fn tags(mut value: &[u8]) -> impl Iterator<Item = TagRef<'_>> {
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', rest @ ..] = value {
            value = rest;
        }
        let (tag, rest) = tag(value)?;
        value = rest;
        Some(tag)
    })
}

/// `entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE`, and what follows it.
fn tag(value: &[u8]) -> Option<(TagRef<'_>, &[u8])> {
    let (weak, quoted) = match value.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let inside = quoted.strip_prefix(b"\"")?;
    let end = inside.iter().position(|b| !matches!(b, 0x21 | 0x23..=0x7e | 0x80..))?;
    let rest = inside[end..].strip_prefix(b"\"")?;
    Some((TagRef { opaque: &inside[..end], weak }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_taken_up_to_what_is_none() {
        for (value, expected) in [
            (r#""a""#, vec!["a"]),
            (r#""a", W/"b" ,"c,d""#, vec!["a", "W b", "c,d"]),
            (r#", ,"a""#, vec!["a"]),
            (r#""""#, vec![""]),
            (r#""a"#, vec![]),
            (r#"a, "b""#, vec![]),
            (r#"w/"a""#, vec![]),
            (r#""a b", "c""#, vec![]),
            ("", vec![]),
        ] {
            let found: Vec<String> = tags(value.as_bytes())
                .map(|tag| {
                    let opaque = String::from_utf8_lossy(tag.opaque);
                    if tag.weak { format!("W {opaque}") } else { opaque.into_owned() }
                })
                .collect();
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn dates_come_in_three_forms() {
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_date(value), Some(784_111_777), "{value}");
        }
        for value in ["", "junk", "1994-11-06T08:49:37Z", "Sun, 32 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_date(value), None, "{value}");
        }
    }
}
