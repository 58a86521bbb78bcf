//! What is on its way from the contract to the host.

use std::collections::VecDeque;
use std::mem;

use gateway_core::Head;
use gateway_core::bytes::Bytes;
use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use gateway_core::http_body::Frame;
use gateway_handler::{Framing, Wire};

/// When so many bytes wait for the host, who pulls a body rests.
pub(super) const HIGH_WATER: usize = 256 * 1024;

/// What the contract has let through and the host has not taken yet.
#[derive(Default)]
pub(super) struct Outbox {
    /// What was found out about the head.
    framing: Option<Framing>,
    /// The head, as long as the host has not taken it.
    written: Option<Head>,
    /// The first of the data, which are never empty.
    first: Bytes,
    rest: VecDeque<Bytes>,
    trailers: Option<Box<HeaderMap>>,
    bytes: usize,
    end: End,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Clean,
    Cut,
}

/// What the outbox has for a body.
pub(super) enum Next {
    Frame(Frame<Bytes>),
    End,
    Cut,
    Nothing,
}

impl Outbox {
    /// Keeps the head for the host, if the contract has just let it through.
    pub(super) fn keep_head(&mut self, head: impl FnOnce() -> Head) {
        if self.framing.is_some() && self.written.is_none() {
            self.written = Some(head());
        }
    }

    pub(super) fn take_head(&mut self) -> Option<(Head, Framing)> {
        Some((self.written.take()?, self.framing.take()?))
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= HIGH_WATER
    }

    pub(super) fn next(&mut self) -> Next {
        if !self.first.is_empty() {
            let data = mem::replace(&mut self.first, self.rest.pop_front().unwrap_or_default());
            self.bytes -= data.len();
            return Next::Frame(Frame::data(data));
        }
        match (self.trailers.take(), self.end) {
            (Some(trailers), _) => Next::Frame(Frame::trailers(*trailers)),
            (None, End::Open) => Next::Nothing,
            (None, End::Clean) => Next::End,
            (None, End::Cut) => Next::Cut,
        }
    }

    pub(super) fn take_framing(&mut self) -> Option<Framing> {
        self.framing.take()
    }

    /// Forgets everything, for an exchange that is to come.
    pub(super) fn reset(&mut self) {
        self.framing = None;
        self.written = None;
        self.first = Bytes::new();
        self.rest.clear();
        self.trailers = None;
        self.bytes = 0;
        self.end = End::Open;
    }

    /// Undoes that the framing was taken.
    pub(super) fn put_back(&mut self, head: Head, framing: Option<Framing>) {
        self.framing = framing;
        self.keep_head(|| head);
    }

    /// The data of a response that has no others.
    pub(super) fn take_data(&mut self) -> Bytes {
        self.bytes = 0;
        mem::take(&mut self.first)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.end == End::Cut
    }

    /// Whether everything is here, and that is one piece of data at the most.
    pub(super) fn is_whole(&self) -> bool {
        self.end == End::Clean && self.rest.is_empty() && self.trailers.is_none()
    }

    /// Whether the host has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.trailers.is_none() && self.framing.is_none()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.first.is_empty() && self.trailers.is_none() && self.end == End::Clean
    }

    pub(super) fn is_news(&self) -> bool {
        !self.is_empty() || self.end != End::Open
    }
}

impl Wire for Outbox {
    fn informational(&mut self, _: StatusCode, _: &HeaderMap) {
        // A tower service has one response.
    }

    fn head(&mut self, _: &Head, framing: Framing) {
        self.framing = Some(framing);
    }

    fn data(&mut self, data: Bytes) {
        self.bytes += data.len();
        match self.first.is_empty() {
            true => self.first = data,
            false => self.rest.push_back(data),
        }
    }

    fn announce(&mut self, _: u64) {
        // Files are read, and come as data.
        self.end = End::Cut;
    }

    fn end(&mut self, trailers: Option<HeaderMap>) {
        self.trailers = trailers.map(Box::new);
        self.end = End::Clean;
    }

    fn cut(&mut self) {
        self.end = End::Cut;
    }
}

/// The fields that tell the host what the contract knows.
pub(super) fn tell_framing(headers: &mut HeaderMap, status: StatusCode, framing: Framing) {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        return;
    }
    if framing.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // A body with a length says so by its size hint. Where none follows, the field has to.
    if let (true, Some(length)) = (framing.bodiless, framing.length) {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
}
