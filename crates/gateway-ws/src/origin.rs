//! Which pages may open a socket.

use gateway_core::Environ;

use crate::HandshakeError;
use crate::handshake::{Repeated, only};

/// Whose sockets are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Pages from where the request goes.
    Same,
    /// These, as a browser writes them.
    Only(Vec<String>),
    /// Any.
    All,
}

/// Where a request comes from and where it goes.
#[derive(Debug)]
pub(crate) struct Origin {
    /// `None`: the client is no browser, or says nothing.
    from: Result<Option<String>, Repeated>,
    authority: String,
    secure: bool,
}

impl Origin {
    pub(crate) fn of(environ: &Environ) -> Origin {
        let from = only(environ, "origin")
            .map(|origin| origin.map(|origin| String::from_utf8_lossy(origin).into_owned()));
        Origin {
            from,
            authority: environ.authority().unwrap_or_default().to_owned(),
            secure: environ.url_scheme() == "https",
        }
    }

    /// Whether a socket may be opened.
    pub(crate) fn check(&self, allowed: &Origins) -> Result<(), HandshakeError> {
        let from = match (&self.from, allowed) {
            (_, Origins::All) | (Ok(None), _) => return Ok(()),
            (Err(Repeated), _) => return Err(HandshakeError::OriginRepeated),
            (Ok(Some(from)), _) => from,
        };
        let is_allowed = match allowed {
            Origins::Same => self.is_same(from),
            Origins::Only(origins) => {
                origins.iter().any(|origin| origin.eq_ignore_ascii_case(from))
            }
            Origins::All => true,
        };
        if is_allowed { Ok(()) } else { Err(HandshakeError::Origin { origin: from.clone() }) }
    }

    /// The same host and port. Behind a proxy that ends TLS the request looks like `http`, so only
    /// one that is known to be secure refuses a page that is not.
    fn is_same(&self, from: &str) -> bool {
        let Some((scheme, authority)) = from.split_once("://") else { return false };
        let default = match scheme {
            "https" => ":443",
            "http" if !self.secure => ":80",
            _ => return false,
        };
        let bare = |authority: &str| {
            authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase()
        };
        bare(authority) == bare(&self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(from: &str, authority: &str, secure: bool) -> bool {
        let origin =
            Origin { from: Ok(Some(from.to_owned())), authority: authority.to_owned(), secure };
        origin.check(&Origins::Same).is_ok()
    }

    #[test]
    fn the_same_host_and_port_is_the_same_origin() {
        assert!(same("http://example.com", "example.com", false));
        assert!(same("http://example.com:8000", "EXAMPLE.com:8000", false));
        assert!(same("http://example.com", "example.com:80", false));
        assert!(same("https://example.com", "example.com:443", true));
        assert!(same("http://[::1]:8000", "[::1]:8000", false));
        // A proxy has ended TLS.
        assert!(same("https://example.com", "example.com", false));
    }

    #[test]
    fn anything_else_is_another_origin() {
        assert!(!same("http://example.com", "example.org", false));
        assert!(!same("http://example.com", "example.com:8000", false));
        assert!(!same("http://example.com.evil", "example.com", false));
        assert!(!same("http://evil/?http://example.com", "example.com", false));
        assert!(!same("http://example.com", "example.com:443", false));
        assert!(!same("http://example.com", "example.com", true), "a page that anybody can forge");
        assert!(!same("null", "null", false));
        assert!(!same("", "", false));
        assert!(!same("ftp://example.com", "example.com", false));
    }
}
