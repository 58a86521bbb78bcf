//! A server in memory: one request, one [`Exchange`] that records what the application does.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use gateway_core::bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, End, EndHook, Exchange, HeadHook};
use gateway_core::http::header::{CONTENT_LENGTH, HeaderMap};
use gateway_core::http::{Method, StatusCode, Version};
use gateway_core::http_body::Frame;
use gateway_core::{
    Application, ApplicationError, Body, DEFAULT_BODY_LIMIT, Environ, Error, Head, Input, Reply,
    Response, Result, ServerInfo, StartResponse,
};

/// What one poll of the request body brings.
pub(crate) enum Step {
    Data(&'static str),
    Trailers(HeaderMap),
    Fails(Error),
    /// Not ready, and ready at the next poll.
    Waits,
}

/// A request to be made, by a builder.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) target: Bytes,
    pub(crate) info: ConnectionInfo,
    fields: Vec<(&'static str, &'static [u8])>,
    steps: VecDeque<Step>,
    declared: Option<u64>,
    limit: u64,
}

impl Request {
    pub(crate) fn get(target: &'static str) -> Request {
        Request::to(target.into())
    }

    pub(crate) fn to(target: Bytes) -> Request {
        let server = ServerInfo::new("server.test", Some(8000), "memory/1.0");
        Request {
            method: Method::GET,
            version: Version::HTTP_11,
            target,
            info: ConnectionInfo::new(Arc::new(server)),
            fields: Vec::new(),
            steps: VecDeque::new(),
            declared: Some(0),
            limit: DEFAULT_BODY_LIMIT,
        }
    }

    /// A body whose length is not declared, as chunked ones are.
    pub(crate) fn post(steps: impl IntoIterator<Item = Step>) -> Request {
        let mut request = Request::get("/");
        request.method = Method::POST;
        request.steps = steps.into_iter().collect();
        request.declared = None;
        request
    }

    pub(crate) fn method(mut self, method: Method) -> Request {
        self.method = method;
        self
    }

    pub(crate) fn field(mut self, name: &'static str, value: &'static str) -> Request {
        self.fields.push((name, value.as_bytes()));
        self
    }

    pub(crate) fn raw_field(mut self, name: &'static str, value: &'static [u8]) -> Request {
        self.fields.push((name, value));
        self
    }

    pub(crate) fn declared(mut self, len: u64) -> Request {
        self.declared = Some(len);
        self
    }

    pub(crate) fn limit(mut self, limit: u64) -> Request {
        self.limit = limit;
        self
    }

    /// On a thread that other connections wait for.
    pub(crate) fn on_reactor(mut self) -> Request {
        self.info.nonblocking = true;
        self
    }

    pub(crate) fn environ(self) -> (Environ, Arc<Memory>) {
        let may_block = !self.info.nonblocking;
        let exchange = Arc::new(Memory {
            info: self.info,
            may_block: AtomicBool::new(may_block),
            state: Mutex::new(State { steps: self.steps, ..State::default() }),
        });
        let (bytes, positions) = head_bytes(&self.fields);
        let server_side: Arc<dyn Exchange> = exchange.clone();
        let input = Input::from_exchange(Arc::clone(&server_side), self.declared, self.limit);
        let environ = Environ::new(server_side, self.method, self.version, self.target)
            .with_fields(bytes, positions.into_iter())
            .with_input(input);
        (environ, exchange)
    }

    /// Plays the whole exchange.
    pub(crate) fn call(self, app: &dyn Application) -> Answer {
        let (environ, exchange) = self.environ();
        let reply = app.call(environ, exchange.start_response());
        exchange.answer(reply)
    }
}

type Position = (std::ops::Range<usize>, std::ops::Range<usize>);

fn head_bytes(fields: &[(&str, &[u8])]) -> (Bytes, Vec<Position>) {
    let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
    let mut positions = Vec::new();
    for (name, value) in fields {
        let name_at = bytes.len()..bytes.len() + name.len();
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        let value_at = bytes.len()..bytes.len() + value.len();
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
        positions.push((name_at, value_at));
    }
    (bytes.into(), positions)
}

/// What the peer would have received.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) error: Option<Error>,
}

pub(crate) struct Memory {
    info: ConnectionInfo,
    may_block: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    head: Option<Head>,
    data: Vec<u8>,
    hints: Vec<HeaderMap>,
    head_hooks: Vec<HeadHook>,
    end_hooks: Vec<EndHook>,
    steps: VecDeque<Step>,
    input_polls: usize,
    flushes: usize,
    gone: bool,
    wakers: Vec<Waker>,
}

impl Memory {
    pub(crate) fn start_response(self: &Arc<Self>) -> StartResponse {
        StartResponse::new(self.clone())
    }

    /// A begun response, and this.
    pub(crate) fn started(status: StatusCode) -> (Response, Arc<Memory>) {
        let (_, exchange) = Request::get("/").environ();
        (exchange.start_response().start(status, ()), exchange)
    }

    /// The peer goes away.
    pub(crate) fn disconnect(&self) {
        let mut state = self.state();
        state.gone = true;
        state.wakers.drain(..).for_each(Waker::wake);
    }

    /// The exchange goes on, on a thread that other connections wait for.
    pub(crate) fn move_to_reactor(&self) {
        self.may_block.store(false, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) -> String {
        String::from_utf8(self.state().data.clone()).expect("the tests send text")
    }

    pub(crate) fn sent_head(&self) -> Option<Head> {
        self.state().head.clone()
    }

    pub(crate) fn hints(&self) -> Vec<HeaderMap> {
        self.state().hints.clone()
    }

    pub(crate) fn input_polls(&self) -> usize {
        self.state().input_polls
    }

    pub(crate) fn flushes(&self) -> usize {
        self.state().flushes
    }

    /// Drives `reply` and sends what comes of it, as a server does.
    pub(crate) fn answer(&self, reply: Reply) -> Answer {
        let error = match finish(reply) {
            Ok(response) => {
                let parts = response.into_parts();
                if !parts.head_sent {
                    self.send_head(parts.head);
                }
                self.send_body(parts.body);
                None
            }
            Err(error) => {
                if !self.head_sent() {
                    self.send_head(Head::new(error.status(), HeaderMap::new()));
                }
                Some(error)
            }
        };
        let hooks = std::mem::take(&mut self.state().end_hooks);
        let sent = self.state().data.len() as u64;
        let head = self.sent_head().expect("it was sent above");
        for hook in hooks.into_iter().rev() {
            hook(&End::new(Some(head.status), sent).with_error(error.as_ref()));
        }
        Answer { status: head.status, headers: head.headers.into(), body: self.sent(), error }
    }

    fn send_body(&self, body: Body) {
        match body {
            Body::Empty => {}
            Body::Bytes(bytes) => self.state().data.extend_from_slice(&bytes),
            Body::Iter(items) => {
                for item in items {
                    let item = item.expect("the tests' iterators do not fail");
                    self.state().data.extend_from_slice(&item);
                }
            }
            other => panic!("no test sends {other:?}"),
        }
    }

    /// Runs the hooks without holding the lock: a hook may use its exchange.
    fn send_head(&self, mut head: Head) {
        let hooks = std::mem::take(&mut self.state().head_hooks);
        for hook in hooks.into_iter().rev() {
            hook(&mut head);
        }
        self.state().head = Some(head);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange for Memory {
    fn connection(&self) -> &ConnectionInfo {
        &self.info
    }

    fn may_block(&self) -> bool {
        self.may_block.load(Ordering::Relaxed)
    }

    fn on_head(&self, hook: HeadHook) {
        self.state().head_hooks.push(hook);
    }

    fn on_end(&self, hook: EndHook) {
        self.state().end_hooks.push(hook);
    }

    fn early_hints(&self, headers: &HeaderMap) {
        self.state().hints.push(headers.clone());
    }

    fn head_sent(&self) -> bool {
        self.state().head.is_some()
    }

    fn write(&self, head: &mut Head, data: Bytes) -> Result<()> {
        if self.state().gone {
            return Err(gateway_core::PeerError::Disconnected.into());
        }
        if !self.head_sent() {
            self.send_head(head.clone());
        }
        let mut state = self.state();
        let sent = state.head.as_ref().expect("it was sent above");
        let declared: Option<u64> =
            sent.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(declared) = declared
            && (state.data.len() + data.len()) as u64 > declared
        {
            return Err(ApplicationError::BodyTooLong { declared }.into());
        }
        state.data.extend_from_slice(&data);
        Ok(())
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.state().flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let mut state = self.state();
        state.input_polls += 1;
        Poll::Ready(match state.steps.pop_front() {
            None => None,
            Some(Step::Data(data)) => Some(Ok(Frame::data(data.into()))),
            Some(Step::Trailers(map)) => Some(Ok(Frame::trailers(map))),
            Some(Step::Fails(error)) => Some(Err(error)),
            Some(Step::Waits) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.gone {
            return Poll::Ready(());
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn is_disconnected(&self) -> bool {
        self.state().gone
    }
}

/// Drives a reply to its outcome, as a thread server does.
pub(crate) fn finish(mut reply: Reply) -> Result<Response> {
    loop {
        reply = match reply {
            Reply::Ready(outcome) => return outcome,
            Reply::Pending(future) => block_on(future),
            Reply::Blocking(job) => job(),
        }
    }
}

/// Polls `future` on this thread until it is ready.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls `future` once, for nobody.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
