//! One live connection: what it does, and until when.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Phase;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// Connections whose head, or whose rest after a response, began so recently are neither asked to end
/// nor evicted; in milliseconds.
pub(crate) const SPARED_MILLIS: u64 = 1_000;

/// One live connection, shared by its transport, which notes what it does, and the registry.
///
/// What it does and its deadline are stored separately and without order: who looks at them later
/// may see one of them before the other, and must not mind.
#[derive(Debug)]
pub struct Slot<E> {
    end: E,
    pub(crate) remote: Option<IpAddr>,
    epoch: Instant,
    /// Where the registry keeps it.
    pub(crate) place: AtomicUsize,
    phase: AtomicU8,
    /// In milliseconds since the epoch, as is all that follows.
    deadline: AtomicU64,
    /// When the phase began.
    since: AtomicU64,
    evicted: AtomicBool,
}

impl<E> Slot<E> {
    pub(crate) fn new(
        end: E,
        remote: Option<IpAddr>,
        epoch: Instant,
        place: usize,
        now: Instant,
    ) -> Slot<E> {
        Slot {
            end,
            remote,
            epoch,
            place: AtomicUsize::new(place),
            phase: AtomicU8::new(Phase::Head as u8),
            deadline: AtomicU64::new(NEVER),
            since: AtomicU64::new(millis(epoch, now)),
            evicted: AtomicBool::new(false),
        }
    }

    /// Notes what the connection does from `now` on and when that must be over. Cheap: two stores,
    /// and a third when the phase is another one than before.
    #[inline]
    pub fn note(&self, phase: Phase, deadline: Option<Instant>, now: Instant) {
        self.note_late(phase, deadline, 0, millis(self.epoch, now));
    }

    /// The same for a clock that counts the milliseconds since the registry's epoch, and with
    /// `slack` more of them for the deadline.
    #[inline]
    pub fn note_late(&self, phase: Phase, deadline: Option<Instant>, slack: u64, now: u64) {
        let deadline = match deadline {
            Some(deadline) => millis_up(self.epoch, deadline).saturating_add(slack),
            None => NEVER,
        };
        self.deadline.store(deadline, Ordering::Relaxed);
        if self.phase.load(Ordering::Relaxed) != phase as u8 {
            self.since.store(now, Ordering::Relaxed);
            self.phase.store(phase as u8, Ordering::Relaxed);
        }
    }

    /// What the connection does.
    #[inline]
    pub fn phase(&self) -> Phase {
        const IDLE: u8 = Phase::Idle as u8;
        const HEAD: u8 = Phase::Head as u8;
        const EXCHANGE: u8 = Phase::Exchange as u8;
        const WRITING: u8 = Phase::Writing as u8;
        match self.phase.load(Ordering::Relaxed) {
            IDLE => Phase::Idle,
            HEAD => Phase::Head,
            EXCHANGE => Phase::Exchange,
            WRITING => Phase::Writing,
            _ => Phase::Closing,
        }
    }

    /// Whether its deadline has passed.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.deadline() <= millis(self.epoch, now)
    }

    /// How long it is until its deadline: zero when that has passed, `None` if there is none.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        match self.deadline() {
            NEVER => None,
            deadline => {
                Some(Duration::from_millis(deadline.saturating_sub(millis(self.epoch, now))))
            }
        }
    }

    /// For how long its deadline has passed; zero if it has not, or if there is none.
    pub fn overdue_for(&self, now: Instant) -> Duration {
        Duration::from_millis(millis(self.epoch, now).saturating_sub(self.deadline()))
    }

    /// Whether [`Registry::evictees`](crate::Registry::evictees) has named it.
    pub fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Whether it is not asked to end yet: within the last second it has connected, or the first bytes
    /// of a head have come, or it was answered. Whoever is between connecting and asking while a server
    /// is being replaced, or between two requests like a busy proxy, would otherwise find a connection
    /// that has ended, and cannot know whether its request was carried out.
    pub fn is_spared(&self, now: Instant) -> bool {
        matches!(self.phase(), Phase::Head | Phase::Idle)
            && millis(self.epoch, now).saturating_sub(self.since()) < SPARED_MILLIS
    }

    /// What ends it.
    pub fn end(&self) -> &E {
        &self.end
    }

    pub(crate) fn set_evicted(&self) {
        self.evicted.store(true, Ordering::Relaxed);
    }

    /// In milliseconds since the epoch.
    pub(crate) fn deadline(&self) -> u64 {
        self.deadline.load(Ordering::Relaxed)
    }

    /// When the phase began, in milliseconds since the epoch.
    pub(crate) fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }
}

/// Whole milliseconds from `epoch` to `time`.
#[inline]
pub(crate) fn millis(epoch: Instant, time: Instant) -> u64 {
    let since = time.saturating_duration_since(epoch);
    since.as_secs().saturating_mul(1000).saturating_add(since.subsec_millis().into())
}

/// The same rounded up, so that nothing ends before its time.
#[inline]
fn millis_up(epoch: Instant, time: Instant) -> u64 {
    let since = time.saturating_duration_since(epoch);
    let part = since.subsec_nanos().div_ceil(1_000_000);
    since.as_secs().saturating_mul(1000).saturating_add(part.into())
}
