//! The threads that run what may block.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use gateway_core::ServerError;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::job::{Job, Outcome, job};
use crate::place;

/// How long a worker without work lives on: long enough to bridge the gaps in a steady load.
pub(crate) const IDLE: Duration = Duration::from_secs(2);

/// A bounded pool of threads and a bounded queue before them, shared by all reactors of a server.
///
/// Threads are made when all present ones are busy, one after the other: whoever takes a job and
/// sees more calls the next. So a burst of short jobs wakes two or three threads and not one each,
/// and a burst of long ones has its threads within a moment. The thread that went idle last is
/// called first; those never called end.
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// The most threads, and the most jobs that wait when all of them are busy.
    most: usize,
    queue: usize,
    idle_time: Duration,
    /// The runtime that jobs find themselves in.
    runtime: Handle,
    /// Told when the last busy worker has come to its end, once the pool is closed.
    quiet: Notify,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Arc<dyn Job>>,
    idle: Vec<(u64, Thread)>,
    threads: usize,
    busy: usize,
    /// A thread is on the way to the queue: called, or just done with a job.
    called: bool,
    closed: bool,
    next_id: u64,
}

/// What is to be done after the lock has been let go of.
enum Call {
    Nobody,
    Wake(Thread),
    Start(u64),
}

impl Workers {
    /// At most `most` threads, at most `queue` waiting jobs; none is made before it is needed.
    pub(crate) fn new(most: usize, queue: usize, idle_time: Duration, runtime: Handle) -> Workers {
        let state = Mutex::new(State::default());
        let quiet = Notify::new();
        Workers { shared: Arc::new(Shared { state, most, queue, idle_time, runtime, quiet }) }
    }

    /// Runs `work` on a worker. The outcome is `Overloaded` at once when no worker and no place in
    /// the queue is free, or `ShuttingDown`.
    pub(crate) fn run<F, R>(&self, work: F) -> Outcome<F, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, outcome) = job(work);
        Shared::submit(&self.shared, job);
        outcome
    }

    /// How many run a job at present.
    pub(crate) fn busy(&self) -> usize {
        self.shared.lock().busy
    }

    /// Ends the idle workers, refuses what waits and whatever comes; running jobs are left to
    /// their ends.
    pub(crate) fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        let waiting = std::mem::take(&mut state.jobs);
        drop(state);
        idle.into_iter().for_each(|(_, thread)| thread.unpark());
        waiting.into_iter().for_each(|job| job.refuse(ServerError::ShuttingDown));
    }

    /// Waits, after [`close`](Workers::close), until none runs a job any more.
    pub(crate) async fn quiet(&self) {
        while self.busy() > 0 {
            self.shared.quiet.notified().await;
        }
    }

    #[cfg(test)]
    fn threads(&self) -> usize {
        self.shared.lock().threads
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(this: &Arc<Shared>, job: Arc<dyn Job>) {
        let mut state = this.lock();
        if state.closed {
            drop(state);
            return job.refuse(ServerError::ShuttingDown);
        }
        if state.jobs.len() >= (this.most - state.busy).saturating_add(this.queue) {
            drop(state);
            return job.refuse(ServerError::Overloaded);
        }
        state.jobs.push_back(job);
        let call = state.call(this.most);
        drop(state);
        Shared::make(this, call);
    }

    /// Does what `call` says.
    fn make(this: &Arc<Shared>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Wake(thread) => thread.unpark(),
            Call::Start(id) => {
                let shared = Arc::clone(this);
                let started = thread::Builder::new()
                    .name("gateway-worker".to_owned())
                    .spawn(move || Shared::work(&shared, id));
                if started.is_err() {
                    this.start_failed();
                }
            }
        }
    }

    /// The system gives no thread: those that are there get to the waiting jobs, if there are any.
    fn start_failed(&self) {
        let mut state = self.lock();
        state.threads -= 1;
        state.called = false;
        let waiting =
            if state.threads == 0 { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
        drop(state);
        waiting.into_iter().for_each(|job| job.refuse(ServerError::Overloaded));
    }

    /// A worker's life.
    fn work(this: &Arc<Shared>, id: u64) {
        place::become_worker();
        let _in_runtime = this.runtime.enter();
        while let Some(job) = Shared::next(this, id) {
            // A panic of the job is its outcome; but dropping what nobody waits for, or waking,
            // may run an application's code, too.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
            this.finished();
            let _ = catch_unwind(AssertUnwindSafe(|| job.announce()));
        }
    }

    /// A worker has run its job, and is on the way to the queue.
    fn finished(&self) {
        let mut state = self.lock();
        state.busy -= 1;
        state.called = true;
        if state.closed && state.busy == 0 {
            self.quiet.notify_one();
        }
    }

    /// The next job for worker `id`, who is on the way to the queue; `None` when it is to end.
    fn next(this: &Arc<Shared>, id: u64) -> Option<Arc<dyn Job>> {
        let mut state = this.lock();
        let mut called = true;
        loop {
            if called {
                state.called = false;
            }
            if let Some(job) = state.jobs.pop_front() {
                state.busy += 1;
                let call = state.call(this.most);
                drop(state);
                Shared::make(this, call);
                return Some(job);
            }
            if state.closed {
                state.threads -= 1;
                return None;
            }
            state.idle.push((id, thread::current()));
            drop(state);
            let since = Instant::now();
            thread::park_timeout(this.idle_time);
            state = this.lock();
            // Whoever is not in the list any more has been called.
            let at = state.idle.iter().position(|(idle, _)| *idle == id);
            called = at.is_none();
            if let Some(at) = at {
                state.idle.remove(at);
                if since.elapsed() >= this.idle_time {
                    state.threads -= 1;
                    return None;
                }
            }
        }
    }
}

impl State {
    /// Whom to call for the jobs that wait: nobody while somebody is on the way.
    fn call(&mut self, most: usize) -> Call {
        if self.called || self.jobs.is_empty() {
            return Call::Nobody;
        }
        if let Some((_, thread)) = self.idle.pop() {
            self.called = true;
            return Call::Wake(thread);
        }
        if self.threads < most {
            self.called = true;
            self.threads += 1;
            self.next_id += 1;
            return Call::Start(self.next_id);
        }
        Call::Nobody
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc;

    use super::*;

    fn workers(most: usize, queue: usize) -> Workers {
        Workers::new(most, queue, IDLE, Handle::current())
    }

    #[tokio::test]
    async fn a_job_runs_on_a_thread_that_may_block_and_finds_the_runtime() {
        let here = thread::current().id();
        let there = workers(1, 0)
            .run(move || {
                assert!(place::may_block());
                assert!(Handle::try_current().is_ok());
                thread::current().id()
            })
            .await;
        assert_ne!(there.unwrap(), here);
    }

    #[tokio::test]
    async fn it_is_bounded_and_says_so_at_once() {
        let workers = workers(2, 1);
        let gate = Arc::new(Barrier::new(3));
        let running: Vec<_> = (0..2)
            .map(|_| {
                let gate = Arc::clone(&gate);
                tokio::spawn(workers.run(move || {
                    gate.wait();
                    gate.wait();
                }))
            })
            .collect();
        gate.wait();
        assert_eq!((workers.busy(), workers.threads()), (2, 2));
        let queued = workers.run(|| 3);
        assert!(matches!(workers.run(|| 4).await, Err(ServerError::Overloaded)));
        gate.wait();
        for job in running {
            job.await.unwrap().unwrap();
        }
        assert_eq!(queued.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn long_jobs_get_a_thread_each() {
        let workers = workers(16, 0);
        let gate = Arc::new(Barrier::new(16));
        let jobs: Vec<_> = (0..16)
            .map(|_| {
                let gate = Arc::clone(&gate);
                workers.run(move || {
                    gate.wait();
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
        assert_eq!(workers.threads(), 16);
    }

    #[tokio::test]
    async fn a_worker_is_free_when_its_outcome_is_there() {
        let workers = workers(1, 0);
        for n in 0..1000 {
            assert_eq!(workers.run(move || n).await.unwrap(), n);
        }
        assert_eq!(workers.threads(), 1);
    }

    #[tokio::test]
    async fn short_jobs_share_a_few() {
        let workers = workers(512, 0);
        for _ in 0..100 {
            workers.run(|| ()).await.unwrap();
        }
        let threads = workers.threads();
        assert!(threads <= 8, "{threads} threads");
    }

    #[tokio::test]
    async fn idle_workers_end() {
        let workers = Workers::new(4, 0, Duration::from_millis(1), Handle::current());
        workers.run(|| ()).await.unwrap();
        while workers.threads() > 0 {
            tokio::task::yield_now().await;
        }
        workers.run(|| ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_costs_no_worker() {
        let workers = workers(1, 1);
        let outcome = workers.run(|| panic!("on purpose")).await;
        assert!(matches!(outcome, Err::<(), _>(ServerError::Io { .. })));
        assert_eq!(workers.run(|| 2).await.unwrap(), 2);
        assert_eq!(workers.threads(), 1);
    }

    #[tokio::test]
    async fn closing_refuses_what_waits_and_leaves_what_runs() {
        let workers = workers(1, 1);
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let running = workers.run(move || {
            begin.send(()).unwrap();
            ended.recv().unwrap();
            1
        });
        begun.recv().unwrap();
        let waiting = workers.run(|| 2);
        workers.close();
        assert!(matches!(waiting.await, Err(ServerError::ShuttingDown)));
        assert!(matches!(workers.run(|| 3).await, Err(ServerError::ShuttingDown)));
        assert_eq!(workers.busy(), 1);
        end.send(()).unwrap();
        assert_eq!(running.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_keeps_nothing() {
        let workers = workers(1, 1);
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let running = workers.run(move || {
            begin.send(()).unwrap();
            ended.recv().unwrap();
        });
        begun.recv().unwrap();
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        drop(workers.run(move || drop(inside)));
        assert_eq!(Arc::strong_count(&held), 1);
        end.send(()).unwrap();
        running.await.unwrap();
    }
}
