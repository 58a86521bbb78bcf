//! What an application notes, what it waits for, and what it leaves behind.

use std::collections::HashSet;
use std::fmt::Display;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use gateway_core::StartResponse;
use gateway_core::exchange::End;

/// Longer than anything here takes; who waits for so long waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Shared by the application of a case and its client.
#[derive(Clone, Default)]
pub(crate) struct Witness {
    shared: Arc<Shared>,
    alive: Arc<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    notes: Vec<String>,
    open: HashSet<&'static str>,
    wakers: Vec<Waker>,
}

impl Witness {
    pub(crate) fn note(&self, note: impl Display) {
        self.state().notes.push(note.to_string());
        self.shared.changed.notify_all();
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.state().notes.clone()
    }

    /// Something whose drop is noted, and whose leak is found.
    pub(crate) fn token(&self, name: &'static str) -> Token {
        Token { witness: self.clone(), name }
    }

    /// Notes how the exchange ends.
    pub(crate) fn watch_end(&self, start_response: &StartResponse) {
        let witness = self.clone();
        start_response.on_end(move |end| witness.note(end_note(end)));
    }

    /// Notes whether the exchange is aborted, whenever that is.
    pub(crate) fn watch_abort(&self, start_response: &StartResponse) {
        let witness = self.clone();
        start_response.on_end(move |end| {
            let abort = end.abort.map_or("none".to_owned(), ToString::to_string);
            witness.note(format_args!("abort: {abort}"));
        });
    }

    /// How many clones and tokens there are beside this one.
    pub(crate) fn others(&self) -> usize {
        Arc::strong_count(&self.alive) - 1
    }

    /// Blocks until the client has opened `gate`.
    pub(crate) fn wait(&self, gate: &'static str) {
        assert!(self.until(|state| state.open.contains(gate)), "the gate {gate:?} stays closed");
    }

    /// Awaits that the client opens `gate`.
    pub(crate) async fn opened(&self, gate: &'static str) {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.open.contains(gate) {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn open(&self, gate: &'static str) {
        let wakers = {
            let mut state = self.state();
            state.open.insert(gate);
            std::mem::take(&mut state.wakers)
        };
        self.shared.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether `note` came in time.
    pub(crate) fn noted(&self, note: &str) -> bool {
        self.until(|state| state.notes.iter().any(|noted| noted == note))
    }

    /// Waits for so many notes; that there are fewer is found out later.
    pub(crate) fn wait_for_notes(&self, count: usize) {
        self.until(|state| state.notes.len() >= count);
    }

    fn until(&self, condition: impl Fn(&State) -> bool) -> bool {
        let (_state, time_out) = self
            .shared
            .changed
            .wait_timeout_while(self.state(), PATIENCE, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        !time_out.timed_out()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes its drop.
pub(crate) struct Token {
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
    let outcome = match (end.error, end.abort) {
        (_, Some(abort)) => abort.to_string(),
        (Some(error), None) => format!("answered: {error}"),
        (None, None) => "clean".to_owned(),
    };
    format!("end: {status}, {} bytes, {outcome}", end.bytes_sent)
}
