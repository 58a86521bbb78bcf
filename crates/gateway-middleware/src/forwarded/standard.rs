//! `Forwarded`, of RFC 7239.

use gateway_core::Environ;
use gateway_request::fields::values;

use super::Hop;
use super::node::Node;

/// What the proxies say, the last one first, up to what cannot be read.
pub(super) fn hops(environ: &Environ) -> Vec<Hop> {
    let lines: Vec<&[u8]> = values(environ, "forwarded").collect();
    let elements = lines.into_iter().rev().flat_map(elements);
    elements.map_while(|element| std::str::from_utf8(element).ok().and_then(hop)).collect()
}

/// The elements of a list from the right; empty ones are none.
///
/// Reading from the left would let an open quote of the peer swallow what proxies have added.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let comma = last_comma(line);
        rest = comma.map(|at| &line[..at]);
        Some(line[comma.map_or(0, |at| at + 1)..].trim_ascii())
    })
    .filter(|element| !element.is_empty())
}

/// Where the last comma stands that is not quoted.
fn last_comma(line: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    (0..line.len()).rev().find(|&at| {
        let escapes = line[..at].iter().rev().take_while(|&&b| b == b'\\').count();
        is_quoted ^= line[at] == b'"' && escapes % 2 == 0;
        line[at] == b',' && !is_quoted
    })
}

/// Reads `[ pair ] *( ";" [ pair ] )`; `None` if it is something else, or has a name twice.
fn hop(mut element: &str) -> Option<Hop> {
    let mut hop = Hop::default();
    let mut node = None;
    loop {
        element = element.trim_start_matches([' ', '\t', ';']);
        if element.is_empty() {
            break;
        }
        let (name, rest) = element.split_once('=')?;
        let (value, rest) = value(rest)?;
        element = rest;
        let place = match () {
            () if name.eq_ignore_ascii_case("for") => &mut node,
            () if name.eq_ignore_ascii_case("proto") => &mut hop.proto,
            () if name.eq_ignore_ascii_case("host") => &mut hop.host,
            () if is_token(name) => continue,
            () => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    if let Some(node) = node {
        hop.node = Node::parse(&node)?;
    }
    Some(hop)
}

/// A token or a quoted string, unquoted, and what follows the `;` behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = text.split_once(';').unwrap_or((text, ""));
        let token = token.trim_end();
        // Addresses with a colon should be quoted; many proxies do not.
        let is_value = is_token(&token.replace([':', '[', ']'], ""));
        return is_value.then(|| (token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => {
                let rest = quoted[at + 1..].trim_start();
                let rest = if rest.is_empty() { rest } else { rest.strip_prefix(';')? };
                return Some((value, rest));
            }
            (_, '\\') => value.push(chars.next()?.1),
            (_, c) => value.push(c),
        }
    }
}

fn is_token(text: &str) -> bool {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<&str> {
        let text = |element| std::str::from_utf8(element).expect("it was text");
        elements(line.as_bytes()).map(text).collect()
    }

    #[test]
    fn elements_come_from_the_right_and_quotes_of_the_left_stay_there() {
        for (line, expected) in [
            ("", vec![]),
            ("for=a", vec!["for=a"]),
            ("for=a, for=b,,for=c", vec!["for=c", "for=b", "for=a"]),
            (r#"for="a,b", for=c"#, vec!["for=c", r#"for="a,b""#]),
            (r#"for="a\",b", for=c"#, vec!["for=c", r#"for="a\",b""#]),
            (r#"for="a\\", for="b""#, vec![r#"for="b""#, r#"for="a\\""#]),
            (r#"for="open, for=c"#, vec!["for=c", r#"for="open"#]),
            (r#"for="open, for="[::1]""#, vec![r#"for="[::1]""#, r#"for="open"#]),
        ] {
            assert_eq!(split(line), expected, "{line}");
        }
    }

    #[test]
    fn an_element_has_each_name_once() {
        let some = |node: &str, proto: &str, host: &str| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let node = text(node).map_or(Some(Node::Unsaid), |node| Node::parse(&node));
            Some(Hop { node: node.expect("a node"), proto: text(proto), host: text(host) })
        };
        for (element, expected) in [
            ("for=192.0.2.1;proto=http;by=203.0.113.43", some("192.0.2.1", "http", "")),
            (r#"For="[2001:db8::1]:47";Host="a:8080""#, some("[2001:db8::1]:47", "", "a:8080")),
            ("for=192.0.2.1:80 ; proto=https;", some("192.0.2.1:80", "https", "")),
            (r#"host="a\b""#, some("", "", "ab")),
            ("by=_me;secret=1", some("", "", "")),
        ] {
            assert_eq!(hop(element), expected, "{element}");
        }
        for wrong in [
            "for",
            "for=",
            "for=a b",
            r#"for="192.0.2.1"#,
            r#"for="192.0.2.1"x"#,
            "for=junk",
            "for=192.0.2.1;for=192.0.2.2",
            "f r=1",
            "=1",
        ] {
            assert_eq!(hop(wrong), None, "{wrong}");
        }
    }
}
