//! The driver of one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use gateway_core::exchange::ConnectionInfo;
use gateway_core::http::header::CONTENT_LENGTH;
use gateway_core::http::{StatusCode, Version};
use gateway_core::{Body, Error, PeerError, Reply, Result, Upgrade};
use gateway_handler::{Terms, caught, complain, error_page};
use gateway_http1::{CloseReason, Event, Next, Timeout};

use crate::advance::{Sent, Spent, own, respond, send};
use crate::caught::{CaughtFuture, caught_reply};
use crate::exchange::ConnectionExchange;
use crate::link::{Link, Read, Taken};
use crate::pump::{Pull, pump};
use crate::upgrade::upgrade;
use crate::{Phase, Service, Transport};

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
    let taken = Taken::default();
    let mut driver = Driver { link, exchange, first: true, cut: false, next: None, taken };
    async move {
        let ending = driver.run().await;
        driver.close(ending).await;
    }
}

pub(crate) struct Driver<T: Transport> {
    pub(crate) link: Arc<Link<T>>,
    pub(crate) exchange: Arc<ConnectionExchange<T>>,
    /// No request has come yet.
    pub(crate) first: bool,
    /// The present response was ended before its end.
    cut: bool,
    /// What the engine has said of the next cycle already.
    pub(crate) next: Option<Next>,
    /// What the driver has taken out of the state to write and to read between two exchanges.
    pub(crate) taken: Taken,
}

/// What a connection nearly always comes to: what waits is written, and more is read, both of which
/// [`Driver::taken`] is for.
pub(crate) struct Turn {
    pub(crate) phase: Phase,
    pub(crate) deadline: Option<Instant>,
}

/// What it comes to otherwise.
pub(crate) enum Step {
    /// The same, while others are at it.
    Read(Phase),
    /// The peer has to read first.
    Flush,
    /// The exchange goes on by waiting.
    Wait(Work),
    /// The response is complete.
    Answered,
    /// The application has failed.
    Failed(Error),
    /// What came is no request.
    Refused(gateway_http1::Error),
    /// The connection is over.
    End(Ending),
}

/// What an exchange waits for.
pub(crate) enum Work {
    /// The application's answer.
    Reply(Reply),
    /// What its body brings.
    Body(Pull),
    /// The other protocol's end.
    Upgrade(Upgrade),
}

/// How the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was said and heard.
    Clean,
    /// The peer may still be sending, and a reset would destroy what it has not read yet.
    Linger,
    /// What was sent is incomplete, and that must be seen.
    Abort,
}

impl<T: Transport> Driver<T> {
    async fn run(&mut self) -> Ending {
        let mut read = None;
        loop {
            let ending = match self.advance(read.take()) {
                ControlFlow::Continue(turn) => {
                    read = self.turn(&turn).await;
                    if read.is_some() {
                        continue;
                    }
                    self.read(turn.phase).await
                }
                ControlFlow::Break(step) => self.take_step(step).await,
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    async fn take_step(&mut self, step: Step) -> Option<Ending> {
        match step {
            Step::Read(phase) => self.read(phase).await,
            Step::Flush => self.flush().await,
            Step::Wait(work) => {
                self.finish(work).await;
                self.next_cycle().await
            }
            Step::Answered => self.next_cycle().await,
            Step::Failed(error) => {
                self.fail(error);
                self.next_cycle().await
            }
            // Its place is wanted, or the server ends. What had come was read, and the peer may never
            // send the rest.
            Step::Refused(error) if self.is_given_up(error) => {
                self.refuse(error);
                Some(Ending::Clean)
            }
            Step::Refused(error) => {
                self.refuse(error);
                Some(Ending::Linger)
            }
            Step::End(ending) => Some(ending),
        }
    }

    /// Writes what waits and reads once, as nearly always can be done: the peer takes it all without
    /// waiting. Otherwise it is none, and nothing has been read.
    async fn turn(&mut self, turn: &Turn) -> Option<io::Result<usize>> {
        let Driver { link, taken: Taken { out, buffer }, .. } = self;
        if !out.is_empty() {
            let written = link.transport.try_write(out);
            if !written.as_ref().is_ok_and(|n| *n == out.len()) {
                link.put_back(mem::take(buffer));
                link.give_back_output(mem::take(out), Poll::Ready(written));
                return None;
            }
            out.clear();
        }
        link.transport.note(turn.phase, turn.deadline);
        Some(poll_fn(|cx| link.transport.poll_read(cx, buffer)).await)
    }

    /// The same where others are at it, or the peer has to read first.
    async fn read(&mut self, phase: Phase) -> Option<Ending> {
        if let Some(ending) = self.flush().await {
            return Some(ending);
        }
        match poll_fn(|cx| self.link.poll_read(cx, phase, None)).await {
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
                    Ok(Some(more)) => {
                        work = more;
                        continue;
                    }
                    outcome => outcome.map(drop),
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

    /// Drives a reply until it is ready, and sends it as far as that needs no waiting. What is left
    /// to wait for is given back.
    async fn answer_to(&mut self, mut reply: Reply) -> Result<Option<Work>> {
        let transport = &self.link.transport;
        let response = loop {
            reply = match reply {
                Reply::Ready(outcome) => break outcome?,
                Reply::Pending(future) => transport.drive(CaughtFuture(Some(future))).await?,
                Reply::Blocking(job) => transport.work(move || caught_reply(job)).await?,
            };
        };
        let mut spent = Spent::default();
        match send(&self.link, &self.exchange, response, &mut spent)? {
            Sent::Whole(_) => Ok(None),
            Sent::Waits(work) => Ok(Some(work)),
        }
    }
}

impl<T: Transport> Driver<T> {
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
        while let Err(error) =
            respond(&self.link, self.exchange.number, &mut head, false, &mut body).map(drop)
        {
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
            error if self.is_given_up(error) => {
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

    /// Whether the server ended the connection before the head had come.
    fn is_given_up(&self, error: gateway_http1::Error) -> bool {
        error == gateway_http1::Error::IncompleteHead && self.link.transport.is_draining()
    }

    /// Waits until the request is complete, behind which the other protocol begins (RFC 9110 §7.8).
    /// Tells whether that came to be.
    async fn is_switched(&mut self) -> bool {
        loop {
            let next = self.link.lock().engine.start_next_cycle();
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
                let mut state = self.link.lock();
                if state.failed.is_some() {
                    return Some(Ending::Abort);
                }
                state.engine.start_next_cycle()
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
        self.link.lock().engine.linger();
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
        let deadline = self.link.lock().engine.poll_timeout(transport.now());
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
