//! What the calling thread is to the server, which decides whether it may block.

use std::cell::Cell;

use tokio::runtime::Handle;

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Elsewhere) };
}

#[derive(Clone, Copy)]
enum Place {
    /// Not one of ours, or between two calls.
    Elsewhere,
    /// A worker, for as long as the thread lives.
    Worker,
    /// Other connections wait for this thread at present.
    Reactor,
}

/// Whether the calling thread may block until a peer acts: a worker, or a thread outside of any
/// runtime. Not while a connection is polled on it, and not on a runtime's other threads.
pub(crate) fn may_block() -> bool {
    match PLACE.get() {
        Place::Worker => true,
        Place::Reactor => false,
        Place::Elsewhere => Handle::try_current().is_err(),
    }
}

/// The calling thread is a worker from now on.
pub(crate) fn become_worker() {
    PLACE.set(Place::Worker);
}

/// Runs `call` while the thread counts as one that may not block. Calls nest, and a panic leaves
/// the thread as it was.
#[inline]
pub(crate) fn on_reactor<R>(call: impl FnOnce() -> R) -> R {
    struct Back(Place);
    impl Drop for Back {
        fn drop(&mut self) {
            PLACE.set(self.0);
        }
    }
    let _back = Back(PLACE.replace(Place::Reactor));
    call()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_plain_thread_may_block_but_not_inside_of_a_call() {
        assert!(may_block());
        on_reactor(|| {
            assert!(!may_block());
            on_reactor(|| assert!(!may_block()));
            assert!(!may_block());
        });
        assert!(may_block());
    }

    #[test]
    fn a_panic_leaves_the_thread_as_it_was() {
        catch_unwind(|| on_reactor(|| panic!("on purpose"))).unwrap_err();
        assert!(may_block());
    }

    #[tokio::test]
    async fn a_runtime_thread_may_not() {
        assert!(!may_block());
        become_worker();
        assert!(may_block(), "a worker is in a runtime's context and may block all the same");
        assert!(!on_reactor(may_block));
    }
}
