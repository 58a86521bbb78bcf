//! One job on its way to a worker, and its outcome on the way back.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use gateway_core::{ServerError, panic_message};

/// A job as its worker sees it.
pub(crate) trait Job: Send + Sync {
    /// Runs it, unless nobody waits for it any more. A panic becomes its outcome.
    fn run(&self);

    /// Shows its outcome to whoever waits for it. To be called after [`run`](Job::run), when the
    /// worker counts as free again: the answer to this job may bring the next one.
    fn announce(&self);

    /// Drops it; `why` becomes its outcome.
    fn refuse(&self, why: ServerError);
}

/// Makes a job of `work`, and a future of its outcome. When the future is dropped, a job that has
/// not begun is dropped, too; one that runs is left to its end.
pub(crate) fn job<R, F>(work: F) -> (Arc<dyn Job>, Outcome<F, R>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let progress = Progress::Waiting(work);
    let shared = Arc::new(Shared(Mutex::new(Inner { progress, announced: false, waker: None })));
    (Arc::clone(&shared) as Arc<dyn Job>, Outcome(shared))
}

/// A future of what a job yields, or of why it was refused.
pub(crate) struct Outcome<F, R>(Arc<Shared<F, R>>);

struct Shared<F, R>(Mutex<Inner<F, R>>);

struct Inner<F, R> {
    progress: Progress<F, R>,
    announced: bool,
    waker: Option<Waker>,
}

enum Progress<F, R> {
    Waiting(F),
    Running,
    Done(Result<R, ServerError>),
    Over,
}

impl<F, R> Shared<F, R> {
    /// The lock is held for moves only, never while a job runs or is dropped.
    fn lock(&self) -> MutexGuard<'_, Inner<F, R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, outcome: Result<R, ServerError>) {
        let mut inner = self.lock();
        let mut left = Progress::Done(outcome);
        if !matches!(inner.progress, Progress::Over) {
            std::mem::swap(&mut inner.progress, &mut left);
        }
        drop(inner);
    }
}

impl<F, R> Job for Shared<F, R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    fn run(&self) {
        let mut inner = self.lock();
        if !matches!(inner.progress, Progress::Waiting(_)) {
            return;
        }
        let work = std::mem::replace(&mut inner.progress, Progress::Running);
        drop(inner);
        if let Progress::Waiting(work) = work {
            self.finish(catch_unwind(AssertUnwindSafe(work)).map_err(|payload| ServerError::Io {
                action: "finish a job, which panicked",
                source: io::Error::other(panic_message(&*payload)),
            }));
        }
    }

    fn announce(&self) {
        let waker = {
            let mut inner = self.lock();
            inner.announced = true;
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn refuse(&self, why: ServerError) {
        self.finish(Err(why));
        self.announce();
    }
}

impl<F, R> Future for Outcome<F, R> {
    type Output = Result<R, ServerError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.0.lock();
        if inner.announced && matches!(inner.progress, Progress::Done(_)) {
            let done = std::mem::replace(&mut inner.progress, Progress::Over);
            drop(inner);
            if let Progress::Done(outcome) = done {
                return Poll::Ready(outcome);
            }
            return Poll::Pending;
        }
        match &mut inner.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl<F, R> Drop for Outcome<F, R> {
    fn drop(&mut self) {
        let left = {
            let mut inner = self.0.lock();
            inner.waker = None;
            std::mem::replace(&mut inner.progress, Progress::Over)
        };
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll<F, R>(outcome: &mut Outcome<F, R>) -> Poll<Result<R, ServerError>> {
        Pin::new(outcome).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn its_outcome_comes_back_when_the_worker_is_free() {
        let (work, mut outcome) = job(|| 7);
        assert!(poll(&mut outcome).is_pending());
        work.run();
        assert!(poll(&mut outcome).is_pending(), "its worker is not free yet");
        work.announce();
        assert!(matches!(poll(&mut outcome), Poll::Ready(Ok(7))));
    }

    #[test]
    fn one_that_nobody_waits_for_is_dropped_and_not_run() {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let (work, outcome) = job(move || {
            let _inside = inside;
            panic!("it runs")
        });
        let _: &Outcome<_, ()> = &outcome;
        drop(outcome);
        assert_eq!(Arc::strong_count(&held), 1, "dropped at once");
        work.run();
    }

    #[test]
    fn a_refused_one_says_why() {
        let (work, mut outcome) = job(|| ());
        work.refuse(ServerError::ShuttingDown);
        assert!(matches!(poll(&mut outcome), Poll::Ready(Err(ServerError::ShuttingDown))));
        work.run();
    }

    #[test]
    fn a_panic_is_an_outcome() {
        let (work, mut outcome) = job(|| panic!("on purpose"));
        let _: &Outcome<_, ()> = &outcome;
        work.run();
        work.announce();
        let Poll::Ready(Err(ServerError::Io { source, .. })) = poll(&mut outcome) else {
            panic!("no such outcome")
        };
        assert_eq!(source.to_string(), "on purpose");
    }
}
