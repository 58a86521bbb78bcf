//! The live connections of a server: who they are, what they do, and whom to end.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::Phase;
use crate::slot::{SPARED_MILLIS, Slot, millis};

/// All live connections of a server. `E` is what ends one: a socket, or a way to notify a task.
///
/// Nothing here acts on a connection and nothing knows the clock. Its lock is taken when a
/// connection begins and ends and when all are looked through, never by a request.
///
/// ```
/// use std::time::{Duration, Instant};
/// use gateway_connection::{Full, Phase, Registry};
///
/// let start = Instant::now();
/// let registry = Registry::new(1, None, start);
/// let permit = registry.insert("what ends it", None, start)?;
/// permit.note(Phase::Head, Some(start + Duration::from_secs(10)), start);
/// assert_eq!(registry.overdue(start + Duration::from_secs(9)).len(), 0);
/// assert_eq!(*registry.overdue(start + Duration::from_secs(10))[0].end(), "what ends it");
///
/// assert!(matches!(registry.insert("another", None, start), Err(Full::Server)));
/// drop(permit);
/// assert!(registry.has_room());
/// # Ok::<(), Full>(())
/// ```
#[derive(Debug)]
pub struct Registry<E> {
    max: usize,
    max_per_address: Option<usize>,
    epoch: Instant,
    /// The same as the slots' number, to be asked without the lock.
    len: AtomicUsize,
    inner: Mutex<Inner<E>>,
}

#[derive(Debug)]
struct Inner<E> {
    /// In no order. A slot knows its place.
    slots: Vec<Arc<Slot<E>>>,
    /// Only kept when there is a limit on it.
    per_address: HashMap<IpAddr, usize>,
    /// Before this nobody new can be evicted, in milliseconds since the epoch.
    scan_from: u64,
}

/// A connection's place among the live ones, which it has until this is dropped.
#[derive(Debug)]
pub struct Permit<E> {
    slot: Arc<Slot<E>>,
    registry: Arc<Registry<E>>,
}

/// Why a connection gets no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many connections as the server may have are live.
    #[error("the server has as many connections as it may have")]
    Server,
    /// The peer's IP address has as many as one may have.
    #[error("the peer's address has as many connections as it may have")]
    Address,
}

impl<E> Registry<E> {
    /// No connections yet; up to `max` of them, and up to `max_per_address` from one IP address: from
    /// one /64 network with IPv6, all of which is usually one customer's.
    /// `epoch` is not later than any time that is passed in later.
    pub fn new(max: usize, max_per_address: Option<usize>, epoch: Instant) -> Arc<Registry<E>> {
        Arc::new(Registry {
            max,
            max_per_address,
            epoch,
            len: AtomicUsize::new(0),
            inner: Mutex::new(Inner {
                slots: Vec::new(),
                per_address: HashMap::new(),
                scan_from: 0,
            }),
        })
    }

    /// Adds a connection that has just been accepted, in [`Phase::Head`] and without a deadline.
    /// `remote` counts where there is a limit per address.
    ///
    /// # Errors
    ///
    /// [`Full`], and `end` is dropped.
    pub fn insert(
        self: &Arc<Self>,
        end: E,
        remote: Option<IpAddr>,
        now: Instant,
    ) -> Result<Permit<E>, Full> {
        let remote = remote.filter(|_| self.max_per_address.is_some()).map(customer);
        let mut inner = self.lock();
        if inner.slots.len() >= self.max {
            return Err(Full::Server);
        }
        if let (Some(remote), Some(max)) = (remote, self.max_per_address) {
            let count = inner.per_address.entry(remote).or_insert(0);
            if *count >= max {
                return Err(Full::Address);
            }
            *count += 1;
        }
        let slot = Arc::new(Slot::new(end, remote, self.epoch, inner.slots.len(), now));
        inner.slots.push(Arc::clone(&slot));
        self.len.store(inner.slots.len(), Ordering::SeqCst);
        Ok(Permit { slot, registry: Arc::clone(self) })
    }

    /// How many connections are live.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// Whether none is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a further connection may be accepted. At the limit the others wait in the backlog.
    pub fn has_room(&self) -> bool {
        self.len() < self.max
    }

    /// The connections whose deadline has passed.
    pub fn overdue(&self, now: Instant) -> Vec<Arc<Slot<E>>> {
        let now = millis(self.epoch, now);
        self.select(|slot| slot.deadline() <= now)
    }

    /// Whom to end to make room, when another connection comes and 7/8 of the limit are reached:
    /// those idle after a response, longest first, then unfinished heads, oldest first; nobody who
    /// began that within the last second. Each is named once.
    ///
    /// It names as many as are live beyond 7/8, and 1/64 of the limit more, so that a flood does
    /// not have all connections looked through for each newcomer.
    pub fn evictees(&self, now: Instant) -> Vec<Arc<Slot<E>>> {
        let threshold = self.max - self.max / 8;
        if self.len() < threshold {
            return Vec::new();
        }
        let now = millis(self.epoch, now);
        let mut inner = self.lock();
        if now < inner.scan_from {
            return Vec::new();
        }
        let leaving = inner.slots.iter().filter(|slot| slot.is_evicted()).count();
        let excess = (inner.slots.len() - leaving + 1).saturating_sub(threshold);
        if excess == 0 {
            return Vec::new();
        }
        let wanted = excess + self.max / 64;
        let mut candidates: Vec<_> = inner
            .slots
            .iter()
            .filter(|slot| !slot.is_evicted())
            .filter_map(|slot| {
                let idle = match slot.phase() {
                    Phase::Idle => true,
                    Phase::Head => false,
                    _ => return None,
                };
                let age = now.saturating_sub(slot.since());
                (age >= SPARED_MILLIS).then_some((Reverse(idle), Reverse(age), slot))
            })
            .collect();
        if candidates.len() > wanted {
            candidates.select_nth_unstable_by_key(wanted - 1, |(idle, age, _)| (*idle, *age));
            candidates.truncate(wanted);
        }
        let evictees: Vec<_> =
            candidates.into_iter().map(|(_, _, slot)| Arc::clone(slot)).collect();
        for slot in &evictees {
            slot.set_evicted();
        }
        if evictees.len() < wanted {
            inner.scan_from = now + SPARED_MILLIS / 20;
        }
        evictees
    }

    /// The connections that wait for a request or for the rest of its head: the first to be ended
    /// at a shutdown, and again while it lasts, since others come to this and some are
    /// [spared](Slot::is_spared) for a moment.
    pub fn idle_and_heads(&self) -> Vec<Arc<Slot<E>>> {
        self.select(|slot| matches!(slot.phase(), Phase::Idle | Phase::Head))
    }

    /// The connections with an exchange in flight, which a shutdown's deadline cuts.
    pub fn in_exchange(&self) -> usize {
        let busy = |slot: &&Arc<Slot<E>>| matches!(slot.phase(), Phase::Exchange | Phase::Writing);
        self.lock().slots.iter().filter(busy).count()
    }

    /// All live connections.
    pub fn all(&self) -> Vec<Arc<Slot<E>>> {
        self.select(|_| true)
    }

    fn select(&self, wanted: impl Fn(&Slot<E>) -> bool) -> Vec<Arc<Slot<E>>> {
        self.lock().slots.iter().filter(|slot| wanted(slot)).cloned().collect()
    }

    fn remove(&self, slot: &Slot<E>) {
        let mut inner = self.lock();
        let place = slot.place.load(Ordering::Relaxed);
        let removed = inner.slots.swap_remove(place);
        if let Some(moved) = inner.slots.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
        if let Some(remote) = slot.remote
            && let Some(count) = inner.per_address.get_mut(&remote)
        {
            *count -= 1;
            if *count == 0 {
                inner.per_address.remove(&remote);
            }
        }
        self.len.store(inner.slots.len(), Ordering::SeqCst);
        drop(inner);
        // What ends a connection may do something when it is dropped.
        drop(removed);
    }

    /// Nothing under the lock can panic half way, so a poisoned one is sound.
    fn lock(&self) -> MutexGuard<'_, Inner<E>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Permit<E> {
    /// The connection, for its transport, which may outlive the permit.
    pub fn slot(&self) -> &Arc<Slot<E>> {
        &self.slot
    }
}

impl<E> Deref for Permit<E> {
    type Target = Slot<E>;

    fn deref(&self) -> &Slot<E> {
        &self.slot
    }
}

impl<E> Drop for Permit<E> {
    fn drop(&mut self) {
        self.registry.remove(&self.slot);
    }
}

/// What is counted as one: RFC 6177 has /64 as the least that a site is given, so an exact IPv6 address
/// bounds nobody. An IPv4 address is itself, also where an IPv6 socket or a translator shows it (RFC 4291
/// §2.5.5.2, RFC 6052 §2.1), and so is each of those that have the link's prefix alone.
fn customer(address: IpAddr) -> IpAddr {
    let IpAddr::V6(address) = address.to_canonical() else { return address.to_canonical() };
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            IpAddr::from([a, b, c, d])
        }
        _ if address.is_unicast_link_local() => IpAddr::V6(address),
        [a, b, c, d, ..] => IpAddr::from([a, b, c, d, 0, 0, 0, 0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A registry and a clock that only the test moves.
    struct World {
        registry: Arc<Registry<usize>>,
        now: Instant,
        permits: Vec<Permit<usize>>,
    }

    impl World {
        fn new(max: usize) -> World {
            let now = Instant::now();
            World { registry: Registry::new(max, None, now), now, permits: Vec::new() }
        }

        fn pass(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
        }

        /// Connects `count` peers, named by their order.
        fn connect(&mut self, count: usize) {
            for _ in 0..count {
                let name = self.permits.len();
                let permit = self.registry.insert(name, None, self.now).expect("there is room");
                self.permits.push(permit);
            }
        }

        fn note(&self, name: usize, phase: Phase) {
            self.permits[name].note(phase, None, self.now);
        }

        fn evictees(&self) -> Vec<usize> {
            sorted(&self.registry.evictees(self.now))
        }
    }

    fn sorted(slots: &[Arc<Slot<usize>>]) -> Vec<usize> {
        let mut names: Vec<_> = slots.iter().map(|slot| *slot.end()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_permit_gives_its_place_back() {
        let mut world = World::new(3);
        world.connect(3);
        assert_eq!(
            world.registry.insert(9, None, world.now).expect_err("it is full"),
            Full::Server
        );
        drop(world.permits.remove(0));
        assert!(world.registry.has_room());
        world.permits.clear();
        assert!(world.registry.is_empty());
        assert_eq!(world.registry.all().len(), 0);
    }

    #[test]
    fn places_are_kept_when_the_last_takes_the_place_of_another() {
        let mut world = World::new(4);
        world.connect(4);
        for index in [1, 0, 1, 0] {
            world.permits.remove(index);
            let left: Vec<_> = world.permits.iter().map(|permit| *permit.end()).collect();
            assert_eq!(sorted(&world.registry.all()), left);
        }
    }

    #[test]
    fn one_address_has_its_share() {
        let now = Instant::now();
        let registry = Registry::new(8, Some(1), now);
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|ip| Some(IpAddr::from(ip)));
        let permit = registry.insert((), one, now).expect("the first");
        assert_eq!(registry.insert((), one, now).expect_err("the second"), Full::Address);
        let _other = registry.insert((), other, now).expect("another address");
        let _unix = registry.insert((), None, now).expect("no address");
        drop(permit);
        let _again = registry.insert((), one, now).expect("there is none of it any more");
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_a_mapped_address_is_what_it_maps() {
        let now = Instant::now();
        let registry = Registry::new(16, Some(1), now);
        let mut permits = Vec::new();
        let mut connect = |address: &str| {
            let address: IpAddr = address.parse().expect("an address");
            let permit = registry.insert((), Some(address), now);
            let admitted = permit.is_ok();
            permits.extend(permit);
            admitted
        };
        assert!(connect("2001:db8:1:2::1"));
        assert!(!connect("2001:db8:1:2:ffff:ffff:ffff:ffff"), "the same network");
        assert!(connect("2001:db8:1:3::1"), "the next one");
        assert!(connect("::ffff:192.0.2.1"));
        assert!(!connect("192.0.2.1"), "the same address");
        assert!(connect("::ffff:192.0.2.2"), "another one");
        assert!(!connect("64:ff9b::192.0.2.2"), "the same, translated");
        assert!(connect("64:ff9b::192.0.2.3"), "another one");
        assert!(connect("fe80::1") && connect("fe80::2"), "two on the link");
        assert!(!connect("fe80::2"));
        permits.clear();
        assert!(registry.lock().per_address.is_empty());
    }

    #[test]
    fn a_deadline_passes_not_before_its_time() {
        let mut world = World::new(2);
        world.connect(2);
        let deadline = world.now + Duration::from_micros(10_500);
        world.permits[0].note(Phase::Head, Some(deadline), world.now);
        world.pass(10);
        assert_eq!(world.registry.overdue(world.now).len(), 0);
        world.pass(1);
        assert_eq!(sorted(&world.registry.overdue(world.now)), [0]);
        world.pass(500);
        assert!(world.permits[0].overdue_for(world.now) >= Duration::from_millis(500));
        assert_eq!(world.permits[1].overdue_for(world.now), Duration::ZERO);
        world.permits[0].note(Phase::Exchange, None, world.now);
        assert_eq!(world.registry.overdue(world.now).len(), 0);
    }

    #[test]
    fn nobody_is_evicted_below_seven_eighths() {
        let mut world = World::new(16);
        world.connect(13);
        world.pass(5_000);
        assert_eq!(world.evictees(), []);
        world.connect(1);
        assert_eq!(world.evictees(), [0]);
    }

    #[test]
    fn the_idle_go_first_and_the_longest_idle_first_of_all() {
        let mut world = World::new(8);
        world.connect(7);
        world.note(0, Phase::Exchange);
        world.pass(10);
        world.note(3, Phase::Idle);
        world.pass(10);
        world.note(2, Phase::Idle);
        world.pass(2_000);
        assert_eq!(world.evictees(), [3]);
        // It has not gone yet, and is not named again; without it there is room.
        assert_eq!(world.evictees(), []);
        world.connect(1);
        assert_eq!(world.evictees(), [2]);
    }

    #[test]
    fn then_the_oldest_heads_go_and_no_exchange() {
        let mut world = World::new(8);
        world.connect(4);
        world.pass(100);
        world.connect(4);
        world.note(0, Phase::Exchange);
        world.note(1, Phase::Writing);
        world.note(2, Phase::Closing);
        world.note(7, Phase::Idle);
        world.pass(1_500);
        assert_eq!(world.evictees(), [3, 7]);
    }

    #[test]
    fn the_newest_second_is_spared() {
        let mut world = World::new(8);
        world.connect(8);
        world.note(0, Phase::Idle);
        world.pass(999);
        assert_eq!(world.evictees(), []);
        world.pass(1);
        assert_eq!(world.evictees(), [], "that nobody could go is remembered for a moment");
        world.pass(50);
        assert_eq!(world.evictees().len(), 2);
    }

    #[test]
    fn who_has_connected_or_was_answered_is_spared_for_a_second() {
        let mut world = World::new(8);
        world.connect(2);
        world.note(1, Phase::Exchange);
        world.pass(500);
        assert!(!world.permits[1].is_spared(world.now), "an exchange is waited for anyway");
        world.note(1, Phase::Idle);
        world.pass(499);
        assert!(world.permits[0].is_spared(world.now));
        world.pass(1);
        assert!(!world.permits[0].is_spared(world.now));
        world.pass(499);
        assert!(world.permits[1].is_spared(world.now));
        world.pass(1);
        assert!(!world.permits[1].is_spared(world.now));
        world.note(1, Phase::Head);
        assert!(world.permits[1].is_spared(world.now));
    }

    #[test]
    fn some_more_go_at_once_from_a_large_server() {
        let mut world = World::new(512);
        world.connect(448);
        world.pass(2_000);
        let evictees = world.registry.evictees(world.now);
        assert_eq!(evictees.len(), 1 + 8);
        assert!(evictees.iter().all(|slot| slot.is_evicted()));
    }

    #[test]
    fn a_shutdown_finds_the_idle_and_the_busy() {
        let mut world = World::new(8);
        world.connect(5);
        for (name, phase) in
            [Phase::Idle, Phase::Head, Phase::Exchange, Phase::Writing, Phase::Closing]
                .into_iter()
                .enumerate()
        {
            world.note(name, phase);
            assert_eq!(world.permits[name].phase(), phase);
        }
        assert_eq!(sorted(&world.registry.idle_and_heads()), [0, 1]);
        assert_eq!(world.registry.in_exchange(), 2);
    }
}
