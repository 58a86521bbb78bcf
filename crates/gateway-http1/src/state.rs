//! Every transition of a connection, and nothing else: no bytes, no time.
//!
//! Two small machines run side by side, what the peer sends ([`Peer`]) and what we send ([`Ours`]),
//! and one decision goes with them, whether the connection is kept. They meet again in
//! [`State::next_cycle`].

use crate::Error;

/// Why a connection is not kept for another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer said `Connection: close`.
    PeerRequested,
    /// HTTP/1.0 without `Connection: keep-alive`.
    Http10,
    /// `limits.requests_per_connection` is reached.
    RequestLimit,
    /// [`ResponseHead::close`](crate::ResponseHead::close): the application wants it.
    ResponseRequested,
    /// The server shuts down.
    Draining,
    /// Too much of the request's body is left, or the peer still waits for a `100 Continue`.
    UnreadBody,
    /// The response has no other end than the close (to HTTP/1.0, length unknown).
    UntilClose,
    /// The response could not be completed.
    Cut,
    /// What the peer sent was not understood: an [`Error`].
    PeerError,
    /// The peer closed.
    PeerClosed,
    /// The peer was too slow, or idle for too long.
    Timeout,
}

/// What comes after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// The next request may come, and may be buffered already: ask
    /// [`next_event`](crate::Connection::next_event).
    Ready,
    /// A part of the request's body is left that nobody wants. Go on with
    /// [`next_event`](crate::Connection::next_event), reading as it asks, until `End`, then call
    /// [`start_next_cycle`](crate::Connection::start_next_cycle) again. Nothing of it is told, and
    /// it is bounded by `limits.unread` and `timeouts.drain`.
    Drain,
    /// Write what waits, send a FIN, and [`linger`](crate::Connection::linger).
    Close(CloseReason),
    /// 101 was sent: the connection speaks another protocol now, beginning with
    /// [`into_rest`](crate::Connection::into_rest).
    Upgraded,
}

/// What the peer's bytes are at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A head, or nothing yet.
    Head,
    Body,
    /// The request's last byte is in; that is not told yet.
    Complete,
    Paused,
    /// What is left of a body after its response.
    Draining,
    /// Whatever comes after our FIN.
    Lingering,
    Failed(Error),
    Closed,
    /// Of another protocol.
    Switched,
}

/// What we owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// Nothing: there is no request.
    Idle,
    /// A head.
    Owed,
    /// Data, or the end.
    Sending(Framing),
    Done,
    Cut,
}

/// How a response's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked,
    UntilClose,
    /// Data is not sent: the status or the method forbids it.
    Bodiless,
}

#[derive(Debug)]
pub(crate) struct State {
    peer: Peer,
    ours: Ours,
    close: Option<CloseReason>,
    switching: bool,
}

impl State {
    pub(crate) fn new() -> Self {
        Self { peer: Peer::Head, ours: Ours::Idle, close: None, switching: false }
    }

    #[inline]
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    #[inline]
    pub(crate) fn ours(&self) -> Ours {
        self.ours
    }

    #[inline]
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.close
    }

    /// Decides not to keep the connection; the first reason stays.
    #[inline]
    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.close.get_or_insert(reason);
    }

    /// A head came in.
    #[inline]
    pub(crate) fn request(&mut self, has_body: bool) {
        debug_assert_eq!((self.peer, self.ours), (Peer::Head, Ours::Idle));
        self.peer = if has_body { Peer::Body } else { Peer::Complete };
        self.ours = Ours::Owed;
    }

    /// The last byte of a body came in.
    pub(crate) fn body_ended(&mut self) {
        debug_assert!(matches!(self.peer, Peer::Body | Peer::Draining));
        self.peer = Peer::Complete;
    }

    /// Our caller knows that the request is complete.
    #[inline]
    pub(crate) fn end_told(&mut self) {
        debug_assert_eq!(self.peer, Peer::Complete);
        self.peer = Peer::Paused;
    }

    /// The peer cannot be understood any more.
    pub(crate) fn failed(&mut self, error: Error, reason: CloseReason) {
        self.peer = Peer::Failed(error);
        self.close(reason);
    }

    /// There is nothing to expect from the peer any more.
    pub(crate) fn peer_closed(&mut self, reason: CloseReason) {
        self.peer = Peer::Closed;
        self.close(reason);
    }

    /// Whether a final head may be sent: one is owed, or the peer is to be told what it did wrong.
    #[inline]
    pub(crate) fn may_send_head(&self) -> bool {
        self.ours == Ours::Owed || self.ours == Ours::Idle && matches!(self.peer, Peer::Failed(_))
    }

    #[inline]
    pub(crate) fn head_sent(&mut self, framing: Framing, switching: bool) {
        debug_assert!(self.may_send_head());
        self.ours = Ours::Sending(framing);
        self.switching = switching;
    }

    /// Data under a length left: so many bytes are still to come.
    #[inline]
    pub(crate) fn data_sent(&mut self, left: u64) {
        self.ours = Ours::Sending(Framing::Length(left));
    }

    #[inline]
    pub(crate) fn response_ended(&mut self) {
        debug_assert!(matches!(self.ours, Ours::Sending(_)));
        self.ours = Ours::Done;
    }

    /// What is on its way to the peer does not arrive whole, so no further request is taken.
    pub(crate) fn cut(&mut self, reason: CloseReason) {
        self.ours = Ours::Cut;
        if self.peer == Peer::Head {
            self.peer = Peer::Closed;
        }
        self.close(reason);
    }

    /// After a response. `unread` tells whether what is left of the request's body is too much.
    #[inline]
    pub(crate) fn next_cycle(&mut self, unread: impl FnOnce() -> bool) -> Next {
        match self.ours {
            // Nothing was asked, so nothing is to be begun anew.
            Ours::Idle => {}
            Ours::Done => {}
            Ours::Owed | Ours::Sending(_) | Ours::Cut => self.cut(CloseReason::Cut),
        }
        if self.peer == Peer::Body && (self.close.is_none() || self.switching) {
            if unread() {
                self.close(CloseReason::UnreadBody);
                self.switching = false;
            } else {
                self.peer = Peer::Draining;
            }
        }
        match (self.peer, self.close) {
            (Peer::Draining, _) => Next::Drain,
            (Peer::Complete | Peer::Paused, _) if self.switching => {
                self.peer = Peer::Switched;
                Next::Upgraded
            }
            (Peer::Switched, _) => Next::Upgraded,
            (_, Some(reason)) => Next::Close(reason),
            (Peer::Head | Peer::Body | Peer::Complete | Peer::Paused, None) => {
                self.peer = Peer::Head;
                self.ours = Ours::Idle;
                Next::Ready
            }
            (Peer::Failed(_), None) => Next::Close(CloseReason::PeerError),
            (Peer::Lingering | Peer::Closed, None) => Next::Close(CloseReason::PeerClosed),
        }
    }

    /// Our FIN is out: whatever comes is thrown away.
    pub(crate) fn linger(&mut self) {
        self.peer = Peer::Lingering;
        self.close(CloseReason::Cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state in which a request with a body came and was answered whole.
    fn answered(has_body: bool) -> State {
        let mut state = State::new();
        state.request(has_body);
        state.head_sent(Framing::Length(0), false);
        state.response_ended();
        state
    }

    #[test]
    fn a_cycle_comes_round() {
        let mut state = answered(false);
        state.end_told();
        assert_eq!(state.next_cycle(|| unreachable!()), Next::Ready);
        assert_eq!((state.peer, state.ours), (Peer::Head, Ours::Idle));
    }

    #[test]
    fn what_is_left_of_a_body_is_drained_or_the_end() {
        let mut state = answered(true);
        assert_eq!(state.next_cycle(|| false), Next::Drain);
        assert_eq!(state.next_cycle(|| unreachable!()), Next::Drain);
        state.body_ended();
        assert_eq!(state.next_cycle(|| unreachable!()), Next::Ready);
        assert_eq!(answered(true).next_cycle(|| true), Next::Close(CloseReason::UnreadBody));
    }

    #[test]
    fn a_connection_that_closes_drains_nothing() {
        let mut state = answered(true);
        state.close(CloseReason::Draining);
        assert_eq!(state.next_cycle(|| unreachable!()), Next::Close(CloseReason::Draining));
    }

    #[test]
    fn the_first_reason_stays() {
        let mut state = State::new();
        state.close(CloseReason::Http10);
        state.cut(CloseReason::Cut);
        assert_eq!(state.close_reason(), Some(CloseReason::Http10));
    }

    #[test]
    fn an_unfinished_response_is_never_followed() {
        let mut state = State::new();
        state.request(false);
        assert_eq!(state.next_cycle(|| unreachable!()), Next::Close(CloseReason::Cut));
        state.request_after_cut_is_refused();
    }

    impl State {
        fn request_after_cut_is_refused(&mut self) {
            assert!(!self.may_send_head());
            assert_eq!(self.next_cycle(|| unreachable!()), Next::Close(CloseReason::Cut));
        }
    }

    #[test]
    fn a_failure_may_be_answered_once() {
        let mut state = State::new();
        assert!(!state.may_send_head());
        state.failed(Error::Method, CloseReason::PeerError);
        assert!(state.may_send_head());
        state.head_sent(Framing::Length(0), false);
        assert!(!state.may_send_head());
        state.response_ended();
        assert_eq!(state.next_cycle(|| unreachable!()), Next::Close(CloseReason::PeerError));
    }

    #[test]
    fn no_request_is_taken_behind_a_cut() {
        let mut state = State::new();
        state.request(false);
        state.head_sent(Framing::Length(0), false);
        state.response_ended();
        assert_eq!(state.next_cycle(|| false), Next::Ready);
        // The peer does not take what the last cycle left.
        state.cut(CloseReason::Timeout);
        assert_eq!(state.peer(), Peer::Closed);
        assert_eq!(state.next_cycle(|| false), Next::Close(CloseReason::Timeout));
    }

    #[test]
    fn a_switch_waits_for_the_request_to_be_complete() {
        let mut state = State::new();
        state.request(true);
        state.close(CloseReason::Http10);
        state.head_sent(Framing::Bodiless, true);
        state.response_ended();
        assert_eq!(state.next_cycle(|| false), Next::Drain);
        state.body_ended();
        assert_eq!(state.next_cycle(|| unreachable!()), Next::Upgraded);
        assert_eq!(state.next_cycle(|| unreachable!()), Next::Upgraded);
    }
}
