//! The address of whom a proxy got a request from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What a proxy says of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// Nothing.
    #[default]
    Unsaid,
    /// That it does not tell, or does not know.
    Hidden,
    /// An address, with the port 0 where it has none.
    Inet(SocketAddr),
}

impl Node {
    /// Reads a node as RFC 7239 §6 has it. An address of IPv6 may also stand without its brackets,
    /// as `X-Forwarded-For` has it. `None` if it is no node.
    pub(super) fn parse(text: &str) -> Option<Node> {
        if text.eq_ignore_ascii_case("unknown") || is_obfuscated(text) {
            return Some(Node::Hidden);
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(inet(IpAddr::V6(address), 0));
        }
        let (ip, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, rest) = rest.split_once(']')?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
                (IpAddr::V6(ip.parse().ok()?), port)
            }
            None => match text.split_once(':') {
                Some((ip, port)) => (IpAddr::V4(ip.parse().ok()?), Some(port)),
                None => (IpAddr::V4(text.parse().ok()?), None),
            },
        };
        let port = match port {
            None => 0,
            Some(port) if is_obfuscated(port) => 0,
            Some(port) => number(port)?,
        };
        Some(inet(ip, port))
    }
}

fn inet(ip: IpAddr, port: u16) -> Node {
    Node::Inet(SocketAddr::new(ip.to_canonical(), port))
}

/// `1*5DIGIT`, in range.
fn number(port: &str) -> Option<u16> {
    let is_number = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| port.parse().ok())?
}

/// `"_" 1*( ALPHA / DIGIT / "." / "_" / "-" )`.
fn is_obfuscated(text: &str) -> bool {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    text.len() > 1 && text.starts_with('_') && text.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_addresses_or_hidden() {
        let address = |text: &str| Some(Node::Inet(text.parse().expect("an address")));
        for (text, expected) in [
            ("192.0.2.43", address("192.0.2.43:0")),
            ("192.0.2.43:47011", address("192.0.2.43:47011")),
            ("192.0.2.43:_port", address("192.0.2.43:0")),
            ("[2001:db8:cafe::17]", address("[2001:db8:cafe::17]:0")),
            ("[2001:db8:cafe::17]:4711", address("[2001:db8:cafe::17]:4711")),
            ("2001:db8::17", address("[2001:db8::17]:0")),
            ("::ffff:192.0.2.1", address("192.0.2.1:0")),
            ("unknown", Some(Node::Hidden)),
            ("Unknown", Some(Node::Hidden)),
            ("_hidden", Some(Node::Hidden)),
            ("_SEVKISEK", Some(Node::Hidden)),
        ] {
            assert_eq!(Node::parse(text), expected, "{text}");
        }
        for wrong in [
            "",
            "_",
            "_a b",
            "example.com",
            "192.0.2.256",
            "192.0.2.1:",
            "192.0.2.1:99999",
            "192.0.2.1:+80",
            "[::1",
            "[::1]x",
            "[192.0.2.1]",
            "192.0.2.1, 10.0.0.1",
            " 192.0.2.1",
        ] {
            assert_eq!(Node::parse(wrong), None, "{wrong}");
        }
    }
}
