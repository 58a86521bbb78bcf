//! The connection, as far as time passes. Whose time it is: the peer's, where we wait for it.

use std::time::Instant;

use crate::state::{CloseReason, Peer};
use crate::timer::{Allowance, For, Waiting};
use crate::{Connection, Error};

/// What took too long, and so what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Timeout {
    /// A head that has begun: answer 408, close, linger.
    Head,
    /// No request came, or nothing at all: close without a word.
    KeepAlive,
    /// A request's body: answer 408 if the head is not out, else [`cut`](Connection::cut).
    Body,
    /// The peer does not take the response. It is cut already: close.
    Write,
    /// What was to be thrown away after the response or after our FIN: close.
    Drain,
}

impl Connection {
    /// Tells whether the application waits for the request's body at present. Only that time counts
    /// against the peer; before the first call none does.
    #[inline]
    pub fn body_wanted(&mut self, wanted: bool, now: Instant) {
        if !wanted {
            self.receiving.pause(&self.config.timeouts, now);
        } else if self.state.peer() == Peer::Body {
            self.receiving.run(&self.config.timeouts, now);
        }
    }

    /// Tells how a write went: how many bytes left, and how many still wait. Only the time during
    /// which bytes wait counts against the peer. To be called after each attempt.
    #[inline]
    pub fn sent(&mut self, written: usize, pending: usize, now: Instant) {
        if pending == 0 {
            self.sending = Allowance::Unused;
        } else {
            self.sending.run(&self.config.timeouts, now);
            self.sending.earn(written);
            self.sending.settle(&self.config.timeouts, now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before. To be asked
    /// before every wait for the peer: what is waited for anew has its time from this `now` on.
    #[inline]
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.settle(now);
        let waiting = self.waiting.deadline();
        match (self.receiving.deadline(), self.sending.deadline()) {
            (None, None) => waiting,
            (receiving, sending) => [waiting, receiving, sending].into_iter().flatten().min(),
        }
    }

    /// Tells what is overdue at `now`, if anything, and makes it final: the state is an error, or
    /// closed, or the response is cut. May be called at any time.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Timeout> {
        self.settle(now);
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.sending.deadline()) {
            self.sending = Allowance::Unused;
            self.state.close(CloseReason::Timeout);
            self.state.cut(CloseReason::Timeout);
            return Some(Timeout::Write);
        }
        if let Waiting::Until(what, at) = self.waiting
            && at <= now
        {
            self.waiting = Waiting::Not;
            return Some(match what {
                For::Head => {
                    self.fail(Error::HeadTimeout, CloseReason::Timeout);
                    Timeout::Head
                }
                For::FirstByte | For::KeepAlive => {
                    self.state.peer_closed(CloseReason::Timeout);
                    Timeout::KeepAlive
                }
                For::Drain => {
                    self.state.peer_closed(CloseReason::Timeout);
                    Timeout::Drain
                }
            });
        }
        if due(self.receiving.deadline()) {
            self.fail(Error::BodyTimeout, CloseReason::Timeout);
            return Some(Timeout::Body);
        }
        None
    }

    #[inline]
    fn settle(&mut self, now: Instant) {
        self.waiting.settle(&self.config.timeouts, now);
        self.receiving.settle(&self.config.timeouts, now);
    }
}
