//! What the threads of one server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gateway_core::{Control, ServerError};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::clock::Clock;

/// The server's time, its stop, and what wakes the thread that accepts.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// How long the clock stands at most, and how often deadlines are looked at, and whether a
    /// connection that waits for a request should end, in milliseconds. Never 0.
    tick: AtomicU64,
    draining: AtomicBool,
    /// When a shutdown cuts what is left, in milliseconds since the clock's epoch.
    stop_at: AtomicU64,
    /// The acceptor waits for a connection to end.
    crowded: AtomicBool,
    /// Somebody waits to hear that a peer has gone, on a connection whose thread does not look.
    pub(crate) gone_awaited: AtomicBool,
    kick: OwnedFd,
}

impl Shared {
    /// # Errors
    ///
    /// [`ServerError::Io`] if no eventfd can be had.
    pub(crate) fn new() -> Result<Arc<Shared>, ServerError> {
        let kick = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| ServerError::Io { action: "make an eventfd", source: error.into() })?;
        Ok(Arc::new(Shared {
            clock: Clock::new(),
            tick: AtomicU64::new(10),
            draining: AtomicBool::new(false),
            stop_at: AtomicU64::new(u64::MAX),
            crowded: AtomicBool::new(false),
            gone_awaited: AtomicBool::new(false),
            kick,
        }))
    }

    pub(crate) fn tick(&self) -> Duration {
        Duration::from_millis(self.tick_millis())
    }

    #[inline]
    pub(crate) fn tick_millis(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tick(&self, tick: Duration) {
        self.tick.store(u64::try_from(tick.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Wakes the acceptor.
    pub(crate) fn kick(&self) {
        // It fails only when the counter is full, and then the acceptor is woken anyway.
        let _ = rustix::io::write(&self.kick, &1u64.to_ne_bytes());
    }

    /// Becomes readable by [`kick`](Shared::kick).
    pub(crate) fn kicked(&self) -> BorrowedFd<'_> {
        self.kick.as_fd()
    }

    /// Forgets the kicks so far.
    pub(crate) fn take_kicks(&self) {
        let _ = rustix::io::read(&self.kick, &mut [0; 8]);
    }

    /// Asks for a kick when the next connection ends.
    pub(crate) fn set_crowded(&self, crowded: bool) {
        self.crowded.store(crowded, Ordering::SeqCst);
    }

    /// To be called after a connection has given its place back.
    pub(crate) fn connection_ended(&self) {
        if self.crowded.load(Ordering::SeqCst) || self.draining.load(Ordering::SeqCst) {
            self.kick();
        }
    }

    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// How long requests in flight still have; `None` while no shutdown was asked for.
    pub(crate) fn grace_left(&self) -> Option<Duration> {
        if !self.draining.load(Ordering::SeqCst) {
            return None;
        }
        let stop_at = Duration::from_millis(self.stop_at.load(Ordering::SeqCst));
        Some(stop_at.saturating_sub(self.clock.epoch().elapsed()))
    }
}

impl Control for Shared {
    fn shutdown(&self, grace: Duration) {
        let stop_at = self.clock.epoch().elapsed().saturating_add(grace);
        let stop_at = u64::try_from(stop_at.as_millis()).unwrap_or(u64::MAX);
        self.stop_at.fetch_min(stop_at, Ordering::SeqCst);
        self.draining.store(true, Ordering::SeqCst);
        self.kick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_shutdown_only_shortens() {
        let shared = Shared::new().expect("an eventfd");
        assert_eq!(shared.grace_left(), None);
        shared.shutdown(Duration::from_secs(1000));
        shared.shutdown(Duration::from_secs(100_000));
        assert!(shared.grace_left().is_some_and(|left| left <= Duration::from_secs(1000)));
        shared.shutdown(Duration::ZERO);
        assert_eq!(shared.grace_left(), Some(Duration::ZERO));
        shared.shutdown(Duration::MAX);
        assert_eq!(shared.grace_left(), Some(Duration::ZERO));
    }
}
