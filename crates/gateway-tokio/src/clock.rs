//! The time, as it is kept for what may be late: asking the system costs more than a request's
//! notes are worth.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, UNIX_EPOCH};

/// The time of a server. It is asked for before a connection waits for its peer, and by the server
/// whenever it looks at the deadlines; what is noted in between takes the last one.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    /// Whole milliseconds since the epoch.
    millis: AtomicU64,
    /// What to add for the milliseconds since 1970.
    unix: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        let clock = Clock { epoch: now(), millis: AtomicU64::new(0), unix: AtomicU64::new(0) };
        clock.tick();
        clock
    }

    /// No time of this clock is earlier.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Asks for the time.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        let now = now();
        let since = now.saturating_duration_since(self.epoch);
        let millis = since.as_secs().wrapping_mul(1000).wrapping_add(since.subsec_millis().into());
        // Reactors share it, so it is not written more often than it changes. Two threads may store
        // in either order, which makes a few milliseconds.
        if self.millis.load(Relaxed) != millis {
            self.millis.store(millis, Relaxed);
        }
        now
    }

    /// Asks for the time and the date. To be called several times a second while there are
    /// connections.
    pub(crate) fn tick(&self) -> Instant {
        let now = self.now();
        // Before 1970 there is no Date worth sending.
        let unix = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis());
        let unix = u64::try_from(unix).unwrap_or(0).saturating_sub(self.millis());
        self.unix.store(unix, Relaxed);
        now
    }

    /// Whole milliseconds since the epoch, when it was last asked.
    #[inline]
    pub(crate) fn millis(&self) -> u64 {
        self.millis.load(Relaxed)
    }

    /// For the Date field: the system's date when the time was last asked for, as far as nobody has
    /// set it since the last tick.
    #[inline]
    pub(crate) fn unix_seconds(&self) -> u64 {
        (self.unix.load(Relaxed) + self.millis()) / 1000
    }
}

/// The time as Tokio's timers have it, so that a paused clock in a test holds for everything.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn what_is_noted_is_the_time_of_the_last_question() {
        let clock = Clock::new();
        assert_eq!((clock.millis(), clock.now()), (0, clock.epoch()));
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.millis(), 0);
        assert_eq!(clock.now(), clock.epoch() + Duration::from_millis(1_500));
        assert_eq!(clock.millis(), 1_500);
        let date = clock.unix_seconds();
        assert!(date > 1_700_000_000);
        tokio::time::advance(Duration::from_secs(1)).await;
        clock.now();
        assert_eq!(clock.unix_seconds(), date + 1, "without a tick");
    }
}
