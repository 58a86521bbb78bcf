//! What the lint knows of one exchange.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use gateway_core::http::Method;
use gateway_core::{Environ, ErrorStream, Head};

use super::{Violation, Violations};
use crate::{Level, Rule};

/// What happens to a violation.
#[derive(Debug, Clone)]
pub(super) enum Outlet {
    Panics,
    Logs,
    Collects(Violations),
}

/// One exchange: the request as far as rules ask for it, and what has happened.
///
/// Hooks keep it, and it keeps no exchange: otherwise an exchange whose hooks never run would keep
/// itself alive.
pub(super) struct Record {
    outlet: Outlet,
    errors: ErrorStream,
    request: String,
    pub(super) method: Method,
    /// The protocols that the request offers to go on in.
    pub(super) upgrade: Option<String>,
    facts: Mutex<Facts>,
}

/// What has happened.
#[derive(Debug, Default)]
pub(super) struct Facts {
    told: Vec<&'static str>,
    /// The application has begun to answer by other means than an error.
    pub(super) answered: bool,
    /// Its answer has content, as far as is known before it is pulled.
    pub(super) has_content: bool,
    /// The Content-Length that the application declared.
    pub(super) declared: Option<u64>,
    /// What `write` has sent.
    pub(super) written: u64,
    /// The length of everything that is sent, where the body's kind tells it.
    pub(super) total: Option<u64>,
    /// What the `Trailer` field lists, in lower case.
    pub(super) announced: Vec<String>,
    /// Trailers that came before the head was sent, whose hooks may still announce them.
    pub(super) trailers: Vec<String>,
    /// The head as the first hook of the application was given it.
    pub(super) before: Option<Head>,
    /// The head has passed its hooks.
    pub(super) head_passed: bool,
    /// A body that was handed out has not been dropped.
    pub(super) body_open: bool,
    /// The end hooks have run.
    pub(super) over: bool,
}

impl Facts {
    /// The answer has failed, and an error's page takes its place.
    pub(super) fn forget_answer(&mut self) {
        self.answered = false;
        self.has_content = false;
        self.declared = None;
        self.total = None;
        self.before = None;
    }
}

impl Record {
    pub(super) fn new(outlet: Outlet, environ: &Environ) -> Record {
        let upgrade = environ.upgrade().map(|list| String::from_utf8_lossy(list).into_owned());
        Record {
            outlet,
            errors: environ.errors().clone(),
            request: format!("{} {}", environ.method(), environ.raw_target()),
            method: environ.method().clone(),
            upgrade,
            facts: Mutex::default(),
        }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a violation where a panic goes to whoever committed it. A rule is told once for an
    /// exchange.
    pub(super) fn report(&self, rule: &'static Rule, detail: impl Display) {
        let Some(violation) = self.first(rule, detail) else { return };
        match &self.outlet {
            Outlet::Panics if rule.level == Level::Must && !thread::panicking() => {
                panic!("{violation}")
            }
            _ => self.tell(violation),
        }
    }

    /// Tells of a violation where a panic would take others with it: in a destructor, or among the
    /// hooks of the end.
    pub(super) fn note(&self, rule: &'static Rule, detail: impl Display) {
        if let Some(violation) = self.first(rule, detail) {
            self.tell(violation);
        }
    }

    fn first(&self, rule: &'static Rule, detail: impl Display) -> Option<Violation> {
        let mut facts = self.facts();
        if facts.told.contains(&rule.id) {
            return None;
        }
        facts.told.push(rule.id);
        drop(facts);
        Some(Violation::new(rule, &self.request, &detail.to_string()))
    }

    fn tell(&self, violation: Violation) {
        match &self.outlet {
            Outlet::Collects(violations) => violations.push(violation),
            Outlet::Panics | Outlet::Logs => self.errors.line(violation),
        }
    }
}
