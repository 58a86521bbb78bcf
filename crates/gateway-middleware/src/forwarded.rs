//! Believes what trusted proxies say of a request.

mod node;
mod standard;
mod trusted;
mod x;

use gateway_core::http::uri::Authority;
use gateway_core::{Address, Application, Environ, IntoApplication, Reply, StartResponse};

use node::Node;
pub use trusted::{InvalidNetwork, TrustedProxy};

/// The fields in which proxies say what they know. One choice, and not both: a proxy that writes one
/// kind passes on the other as the peer sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedFields {
    /// `Forwarded`, of RFC 7239: its `for`, `proto` and `host`.
    Standard,
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`. Where the last two have more
    /// than one value, they are paired with those of the first from the right.
    X,
}

/// Takes the peer's address, the URL scheme and the authority from what proxies say, as far as they
/// are trusted.
///
/// Each proxy adds to the right. So the list is read from the right: what the peer itself said is
/// believed if the peer is trusted, what the one before it said if that one is trusted as well, and
/// so on. The first address that is not trusted is the client's, and whatever stands left of it may
/// be invented. Scheme and authority are those that the last proxy believed has seen. Nobody is
/// trusted who is not listed.
///
/// A proxy that is trusted has to set every field of the kind that is read, or to remove it: what it
/// passes on as it came is the client's word. And nobody may reach the application around it, from an
/// address that is trusted.
///
/// A proxy that does not tell the address (`unknown`, or an obfuscated one) makes it
/// [`Address::Unnamed`]; an address without a port has the port 0. What cannot be read ends the
/// list. A scheme other than `http` and `https`, and an authority that is none, are passed over.
/// The fields themselves stay.
///
/// Mount it outside of everything that looks at addresses.
///
/// ```
/// use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode};
/// use gateway_middleware::{Forwarded, ForwardedFields};
///
/// fn app(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let text = format!("{} by {}", environ.remote_addr(), environ.url_scheme());
///     Ok(start_response.start(StatusCode::OK, ()).with_body(text))
/// }
///
/// let app = Forwarded::new(app, ForwardedFields::X).trust("127.0.0.1")?.trust("10.0.0.0/8")?;
/// # use gateway_conformance::TestClient;
/// let request = TestClient::new(app);
/// let request = request
///     .get("/")
///     .header("x-forwarded-for", "192.0.2.9, 198.51.100.7, 10.0.0.2")
///     .header("x-forwarded-proto", "https");
/// assert_eq!(request.send().text(), "198.51.100.7:0 by https");
/// # Ok::<(), gateway_middleware::InvalidNetwork>(())
/// ```
///
/// Source: RFC 7239.
#[derive(Debug)]
pub struct Forwarded<A> {
    app: A,
    fields: ForwardedFields,
    trusted: Vec<TrustedProxy>,
}

/// What one proxy says of the request that it got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop {
    node: Node,
    proto: Option<String>,
    host: Option<String>,
}

impl<A: Application> Forwarded<A> {
    /// Reads `fields`, and believes nobody yet.
    pub fn new<M>(
        app: impl IntoApplication<M, Application = A>,
        fields: ForwardedFields,
    ) -> Forwarded<A> {
        Forwarded { app: app.into_application(), fields, trusted: Vec::new() }
    }

    /// Believes the proxies with an address in `network`: one address, or an address with the length
    /// of its prefix; or, if it is `unix`, whoever connects by a Unix socket.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork`] if it is nothing of these.
    pub fn trust(self, network: &str) -> Result<Forwarded<A>, InvalidNetwork> {
        Ok(self.trust_all([network.parse()?]))
    }

    /// Believes whoever connects by a Unix socket.
    #[must_use]
    pub fn trust_unix(self) -> Forwarded<A> {
        self.trust_all([TrustedProxy::UNIX])
    }

    /// Believes all of `proxies`, which have been read before, as from a configuration.
    #[must_use]
    pub fn trust_all(mut self, proxies: impl IntoIterator<Item = TrustedProxy>) -> Forwarded<A> {
        self.trusted.extend(proxies);
        self
    }

    fn trusts(&self, address: &Address) -> bool {
        self.trusted.iter().any(|proxy| proxy.is_at(address))
    }

    fn apply(&self, environ: &mut Environ) {
        let mut remote = environ.remote_addr().clone();
        if !self.trusts(&remote) {
            return;
        }
        let hops = match self.fields {
            ForwardedFields::Standard => standard::hops(environ),
            ForwardedFields::X => x::hops(environ),
        };
        let (mut scheme, mut authority) = (None, None);
        for hop in hops {
            scheme = hop.proto.as_deref().and_then(known_scheme).or(scheme);
            authority = hop.host.filter(|host| is_authority(host)).or(authority);
            match hop.node {
                Node::Unsaid => break,
                Node::Hidden => {
                    remote = Address::Unnamed;
                    break;
                }
                Node::Inet(address) => remote = Address::Inet(address),
            }
            if !self.trusts(&remote) {
                break;
            }
        }
        environ.set_remote_addr(remote);
        if let Some(scheme) = scheme {
            environ.set_url_scheme(scheme);
        }
        if let Some(authority) = authority {
            environ.set_authority(authority);
        }
    }
}

impl<A: Application> Application for Forwarded<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        self.apply(&mut environ);
        self.app.call(environ, start_response)
    }
}

fn known_scheme(proto: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|known| proto.eq_ignore_ascii_case(known))
}

/// A host and perhaps a port, and nothing else (RFC 9110 §7.2).
fn is_authority(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|authority| {
        !authority.host().is_empty() && !host.contains('@') && authority.as_str() == host
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for host in ["example.com", "example.com:8080", "[::1]:80", "192.0.2.1"] {
            assert!(is_authority(host), "{host}");
        }
        for wrong in ["", "a b", "user@example.com", "example.com/path", ":80", "a?b"] {
            assert!(!is_authority(wrong), "{wrong}");
        }
    }
}
