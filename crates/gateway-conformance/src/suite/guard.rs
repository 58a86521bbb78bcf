//! The lint around the suite's applications.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::Application;

use crate::lint::{Lint, Violations};

/// What the lint found wrong with what the server handed over.
#[derive(Clone, Default)]
pub(super) struct Findings(Arc<Mutex<Vec<Violations>>>);

impl Findings {
    /// The findings so far, if there are any. What is wrong with the suite's applications is wrong
    /// on purpose.
    pub(super) fn take(&self) -> Option<String> {
        let lints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<String> = lints
            .iter()
            .flat_map(Violations::take)
            .filter(|violation| violation.rule.id.starts_with("SRV-"))
            .map(|violation| violation.to_string())
            .collect();
        if found.is_empty() { None } else { Some(found.join("\n")) }
    }
}

/// Wraps an application of the suite.
pub(super) fn guard(app: Box<dyn Application>, findings: &Findings) -> Box<dyn Application> {
    let (linted, violations) = Lint::new(app).collecting();
    findings.0.lock().unwrap_or_else(PoisonError::into_inner).push(violations);
    Box::new(linted)
}
