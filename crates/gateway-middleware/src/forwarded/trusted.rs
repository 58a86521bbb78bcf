//! Who can be believed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use gateway_core::Address;
use ipnet::IpNet;

/// A proxy that can be believed, as a configuration names it: an address (`10.0.0.1`), a network
/// (`10.0.0.0/8`, `fd00::/8`), or `unix` for whoever connects by a Unix socket.
///
/// Who may connect by a Unix socket is decided by the permissions of its file.
///
/// ```
/// use gateway_middleware::TrustedProxy;
///
/// let proxy: TrustedProxy = "10.0.0.0/8".parse()?;
/// assert_eq!(proxy.to_string(), "10.0.0.0/8");
/// assert!("localhost".parse::<TrustedProxy>().is_err());
/// # Ok::<(), gateway_middleware::InvalidNetwork>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxy(Peers);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Peers {
    Network(IpNet),
    Unix,
}

/// A proxy that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{network}` is neither an address nor a network; write 10.0.0.1, 10.0.0.0/8 or fd00::/8, or \
     unix for a Unix socket"
)]
pub struct InvalidNetwork {
    /// As it was given.
    pub network: String,
}

impl TrustedProxy {
    /// Whoever connects by a Unix socket.
    pub(super) const UNIX: TrustedProxy = TrustedProxy(Peers::Unix);

    pub(super) fn is_at(&self, address: &Address) -> bool {
        match (&self.0, address.inet()) {
            (Peers::Network(network), Some(address)) => {
                network.contains(&address.ip().to_canonical())
            }
            (Peers::Unix, None) => true,
            _ => false,
        }
    }
}

impl FromStr for TrustedProxy {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<TrustedProxy, InvalidNetwork> {
        if text == "unix" {
            return Ok(TrustedProxy::UNIX);
        }
        let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let network = address.or_else(|_| text.parse::<IpNet>());
        let network = network.map_err(|_| InvalidNetwork { network: text.to_owned() })?;
        Ok(TrustedProxy(Peers::Network(network)))
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Peers::Network(network) => write!(f, "{network}"),
            Peers::Unix => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_as_it_is_read() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1/32"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("unix", "unix"),
        ] {
            let proxy: TrustedProxy = text.parse().expect("it is one");
            assert_eq!(proxy.to_string(), shown);
            assert_eq!(shown.parse::<TrustedProxy>().expect("it is one"), proxy);
        }
    }
}
