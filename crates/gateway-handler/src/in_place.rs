//! One exchange on the calling thread.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, EndHook, Exchange, HeadHook, wait};
use gateway_core::http::{HeaderMap, StatusCode};
use gateway_core::http_body::Frame;
use gateway_core::{
    Application, ApplicationError, Body, Environ, Error, Head, IterBody, PeerError, Reply,
    Response, Result, StartResponse, StreamBody,
};

use crate::{Contract, FilePieces, Flow, Rest, Terms, Wire, caught, complain, error_page};

/// What a server brings that has a thread to itself: a [`Wire`] for the response and a way to the
/// peer, both blocking.
pub trait Channel: Wire + Send + 'static {
    /// Hands everything queued to the peer.
    ///
    /// # Errors
    ///
    /// When the peer has gone: nothing more is sent then.
    fn flush(&mut self) -> io::Result<()>;

    /// The request body's next frame; `None` after its end.
    ///
    /// # Errors
    ///
    /// When the body is malformed, late or cut off.
    fn read(&mut self) -> Option<Result<Frame<Bytes>>>;
}

/// Runs `application` for one request and gives `channel` back when the response has been flushed,
/// or cut.
///
/// For CGI, a pipe, or a test, where the calling thread has nothing else to do: every kind of reply
/// and of body is driven in place. A server with many connections has use for
/// `gateway-connection`, which does the same in poll form. `request` makes the [`Environ`], with the
/// exchange that it is given. [`Body::Upgrade`] is refused with a 500.
///
/// That the peer has gone is known here only when a flush or a read has failed. So an application
/// that awaits nothing but [`disconnected`](Environ::disconnected) waits for ever.
///
/// The application's error is logged to `info.errors`, and never returned: the peer got its answer.
pub fn answer<C: Channel>(
    application: &dyn Application,
    info: ConnectionInfo,
    channel: C,
    request: impl FnOnce(Arc<dyn Exchange>) -> Environ,
) -> C {
    let runner = Runner(Arc::new(InPlace {
        info,
        gone: AtomicBool::new(false),
        state: Mutex::new(State { channel: Some(channel), contract: Contract::default() }),
    }));
    let environ = request(runner.exchange());
    let about = format!("{} {}", environ.method(), environ.raw_target());
    runner.0.lock().contract.begin(Terms::new(environ.method(), false));
    let start_response = StartResponse::new(runner.exchange());
    let outcome = runner.call(application, environ, start_response);
    if let Err(error) = outcome.and_then(|response| runner.respond(response)) {
        runner.fail(&about, error);
    }
    runner.finish(&about)
}

struct Runner<C>(Arc<InPlace<C>>);

impl<C: Channel> Runner<C> {
    fn exchange(&self) -> Arc<dyn Exchange> {
        Arc::clone(&self.0) as _
    }

    fn call(
        &self,
        application: &dyn Application,
        environ: Environ,
        start_response: StartResponse,
    ) -> Result<Response> {
        caught(|| {
            let mut reply = application.call(environ, start_response);
            loop {
                reply = match reply {
                    Reply::Ready(outcome) => return outcome,
                    Reply::Pending(mut future) => wait(|cx| future.as_mut().poll(cx)),
                    Reply::Blocking(job) => job(),
                }
            }
        })?
    }

    fn respond(&self, response: Response) -> Result<()> {
        let parts = response.into_parts();
        let mut body = Closing(Some(parts.body));
        if !std::ptr::addr_eq(Arc::as_ptr(&parts.exchange), Arc::as_ptr(&self.0)) {
            return Err(ApplicationError::ExchangeOver.into());
        }
        let mut head = parts.head;
        let Some(body) = &mut body.0 else { return Ok(()) };
        let rest = self.respond_with(&mut head, parts.head_sent, body)?;
        let Rest::Pump(body) = rest else { return Ok(()) };
        let mut pull = Pull { runner: self, length: body.len(), held: Some(head) };
        match body {
            Body::Iter(items) => caught(|| pull.items(items))?,
            Body::File(file) => pull.items(Box::new(FilePieces::new(file))),
            Body::Stream(stream) => caught(|| pull.frames(stream))?,
            _ => pull.end(None),
        }
    }

    fn respond_with(&self, head: &mut Head, head_sent: bool, body: &mut Body) -> Result<Rest> {
        self.0.run_head_hooks(head, body)?;
        self.0.with_channel(|contract, channel| contract.respond(channel, head, head_sent, body))?
    }

    fn fail(&self, about: &str, error: Error) {
        complain(&self.0.info.errors, about, &error);
        let page = self.0.with_channel(|contract, channel| {
            if error.is_disconnect() && !contract.is_bodiless() {
                contract.abandon(channel, error);
                return None;
            }
            contract.fail(channel, error)
        });
        let Ok(Some((mut head, mut body))) = page else { return };
        while let Err(error) = self.respond_with(&mut head, false, &mut body) {
            complain(&self.0.info.errors, about, &error);
            // A hook fails once, and then the plainest answer there is goes out.
            (head, body) = error_page(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    fn finish(self, about: &str) -> C {
        let (channel, finished) = {
            let mut state = self.0.lock();
            let mut channel = state.channel.take().expect("it is taken here alone");
            if let Err(error) = channel.flush() {
                state.contract.abandon(&mut channel, error.into());
            }
            (channel, state.contract.finish())
        };
        finished.run(&self.0.info.errors, || about.to_owned());
        channel
    }
}

/// A body that is not wanted any more: closing it runs code of the application, which may panic.
struct Closing(Option<Body>);

impl Drop for Closing {
    fn drop(&mut self) {
        let body = self.0.take();
        // The response has its outcome; closing cannot change it.
        let _ = caught(move || drop(body));
    }
}

/// A body on its way, whose first data the head waits for.
struct Pull<'a, C> {
    runner: &'a Runner<C>,
    length: Option<u64>,
    held: Option<Head>,
}

impl<C: Channel> Pull<'_, C> {
    fn items(&mut self, items: IterBody) -> Result<()> {
        for item in items {
            if self.data(item?)? == Flow::Enough {
                break;
            }
        }
        self.end(None)
    }

    fn frames(&mut self, mut stream: StreamBody) -> Result<()> {
        while let Some(frame) = wait(|cx| stream.as_mut().poll_frame(cx)) {
            match frame?.into_data() {
                Ok(data) => {
                    if self.data(data)? == Flow::Enough {
                        break;
                    }
                }
                Err(frame) => return self.end(frame.into_trailers().ok()),
            }
        }
        self.end(None)
    }

    fn data(&mut self, data: Bytes) -> Result<Flow> {
        if data.is_empty() {
            return Ok(Flow::More);
        }
        self.start()?;
        let flow =
            self.runner.0.with_channel(|contract, channel| contract.data(channel, data))??;
        self.runner.0.flush()?;
        Ok(flow)
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<()> {
        self.start()?;
        self.runner.0.with_channel(|contract, channel| contract.end(channel, trailers))?
    }

    fn start(&mut self) -> Result<()> {
        let Some(mut head) = self.held.take() else { return Ok(()) };
        let exchange = &self.runner.0;
        exchange.run_head_hooks(&mut head, &Body::Empty)?;
        let length = self.length;
        exchange.with_channel(|contract, channel| contract.start(channel, &mut head, length))?
    }
}

struct InPlace<C> {
    info: ConnectionInfo,
    /// A flush or a read has failed.
    gone: AtomicBool,
    state: Mutex<State<C>>,
}

struct State<C> {
    /// Gone when the exchange is over.
    channel: Option<C>,
    contract: Contract,
}

impl<C> InPlace<C> {
    /// No code that can panic half way runs under the lock, so a poisoned one is sound.
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_channel<R>(&self, f: impl FnOnce(&mut Contract, &mut C) -> R) -> Result<R> {
        let State { channel, contract } = &mut *self.lock();
        match channel {
            Some(channel) => Ok(f(contract, channel)),
            None => Err(ApplicationError::ExchangeOver.into()),
        }
    }

    /// Lets the hooks of the application see a head that is about to be sent, without the lock.
    fn run_head_hooks(&self, head: &mut Head, body: &Body) -> Result<()>
    where
        C: Channel,
    {
        let hooks = self.with_channel(|contract, _| contract.take_head_hooks(head, body))??;
        let Some(mut hooks) = hooks else { return Ok(()) };
        let outcome = hooks.run(head);
        self.with_channel(|contract, _| contract.put_back(hooks))?;
        outcome
    }

    fn flush(&self) -> Result<()>
    where
        C: Channel,
    {
        self.with_channel(|_, channel| channel.flush())?.map_err(|_| {
            self.gone.store(true, Ordering::Relaxed);
            PeerError::Disconnected.into()
        })
    }
}

impl<C: Channel> Exchange for InPlace<C> {
    fn connection(&self) -> &ConnectionInfo {
        &self.info
    }

    fn may_block(&self) -> bool {
        true
    }

    fn on_head(&self, hook: HeadHook) {
        // A hook of an exchange that is over sees nothing, as the trait has it.
        let _ = self.with_channel(|contract, _| contract.on_head(hook));
    }

    fn on_end(&self, hook: EndHook) {
        let _ = self.with_channel(|contract, _| contract.on_end(hook));
    }

    fn early_hints(&self, headers: &HeaderMap) {
        let _ = self.with_channel(|contract, channel| contract.early_hints(channel, headers));
        // They are of use now. What fails now fails again, and is told, with the response.
        let _ = self.flush();
    }

    fn head_sent(&self) -> bool {
        self.with_channel(|contract, _| contract.is_head_sent()).unwrap_or(true)
    }

    fn write(&self, head: &mut Head, data: Bytes) -> Result<()> {
        self.run_head_hooks(head, &Body::Empty)?;
        self.with_channel(|contract, channel| contract.write(channel, head, data))?
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(self.flush())
    }

    fn poll_input(&self, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = self.with_channel(|_, channel| channel.read()).unwrap_or_else(|e| Some(Err(e)));
        if frame.as_ref().is_some_and(|frame| frame.as_ref().is_err_and(Error::is_disconnect)) {
            self.gone.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn poll_disconnected(&self, _: &mut Context<'_>) -> Poll<()> {
        // Nobody but this thread can find that out later.
        if self.is_disconnected() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_disconnected(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || self.lock().channel.is_none()
    }
}
