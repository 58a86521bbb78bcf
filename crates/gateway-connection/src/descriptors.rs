//! How many connections the process's file descriptors allow.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors are left to others than connections where a fifth of them is less: the
/// listener and what a server waits with take about a dozen, and applications open files.
const OTHERS: u64 = 32;

/// The file descriptors that a server's connections take, each up to so many.
///
/// A server [raises](Descriptors::raise_limit) the process's limit once, before it serves, and asks
/// then how many connections that [allows](Descriptors::connections), for its default of
/// `max_connections`. What the operator has set counts as it is: descriptors may run out then, and
/// who cannot be accepted waits in the backlog.
///
/// ```
/// use gateway_connection::Descriptors;
///
/// let descriptors = Descriptors::each(2);
/// descriptors.raise_limit(512);
/// let max_connections = descriptors.connections().min(512);
/// assert!(max_connections >= 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    each: u64,
}

impl Descriptors {
    /// For connections that have up to `descriptors` at a time, without those of the application; 0
    /// counts as 1.
    pub const fn each(descriptors: u32) -> Descriptors {
        Descriptors { each: if descriptors == 0 { 1 } else { descriptors as u64 } }
    }

    /// Raises the process's soft limit (`RLIMIT_NOFILE`, getrlimit(2)) until `connections` are
    /// allowed, as far as the hard limit goes. It is never lowered. Processes that the application
    /// starts inherit it.
    pub fn raise_limit(self, connections: usize) {
        let limit = getrlimit(Resource::Nofile);
        let Some(current) = limit.current else { return };
        let wanted = self.wanted(connections);
        let wanted = limit.maximum.map_or(wanted, |maximum| wanted.min(maximum));
        if wanted > current {
            // Without it there are fewer connections at a time; the rest waits in the backlog.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
        }
    }

    /// How many connections the soft limit allows as it is now, at least 1. They get four fifths of
    /// the descriptors; but all others get 32, or half of them if that is less.
    pub fn connections(self) -> usize {
        self.allowed(getrlimit(Resource::Nofile).current)
    }

    fn allowed(self, limit: Option<u64>) -> usize {
        let connections = limit
            .map_or(u64::MAX, |limit| (limit - (limit / 5).max(OTHERS.min(limit / 2))) / self.each);
        usize::try_from(connections).unwrap_or(usize::MAX).max(1)
    }

    /// The limit that allows so many.
    fn wanted(self, connections: usize) -> u64 {
        let theirs = (connections as u64).saturating_mul(self.each);
        let others = theirs.div_ceil(4).max(OTHERS.min(theirs));
        theirs.saturating_add(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_the_descriptors_are_for_connections() {
        let allowed = |limit| Descriptors::each(1).allowed(Some(limit));
        assert_eq!(allowed(1000), 800);
        assert_eq!(allowed(160), 128);
        assert_eq!(Descriptors::each(2).allowed(Some(1000)), 400);
        assert_eq!(Descriptors::each(0), Descriptors::each(1));
        assert_eq!(Descriptors::each(1).allowed(None), usize::MAX);
    }

    #[test]
    fn of_few_descriptors_others_get_some_before() {
        let allowed = |limit| Descriptors::each(1).allowed(Some(limit));
        assert_eq!(allowed(128), 96);
        assert_eq!(allowed(64), 32);
        assert_eq!(allowed(20), 10);
        assert_eq!(Descriptors::each(2).allowed(Some(64)), 16);
        assert_eq!(Descriptors::each(2).allowed(Some(3)), 1, "nobody would be served");
        assert_eq!(allowed(0), 1);
    }

    #[test]
    fn what_is_wanted_is_enough_and_hardly_more() {
        for each in [1, 2, 3] {
            let descriptors = Descriptors::each(each);
            for connections in (2..600).chain([10_000, 1 << 20]) {
                let wanted = descriptors.wanted(connections);
                let (enough, less) = (Some(wanted), Some(wanted - 2));
                assert!(descriptors.allowed(enough) >= connections, "{connections} of {each}");
                assert!(descriptors.allowed(less) < connections, "{connections} of {each}");
            }
        }
        assert_eq!(Descriptors::each(2).wanted(usize::MAX), u64::MAX);
    }

    #[test]
    fn the_limit_is_never_lowered() {
        let before = getrlimit(Resource::Nofile).current;
        Descriptors::each(1).raise_limit(1);
        assert_eq!(getrlimit(Resource::Nofile).current, before);
    }
}
