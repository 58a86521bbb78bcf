//! Deadlines. Nothing here knows the clock: every instant is the caller's.

use std::time::{Duration, Instant};

use crate::Timeouts;

/// Whoever waits acts on a deadline within this time.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// What is waited for from the peer's next bytes, if that has one absolute deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// For nothing that has, or for ever.
    Not,
    /// Its time begins with the next question for the deadline.
    New(For),
    Until(For, Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The first byte of a connection: in the head's time, but nobody to tell about it.
    FirstByte,
    /// The rest of a head.
    Head,
    /// The next request.
    KeepAlive,
    /// The rest of what is thrown away.
    Drain,
}

impl Waiting {
    /// Lets a time begin that has not.
    #[inline]
    pub(crate) fn settle(&mut self, timeouts: &Timeouts, now: Instant) {
        let Self::New(what) = *self else { return };
        let time = match what {
            For::FirstByte | For::Head => timeouts.head,
            For::KeepAlive => timeouts.keep_alive,
            For::Drain => timeouts.drain,
        };
        *self = now.checked_add(time).map_or(Self::Not, |at| Self::Until(what, at));
    }

    #[inline]
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Not | Self::New(_) => None,
            Self::Until(_, at) => Some(at),
        }
    }
}

/// How long one direction may still take: starts with `grace`, grows with every byte, shrinks with
/// the time that is waited, never more than `stall`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Allowance {
    /// Not begun.
    #[default]
    Unused,
    Running {
        until: Instant,
        /// Bytes that are not reckoned with yet.
        earned: usize,
    },
    Paused {
        left: Duration,
        earned: usize,
    },
}

impl Allowance {
    #[inline]
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Running { until, .. } => Some(until),
            Self::Unused | Self::Paused { .. } => None,
        }
    }

    /// Waiting begins, or goes on. A deadline that passed a while ago and that nobody acted on was
    /// given up by whoever waited, so waiting begins anew.
    pub(crate) fn run(&mut self, timeouts: &Timeouts, now: Instant) {
        self.settle(timeouts, now);
        let left = match *self {
            Self::Running { until, .. } if now.saturating_duration_since(until) < GIVEN_UP => {
                return;
            }
            Self::Unused | Self::Running { .. } => timeouts.grace.min(timeouts.stall),
            Self::Paused { left, .. } => left,
        };
        *self = Self::until(now.checked_add(left));
    }

    /// The peer is not waited for at present.
    pub(crate) fn pause(&mut self, timeouts: &Timeouts, now: Instant) {
        self.settle(timeouts, now);
        if let Self::Running { until, .. } = *self {
            *self = Self::Paused { left: until.saturating_duration_since(now), earned: 0 };
        }
    }

    /// The peer moved on by so many bytes.
    #[inline]
    pub(crate) fn earn(&mut self, bytes: usize) {
        match self {
            Self::Unused => {}
            Self::Running { earned, .. } | Self::Paused { earned, .. } => {
                *earned = earned.saturating_add(bytes);
            }
        }
    }

    /// Reckons with the bytes that the peer has moved on by.
    pub(crate) fn settle(&mut self, timeouts: &Timeouts, now: Instant) {
        let (Self::Running { earned: bytes @ 1.., .. } | Self::Paused { earned: bytes @ 1.., .. }) =
            *self
        else {
            return;
        };
        let earned = match timeouts.min_rate {
            0 => timeouts.stall,
            rate => {
                let nanos = (bytes as u128) * 1_000_000_000 / u128::from(rate);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        };
        match *self {
            Self::Unused => {}
            Self::Paused { left, .. } => {
                let left = left.saturating_add(earned).min(timeouts.stall);
                *self = Self::Paused { left, earned: 0 };
            }
            Self::Running { until, .. } => {
                // Counted from the deadline, also if that is over: bytes that come too late and are
                // seen before the clock is do not save it.
                let until = [until.checked_add(earned), now.checked_add(timeouts.stall)];
                *self = Self::until(until.into_iter().flatten().min());
            }
        }
    }

    fn until(deadline: Option<Instant>) -> Self {
        deadline.map_or(Self::Unused, |until| Self::Running { until, earned: 0 })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one base instant; time is counted from it")]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn grace_then_the_rate() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut allowance = Allowance::default();
        assert_eq!(allowance.deadline(), None);
        allowance.run(&timeouts, start);
        assert_eq!(allowance.deadline(), Some(start + s(5)));
        allowance.run(&timeouts, start + s(1));
        assert_eq!(allowance.deadline(), Some(start + s(5)), "asking again renews nothing");
        allowance.earn(240);
        allowance.settle(&timeouts, start + s(2));
        assert_eq!(allowance.deadline(), Some(start + s(6)), "240 bytes earn a second");
        allowance.earn(24);
        allowance.settle(&timeouts, start + s(2));
        assert_eq!(allowance.deadline(), Some(start + Duration::from_millis(6100)));
    }

    #[test]
    fn a_fast_start_earns_no_more_than_a_stall() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.earn(usize::MAX);
        allowance.settle(&timeouts, start + s(1));
        assert_eq!(allowance.deadline(), Some(start + s(21)));
    }

    #[test]
    fn late_bytes_save_nothing() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.earn(240);
        allowance.settle(&timeouts, start + s(7));
        assert_eq!(allowance.deadline(), Some(start + s(6)));
    }

    #[test]
    fn a_pause_costs_nothing() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.pause(&timeouts, start + s(3));
        assert_eq!(allowance.deadline(), None);
        allowance.earn(240);
        allowance.settle(&timeouts, start + s(50));
        allowance.run(&timeouts, start + s(100));
        assert_eq!(allowance.deadline(), Some(start + s(103)));
    }

    #[test]
    fn without_a_rate_only_a_stall_counts() {
        let timeouts = Timeouts { min_rate: 0, ..Timeouts::default() };
        let start = Instant::now();
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.earn(0);
        allowance.settle(&timeouts, start + s(4));
        assert_eq!(allowance.deadline(), Some(start + s(5)), "no byte earns nothing");
        allowance.earn(1);
        allowance.settle(&timeouts, start + s(4));
        assert_eq!(allowance.deadline(), Some(start + s(24)));
    }

    #[test]
    fn a_wait_that_was_given_up_is_not_held_against_the_peer() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.run(&timeouts, start + s(6));
        assert_eq!(allowance.deadline(), Some(start + s(5)), "it is overdue");
        allowance.run(&timeouts, start + s(60));
        assert_eq!(allowance.deadline(), Some(start + s(65)));
    }

    #[test]
    fn endless_times_are_no_deadline() {
        let timeouts =
            Timeouts { grace: Duration::MAX, stall: Duration::MAX, ..Timeouts::default() };
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, Instant::now());
        assert_eq!(allowance.deadline(), None);
    }
}
