//! A broken rule, and where it is told.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Level, Rule};

/// A rule that was broken once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Violation {
    /// Which rule.
    pub rule: &'static Rule,
    /// The request's method and target.
    pub request: String,
    /// What was seen.
    pub detail: String,
}

impl Violation {
    pub(super) fn new(rule: &'static Rule, request: &str, detail: &str) -> Violation {
        Violation { rule, request: request.to_owned(), detail: detail.to_owned() }
    }

    /// Whether the rule says MUST; a SHOULD may be broken for a good reason.
    pub fn is_binding(&self) -> bool {
        self.rule.level == Level::Must
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { rule, request, detail } = self;
        write!(f, "{rule} At {request}: {detail}. To mend it: {}", rule.mend)
    }
}

/// The violations that a [collecting](crate::Lint::collecting) lint has seen; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Violations(Arc<Mutex<Vec<Violation>>>);

impl Violations {
    /// Takes those that have come so far.
    pub fn take(&self) -> Vec<Violation> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn push(&self, violation: Violation) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(violation);
    }
}
