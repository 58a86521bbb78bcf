//! What the server tells a connection, and whom it wakes to say so.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The connection should end: at once where it waits for a further request, in a moment where it
/// waits for its first, else after the response.
pub(crate) const END: u8 = 1;
/// Its deadline seems to have passed.
pub(crate) const DUE: u8 = 2;
/// The server's patience is over: nothing waits any more.
pub(crate) const CUT: u8 = 4;
/// The socket has been closed.
pub(crate) const CLOSED: u8 = 8;

/// Who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Party {
    /// For the peer's bytes.
    Reader,
    /// For room to write.
    Writer,
    /// For the application.
    Driver,
}

/// One connection's flags and wakers.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    flags: AtomicU8,
    wakers: Mutex<[Option<Waker>; 3]>,
}

impl Signals {
    /// Which flags are up.
    #[inline]
    pub(crate) fn flags(&self) -> u8 {
        self.flags.load(Ordering::Acquire)
    }

    /// Puts up `flag` and wakes whoever waits.
    pub(crate) fn raise(&self, flag: u8) {
        self.flags.fetch_or(flag, Ordering::AcqRel);
        // A waker may run code of an application: not under the lock.
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Takes `flag` down again.
    pub(crate) fn lower(&self, flag: u8) {
        self.flags.fetch_and(!flag, Ordering::AcqRel);
    }

    /// Keeps `waker` for the next flag, and then tells which are up: none is missed.
    #[inline]
    pub(crate) fn wait(&self, party: Party, waker: &Waker) -> u8 {
        let mut wakers = self.wakers();
        match &mut wakers[party as usize] {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        drop(wakers);
        self.flags()
    }

    fn wakers(&self) -> MutexGuard<'_, [Option<Waker>; 3]> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
