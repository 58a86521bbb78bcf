//! What is said when the server is up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use gateway_core::Address;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use gateway::console::{Style, note, painted};

/// Says where `address` is reached, and shows it as a QR code if `qr` says so.
pub(crate) fn show(what: &str, address: &Address, qr: bool) {
    note(format_args!("Serving {}", painted(Style::Bold, what)));
    let places = places(address);
    for (label, url) in &places {
        note(format_args!("  {label:<9}{}", painted(Style::Bold, url)));
    }
    if let Some((label, url)) = places.last()
        && qr
    {
        if *label == LOCAL {
            note("  (a phone cannot reach this address; --bind 0.0.0.0 listens to the network)");
        }
        if let Ok(code) = QrCode::new(url) {
            // Light modules are drawn, since most terminals are dark.
            let mut picture = code.render::<Dense1x2>();
            picture.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
            note(picture.build());
        }
    }
}

const LOCAL: &str = "Local:";
const NETWORK: &str = "Network:";

/// The URLs under which `address` is reached, the one for others last.
fn places(address: &Address) -> Vec<(&'static str, String)> {
    let Some(address) = address.inet() else {
        return vec![("Socket:", address.to_string())];
    };
    let url = |ip: IpAddr| format!("http://{}/", SocketAddr::new(ip, address.port()));
    let outward = match address.ip() {
        ip if ip.is_loopback() => return vec![(LOCAL, url(ip))],
        ip if !ip.is_unspecified() => return vec![(NETWORK, url(ip))],
        IpAddr::V4(_) => vec![outward("0.0.0.0:0", "192.0.2.1:9")],
        // Such a socket takes both kinds, where the system has not been told otherwise.
        IpAddr::V6(_) => {
            vec![outward("[::]:0", "[2001:db8::1]:9"), outward("0.0.0.0:0", "192.0.2.1:9")]
        }
    };
    let loopback = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let network = outward.into_iter().flatten().map(|ip| (NETWORK, url(ip)));
    [(LOCAL, url(loopback))].into_iter().chain(network).collect()
}

/// The address that this machine would speak from to the outside. Nothing is sent: to connect a
/// datagram socket only looks for a route, and `to` is an address of documentation.
fn outward(from: &str, to: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_ones_that_a_browser_takes() {
        let of = |address: &str| places(&Address::Inet(address.parse().unwrap()));
        assert_eq!(of("127.0.0.1:80"), [(LOCAL, "http://127.0.0.1:80/".to_owned())]);
        assert_eq!(of("[::1]:8000"), [(LOCAL, "http://[::1]:8000/".to_owned())]);
        assert_eq!(of("192.0.2.7:1"), [(NETWORK, "http://192.0.2.7:1/".to_owned())]);
        let all = of("0.0.0.0:8000");
        assert_eq!(all[0], (LOCAL, "http://127.0.0.1:8000/".to_owned()));
        assert!(all.iter().all(|(_, url)| !url.contains("0.0.0.0")), "{all:?}");
    }
}
