//! What a peer may send and how long it may take: [`Limits`], [`Timeouts`], both in a [`Config`].

use std::time::Duration;

/// The bounds of one connection, shared by all connections of a server.
///
/// Check it once with [`Config::validate`] when the server is built, then hand it to every
/// [`Connection`](crate::Connection) in an [`Arc`](std::sync::Arc).
///
/// ```
/// use gateway_http1::Config;
///
/// let mut config = Config::default();
/// config.timeouts.keep_alive = std::time::Duration::from_secs(5);
/// config.validate()?;
///
/// config.limits.head = 100_000;
/// let error = config.validate().unwrap_err();
/// assert_eq!(error.name, "limits.head");
/// # Ok::<(), gateway_http1::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Bounds on sizes and counts.
    pub limits: Limits,
    /// Bounds on time.
    pub timeouts: Timeouts,
}

/// Bounds on what a peer may send, in bytes where nothing else is said.
///
/// The bound on a whole request body is not here: it may differ by route, so it belongs to the
/// application's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The method alone. Longer: 501 (RFC 9112 section 3). Default 64.
    pub method: usize,
    /// The request line without its CRLF. Longer: 414. Default 8 KiB; RFC 9112 section 3 wants at
    /// least 8,000.
    pub request_line: usize,
    /// The whole head, from the method to the empty line. Longer: 431. Default 32 KiB, at most
    /// 65,535, since positions in a head are 16 bits wide.
    pub head: usize,
    /// The number of header fields, those in trailers included. More: 431. Default 100.
    pub headers: usize,
    /// The trailer section with its final empty line. Longer: 431. Default 8 KiB, at most 65,535.
    pub trailers: usize,
    /// A chunk's line, from its size to before its CRLF. Longer: 400. Default 4 KiB.
    pub chunk_line: usize,
    /// The chunk extensions of one body together. More: 400. Default 16 KiB.
    pub chunk_extensions: usize,
    /// Bytes received but not yet taken by [`next_event`](crate::Connection::next_event), at which
    /// [`wants_read`](crate::Connection::wants_read) turns false, for a driver that reads ahead. One
    /// that reads only when nothing is left to take never gets there. Default 64 KiB, and no less than
    /// `head`, `trailers` and `chunk_line`, or a request could never be completed.
    pub read_ahead: usize,
    /// Requests answered on one connection before it is closed. Default 10,000: enough for any
    /// client that pipelines thousands at once, and still a bound on what one connection holds on to.
    pub requests_per_connection: u32,
    /// What is left of a request's body after its response may be this long and the connection is
    /// still kept: it is read and thrown away. More: the connection is closed. Default 64 KiB.
    pub unread: u64,
    /// Bytes read and thrown away after our FIN, so that the peer gets our last answer instead of a
    /// reset. Default 256 KiB.
    pub drain: u64,
}

/// Bounds on time. All are measured by the instants the caller passes in; nothing here knows the
/// clock.
///
/// `min_rate`, `grace` and `stall` make one allowance for each direction: it starts with `grace`,
/// every byte adds `1 / min_rate` seconds to it, it is never more than `stall`, and it runs only
/// while we wait for the peer (see [`body_wanted`](crate::Connection::body_wanted) and
/// [`sent`](crate::Connection::sent)). So a fast start cannot buy an hour of one byte a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a head (for the first one: from the connection's begin) to its last;
    /// absolute, no byte renews it. Default 10 s. Over it: 408.
    pub head: Duration,
    /// From the end of a response to the first byte of the next head; an empty line does not count
    /// as one. Default 75 s. Over it the connection is closed without a word.
    pub keep_alive: Duration,
    /// Bytes per second that a request body must come with, and a response be taken with. 0: no
    /// such minimum, `stall` only. Default 240.
    pub min_rate: u32,
    /// The allowance at the begin of a body or of a write. Default 5 s.
    pub grace: Duration,
    /// The longest time without any progress in a body or a write. Default 20 s.
    pub stall: Duration,
    /// For what is left of a request body after its response, and for what comes after our FIN.
    /// Default 2 s.
    pub drain: Duration,
}

/// A value in a [`Config`] that cannot work: which, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}: {reason}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The value's path, such as `limits.head`.
    pub name: &'static str,
    /// The value that was refused.
    pub value: u64,
    /// Why, and what would do.
    pub reason: &'static str,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            method: 64,
            request_line: 8 * 1024,
            head: 32 * 1024,
            headers: 100,
            trailers: 8 * 1024,
            chunk_line: 4 * 1024,
            chunk_extensions: 16 * 1024,
            read_ahead: 64 * 1024,
            requests_per_connection: 10_000,
            unread: 64 * 1024,
            drain: 256 * 1024,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            min_rate: 240,
            grace: Duration::from_secs(5),
            stall: Duration::from_secs(20),
            drain: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// Checks every value and the relations between them. To be called once, when a server is
    /// built; [`Connection::new`](crate::Connection::new) relies on it.
    ///
    /// # Errors
    ///
    /// The first value that is zero where zero would refuse everything, larger than positions can
    /// express, or smaller than another one that it has to cover.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let sizes = [
            ("limits.method", limits.method as u64),
            ("limits.request_line", limits.request_line as u64),
            ("limits.head", limits.head as u64),
            ("limits.headers", limits.headers as u64),
            ("limits.trailers", limits.trailers as u64),
            ("limits.chunk_line", limits.chunk_line as u64),
            ("limits.chunk_extensions", limits.chunk_extensions as u64),
            ("limits.read_ahead", limits.read_ahead as u64),
            ("limits.requests_per_connection", u64::from(limits.requests_per_connection)),
            ("limits.unread", limits.unread),
            ("limits.drain", limits.drain),
        ];
        refuse(sizes, |value| value == 0, "zero would refuse every request")?;
        let [_, _, head, _, trailers, chunk_line, _, read_ahead, ..] = sizes;
        let wide = |value| value > u64::from(u16::MAX);
        refuse([head, trailers], wide, "positions are 16 bits wide, so at most 65535")?;
        let uncovered = |value| value > read_ahead.1;
        refuse([head, trailers, chunk_line], uncovered, "limits.read_ahead must be no less")?;

        let timeouts = &self.timeouts;
        let times = [
            ("timeouts.head", timeouts.head),
            ("timeouts.keep_alive", timeouts.keep_alive),
            ("timeouts.grace", timeouts.grace),
            ("timeouts.stall", timeouts.stall),
            ("timeouts.drain", timeouts.drain),
        ]
        .map(|(name, time)| (name, u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
        refuse(times, |value| value == 0, "less than a millisecond would end every connection")
    }
}

fn refuse<const N: usize>(
    values: [(&'static str, u64); N],
    bad: impl Fn(u64) -> bool,
    reason: &'static str,
) -> Result<(), ConfigError> {
    match values.into_iter().find(|(_, value)| bad(*value)) {
        Some((name, value)) => Err(ConfigError { name, value, reason }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks one value of the defaults and tells which value was refused.
    fn refused(change: impl FnOnce(&mut Config)) -> Option<&'static str> {
        let mut config = Config::default();
        change(&mut config);
        config.validate().err().map(|error| error.name)
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(refused(|_| ()), None);
    }

    #[test]
    fn zero_is_refused_by_name() {
        assert_eq!(refused(|c| c.limits.headers = 0), Some("limits.headers"));
        assert_eq!(refused(|c| c.limits.method = 0), Some("limits.method"));
        assert_eq!(refused(|c| c.limits.unread = 0), Some("limits.unread"));
        assert_eq!(refused(|c| c.timeouts.stall = Duration::ZERO), Some("timeouts.stall"));
        assert_eq!(refused(|c| c.timeouts.min_rate = 0), None);
    }

    #[test]
    fn positions_bound_the_sections() {
        let wide = |c: &mut Config| c.limits.read_ahead = 1 << 20;
        assert_eq!(refused(|c| (wide(c), c.limits.head = 65_535).1), None);
        assert_eq!(refused(|c| (wide(c), c.limits.head = 65_536).1), Some("limits.head"));
        assert_eq!(refused(|c| (wide(c), c.limits.trailers = 65_536).1), Some("limits.trailers"));
    }

    #[test]
    fn read_ahead_covers_what_must_be_whole() {
        assert_eq!(refused(|c| c.limits.read_ahead = 32 * 1024), None);
        assert_eq!(refused(|c| c.limits.read_ahead = 32 * 1024 - 1), Some("limits.head"));
        assert_eq!(refused(|c| c.limits.chunk_line = 65 * 1024), Some("limits.chunk_line"));
    }
}
