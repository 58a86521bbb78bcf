//! Request header fields, kept as they came.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header fields of a request.
///
/// They are kept as one piece of bytes and the fields' positions: looking up two names of thirteen
/// needs no map. The map is built when somebody asks for it.
pub(crate) struct Headers {
    bytes: Bytes,
    fields: Fields,
    map: OnceLock<Box<HeaderMap>>,
    /// Whether the map may have been changed, and the positions are void.
    map_rules: bool,
}

/// Where one field's name and value stand in the head's bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Field {
    name: (u16, u16),
    value: (u16, u16),
}

/// A browser sends thirteen fields; so many stand inline.
const INLINE: usize = 16;

enum Fields {
    Inline { len: u8, fields: [Field; INLINE] },
    Spilled(Vec<Field>),
}

impl Headers {
    pub(crate) fn empty() -> Headers {
        Headers {
            bytes: Bytes::new(),
            fields: Fields::Inline { len: 0, fields: [Field::default(); INLINE] },
            map: OnceLock::new(),
            map_rules: false,
        }
    }

    pub(crate) fn from_map(map: HeaderMap) -> Headers {
        Headers { map: OnceLock::from(Box::new(map)), map_rules: true, ..Headers::empty() }
    }

    /// Positions past the end of `bytes` are left out.
    pub(crate) fn from_positions(
        bytes: Bytes,
        positions: impl Iterator<Item = (Range<usize>, Range<usize>)>,
    ) -> Headers {
        // Positions are kept in 16 bits. A longer head is rare enough to be copied into a map, and
        // no field of it is lost.
        if bytes.len() > usize::from(u16::MAX) {
            let mut map = HeaderMap::new();
            for (name, value) in positions {
                if let (Some(name), Some(_)) = (bytes.get(name), bytes.get(value.clone())) {
                    append(&mut map, name, bytes.slice(value));
                }
            }
            return Headers::from_map(map);
        }
        let mut headers = Headers { bytes, ..Headers::empty() };
        for (name, value) in positions {
            if let (Some(name), Some(value)) = (headers.span(name), headers.span(value)) {
                headers.fields.push(Field { name, value });
            }
        }
        headers
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        if self.map_rules {
            return self.map().get(name).map(HeaderValue::as_bytes);
        }
        let name = name.as_bytes();
        let field = self.fields.as_slice().iter().find(|field| {
            usize::from(field.name.1) == name.len()
                && self.of(field.name).eq_ignore_ascii_case(name)
        })?;
        Some(self.of(field.value))
    }

    /// All fields in the order they came in; names in the case they came in.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (map, fields) = match self.map_rules {
            true => (Some(self.map()), &[][..]),
            false => (None, self.fields.as_slice()),
        };
        map.into_iter()
            .flat_map(|map| map.iter().map(|(name, value)| (name.as_ref(), value.as_bytes())))
            .chain(fields.iter().map(|field| (self.of(field.name), self.of(field.value))))
    }

    pub(crate) fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| Box::new(self.build()))
    }

    pub(crate) fn map_mut(&mut self) -> &mut HeaderMap {
        self.map();
        self.map_rules = true;
        self.map.get_mut().expect("it was initialised in the line above")
    }

    fn build(&self) -> HeaderMap {
        let fields = self.fields.as_slice();
        let mut map = HeaderMap::with_capacity(fields.len());
        for field in fields {
            let (start, len) = (usize::from(field.value.0), usize::from(field.value.1));
            let value = self.bytes.slice(start..start + len);
            append(&mut map, self.of(field.name), value);
        }
        map
    }

    fn span(&self, range: Range<usize>) -> Option<(u16, u16)> {
        if range.end > self.bytes.len() || range.start > range.end {
            return None;
        }
        Some((range.start.try_into().ok()?, (range.end - range.start).try_into().ok()?))
    }

    fn of(&self, (start, len): (u16, u16)) -> &[u8] {
        &self.bytes[usize::from(start)..usize::from(start) + usize::from(len)]
    }
}

/// Leaves out what is no field, and what is more than a map can hold (32,768 fields).
fn append(map: &mut HeaderMap, name: &[u8], value: Bytes) {
    let name = HeaderName::from_bytes(name);
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value)) {
        let _ = map.try_append(name, value);
    }
}

impl Fields {
    fn as_slice(&self) -> &[Field] {
        match self {
            Fields::Inline { len, fields } => &fields[..usize::from(*len)],
            Fields::Spilled(fields) => fields,
        }
    }

    fn push(&mut self, field: Field) {
        match self {
            Fields::Inline { len, fields } if usize::from(*len) < INLINE => {
                fields[usize::from(*len)] = field;
                *len += 1;
            }
            Fields::Inline { fields, .. } => {
                let mut spilled = Vec::with_capacity(2 * INLINE);
                spilled.extend_from_slice(fields);
                spilled.push(field);
                *self = Fields::Spilled(spilled);
            }
            Fields::Spilled(fields) => fields.push(field),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| {
                (String::from_utf8_lossy(name), String::from_utf8_lossy(value))
            }))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut bytes = Vec::new();
        let mut positions = Vec::new();
        for (name, value) in fields {
            let name_at = bytes.len()..bytes.len() + name.len();
            bytes.extend_from_slice(name.as_bytes());
            let value_at = bytes.len()..bytes.len() + value.len();
            bytes.extend_from_slice(value.as_bytes());
            positions.push((name_at, value_at));
        }
        Headers::from_positions(bytes.into(), positions.into_iter())
    }

    #[test]
    fn a_name_is_found_in_any_case_without_a_map() {
        let headers = headers(&[("Host", "a"), ("ACCEPT", "b"), ("accept", "c")]);
        assert_eq!(headers.get("accept"), Some(&b"b"[..]));
        assert_eq!(headers.get("Cookie"), None);
        assert!(headers.map.get().is_none(), "nobody asked for a map");
    }

    #[test]
    fn more_fields_than_stand_inline_are_kept() {
        let names: Vec<String> = (0..40).map(|n| format!("x-{n}")).collect();
        let fields: Vec<(&str, &str)> = names.iter().map(|name| (&name[..], "v")).collect();
        let headers = headers(&fields);
        assert_eq!(headers.iter().count(), 40);
        assert_eq!(headers.get("x-39"), Some(&b"v"[..]));
        assert_eq!(headers.map().len(), 40);
    }

    #[test]
    fn the_map_is_the_only_source_once_it_may_have_changed() {
        let mut headers = headers(&[("Host", "a"), ("X-Old", "b")]);
        let map = headers.map_mut();
        map.remove("x-old");
        map.insert("x-new", HeaderValue::from_static("c"));
        assert_eq!(headers.get("X-Old"), None);
        assert_eq!(headers.get("X-New"), Some(&b"c"[..]));
        let names: Vec<&[u8]> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [&b"host"[..], b"x-new"]);
    }

    #[test]
    fn a_head_longer_than_positions_can_tell_loses_no_field() {
        let long = "v".repeat(70_000);
        let headers = headers(&[("First", "1"), ("Long", &long), ("Last", "2"), ("last", "3")]);
        assert_eq!(headers.get("first"), Some(&b"1"[..]));
        assert_eq!(headers.get("LONG").map(<[u8]>::len), Some(70_000));
        let last: Vec<_> = headers.map().get_all("last").iter().collect();
        assert_eq!(last, ["2", "3"]);
        assert_eq!(headers.iter().count(), 4);
    }

    #[test]
    fn positions_outside_of_the_bytes_are_left_out() {
        let headers =
            Headers::from_positions(Bytes::from_static(b"ab"), [(0..1, 1..9)].into_iter());
        assert_eq!(headers.iter().count(), 0);
    }
}
