//! The driver of one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;

use gateway_core::exchange::{ConnectionInfo, Exchange};
use gateway_core::http::{Method, Version};
use gateway_core::{
    ApplicationError, Body, Environ, Error, Head, Reply, Response, Result, StartResponse, Upgrade,
};
use gateway_handler::{Rest, caught, complain, error_page};
use gateway_http1::{CloseReason, Event, Next, RequestHead, Timeout};

use crate::caught::{CaughtFuture, caught_reply};
use crate::exchange::ConnectionExchange;
use crate::link::{About, Link, Read, State};
use crate::pump::{Pull, pump};
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
    let exchange = Arc::new(ConnectionExchange { link: Arc::clone(&link), number: 0 });
    let mut driver = Driver { link, exchange, first: true, cut: false, next: None };
    async move {
        let ending = driver.run().await;
        driver.close(ending).await;
    }
}

struct Driver<T> {
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
        loop {
            let environ = {
                let mut state = self.link.lock();
                if state.out.len() >= HIGH_WATER {
                    return Step::Flush;
                }
                match state.engine.next_event() {
                    Ok(Event::Request(request)) => self.begin(&mut state, request),
                    Ok(Event::Closed) => return Step::End(Ending::Clean),
                    Ok(_) if state.engine.buffered() == 0 && !self.first => {
                        return Step::Read(Phase::Idle);
                    }
                    Ok(_) => return Step::Read(Phase::Head),
                    Err(error) => return Step::Refused(error),
                }
            };
            match self.call(environ) {
                Step::Answered if self.next_is_ready() => {}
                step => return step,
            }
        }
    }

    fn begin(&self, state: &mut State, request: RequestHead) -> Environ {
        state.contract.begin(request.method == Method::HEAD);
        state.about = Some(About::new(&request));
        let exchange: Arc<dyn Exchange> = Arc::clone(&self.exchange) as _;
        environ(exchange, request, state.engine.fields(), self.link.service.body_limit)
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

    /// The usual end of an exchange: nobody wants to know of it, nobody kept a handle, and the
    /// connection goes on. Otherwise there is [`next_cycle`](Driver::next_cycle).
    fn next_is_ready(&mut self) -> bool {
        let now = self.link.transport.now();
        let mut state = self.link.lock();
        if state.contract.has_end_hooks() || state.reader_awaited || state.failed.is_some() {
            return false;
        }
        let Some(exchange) = Arc::get_mut(&mut self.exchange) else { return false };
        let next = state.engine.start_next_cycle(now);
        if next != Next::Ready {
            self.next = Some(next);
            return false;
        }
        state.number += 1;
        exchange.number = state.number;
        state.about = None;
        self.first = false;
        true
    }
}

impl<T: Transport> Driver<T> {
    async fn read(&mut self, phase: Phase) -> Option<Ending> {
        if let Some(ending) = self.flush().await {
            return Some(ending);
        }
        match poll_fn(|cx| self.link.poll_read(cx, phase, false)).await {
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
                Work::Body(pull) => pump(Arc::clone(&self.link), pull).await,
                Work::Upgrade(protocol) => upgrade(Arc::clone(&self.link), protocol).await,
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
        if !std::ptr::addr_eq(Arc::as_ptr(&parts.exchange), Arc::as_ptr(&self.exchange)) {
            return Err(ApplicationError::ExchangeOver.into());
        }
        let (mut head, body) = (parts.head, parts.body);
        Ok(match self.respond_with(&mut head, body, parts.head_sent)? {
            Rest::Done => Step::Answered,
            Rest::Pump(body) => {
                let held = (!self.link.lock().contract.is_head_sent()).then_some(head);
                Step::Wait(Work::Body(Pull { body, held }))
            }
            Rest::Upgrade(protocol) => Step::Wait(Work::Upgrade(protocol)),
        })
    }

    fn respond_with(&self, head: &mut Head, body: Body, head_sent: bool) -> Result<Rest> {
        let mut state = self.link.lock();
        if state.contract.is_head_sent() != head_sent {
            return Err(ApplicationError::HeadSent.into());
        }
        if !state.contract.is_held(head, &body)
            && let Some(hooks) = state.contract.take_head_hooks()
        {
            drop(state);
            caught(|| hooks.run(head))?;
            state = self.link.lock();
        }
        if let Some(failure) = state.failed {
            return Err(failure.into());
        }
        let errors = &self.link.info.errors;
        self.link.with_wire(&mut state, |contract, wire| contract.respond(wire, errors, head, body))
    }

    /// Answers an error with its status, or cuts the response.
    fn fail(&mut self, error: Error) {
        complain(&self.link.info.errors, self.about(), &error);
        let page = {
            let mut state = self.link.lock();
            let gone = state.failed.is_some();
            self.link.with_wire(&mut state, |contract, wire| {
                if gone || error.is_disconnect() {
                    contract.abandon(wire, error);
                    return None;
                }
                contract.fail(wire, error)
            })
        };
        let Some((mut head, body)) = page else {
            self.cut = true;
            return;
        };
        let Err(error) = self.respond_with(&mut head, body, false) else {
            return;
        };
        // The status or a hook was no good: say what certainly is, and nothing more.
        complain(&self.link.info.errors, self.about(), &error);
        let (mut head, body) = error_page(gateway_core::http::StatusCode::INTERNAL_SERVER_ERROR);
        if let Err(error) = self.respond_with(&mut head, body, false) {
            let mut state = self.link.lock();
            self.link.with_wire(&mut state, |contract, wire| contract.abandon(wire, error));
        }
    }

    /// Refuses what is no request.
    fn refuse(&mut self, error: gateway_http1::Error) {
        let (mut head, _) = error_page(error.status());
        head.headers.remove(gateway_core::http::header::CONTENT_LENGTH);
        let body = Body::from(format!("{error}\n"));
        let mut state = self.link.lock();
        state.contract.begin(false);
        let errors = &self.link.info.errors;
        let outcome = self.link.with_wire(&mut state, |contract, wire| {
            contract.respond(wire, errors, &mut head, body)
        });
        if let Err(error) = outcome {
            self.link.with_wire(&mut state, |contract, wire| contract.abandon(wire, error));
        }
    }

    /// Ends the exchange and finds out whether the connection goes on.
    async fn next_cycle(&mut self) -> Option<Ending> {
        if self.link.lock().contract.has_end_hooks() {
            self.tell_end().await;
        }
        let http10 = self.end_exchange();
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
                Next::Upgraded => return Some(Ending::Clean),
            }
        }
    }

    /// Makes the exchange's handles void and tells whether it was one of HTTP/1.0.
    fn end_exchange(&self) -> bool {
        let mut state = self.link.lock();
        state.number += 1;
        state.contract.finish();
        // Kept longer, it would keep the receive buffer from being used again.
        let about = state.about.take();
        if std::mem::take(&mut state.reader_awaited) {
            drop(state);
            self.link.reading.wake_all();
        }
        about.is_some_and(|about| about.version == Version::HTTP_10)
    }

    /// Those who want to know of the end are told when the last byte has gone, or could not go.
    async fn tell_end(&mut self) {
        let flushed = poll_fn(|cx| self.link.poll_flush(cx)).await;
        let finished = {
            let mut state = self.link.lock();
            if let Err(error) = flushed {
                self.link.with_wire(&mut state, |contract, wire| contract.abandon(wire, error));
            }
            state.contract.finish()
        };
        if let Err(error) = caught(|| finished.run()) {
            complain(&self.link.info.errors, self.about(), &error);
        }
    }

    /// The handle for the next exchange: the same one if no application has kept it.
    fn renew_exchange(&mut self) {
        let number = self.exchange.number + 1;
        match Arc::get_mut(&mut self.exchange) {
            Some(exchange) => exchange.number = number,
            None => {
                let link = Arc::clone(&self.link);
                self.exchange = Arc::new(ConnectionExchange { link, number });
            }
        }
    }

    /// Throws away what is left of a request's body, within the engine's limits. Tells whether the
    /// next request can follow.
    async fn drain(&mut self) -> bool {
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
            match poll_fn(|cx| self.link.poll_read(cx, Phase::Closing, false)).await {
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
            | CloseReason::UntilClose => match self.link.lock().engine.buffered() {
                0 => Ending::Clean,
                _ => Ending::Linger,
            },
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
            match poll_fn(|cx| self.link.poll_read(cx, Phase::Closing, false)).await? {
                Read::Some | Read::TimedOut(None) => {}
                Read::TimedOut(Some(_)) => break,
            }
        }
        Ok(())
    }

    /// The exchange as the log names it.
    fn about(&self) -> String {
        match &self.link.lock().about {
            Some(about) => about.to_string(),
            None => "a request".to_owned(),
        }
    }
}
