//! Whether something that is pending will ever be polled again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Hands out wakers that it can count.
#[derive(Debug, Default)]
pub(crate) struct Probe(Option<Arc<Signal>>);

#[derive(Debug)]
struct Signal {
    outer: Waker,
    woken: AtomicBool,
}

impl Probe {
    /// Polls, and tells of a pending outcome whether nobody is left who could wake.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> (Poll<T>, bool) {
        // Whoever kept the waker of an earlier poll may go on with it, if it is the same.
        let signal = match self.0.take() {
            Some(signal) if signal.outer.will_wake(cx.waker()) => signal,
            _ => Arc::new(Signal { outer: cx.waker().clone(), woken: AtomicBool::new(false) }),
        };
        signal.woken.store(false, Ordering::Release);
        let outcome = {
            let waker = Waker::from(Arc::clone(&signal));
            poll(&mut Context::from_waker(&waker))
        };
        // The count first: a waker that is used up meanwhile has said so before it goes.
        let kept = Arc::strong_count(&signal) > 1;
        let lost = outcome.is_pending() && !kept && !signal.woken.load(Ordering::Acquire);
        // A probe further out must not take this one for somebody who wakes.
        self.0 = (!lost).then_some(signal);
        (outcome, lost)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.outer.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(poll: impl FnOnce(&mut Context<'_>) -> Poll<()>) -> bool {
        Probe::default().poll(&mut Context::from_waker(Waker::noop()), poll).1
    }

    #[test]
    fn who_keeps_or_uses_the_waker_is_not_lost() {
        let mut kept = None;
        assert!(!lost(|cx| {
            kept = Some(cx.waker().clone());
            Poll::Pending
        }));
        assert!(!lost(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        assert!(!lost(|_| Poll::Ready(())));
    }

    #[test]
    fn who_forgets_the_waker_is_lost() {
        assert!(lost(|_| Poll::Pending));
        assert!(lost(|cx| {
            drop(cx.waker().clone());
            Poll::Pending
        }));
    }
}
