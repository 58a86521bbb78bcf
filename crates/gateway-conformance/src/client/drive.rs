//! One exchange from the call to the end hooks.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway_core::exchange::Exchange;
use gateway_core::http::{HeaderMap, StatusCode};
use gateway_core::{
    Application, ApplicationError, Body, Environ, Error, ErrorStream, Head, IterBody, Reply,
    Response, Result, StartResponse, StreamBody, Upgrade, Upgraded,
};
use gateway_handler::{FilePieces, Flow, Rest, Terms, caught, complain, error_page};

use super::TestResponse;
use super::exchange::{Memory, Place, State};
use super::request::TestRequest;
use super::response::Ending;
use super::upgrade::Line;
use crate::lint::Probe;

/// Plays the server for one request.
#[track_caller]
pub(super) fn run(app: &dyn Application, mut request: TestRequest<'_>) -> TestResponse {
    let (errors, lines) = ErrorStream::memory();
    let body = std::mem::take(&mut request.body);
    // The environ asks whether the body hesitates to tell how it is framed.
    request.body.hesitates = body.hesitates;
    let info = request.connection(errors.clone());
    let memory = Memory::new(info, request.version, body, request.gone_after);
    let ending = Arc::new(Mutex::new(Ending::default()));
    let mut player = Player {
        memory: Arc::new(memory),
        errors,
        about: String::new(),
        patience: request.settings.patience,
        line: Line::new(std::mem::take(&mut request.after_upgrade)),
        closed: false,
    };
    let environ = request.environ(player.exchange());
    player.about = format!("{} {}", environ.method(), environ.raw_target());
    player.begin(Terms::new(environ.method(), environ.upgrade().is_some()), &ending);
    player.play(app, environ);
    player.finish();

    let mut state = player.memory.lock();
    let wire = std::mem::take(&mut state.wire);
    drop(state);
    let ending = std::mem::take(&mut *ending.lock().unwrap_or_else(PoisonError::into_inner));
    let upgraded = player.line.take();
    TestResponse::new(wire, ending, lines.take(), upgraded, player.closed)
}

struct Player {
    memory: Arc<Memory>,
    errors: ErrorStream,
    about: String,
    patience: Duration,
    line: Line,
    /// The body was dropped.
    closed: bool,
}

impl Player {
    fn exchange(&self) -> Arc<dyn Exchange> {
        Arc::clone(&self.memory) as _
    }

    fn begin(&self, terms: Terms, ending: &Arc<Mutex<Ending>>) {
        let mut state = self.memory.lock();
        state.contract.begin(terms);
        let ending = Arc::clone(ending);
        state.contract.on_end(Box::new(move |end| {
            let mut ending = ending.lock().unwrap_or_else(PoisonError::into_inner);
            ending.bytes_sent = end.bytes_sent;
            ending.error = end.abort.or(end.error).map(with_causes);
        }));
    }

    fn play(&mut self, app: &dyn Application, environ: Environ) {
        let start_response = StartResponse::new(self.exchange());
        let outcome = self
            .caught_at(Place::Call, || app.call(environ, start_response))
            .and_then(|reply| self.drive(reply))
            .and_then(|response| self.respond(response));
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    fn finish(&self) {
        self.memory.end();
        let finished = self.memory.lock().contract.finish();
        self.memory.at(Place::Poll, || finished.run(&self.errors, || self.about.clone()));
    }

    fn drive(&self, mut reply: Reply) -> Result<Response> {
        loop {
            reply = match reply {
                Reply::Ready(outcome) => return outcome,
                Reply::Pending(future) => {
                    let mut future = Guarded(Some(future));
                    self.wait(|cx| future.poll(cx, |future, cx| future.as_mut().poll(cx)))?
                }
                Reply::Blocking(job) => self.caught_at(Place::Work, job)?,
            }
        }
    }

    fn respond(&mut self, response: Response) -> Result<()> {
        let parts = response.into_parts();
        let mut body = parts.body;
        let outcome = if is_of(&parts.exchange, &self.memory) {
            self.respond_with(parts.head, parts.head_sent, &mut body)
        } else {
            Err(ApplicationError::ExchangeOver.into())
        };
        self.close(body);
        outcome
    }

    /// What stays in `body` is not wanted.
    fn respond_with(&mut self, mut head: Head, head_sent: bool, body: &mut Body) -> Result<()> {
        self.run_head_hooks(&mut head, body)?;
        let rest = self
            .memory
            .on_wire(|contract, wire| contract.respond(wire, &mut head, head_sent, body))?;
        match rest {
            Rest::Done => self.memory.flush(),
            Rest::Upgrade(upgrade) => self.upgrade(upgrade),
            Rest::Pump(body) => self.pull(Pull { length: body.len(), held: Some(head) }, body),
        }
    }

    fn run_head_hooks(&self, head: &mut Head, body: &Body) -> Result<()> {
        self.memory.at(Place::Poll, || self.memory.run_head_hooks(head, body))
    }

    fn pull(&mut self, mut pull: Pull, body: Body) -> Result<()> {
        match body {
            Body::Iter(items) => self.pull_items(&mut pull, items),
            Body::File(file) => {
                let pieces = Box::new(FilePieces::new(file));
                self.pull_items(&mut pull, pieces)
            }
            Body::Stream(stream) => self.pull_frames(&mut pull, stream),
            _ => Ok(()),
        }
    }

    fn pull_items(&mut self, pull: &mut Pull, mut items: IterBody) -> Result<()> {
        let outcome = (|| {
            while let Some(item) = self.caught_at(Place::Work, || items.next())? {
                if self.data(pull, item?)? == Flow::Enough {
                    break;
                }
            }
            self.end(pull, None)
        })();
        self.close(items);
        outcome
    }

    fn pull_frames(&mut self, pull: &mut Pull, stream: StreamBody) -> Result<()> {
        let mut stream = Guarded(Some(stream));
        let outcome = (|| {
            loop {
                let next =
                    self.wait(|cx| stream.poll(cx, |stream, cx| stream.as_mut().poll_frame(cx)))?;
                let Some(frame) = next else { return self.end(pull, None) };
                match frame?.into_data() {
                    Ok(data) => {
                        if self.data(pull, data)? == Flow::Enough {
                            return self.end(pull, None);
                        }
                    }
                    Err(frame) => return self.end(pull, frame.into_trailers().ok()),
                }
            }
        })();
        self.close(stream);
        outcome
    }

    fn data(&self, pull: &mut Pull, data: Bytes) -> Result<Flow> {
        if data.is_empty() {
            return Ok(Flow::More);
        }
        self.start(pull)?;
        let flow = self.memory.on_wire(|contract, wire| contract.data(wire, data))?;
        self.memory.flush()?;
        Ok(flow)
    }

    fn end(&self, pull: &mut Pull, trailers: Option<HeaderMap>) -> Result<()> {
        self.start(pull)?;
        self.memory.on_wire(|contract, wire| contract.end(wire, trailers))
    }

    fn start(&self, pull: &mut Pull) -> Result<()> {
        let Some(mut head) = pull.held.take() else { return Ok(()) };
        self.run_head_hooks(&mut head, &Body::Empty)?;
        let length = pull.length;
        self.memory.on_wire(|contract, wire| contract.start(wire, &mut head, length))
    }

    fn upgrade(&self, upgrade: Upgrade) -> Result<()> {
        let upgraded = Upgraded::new(self.line.duplex(self.exchange()));
        match upgrade {
            Upgrade::Blocking(protocol) => self.caught_at(Place::Work, || protocol(upgraded)),
            Upgrade::Future(protocol) => {
                let future = self.caught_at(Place::Poll, || protocol(upgraded))?;
                let mut future = Guarded(Some(future));
                self.wait(|cx| future.poll(cx, |future, cx| future.as_mut().poll(cx)))
            }
            _ => Ok(()),
        }
    }

    fn fail(&mut self, error: Error) {
        complain(&self.errors, &self.about, &error);
        let page = {
            let mut state = self.memory.lock();
            let State { contract, wire, gone, .. } = &mut *state;
            if (*gone || error.is_disconnect()) && !contract.is_bodiless() {
                contract.abandon(wire, error);
                return;
            }
            contract.fail(wire, error)
        };
        let Some((mut head, mut body)) = page else { return };
        // A hook fails once, and then the plainest answer there is goes out.
        while let Err(error) = self.respond_with(head, false, &mut body) {
            complain(&self.errors, &self.about, &error);
            if self.memory.lock().gone {
                return;
            }
            (head, body) = error_page(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    /// Drops a body, which is code of the application.
    fn close(&mut self, body: impl Sized) {
        self.closed = true;
        // The response has its outcome; closing cannot change it.
        let _ = self.caught_at(Place::Work, || drop(body));
    }

    fn caught_at<R>(&self, place: Place, f: impl FnOnce() -> R) -> Result<R> {
        caught(|| self.memory.at(place, f))
    }

    /// Polls until ready, as long as somebody is there to wake.
    fn wait<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Result<T> {
        let parked = Arc::new(Parked { woken: AtomicBool::new(false), thread: thread::current() });
        let waker = Waker::from(Arc::clone(&parked));
        let mut cx = Context::from_waker(&waker);
        let mut probe = Probe::default();
        loop {
            let (polled, lost) =
                self.caught_at(Place::Poll, || probe.poll(&mut cx, |cx| poll(cx)))?;
            if let Poll::Ready(value) = polled {
                return Ok(value);
            }
            if lost {
                return Err(Error::application("it is pending, and nobody kept its waker"));
            }
            let deadline = Instant::now() + self.patience;
            while !parked.woken.swap(false, Ordering::Acquire) {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    let patience = self.patience;
                    let cause = format!("it is pending, and was not woken in {patience:?}");
                    return Err(Error::application(cause));
                }
                thread::park_timeout(left);
            }
        }
    }
}

/// A body on its way, whose first data the head waits for.
struct Pull {
    length: Option<u64>,
    held: Option<Head>,
}

/// What is polled, and dropped where a panic of its destructor is caught.
struct Guarded<T>(Option<Pin<Box<T>>>)
where
    T: ?Sized;

impl<T: ?Sized> Guarded<T> {
    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Pin<Box<T>>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        match &mut self.0 {
            Some(polled) => poll(polled, cx),
            None => Poll::Pending,
        }
    }
}

impl<T: ?Sized> Drop for Guarded<T> {
    fn drop(&mut self) {
        let polled = self.0.take();
        let _ = caught(move || drop(polled));
    }
}

struct Parked {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Whether `exchange` is this one.
fn is_of(exchange: &Arc<dyn Exchange>, memory: &Arc<Memory>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(exchange), Arc::as_ptr(memory))
}

fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
