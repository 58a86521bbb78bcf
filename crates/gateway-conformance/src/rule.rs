//! What a rule is.

use std::fmt;

/// One rule of the interface.
///
/// A rule is a constant beside the code that checks it. Its id never changes its meaning and is
/// never given to another rule.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Rule {
    /// `APP-07` for what an application does, `SRV-23` for what a server does.
    pub id: &'static str,
    /// How binding it is.
    pub level: Level,
    /// The chapter of the specification that it stands in.
    pub topic: Topic,
    /// One sentence with MUST or SHOULD.
    pub text: &'static str,
    /// The precedent: a section of PEP 3333, a clause of an RFC, a rule of Rack or PSGI, or why
    /// there is none.
    pub source: &'static str,
    /// How to mend what breaks it, in one sentence to whoever wrote the application or the server.
    pub mend: &'static str,
    /// Where it is checked.
    pub check: Check,
}

/// How binding a rule is, as in RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Whoever breaks it does not conform.
    Must,
    /// There may be a good reason to break it; the reason is documented.
    Should,
}

/// Where a rule is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// At the call, by the lint around the application.
    Lint,
    /// Over a byte stream, by the suite.
    Suite,
}

/// The chapters of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Topic {
    /// What a server tells of a request, and of itself.
    Environ,
    /// Paths, their encoding, and mounting.
    Paths,
    /// Beginning a response.
    StartResponse,
    /// What follows the head.
    Body,
    /// The request's body.
    Input,
    /// Errors and the error stream.
    Errors,
    /// The peer's departure, cancellation and the end of an exchange.
    Cancellation,
    /// The connection: order, reuse, framing.
    Connection,
    /// Starting and stopping a server.
    Lifecycle,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.text)
    }
}
