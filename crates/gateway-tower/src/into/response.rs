//! What the host is given: a future of a response, and its body.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use gateway_core::bytes::Bytes;
use gateway_core::http::{HeaderMap, Response, StatusCode};
use gateway_core::http_body::{Body, Frame, SizeHint};
use gateway_core::{ApplicationError, BoxError, Error, Head, PeerError, ReasonPhrase, Reply};
use gateway_handler::Framing;

use super::exchange::{HostExchange, State, Written};
use super::outbox::{Next, tell_framing};
use super::run::{Answer, Run};
use super::{pool, upgrade};

/// How many fields the memory of a request's map may be for to become a response's: the host keeps it
/// for as long as the connection.
const LARGEST_SPARE: usize = 96;

/// The response of an application, as a future. Dropping it cancels what has not been answered.
#[must_use = "futures do nothing unless they are polled"]
pub struct ResponseFuture(Future_);

enum Future_ {
    Ready(Option<Response<ResponseBody>>),
    Run(Option<Run>),
}

/// The body of an application's response.
///
/// It fails where the response is cut: the host has to let the peer see that. Dropping it gives the
/// exchange up.
pub struct ResponseBody(Content);

enum Content {
    /// What is still to come, in one piece.
    Whole(Bytes),
    /// Nothing but the error that says why.
    Unanswered,
    Run {
        run: Box<Run>,
        /// How much is still to come, where that is known.
        left: Option<u64>,
        state: Sent,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Open,
    /// It ends with an error, which waits until the host has sent what came before.
    Cut,
    Ended,
}

impl ResponseFuture {
    /// Calls the application and goes as far as that needs no waiting.
    pub(super) fn of(
        exchange: Arc<HostExchange>,
        cancels: bool,
        call: impl FnOnce() -> Reply,
    ) -> ResponseFuture {
        let reply = pool::on_reactor(call).unwrap_or_else(Reply::from);
        ResponseFuture(Future_::after(exchange, cancels, reply))
    }
}

impl Future_ {
    #[inline(always)]
    fn after(mut exchange: Arc<HostExchange>, cancels: bool, reply: Reply) -> Future_ {
        let run = match reply {
            Reply::Ready(outcome) => {
                let mut answer = outcome.and_then(|response| Answer::of(&exchange, response));
                match answer.as_mut().ok().and_then(|answer| at_once(&mut exchange, answer)) {
                    Some(Ok(response)) => {
                        HostExchange::retire(exchange);
                        return Future_::Ready(Some(response));
                    }
                    Some(Err(error)) => Run::answered(exchange, cancels, Err(error)),
                    None => Run::answered(exchange, cancels, answer),
                }
            }
            Reply::Pending(future) => {
                return Future_::Run(Some(Run::waiting(exchange, cancels, future)));
            }
            reply @ Reply::Blocking(_) => Run::begin(exchange, cancels, reply),
        };
        let head = run.exchange().lock().outbox.take_head();
        match head {
            Some((head, framing)) => Future_::Ready(Some(streamed(head, framing, run))),
            None => Future_::Run(Some(run)),
        }
    }
}

/// Sends an answer that is whole, where nobody has kept a handle or wants to know of its head or its
/// end. `None` where that is not so, and nothing has happened.
///
/// The head's map is made in the memory of the request's, which has served.
fn at_once(
    exchange: &mut Arc<HostExchange>,
    answer: &mut Answer,
) -> Option<Result<Response<ResponseBody>, Error>> {
    let Answer { head, head_sent, body } = answer;
    if *head_sent || !matches!(body, gateway_core::Body::Bytes(_) | gateway_core::Body::Empty) {
        return None;
    }
    let (State { contract, outbox, .. }, fields) = Arc::get_mut(exchange)?.split_mut();
    if contract.is_head_sent() || contract.has_leftovers() {
        return None;
    }
    let responded = contract.respond(outbox, head, false, body);
    let head = mem::take(head);
    Some(match (responded, outbox.take_framing()) {
        (Ok(_), Some(framing)) => {
            let content = Content::Whole(outbox.take_data());
            let spare = fields.take_map().filter(|map| map.capacity() <= LARGEST_SPARE);
            let headers = head.headers.into_map(spare.unwrap_or_default());
            Ok(response(head.status, head.reason, headers, framing, content))
        }
        (responded, framing) => {
            // A head may be out although its body is wrong.
            outbox.put_back(head, framing);
            Err(responded.err().unwrap_or_else(|| ApplicationError::ExchangeOver.into()))
        }
    })
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Futures are not to be polled after their end: then there is nothing.
        loop {
            let slot = match &mut self.0 {
                Future_::Ready(response) => {
                    return response
                        .take()
                        .map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
                }
                Future_::Run(run) => run,
            };
            let Some(run) = slot else { return Poll::Pending };
            if let Poll::Ready(Some(reply)) = run.poll_reply(cx) {
                let Some(run) = slot.take() else { return Poll::Pending };
                let (exchange, cancels) = run.let_go();
                self.0 = Future_::after(exchange, cancels, reply);
                continue;
            }
            let mut written = run.exchange().written_head(cx);
            // A reply has been polled already.
            if matches!(written, Written::NotYet) && !run.is_waiting() {
                if run.poll_step(cx).is_ready() {
                    continue;
                }
                // The step may have put it there and still be waiting.
                written = run.exchange().written_head(cx);
            }
            if matches!(written, Written::NotYet) {
                return Poll::Pending;
            }
            let Some(run) = slot.take() else { return Poll::Pending };
            return Poll::Ready(Ok(match written {
                Written::Head(head, framing) => streamed(head, framing, run),
                Written::NotYet | Written::Never => unanswered(),
            }));
        }
    }
}

/// For a peer that has gone, if the host asks for something all the same.
fn unanswered() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody(Content::Unanswered));
    *response.status_mut() = PeerError::Disconnected.status();
    response
}

fn streamed(head: Head, framing: Framing, run: Run) -> Response<ResponseBody> {
    let content = match run.take_whole() {
        Some(data) => Content::Whole(data),
        // What follows is not the response's body.
        None if head.status == StatusCode::SWITCHING_PROTOCOLS => Content::Whole(Bytes::new()),
        None => {
            let left = if framing.bodiless { Some(0) } else { framing.length };
            Content::Run { run: Box::new(run), left, state: Sent::Open }
        }
    };
    response(head.status, head.reason, head.headers.into(), framing, content)
}

fn response(
    status: StatusCode,
    reason: Option<ReasonPhrase>,
    headers: HeaderMap,
    framing: Framing,
    content: Content,
) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody(content));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    tell_framing(response.headers_mut(), status, framing);
    if let Some(reason) = reason {
        upgrade::say_reason(response.extensions_mut(), &reason);
    }
    response
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Content::Whole(data) => {
                let data = mem::take(data);
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
            Content::Unanswered => {
                self.0 = Content::Whole(Bytes::new());
                Poll::Ready(Some(Err(Error::from(PeerError::Disconnected).into())))
            }
            Content::Run { state: Sent::Ended, .. } => Poll::Ready(None),
            Content::Run { run, left, state } => {
                let next = ready!(poll_next(run, cx));
                Poll::Ready(match next {
                    Next::Frame(frame) => {
                        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                        *left = left.map(|left| left.saturating_sub(length));
                        Some(Ok(frame))
                    }
                    Next::Cut if *state == Sent::Open => {
                        // A host may throw away what it has not sent when a body fails.
                        *state = Sent::Cut;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Next::Cut => {
                        *state = Sent::Ended;
                        Some(Err("the response was cut: its application failed".into()))
                    }
                    Next::End | Next::Nothing => {
                        *state = Sent::Ended;
                        run.exchange().finish(None);
                        None
                    }
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(data) => data.is_empty(),
            Content::Unanswered => false,
            Content::Run { run, state, .. } => {
                *state == Sent::Ended || run.exchange().lock().outbox.has_ended()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(data) => SizeHint::with_exact(data.len() as u64),
            Content::Run { left: Some(left), .. } => SizeHint::with_exact(*left),
            Content::Run { .. } | Content::Unanswered => SizeHint::new(),
        }
    }
}

/// What comes next, and never [`Next::Nothing`].
fn poll_next(run: &mut Run, cx: &mut Context<'_>) -> Poll<Next> {
    loop {
        let mut next = run.exchange().next(cx);
        if let Next::Nothing = next {
            if run.poll_step(cx).is_ready() {
                continue;
            }
            // The step may have put something there and still be waiting.
            next = run.exchange().next(cx);
        }
        return match next {
            Next::Nothing => Poll::Pending,
            next => Poll::Ready(next),
        };
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}
