//! A wire that writes down what reaches it.

use bytes::Bytes;
use gateway_core::Head;
use gateway_core::http::header::CONTENT_LENGTH;
use gateway_core::http::{HeaderMap, HeaderValue, StatusCode};
use gateway_handler::{Framing, Wire};

/// What the peer has received.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) hints: Vec<HeaderMap>,
    pub(super) head: Option<Head>,
    pub(super) data: Vec<Bytes>,
    /// How much data there are.
    pub(super) received: u64,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) ended: bool,
    /// How much the peer wants.
    pub(super) wanted: Option<u64>,
}

impl Wire for Recorder {
    fn informational(&mut self, status: StatusCode, headers: &HeaderMap) {
        if status == StatusCode::EARLY_HINTS {
            self.hints.push(headers.clone());
        }
    }

    fn head(&mut self, head: &Head, framing: Framing) {
        let mut head = head.clone();
        // As a server would: what is known beforehand is announced.
        if let Some(length) = framing.length {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        self.head = Some(head);
    }

    fn data(&mut self, mut data: Bytes) {
        if let Some(wanted) = self.wanted {
            let left = wanted.saturating_sub(self.received);
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.received += data.len() as u64;
        if !data.is_empty() {
            self.data.push(data);
        }
    }

    fn announce(&mut self, _: u64) {}

    fn end(&mut self, trailers: Option<HeaderMap>) {
        self.trailers = trailers;
        self.ended = true;
    }

    fn cut(&mut self) {}
}
