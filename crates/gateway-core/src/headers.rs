//! Request header fields, kept as they came.

use std::mem;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header fields of a request as they came: the head's bytes, and where each name and value
/// stands in them; or a map, where the protocol has one.
///
/// A server whose [`Exchange`](crate::exchange::Exchange) keeps one uses it again for its next
/// request, so that fields cost no memory of their own.
#[derive(Debug, Default)]
pub struct RequestFields {
    bytes: Bytes,
    positions: Vec<Position>,
    /// In the place of both.
    map: Option<HeaderMap>,
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
        self.map = None;
    }

    /// Takes the fields of another request as a map. Who only reads them is shown the map itself;
    /// who changes them or takes them along gets a copy.
    pub fn set_map(&mut self, map: HeaderMap) {
        self.positions.clear();
        self.bytes = Bytes::new();
        self.map = Some(map);
    }

    /// The map, if the fields came as one, for its memory to be used again. No fields are left.
    pub fn take_map(&mut self) -> Option<HeaderMap> {
        self.map.take()
    }

    /// The bytes of the head; none where the fields came as a map.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Forgets the fields and lets go of the bytes.
    #[inline]
    pub fn clear(&mut self) {
        self.positions.clear();
        self.bytes = Bytes::new();
        self.map = None;
    }

    /// The fields in the order they came in, names in the case they came in; or those of the map, in
    /// the map's order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        pairs(self.map.as_ref()).chain(self.spans())
    }

    /// The fields that did not come as a map.
    fn spans(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.positions.iter().map(|field| (self.of(field.name), self.of(field.value)))
    }

    /// The first value of `name`, in any case.
    fn get(&self, name: &str) -> Option<&[u8]> {
        if let Some(map) = &self.map {
            return map.get(name).map(HeaderValue::as_bytes);
        }
        let name = name.as_bytes();
        let field = self.positions.iter().find(|field| {
            field.name.1 as usize == name.len() && self.of(field.name).eq_ignore_ascii_case(name)
        })?;
        Some(self.of(field.value))
    }

    fn to_map(&self) -> HeaderMap {
        if let Some(map) = &self.map {
            return map.clone();
        }
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

/// The header fields of a request, wherever they stand: with the exchange as long as it holds nothing,
/// which is nearly always. What it holds may be nothing at all, when the fields have been taken.
///
/// Looking up two names of thirteen needs no map. It is built when somebody asks for it.
#[derive(Default)]
pub(crate) struct Headers(OnceLock<Option<Box<Own>>>);

#[derive(Default)]
struct Own {
    /// Those of an environ whose exchange keeps none, or that may have been changed.
    fields: Option<RequestFields>,
    /// Those that count, as a map, for whoever looks.
    shown: OnceLock<HeaderMap>,
}

impl Headers {
    pub(crate) fn from_map(map: HeaderMap) -> Headers {
        let mut fields = RequestFields::default();
        fields.set_map(map);
        Headers::from_fields(fields)
    }

    pub(crate) fn from_positions(
        bytes: Bytes,
        positions: impl Iterator<Item = (Range<usize>, Range<usize>)>,
    ) -> Headers {
        let mut fields = RequestFields::default();
        // Nearly none is left out.
        fields.positions.reserve_exact(positions.size_hint().0);
        fields.set(bytes, positions);
        Headers::from_fields(fields)
    }

    fn from_fields(fields: RequestFields) -> Headers {
        Headers(OnceLock::from(Some(Box::new(Own { fields: Some(fields), ..Own::default() }))))
    }

    /// The first value of `name`. `kept` are the fields that the exchange keeps.
    pub(crate) fn get<'a>(
        &'a self,
        kept: Option<&'a RequestFields>,
        name: &str,
    ) -> Option<&'a [u8]> {
        self.fields(kept)?.get(name)
    }

    /// All fields in the order they came in, names in the case they came in; or those of a map.
    pub(crate) fn iter<'a>(
        &'a self,
        kept: Option<&'a RequestFields>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.fields(kept).into_iter().flat_map(RequestFields::iter)
    }

    pub(crate) fn map<'a>(&'a self, kept: Option<&'a RequestFields>) -> &'a HeaderMap {
        static NOTHING: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        let fields = self.fields(kept);
        if let Some(map) = fields.and_then(|fields| fields.map.as_ref()) {
            return map;
        }
        match self.0.get_or_init(|| Some(Box::default())) {
            Some(own) => own.shown.get_or_init(|| to_map(fields)),
            None => &NOTHING,
        }
    }

    pub(crate) fn map_mut(&mut self, kept: Option<&RequestFields>) -> &mut HeaderMap {
        if !self.has_map() {
            let map = self.take(kept);
            *self = Headers::from_map(map);
        }
        let own = self.0.get_mut().and_then(Option::as_mut);
        own.and_then(|own| own.fields.as_mut()?.map.as_mut()).expect("it was made above")
    }

    /// The map, which is not kept: what is left has no fields.
    pub(crate) fn take(&mut self, kept: Option<&RequestFields>) -> HeaderMap {
        match mem::replace(&mut self.0, OnceLock::from(None)).into_inner() {
            None => to_map(kept),
            Some(None) => HeaderMap::new(),
            Some(Some(own)) => {
                let Own { mut fields, shown } = *own;
                let map = fields.as_mut().and_then(RequestFields::take_map).or(shown.into_inner());
                map.unwrap_or_else(|| to_map(fields.as_ref().or(kept)))
            }
        }
    }

    fn fields<'a>(&'a self, kept: Option<&'a RequestFields>) -> Option<&'a RequestFields> {
        match self.0.get() {
            None => kept,
            Some(own) => own.as_ref().and_then(|own| own.fields.as_ref().or(kept)),
        }
    }

    /// Whether a map is the only source.
    fn has_map(&self) -> bool {
        let own = self.0.get().and_then(Option::as_ref);
        own.and_then(|own| own.fields.as_ref()).is_some_and(|fields| fields.map.is_some())
    }
}

fn to_map(fields: Option<&RequestFields>) -> HeaderMap {
    fields.map(RequestFields::to_map).unwrap_or_default()
}

fn pairs(map: Option<&HeaderMap>) -> impl Iterator<Item = (&[u8], &[u8])> {
    map.into_iter()
        .flat_map(|map| map.iter().map(|(name, value)| (name.as_ref(), value.as_bytes())))
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
        let own = headers.0.get().and_then(Option::as_ref).expect("the fields are its own");
        assert!(own.shown.get().is_none(), "nobody asked for a map");
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
    fn a_map_that_the_exchange_keeps_is_shown_and_copied_for_changes() {
        let mut kept = RequestFields::default();
        kept.set(Bytes::from_static(b"xy"), [(0..1, 1..2)].into_iter());
        kept.set_map(headers(&[("Host", "a"), ("Accept", "b")]).map(None).clone());
        let mut headers = Headers::default();
        assert_eq!(headers.get(Some(&kept), "Accept"), Some(&b"b"[..]));
        let names: Vec<&[u8]> = headers.iter(Some(&kept)).map(|(name, _)| name).collect();
        assert_eq!(names, [&b"host"[..], b"accept"]);
        assert_eq!(kept.iter().count(), 2);
        assert!(std::ptr::eq(headers.map(Some(&kept)), kept.map.as_ref().expect("it is there")));
        headers.map_mut(Some(&kept)).remove("accept");
        assert_eq!(headers.get(Some(&kept), "accept"), None);
        assert_eq!(headers.map(Some(&kept)).len(), 1);
        assert_eq!(headers.take(Some(&kept)).len(), 1);
        assert_eq!(Headers::default().take(Some(&kept)).len(), 2);
        assert_eq!(kept.take_map().map(|map| map.len()), Some(2));
        assert_eq!(kept.iter().count(), 0);
    }

    #[test]
    fn other_fields_take_the_place_of_a_map() {
        let mut kept = RequestFields::default();
        kept.set_map(headers(&[("Host", "a")]).map(None).clone());
        kept.set(Bytes::from_static(b"xy"), [(0..1, 1..2)].into_iter());
        assert_eq!(kept.iter().collect::<Vec<_>>(), [(&b"x"[..], &b"y"[..])]);
        kept.set_map(HeaderMap::new());
        kept.clear();
        assert!(kept.take_map().is_none());
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
