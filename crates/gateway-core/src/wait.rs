//! Blocking on a poll function: where blocking calls meet poll-based sources.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Polls until ready and parks the thread in between: how a server drives a future in place, where
/// nothing but the future's own wakers can make it ready.
pub fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    thread_local! {
        static SPARE: Cell<Option<Parking>> = const { Cell::new(None) };
    }
    // `poll` may itself wait, or use the thread's park token otherwise. So a wait inside another
    // has a flag of its own, and no wake-up is known by the token alone.
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    let parking = spare.unwrap_or_else(Parking::new);
    let mut cx = Context::from_waker(&parking.waker);
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            // While the thread's locals are torn down there is nowhere to keep it.
            let _ = SPARE.try_with(|spare| spare.set(Some(parking)));
            return value;
        }
        while !parking.flag.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

struct Parking {
    flag: Arc<Flag>,
    waker: Waker,
}

impl Parking {
    fn new() -> Parking {
        let flag = Arc::new(Flag { woken: AtomicBool::new(false), thread: thread::current() });
        let waker = Waker::from(Arc::clone(&flag));
        Parking { flag, waker }
    }
}

struct Flag {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// Wakes what it is sent, on another thread.
    fn waking_thread() -> (Sender<Waker>, thread::JoinHandle<()>) {
        let (send, receive) = channel::<Waker>();
        let thread = thread::spawn(move || receive.iter().for_each(Waker::wake));
        (send, thread)
    }

    fn ready_at_the_second_poll(
        waking: &Sender<Waker>,
    ) -> impl FnMut(&mut Context<'_>) -> Poll<u32> {
        let mut polls = 0;
        move |cx| {
            polls += 1;
            if polls == 1 {
                waking.send(cx.waker().clone()).expect("the thread listens");
                return Poll::Pending;
            }
            Poll::Ready(polls)
        }
    }

    #[test]
    fn waits_for_another_thread() {
        let (waking, thread) = waking_thread();
        assert_eq!(wait(ready_at_the_second_poll(&waking)), 2);
        drop(waking);
        thread.join().expect("the waking thread ends");
    }

    #[test]
    fn a_wake_up_outlasts_the_threads_park_token() {
        let mut polls = 0;
        wait(|cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            // As a lock or a channel would that `poll` waits for.
            thread::park();
            Poll::Pending
        });
    }

    #[test]
    fn a_wait_inside_another_leaves_it_its_wake_up() {
        let (waking, thread) = waking_thread();
        let mut polls = 0;
        wait(|cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            assert_eq!(wait(ready_at_the_second_poll(&waking)), 2);
            Poll::Pending
        });
        drop(waking);
        thread.join().expect("the waking thread ends");
    }

    #[test]
    fn a_foreign_unpark_is_no_wake_up() {
        let (waking, thread) = waking_thread();
        thread::current().unpark();
        assert_eq!(wait(ready_at_the_second_poll(&waking)), 2);
        drop(waking);
        thread.join().expect("the waking thread ends");
    }
}
