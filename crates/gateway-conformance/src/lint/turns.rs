//! Calls that overlap.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use super::record::Record;
use crate::{Check, Level, Rule, Topic};

pub(crate) static ONE_AT_A_TIME: Rule = Rule {
    id: "SRV-23",
    level: Level::Must,
    topic: Topic::Lifecycle,
    text: "A server that says it has one thread MUST NOT call an application while another call \
           runs.",
    source: "PEP 3333, \"environ Variables\": wsgi.multithread",
    mend: "say `multithread: true`, or call one at a time",
    check: Check::Lint,
};

/// The calls that run.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Vec<ThreadId>>);

impl Turns {
    /// Begins a call, which ends with the guard.
    pub(super) fn begin(self: &Arc<Self>, record: &Record, multithread: bool) -> Turn {
        let this = thread::current().id();
        let others = {
            let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            running.push(this);
            running.iter().any(|other| *other != this)
        };
        let turn = Turn { turns: Arc::clone(self), thread: this };
        if others && !multithread {
            record.report(&ONE_AT_A_TIME, "another thread calls the application just now");
        }
        turn
    }
}

/// A call that runs.
pub(super) struct Turn {
    turns: Arc<Turns>,
    thread: ThreadId,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = running.iter().position(|thread| *thread == self.thread) {
            running.swap_remove(at);
        }
    }
}
