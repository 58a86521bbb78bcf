//! One waker for many waiters.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Wakes everybody who waits for the same direction of a transport, which itself keeps one waker.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    wakers: Mutex<Vec<Waker>>,
}

impl Waiters {
    /// Polls with a waker that wakes `cx`'s and those of all others who wait.
    pub(crate) fn poll<R>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        // Before the poll: a wake-up between the poll and a later registration would be lost.
        self.register(cx.waker());
        let waker = Waker::from(Arc::clone(self));
        poll(&mut Context::from_waker(&waker))
    }

    /// Keeps `waker` for the next [`wake_all`](Waiters::wake_all).
    pub(crate) fn register(&self, waker: &Waker) {
        let mut wakers = self.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    pub(crate) fn wake_all(&self) {
        let woken = std::mem::take(&mut *self.lock());
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn everybody_is_woken_once() {
        let waiters = Arc::new(Waiters::default());
        let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
        let mut kept = None;
        for count in &counts {
            let waker = Waker::from(Arc::clone(count));
            for _ in 0..2 {
                let pending = waiters.poll(&Context::from_waker(&waker), |cx| {
                    kept = Some(cx.waker().clone());
                    Poll::<()>::Pending
                });
                assert!(pending.is_pending());
            }
        }
        kept.expect("it was polled").wake();
        waiters.wake_all();
        assert_eq!(counts.map(|count| count.0.load(Ordering::Relaxed)), [1, 1]);
    }
}
