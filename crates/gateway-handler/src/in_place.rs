//! One exchange on the calling thread.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, EndHook, Exchange, HeadHook, wait};
use gateway_core::http::{HeaderMap, Method, StatusCode};
use gateway_core::http_body::Frame;
use gateway_core::{
    Application, ApplicationError, Body, Environ, Error, Head, IterBody, PeerError, Reply,
    Response, Result, StartResponse, StreamBody,
};

use crate::{Contract, FilePieces, Flow, Rest, Wire, caught, complain, error_page};

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
/// The application's error is logged to `info.errors`, and never returned: the peer got its answer.
pub fn answer<C: Channel>(
    application: &dyn Application,
    info: ConnectionInfo,
    channel: C,
    request: impl FnOnce(Arc<dyn Exchange>) -> Environ,
) -> Option<C> {
    let runner = Runner(Arc::new(InPlace {
        info,
        state: Mutex::new(State { channel: Some(channel), contract: Contract::default() }),
    }));
    let environ = request(runner.exchange());
    let about = format!("{} {}", environ.method(), environ.raw_target());
    runner.0.lock().contract.begin(environ.method() == Method::HEAD);
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
        if !std::ptr::addr_eq(Arc::as_ptr(&parts.exchange), Arc::as_ptr(&self.0)) {
            return Err(ApplicationError::ExchangeOver.into());
        }
        let (mut head, body) = (parts.head, parts.body);
        if let Body::Upgrade(_) = body {
            return Err(ApplicationError::InvalidStatus { status: head.status }.into());
        }
        let rest = self.respond_with(&mut head, body)?;
        let Rest::Pump(body) = rest else { return Ok(()) };
        let mut pull = Pull { runner: self, length: body.len(), held: Some(head) };
        match body {
            Body::Iter(items) => caught(|| pull.items(items))?,
            Body::File(file) => pull.items(Box::new(FilePieces::new(file)?)),
            Body::Stream(stream) => caught(|| pull.frames(stream))?,
            _ => pull.end(None),
        }
    }

    fn respond_with(&self, head: &mut Head, body: Body) -> Result<Rest> {
        if !self.0.lock().contract.is_held(head, &body) {
            self.run_head_hooks(head)?;
        }
        let errors = &self.0.info.errors;
        self.0.with_channel(|contract, channel| contract.respond(channel, errors, head, body))?
    }

    fn run_head_hooks(&self, head: &mut Head) -> Result<()> {
        let hooks = self.0.lock().contract.take_head_hooks();
        hooks.map_or(Ok(()), |hooks| caught(|| hooks.run(head)))
    }

    fn fail(&self, about: &str, error: Error) {
        complain(&self.0.info.errors, about, &error);
        let page = self.0.with_channel(|contract, channel| {
            if error.is_disconnect() {
                contract.abandon(channel, error);
                return None;
            }
            contract.fail(channel, error)
        });
        let Ok(Some((mut head, body))) = page else { return };
        if self.respond_with(&mut head, body).is_err() {
            let (mut head, body) = error_page(StatusCode::INTERNAL_SERVER_ERROR);
            // The plainest answer there is; if even that is refused, the response is cut below.
            let _ = self.respond_with(&mut head, body);
        }
    }

    fn finish(self, about: &str) -> Option<C> {
        let (channel, finished) = {
            let mut state = self.0.lock();
            let mut channel = state.channel.take();
            if let Some(channel) = &mut channel
                && let Err(error) = channel.flush()
            {
                state.contract.abandon(channel, error.into());
            }
            (channel, state.contract.finish())
        };
        if let Err(error) = caught(|| finished.run()) {
            complain(&self.0.info.errors, about, &error);
        }
        channel
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
        self.runner.0.with_channel(|contract, channel| {
            let flow = contract.data(channel, data)?;
            channel.flush().map_err(|_| Error::from(PeerError::Disconnected))?;
            Ok(flow)
        })?
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<()> {
        self.start()?;
        self.runner.0.with_channel(|contract, channel| contract.end(channel, trailers))?
    }

    fn start(&mut self) -> Result<()> {
        let Some(mut head) = self.held.take() else { return Ok(()) };
        self.runner.run_head_hooks(&mut head)?;
        let errors = &self.runner.0.info.errors;
        self.runner.0.with_channel(|contract, channel| {
            contract.start(channel, errors, &mut head, self.length)
        })?
    }
}

struct InPlace<C> {
    info: ConnectionInfo,
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
    }

    fn head_sent(&self) -> bool {
        self.with_channel(|contract, _| contract.is_head_sent()).unwrap_or(true)
    }

    fn write(&self, head: &mut Head, data: Bytes) -> Result<()> {
        let hooks = self.with_channel(|contract, _| contract.take_head_hooks())?;
        if let Some(hooks) = hooks {
            hooks.run(head);
        }
        let errors = &self.info.errors;
        self.with_channel(|contract, channel| contract.write(channel, errors, head, data))?
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(
            self.with_channel(|_, channel| channel.flush())
                .and_then(|flushed| flushed.map_err(|_| Error::from(PeerError::Disconnected))),
        )
    }

    fn poll_input(&self, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        Poll::Ready(self.with_channel(|_, channel| channel.read()).unwrap_or_else(|e| Some(Err(e))))
    }

    fn poll_disconnected(&self, _: &mut Context<'_>) -> Poll<()> {
        // Nobody tells this thread while it runs the application; a write will.
        if self.lock().channel.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }

    fn is_disconnected(&self) -> bool {
        self.lock().channel.is_none()
    }
}
