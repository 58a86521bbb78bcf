//! Request header fields, kept as they came.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header fields of a request as they came: the head's bytes, and where each name and value
/// stands in them.
///
/// A server whose [`Exchange`](crate::exchange::Exchange) keeps one uses it again for its next
/// request, so that fields cost no memory of their own.
#[derive(Debug, Default)]
pub struct RequestFields {
    bytes: Bytes,
    positions: Vec<Position>,
}

/// Where one field's name and value stand in the head's bytes: the first byte, and how many.
#[derive(Debug, Clone, Copy)]
struct Position {
    name: (u32, u32),
    value: (u32, u32),
}

impl RequestFields {
    /// Takes the fields of another request: `positions` are those of names and values in `bytes`.
    /// Positions past the end of `bytes` are left out.
    #[inline]
    pub fn set(
        &mut self,
        bytes: Bytes,
        positions: impl Iterator<Item = (Range<usize>, Range<usize>)>,
    ) {
        self.positions.clear();
        let end = bytes.len();
        self.positions.extend(positions.filter_map(|(name, value)| {
            Some(Position { name: span(name, end)?, value: span(value, end)? })
        }));
        self.bytes = bytes;
    }

    /// The bytes of the head.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Forgets the fields and lets go of the bytes.
    #[inline]
    pub fn clear(&mut self) {
        self.positions.clear();
        self.bytes = Bytes::new();
    }

    /// The fields in the order they came in; names in the case they came in.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.positions.iter().map(|field| (self.of(field.name), self.of(field.value)))
    }

    /// The first value of `name`, in any case.
    fn get(&self, name: &str) -> Option<&[u8]> {
        let name = name.as_bytes();
        let field = self.positions.iter().find(|field| {
            field.name.1 as usize == name.len() && self.of(field.name).eq_ignore_ascii_case(name)
        })?;
        Some(self.of(field.value))
    }

    fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.positions.len());
        for field in &self.positions {
            let (start, len) = (field.value.0 as usize, field.value.1 as usize);
            append(&mut map, self.of(field.name), self.bytes.slice(start..start + len));
        }
        map
    }

    #[inline]
    fn of(&self, (start, len): (u32, u32)) -> &[u8] {
        &self.bytes[start as usize..start as usize + len as usize]
    }
}

#[inline]
fn span(range: Range<usize>, end: usize) -> Option<(u32, u32)> {
    if range.end > end || range.start > range.end {
        return None;
    }
    Some((range.start.try_into().ok()?, (range.end - range.start).try_into().ok()?))
}

/// The header fields of a request, wherever they stand.
///
/// Looking up two names of thirteen needs no map. It is built when somebody asks for it.
#[derive(Default)]
pub(crate) struct Headers {
    /// Those of an environ whose exchange keeps none.
    own: Option<Box<RequestFields>>,
    map: OnceLock<Box<HeaderMap>>,
    /// Whether the map may have been changed, and the fields are void.
    map_rules: bool,
    /// Whether all of it was taken: then neither the exchange's fields count.
    taken: bool,
}

impl Headers {
    pub(crate) fn from_map(map: HeaderMap) -> Headers {
        let map = OnceLock::from(Box::new(map));
        Headers { map, map_rules: true, ..Headers::default() }
    }

    pub(crate) fn from_positions(
        bytes: Bytes,
        positions: impl Iterator<Item = (Range<usize>, Range<usize>)>,
    ) -> Headers {
        let mut own = Box::<RequestFields>::default();
        own.set(bytes, positions);
        Headers { own: Some(own), ..Headers::default() }
    }

    /// The first value of `name`. `kept` are the fields that the exchange keeps.
    pub(crate) fn get<'a>(
        &'a self,
        kept: Option<&'a RequestFields>,
        name: &str,
    ) -> Option<&'a [u8]> {
        if self.map_rules {
            return self.map(kept).get(name).map(HeaderValue::as_bytes);
        }
        self.fields(kept)?.get(name)
    }

    /// All fields in the order they came in; names in the case they came in.
    pub(crate) fn iter<'a>(
        &'a self,
        kept: Option<&'a RequestFields>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let (map, fields) = match self.map_rules {
            true => (Some(self.map(kept)), None),
            false => (None, self.fields(kept)),
        };
        map.into_iter()
            .flat_map(|map| map.iter().map(|(name, value)| (name.as_ref(), value.as_bytes())))
            .chain(fields.into_iter().flat_map(RequestFields::iter))
    }

    pub(crate) fn map(&self, kept: Option<&RequestFields>) -> &HeaderMap {
        self.map.get_or_init(|| {
            Box::new(self.fields(kept).map(RequestFields::to_map).unwrap_or_default())
        })
    }

    pub(crate) fn map_mut(&mut self, kept: Option<&RequestFields>) -> &mut HeaderMap {
        self.map(kept);
        self.map_rules = true;
        self.map.get_mut().expect("it was initialised in the line above")
    }

    /// The map, which is not kept: what is left has no fields.
    pub(crate) fn take(&mut self, kept: Option<&RequestFields>) -> HeaderMap {
        let map = match self.map.take() {
            Some(map) => *map,
            None => self.fields(kept).map(RequestFields::to_map).unwrap_or_default(),
        };
        *self = Headers { taken: true, ..Headers::default() };
        map
    }

    fn fields<'a>(&'a self, kept: Option<&'a RequestFields>) -> Option<&'a RequestFields> {
        self.own.as_deref().or(kept.filter(|_| !self.taken))
    }
}

/// Leaves out what is no field, and what is more than a map can hold (32,768 fields).
fn append(map: &mut HeaderMap, name: &[u8], value: Bytes) {
    let name = HeaderName::from_bytes(name);
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value)) {
        let _ = map.try_append(name, value);
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
        assert_eq!(headers.get(None, "accept"), Some(&b"b"[..]));
        assert_eq!(headers.get(None, "Cookie"), None);
        assert!(headers.map.get().is_none(), "nobody asked for a map");
    }

    #[test]
    fn many_fields_are_kept() {
        let names: Vec<String> = (0..40).map(|n| format!("x-{n}")).collect();
        let fields: Vec<(&str, &str)> = names.iter().map(|name| (&name[..], "v")).collect();
        let headers = headers(&fields);
        assert_eq!(headers.iter(None).count(), 40);
        assert_eq!(headers.get(None, "x-39"), Some(&b"v"[..]));
        assert_eq!(headers.map(None).len(), 40);
    }

    #[test]
    fn the_map_is_the_only_source_once_it_may_have_changed() {
        let mut headers = headers(&[("Host", "a"), ("X-Old", "b")]);
        let map = headers.map_mut(None);
        map.remove("x-old");
        map.insert("x-new", HeaderValue::from_static("c"));
        assert_eq!(headers.get(None, "X-Old"), None);
        assert_eq!(headers.get(None, "X-New"), Some(&b"c"[..]));
        let names: Vec<&[u8]> = headers.iter(None).map(|(name, _)| name).collect();
        assert_eq!(names, [&b"host"[..], b"x-new"]);
    }

    #[test]
    fn what_was_taken_is_not_there_any_more() {
        let mut taken = headers(&[("Host", "a"), ("X-Old", "b")]);
        assert_eq!(taken.take(None).len(), 2);
        let left = (taken.get(None, "host"), taken.iter(None).count(), taken.map(None).len());
        assert_eq!(left, (None, 0, 0));
        let mut changed = headers(&[("Host", "a")]);
        changed.map_mut(None).insert("x-new", HeaderValue::from_static("c"));
        assert_eq!(changed.take(None)["x-new"], "c");
        assert_eq!(changed.get(None, "x-new"), None);
    }

    #[test]
    fn what_was_taken_is_not_found_with_the_exchange_either() {
        let mut kept = RequestFields::default();
        kept.set(Bytes::from_static(b"ab"), [(0..1, 1..2)].into_iter());
        let mut headers = Headers::default();
        assert_eq!(headers.take(Some(&kept))["a"], "b");
        assert_eq!((headers.get(Some(&kept), "a"), headers.map(Some(&kept)).len()), (None, 0));
    }

    #[test]
    fn a_long_head_loses_no_field() {
        let long = "v".repeat(70_000);
        let headers = headers(&[("First", "1"), ("Long", &long), ("Last", "2"), ("last", "3")]);
        assert_eq!(headers.get(None, "first"), Some(&b"1"[..]));
        assert_eq!(headers.get(None, "LONG").map(<[u8]>::len), Some(70_000));
        let last: Vec<_> = headers.map(None).get_all("last").iter().collect();
        assert_eq!(last, ["2", "3"]);
        assert_eq!(headers.iter(None).count(), 4);
    }

    #[test]
    fn positions_outside_of_the_bytes_are_left_out() {
        let headers =
            Headers::from_positions(Bytes::from_static(b"ab"), [(0..1, 1..9)].into_iter());
        assert_eq!(headers.iter(None).count(), 0);
    }
}
