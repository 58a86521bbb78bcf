//! The time, published for all threads of a server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time as of the last [`refresh`](Clock::refresh), by one load. It never runs ahead.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    /// Whole milliseconds since the epoch.
    millis: AtomicU64,
    unix_seconds: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        let clock = Clock {
            epoch: Instant::now(),
            millis: AtomicU64::new(0),
            unix_seconds: AtomicU64::new(0),
        };
        clock.refresh();
        clock
    }

    /// No time of this clock is earlier.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Asks the system for the time and publishes it.
    pub(crate) fn refresh(&self) -> Instant {
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Several threads may refresh; the time must not go back.
        self.millis.fetch_max(now, Ordering::Relaxed);
        // Before 1970 there is no Date worth sending.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        self.unix_seconds.store(unix, Ordering::Relaxed);
        self.now()
    }

    #[inline]
    pub(crate) fn now(&self) -> Instant {
        self.epoch + Duration::from_millis(self.millis())
    }

    /// Whole milliseconds since the epoch.
    #[inline]
    pub(crate) fn millis(&self) -> u64 {
        self.millis.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.unix_seconds.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lags_and_never_runs_ahead() {
        let clock = Clock::new();
        let before = clock.now();
        assert!(before <= Instant::now());
        assert_eq!(clock.now(), before, "it stands until it is refreshed");
        assert!(clock.refresh() >= before);
        assert!(clock.now() <= Instant::now());
        assert!(clock.unix_seconds() > 1_700_000_000);
    }
}
