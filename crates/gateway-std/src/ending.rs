//! How connections are ended from outside their threads.
//!
//! Threads end their connections by themselves: every wait has a timeout, and after a tick at most
//! a thread that waits for a request looks whether it still should. What is here is for when that
//! is too late.

use std::time::{Duration, Instant};

use gateway_connection::{Phase, Registry, Slot};

use crate::socket::Socket;

/// A connection that did not end in time by itself is ended so much later.
const OVERDUE: Duration = Duration::from_secs(1);

/// Ends those that should have ended by themselves.
pub(crate) fn end_overdue(registry: &Registry<Socket>, now: Instant) {
    for slot in registry.overdue(now) {
        if slot.overdue_for(now) >= OVERDUE && is_waiting(&slot) {
            end_for_good(&slot);
        }
    }
}

/// At the shutdown's deadline: tells everybody who can end in good order that it is time.
pub(crate) fn end_waiting(slot: &Slot<Socket>) {
    match slot.phase() {
        // No FIN yet: an unfinished head is still answered.
        Phase::Idle | Phase::Head | Phase::Closing => slot.end().end_reading(),
        // The rest of a body may just be coming.
        Phase::Exchange | Phase::Writing => {}
    }
    slot.end().cut();
}

/// Ends a connection whatever its thread does. Half a response must not look like a whole one: with
/// HTTP/1.0 a plain end would.
pub(crate) fn end_for_good(slot: &Slot<Socket>) {
    match slot.phase() {
        Phase::Exchange | Phase::Writing => slot.end().reset(),
        Phase::Idle | Phase::Head | Phase::Closing => slot.end().end(),
    }
}

/// Whether the deadline is still somebody's. While an application works, it may be the one of a
/// read that was abandoned, or of a write that is over.
fn is_waiting(slot: &Slot<Socket>) -> bool {
    match slot.phase() {
        Phase::Idle | Phase::Head | Phase::Closing => true,
        Phase::Exchange | Phase::Writing => slot.end().waiting.is_anybody_waiting(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{self, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    use gateway_connection::Permit;

    /// A connection whose time the test makes.
    struct World {
        registry: Arc<Registry<Socket>>,
        permit: Permit<Socket>,
        peer: TcpStream,
        now: Instant,
    }

    impl World {
        fn new() -> World {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("bound");
            let peer = TcpStream::connect(address).expect("it listens");
            peer.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
            let (ours, _) = listener.accept().expect("it has connected");
            let now = Instant::now();
            let registry = Registry::new(1, None, now);
            let socket = Socket::new(ours.into(), true);
            let permit = registry.insert(socket, None, now).expect("there is room");
            World { registry, permit, peer, now }
        }

        /// A long time after the deadline of `phase`.
        fn overdue(phase: Phase) -> World {
            let mut world = World::new();
            world.permit.note(phase, Some(world.now + Duration::from_secs(5)), world.now);
            world.now += Duration::from_secs(100);
            world
        }

        fn is_ended(&self) -> bool {
            self.permit.end().is_gone()
        }

        fn read(&mut self) -> io::Result<usize> {
            self.peer.read(&mut [0; 1])
        }
    }

    #[test]
    fn who_works_on_is_not_overdue() {
        for phase in [Phase::Exchange, Phase::Writing] {
            let world = World::overdue(phase);
            end_overdue(&world.registry, world.now);
            assert!(!world.is_ended(), "{phase:?}");
        }
    }

    #[test]
    fn who_waits_for_the_peer_is_overdue_and_cut() {
        for phase in [Phase::Exchange, Phase::Writing] {
            let mut world = World::overdue(phase);
            let waits = world.permit.end().waiting.begin();
            end_overdue(&world.registry, world.now);
            drop(waits);
            let error = world.read().expect_err("a reset");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{phase:?}");
        }
    }

    #[test]
    fn who_waits_for_a_request_or_an_end_is_ended_plainly() {
        for phase in [Phase::Idle, Phase::Head, Phase::Closing] {
            let mut world = World::overdue(phase);
            end_overdue(&world.registry, world.now);
            assert_eq!(world.read().expect("a clean end"), 0, "{phase:?}");
        }
    }

    #[test]
    fn nobody_is_ended_before_a_second_has_passed() {
        let mut world = World::new();
        world.permit.note(Phase::Idle, Some(world.now + Duration::from_secs(5)), world.now);
        world.now += Duration::from_millis(5_999);
        end_overdue(&world.registry, world.now);
        assert!(!world.is_ended());
        world.now += Duration::from_millis(1);
        end_overdue(&world.registry, world.now);
        assert!(world.is_ended());
    }

    #[test]
    fn an_end_in_good_order_is_not_spoilt_later() {
        let mut world = World::new();
        world.permit.note(Phase::Exchange, None, world.now);
        (&world.peer).write_all(b"unread").expect("it is open");
        world.permit.end().end();
        end_for_good(&world.permit);
        assert_eq!(world.read().expect("a clean end"), 0);
    }
}
