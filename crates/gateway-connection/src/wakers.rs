//! One waker for many waiters.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// More than this wait for one connection only if some of them have given up.
const MOST: usize = 32;

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
        if wakers.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        let mut stale = Vec::new();
        if wakers.len() >= MOST {
            // Those who still wait come back; those who gave up do not pile up.
            stale = std::mem::take(&mut *wakers);
        }
        wakers.push(waker.clone());
        drop(wakers);
        stale.into_iter().for_each(Waker::wake);
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

    #[test]
    fn those_who_gave_up_do_not_pile_up() {
        let waiters = Waiters::default();
        let counts: Vec<_> = (0..100).map(|_| Arc::new(Count::default())).collect();
        for count in &counts {
            waiters.register(&Waker::from(Arc::clone(count)));
        }
        assert!(waiters.lock().len() <= MOST);
        waiters.wake_all();
        assert!(counts.iter().all(|count| count.0.load(Ordering::Relaxed) == 1), "none is lost");
    }
}
