//! From the raw path of a request to names in the file system.

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode, percent_encode, utf8_percent_encode,
};

/// What a path segment says as it is (RFC 3986 §3.3, `pchar`), without what HTML would escape.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// What cannot stand in a path that is encoded already.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'%').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What cannot stand in a query (RFC 3986 §3.4), though a request may bring it.
const NOT_IN_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// How the names of uploads begin that are not complete, where they need a name. They are neither
/// served nor listed, whatever else is.
pub(crate) const UNFINISHED: &[u8] = b".gateway-upload-";

/// A request's path as names below the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RequestPath {
    /// Decoded segments joined by `/`; bytes, since names on Unix are.
    name: Vec<u8>,
    /// The path ends with a slash, so it means a directory.
    directory: bool,
}

/// Why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathError {
    /// It is no path: a percent sign without two hexadecimal digits.
    Malformed,
    /// It could name nothing that is served, whatever is in the file system.
    Refused,
}

impl RequestPath {
    /// Takes the raw path apart; `hidden` admits names that begin with a dot.
    ///
    /// Only a raw `/` separates. Segments that are empty, `.` or `..` in any spelling, or that
    /// contain a `/` or a NUL once decoded, name nothing. `/.well-known` is not hidden: it is there
    /// to be found (RFC 8615).
    pub(crate) fn parse(raw: &str, hidden: bool) -> Result<RequestPath, PathError> {
        let Some(raw) = raw.strip_prefix('/') else {
            let root = RequestPath { name: Vec::new(), directory: true };
            return if raw.is_empty() { Ok(root) } else { Err(PathError::Refused) };
        };
        let mut name = Vec::with_capacity(raw.len());
        let mut segments = raw.split('/').peekable();
        let mut directory = false;
        while let Some(segment) = segments.next() {
            if segment.is_empty() && segments.peek().is_none() {
                directory = true;
                break;
            }
            if !name.is_empty() {
                name.push(b'/');
            }
            let start = name.len();
            decode(segment, &mut name)?;
            if !is_served(&name[start..], hidden || start == 0 && &*name == b".well-known") {
                return Err(PathError::Refused);
            }
        }
        Ok(RequestPath { name, directory })
    }

    /// The names below the root, joined by `/`; empty for the root.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether the path ends with a slash.
    pub(crate) fn is_directory(&self) -> bool {
        self.directory
    }

    /// The name of `child` in this directory.
    pub(crate) fn join(&self, child: &[u8]) -> Vec<u8> {
        join(&self.name, child)
    }

    /// The segments, decoded.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.name.split(|&b| b == b'/').filter(|segment| !segment.is_empty())
    }

    /// The absolute path of this directory below `script_name`, encoded, with a slash at its end.
    ///
    /// It is made anew from the names, so nothing that a peer wrote gets into it.
    pub(crate) fn directory_href(&self, script_name: &str) -> String {
        let mut href = encode_again(script_name);
        href.push('/');
        for segment in self.segments() {
            push_segment(&mut href, segment);
            href.push('/');
        }
        href
    }
}

/// `child` below `directory`.
pub(crate) fn join(directory: &[u8], child: &[u8]) -> Vec<u8> {
    let mut name = directory.to_vec();
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(child);
    name
}

/// Encodes one name as one segment.
pub(crate) fn push_segment(href: &mut String, name: &[u8]) {
    href.extend(percent_encode(name, SEGMENT));
}

/// Adds a query as it came, with what cannot stand there encoded.
pub(crate) fn push_query(href: &mut String, query: &str) {
    href.extend(utf8_percent_encode(query, NOT_IN_QUERY));
}

/// Whether a name begins with a dot.
pub(crate) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

/// Whether listing and serving pass over a name that is there; `hidden` admits a dot.
pub(crate) fn is_passed_over(name: &[u8], hidden: bool) -> bool {
    is_hidden(name) && (!hidden || name.starts_with(UNFINISHED))
}

/// A name for people: what is no UTF-8 and no character becomes U+FFFD.
pub(crate) fn shown(name: &[u8]) -> String {
    let shown = String::from_utf8_lossy(name);
    shown.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn is_served(segment: &[u8], hidden: bool) -> bool {
    !matches!(segment, b"" | b"." | b"..")
        && !segment.iter().any(|b| matches!(b, b'/' | 0))
        && !is_passed_over(segment, hidden)
}

/// Adds what a segment says to `name`, with its percent signs resolved.
pub(crate) fn decode(segment: &str, name: &mut Vec<u8>) -> Result<(), PathError> {
    if !segment.as_bytes().contains(&b'%') {
        name.extend_from_slice(segment.as_bytes());
        return Ok(());
    }
    let complete = segment.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !complete {
        return Err(PathError::Malformed);
    }
    name.extend(percent_decode(segment.as_bytes()));
    Ok(())
}

fn encode_again(path: &str) -> String {
    percent_encode(path.as_bytes(), ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn name(raw: &str) -> Result<String, PathError> {
        let path = RequestPath::parse(raw, false)?;
        Ok(String::from_utf8(path.name).expect("the tests name text"))
    }

    #[test]
    fn paths_become_names() {
        for (raw, expected) in [
            ("", ""),
            ("/", ""),
            ("/a", "a"),
            ("/a/", "a"),
            ("/a/b%20c", "a/b c"),
            ("/100%25", "100%"),
            ("/%3f%23", "?#"),
            ("/caf%C3%A9", "café"),
            ("/a%5Cb", "a\\b"),
            ("/.well-known/acme", ".well-known/acme"),
            ("/a..b", "a..b"),
            ("/a.", "a."),
        ] {
            assert_eq!(name(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn nothing_else_is_a_name() {
        for raw in [
            "*",
            "a",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/./a",
            "/../a",
            "/a/..",
            "/a/.",
            "/%2e",
            "/%2e%2e/a",
            "/.%2E/a",
            "/a%2fb",
            "/%2f",
            "/a%00",
            "/%00",
            "/.hidden",
            "/%2ehidden",
            "/a/.git/config",
            "/a/.well-known",
            "/.well-known/.git",
            "/..%5c..%5ca",
        ] {
            assert_eq!(name(raw), Err(PathError::Refused), "{raw}");
        }
        for raw in ["/%", "/%2", "/%zz", "/a/%%", "/%2g", "/%+1", "/a%"] {
            assert_eq!(name(raw), Err(PathError::Malformed), "{raw}");
        }
    }

    #[test]
    fn hidden_names_can_be_admitted_and_dots_cannot() {
        assert!(RequestPath::parse("/.hidden", true).is_ok());
        assert!(RequestPath::parse("/.gateway-upload-1-1", true).is_err());
        assert!(RequestPath::parse("/%2e%2e", true).is_err());
        assert!(RequestPath::parse("/.", true).is_err());
    }

    #[test]
    fn hrefs_are_made_of_names() {
        let path = RequestPath::parse("/a%20b/%25/%3Cx%26%22/", false).expect("it is a path");
        assert_eq!(path.directory_href("/app"), "/app/a%20b/%25/%3Cx%26%22/");
        let root = RequestPath::parse("/", false).expect("it is a path");
        assert_eq!(root.directory_href(""), "/");
        assert_eq!(root.directory_href("/a\"b%20"), "/a%22b%20/");
    }

    proptest! {
        #[test]
        fn no_name_leads_up_or_holds_a_nul(raw in "(/|%2[eEfF]|%00|%5[cC]|\\.|a|%|[ -~]){0,24}", hidden: bool) {
            if let Ok(path) = RequestPath::parse(&raw, hidden) {
                prop_assert!(!path.name.starts_with(b"/"));
                prop_assert!(!path.name.contains(&0));
                for segment in path.segments() {
                    prop_assert!(segment != b"." && segment != b"..");
                }
                let separators = path.name.iter().filter(|&&b| b == b'/').count();
                prop_assert!(separators < raw.matches('/').count().max(1));
            }
        }

        #[test]
        fn an_encoded_name_comes_back(bytes in proptest::collection::vec(any::<u8>(), 1..16)) {
            let mut raw = String::from("/");
            push_segment(&mut raw, &bytes);
            match RequestPath::parse(&raw, true) {
                Ok(path) => prop_assert_eq!(path.name, bytes),
                Err(_) => prop_assert!(bytes.iter().any(|b| matches!(b, 0 | b'/')) || bytes == b"." || bytes == b".."),
            }
        }
    }
}
