//! How much a connection may do before others get their turn.
//!
//! A peer that sends and takes as fast as we do never makes us wait; without this its connection
//! would keep the reactor for itself.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use gateway_connection::Phase;

/// Bytes written in one turn; no write counts as fewer than [`LEAST`].
const WRITTEN: u32 = 1 << 20;
const LEAST: u32 = 16 * 1024;

/// Reads of a body that fill their buffer, in one turn. Of pipelined requests it is one: that is
/// some hundreds of them.
const READS: u32 = 4;

/// What one connection did since it waited.
///
/// The values are hints: nothing is ordered by them, and each party mostly has its own.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    written: AtomicU32,
    reads: AtomicU32,
}

impl Turn {
    /// The connection waits for its peer, so others have their turn anyway.
    #[inline]
    pub(crate) fn begin(&self) {
        self.written.store(0, Relaxed);
        self.reads.store(0, Relaxed);
    }

    /// Something was read, and filled the buffer or did not.
    #[inline]
    pub(crate) fn read(&self, full: bool, phase: Phase) {
        if !full {
            self.reads.store(0, Relaxed);
            return;
        }
        let cost = if phase == Phase::Exchange { 1 } else { READS };
        self.reads.store(self.reads.load(Relaxed).saturating_add(cost), Relaxed);
    }

    /// Whether the last read filled its buffer, so that there is probably more.
    pub(crate) fn last_was_full(&self) -> bool {
        self.reads.load(Relaxed) > 0
    }

    /// So many bytes were written.
    #[inline]
    pub(crate) fn wrote(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).max(LEAST);
        self.written.store(self.written.load(Relaxed).saturating_add(bytes), Relaxed);
    }

    /// Whether so much was written that [`poll_write`](Turn::poll_write) is to come next.
    #[inline]
    pub(crate) fn has_written_enough(&self) -> bool {
        self.written.load(Relaxed) >= WRITTEN
    }

    /// Ready while the turn lasts. When it is over, the next one begins once the reactor has looked
    /// for news and everybody who has some was served.
    #[inline]
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.reads.load(Relaxed) >= READS || self.has_written_enough() {
            return self.give_way(cx);
        }
        Poll::Ready(())
    }

    /// The same for whoever writes: reading much does not keep the answers back.
    #[inline]
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_written_enough() { self.give_way(cx) } else { Poll::Ready(()) }
    }

    #[cold]
    fn give_way(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.written.store(0, Relaxed);
        // What is known of the last read stays known.
        self.reads.store(u32::from(self.last_was_full()), Relaxed);
        pin!(tokio::task::yield_now()).poll(cx)
    }
}
