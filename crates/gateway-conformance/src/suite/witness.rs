//! What an application of the suite notes, and what it waits for.

use std::collections::HashSet;
use std::fmt::Display;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use gateway_core::StartResponse;
use gateway_core::exchange::End;

use super::scene::{Checked, ensure};

/// Shared by an application and the check around it; cheap to clone.
#[derive(Clone)]
pub(super) struct Witness(Arc<Shared>);

struct Shared {
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    notes: Vec<String>,
    open: HashSet<&'static str>,
    all_open: bool,
    wakers: Vec<Waker>,
}

impl State {
    fn is_open(&self, gate: &str) -> bool {
        self.all_open || self.open.contains(gate)
    }
}

impl Witness {
    pub(super) fn new(patience: Duration) -> Witness {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Witness(Arc::new(Shared { patience, state, changed }))
    }

    /// How long anybody waits.
    pub(super) fn patience(&self) -> Duration {
        self.0.patience
    }

    pub(super) fn note(&self, note: impl Display) {
        self.state().notes.push(note.to_string());
        self.0.changed.notify_all();
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.state().notes.clone()
    }

    /// Something whose drop is noted: `<name> dropped`.
    pub(super) fn token(&self, name: &'static str) -> Token {
        Token { witness: self.clone(), name }
    }

    /// Notes how the exchange ends: `end: <status>, <bytes>, <clean, answered or aborted>`.
    pub(super) fn watch_end(&self, start_response: &StartResponse) {
        let witness = self.clone();
        start_response.on_end(move |end| witness.note(end_note(end)));
    }

    /// Blocks until the check has opened `gate`.
    pub(super) fn wait(&self, gate: &'static str) {
        assert!(self.until(|state| state.is_open(gate)), "the gate {gate:?} stays closed");
    }

    /// Awaits that the check opens `gate`.
    pub(super) async fn opened(&self, gate: &'static str) {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.is_open(gate) {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(super) fn open(&self, gate: &'static str) {
        self.change(|state| {
            state.open.insert(gate);
        });
    }

    /// Lets go whoever still waits.
    pub(super) fn open_all(&self) {
        self.change(|state| state.all_open = true);
    }

    /// Waits for `note`.
    pub(super) fn noted(&self, note: &str) -> Checked {
        let noted = self.until(|state| state.notes.iter().any(|noted| noted == note));
        ensure!(noted, "waited in vain for the note {note:?}; there are {:?}", self.notes());
        Ok(())
    }

    /// Waits for `note` to be there so many times.
    pub(super) fn noted_times(&self, note: &str, times: usize) -> Checked {
        let count = |state: &State| state.notes.iter().filter(|noted| *noted == note).count();
        let noted = self.until(|state| count(state) >= times);
        ensure!(noted, "waited in vain for {times} times the note {note:?}");
        Ok(())
    }

    /// Waits for so many notes, and compares all.
    pub(super) fn noted_all(&self, expected: &[&str]) -> Checked {
        self.until(|state| state.notes.len() >= expected.len());
        let notes = self.notes();
        ensure!(notes == expected, "the application noted {notes:?} in place of {expected:?}");
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.state();
            change(&mut state);
            std::mem::take(&mut state.wakers)
        };
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn until(&self, condition: impl Fn(&State) -> bool) -> bool {
        let (_state, waited) = self
            .0
            .changed
            .wait_timeout_while(self.state(), self.0.patience, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes its drop.
pub(super) struct Token {
    witness: Witness,
    name: &'static str,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.witness.note(format_args!("{} dropped", self.name));
    }
}

fn end_note(end: &End<'_>) -> String {
    let status = end.status.map_or("no head".to_owned(), |status| status.as_u16().to_string());
    let how = match (end.abort, end.error) {
        (Some(_), _) => "aborted",
        (None, Some(_)) => "answered",
        (None, None) => "clean",
    };
    format!("end: {status}, {} bytes, {how}", end.bytes_sent)
}
