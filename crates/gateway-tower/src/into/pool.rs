//! Tokio's pool for what may block, and what the calling thread is to us.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::{Result, ServerError};
use gateway_handler::caught;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Elsewhere) };
}

#[derive(Clone, Copy)]
enum Place {
    /// Not one of ours, or between two calls.
    Elsewhere,
    /// One of the pool, at our work.
    Worker,
    /// The host's task waits for this thread, and others may.
    Reactor,
}

/// Whether the calling thread may block until a peer acts: one of the pool that does our work, or a
/// thread outside of any runtime.
pub(super) fn may_block() -> bool {
    match PLACE.get() {
        Place::Worker => true,
        Place::Reactor => false,
        Place::Elsewhere => Handle::try_current().is_err(),
    }
}

/// Runs code of the application on the host's task.
pub(super) fn on_reactor<R>(call: impl FnOnce() -> R) -> Result<R> {
    in_place(Place::Reactor, call)
}

/// Runs `job` on the pool. Its panic is an error of the application.
///
/// # Errors
///
/// [`ServerError::Io`] outside of a Tokio runtime.
pub(super) fn run<R: Send + 'static>(job: impl FnOnce() -> R + Send + 'static) -> Result<Job<R>> {
    Ok(Job(handle("run what may block")?.spawn_blocking(|| in_place(Place::Worker, job))))
}

/// The runtime that the caller is in, to do `action` with.
pub(super) fn handle(action: &'static str) -> Result<Handle> {
    Ok(Handle::try_current().map_err(|cause| {
        let source = io::Error::other(cause);
        ServerError::Io { action, source }
    })?)
}

/// Work on the pool; dropping this leaves it to its end.
pub(super) struct Job<R>(JoinHandle<Result<R>>);

impl<R> Future for Job<R> {
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|joined| joined.unwrap_or_else(|_| Err(ServerError::ShuttingDown.into())))
    }
}

fn in_place<R>(place: Place, call: impl FnOnce() -> R) -> Result<R> {
    let before = PLACE.replace(place);
    let outcome = caught(call);
    PLACE.set(before);
    outcome
}
