//! Where a panic comes from.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use gateway_core::{ApplicationError, Error, panic_message};

/// What the hook has learned of a panic.
#[derive(Debug)]
pub(super) struct Details {
    /// The file, the line and the column.
    pub(super) place: Option<String>,
    pub(super) stack: String,
}

thread_local! {
    /// How many calls of [`watched`] are under way on this thread.
    static WATCHING: Cell<usize> = const { Cell::new(0) };
    static LAST: RefCell<Option<Details>> = const { RefCell::new(None) };
}

/// Puts our hook before the process's own, once.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let former = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if WATCHING.get() > 0 {
                let place = info.location().map(ToString::to_string);
                let stack = Backtrace::force_capture().to_string();
                LAST.set(Some(Details { place, stack }));
            }
            former(info);
        }));
    });
}

/// Runs `f`, which belongs to the application.
///
/// # Errors
///
/// [`ApplicationError::Panicked`] if it panics, and where.
pub(super) fn watched<T>(f: impl FnOnce() -> T) -> Result<T, (Error, Option<Details>)> {
    let watching = Watching::begin();
    // Of a panic that the application has caught itself.
    LAST.take();
    // What `f` leaves behind is not looked at again after a panic.
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    drop(watching);
    outcome.map_err(|panic| {
        let message = panic_message(&*panic).to_owned();
        // A payload may be anything, so its destructor may panic as well.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(panic)));
        (ApplicationError::Panicked { message }.into(), LAST.take())
    })
}

struct Watching;

impl Watching {
    fn begin() -> Watching {
        WATCHING.set(WATCHING.get() + 1);
        Watching
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHING.set(WATCHING.get() - 1);
    }
}
