//! An application's answer on its way to the host.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use gateway_core::bytes::Bytes;
use gateway_core::http::StatusCode;
use gateway_core::http_body::Frame;
use gateway_core::{
    ApplicationError, Body, BoxError, BoxFuture, Error, Head, IterBody, Parts, Reply, Response,
    Result, StreamBody,
};
use gateway_handler::{FilePieces, Flow, Rest, caught, complain, error_page};

use super::exchange::HostExchange;
use super::pool::{self, Job};
use super::pump::{Pen, Pumped, take_turn};
use super::upgrade;

/// Goes on as long as the host polls it, and gives up when the host drops it.
pub(super) struct Run {
    exchange: Arc<HostExchange>,
    stage: Stage,
    /// A reply is dropped when the host drops it.
    cancels: bool,
    /// The host has dropped it.
    left: bool,
}

/// A response of the exchange, taken apart: it is no handle any more.
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) head_sent: bool,
    pub(super) body: Body,
}

/// What is waited for.
enum Stage {
    Reply(BoxFuture<Reply>),
    Work(Job<Reply>),
    /// The pen is dropped behind what it writes.
    Stream(StreamBody, Pen),
    /// An iterator whose thread was given back, or that has had none yet.
    Items(IterBody, Pen),
    Pumping(Job<Pumped>),
    /// Nothing: all that there is is in the outbox.
    Done,
    /// Somebody else ends the exchange: the protocol that the connection was switched to.
    Switched,
}

impl Answer {
    /// # Errors
    ///
    /// [`ApplicationError::ExchangeOver`] for the response of another exchange.
    pub(super) fn of(exchange: &Arc<HostExchange>, response: Response) -> Result<Answer> {
        let Parts { head, body, head_sent, exchange: its, .. } = response.into_parts();
        if !std::ptr::addr_eq(Arc::as_ptr(&its), Arc::as_ptr(exchange)) {
            drop(Closing(Some(body)));
            return Err(ApplicationError::ExchangeOver.into());
        }
        Ok(Answer { head, head_sent, body })
    }
}

impl Run {
    /// Goes on with `reply`, as far as that needs no waiting.
    pub(super) fn begin(exchange: Arc<HostExchange>, cancels: bool, reply: Reply) -> Run {
        let mut run = Run::idle(exchange, cancels);
        run.go_on(reply);
        run
    }

    /// Goes on with what was answered at once.
    pub(super) fn answered(
        exchange: Arc<HostExchange>,
        cancels: bool,
        outcome: Result<Answer>,
    ) -> Run {
        let mut run = Run::idle(exchange, cancels);
        run.answer(outcome);
        run
    }

    /// Waits for a reply.
    pub(super) fn waiting(
        exchange: Arc<HostExchange>,
        cancels: bool,
        reply: BoxFuture<Reply>,
    ) -> Run {
        Run { exchange, stage: Stage::Reply(reply), cancels, left: false }
    }

    fn idle(exchange: Arc<HostExchange>, cancels: bool) -> Run {
        Run { exchange, stage: Stage::Done, cancels, left: false }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Reply(_))
    }

    /// The reply that is [waited for](Run::is_waiting); `None` where that is something else.
    pub(super) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        let Stage::Reply(future) = &mut self.stage else { return Poll::Ready(None) };
        let reply = match pool::on_reactor(|| future.as_mut().poll(cx)) {
            Ok(polled) => ready!(polled),
            Err(error) => error.into(),
        };
        self.close();
        Poll::Ready(Some(reply))
    }

    /// Leaves the exchange to the caller.
    pub(super) fn let_go(mut self) -> (Arc<HostExchange>, bool) {
        self.stage = Stage::Switched;
        (Arc::clone(&self.exchange), self.cancels)
    }

    pub(super) fn exchange(&self) -> &HostExchange {
        &self.exchange
    }

    /// The data of a response that is all there, in one piece, where nobody wants to know when it has
    /// gone. That was the end of the exchange.
    pub(super) fn take_whole(&self) -> Option<Bytes> {
        let mut state = self.exchange.lock();
        if !state.outbox.is_whole() || state.contract.has_leftovers() {
            return None;
        }
        let data = state.outbox.take_data();
        self.exchange.end(state);
        Some(data)
    }

    /// Takes one step. Ready when something has changed, so that the outbox is worth a look.
    pub(super) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stage {
            Stage::Reply(_) => {
                if let Some(reply) = ready!(self.poll_reply(cx)) {
                    self.go_on(reply);
                }
            }
            Stage::Work(job) => {
                let reply = ready!(Pin::new(job).poll(cx)).unwrap_or_else(Reply::from);
                self.stage = Stage::Done;
                self.go_on(reply);
            }
            Stage::Stream(body, pen) => {
                let polled = pool::on_reactor(|| body.as_mut().poll_frame(cx));
                let outcome = match polled {
                    Ok(polled) => stream_step(pen, ready!(polled)),
                    Err(error) => Err(error),
                };
                match outcome {
                    Ok(true) => {}
                    ended => self.end(ended.map(drop)),
                }
            }
            Stage::Items(..) => {
                if let Stage::Items(items, pen) = mem::replace(&mut self.stage, Stage::Done) {
                    match pool::run(|| take_turn(items, pen)) {
                        Ok(job) => self.stage = Stage::Pumping(job),
                        Err(error) => self.end(Err(error)),
                    }
                }
            }
            Stage::Pumping(job) => match ready!(Pin::new(job).poll(cx)) {
                Ok(Pumped::Paused(items, pen)) => self.stage = Stage::Items(items, pen),
                Ok(Pumped::Ended(outcome)) => self.end(outcome),
                Err(error) => self.end(Err(error)),
            },
            Stage::Done | Stage::Switched => return Poll::Pending,
        }
        Poll::Ready(())
    }

    fn go_on(&mut self, reply: Reply) {
        let outcome = match reply {
            Reply::Ready(outcome) => outcome,
            Reply::Pending(future) => {
                self.stage = Stage::Reply(future);
                return;
            }
            Reply::Blocking(job) => match pool::run(job) {
                Ok(job) => {
                    self.stage = Stage::Work(job);
                    return;
                }
                Err(error) => Err(error),
            },
        };
        self.answer(outcome.and_then(|response| Answer::of(&self.exchange, response)));
    }

    fn answer(&mut self, outcome: Result<Answer>) {
        HostExchange::settle(&mut self.exchange);
        if let Err(error) = outcome.and_then(|answer| self.respond(answer)) {
            self.fail(error);
        }
    }

    fn respond(&mut self, answer: Answer) -> Result<()> {
        let Answer { mut head, head_sent, body } = answer;
        let mut body = Closing(Some(body));
        let Some(body) = &mut body.0 else { return Ok(()) };
        match self.respond_with(&mut head, head_sent, body)? {
            Rest::Done => {}
            Rest::Pump(body) => self.stage = self.pull(head, body),
            Rest::Upgrade(protocol) => {
                self.stage = Stage::Switched;
                let exchange = Arc::clone(&self.exchange);
                if let Err(error) = upgrade::switch(&exchange, protocol) {
                    complain(&exchange.info().errors, exchange.about(), &error);
                    exchange.finish(Some(error));
                }
            }
        }
        Ok(())
    }

    fn respond_with(&self, head: &mut Head, head_sent: bool, body: &mut Body) -> Result<Rest> {
        self.exchange.run_head_hooks(head, body)?;
        self.exchange.with(|contract, outbox| {
            let rest = contract.respond(outbox, head, head_sent, body);
            outbox.keep_head(|| mem::take(head));
            rest
        })
    }

    fn pull(&self, head: Head, body: Body) -> Stage {
        let length = body.len();
        let pen = || Pen::new(Arc::clone(&self.exchange), length, head);
        match body {
            Body::Stream(stream) => Stage::Stream(stream, pen()),
            Body::Iter(items) => Stage::Items(items, pen()),
            Body::File(file) => Stage::Items(Box::new(FilePieces::new(file)), pen()),
            // The contract sends the other kinds itself.
            _ => Stage::Done,
        }
    }

    /// The body is over, for good or ill.
    fn end(&mut self, outcome: Result<()>) {
        self.close();
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    /// Answers an error with its status, or cuts the response.
    fn fail(&self, error: Error) {
        let exchange = &self.exchange;
        complain(&exchange.info().errors, exchange.about(), &error);
        let page = exchange.with(|contract, outbox| {
            if error.is_disconnect() && !contract.is_bodiless() {
                contract.abandon(outbox, error);
                return Ok(None);
            }
            Ok(contract.fail(outbox, error))
        });
        let Ok(Some((mut head, mut body))) = page else { return };
        while let Err(error) = self.respond_with(&mut head, false, &mut body) {
            complain(&exchange.info().errors, exchange.about(), &error);
            if exchange.is_over() {
                return;
            }
            // A hook fails once, and then the plainest answer there is goes out.
            (head, body) = error_page(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    /// Drops what is waited for. It is code of the application, which may panic, and an iterator's
    /// may block.
    fn close(&mut self) {
        match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Items(items, pen) => {
                let pulled = Pumped::Paused(items, pen);
                drop(caught(|| pool::run(move || drop(pulled)).map(drop)));
            }
            stage => drop(caught(move || drop(stage))),
        }
    }

    /// Drives a reply to its end although the host has gone.
    async fn wind_up(mut self) {
        while matches!(self.stage, Stage::Reply(_) | Stage::Work(_)) {
            poll_fn(|cx| self.poll_step(cx)).await;
        }
    }
}

/// Puts a frame into the outbox and tells whether more are wanted.
fn stream_step(pen: &mut Pen, frame: Option<Result<Frame<Bytes>, BoxError>>) -> Result<bool> {
    let Some(frame) = frame else { return pen.end(None).map(|()| false) };
    let trailers = match frame?.into_data() {
        Ok(data) => match pen.data(data)? {
            Flow::More => return Ok(true),
            Flow::Enough => None,
        },
        Err(frame) => frame.into_trailers().ok(),
    };
    pen.end(trailers).map(|()| false)
}

impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Switched) {
            return;
        }
        if self.exchange.is_over() {
            return self.close();
        }
        if !self.left {
            self.left = true;
            self.exchange.give_up();
            let goes_on = match self.stage {
                Stage::Reply(_) => !self.cancels,
                Stage::Work(_) => true,
                _ => false,
            };
            if goes_on && let Ok(runtime) = pool::handle("wind up") {
                let exchange = Arc::clone(&self.exchange);
                // What is dropped here has nothing left to do.
                let stage = mem::replace(&mut self.stage, Stage::Switched);
                let run = Run { exchange, stage, cancels: self.cancels, left: true };
                drop(runtime.spawn(run.wind_up()));
                return;
            }
        }
        self.close();
        self.exchange.leave();
    }
}

/// A body that is not wanted any more: closing it runs code of the application, which may panic.
struct Closing(Option<Body>);

impl Drop for Closing {
    fn drop(&mut self) {
        let body = self.0.take();
        // The response has its outcome; closing cannot change it.
        let _ = caught(move || drop(body));
    }
}
