//! What follows a head.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gateway_core::http::StatusCode;
use gateway_core::http::header::{self, HeaderMap, HeaderName};
use gateway_core::http_body::{Frame, SizeHint};
use gateway_core::{Body, BoxError, FileBody, Head, IterBody, StreamBody};

use super::head::{has_no_content, may_be_left_out};
use super::probe::Probe;
use super::record::Record;
use super::reply::{WOKEN_AGAIN, check_cause};
use crate::{Check, Level, Rule, Topic};

pub(crate) static LENGTH_IS_KEPT: Rule = Rule {
    id: "APP-06",
    level: Level::Must,
    topic: Topic::Body,
    text: "A Content-Length that an application sets MUST be the number of bytes that `write` and \
           the body bring.",
    source: "PEP 3333, \"Handling the Content-Length Header\"; RFC 9110 §8.6",
    mend: "count bytes, not characters, and count what was written too; or leave it out",
    check: Check::Lint,
};

pub(crate) static OWN_LENGTH_IS_KEPT: Rule = Rule {
    id: "APP-18",
    level: Level::Must,
    topic: Topic::Body,
    text: "A body that tells its length, by an exact `size_hint`, by `is_end_stream` or by the \
           length of a file's part, MUST bring so many bytes.",
    source: "http-body, `Body::size_hint`; a server announces that length",
    mend: "make `size_hint` and `is_end_stream` follow what is left, and take a file's part within \
           its end",
    check: Check::Lint,
};

pub(crate) static NO_EMPTY_DATA: Rule = Rule {
    id: "APP-19",
    level: Level::Should,
    topic: Topic::Body,
    text: "A body SHOULD NOT bring empty data.",
    source: "PEP 3333 lets an empty string stand for a pause; here that is what pending is for",
    mend: "skip empty data; a server does, and to pause there is `Poll::Pending`",
    check: Check::Lint,
};

pub(crate) static TRAILERS_ARE_ANNOUNCED: Rule = Rule {
    id: "APP-20",
    level: Level::Should,
    topic: Topic::Body,
    text: "An application SHOULD list the names of its trailers in a Trailer field.",
    source: "RFC 9110 §6.6.2",
    mend: "give `start` a Trailer field with the names; without it trailers are lost where the \
           length is known",
    check: Check::Lint,
};

pub(crate) static TRAILERS_ARE_HARMLESS: Rule = Rule {
    id: "APP-21",
    level: Level::Must,
    topic: Topic::Body,
    text: "A trailer MUST NOT concern framing, routing, authentication, or how content is to be \
           read.",
    source: "RFC 9110 §6.5.1",
    mend: "put the field into the head",
    check: Check::Lint,
};

pub(crate) static NOT_ASKED_AFTER_END: Rule = Rule {
    id: "SRV-15",
    level: Level::Must,
    topic: Topic::Body,
    text: "A server MUST NOT ask a body for more after its end, its trailers or an error.",
    source: "http-body, `Body::poll_frame`; wsgiref.validate: no iteration after close",
    mend: "drop the body as soon as it has ended or failed",
    check: Check::Lint,
};

/// Checks what is known of `body` beforehand and watches it while it is pulled; its kind stays.
pub(super) fn watch(record: &Arc<Record>, head: &Head, body: Body) -> Body {
    check_known(record, head, &body);
    if !matches!(body, Body::Iter(_) | Body::Stream(_)) {
        return body;
    }
    record.facts().body_open = true;
    let meter = Meter {
        record: Arc::clone(record),
        own: body.len(),
        brought: 0,
        over: false,
        status: head.status,
    };
    match body {
        Body::Iter(items) => Body::Iter(Box::new(WatchedIter { items, meter })),
        Body::Stream(stream) => {
            Body::Stream(Box::pin(WatchedStream { stream, meter, probe: Probe::default() }))
        }
        other => other,
    }
}

fn check_known(record: &Record, head: &Head, body: &Body) {
    if let Body::File(file) = body {
        check_file(record, file);
    }
    let (declared, written) = {
        let facts = record.facts();
        (facts.declared, facts.written)
    };
    let Some(len) = body.len() else { return };
    let total = written.saturating_add(len);
    record.facts().total = Some(total);
    if may_be_left_out(record, body) || has_no_content(head.status) {
        return;
    }
    if let Some(declared) = declared
        && declared != total
    {
        record.report(&LENGTH_IS_KEPT, wrong_length(declared, total));
    }
}

fn check_file(record: &Record, file: &FileBody) {
    let Ok(metadata) = file.file.metadata() else { return };
    // What is no regular file has no length to compare with.
    let end = file.offset.saturating_add(file.len);
    if metadata.is_file() && metadata.len() < end {
        let has = metadata.len();
        record.report(
            &OWN_LENGTH_IS_KEPT,
            format_args!("the part of the file ends at {end}, the file at {has}"),
        );
    }
}

fn wrong_length(declared: u64, total: u64) -> String {
    format!("{declared} bytes were declared, and there are {total}")
}

/// Counts what a body brings.
struct Meter {
    record: Arc<Record>,
    own: Option<u64>,
    brought: u64,
    /// It has ended or failed.
    over: bool,
    status: StatusCode,
}

impl Meter {
    /// Whether the body may be asked.
    fn asked(&self) {
        if self.over {
            self.record.report(&NOT_ASKED_AFTER_END, "the body was asked after its end");
        }
    }

    fn brings(&mut self, data: &Bytes) {
        if data.is_empty() {
            self.record.report(&NO_EMPTY_DATA, "a datum is empty");
        }
        self.brought += data.len() as u64;
        let (declared, total) = self.lengths();
        if let Some(declared) = declared {
            if total > declared {
                let detail = format!("{declared} bytes were declared, and there are more");
                self.record.report(&LENGTH_IS_KEPT, detail);
            }
        } else if let Some(own) = self.own
            && self.brought > own
        {
            let detail = format!("the body told a length of {own} bytes, and brings more");
            self.record.report(&OWN_LENGTH_IS_KEPT, detail);
        }
    }

    fn ends(&mut self) {
        self.over = true;
        if has_no_content(self.status) {
            return;
        }
        let (declared, total) = self.lengths();
        if let Some(declared) = declared {
            if total < declared {
                self.record.report(&LENGTH_IS_KEPT, wrong_length(declared, total));
            }
        } else if let Some(own) = self.own
            && self.brought < own
        {
            let brought = self.brought;
            let detail = format!("the body told a length of {own} bytes, and brought {brought}");
            self.record.report(&OWN_LENGTH_IS_KEPT, detail);
        }
    }

    fn lengths(&self) -> (Option<u64>, u64) {
        let facts = self.record.facts();
        (facts.declared, facts.written.saturating_add(self.brought))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.record.facts().body_open = false;
    }
}

struct WatchedIter {
    /// Dropped before the meter, which tells that it has been.
    items: IterBody,
    meter: Meter,
}

impl Iterator for WatchedIter {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.meter.asked();
        let item = self.items.next();
        match &item {
            None => self.meter.ends(),
            Some(Ok(data)) => self.meter.brings(data),
            Some(Err(error)) => {
                self.meter.over = true;
                check_cause(&self.meter.record, error);
            }
        }
        item
    }
}

struct WatchedStream {
    stream: StreamBody,
    meter: Meter,
    probe: Probe,
}

impl gateway_core::http_body::Body for WatchedStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let WatchedStream { stream, meter, probe } = &mut *self;
        meter.asked();
        let ended = stream.is_end_stream();
        let (polled, lost) = probe.poll(cx, |cx| stream.as_mut().poll_frame(cx));
        if lost {
            meter.record.report(&WOKEN_AGAIN, "the body is pending, and nobody kept its waker");
        }
        let frame = ready!(polled);
        match &frame {
            None => meter.ends(),
            Some(Err(error)) => {
                meter.over = true;
                check_cause(&meter.record, &**error);
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    if ended && !data.is_empty() {
                        let detail = "`is_end_stream` was true, and data came";
                        meter.record.report(&OWN_LENGTH_IS_KEPT, detail);
                    }
                    meter.brings(data);
                } else if let Some(trailers) = frame.trailers_ref() {
                    meter.ends();
                    check_trailers(&meter.record, trailers);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}

fn check_trailers(record: &Record, trailers: &HeaderMap) {
    if let Some(name) = trailers.keys().find(|name| is_forbidden(name)) {
        record.report(&TRAILERS_ARE_HARMLESS, format_args!("`{name}` is a trailer"));
    }
    record.facts().trailers = trailers.keys().map(|name| name.as_str().to_owned()).collect();
    if record.facts().head_passed {
        check_announced(record);
    }
}

/// Checks trailers that have come against what was announced by now.
pub(super) fn check_announced(record: &Record) {
    let missing = {
        let facts = record.facts();
        facts.trailers.iter().find(|name| !facts.announced.contains(name)).cloned()
    };
    if let Some(name) = missing {
        record.report(&TRAILERS_ARE_ANNOUNCED, format_args!("`{name}` was not announced"));
    }
}

fn is_forbidden(name: &HeaderName) -> bool {
    const FORBIDDEN: [HeaderName; 17] = [
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::HOST,
        header::LOCATION,
        header::PROXY_AUTHENTICATE,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::VARY,
        header::WWW_AUTHENTICATE,
    ];
    FORBIDDEN.contains(name)
}
