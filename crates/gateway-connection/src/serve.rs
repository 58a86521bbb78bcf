//! The driver of one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use gateway_core::exchange::ConnectionInfo;
use gateway_core::http::header::CONTENT_LENGTH;
use gateway_core::http::{StatusCode, Version};
use gateway_core::{
    ApplicationError, Body, Environ, Error, Head, PeerError, Reply, Response, Result,
    StartResponse, Upgrade,
};
use gateway_handler::{Rest, Terms, caught, complain, error_page};
use gateway_http1::{CloseReason, Event, Next, Timeout};

use crate::caught::{CaughtFuture, Closing, caught_reply};
use crate::exchange::ConnectionExchange;
use crate::link::{Link, Read, State, Turn};
use crate::pump::{Pull, is_read, pump, read};
use crate::request::environ;
use crate::upgrade::upgrade;
use crate::{Phase, Service, Transport};

/// When so much waits to be written, a pipelining peer has to read before it is answered further.
const HIGH_WATER: usize = 64 * 1024;

/// Serves one connection to its end: whole requests are answered in their order, and what breaks
/// the protocol is refused. When it returns, the connection is over and closed.
///
/// A reactor spawns it; a thread blocks on it. It never panics with the application: a panic is an
/// error of that exchange.
// Not an `async fn`: that its future is `Send` is shown here, for every transport, and not by each
// caller, where the compiler does not find it.
pub fn serve<T: Transport>(
    transport: T,
    service: Arc<Service>,
    info: ConnectionInfo,
) -> impl Future<Output = ()> + Send {
    let link = Arc::new(Link::new(transport, service, info));
    let exchange = Arc::new(ConnectionExchange::new(Arc::clone(&link), 0));
    let mut driver = Driver { link, exchange, first: true, cut: false, next: None };
    async move {
        let ending = driver.run().await;
        driver.close(ending).await;
    }
}

struct Driver<T: Transport> {
    link: Arc<Link<T>>,
    exchange: Arc<ConnectionExchange<T>>,
    /// No request has come yet.
    first: bool,
    /// The present response was ended before its end.
    cut: bool,
    /// What the engine has said of the next cycle already.
    next: Option<Next>,
}

/// How far a connection gets without waiting.
enum Step {
    /// More has to be read.
    Read(Phase),
    /// The peer has to read first.
    Flush,
    /// The exchange goes on by waiting.
    Wait(Work),
    /// The response is complete, or cut.
    Answered,
    /// What came is no request.
    Refused(gateway_http1::Error),
    /// The connection is over.
    End(Ending),
}

/// What an exchange waits for.
enum Work {
    /// The application's answer.
    Reply(Reply),
    /// What its body brings.
    Body(Pull),
    /// The other protocol's end.
    Upgrade(Upgrade),
}

/// How the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Everything was said and heard.
    Clean,
    /// The peer may still be sending, and a reset would destroy what it has not read yet.
    Linger,
    /// What was sent is incomplete, and that must be seen.
    Abort,
}

impl<T: Transport> Driver<T> {
    async fn run(&mut self) -> Ending {
        loop {
            let ending = match self.advance() {
                Step::Read(phase) => self.read(phase).await,
                Step::Flush => self.flush().await,
                Step::Wait(work) => {
                    self.finish(work).await;
                    self.next_cycle().await
                }
                Step::Answered => self.next_cycle().await,
                Step::Refused(error) => {
                    self.refuse(error);
                    Some(Ending::Linger)
                }
                Step::End(ending) => Some(ending),
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Answers request after request as long as nothing has to be waited for. What is answered is
    /// written when that is so, in one go.
    fn advance(&mut self) -> Step {
        let mut answered = false;
        loop {
            let environ = {
                let Driver { link, exchange, first, next, .. } = self;
                let mut state = link.lock();
                if answered {
                    match next_cycle(&mut state, exchange, link.transport.now()) {
                        Some(Next::Ready) => *first = false,
                        other => {
                            *next = other;
                            return Step::Answered;
                        }
                    }
                }
                if state.out.len() >= HIGH_WATER {
                    return Step::Flush;
                }
                match state.engine.next_event() {
                    Ok(Event::Request(request)) => {
                        let own = own(exchange);
                        own.begin(&request, state.engine.fields());
                        state.contract.begin(Terms::new(&request.method, request.upgrade));
                        environ(Arc::clone(exchange) as _, request, link.service.body_limit)
                    }
                    Ok(Event::Closed) => return Step::End(Ending::Clean),
                    Ok(_) if state.engine.buffered() == 0 && !*first => {
                        return Step::Read(Phase::Idle);
                    }
                    Ok(_) => return Step::Read(Phase::Head),
                    Err(error) => return Step::Refused(error),
                }
            };
            match self.call(environ) {
                Step::Answered => answered = true,
                step => return step,
            }
        }
    }

    fn call(&mut self, environ: Environ) -> Step {
        let transport = &self.link.transport;
        transport.note(Phase::Exchange, None);
        let start_response = StartResponse::new(Arc::clone(&self.exchange) as _);
        let application = &self.link.service.application;
        let call = || caught_reply(|| application.call(environ, start_response));
        match transport.on_reactor(call) {
            Reply::Ready(outcome) => self.answer(outcome),
            reply => Step::Wait(Work::Reply(reply)),
        }
    }

    /// Sends what the application answered, as far as that needs no waiting.
    fn answer(&mut self, outcome: Result<Response>) -> Step {
        match outcome.and_then(|response| self.respond(response)) {
            Ok(step) => step,
            Err(error) => {
                self.fail(error);
                Step::Answered
            }
        }
    }
}

impl<T: Transport> Driver<T> {
    async fn read(&mut self, phase: Phase) -> Option<Ending> {
        let read = match poll_fn(|cx| self.link.poll_turn(cx, phase)).await {
            Ok(Turn::Read(read)) => Ok(read),
            Ok(Turn::Flush) => {
                if let Some(ending) = self.flush().await {
                    return Some(ending);
                }
                poll_fn(|cx| self.link.poll_read(cx, phase, None)).await
            }
            Err(error) => Err(error),
        };
        match read {
            Ok(Read::Some | Read::TimedOut(None)) => None,
            Ok(Read::TimedOut(Some(Timeout::Head))) => {
                self.refuse(gateway_http1::Error::HeadTimeout);
                Some(Ending::Linger)
            }
            Ok(Read::TimedOut(Some(_))) | Err(_) => Some(Ending::Clean),
        }
    }

    async fn flush(&mut self) -> Option<Ending> {
        poll_fn(|cx| self.link.poll_flush(cx)).await.err().map(|_| Ending::Abort)
    }

    /// Waits for the rest of an exchange.
    async fn finish(&mut self, mut work: Work) {
        loop {
            let done = match work {
                Work::Reply(reply) => match self.answer_to(reply).await {
                    Step::Wait(more) => {
                        work = more;
                        continue;
                    }
                    _ => return,
                },
                // In boxes, for what they need while they run would be part of every idle connection.
                Work::Body(pull) => {
                    Box::pin(pump(Arc::clone(&self.link), self.exchange.number, pull)).await
                }
                Work::Upgrade(protocol) => match self.is_switched().await {
                    true => Box::pin(upgrade(Arc::clone(&self.link), protocol)).await,
                    false => caught(move || drop(protocol)),
                },
            };
            return done.unwrap_or_else(|error| self.fail(error));
        }
    }

    /// Drives a reply until it is ready.
    async fn answer_to(&mut self, mut reply: Reply) -> Step {
        let transport = &self.link.transport;
        let outcome = loop {
            let driven = match reply {
                Reply::Ready(outcome) => break outcome,
                Reply::Pending(future) => transport.drive(CaughtFuture(Some(future))).await,
                Reply::Blocking(job) => transport.work(move || caught_reply(job)).await,
            };
            match driven {
                Ok(next) => reply = next,
                Err(error) => break Err(error.into()),
            }
        };
        self.answer(outcome)
    }
}

impl<T: Transport> Driver<T> {
    fn respond(&mut self, response: Response) -> Result<Step> {
        let parts = response.into_parts();
        let mut body = Closing(Some(parts.body));
        if !std::ptr::addr_eq(Arc::as_ptr(&parts.exchange), Arc::as_ptr(&self.exchange)) {
            return Err(ApplicationError::ExchangeOver.into());
        }
        let mut head = parts.head;
        let Some(body) = &mut body.0 else { return Ok(Step::Answered) };
        let rest = match self.respond_with(&mut head, parts.head_sent, body)? {
            Rest::Pump(Body::File(file)) if is_read(&file) => {
                *body = Body::Bytes(read(file)?);
                self.respond_with(&mut head, parts.head_sent, body)?
            }
            rest => rest,
        };
        Ok(match rest {
            Rest::Done => Step::Answered,
            Rest::Pump(body) => Step::Wait(Work::Body(Pull { body, head })),
            Rest::Upgrade(protocol) => Step::Wait(Work::Upgrade(protocol)),
        })
    }

    fn respond_with(&self, head: &mut Head, head_sent: bool, body: &mut Body) -> Result<Rest> {
        let (link, number) = (&self.link, self.exchange.number);
        let mut state = link.of(number)?;
        if state.contract.has_leftovers() {
            drop(state);
            link.run_head_hooks(number, head, body)?;
            state = link.of(number)?;
        }
        link.with_wire(&mut state, |contract, wire| contract.respond(wire, head, head_sent, body))
    }

    /// Answers an error with its status, or cuts the response.
    fn fail(&mut self, error: Error) {
        complain(&self.link.info.errors, self.exchange.name(), &error);
        let page = {
            let mut state = self.link.lock();
            let gone = state.failed.is_some();
            let contract = &state.contract;
            // Where a length was announced, the peer can count.
            self.cut = contract.is_head_sent() && !contract.is_bodiless() && !contract.has_length();
            self.link.with_wire(&mut state, |contract, wire| {
                if gone || (error.is_disconnect() && !contract.is_bodiless()) {
                    contract.abandon(wire, error);
                    return None;
                }
                contract.fail(wire, error)
            })
        };
        let Some((mut head, mut body)) = page else { return };
        while let Err(error) = self.respond_with(&mut head, false, &mut body) {
            complain(&self.link.info.errors, self.exchange.name(), &error);
            let mut state = self.link.lock();
            if state.failed.is_some() {
                self.link.with_wire(&mut state, |contract, wire| contract.abandon(wire, error));
                return;
            }
            // A hook fails once, and then the plainest answer there is goes out.
            (head, body) = error_page(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    /// Refuses what is no request.
    fn refuse(&mut self, error: gateway_http1::Error) {
        let (status, reason) = match error {
            // It was our end, not the peer's.
            gateway_http1::Error::IncompleteHead if self.link.transport.is_draining() => {
                let reason = "the server is ending this connection; send the request again";
                (StatusCode::SERVICE_UNAVAILABLE, reason.to_owned())
            }
            error => (error.status(), error.to_string()),
        };
        let (mut head, _) = error_page(status);
        head.headers.remove(CONTENT_LENGTH);
        let mut body = Body::from(reason + "\n");
        let mut state = self.link.lock();
        state.contract.begin(Terms::default());
        let outcome = self.link.with_wire(&mut state, |contract, wire| {
            contract.respond(wire, &mut head, false, &mut body)
        });
        if let Err(error) = outcome {
            self.link.with_wire(&mut state, |contract, wire| contract.abandon(wire, error));
        }
    }

    /// Waits until the request is complete, behind which the other protocol begins (RFC 9110 §7.8).
    /// Tells whether that came to be.
    async fn is_switched(&mut self) -> bool {
        loop {
            let next = self.link.lock().engine.start_next_cycle(self.link.transport.now());
            match next {
                Next::Upgraded => return true,
                Next::Drain if self.drain().await => {}
                next => {
                    self.next = Some(next);
                    return false;
                }
            }
        }
    }

    /// Ends the exchange and finds out whether the connection goes on.
    async fn next_cycle(&mut self) -> Option<Ending> {
        let http10 = self.end_exchange().await;
        self.renew_exchange();
        self.first = false;
        loop {
            let next = if let Some(next) = self.next.take() {
                next
            } else {
                let now = self.link.transport.now();
                let mut state = self.link.lock();
                if state.failed.is_some() {
                    return Some(Ending::Abort);
                }
                state.engine.start_next_cycle(now)
            };
            match next {
                Next::Ready => return None,
                Next::Drain if self.drain().await => {}
                Next::Drain => return Some(Ending::Linger),
                Next::Close(reason) => return Some(self.ending(reason, http10)),
                // Whoever speaks the other protocol may end it first, and say why in its last words.
                Next::Upgraded => return Some(Ending::Linger),
            }
        }
    }

    /// Makes the exchange's handles void and tells whether it was one of HTTP/1.0. Those who want to
    /// know of the end are told when the last byte has gone, or could not go.
    async fn end_exchange(&mut self) -> bool {
        let mut flushed = Ok(());
        if self.link.lock().contract.has_leftovers() {
            flushed = poll_fn(|cx| self.link.poll_flush(cx)).await;
        }
        self.void_exchange(flushed.err())
    }

    fn void_exchange(&self, abort: Option<Error>) -> bool {
        let mut state = self.link.lock();
        state.number += 1;
        if let Some(error) = abort {
            self.link.with_wire(&mut state, |contract, wire| contract.abandon(wire, error));
        }
        let finished = state.contract.finish();
        let reader_awaited = mem::take(&mut state.reader_awaited);
        drop(state);
        if reader_awaited {
            self.link.reading.wake_all();
        }
        let exchange = &self.exchange;
        finished.run(&self.link.info.errors, || exchange.name());
        exchange.about.as_ref().is_some_and(|about| about.version == Version::HTTP_10)
    }

    /// The handle for the next exchange: the same one if no application has kept it.
    fn renew_exchange(&mut self) {
        let number = self.exchange.number + 1;
        own(&mut self.exchange).renew(number);
    }

    /// Throws away what is left of a request's body, within the engine's limits. Tells whether the
    /// next request can follow.
    async fn drain(&mut self) -> bool {
        // The exchange may still be on, and others may wait for the peer.
        let number = self.link.lock().number;
        loop {
            {
                let mut state = self.link.lock();
                match state.engine.next_event() {
                    Ok(Event::Data(_)) => continue,
                    Ok(Event::NeedData) => {
                        state.engine.body_wanted(true, self.link.transport.now());
                    }
                    Ok(Event::Closed) | Err(_) => return false,
                    Ok(_) => return true,
                }
            }
            if poll_fn(|cx| self.link.poll_flush(cx)).await.is_err() {
                return false;
            }
            match poll_fn(|cx| self.link.poll_read(cx, Phase::Closing, Some(number))).await {
                Ok(Read::Some | Read::TimedOut(None)) => {}
                Ok(Read::TimedOut(Some(_))) | Err(_) => return false,
            }
        }
    }

    fn ending(&self, reason: CloseReason, http10: bool) -> Ending {
        match reason {
            // Without a length or chunks, a plain end would look like a whole body.
            _ if self.cut && http10 => Ending::Abort,
            CloseReason::PeerRequested
            | CloseReason::PeerClosed
            | CloseReason::Http10
            | CloseReason::UntilClose => {
                let engine = &self.link.lock().engine;
                // A reset under what the peer still sends would destroy the answer.
                match engine.is_request_complete() && engine.buffered() == 0 {
                    true => Ending::Clean,
                    false => Ending::Linger,
                }
            }
            _ => Ending::Linger,
        }
    }

    async fn close(&mut self, ending: Ending) {
        let flushed = poll_fn(|cx| self.link.poll_flush(cx)).await;
        if flushed.is_err() || ending == Ending::Abort {
            self.link.transport.close(true);
            return;
        }
        if ending == Ending::Linger {
            // It fails only if the peer is gone, and then there is nothing to linger for.
            let _ = self.linger().await;
        }
        self.link.transport.close(false);
    }

    /// Says that nothing more comes, and lets the peer finish sending, within the engine's limits.
    async fn linger(&mut self) -> io::Result<()> {
        self.link.transport.shutdown_write()?;
        let now = self.link.transport.now();
        self.link.lock().engine.linger(now);
        while !self.link.lock().engine.is_lingering_done() {
            match poll_fn(|cx| self.link.poll_read(cx, Phase::Closing, None)).await? {
                Read::Some | Read::TimedOut(None) => {}
                Read::TimedOut(Some(_)) => return Ok(()),
            }
        }
        self.wait_for_the_peer().await;
        Ok(())
    }

    /// So much came that nothing more of it is read. A peer that can send no more has time for the
    /// answer, which a reset would destroy; so this waits, for its end or for the rest of the time.
    async fn wait_for_the_peer(&self) {
        let transport = &self.link.transport;
        let deadline = self.link.lock().engine.poll_timeout();
        transport.note(Phase::Closing, deadline);
        let gone = poll_fn(|cx| match deadline {
            Some(deadline) if transport.now() < deadline => transport.poll_gone(cx),
            _ => Poll::Ready(()),
        });
        // When the server ends first, there is nothing to wait for either.
        let _ = transport.drive(gone).await;
    }
}

/// Also where the connection is dropped in the middle, those who want to know of the end are told.
impl<T: Transport> Drop for Driver<T> {
    fn drop(&mut self) {
        if self.link.lock().contract.has_leftovers() {
            self.void_exchange(Some(PeerError::Disconnected.into()));
        }
    }
}

/// The usual end of an exchange: nobody wants to know of it, nobody kept a handle, and the connection
/// goes on. None where there is more to it, and nothing has been done yet.
fn next_cycle<T: Transport>(
    state: &mut State,
    exchange: &mut Arc<ConnectionExchange<T>>,
    now: Instant,
) -> Option<Next> {
    if state.contract.has_leftovers() || state.reader_awaited || state.failed.is_some() {
        return None;
    }
    let exchange = Arc::get_mut(exchange)?;
    let next = state.engine.start_next_cycle(now);
    if next == Next::Ready {
        state.number += 1;
        exchange.renew(state.number);
    }
    Some(next)
}

/// The exchange, which is another one with the same number if somebody has kept it.
fn own<T>(exchange: &mut Arc<ConnectionExchange<T>>) -> &mut ConnectionExchange<T> {
    if Arc::get_mut(exchange).is_none() {
        *exchange = Arc::new(ConnectionExchange::new(Arc::clone(&exchange.link), exchange.number));
    }
    Arc::get_mut(exchange).expect("nobody else has seen the new one")
}
