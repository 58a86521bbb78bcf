//! The `start_response` contract of one exchange.

use std::mem;

use bytes::Bytes;
use gateway_core::exchange::{EndHook, HeadHook};
use gateway_core::http::header::{HeaderMap, HeaderName};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{ApplicationError, Body, Error, Head, Result, Upgrade};

use crate::head::{self, Facts};
use crate::hooks::{Finished, HeadHooks};
use crate::page::page_of;
use crate::wire::{Framing, Wire};

/// Holds an application to the contract, and a server too: what may go to the wire, and when.
///
/// It knows no I/O, no time and no threads. A server keeps one per connection, calls
/// [`begin`](Contract::begin) for every request, and puts everything through it.
///
/// Hooks, bodies and error sinks are code of the application, and none of it runs in here: a server
/// that keeps the contract under a lock takes the hooks out
/// ([`take_head_hooks`](Contract::take_head_hooks), [`finish`](Contract::finish)), runs them without
/// the lock, and drops what a body leaves without it.
///
/// ```text
///         write, respond, start, fail           end, cut
///  Before ────────────────────────▶ Sent ────────────────────▶ Over
///    │            (head)             │ data*                     │
///    └── early_hints                 └── too much: stopped       └── finish: end hooks
/// ```
#[derive(Default)]
pub struct Contract {
    state: State,
    terms: Terms,
    head_hooks: Vec<HeadHook>,
    end_hooks: Vec<EndHook>,
    /// Fields of the application that were taken away from it.
    removed: Vec<HeaderName>,
    status: Option<StatusCode>,
    sent: u64,
    too_long: bool,
    answered: Option<Error>,
    abort: Option<Error>,
}

/// What of a request decides how it may be answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// It was a HEAD: the response has no body.
    pub head_only: bool,
    /// It offered to go on in another protocol, so 101 may be answered (RFC 9110 §7.8).
    pub upgrade: bool,
}

impl Terms {
    /// Those of a request by `method` that offers an upgrade or not.
    pub fn new(method: &Method, upgrade: bool) -> Terms {
        Terms { head_only: method == Method::HEAD, upgrade }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Sent {
        /// How much may still come, where a length was announced.
        declared: Option<u64>,
        bodiless: bool,
    },
    Over,
}

/// What is left to do after [`Contract::respond`].
#[derive(Debug)]
pub enum Rest {
    /// Nothing: the response is complete.
    Done,
    /// Pull this body. If the head has not been sent, call [`Contract::start`] when the first
    /// non-empty data or the end has come; then [`Contract::data`] for data and [`Contract::end`].
    Pump(Body),
    /// The head of a 101 has been sent: flush it and give the connection away.
    Upgrade(Upgrade),
}

/// Whether more data are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    More,
    /// What comes now would be thrown away: stop pulling, drop the body, and call
    /// [`Contract::end`].
    Enough,
}

impl Contract {
    /// Begins an exchange. What an earlier one left has been taken by
    /// [`finish`](Contract::finish).
    pub fn begin(&mut self, terms: Terms) {
        self.state = State::Before;
        self.terms = terms;
        self.status = None;
        self.sent = 0;
        self.too_long = false;
    }

    /// Keeps a hook for the head.
    pub fn on_head(&mut self, hook: HeadHook) {
        self.head_hooks.push(hook);
    }

    /// Keeps a hook for the end.
    pub fn on_end(&mut self, hook: EndHook) {
        self.end_hooks.push(hook);
    }

    /// Whether something is left for [`finish`](Contract::finish) to hand out: hooks that wait, an
    /// error, or something to be logged.
    pub fn has_leftovers(&self) -> bool {
        !(self.end_hooks.is_empty() && self.head_hooks.is_empty() && self.removed.is_empty())
            || self.answered.is_some()
            || self.abort.is_some()
    }

    /// Takes the hooks that `head` has to pass before it is sent with `body`: run them, give what is
    /// left of them [back](Contract::put_back), then go on with what sends the head. There are none
    /// while the head [is held](Contract::is_held), and after it has been sent.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] for a head that cannot be sent. Its hooks stay for the error's head.
    pub fn take_head_hooks(&mut self, head: &Head, body: &Body) -> Result<Option<HeadHooks>> {
        if self.head_hooks.is_empty() || self.state != State::Before || self.is_held(head, body) {
            return Ok(None);
        }
        self.check(head, matches!(body, Body::Upgrade(_)))?;
        Ok(Some(HeadHooks::new(mem::take(&mut self.head_hooks))))
    }

    /// Keeps the hooks that did not run, because one before them panicked, for the error's head.
    pub fn put_back(&mut self, hooks: HeadHooks) {
        let mut hooks = hooks.into_rest();
        hooks.append(&mut self.head_hooks);
        self.head_hooks = hooks;
    }

    /// Whether `head` waits for what pulling `body` brings first, so that an error in the place of
    /// data can still have a status. Its hooks wait as well.
    pub fn is_held(&self, head: &Head, body: &Body) -> bool {
        self.state == State::Before
            && !self.terms.head_only
            && !head.status.is_informational()
            && !has_no_body(head.status)
            && matches!(body, Body::Iter(_) | Body::Stream(_) | Body::File(_))
    }

    /// Whether the head has been sent.
    pub fn is_head_sent(&self) -> bool {
        self.state != State::Before
    }

    /// Whether the head has been sent and no body follows it.
    pub fn is_bodiless(&self) -> bool {
        matches!(self.state, State::Sent { bodiless: true, .. })
    }

    /// The status that was sent.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Sends a 103 if the head is still to come.
    pub fn early_hints(&mut self, wire: &mut impl Wire, headers: &HeaderMap) {
        if self.state == State::Before {
            wire.informational(StatusCode::EARLY_HINTS, headers);
        }
    }

    /// [`Response::write`](gateway_core::Response::write): sends the head if it has not been sent,
    /// then `data`, which goes nowhere where a response has no body.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] for an invalid head, for more data than was declared (what fits is
    /// sent), and after the end.
    pub fn write(&mut self, wire: &mut impl Wire, head: &mut Head, data: Bytes) -> Result<()> {
        self.start(wire, head, None)?;
        self.data(wire, data).map(drop)
    }

    /// Sends the head, unless [`write`](Contract::write) has or it [is held](Contract::is_held), and
    /// as much of `body` as needs no pulling. What stays in `body` is not wanted. `head_sent` is
    /// what the response says of itself.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] for an invalid head, a body of the wrong length, and a response whose
    /// head is not the one that was sent: pass it to [`fail`](Contract::fail).
    pub fn respond(
        &mut self,
        wire: &mut impl Wire,
        head: &mut Head,
        head_sent: bool,
        body: &mut Body,
    ) -> Result<Rest> {
        if self.is_head_sent() != head_sent {
            return Err(ApplicationError::HeadSent.into());
        }
        if let Body::Upgrade(_) = body {
            return self.switch(wire, head, body);
        }
        if self.is_held(head, body) {
            return Ok(Rest::Pump(mem::take(body)));
        }
        // An application that answers HEAD may leave the body out: its length is unknown then.
        let unknown = self.terms.head_only && matches!(body, Body::Empty);
        self.start(wire, head, if unknown { None } else { body.len() })?;
        match body {
            Body::Bytes(data) => drop(self.data(wire, mem::take(data))?),
            Body::Empty => {}
            _ if self.is_bodiless() => {}
            _ => return Ok(Rest::Pump(mem::take(body))),
        }
        self.end(wire, None)?;
        Ok(Rest::Done)
    }

    /// Sends a head that was [held](Contract::is_held), now that its body has brought something.
    /// `length` is the whole body's, where it is known. A head that has been sent stays as it is.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] for an invalid head.
    pub fn start(
        &mut self,
        wire: &mut impl Wire,
        head: &mut Head,
        length: Option<u64>,
    ) -> Result<()> {
        if self.state == State::Before {
            let facts = self.check(head, false)?;
            // Announced trailers need a framing that has room for them.
            let known = if facts.has_trailer { None } else { length };
            self.send_head(wire, head, facts, facts.declared.or(known));
        }
        Ok(())
    }

    fn switch(&mut self, wire: &mut impl Wire, head: &mut Head, body: &mut Body) -> Result<Rest> {
        if self.is_head_sent() {
            return Err(ApplicationError::InvalidStatus { status: head.status }.into());
        }
        let facts = self.check(head, true)?;
        self.send_head(wire, head, facts, None);
        self.state = State::Over;
        match mem::take(body) {
            Body::Upgrade(upgrade) => Ok(Rest::Upgrade(upgrade)),
            other => Ok(Rest::Pump(other)),
        }
    }

    /// Whether the head that was sent announces a length, so that data may be
    /// [announced](Contract::announce).
    pub fn has_length(&self) -> bool {
        matches!(self.state, State::Sent { declared: Some(_), .. })
    }

    /// Sends some of the body.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::BodyTooLong`] past the announced length, after what fits has been sent;
    /// [`ApplicationError::ExchangeOver`] before the head and after the end.
    pub fn data(&mut self, wire: &mut impl Wire, mut data: Bytes) -> Result<Flow> {
        let Some(fits) = self.admit(data.len() as u64)? else {
            return Ok(Flow::Enough);
        };
        let over = fits < data.len() as u64;
        // What fits is no longer than the data are, so it is a length in memory.
        data.truncate(usize::try_from(fits).unwrap_or(usize::MAX));
        if !data.is_empty() {
            wire.data(data);
        }
        if over {
            self.too_long = true;
            return Err(self.excess());
        }
        Ok(Flow::More)
    }

    /// Lets the wire know of `length` bytes that go by another way, and tells how many of them may.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::ExchangeOver`] before the head and after the end.
    pub fn announce(&mut self, wire: &mut impl Wire, length: u64) -> Result<u64> {
        let Some(fits) = self.admit(length)? else {
            return Ok(0);
        };
        if fits > 0 {
            wire.announce(fits);
        }
        Ok(fits)
    }

    /// Ends the response cleanly.
    ///
    /// # Errors
    ///
    /// [`ApplicationError::BodyTooShort`] where the announced length has not been reached, and
    /// [`ApplicationError::BodyTooLong`] where it was exceeded earlier: pass it to
    /// [`fail`](Contract::fail). [`ApplicationError::ExchangeOver`] before the head and after the
    /// end.
    pub fn end(&mut self, wire: &mut impl Wire, trailers: Option<HeaderMap>) -> Result<()> {
        match self.state {
            State::Sent { declared: Some(left), bodiless: false } if left > 0 => {
                Err(ApplicationError::BodyTooShort { declared: self.sent + left, sent: self.sent }
                    .into())
            }
            State::Sent { .. } if self.too_long => Err(self.excess()),
            State::Sent { .. } => {
                wire.end(trailers);
                self.state = State::Over;
                Ok(())
            }
            State::Before | State::Over => Err(ApplicationError::ExchangeOver.into()),
        }
    }

    /// The head and the body that the server answers an error with.
    ///
    /// Where no head has been sent, give it to [`respond`](Contract::respond), after the head
    /// hooks. Otherwise the response is cut, and there is nothing to answer; but a head that no
    /// body follows was a whole response already. The error is kept for the end hooks. Log it
    /// first: [`complain`](crate::complain).
    pub fn fail(&mut self, wire: &mut impl Wire, error: Error) -> Option<(Head, Body)> {
        match self.state {
            State::Before => {
                let page = page_of(&error);
                self.answered = Some(error);
                return Some(page);
            }
            State::Sent { bodiless: true, .. } => {
                wire.end(None);
                self.answered = Some(error);
            }
            State::Sent { .. } => {
                wire.cut();
                self.abort = Some(error);
            }
            State::Over => self.abort = Some(error),
        }
        self.state = State::Over;
        None
    }

    /// Gives the exchange up without an answer: nobody is left to read one.
    pub fn abandon(&mut self, wire: &mut impl Wire, error: Error) {
        if self.state != State::Over {
            wire.cut();
        }
        self.state = State::Over;
        self.abort = Some(error);
    }

    /// Ends the exchange and hands out what is left of it, to be [run](Finished::run) when the last
    /// byte has gone.
    pub fn finish(&mut self) -> Finished {
        self.state = State::Over;
        Finished {
            head_hooks: mem::take(&mut self.head_hooks),
            end_hooks: mem::take(&mut self.end_hooks),
            removed: mem::take(&mut self.removed),
            status: self.status.take(),
            sent: self.sent,
            answered: self.answered.take(),
            abort: self.abort.take(),
        }
    }

    fn check(&self, head: &Head, upgrades: bool) -> Result<Facts> {
        let status = head.status;
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        if switches != upgrades || (status.is_informational() && !switches) {
            return Err(ApplicationError::InvalidStatus { status }.into());
        }
        if switches && !self.terms.upgrade {
            return Err(ApplicationError::UpgradeNotOffered.into());
        }
        head::check(head)
    }

    fn send_head(
        &mut self,
        wire: &mut impl Wire,
        head: &mut Head,
        facts: Facts,
        length: Option<u64>,
    ) {
        if facts.hop_by_hop {
            head::remove_hop_by_hop(head, &mut self.removed);
        }
        let status = head.status;
        let (length, bodiless) = match status {
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT => (None, true),
            // RFC 9110 §15.3.6: there is none, and it has to be said.
            StatusCode::RESET_CONTENT => (Some(0), true),
            StatusCode::NOT_MODIFIED => (facts.declared, true),
            _ => (length, self.terms.head_only),
        };
        wire.head(
            head,
            Framing {
                length,
                bodiless,
                close: facts.close,
                date_missing: !facts.has_date,
                server_missing: !facts.has_server,
            },
        );
        self.state = State::Sent { declared: length, bodiless };
        self.status = Some(status);
    }

    /// How many of `length` bytes may be sent; `None` where a response has no body.
    fn admit(&mut self, length: u64) -> Result<Option<u64>> {
        match &mut self.state {
            State::Sent { bodiless: true, .. } => Ok(None),
            State::Sent { declared, .. } => {
                let fits = declared.map_or(length, |left| left.min(length));
                if let Some(left) = declared {
                    *left -= fits;
                }
                self.sent += fits;
                Ok(Some(fits))
            }
            State::Before | State::Over => Err(ApplicationError::ExchangeOver.into()),
        }
    }

    fn excess(&self) -> Error {
        ApplicationError::BodyTooLong { declared: self.sent }.into()
    }
}

impl std::fmt::Debug for Contract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contract")
            .field("state", &self.state)
            .field("status", &self.status)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

/// Which responses have no body, whatever the application returns (RFC 9110 §6.4.1, §15.3.6).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}
