//! What a head says, checked in one pass.

use gateway_core::http::StatusCode;
use gateway_core::http::header::{self, HeaderName};
use gateway_core::{ApplicationError, Head, Result};

/// The facts of a checked head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    pub(crate) declared: Option<u64>,
    pub(crate) close: bool,
    pub(crate) has_date: bool,
    pub(crate) has_server: bool,
    pub(crate) has_trailer: bool,
    /// There are fields to be removed.
    pub(crate) hop_by_hop: bool,
}

/// Reads the fields that concern the server.
pub(crate) fn check(head: &Head) -> Result<Facts> {
    let mut facts = Facts::default();
    for (name, value) in head.headers.fields() {
        // Most names have a length of their own, and need not be compared.
        match name.as_str().len() {
            4 => facts.has_date |= *name == header::DATE,
            6 => facts.has_server |= *name == header::SERVER,
            7 if *name == header::TRAILER => facts.has_trailer = true,
            10 if *name == header::CONNECTION => {
                facts.close |= value
                    .split(|&b| b == b',')
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
                facts.hop_by_hop = true;
            }
            14 if *name == header::CONTENT_LENGTH => {
                let length = parse_length(value);
                if length.is_none() || facts.declared.is_some_and(|first| Some(first) != length) {
                    return Err(ApplicationError::InvalidContentLength.into());
                }
                facts.declared = length;
            }
            2 | 7 | 10 | 16 | 17 => facts.hop_by_hop |= is_hop_by_hop(name, head.status),
            _ => {}
        }
    }
    Ok(facts)
}

/// RFC 9110 §7.6.1. `Upgrade` belongs to 101 and 426, whose meaning it is.
fn is_hop_by_hop(name: &HeaderName, status: StatusCode) -> bool {
    if *name == header::UPGRADE {
        return status != StatusCode::SWITCHING_PROTOCOLS && status != StatusCode::UPGRADE_REQUIRED;
    }
    *name == header::TRANSFER_ENCODING
        || *name == header::TE
        || *name == "keep-alive"
        || *name == "proxy-connection"
}

/// Removes the fields that are the hop's own, and adds those to `removed` that the application was
/// not to set.
pub(crate) fn remove_hop_by_hop(head: &mut Head, removed: &mut Vec<HeaderName>) {
    let status = head.status;
    let is_asked_for = |option: &[u8]| {
        // To close is a wish that is honoured; the two upgrade statuses are usually so announced.
        let upgrades =
            status == StatusCode::SWITCHING_PROTOCOLS || status == StatusCode::UPGRADE_REQUIRED;
        option.eq_ignore_ascii_case(b"close")
            || (upgrades && option.eq_ignore_ascii_case(b"upgrade"))
    };
    let names: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| is_hop_by_hop(name, status) || *name == header::CONNECTION)
        .cloned()
        .collect();
    for name in names {
        let silent = name == header::CONNECTION
            && head.headers.get_all(&name).iter().all(|value| {
                value.as_bytes().split(|&b| b == b',').all(|o| is_asked_for(o.trim_ascii()))
            });
        head.headers.remove(&name);
        if !silent {
            removed.push(name);
        }
    }
}

/// 1*DIGIT, without overflow (RFC 9110 §8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |length, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::http::{HeaderMap, HeaderValue};

    fn checked(fields: &[(&'static str, &'static str)]) -> (Result<Facts>, Head, Vec<HeaderName>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let mut head = Head::new(StatusCode::OK, headers);
        let facts = check(&head);
        let mut removed = Vec::new();
        remove_hop_by_hop(&mut head, &mut removed);
        (facts, head, removed)
    }

    #[test]
    fn a_length_is_one_decimal_number() {
        let (facts, ..) = checked(&[("content-length", "18446744073709551615")]);
        assert_eq!(facts.expect("it fits").declared, Some(u64::MAX));
        for wrong in ["", "-1", "+1", "1 ", "0x1", "1, 1", "18446744073709551616"] {
            let (facts, ..) = checked(&[("content-length", wrong)]);
            assert!(facts.is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn two_lengths_must_agree() {
        assert!(checked(&[("content-length", "5"), ("content-length", "3")]).0.is_err());
        assert!(checked(&[("content-length", "5"), ("content-length", "5")]).0.is_ok());
    }

    #[test]
    fn close_is_honoured_and_the_rest_of_the_hop_removed() {
        let (facts, head, removed) =
            checked(&[("connection", "x-mine, Close"), ("keep-alive", "1"), ("x-mine", "2")]);
        let facts = facts.expect("it is sound");
        assert!(facts.close && facts.hop_by_hop);
        assert_eq!(head.headers.len(), 1, "{head:?}");
        assert_eq!(removed, ["connection", "keep-alive"]);
    }

    #[test]
    fn a_plain_close_is_no_reason_to_complain() {
        let (facts, head, removed) = checked(&[("connection", "close")]);
        assert!(facts.expect("it is sound").close);
        assert_eq!((head.headers.len(), removed.len()), (0, 0));
    }

    #[test]
    fn an_upgrade_field_stays_where_it_means_something() {
        for (status, stays) in [(101, true), (426, true), (200, false)] {
            let mut headers = HeaderMap::new();
            headers.insert("upgrade", HeaderValue::from_static("echo"));
            let status = StatusCode::from_u16(status).expect("a status");
            let mut head = Head::new(status, headers);
            remove_hop_by_hop(&mut head, &mut Vec::new());
            assert_eq!(head.headers.contains_key("upgrade"), stays, "{status}");
        }
    }
}
