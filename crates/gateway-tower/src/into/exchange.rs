//! One exchange of a tower host, as the application's handles see it.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use gateway_core::bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, EndHook, Exchange, HeadHook, RequestFields};
use gateway_core::http::{HeaderMap, Method, StatusCode, Uri};
use gateway_core::http_body::{self, Frame};
use gateway_core::{
    ApplicationError, Body, BoxError, Disconnected, Error, Head, PeerError, Result, ServerInfo,
};
use gateway_handler::{Contract, Framing, Terms};

use super::outbox::{Next, Outbox};
use super::upgrade::{self, OnUpgrade};
use super::{RequestBody, pool, target};
use crate::from::into_bytes;

thread_local! {
    static SPARE: Cell<Option<Arc<HostExchange>>> = const { Cell::new(None) };
}

/// The connection of an exchange that is none at present.
static NOWHERE: LazyLock<ConnectionInfo> =
    LazyLock::new(|| ConnectionInfo::new(Arc::new(ServerInfo::new("", None, ""))));

pub(super) struct HostExchange {
    info: Option<Arc<ConnectionInfo>>,
    fields: RequestFields,
    /// The host has given it up.
    gone: AtomicBool,
    /// A body is pulled, perhaps on another thread, and ends the exchange if the host cannot.
    pulled: AtomicBool,
    over: AtomicBool,
    /// Who else knows whether the peer has gone.
    peer: Option<Disconnected>,
    request: Mutex<Option<RequestBody>>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) contract: Contract,
    pub(super) outbox: Outbox,
    about: About,
    on_upgrade: Option<OnUpgrade>,
    /// The task that wants what comes next.
    host: Option<Waker>,
    /// Those who wait until the host has taken everything.
    flushing: Vec<Waker>,
    /// Those who wait for the peer to go.
    watching: Vec<Waker>,
}

/// The request as the log names it.
enum About {
    /// As it came, as long as that costs nothing.
    Lent(Method, Uri),
    /// On its own, so that it does not keep the host's buffer from being used again.
    Own(Method, Bytes),
}

/// What is to be had of the head.
pub(super) enum Written {
    Head(Head, Framing),
    NotYet,
    /// The exchange was given up, since the peer has gone.
    Never,
}

impl HostExchange {
    /// An exchange that begins.
    pub(super) fn begin(
        info: Arc<ConnectionInfo>,
        terms: Terms,
        (method, uri): (Method, Uri),
        headers: HeaderMap,
        peer: Option<Disconnected>,
        request: Option<RequestBody>,
        on_upgrade: Option<OnUpgrade>,
    ) -> Arc<HostExchange> {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let mut exchange = spare.unwrap_or_else(|| Arc::new(HostExchange::idle()));
        if Arc::get_mut(&mut exchange).is_none() {
            exchange = Arc::new(HostExchange::idle());
        }
        if let Some(it) = Arc::get_mut(&mut exchange) {
            it.info = Some(info);
            it.fields.set_map(headers);
            it.gone = AtomicBool::new(false);
            it.over = AtomicBool::new(false);
            it.peer = peer;
            *it.request.get_mut().unwrap_or_else(PoisonError::into_inner) = request;
            let state = it.state_mut();
            state.contract.begin(terms);
            state.about = About::Lent(method, uri);
            state.on_upgrade = on_upgrade;
        }
        exchange
    }

    /// Ends an exchange that nobody else has a handle of, whose response is in the host's hands, and
    /// keeps it for the next one on this thread. It lets go of everything.
    pub(super) fn retire(mut exchange: Arc<HostExchange>) {
        let Some(it) = Arc::get_mut(&mut exchange) else { return };
        if it.state_mut().contract.has_leftovers() {
            it.finish(None);
        }
        *it.over.get_mut() = true;
        it.info = None;
        it.peer = None;
        it.fields.clear();
        let request = it.request.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let state = it.state_mut();
        state.outbox.reset();
        state.about = About::Lent(Method::GET, Uri::default());
        state.on_upgrade = None;
        state.host = None;
        state.flushing.clear();
        state.watching.clear();
        // Dropping it is code of the host, or of a layer.
        drop(request);
        // While the thread's locals are torn down there is nowhere to keep it.
        let _ = SPARE.try_with(|spare| spare.set(Some(exchange)));
    }

    /// The application has answered, and the response goes on for a while: lets go of what belongs to
    /// the host. The fields stay if the application has kept a handle that shows them.
    pub(super) fn settle(exchange: &mut Arc<HostExchange>) {
        if let Some(it) = Arc::get_mut(exchange) {
            it.fields.clear();
        }
        let mut state = exchange.lock();
        if let About::Lent(method, uri) = &state.about {
            state.about = About::Own(method.clone(), target(uri));
        }
    }

    fn idle() -> HostExchange {
        HostExchange {
            info: None,
            fields: RequestFields::default(),
            gone: AtomicBool::new(false),
            pulled: AtomicBool::new(false),
            over: AtomicBool::new(true),
            peer: None,
            request: Mutex::new(None),
            state: Mutex::new(State {
                contract: Contract::default(),
                outbox: Outbox::default(),
                about: About::Lent(Method::GET, Uri::default()),
                on_upgrade: None,
                host: None,
                flushing: Vec::new(),
                watching: Vec::new(),
            }),
        }
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        self.info.as_deref().unwrap_or_else(|| &NOWHERE)
    }

    /// The exchange as the log names it.
    pub(super) fn about(&self) -> String {
        self.lock().about.text()
    }

    /// Ends an exchange whose response is in the host's hands, and which has no hooks.
    pub(super) fn end(&self, mut state: MutexGuard<'_, State>) {
        if state.contract.has_leftovers()
            || !state.flushing.is_empty()
            || !state.watching.is_empty()
        {
            drop(state);
            return self.finish(None);
        }
        state.on_upgrade = None;
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// No code that can panic half way runs under the lock, so a poisoned one is sound.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state and the request's fields, where nobody else has a handle.
    pub(super) fn split_mut(&mut self) -> (&mut State, &mut RequestFields) {
        (self.state.get_mut().unwrap_or_else(PoisonError::into_inner), &mut self.fields)
    }

    fn state_mut(&mut self) -> &mut State {
        self.split_mut().0
    }

    fn lock_request(&self) -> MutexGuard<'_, Option<RequestBody>> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the contract, and tells the host if there is something new for it.
    pub(super) fn with<R>(
        &self,
        f: impl FnOnce(&mut Contract, &mut Outbox) -> Result<R>,
    ) -> Result<R> {
        let mut state = self.lock();
        if self.is_over() {
            return Err(ApplicationError::ExchangeOver.into());
        }
        let State { contract, outbox, .. } = &mut *state;
        let outcome = f(contract, outbox);
        let host = if outbox.is_news() { state.host.take() } else { None };
        drop(state);
        if let Some(host) = host {
            host.wake();
        }
        outcome
    }

    /// Lets the hooks of the application see a head that is about to be sent, without the lock.
    pub(super) fn run_head_hooks(&self, head: &mut Head, body: &Body) -> Result<()> {
        let hooks = self.with(|contract, _| contract.take_head_hooks(head, body))?;
        let Some(mut hooks) = hooks else { return Ok(()) };
        let outcome = hooks.run(head);
        self.with(|contract, _| {
            contract.put_back(hooks);
            Ok(())
        })?;
        outcome
    }

    /// What the host's body gives next. If there is nothing, the host is told when there is.
    pub(super) fn next(&self, cx: &Context<'_>) -> Next {
        let mut state = self.lock();
        let next = state.outbox.next();
        let flushed = match next {
            Next::Nothing => {
                keep(&mut state.host, cx.waker());
                Vec::new()
            }
            _ if state.outbox.is_empty() => mem::take(&mut state.flushing),
            _ => Vec::new(),
        };
        drop(state);
        flushed.into_iter().for_each(Waker::wake);
        next
    }

    /// The head and what was found out about it, once there is one. If there is none yet, the host is
    /// told when there is.
    pub(super) fn written_head(&self, cx: &Context<'_>) -> Written {
        let mut state = self.lock();
        match state.outbox.take_head() {
            Some((head, framing)) => Written::Head(head, framing),
            None if state.outbox.is_cut() => Written::Never,
            None => {
                keep(&mut state.host, cx.waker());
                Written::NotYet
            }
        }
    }

    pub(super) fn take_on_upgrade(&self) -> Option<OnUpgrade> {
        self.lock().on_upgrade.take()
    }

    /// A body begins to be pulled.
    pub(super) fn begin_pulling(&self) {
        self.pulled.store(true, Ordering::SeqCst);
    }

    /// The body has been dropped. Either this sees that the host has gone, or the host sees this.
    pub(super) fn end_pulling(&self) {
        self.pulled.store(false, Ordering::SeqCst);
        if self.gone.load(Ordering::SeqCst) {
            self.leave();
        }
    }

    /// Ends the exchange that the host has given up, unless a body is still to be dropped.
    pub(super) fn leave(&self) {
        if self.pulled.load(Ordering::SeqCst) {
            return;
        }
        let abort = {
            let state = self.lock();
            let whole = state.outbox.has_ended() || state.contract.is_bodiless();
            (!whole).then(|| PeerError::Disconnected.into())
        };
        self.finish(abort);
    }

    /// The host does not wait for the response any more: for the application the peer has gone.
    pub(super) fn give_up(&self) {
        self.gone.store(true, Ordering::SeqCst);
        let (flushing, watching) = {
            let mut state = self.lock();
            (mem::take(&mut state.flushing), mem::take(&mut state.watching))
        };
        flushing.into_iter().chain(watching).for_each(Waker::wake);
    }

    /// Why nothing can be sent any more, if that is so.
    fn lost(&self) -> Option<Error> {
        if self.is_over() {
            return Some(ApplicationError::ExchangeOver.into());
        }
        self.gone.load(Ordering::Acquire).then(|| PeerError::Disconnected.into())
    }

    /// Ends the exchange for its handles, and lets those know who wanted to. `abort` says why, if
    /// that was before its end.
    pub(super) fn finish(&self, abort: Option<Error>) {
        if self.over.swap(true, Ordering::AcqRel) {
            return;
        }
        let (finished, flushing, watching) = {
            let mut state = self.lock();
            let State { contract, outbox, .. } = &mut *state;
            if let Some(error) = abort {
                contract.abandon(outbox, error);
            }
            let finished = contract.finish();
            (finished, mem::take(&mut state.flushing), mem::take(&mut state.watching))
        };
        flushing.into_iter().chain(watching).for_each(Waker::wake);
        finished.run(&self.info().errors, || self.about());
        // Dropping it is code of the host, or of a layer.
        let request = self.lock_request().take();
        drop(request);
    }
}

impl About {
    fn text(&self) -> String {
        match self {
            About::Lent(method, uri) => format!("{method} {uri}"),
            About::Own(method, target) => format!("{method} {}", target.escape_ascii()),
        }
    }
}

impl Exchange for HostExchange {
    fn connection(&self) -> &ConnectionInfo {
        self.info()
    }

    fn fields(&self) -> Option<&RequestFields> {
        Some(&self.fields)
    }

    fn may_block(&self) -> bool {
        pool::may_block()
    }

    fn on_head(&self, hook: HeadHook) {
        let mut hook = Some(hook);
        // A hook of an exchange that is over sees nothing, as the trait has it.
        let _ = self.with(|contract, _| {
            hook.take().into_iter().for_each(|hook| contract.on_head(hook));
            Ok(())
        });
    }

    fn on_end(&self, hook: EndHook) {
        let mut hook = Some(hook);
        let _ = self.with(|contract, _| {
            hook.take().into_iter().for_each(|hook| contract.on_end(hook));
            Ok(())
        });
    }

    fn early_hints(&self, headers: &HeaderMap) {
        let _ = self.with(|contract, outbox| {
            contract.early_hints(outbox, headers);
            Ok(())
        });
    }

    fn head_sent(&self) -> bool {
        self.is_over() || self.lock().contract.is_head_sent()
    }

    fn write(&self, head: &mut Head, data: Bytes) -> Result<()> {
        if let Some(error) = self.lost() {
            return Err(error);
        }
        self.run_head_hooks(head, &Body::Empty)?;
        self.with(|contract, outbox| {
            let outcome = contract.write(outbox, head, data);
            // The application's response keeps its head, to be looked at.
            outbox.keep_head(|| head.clone());
            outcome
        })
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        if let Some(error) = self.lost() {
            return Poll::Ready(Err(error));
        }
        if state.outbox.is_empty() {
            return Poll::Ready(Ok(()));
        }
        register(&mut state.flushing, cx.waker());
        Poll::Pending
    }

    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        if let Some(error) = self.lost() {
            return Poll::Ready(Some(Err(error)));
        }
        // It is taken out meanwhile: polling it is code of the host, or of a layer.
        let Some(mut body) = self.lock_request().take() else { return Poll::Ready(None) };
        let polled = body.as_mut().poll_frame(cx);
        let kept = self.lock_request().replace(body);
        debug_assert!(kept.is_none(), "one party reads at a time");
        if self.is_over() {
            let late = self.lock_request().take();
            drop(late);
        }
        polled
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(peer) = &self.peer
            && Pin::new(&mut peer.clone()).poll(cx).is_ready()
        {
            return Poll::Ready(());
        }
        let mut state = self.lock();
        if self.lost().is_some() {
            return Poll::Ready(());
        }
        register(&mut state.watching, cx.waker());
        Poll::Pending
    }

    fn is_disconnected(&self) -> bool {
        self.lost().is_some() || self.peer.as_ref().is_some_and(Disconnected::is_disconnected)
    }
}

/// A body as the application may read it: data in one piece, errors that say whose fault they are.
pub(super) struct Received<B>(pub(super) Pin<Box<B>>);

impl<B> http_body::Body for Received<B>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.0.as_mut().poll_frame(cx).map(|frame| {
            frame.map(|frame| {
                frame.map(|frame| frame.map_data(into_bytes)).map_err(|error| fault(error.into()))
            })
        })
    }
}

/// What goes wrong with a request's body is the peer's fault, unless the error knows better.
fn fault(error: BoxError) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    if upgrade::is_disconnect(&*error) {
        return PeerError::Disconnected.into();
    }
    PeerError::Malformed { status: StatusCode::BAD_REQUEST, cause: error }.into()
}

fn register(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|known| known.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}

fn keep(kept: &mut Option<Waker>, waker: &Waker) {
    match kept {
        Some(kept) => kept.clone_from(waker),
        None => *kept = Some(waker.clone()),
    }
}

impl fmt::Debug for HostExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostExchange").finish_non_exhaustive()
    }
}
