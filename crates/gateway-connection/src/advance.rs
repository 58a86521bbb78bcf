//! Request after request, as far as nothing has to be waited for: what every request passes.

use std::io;
use std::mem;
use std::ops::ControlFlow::{self, Break, Continue};
use std::ptr;
use std::sync::{Arc, MutexGuard};

use gateway_core::{ApplicationError, Body, Environ, Head, Reply, Response, Result, StartResponse};
use gateway_handler::{Rest, Terms, caught};
use gateway_http1::{Event, Next, Timeout};

use crate::caught::caught_reply;
use crate::exchange::ConnectionExchange;
use crate::link::{Link, Read, State};
use crate::pump::{Pull, is_read, read};
use crate::request::environ;
use crate::serve::{Driver, Ending, Step, Turn, Work};
use crate::{Phase, Transport};

/// When so much waits to be written, a pipelining peer has to read before it is answered further.
const HIGH_WATER: usize = 64 * 1024;

impl<T: Transport> Driver<T> {
    /// Answers request after request as long as nothing has to be waited for. What is answered is
    /// written when that is so, in one go. `read` is how the read of a [`Turn`] ended.
    ///
    /// A request takes the lock twice: to find out what came, and what its answer means.
    pub(crate) fn advance(&mut self, read: Option<io::Result<usize>>) -> ControlFlow<Step, Turn> {
        let Driver { link, exchange, first, next, taken, .. } = self;
        let link = &**link;
        let mut spent = Spent::default();
        let mut state = link.lock();
        if let Some(read) = read {
            match state.put_taken_back(taken, read, || link.transport.now()) {
                Ok(Read::Some | Read::TimedOut(None)) => {}
                Ok(Read::TimedOut(Some(Timeout::Head))) => {
                    return Break(Step::Refused(gateway_http1::Error::HeadTimeout));
                }
                Ok(Read::TimedOut(Some(_))) | Err(_) => return Break(Step::End(Ending::Clean)),
            }
        }
        loop {
            if state.out.len() >= HIGH_WATER {
                return Break(Step::Flush);
            }
            let reply = match state.engine.next_event() {
                Ok(Event::Request(mut request)) => {
                    let target = request.bytes.slice(request.target.range());
                    own(exchange).begin(&mut request, state.engine.fields());
                    state.contract.begin(Terms::new(&request.method, request.upgrade));
                    drop(state);
                    spent.close();
                    let (own, limit) = (Arc::clone(exchange) as _, link.service.body_limit);
                    call(link, exchange, environ(own, request, target, limit))
                }
                Ok(Event::Closed) => return Break(Step::End(Ending::Clean)),
                Ok(_) => {
                    let is_idle = state.engine.buffered() == 0 && !*first;
                    let phase = if is_idle { Phase::Idle } else { Phase::Head };
                    if !state.take_out(taken) {
                        return Break(Step::Read(phase));
                    }
                    let deadline = state.engine.poll_timeout(link.transport.now());
                    return Continue(Turn { phase, deadline });
                }
                Err(error) => return Break(Step::Refused(error)),
            };
            let response = match reply {
                Reply::Ready(Ok(response)) => response,
                Reply::Ready(Err(error)) => return Break(Step::Failed(error)),
                reply => return Break(Step::Wait(Work::Reply(reply))),
            };
            state = match send(link, exchange, response, &mut spent) {
                Ok(Sent::Whole(state)) => state,
                Ok(Sent::Waits(work)) => return Break(Step::Wait(work)),
                Err(error) => return Break(Step::Failed(error)),
            };
            match next_cycle(&mut state, exchange) {
                Some(Next::Ready) => *first = false,
                other => {
                    *next = other;
                    return Break(Step::Answered);
                }
            }
        }
    }
}

fn call<T: Transport>(
    link: &Link<T>,
    exchange: &Arc<ConnectionExchange<T>>,
    environ: Environ,
) -> Reply {
    link.transport.note(Phase::Exchange, None);
    let start_response = StartResponse::new(Arc::clone(exchange) as _);
    let application = &link.service.application;
    link.transport.on_reactor(|| caught_reply(|| application.call(environ, start_response)))
}

/// How far a response got.
pub(crate) enum Sent<'a> {
    /// It is complete, which the state says.
    Whole(MutexGuard<'a, State>),
    Waits(Work),
}

/// What a response leaves that was sent. It is the application's, so it is dropped without the lock,
/// and may panic.
#[derive(Default)]
pub(crate) struct Spent(Option<(Head, Body)>);

impl Spent {
    fn close(&mut self) {
        if self.0.is_some() {
            // The response has its outcome; closing cannot change it.
            let _ = caught(|| self.0 = None);
        }
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        self.close();
    }
}

/// Sends what the application answered, as far as that needs no waiting.
pub(crate) fn send<'a, T: Transport>(
    link: &'a Link<T>,
    exchange: &Arc<ConnectionExchange<T>>,
    response: Response,
    spent: &mut Spent,
) -> Result<Sent<'a>> {
    let parts = response.into_parts();
    let (head, body) = spent.0.insert((parts.head, parts.body));
    if !ptr::addr_eq(Arc::as_ptr(&parts.exchange), Arc::as_ptr(exchange)) {
        return Err(ApplicationError::ExchangeOver.into());
    }
    let number = exchange.number;
    let (mut state, mut rest) = respond(link, number, head, parts.head_sent, body)?;
    if let Rest::Pump(Body::File(file)) = rest {
        drop(state);
        if !is_read(&file) {
            let pull = Pull { body: Body::File(file), head: mem::take(head) };
            return Ok(Sent::Waits(Work::Body(pull)));
        }
        *body = Body::Bytes(read(file)?);
        (state, rest) = respond(link, number, head, parts.head_sent, body)?;
    }
    Ok(match rest {
        Rest::Done => Sent::Whole(state),
        Rest::Pump(body) => Sent::Waits(Work::Body(Pull { body, head: mem::take(head) })),
        Rest::Upgrade(protocol) => Sent::Waits(Work::Upgrade(protocol)),
    })
}

/// Puts a response through the contract, after the hooks of the application have seen its head.
#[inline]
pub(crate) fn respond<'a, T: Transport>(
    link: &'a Link<T>,
    number: u64,
    head: &mut Head,
    head_sent: bool,
    body: &mut Body,
) -> Result<(MutexGuard<'a, State>, Rest)> {
    let mut state = link.of(number)?;
    if state.contract.has_leftovers() {
        drop(state);
        link.run_head_hooks(number, head, body)?;
        state = link.of(number)?;
    }
    let rest =
        link.with_wire(&mut state, |contract, wire| contract.respond(wire, head, head_sent, body))?;
    Ok((state, rest))
}

/// The usual end of an exchange: nobody wants to know of it, nobody kept a handle, and the connection
/// goes on. None where there is more to it, and nothing has been done yet.
fn next_cycle<T: Transport>(
    state: &mut State,
    exchange: &mut Arc<ConnectionExchange<T>>,
) -> Option<Next> {
    if state.contract.has_leftovers() || state.reader_awaited || state.failed.is_some() {
        return None;
    }
    let exchange = Arc::get_mut(exchange)?;
    let next = state.engine.start_next_cycle();
    if next == Next::Ready {
        state.number += 1;
        exchange.renew(state.number);
    }
    Some(next)
}

/// The exchange, which is another one with the same number if somebody has kept it.
pub(crate) fn own<T>(exchange: &mut Arc<ConnectionExchange<T>>) -> &mut ConnectionExchange<T> {
    // There are no weak ones.
    if Arc::strong_count(exchange) > 1 {
        *exchange = Arc::new(ConnectionExchange::new(Arc::clone(&exchange.link), exchange.number));
    }
    Arc::get_mut(exchange).expect("nobody else has it")
}
