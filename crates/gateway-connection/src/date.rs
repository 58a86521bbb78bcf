//! The fields that all responses of a second have in common, rendered once a second and thread.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use gateway_http1::CommonFields;

/// What stands in the heads of one second.
pub(crate) struct Rendered {
    second: u64,
    /// The Date field's value, an IMF-fixdate (RFC 9110 §5.6.7).
    pub(crate) date: String,
    server: Option<String>,
    /// Date and Server; none where the server does not tell its name.
    pub(crate) common: Option<CommonFields>,
}

thread_local! {
    static RENDERED: RefCell<Rendered> = const {
        RefCell::new(Rendered { second: u64::MAX, date: String::new(), server: None, common: None })
    };
}

/// Gives `f` what the heads of `unix_seconds` have in common.
pub(crate) fn with_rendered<R>(
    unix_seconds: u64,
    server: Option<&str>,
    f: impl FnOnce(&Rendered) -> R,
) -> R {
    RENDERED.with_borrow_mut(|rendered| {
        if rendered.second != unix_seconds || rendered.server.as_deref() != server {
            rendered.render(unix_seconds, server);
        }
        f(rendered)
    })
}

impl Rendered {
    #[cold]
    fn render(&mut self, unix_seconds: u64, server: Option<&str>) {
        self.second = unix_seconds;
        self.date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_seconds));
        self.server = server.map(str::to_owned);
        // A name that is no field value is refused with every head.
        self.common = server
            .and_then(|server| CommonFields::new(self.date.as_bytes(), server.as_bytes()).ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_second_is_a_new_date() {
        let at = |seconds| with_rendered(seconds, None, |rendered| rendered.date.clone());
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
    }

    #[test]
    fn another_server_on_the_thread_has_its_own_name() {
        let at = |server| {
            with_rendered(0, server, |rendered| {
                let common = rendered.common.as_ref()?;
                Some(String::from_utf8_lossy(common.lines()).into_owned())
            })
        };
        let expected = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: a\r\n";
        assert_eq!(at(Some("a")).as_deref(), Some(expected));
        assert!(at(Some("b")).is_some_and(|lines| lines.ends_with("Server: b\r\n")));
        assert_eq!(at(None), None);
        assert_eq!(at(Some("a")).as_deref(), Some(expected));
    }
}
