//! What a server may do without.

use std::collections::BTreeSet;
use std::fmt;

/// What a server claims to do. A rule about something that it does not claim is not applicable to
/// it.
///
/// ```
/// use gateway_conformance::{Claims, Feature};
///
/// let claims = Claims::everything().without(Feature::Upgrade).without(Feature::Shutdown);
/// assert!(!claims.has(Feature::Upgrade));
/// assert!(claims.has(Feature::KeepAlive));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims(BTreeSet<Feature>);

/// Something that not every server has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// A clock, and a name to give: Date and Server are filled in.
    OwnFields,
    /// Several requests on one connection.
    KeepAlive,
    /// Several connections, each served while others are.
    Connections,
    /// 101 and another protocol.
    Upgrade,
    /// The news that a peer has gone reaches an application that waits.
    Disconnect,
    /// Chunked responses with trailers, and the trailers of a request.
    Trailers,
    /// 103 Early Hints.
    EarlyHints,
    /// `100 Continue`.
    Continue,
    /// A connection can be ended so that the peer sees that something is missing, although nothing
    /// in the protocol says so: a reset.
    Reset,
    /// Stopping with a grace, and telling how that went.
    Shutdown,
    /// What was said before serving is there to be compared: `Running::info`.
    Info,
    /// The error stream's lines can be seen: `Running::logged`.
    Log,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 12] = [
        Feature::OwnFields,
        Feature::KeepAlive,
        Feature::Connections,
        Feature::Upgrade,
        Feature::Disconnect,
        Feature::Trailers,
        Feature::EarlyHints,
        Feature::Continue,
        Feature::Reset,
        Feature::Shutdown,
        Feature::Info,
        Feature::Log,
    ];
}

impl Claims {
    /// Whatever the suite can check.
    pub fn everything() -> Claims {
        Claims(Feature::ALL.into_iter().collect())
    }

    /// One connection, one request, and the framing of HTTP/1.1.
    pub fn least() -> Claims {
        Claims(BTreeSet::new())
    }

    /// The same with `feature`.
    #[must_use]
    pub fn with(mut self, feature: Feature) -> Claims {
        self.0.insert(feature);
        self
    }

    /// The same without `feature`.
    #[must_use]
    pub fn without(mut self, feature: Feature) -> Claims {
        self.0.remove(&feature);
        self
    }

    /// Whether `feature` is claimed.
    pub fn has(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Feature::OwnFields => "fields of its own",
            Feature::KeepAlive => "keep-alive",
            Feature::Connections => "several connections",
            Feature::Upgrade => "upgrades",
            Feature::Disconnect => "news of a disconnect",
            Feature::Trailers => "trailers",
            Feature::EarlyHints => "early hints",
            Feature::Continue => "100 Continue",
            Feature::Reset => "resets",
            Feature::Shutdown => "a graceful shutdown",
            Feature::Info => "facts before serving",
            Feature::Log => "a log to look into",
        })
    }
}
