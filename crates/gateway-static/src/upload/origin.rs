//! Which pages may make a browser write.
//!
//! A page of any site can have a browser post a form to any address, also to one of this machine,
//! and the browser asks nobody before. But it says whose page it was.
//!
//! Source: the Fetch standard, "`Origin` header"; Fetch Metadata Request Headers §2.4.

use gateway_core::Environ;
use gateway_request::fields::values;

use super::Refusal;
use crate::path::shown;

/// Refuses what a page of another site sends. Who says nothing is no browser.
pub(super) fn check(environ: &Environ) -> Result<(), Refusal> {
    let mut sites = values(environ, "sec-fetch-site");
    if sites.any(|site| matches!(site.trim_ascii(), b"cross-site" | b"same-site")) {
        return Err(Refusal::OtherSite);
    }
    let secure = environ.url_scheme() == "https";
    let authority = environ.authority().unwrap_or_default();
    match values(environ, "origin").find(|origin| !is_own(origin, authority, secure)) {
        Some(origin) => {
            Err(Refusal::OtherOrigin { origin: shown(origin), host: authority.to_owned() })
        }
        None => Ok(()),
    }
}

/// The same host and port. A proxy may have ended TLS, so `https` is believed; where the connection
/// is known to be secure, a page that is not is another.
fn is_own(origin: &[u8], authority: &str, secure: bool) -> bool {
    let Ok(origin) = std::str::from_utf8(origin) else { return false };
    let (host, default_port) = match origin.trim().split_once("://") {
        Some(("https", host)) => (host, ":443"),
        Some(("http", host)) if !secure => (host, ":80"),
        _ => return false,
    };
    let bare = |authority| str::strip_suffix(authority, default_port).unwrap_or(authority);
    !host.is_empty() && bare(host).eq_ignore_ascii_case(bare(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_host_and_port_are_own() {
        for (origin, authority, secure, expected) in [
            ("http://127.0.0.1:8000", "127.0.0.1:8000", false, true),
            ("http://Example.com", "example.COM", false, true),
            ("http://example.com", "example.com:80", false, true),
            ("https://example.com", "example.com:443", true, true),
            ("https://example.com", "example.com", false, true),
            ("http://[::1]:8000", "[::1]:8000", false, true),
            ("http://example.com", "example.com", true, false),
            ("http://example.com", "example.com:443", false, false),
            ("http://127.0.0.1:8001", "127.0.0.1:8000", false, false),
            ("http://localhost:8000", "127.0.0.1:8000", false, false),
            ("http://127.0.0.1", "127.0.0.1:8000", false, false),
            ("http://127.0.0.1:8000.evil.example", "127.0.0.1:8000", false, false),
            ("http://evil.example/127.0.0.1:8000", "127.0.0.1:8000", false, false),
            ("null", "null", false, false),
            ("null", "127.0.0.1:8000", false, false),
            ("", "", false, false),
            ("http://", "", false, false),
            ("file://", "", false, false),
        ] {
            let found = is_own(origin.as_bytes(), authority, secure);
            assert_eq!(found, expected, "{origin} at {authority}");
        }
    }
}
