//! A future and a socket on one thread: who waits for which of them, and waiting for both.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use gateway_core::ServerError;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::fd::OwnedFd;

use crate::socket::{Socket, poll_fds};

/// How often a thread looks whether it was woken where no eventfd could be had.
const WITHOUT_EVENTFD: Duration = Duration::from_millis(10);

/// Who waits for a socket.
///
/// While its thread drives a future, everybody else leaves a waker here and the driving thread
/// looks after the socket. Otherwise a thread that has to wait does so in its own call.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The same as `Wakers::driver`, to be asked without the lock.
    driving: AtomicBool,
    /// How many threads wait in their own call until they can read or write.
    threads: AtomicUsize,
    wakers: Mutex<Wakers>,
}

/// While this lives, a thread counts as one that waits.
#[derive(Debug)]
pub(crate) struct Waits<'a>(&'a Waiting);

#[derive(Debug, Default)]
struct Wakers {
    driver: Option<Arc<Wakeup>>,
    read: Option<Waker>,
    write: Option<Waker>,
    gone: Option<Waker>,
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
    Gone,
}

impl Waiting {
    #[inline]
    pub(crate) fn is_driven(&self) -> bool {
        self.driving.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) -> Waits<'_> {
        self.threads.fetch_add(1, Ordering::Relaxed);
        Waits(self)
    }

    /// Whether a thread waits in its own call until it can read or write.
    pub(crate) fn is_anybody_waiting(&self) -> bool {
        self.threads.load(Ordering::Relaxed) > 0
    }

    /// Keeps `waker` for the driving thread, in the place of another one with the same interest.
    /// Tells whether there is such a thread; otherwise only who waits for [`Interest::Gone`] is
    /// kept.
    pub(crate) fn register(&self, interest: Interest, waker: &Waker) -> bool {
        let driver = {
            let mut wakers = self.lock();
            if wakers.driver.is_some() || interest == Interest::Gone {
                wakers.keep(interest, waker);
            }
            wakers.driver.clone()
        };
        let Some(driver) = driver else { return false };
        if !driver.is_of_this_thread() {
            // It may be waiting for less than this.
            driver.wake();
        }
        true
    }

    /// Whether somebody waits to hear that the peer has gone, and no thread looks.
    pub(crate) fn is_gone_unwatched(&self) -> bool {
        let wakers = self.lock();
        wakers.gone.is_some() && wakers.driver.is_none()
    }

    pub(crate) fn wake_all(&self) {
        let woken = {
            let mut wakers = self.lock();
            [wakers.read.take(), wakers.write.take(), wakers.gone.take()]
        };
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    pub(crate) fn wake_driver(&self) {
        let driver = self.lock().driver.clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn wake(&self, is_woken: impl Fn(Interest) -> bool) {
        let woken = {
            let mut wakers = self.lock();
            [Interest::Read, Interest::Write, Interest::Gone]
                .map(|interest| is_woken(interest).then(|| wakers.of(interest).take()).flatten())
        };
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// What the driving thread has to look for; nothing when nobody waits for the socket.
    fn events(&self, socket: &Socket) -> PollFlags {
        let wakers = self.lock();
        let mut events = PollFlags::empty();
        if wakers.read.is_some() {
            events |= PollFlags::IN | PollFlags::RDHUP;
        }
        if wakers.write.is_some() {
            events |= PollFlags::OUT;
        }
        if wakers.gone.is_some() {
            events |= socket.gone_events();
        }
        events
    }

    fn set_driver(&self, driver: Option<Arc<Wakeup>>) {
        self.driving.store(driver.is_some(), Ordering::Relaxed);
        self.lock().driver = driver;
    }

    /// Every change under the lock is a single store, so a poisoned one is sound.
    fn lock(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Wakers {
    fn of(&mut self, interest: Interest) -> &mut Option<Waker> {
        match interest {
            Interest::Read => &mut self.read,
            Interest::Write => &mut self.write,
            Interest::Gone => &mut self.gone,
        }
    }

    fn keep(&mut self, interest: Interest, waker: &Waker) {
        match self.of(interest) {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}

/// Wakes one thread, out of `park` or out of poll(2).
#[derive(Debug)]
pub(crate) struct Wakeup {
    thread: Thread,
    woken: AtomicBool,
    /// The thread is in poll(2), or about to be.
    polling: AtomicBool,
    /// Made when the thread first waits for a socket and for wake-ups at a time.
    eventfd: OnceLock<OwnedFd>,
}

thread_local! {
    static WAKEUP: (Arc<Wakeup>, Waker) = {
        let wakeup = Arc::new(Wakeup {
            thread: thread::current(),
            woken: AtomicBool::new(false),
            polling: AtomicBool::new(false),
            eventfd: OnceLock::new(),
        });
        let waker = Waker::from(Arc::clone(&wakeup));
        (wakeup, waker)
    };
    /// Whether this thread is inside a poll of a future that it drives.
    static IN_POLL: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is inside a poll of a future that it drives, where it must not block:
/// it is this thread that would have to wake itself.
pub(crate) fn in_poll() -> bool {
    IN_POLL.get()
}

/// Runs `future` to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    WAKEUP.with(|(wakeup, waker)| {
        let mut cx = Context::from_waker(waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            while !wakeup.take() {
                thread::park();
            }
        }
    })
}

/// Runs `future` to its end on this thread, which meanwhile looks after `socket` for everybody.
/// `until_deadline` tells how long it is until the connection's deadline, at which who waits for
/// the socket is woken to see it.
///
/// # Errors
///
/// [`ServerError::ShuttingDown`] when the socket has been [cut](Socket::cut).
pub(crate) fn drive<F: Future>(
    socket: &Socket,
    mut future: Pin<&mut F>,
    until_deadline: impl Fn() -> Option<Duration>,
) -> Result<F::Output, ServerError> {
    WAKEUP.with(|(wakeup, waker)| {
        let _driving = Driving::begin(&socket.waiting, wakeup);
        let mut cx = Context::from_waker(waker);
        loop {
            let polled = {
                let _in_poll = InPoll::begin();
                future.as_mut().poll(&mut cx)
            };
            if let Poll::Ready(output) = polled {
                return Ok(output);
            }
            if !wait(socket, wakeup, &until_deadline) {
                return Err(ServerError::ShuttingDown);
            }
        }
    })
}

/// Waits until the thread is woken. Tells whether to go on.
fn wait(socket: &Socket, wakeup: &Wakeup, until_deadline: impl Fn() -> Option<Duration>) -> bool {
    let mut told = false;
    loop {
        if socket.is_cut() {
            return false;
        }
        if wakeup.take() {
            return true;
        }
        let events = socket.waiting.events(socket);
        if events.is_empty() {
            thread::park();
            continue;
        }
        // Those who have been told and still wait have a reason that is not ours to know.
        let left = until_deadline().filter(|_| !told);
        let there = wakeup.poll(socket, events, left);
        if there.is_empty() {
            if until_deadline() == Some(Duration::ZERO) && !told {
                told = true;
                socket.waiting.wake_all();
            }
            continue;
        }
        let broken = there.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        socket.waiting.wake(|interest| {
            broken
                || match interest {
                    Interest::Read => there.intersects(PollFlags::IN | PollFlags::RDHUP),
                    Interest::Write => there.contains(PollFlags::OUT),
                    Interest::Gone => there.intersects(socket.gone_events()),
                }
        });
    }
}

impl Wakeup {
    /// Whether the thread was woken since this was asked last.
    fn take(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    fn is_of_this_thread(&self) -> bool {
        WAKEUP.try_with(|(wakeup, _)| ptr::eq(&**wakeup, self)).unwrap_or(false)
    }

    /// Waits for `events`, for a wake-up, or for the timeout; what of `events` is there.
    fn poll(&self, socket: &Socket, events: PollFlags, timeout: Option<Duration>) -> PollFlags {
        let Some(eventfd) = self.eventfd() else {
            let timeout = timeout.map_or(WITHOUT_EVENTFD, |left| left.min(WITHOUT_EVENTFD));
            return socket.wait(events, Some(timeout)).unwrap_or(PollFlags::ERR);
        };
        let mut fds = [PollFd::new(socket, events), PollFd::new(eventfd, PollFlags::IN)];
        self.polling.store(true, Ordering::SeqCst);
        // Whoever woke before that store did not write to the eventfd.
        let timeout =
            if self.woken.load(Ordering::SeqCst) { Some(Duration::ZERO) } else { timeout };
        let polled = poll_fds(&mut fds, timeout);
        self.polling.store(false, Ordering::SeqCst);
        if polled.is_err() {
            // Interrupted; or out of memory, where the next try may do better.
            return PollFlags::empty();
        }
        if !fds[1].revents().is_empty() {
            let _ = rustix::io::read(eventfd, &mut [0; 8]);
        }
        fds[0].revents()
    }

    fn eventfd(&self) -> Option<&OwnedFd> {
        if self.eventfd.get().is_none()
            && let Ok(made) = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        {
            // Only the thread itself gets here.
            let _ = self.eventfd.set(made);
        }
        self.eventfd.get()
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.woken.swap(true, Ordering::SeqCst) {
            return;
        }
        self.thread.unpark();
        if self.polling.load(Ordering::SeqCst)
            && let Some(eventfd) = self.eventfd.get()
        {
            // It fails only when the counter is full, and then the thread is woken anyway.
            let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
        }
    }
}

/// While this lives, the thread drives. Whoever waits then has to find another way.
struct Driving<'a>(&'a Waiting);

impl Driving<'_> {
    fn begin<'a>(waiting: &'a Waiting, wakeup: &Arc<Wakeup>) -> Driving<'a> {
        waiting.set_driver(Some(Arc::clone(wakeup)));
        Driving(waiting)
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.set_driver(None);
        self.0.wake_all();
    }
}

struct InPoll(bool);

impl InPoll {
    fn begin() -> InPoll {
        InPoll(IN_POLL.replace(true))
    }
}

impl Drop for InPoll {
    fn drop(&mut self) {
        IN_POLL.set(self.0);
    }
}
