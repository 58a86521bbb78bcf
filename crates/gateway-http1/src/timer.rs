//! Deadlines. Nothing here knows the clock: every instant is the caller's.

use std::time::{Duration, Instant};

use crate::Timeouts;

/// Whoever waits acts on a deadline within this time.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// What is waited for from the peer's next bytes, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiting {
    /// For nothing that has one absolute deadline, or for ever.
    Not,
    /// For the first byte of a connection: the head's deadline, but nobody to tell about it.
    FirstByte(Instant),
    /// For the rest of a head.
    Head(Instant),
    /// For the next request.
    KeepAlive(Instant),
    /// For the rest of what is thrown away.
    Drain(Instant),
}

impl Waiting {
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Not => None,
            Self::FirstByte(at) | Self::Head(at) | Self::KeepAlive(at) | Self::Drain(at) => {
                Some(at)
            }
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
    },
    Paused {
        left: Duration,
    },
}

impl Allowance {
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Running { until } => Some(until),
            Self::Unused | Self::Paused { .. } => None,
        }
    }

    /// Waiting begins, or goes on. A deadline that passed a while ago and that nobody acted on was
    /// given up by whoever waited, so waiting begins anew.
    pub(crate) fn run(&mut self, timeouts: &Timeouts, now: Instant) {
        let left = match *self {
            Self::Running { until } if now.saturating_duration_since(until) < GIVEN_UP => return,
            Self::Unused | Self::Running { .. } => timeouts.grace.min(timeouts.stall),
            Self::Paused { left } => left,
        };
        *self = now.checked_add(left).map_or(Self::Unused, |until| Self::Running { until });
    }

    /// The peer is not waited for at present.
    pub(crate) fn pause(&mut self, now: Instant) {
        if let Self::Running { until } = *self {
            *self = Self::Paused { left: until.saturating_duration_since(now) };
        }
    }

    /// The peer moved on by so many bytes.
    pub(crate) fn earn(&mut self, bytes: usize, timeouts: &Timeouts, now: Instant) {
        if bytes == 0 {
            return;
        }
        let earned = match timeouts.min_rate {
            0 => timeouts.stall,
            rate => {
                let nanos = (bytes as u128) * 1_000_000_000 / u128::from(rate);
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        };
        match *self {
            Self::Unused => {}
            Self::Paused { left } => {
                let left = left.saturating_add(earned).min(timeouts.stall);
                *self = Self::Paused { left };
            }
            Self::Running { until } => {
                // Counted from the deadline, also if that is over: bytes that come too late and are
                // seen before the clock is do not save it.
                let until = [until.checked_add(earned), now.checked_add(timeouts.stall)];
                let until = until.into_iter().flatten().min();
                *self = until.map_or(Self::Unused, |until| Self::Running { until });
            }
        }
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
        allowance.earn(240, &timeouts, start + s(2));
        assert_eq!(allowance.deadline(), Some(start + s(6)), "240 bytes earn a second");
        allowance.earn(24, &timeouts, start + s(2));
        assert_eq!(allowance.deadline(), Some(start + Duration::from_millis(6100)));
    }

    #[test]
    fn a_fast_start_earns_no_more_than_a_stall() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.earn(usize::MAX, &timeouts, start + s(1));
        assert_eq!(allowance.deadline(), Some(start + s(21)));
    }

    #[test]
    fn late_bytes_save_nothing() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.earn(240, &timeouts, start + s(7));
        assert_eq!(allowance.deadline(), Some(start + s(6)));
    }

    #[test]
    fn a_pause_costs_nothing() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.pause(start + s(3));
        assert_eq!(allowance.deadline(), None);
        allowance.earn(240, &timeouts, start + s(50));
        allowance.run(&timeouts, start + s(100));
        assert_eq!(allowance.deadline(), Some(start + s(103)));
    }

    #[test]
    fn without_a_rate_only_a_stall_counts() {
        let timeouts = Timeouts { min_rate: 0, ..Timeouts::default() };
        let start = Instant::now();
        let mut allowance = Allowance::default();
        allowance.run(&timeouts, start);
        allowance.earn(0, &timeouts, start + s(4));
        assert_eq!(allowance.deadline(), Some(start + s(5)), "no byte earns nothing");
        allowance.earn(1, &timeouts, start + s(4));
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
