//! `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.

use gateway_core::Environ;
use gateway_request::fields::values;

use super::Hop;
use super::node::Node;

/// What the proxies say, the last one first, up to what cannot be read.
pub(super) fn hops(environ: &Environ) -> Vec<Hop> {
    let nodes = members(environ, "x-forwarded-for");
    let mut protos = members(environ, "x-forwarded-proto").into_iter().map(str::to_owned);
    let mut hosts = members(environ, "x-forwarded-host").into_iter().map(str::to_owned);
    let mut hop = |node| Hop { node, proto: protos.next(), host: hosts.next() };
    match nodes[..] {
        [] => vec![hop(Node::Unsaid)],
        _ => nodes.into_iter().map_while(Node::parse).map(hop).collect(),
    }
}

/// The members of a list from the right. One that is no text is there, and empty.
fn members<'a>(environ: &'a Environ, name: &'a str) -> Vec<&'a str> {
    let lines: Vec<&[u8]> = values(environ, name).collect();
    let members = lines.into_iter().rev().flat_map(|line| line.rsplit(|&b| b == b','));
    let members = members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty());
    members.map(|member| std::str::from_utf8(member).unwrap_or_default()).collect()
}
