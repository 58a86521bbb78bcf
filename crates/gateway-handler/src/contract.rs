//! The `start_response` contract of one exchange.

use bytes::Bytes;
use gateway_core::exchange::{End, EndHook, HeadHook};
use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use gateway_core::{ApplicationError, Body, Error, ErrorStream, Head, Result, Upgrade};

use crate::head::{self, Facts};
use crate::wire::{Framing, Wire};

/// Holds an application to the contract, and a server too: what may go to the wire, and when.
///
/// It knows no I/O, no time and no threads. A server keeps one per connection, calls
/// [`begin`](Contract::begin) for every request, and puts everything through it. Hooks are code of
/// the application: a server that keeps the contract under a lock takes them out
/// ([`take_head_hooks`](Contract::take_head_hooks)) and runs them without it.
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
    head_only: bool,
    head_hooks: Vec<HeadHook>,
    end_hooks: Vec<EndHook>,
    status: Option<StatusCode>,
    sent: u64,
    abort: Option<Error>,
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
    /// Begins an exchange. `head_only` says that the request was a HEAD.
    pub fn begin(&mut self, head_only: bool) {
        self.state = State::Before;
        self.head_only = head_only;
        self.head_hooks.clear();
        self.end_hooks.clear();
        self.status = None;
        self.sent = 0;
        self.abort = None;
    }

    /// Keeps a hook for the head.
    pub fn on_head(&mut self, hook: HeadHook) {
        self.head_hooks.push(hook);
    }

    /// Keeps a hook for the end.
    pub fn on_end(&mut self, hook: EndHook) {
        self.end_hooks.push(hook);
    }

    /// Whether a hook waits for the end, so that it matters when the last byte has gone.
    pub fn has_end_hooks(&self) -> bool {
        !self.end_hooks.is_empty()
    }

    /// Takes the hooks that the head has to pass before it is sent, if it has not been sent and
    /// there are any: run them, then go on with what sends the head.
    pub fn take_head_hooks(&mut self) -> Option<HeadHooks> {
        if self.head_hooks.is_empty() || self.state != State::Before {
            return None;
        }
        Some(HeadHooks(std::mem::take(&mut self.head_hooks)))
    }

    /// Whether `head` waits for what pulling `body` brings first, so that an error in the place of
    /// data can still have a status. Its hooks must wait as well.
    pub fn is_held(&self, head: &Head, body: &Body) -> bool {
        self.state == State::Before
            && !self.head_only
            && !head.status.is_informational()
            && !has_no_body(head.status)
            && matches!(body, Body::Iter(_) | Body::Stream(_) | Body::File(_))
    }

    /// Whether the head has been sent.
    pub fn is_head_sent(&self) -> bool {
        self.state != State::Before
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
    /// then `data`.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] for an invalid head, for more data than was declared (what fits is
    /// sent), and after the end.
    pub fn write(
        &mut self,
        wire: &mut impl Wire,
        errors: &ErrorStream,
        head: &mut Head,
        data: Bytes,
    ) -> Result<()> {
        if self.state == State::Before {
            let facts = self.check(head, errors)?;
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(ApplicationError::InvalidStatus { status: head.status }.into());
            }
            self.send_head(wire, head, facts, facts.declared);
        }
        self.data(wire, data).map(drop)
    }

    /// Sends the head, unless [`write`](Contract::write) has or it [is held](Contract::is_held), and
    /// as much of `body` as needs no pulling.
    ///
    /// # Errors
    ///
    /// [`ApplicationError`] for an invalid head or a body of the wrong length: pass it to
    /// [`fail`](Contract::fail).
    pub fn respond(
        &mut self,
        wire: &mut impl Wire,
        errors: &ErrorStream,
        head: &mut Head,
        body: Body,
    ) -> Result<Rest> {
        if self.is_held(head, &body) {
            return Ok(Rest::Pump(body));
        }
        if self.state == State::Before {
            let upgrades = matches!(body, Body::Upgrade(_));
            if upgrades != (head.status == StatusCode::SWITCHING_PROTOCOLS) {
                return Err(ApplicationError::InvalidStatus { status: head.status }.into());
            }
            // An application that answers HEAD may leave the body out: its length is unknown then.
            let unknown = self.head_only && body.is_empty();
            self.start(wire, errors, head, if unknown { None } else { body.len() })?;
        }
        let bodiless = matches!(self.state, State::Sent { bodiless: true, .. });
        match body {
            Body::Upgrade(upgrade) => {
                self.state = State::Over;
                return Ok(Rest::Upgrade(upgrade));
            }
            Body::Empty => {}
            Body::Bytes(data) => drop(self.data(wire, data)?),
            _ if bodiless => {}
            body => return Ok(Rest::Pump(body)),
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
        errors: &ErrorStream,
        head: &mut Head,
        length: Option<u64>,
    ) -> Result<()> {
        if self.state == State::Before {
            let facts = self.check(head, errors)?;
            // Announced trailers need a framing that has room for them.
            let known = if facts.has_trailer { None } else { length };
            self.send_head(wire, head, facts, facts.declared.or(known));
        }
        Ok(())
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
        if over { Err(self.too_long()) } else { Ok(Flow::More) }
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
    /// [`ApplicationError::BodyTooShort`] where the announced length has not been reached: pass it
    /// to [`fail`](Contract::fail). [`ApplicationError::ExchangeOver`] before the head and after
    /// the end.
    pub fn end(&mut self, wire: &mut impl Wire, trailers: Option<HeaderMap>) -> Result<()> {
        match self.state {
            State::Sent { declared: Some(left), bodiless: false } if left > 0 => {
                Err(ApplicationError::BodyTooShort { declared: self.sent + left, sent: self.sent }
                    .into())
            }
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
    /// hooks; the cause is kept for the end hooks. Otherwise the response is cut, and there is
    /// nothing to answer. Log the error first: [`complain`](crate::complain).
    pub fn fail(&mut self, wire: &mut impl Wire, error: Error) -> Option<(Head, Body)> {
        let answer = match self.state {
            State::Before => Some(error_page(error.status())),
            State::Sent { .. } => {
                wire.cut();
                self.state = State::Over;
                None
            }
            State::Over => None,
        };
        self.abort = Some(error);
        answer
    }

    /// Gives the exchange up without an answer: nobody is left to read one.
    pub fn abandon(&mut self, wire: &mut impl Wire, error: Error) {
        if self.state != State::Over {
            wire.cut();
        }
        self.state = State::Over;
        self.abort = Some(error);
    }

    /// Ends the exchange and hands out the end hooks, to be run when the last byte has gone.
    pub fn finish(&mut self) -> Finished {
        self.state = State::Over;
        self.head_hooks.clear();
        Finished {
            hooks: std::mem::take(&mut self.end_hooks),
            status: self.status.take(),
            sent: self.sent,
            abort: self.abort.take(),
        }
    }

    fn check(&self, head: &mut Head, errors: &ErrorStream) -> Result<Facts> {
        let status = head.status;
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ApplicationError::InvalidStatus { status }.into());
        }
        head::check(head, errors)
    }

    fn send_head(&mut self, wire: &mut impl Wire, head: &Head, facts: Facts, length: Option<u64>) {
        let status = head.status;
        let (length, bodiless) = match status {
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT => (None, true),
            // RFC 9110 §15.3.6: there is none, and it has to be said.
            StatusCode::RESET_CONTENT => (Some(0), true),
            StatusCode::NOT_MODIFIED => (facts.declared, true),
            _ => (length, self.head_only),
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

    fn too_long(&self) -> Error {
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
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The hooks that a head passes on its way.
#[must_use = "hooks that do not run see no head"]
pub struct HeadHooks(Vec<HeadHook>);

impl HeadHooks {
    /// Runs them, innermost first.
    pub fn run(self, head: &mut Head) {
        for hook in self.0.into_iter().rev() {
            hook(head);
        }
    }
}

impl std::fmt::Debug for HeadHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeadHooks({})", self.0.len())
    }
}

/// An exchange that is over, with those who want to know.
pub struct Finished {
    hooks: Vec<EndHook>,
    status: Option<StatusCode>,
    sent: u64,
    abort: Option<Error>,
}

impl Finished {
    /// Runs the end hooks, innermost first.
    pub fn run(self) {
        let end = End::new(self.status, self.sent, self.abort.as_ref());
        for hook in self.hooks.into_iter().rev() {
            hook(&end);
        }
    }
}

impl std::fmt::Debug for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finished")
            .field("hooks", &self.hooks.len())
            .field("status", &self.status)
            .field("sent", &self.sent)
            .field("abort", &self.abort)
            .finish()
    }
}

/// What the server says by itself: the status in plain text, and nothing of the cause.
pub fn error_page(status: StatusCode) -> (Head, Body) {
    let reason = match status {
        // As RFC 9110 has it, and the status line of the same response.
        StatusCode::PAYLOAD_TOO_LARGE => Some("Content Too Large"),
        StatusCode::UNPROCESSABLE_ENTITY => Some("Unprocessable Content"),
        _ => status.canonical_reason(),
    };
    let text = match reason {
        Some(reason) => format!("{} {reason}\n", status.as_str()),
        None => format!("{}\n", status.as_str()),
    };
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    (Head::new(status, headers), Body::from(text))
}
