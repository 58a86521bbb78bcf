//! Whether the calling thread is a worker that waits for a peer.
//!
//! Blocking calls of an application poll its connection on the worker's own thread and park when
//! that has to wait. Such a worker does nothing, so the pool may have another one run meanwhile.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::workers::Pool;

thread_local! {
    /// The pool that the thread works for.
    static POOL: RefCell<Option<Arc<Pool>>> = const { RefCell::new(None) };
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread works for `pool` from now on, for as long as it lives.
pub(crate) fn work_for(pool: &Arc<Pool>) {
    POOL.set(Some(Arc::clone(pool)));
}

/// The calling thread probably waits for its peer from now on, if it is a worker.
pub(crate) fn for_the_peer() {
    if WAITS.get() {
        return;
    }
    // While the thread's locals are torn down it runs no job.
    let _ = POOL.try_with(|pool| {
        if let Ok(pool) = pool.try_borrow()
            && let Some(pool) = &*pool
        {
            WAITS.set(true);
            Pool::waits(pool);
        }
    });
}

/// It does not wait any longer.
#[inline]
pub(crate) fn no_more() {
    if WAITS.get() {
        goes_on();
    }
}

#[cold]
fn goes_on() {
    WAITS.set(false);
    let _ = POOL.try_with(|pool| {
        if let Some(pool) = &*pool.borrow() {
            pool.goes_on();
        }
    });
}

/// The same at the end of a job, where the pool counts by itself. Tells whether it waited.
pub(crate) fn end() -> bool {
    WAITS.replace(false)
}
