//! One exchange in memory.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, EndHook, Exchange, HeadHook};
use gateway_core::http::{HeaderMap, Version};
use gateway_core::http_body::Frame;
use gateway_core::{ApplicationError, Body, Head, PeerError, Result};
use gateway_handler::Contract;

use super::recorder::Recorder;
use super::request::RequestBody;

/// What the client's thread runs just now, which decides whether it may block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The call itself.
    Call,
    /// A future or a stream.
    Poll,
    /// A blocking job or an iterator.
    Work,
}

/// The exchange that the application's handles hold.
pub(super) struct Memory {
    info: ConnectionInfo,
    version: Version,
    thread: ThreadId,
    place: AtomicU8,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) contract: Contract,
    pub(super) wire: Recorder,
    body: RequestBody,
    /// The reader of the next piece has waited for it.
    waited: bool,
    pub(super) gone: bool,
    pub(super) over: bool,
    waiting: Vec<Waker>,
}

impl Memory {
    pub(super) fn new(
        info: ConnectionInfo,
        version: Version,
        body: RequestBody,
        wanted: Option<u64>,
    ) -> Memory {
        Memory {
            info,
            version,
            thread: thread::current().id(),
            place: AtomicU8::new(Place::Call as u8),
            state: Mutex::new(State {
                contract: Contract::default(),
                wire: Recorder { wanted, ..Recorder::default() },
                body,
                waited: false,
                gone: wanted == Some(0),
                over: false,
                waiting: Vec::new(),
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` where `place` says.
    pub(super) fn at<R>(&self, place: Place, f: impl FnOnce() -> R) -> R {
        struct Back<'a>(&'a AtomicU8, u8);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.store(self.1, Ordering::Relaxed);
            }
        }
        let _back = Back(&self.place, self.place.swap(place as u8, Ordering::Relaxed));
        f()
    }

    /// Lets the contract act on the wire, as long as the exchange goes on and the peer is there.
    pub(super) fn on_wire<R>(
        &self,
        f: impl FnOnce(&mut Contract, &mut Recorder) -> Result<R>,
    ) -> Result<R> {
        let mut state = self.lock();
        let State { contract, wire, gone, over, .. } = &mut *state;
        match (*over, *gone) {
            (true, _) => Err(ApplicationError::ExchangeOver.into()),
            (false, true) => Err(PeerError::Disconnected.into()),
            (false, false) => f(contract, wire),
        }
    }

    /// Lets the hooks of the application see a head that is about to be sent, without the lock.
    pub(super) fn run_head_hooks(&self, head: &mut Head, body: &Body) -> Result<()> {
        let hooks = self.on_wire(|contract, _| contract.take_head_hooks(head, body))?;
        let Some(mut hooks) = hooks else { return Ok(()) };
        let outcome = hooks.run(head);
        self.lock().contract.put_back(hooks);
        outcome
    }

    /// The peer takes what there is, and goes if that is enough for it.
    pub(super) fn flush(&self) -> Result<()> {
        let waiting = {
            let mut state = self.lock();
            if state.over {
                return Err(ApplicationError::ExchangeOver.into());
            }
            if state.gone {
                return Err(PeerError::Disconnected.into());
            }
            let wire = &state.wire;
            if wire.wanted.is_none_or(|wanted| wire.received < wanted) {
                return Ok(());
            }
            state.gone = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Ends the exchange for its handles.
    pub(super) fn end(&self) {
        let waiting = {
            let mut state = self.lock();
            state.over = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn next_frame(&self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let mut state = self.lock();
        if state.over {
            return Poll::Ready(Some(Err(ApplicationError::ExchangeOver.into())));
        }
        let State { body, waited, .. } = &mut *state;
        if body.hesitates && !*waited {
            *waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        *waited = false;
        Poll::Ready(match body.pieces.pop_front() {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if body.cut_off => Some(Err(PeerError::Disconnected.into())),
            None => body.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
        })
    }
}

impl Exchange for Memory {
    fn connection(&self) -> &ConnectionInfo {
        &self.info
    }

    fn may_block(&self) -> bool {
        // Threads of the application's own wait for nobody.
        thread::current().id() != self.thread
            || match self.place.load(Ordering::Relaxed) {
                place if place == Place::Call as u8 => !self.info.nonblocking,
                place => place == Place::Work as u8,
            }
    }

    fn on_head(&self, hook: HeadHook) {
        let mut state = self.lock();
        if !state.over {
            state.contract.on_head(hook);
        }
    }

    fn on_end(&self, hook: EndHook) {
        let mut state = self.lock();
        if !state.over {
            state.contract.on_end(hook);
        }
    }

    fn early_hints(&self, headers: &HeaderMap) {
        if self.version > Version::HTTP_10 {
            // Without a peer there is nobody to hint to.
            let _ = self.on_wire(|contract, wire| {
                contract.early_hints(wire, headers);
                Ok(())
            });
        }
    }

    fn head_sent(&self) -> bool {
        let state = self.lock();
        state.over || state.contract.is_head_sent()
    }

    fn write(&self, head: &mut Head, data: Bytes) -> Result<()> {
        self.run_head_hooks(head, &Body::Empty)?;
        self.on_wire(|contract, wire| contract.write(wire, head, data))
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(self.flush())
    }

    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.next_frame(cx)
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.gone || state.over {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn is_disconnected(&self) -> bool {
        let state = self.lock();
        state.gone || state.over
    }
}
