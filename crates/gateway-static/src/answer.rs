//! A response before it is begun.

use gateway_core::Body;
use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, VARY};

/// Most answers have no more fields than this.
const FIELDS: usize = 8;

/// A head and a body, to be started when nothing can change any more.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// In the order in which they are sent. There are few, so a list is faster than a map.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Body,
}

impl Answer {
    /// Without a body.
    pub(crate) fn empty(status: StatusCode) -> Answer {
        Answer { status, headers: Vec::with_capacity(FIELDS), body: Body::Empty }
    }

    /// With the status as its text.
    pub(crate) fn text(status: StatusCode) -> Answer {
        Answer { body: Body::from(format!("{status}\n")), ..Answer::empty(status) }
            .with(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
    }

    /// With another field, of which there is none yet.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        debug_assert!(self.field(&name).is_none(), "{name} is there");
        self.headers.push((name, value));
        self
    }

    /// With another value of a field.
    pub(crate) fn replacing(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        self.headers.retain(|(known, _)| *known != name);
        self.with(name, value)
    }

    /// With another field where there is a value.
    pub(crate) fn with_some(self, name: HeaderName, value: Option<HeaderValue>) -> Answer {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Says that the answer depends on a request field.
    pub(crate) fn vary(mut self, name: &'static str) -> Answer {
        self.headers.push((VARY, HeaderValue::from_static(name)));
        self
    }

    /// The value of a field that is there once.
    pub(crate) fn field(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn with_body(mut self, body: impl Into<Body>) -> Answer {
        self.body = body.into();
        self
    }
}
