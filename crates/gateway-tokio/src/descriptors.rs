//! How many connections the process's file descriptors allow.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most connections where the operator says nothing.
pub(crate) const CONNECTIONS: usize = 10_000;

/// Raises the soft limit on descriptors, as far as the hard one allows, until 80 % of it suffice
/// for `connections`.
pub(crate) fn raise_limit(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return };
    let wanted = (connections as u64).saturating_mul(5).div_ceil(4);
    let wanted = limit.maximum.map_or(wanted, |maximum| wanted.min(maximum));
    if wanted > current {
        // Without it there are fewer connections at a time; the rest waits in the backlog.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// [`CONNECTIONS`], or 80 % of the descriptors if that is less.
pub(crate) fn default_connections() -> usize {
    share(getrlimit(Resource::Nofile).current)
}

fn share(descriptors: Option<u64>) -> usize {
    let share = descriptors.map_or(u64::MAX, |n| (n / 5).saturating_mul(4));
    usize::try_from(share).unwrap_or(usize::MAX).clamp(1, CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_the_descriptors() {
        assert_eq!(share(Some(1024)), 816);
        assert_eq!(share(Some(1 << 20)), CONNECTIONS);
        assert_eq!(share(None), CONNECTIONS);
        assert_eq!(share(Some(0)), 1);
    }

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile).current;
        raise_limit(1);
        assert_eq!(getrlimit(Resource::Nofile).current, before);
    }
}
