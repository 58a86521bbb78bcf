//! The fields of a response head, kept as they were given.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The fields of a response [`Head`](crate::Head): a [`HeaderMap`], which it dereferences to, that
/// is built when somebody looks at it or changes it.
///
/// Most responses have a few fields that nobody looks up before they are sent, so an array given to
/// [`StartResponse::start`](crate::StartResponse::start) is kept as a list. A server sends
/// [`fields`](ResponseHeaders::fields), which builds nothing.
///
/// # Examples
///
/// ```
/// use gateway_core::ResponseHeaders;
/// use gateway_core::http::{HeaderMap, HeaderValue, header::{CONTENT_TYPE, VARY}};
///
/// let mut headers = ResponseHeaders::from_static([(CONTENT_TYPE, "text/plain")]);
/// headers.insert(VARY, HeaderValue::from_static("accept"));
/// assert_eq!(headers[CONTENT_TYPE], "text/plain");
/// assert_eq!(headers.fields().count(), 2);
/// assert_eq!(HeaderMap::from(headers).len(), 2);
/// ```
#[derive(Clone, Default)]
pub struct ResponseHeaders {
    /// None where only the map counts, which may have been changed, or where there are no fields.
    list: Option<Vec<(HeaderName, Value)>>,
    map: OnceLock<Box<HeaderMap>>,
}

#[derive(Clone)]
enum Value {
    Literal(&'static str),
    Value(HeaderValue),
}

impl ResponseHeaders {
    /// Fields with literals for values, which are not copied.
    ///
    /// # Panics
    ///
    /// If a value has another byte than a literal may have: visible ASCII, blanks and tabs.
    #[inline]
    pub fn from_static<const N: usize>(fields: [(HeaderName, &'static str); N]) -> ResponseHeaders {
        let list = fields.into_iter().map(|(name, text)| {
            assert!(is_literal(text), "{name}: {text:?} is no field value");
            (name, Value::Literal(text))
        });
        ResponseHeaders { list: Some(list.collect()), ..ResponseHeaders::default() }
    }

    /// Names and values, in the order in which they were given; those of a map that was looked at
    /// in order to change it, in the map's order.
    pub fn fields(&self) -> impl Iterator<Item = (&HeaderName, &[u8])> {
        let (list, map) = match &self.list {
            Some(list) => (&list[..], None),
            None => (&[][..], self.map.get()),
        };
        let changed = map.into_iter().flat_map(|map| map.iter());
        list.iter()
            .map(|(name, value)| (name, value.as_bytes()))
            .chain(changed.map(|(name, value)| (name, value.as_bytes())))
    }

    /// The fields as a map, made in the memory of `spare`, whose own fields are dropped. For servers
    /// whose protocol takes a map and who have one that has served.
    ///
    /// ```
    /// use gateway_core::ResponseHeaders;
    /// use gateway_core::http::{HeaderMap, header::CONTENT_TYPE};
    ///
    /// let mut served = HeaderMap::with_capacity(8);
    /// served.insert("host", "example.com".parse()?);
    /// let map = ResponseHeaders::from_static([(CONTENT_TYPE, "text/plain")]).into_map(served);
    /// assert_eq!((map.len(), &map[CONTENT_TYPE]), (1, &"text/plain".parse()?));
    /// # Ok::<(), gateway_core::http::header::InvalidHeaderValue>(())
    /// ```
    pub fn into_map(self, mut spare: HeaderMap) -> HeaderMap {
        match self.map.into_inner() {
            Some(map) => *map,
            None => {
                spare.clear();
                for (name, value) in self.list.into_iter().flatten() {
                    spare.append(name, value.into_value());
                }
                spare
            }
        }
    }

    fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| {
            let list = ResponseHeaders { list: self.list.clone(), ..ResponseHeaders::default() };
            Box::new(list.into())
        })
    }
}

impl Value {
    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Value::Literal(text) => text.as_bytes(),
            Value::Value(value) => value.as_bytes(),
        }
    }

    fn into_value(self) -> HeaderValue {
        match self {
            Value::Literal(text) => HeaderValue::from_static(text),
            Value::Value(value) => value,
        }
    }
}

impl Deref for ResponseHeaders {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        self.map()
    }
}

impl DerefMut for ResponseHeaders {
    fn deref_mut(&mut self) -> &mut HeaderMap {
        self.map();
        self.list = None;
        self.map.get_mut().expect("it was initialised above")
    }
}

impl From<HeaderMap> for ResponseHeaders {
    fn from(map: HeaderMap) -> ResponseHeaders {
        match map.is_empty() {
            true => ResponseHeaders::default(),
            false => ResponseHeaders { list: None, map: OnceLock::from(Box::new(map)) },
        }
    }
}

impl From<ResponseHeaders> for HeaderMap {
    fn from(headers: ResponseHeaders) -> HeaderMap {
        let list = headers.list.as_ref().filter(|_| headers.map.get().is_none());
        let wanted = list.map_or(0, Vec::len);
        headers.into_map(HeaderMap::with_capacity(wanted))
    }
}

impl<const N: usize> From<[(HeaderName, HeaderValue); N]> for ResponseHeaders {
    fn from(fields: [(HeaderName, HeaderValue); N]) -> ResponseHeaders {
        fields.into_iter().collect()
    }
}

/// Names and values in the order in which they are to be sent; a name may come several times.
impl FromIterator<(HeaderName, HeaderValue)> for ResponseHeaders {
    fn from_iter<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(fields: I) -> ResponseHeaders {
        let list = fields.into_iter().map(|(name, value)| (name, Value::Value(value)));
        ResponseHeaders { list: Some(list.collect()), ..ResponseHeaders::default() }
    }
}

/// As [`HeaderValue::from_static`] has it.
#[inline]
fn is_literal(text: &str) -> bool {
    text.bytes().fold(true, |so_far, b| so_far & (matches!(b, 0x20..0x7f) | (b == b'\t')))
}

impl<'a> IntoIterator for &'a ResponseHeaders {
    type Item = (&'a HeaderName, &'a HeaderValue);
    type IntoIter = http::header::Iter<'a, HeaderValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.map().iter()
    }
}

impl IntoIterator for ResponseHeaders {
    type Item = (Option<HeaderName>, HeaderValue);
    type IntoIter = http::header::IntoIter<HeaderValue>;

    fn into_iter(self) -> Self::IntoIter {
        HeaderMap::from(self).into_iter()
    }
}

impl Eq for ResponseHeaders {}

impl PartialEq for ResponseHeaders {
    fn eq(&self, other: &ResponseHeaders) -> bool {
        self.map() == other.map()
    }
}

impl PartialEq<HeaderMap> for ResponseHeaders {
    fn eq(&self, other: &HeaderMap) -> bool {
        self.map() == other
    }
}

impl fmt::Debug for ResponseHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CONTENT_TYPE, SET_COOKIE};

    fn names(headers: &ResponseHeaders) -> Vec<(&str, &[u8])> {
        headers.fields().map(|(name, value)| (name.as_str(), value)).collect()
    }

    #[test]
    fn what_nobody_looks_at_needs_no_map() {
        let headers = ResponseHeaders::from_static([(CONTENT_TYPE, "a"), (SET_COOKIE, "b")]);
        assert_eq!(names(&headers), [("content-type", &b"a"[..]), ("set-cookie", b"b")]);
        assert!(headers.map.get().is_none());
    }

    #[test]
    fn looking_changes_nothing() {
        let headers = ResponseHeaders::from_static([
            (SET_COOKIE, "a"),
            (CONTENT_TYPE, "b"),
            (SET_COOKIE, "c"),
        ]);
        assert_eq!(headers.get_all(SET_COOKIE).iter().count(), 2);
        assert_eq!(names(&headers)[1], ("content-type", &b"b"[..]));
    }

    #[test]
    fn a_change_holds() {
        let value = HeaderValue::from_static("a");
        let mut headers = ResponseHeaders::from([(CONTENT_TYPE, value.clone())]);
        headers.append(SET_COOKIE, value);
        headers.remove(CONTENT_TYPE);
        assert_eq!(names(&headers), [("set-cookie", &b"a"[..])]);
        assert_eq!(HeaderMap::from(headers).len(), 1);
    }

    #[test]
    fn pairs_are_collected_in_their_order() {
        let value = HeaderValue::from_static;
        let pairs =
            vec![(SET_COOKIE, value("a")), (CONTENT_TYPE, value("b")), (SET_COOKIE, value("c"))];
        let headers: ResponseHeaders = pairs.into_iter().collect();
        let expected = [("set-cookie", &b"a"[..]), ("content-type", b"b"), ("set-cookie", b"c")];
        assert_eq!(names(&headers), expected);
        assert!(headers.map.get().is_none());
    }

    #[test]
    fn a_map_stays_what_it_was() {
        let mut map = HeaderMap::new();
        assert_eq!(names(&ResponseHeaders::from(map.clone())), []);
        map.insert(CONTENT_TYPE, HeaderValue::from_static("a"));
        let headers = ResponseHeaders::from(map.clone());
        assert_eq!(headers, map);
        assert_eq!(names(&headers), [("content-type", &b"a"[..])]);
        assert_eq!(HeaderMap::from(headers), map);
    }

    #[test]
    fn literals_are_what_the_map_takes() {
        for byte in 0..=255 {
            let text: String = ["a", &char::from(byte).to_string(), "b"].concat();
            let taken =
                text.is_ascii() && text.bytes().all(|b| b == b'\t' || (b >= 0x20 && b != 0x7f));
            assert_eq!(is_literal(&text), taken, "{byte:#04x}");
        }
    }

    #[test]
    #[should_panic(expected = "is no field value")]
    fn a_literal_that_splits_the_response_is_refused() {
        let _ = ResponseHeaders::from_static([(CONTENT_TYPE, "a\r\nb: c")]);
    }
}
