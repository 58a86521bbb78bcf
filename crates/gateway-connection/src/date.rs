//! The Date field's value, rendered once a second and thread.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

/// The length of an IMF-fixdate (RFC 9110 §5.6.7).
const LEN: usize = 29;

thread_local! {
    static RENDERED: RefCell<(u64, [u8; LEN])> = const { RefCell::new((u64::MAX, [0; LEN])) };
}

/// Gives `f` the date of `unix_seconds`.
pub(crate) fn with_date<R>(unix_seconds: u64, f: impl FnOnce(&[u8]) -> R) -> R {
    RENDERED.with_borrow_mut(|(second, date)| {
        if *second != unix_seconds {
            let time = UNIX_EPOCH + Duration::from_secs(unix_seconds);
            let text = httpdate::fmt_http_date(time);
            if let Ok(text) = text.as_bytes().try_into() {
                (*second, *date) = (unix_seconds, text);
            }
        }
        f(date)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_second_is_a_new_date() {
        let at = |seconds| with_date(seconds, |date| String::from_utf8_lossy(date).into_owned());
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
