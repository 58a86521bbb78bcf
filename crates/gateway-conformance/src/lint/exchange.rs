//! The exchange as the application's handles see it, watched.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, End, EndHook, Exchange, HeadHook, RequestFields};
use gateway_core::http::HeaderMap;
use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRAILER};
use gateway_core::http_body::Frame;
use gateway_core::{Head, Response, Result, StartResponse};

use super::body;
use super::head;
use super::record::Record;
use crate::{Check, Level, Rule, Topic};

pub(crate) static NOT_BLOCKING: Rule = Rule {
    id: "APP-16",
    level: Level::Must,
    topic: Topic::Input,
    text: "An application MUST NOT block, in a call, a future or a stream, on a thread that others \
           wait for.",
    source: "design: `Environ::nonblocking`; PEP 3333 knows only threads",
    mend: "await the async form, or answer `Reply::Blocking`; a plain function does so by itself",
    check: Check::Lint,
};

pub(crate) static OWN_RESPONSE: Rule = Rule {
    id: "APP-22",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "An application MUST answer with a response that this exchange's start_response began.",
    source: "PEP 3333, \"The start_response() Callable\"",
    mend: "begin a response for every request; none can be kept for the next one",
    check: Check::Lint,
};

pub(crate) static WRITTEN_RESPONSE: Rule = Rule {
    id: "APP-23",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "An application that has written MUST answer with the response that it wrote with.",
    source: "PEP 3333, \"The write() Callable\"",
    mend: "return the response whose `write` was called; after a write nothing can replace it",
    check: Check::Lint,
};

pub(crate) static NOT_AFTER_END: Rule = Rule {
    id: "APP-24",
    level: Level::Must,
    topic: Topic::Cancellation,
    text: "An application MUST NOT use a handle of an exchange after its end hooks have run.",
    source: "PEP 3333, \"Specification Details\": write() only during the call; wsgiref.validate: no \
             iteration after close",
    mend: "let what outlives the exchange own its data, and no input, response or start_response",
    check: Check::Lint,
};

pub(crate) static HEAD_IN_TIME: Rule = Rule {
    id: "APP-27",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "An application MUST change the head, and add its hooks, before the head is sent.",
    source: "PEP 3333, \"The start_response() Callable\": headers are sent with the first data",
    mend: "change the head before the first `write`; middleware adds an `on_head` hook before it \
           calls the application",
    check: Check::Lint,
};

pub(crate) static HINTS_ARE_HINTS: Rule = Rule {
    id: "APP-28",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "Early hints MUST NOT have fields of framing or of the hop.",
    source: "RFC 8297 §2; RFC 9110 §15.2 and §7.6.1",
    mend: "hint at what the client can fetch, which is Link; the rest belongs into the head",
    check: Check::Lint,
};

pub(crate) static CLOSED_BEFORE_END: Rule = Rule {
    id: "SRV-16",
    level: Level::Must,
    topic: Topic::Cancellation,
    text: "A server MUST have dropped the body, however the response ended, when it runs the end \
           hooks.",
    source: "PEP 3333, \"The Server/Gateway Side\": close() upon completion; wsgiref.validate",
    mend: "drop the body where sending ends or fails, then run the hooks",
    check: Check::Lint,
};

pub(crate) static END_IS_TOLD: Rule = Rule {
    id: "SRV-17",
    level: Level::Must,
    topic: Topic::Cancellation,
    text: "A server MUST run the end hooks of every exchange, however it ended.",
    source: "design: `StartResponse::on_end`, which stands for middleware around PEP 3333's close()",
    mend: "run them also where the peer has gone, the application failed, or the server stops",
    check: Check::Lint,
};

pub(crate) static HEAD_PASSES_HOOKS: Rule = Rule {
    id: "SRV-18",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "A server MUST run the head hooks before it sends a head, its own answers to an error \
           included.",
    source: "design: `StartResponse::on_head`",
    mend: "give every final head to the hooks, innermost first, just before it is sent",
    check: Check::Lint,
};

pub(crate) static WRITE_SENDS_HEAD: Rule = Rule {
    id: "SRV-26",
    level: Level::Must,
    topic: Topic::StartResponse,
    text: "A server MUST have sent the head when `write` has taken data.",
    source: "PEP 3333, \"The write() Callable\"",
    mend: "queue the head before the first data, and let `head_sent` be true from then on",
    check: Check::Lint,
};

/// Stands between the application's handles and the server's exchange.
pub(super) struct Watched {
    original: Arc<dyn Exchange>,
    record: Arc<Record>,
    /// The server's response that stands behind the one the application writes with: only writing
    /// makes a response one whose head has been sent.
    mirror: Mutex<Option<Response>>,
}

impl Watched {
    /// Stands before `original`, with hooks that run outside of those of the application.
    pub(super) fn new(original: Arc<dyn Exchange>, record: Arc<Record>) -> Watched {
        let known = Arc::clone(&record);
        original.on_head(Box::new(move |head| check_passed(&known, head)));
        let mut watch = EndWatch { record: Arc::clone(&record), told: false };
        original.on_end(Box::new(move |end| watch.tell(end)));
        Watched { original, record, mirror: Mutex::default() }
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn server_may_block(&self) -> bool {
        self.original.may_block()
    }

    /// Makes the application's response the server's again, with a watched body.
    pub(super) fn finish(&self, response: Response) -> Response {
        let parts = response.into_parts();
        if !std::ptr::addr_eq(Arc::as_ptr(&parts.exchange), self) {
            self.record.report(&OWN_RESPONSE, "the response belongs to another exchange");
            return begin(parts.exchange, parts.head).with_body(parts.body);
        }
        let mirror = lock(&self.mirror).take().filter(Response::is_head_sent);
        if mirror.is_some() && !parts.head_sent {
            let detail = "data were written with another response of this exchange";
            self.record.report(&WRITTEN_RESPONSE, detail);
        }
        if !parts.head_sent {
            head::check(&self.record, &parts.head, Some(&parts.body));
        }
        let body = body::watch(&self.record, &parts.head, parts.body);
        match mirror {
            Some(written) if parts.head_sent => written.with_body(body),
            _ => begin(Arc::clone(&self.original), parts.head).with_body(body),
        }
    }

    /// Tells of a handle that is used when the exchange is over.
    fn used(&self, call: &str) {
        if self.record.facts().over {
            self.record.report(&NOT_AFTER_END, format_args!("{call} was called after the end"));
        }
    }

    fn write_mirrored(&self, head: &mut Head, data: Bytes) -> Result<()> {
        let kept = lock(&self.mirror).take();
        let mut mirror = match kept {
            Some(mirror) => mirror,
            None => begin(Arc::clone(&self.original), Head::default()),
        };
        if let Ok(unsent) = mirror.head_mut() {
            unsent.clone_from(head);
        }
        // One poll queues the data. What is still to be flushed is flushed by whoever writes.
        let written = {
            let writing = pin!(async {
                match data.is_empty() {
                    true => mirror.send_head_async().await,
                    false => mirror.write_async(data).await,
                }
            });
            match writing.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(written) => written,
                Poll::Pending => Ok(()),
            }
        };
        head.clone_from(mirror.head());
        *lock(&self.mirror) = Some(mirror);
        written
    }
}

impl Exchange for Watched {
    fn connection(&self) -> &ConnectionInfo {
        self.original.connection()
    }

    fn fields(&self) -> Option<&RequestFields> {
        self.original.fields()
    }

    fn may_block(&self) -> bool {
        let may = self.original.may_block();
        // Only a handle that is about to block asks.
        if !may {
            self.record.report(&NOT_BLOCKING, "`Response::write` was called there");
        }
        may
    }

    fn on_head(&self, hook: HeadHook) {
        self.used("on_head");
        if self.original.head_sent() {
            self.record.report(&HEAD_IN_TIME, "on_head was called when the head had been sent");
        }
        let record = Arc::clone(&self.record);
        self.original.on_head(Box::new(move |head| {
            record.facts().before.get_or_insert_with(|| head.clone());
            let panicking = Panicking(&record);
            hook(head);
            drop(panicking);
        }));
    }

    fn on_end(&self, hook: EndHook) {
        self.used("on_end");
        self.original.on_end(hook);
    }

    fn early_hints(&self, headers: &HeaderMap) {
        self.used("early_hints");
        let misplaced = headers.keys().find(|name| {
            head::is_hop_by_hop(name) || [CONTENT_LENGTH, CONTENT_TYPE, TRAILER].contains(name)
        });
        if let Some(name) = misplaced {
            self.record.report(&HINTS_ARE_HINTS, format_args!("`{name}` is among the hints"));
        }
        self.original.early_hints(headers);
    }

    fn head_sent(&self) -> bool {
        self.original.head_sent()
    }

    fn write(&self, head: &mut Head, data: Bytes) -> Result<()> {
        self.used("write");
        if !self.original.head_sent() {
            head::check(&self.record, head, None);
        }
        let (declared, total) = {
            let facts = self.record.facts();
            (facts.declared, facts.written.saturating_add(data.len() as u64))
        };
        if let Some(declared) = declared
            && total > declared
        {
            let detail = format!("{declared} bytes were declared, and {total} are written");
            self.record.report(&body::LENGTH_IS_KEPT, detail);
        }
        self.write_mirrored(head, data)?;
        self.record.facts().written = total;
        if !self.original.head_sent() {
            self.record.report(&WRITE_SENDS_HEAD, "data were taken, and `head_sent` is false");
        }
        Ok(())
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.original.poll_flush(cx)
    }

    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.original.poll_input(cx)
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.original.poll_disconnected(cx)
    }

    fn is_disconnected(&self) -> bool {
        self.original.is_disconnected()
    }
}

/// The exchange behind a `start_response`. Nothing is sent by it.
pub(super) fn exchange_of(start_response: StartResponse) -> Arc<dyn Exchange> {
    start_response.start(Default::default(), ()).into_parts().exchange
}

fn begin(exchange: Arc<dyn Exchange>, head: Head) -> Response {
    let mut response = StartResponse::new(exchange).start(head.status, head.headers);
    if let Ok(begun) = response.head_mut() {
        begun.reason = head.reason;
    }
    response
}

/// Checks a head that has passed the hooks of the application: this is the hook behind them.
fn check_passed(record: &Record, head: &Head) {
    let before = {
        let mut facts = record.facts();
        facts.head_passed = true;
        facts.before.take().unwrap_or_else(|| head.clone())
    };
    head::check_passed(record, &before, head);
    let (declared, total) = {
        let facts = record.facts();
        (facts.declared, facts.total)
    };
    if head::declared(&before.headers) != declared
        && let (Some(declared), Some(total)) = (declared, total)
        && declared != total
    {
        let detail = format!("a hook declared {declared} bytes, and there are {total}");
        record.report(&body::LENGTH_IS_KEPT, detail);
    }
    body::check_announced(record);
}

/// When a hook panics, the head that it was given goes nowhere: an error's takes its place.
struct Panicking<'a>(&'a Record);

impl Drop for Panicking<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.facts().forget_answer();
        }
    }
}

/// The lint's own end hook, or what is left of it when nobody has run it.
struct EndWatch {
    record: Arc<Record>,
    told: bool,
}

impl EndWatch {
    /// The hooks of the application have run; those outside of the lint are still to come, so
    /// nothing may panic here.
    fn tell(&mut self, end: &End<'_>) {
        self.told = true;
        let (open, passed) = {
            let mut facts = self.record.facts();
            facts.over = true;
            (facts.body_open, facts.head_passed)
        };
        if open {
            self.record.note(&CLOSED_BEFORE_END, "the body has not been dropped");
        }
        if let Some(status) = end.status
            && !passed
        {
            self.record.note(&HEAD_PASSES_HOOKS, format_args!("{status} was sent past the hooks"));
        }
    }
}

impl Drop for EndWatch {
    fn drop(&mut self) {
        if !self.told {
            self.record.note(&END_IS_TOLD, "the hooks were dropped before they ran");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
