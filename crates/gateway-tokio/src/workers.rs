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
use crate::{place, waiting};

/// How long a worker without work lives on: long enough to bridge the gaps in a steady load.
pub(crate) const IDLE: Duration = Duration::from_secs(2);

/// A bounded pool of threads and a bounded queue before them, shared by all reactors of a server.
///
/// Threads are made when all present ones are busy, one after the other: whoever takes a job and
/// sees more calls the next. So a burst of short jobs wakes two or three threads and not one each,
/// and a burst of long ones has its threads within a moment. The thread that went idle last is
/// called first; those never called end.
///
/// The bound is on those that run. A worker whose application waits for its peer ([`waiting`]) holds
/// a thread but does nothing, so another one may run meanwhile; when the peer comes, more may run
/// for a moment, and no job is begun until they are fewer again.
pub(crate) struct Workers {
    shared: Arc<Pool>,
}

pub(crate) struct Pool {
    state: Mutex<State>,
    /// The most jobs that run, and the most that are queued when so many do.
    most: usize,
    queue: usize,
    /// The most threads: those that run, and one for each connection that is waited for.
    threads: usize,
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
    /// Of the busy ones, those that wait for their peers.
    waiting: usize,
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
    /// At most `most` jobs that run and `queue` that wait for that; jobs of at most `connections`
    /// wait for their peers. No thread is made before it is needed.
    pub(crate) fn new(
        most: usize,
        queue: usize,
        connections: usize,
        idle_time: Duration,
        runtime: Handle,
    ) -> Workers {
        let threads = most.saturating_add(connections);
        let state = Mutex::new(State::default());
        let quiet = Notify::new();
        Workers {
            shared: Arc::new(Pool { state, most, queue, threads, idle_time, runtime, quiet }),
        }
    }

    /// Runs `work` on a worker. The outcome is `Overloaded` at once when no worker and no place in
    /// the queue is free, or `ShuttingDown`.
    pub(crate) fn run<F, R>(&self, work: F) -> Outcome<F, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, outcome) = job(work);
        Pool::submit(&self.shared, job, self.shared.queue);
        outcome
    }

    /// The same for what was admitted before and goes on: it is not refused because the queue is
    /// full. Of these there is at most one for each connection.
    pub(crate) fn go_on<F, R>(&self, work: F) -> Outcome<F, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, outcome) = job(work);
        Pool::submit(&self.shared, job, usize::MAX);
        outcome
    }

    /// How many have a job at present, also those that wait for their peers.
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

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(this: &Arc<Pool>, job: Arc<dyn Job>, queue: usize) {
        let mut state = this.lock();
        if state.closed {
            drop(state);
            return job.refuse(ServerError::ShuttingDown);
        }
        let free = this.most.saturating_sub(state.running());
        if state.jobs.len() >= free.saturating_add(queue) {
            drop(state);
            return job.refuse(ServerError::Overloaded);
        }
        state.jobs.push_back(job);
        let call = state.call(this);
        drop(state);
        Pool::make(this, call);
    }

    /// Does what `call` says.
    fn make(this: &Arc<Pool>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Wake(thread) => thread.unpark(),
            Call::Start(id) => {
                let shared = Arc::clone(this);
                let started = thread::Builder::new()
                    .name("gateway-worker".to_owned())
                    .spawn(move || Pool::work(&shared, id));
                if started.is_err() {
                    this.start_failed();
                }
            }
        }
    }

    /// The calling worker waits for its peer, so another may run.
    pub(crate) fn waits(this: &Arc<Pool>) {
        let mut state = this.lock();
        state.waiting += 1;
        let call = state.call(this);
        drop(state);
        Pool::make(this, call);
    }

    /// The calling worker waits no longer.
    pub(crate) fn goes_on(&self) {
        self.lock().waiting -= 1;
    }

    /// The system gives no thread: those that are there get to the waiting jobs, if there are any
    /// that do not wait for their peers, which may take long.
    fn start_failed(&self) {
        let mut state = self.lock();
        state.threads -= 1;
        state.called = false;
        let nobody = state.threads == state.waiting;
        let jobs = if nobody { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
        drop(state);
        jobs.into_iter().for_each(|job| job.refuse(ServerError::Overloaded));
    }

    /// A worker's life.
    fn work(this: &Arc<Pool>, id: u64) {
        place::become_worker();
        waiting::work_for(this);
        let _in_runtime = this.runtime.enter();
        while let Some(job) = Pool::next(this, id) {
            // A panic of the job is its outcome; but dropping what nobody waits for, or waking,
            // may run an application's code, too.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
            this.finished();
            let _ = catch_unwind(AssertUnwindSafe(|| job.announce()));
            waiting::no_more();
        }
    }

    /// A worker has run its job, and is on the way to the queue.
    fn finished(&self) {
        let mut state = self.lock();
        state.busy -= 1;
        state.waiting -= usize::from(waiting::end());
        state.called = true;
        if state.closed && state.busy == 0 {
            self.quiet.notify_one();
        }
    }

    /// The next job for worker `id`, who is on the way to the queue; `None` when it is to end.
    fn next(this: &Arc<Pool>, id: u64) -> Option<Arc<dyn Job>> {
        let mut state = this.lock();
        let mut called = true;
        loop {
            if called {
                state.called = false;
            }
            if let Some(job) = state.next_job(this.most) {
                state.busy += 1;
                let call = state.call(this);
                drop(state);
                Pool::make(this, call);
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
    fn running(&self) -> usize {
        self.busy.saturating_sub(self.waiting)
    }

    fn next_job(&mut self, most: usize) -> Option<Arc<dyn Job>> {
        if self.running() < most { self.jobs.pop_front() } else { None }
    }

    /// Whom to call for the jobs that wait: nobody while somebody is on the way.
    fn call(&mut self, pool: &Pool) -> Call {
        if self.called || self.jobs.is_empty() || self.running() >= pool.most {
            return Call::Nobody;
        }
        if let Some((_, thread)) = self.idle.pop() {
            self.called = true;
            return Call::Wake(thread);
        }
        if self.threads < pool.threads {
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
        Workers::new(most, queue, 8, IDLE, Handle::current())
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
        let workers = Workers::new(4, 0, 8, Duration::from_millis(1), Handle::current());
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
    async fn one_that_waits_for_its_peer_lets_another_run() {
        let workers = workers(1, 0);
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let waits = workers.run(move || {
            waiting::for_the_peer();
            waiting::for_the_peer();
            begin.send(()).unwrap();
            ended.recv().unwrap();
            waiting::no_more();
            begin.send(()).unwrap();
            ended.recv().unwrap();
        });
        begun.recv().unwrap();
        assert_eq!(workers.run(|| 1).await.unwrap(), 1);
        assert_eq!((workers.busy(), workers.threads()), (1, 2));
        end.send(()).unwrap();
        begun.recv().unwrap();
        // It runs again, and has the only place.
        assert!(matches!(workers.run(|| 2).await, Err(ServerError::Overloaded)));
        let admitted = workers.go_on(|| 3);
        assert!(matches!(workers.run(|| 4).await, Err(ServerError::Overloaded)));
        end.send(()).unwrap();
        waits.await.unwrap();
        assert_eq!(admitted.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_job_that_ends_while_it_counts_as_waiting_counts_no_more() {
        let workers = workers(1, 0);
        for _ in 0..3 {
            workers.run(waiting::for_the_peer).await.unwrap();
        }
        workers.run(|| assert!(!waiting::end())).await.unwrap();
        assert_eq!(workers.busy(), 0);
        assert_eq!(workers.shared.lock().waiting, 0);
    }

    #[tokio::test]
    async fn waiting_ones_are_bounded_by_the_connections() {
        let workers = Workers::new(1, 4, 2, IDLE, Handle::current());
        let gate = Arc::new(Barrier::new(4));
        let wait = |gate: Arc<Barrier>| {
            move || {
                waiting::for_the_peer();
                gate.wait();
            }
        };
        let waiting: Vec<_> = (0..3).map(|_| workers.run(wait(Arc::clone(&gate)))).collect();
        let queued = workers.run(|| ());
        gate.wait();
        for job in waiting {
            job.await.unwrap();
        }
        queued.await.unwrap();
        assert_eq!(workers.threads(), 3);
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
