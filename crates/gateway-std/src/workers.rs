//! Threads, each of which serves one connection after the other.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a thread does for one connection.
pub(crate) type Job = Box<dyn FnOnce() + Send + 'static>;

/// How long a thread waits for its next connection before it ends: what a wave of connections took
/// is given back soon, and a steady trickle of them makes no threads.
pub(crate) const IDLE: Duration = Duration::from_secs(2);

/// The threads of a server: as many as connections were served at a time lately.
#[derive(Clone)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
    max: usize,
    stack_size: Option<usize>,
}

struct Shared {
    state: Mutex<State>,
    thread_ended: Condvar,
    idle: Duration,
}

struct State {
    /// Jobs that no thread has begun.
    jobs: VecDeque<Job>,
    /// The idle threads. The last one to come is the first to go to work, so that those who are
    /// not needed are found out.
    idle: Vec<Arc<Condvar>>,
    threads: usize,
    closed: bool,
}

impl Workers {
    /// No threads yet, and never more than `max`. No more than that many jobs may be submitted at a
    /// time. `stack_size` in bytes; `None` is std's default. A thread ends after `idle` without one.
    pub(crate) fn new(max: usize, stack_size: Option<usize>, idle: Duration) -> Workers {
        let state = State { jobs: VecDeque::new(), idle: Vec::new(), threads: 0, closed: false };
        let shared = Shared { state: Mutex::new(state), thread_ended: Condvar::new(), idle };
        Workers { shared: Arc::new(shared), max, stack_size }
    }

    /// Has an idle thread, or a new one, do `job`.
    ///
    /// # Errors
    ///
    /// When no thread can be made. The job waits, for a thread that becomes idle or for
    /// [`retry`](Workers::retry).
    pub(crate) fn submit(&self, job: Job) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.jobs.push_back(job);
        match state.idle.pop() {
            Some(idle) => {
                drop(state);
                idle.notify_one();
                Ok(())
            }
            // With so many threads one of them is just about to be idle.
            None if state.threads >= self.max => Ok(()),
            None => self.spawn(state),
        }
    }

    /// Tries again to make a thread for a job that waits.
    ///
    /// # Errors
    ///
    /// When no thread can be made.
    pub(crate) fn retry(&self) -> io::Result<()> {
        let state = self.shared.lock();
        if state.jobs.is_empty() || state.threads >= self.max {
            return Ok(());
        }
        self.spawn(state)
    }

    fn spawn(&self, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        state.threads += 1;
        drop(state);
        let shared = Arc::clone(&self.shared);
        let mut builder = thread::Builder::new().name("gateway-std".to_owned());
        if let Some(stack_size) = self.stack_size {
            builder = builder.stack_size(stack_size);
        }
        let spawned = builder.spawn(move || shared.work());
        if let Err(error) = spawned {
            self.shared.lock().threads -= 1;
            return Err(error);
        }
        Ok(())
    }

    /// Ends the idle threads now and the others after their job, drops the jobs that nobody has
    /// begun, and waits until no more than `left` threads are there, at most for `timeout`.
    pub(crate) fn close(&self, left: usize, timeout: Duration) {
        let mut state = self.shared.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        for idle in state.idle.drain(..) {
            idle.notify_one();
        }
        drop(state);
        drop(jobs);
        let ended =
            self.shared
                .thread_ended
                .wait_timeout_while(self.shared.lock(), timeout, |state| state.threads > left);
        drop(ended);
    }
}

impl Shared {
    /// What a thread does from its begin to its end.
    fn work(&self) {
        let seat = Arc::new(Condvar::new());
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // A job sees to its own panics; this one would take the thread from the others.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            let (rest, called) = self.idle(state, &seat);
            state = rest;
            if !called && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        self.thread_ended.notify_all();
    }

    /// Waits to be called, and tells whether that was within the time.
    fn idle<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        seat: &Arc<Condvar>,
    ) -> (MutexGuard<'a, State>, bool) {
        state.idle.push(Arc::clone(seat));
        let until = Instant::now() + self.idle;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            state = seat.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            let Some(place) = state.idle.iter().position(|idle| Arc::ptr_eq(idle, seat)) else {
                return (state, true);
            };
            if Instant::now() >= until {
                state.idle.remove(place);
                return (state, false);
            }
        }
    }

    /// Jobs run without the lock, so a poisoned one is sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::ThreadId;

    const LONG: Duration = Duration::from_secs(60);

    fn tell(send: &Sender<ThreadId>) -> Job {
        let send = send.clone();
        Box::new(move || send.send(thread::current().id()).expect("the test listens"))
    }

    #[test]
    fn a_thread_is_used_again() {
        let workers = Workers::new(8, None, LONG);
        let (send, receive) = channel();
        let mut threads = HashSet::new();
        for _ in 0..100 {
            workers.submit(tell(&send)).expect("a thread");
            threads.insert(receive.recv().expect("the job is done"));
            // The job is done a little before its thread is idle.
            while workers.shared.lock().idle.is_empty() {
                thread::yield_now();
            }
        }
        assert_eq!(threads.len(), 1);
        workers.close(0, LONG);
        assert_eq!(workers.shared.lock().threads, 0);
    }

    #[test]
    fn a_thread_without_work_ends() {
        let workers = Workers::new(8, None, Duration::from_millis(1));
        let (send, receive) = channel();
        workers.submit(tell(&send)).expect("a thread");
        receive.recv().expect("the job is done");
        let shared = &workers.shared;
        let ended = shared.thread_ended.wait_timeout_while(shared.lock(), LONG, |s| s.threads > 0);
        assert_eq!(ended.expect("nothing panicked").0.threads, 0);
    }

    #[test]
    fn jobs_at_a_time_have_a_thread_each() {
        let workers = Workers::new(8, Some(128 * 1024), LONG);
        let (send, receive) = channel();
        let barrier = Arc::new(std::sync::Barrier::new(5));
        for _ in 0..5 {
            let (barrier, send) = (Arc::clone(&barrier), send.clone());
            let job = move || {
                barrier.wait();
                send.send(thread::current().id()).expect("the test listens");
            };
            workers.submit(Box::new(job)).expect("a thread");
        }
        let threads: HashSet<_> = receive.iter().take(5).collect();
        assert_eq!(threads.len(), 5);
        workers.close(0, LONG);
    }

    #[test]
    fn who_is_still_at_work_is_left() {
        let workers = Workers::new(8, None, LONG);
        let (begin, begun) = channel();
        let (send, receive) = channel::<()>();
        let job = move || {
            begin.send(()).expect("the test listens");
            receive.recv().expect("the test sends");
        };
        workers.submit(Box::new(job)).expect("a thread");
        begun.recv().expect("the job begins");
        workers.close(1, LONG);
        assert_eq!(workers.shared.lock().threads, 1);
        send.send(()).expect("the job listens");
        workers.close(0, LONG);
        assert_eq!(workers.shared.lock().threads, 0);
    }
}
