//! What a client has to say to begin a WebSocket (RFC 6455 §4.2.1), and what is answered (§4.2.2).

use data_encoding::BASE64;
use gateway_core::Environ;
use gateway_core::http::{HeaderValue, Method, Version};
use sha1::{Digest, Sha1};

use crate::HandshakeError;

/// What RFC 6455 §1.3 puts behind the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's part of the handshake, found right.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) accept: HeaderValue,
    /// The subprotocols, in the order of the client's preference.
    pub(crate) protocols: Vec<String>,
}

impl Offer {
    /// Checks a request in the order of RFC 6455 §4.2.1; the version goes before the key, so that a
    /// client of another version is told ours.
    pub(crate) fn of(environ: &Environ) -> Result<Offer, HandshakeError> {
        if environ.method() != Method::GET {
            return Err(HandshakeError::Method { method: environ.method().clone() });
        }
        if environ.version() != Version::HTTP_11 {
            return Err(HandshakeError::HttpVersion { version: environ.version() });
        }
        if environ.authority().is_none_or(str::is_empty) {
            return Err(HandshakeError::Host);
        }
        if !options(environ, "upgrade").any(|token| token.eq_ignore_ascii_case(b"websocket")) {
            return Err(HandshakeError::Upgrade);
        }
        if !options(environ, "connection").any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
            return Err(HandshakeError::Connection);
        }
        match only(environ, "sec-websocket-version") {
            Ok(Some(b"13")) => {}
            Ok(offered) => {
                let offered = offered.map(|value| String::from_utf8_lossy(value).into_owned());
                return Err(HandshakeError::Version { offered });
            }
            Err(Repeated) => return Err(HandshakeError::VersionRepeated),
        }
        let key = match only(environ, "sec-websocket-key") {
            Ok(Some(key)) if is_key(key) => key,
            Ok(Some(_)) => return Err(HandshakeError::Key),
            Ok(None) => return Err(HandshakeError::KeyMissing),
            Err(Repeated) => return Err(HandshakeError::KeyRepeated),
        };
        Ok(Offer { accept: accept(key), protocols: protocols(environ)? })
    }
}

/// RFC 6455 §4.2.2, 5.4: the key and the GUID, hashed.
fn accept(key: &[u8]) -> HeaderValue {
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    HeaderValue::from_str(&BASE64.encode(&hash)).expect("base64 is visible ASCII")
}

/// Whether it decodes to 16 bytes: 22 characters with 6 bits each, of which 4 are left over. The
/// RFC lets a server do without decoding, so what those 4 are is nobody's concern.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_digit)
}

/// RFC 6455 §4.1, 10: tokens, each of them once.
fn protocols(environ: &Environ) -> Result<Vec<String>, HandshakeError> {
    let mut protocols = Vec::new();
    for token in options(environ, "sec-websocket-protocol") {
        let text = std::str::from_utf8(token).map_err(|_| HandshakeError::Protocols)?;
        if !token.iter().all(is_token_byte) || protocols.iter().any(|known| known == text) {
            return Err(HandshakeError::Protocols);
        }
        protocols.push(text.to_owned());
    }
    Ok(protocols)
}

/// RFC 9110 §5.6.2: tchar.
fn is_token_byte(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b)
}

/// The non-empty elements of a list, which may stand in several fields (RFC 9110 §5.6.1).
fn options<'a>(environ: &'a Environ, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    values(environ, name)
        .flat_map(|value| value.split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// A field that must not stand there twice did.
#[derive(Debug)]
pub(crate) struct Repeated;

/// The value of a field that may stand there once.
pub(crate) fn only<'a>(
    environ: &'a Environ,
    name: &'static str,
) -> Result<Option<&'a [u8]>, Repeated> {
    let mut values = values(environ, name);
    let first = values.next();
    if values.next().is_some() { Err(Repeated) } else { Ok(first) }
}

fn values<'a>(environ: &'a Environ, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let named = move |(field, value): (&'a [u8], &'a [u8])| {
        field.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
    };
    environ.fields().filter_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_the_rfcs_example() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_base64_of_16_bytes() {
        for key in
            ["dGhlIHNhbXBsZSBub25jZQ==", "++++////++++////++++//==", "AAAAAAAAAAAAAAAAAAAAAB=="]
        {
            assert!(is_key(key.as_bytes()), "{key}");
        }
        for key in [
            "",
            "AAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAA===",
            "AAAAAAAAAAAAAAAAAAAA-_==",
            "AAAAAAAAAAAAAAAAAAAAAAAAAA==",
        ] {
            assert!(!is_key(key.as_bytes()), "{key}");
        }
    }
}
