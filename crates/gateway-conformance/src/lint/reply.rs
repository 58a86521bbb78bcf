//! How an answer comes.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gateway_core::{ApplicationError, BoxFuture, Error, Reply, Response, Result};

use super::exchange::{HEAD_IN_TIME, NOT_AFTER_END, NOT_BLOCKING, Watched};
use super::head;
use super::input::LIMIT_BEFORE_READ;
use super::probe::Probe;
use super::record::Record;
use crate::{Check, Level, Rule, Topic};

pub(crate) static WOKEN_AGAIN: Rule = Rule {
    id: "APP-17",
    level: Level::Must,
    topic: Topic::Body,
    text: "A reply or a body that is pending MUST have arranged that it is woken.",
    source: "std, `Future::poll`; PEP 3333 has no counterpart",
    mend: "keep the waker of the last poll where the event happens, or wake it at once; otherwise \
           the request hangs for ever",
    check: Check::Lint,
};

pub(crate) static ERRORS_ARE_ERRORS: Rule = Rule {
    id: "APP-25",
    level: Level::Must,
    topic: Topic::Errors,
    text: "An error that an application answers with MUST have a status of 400 or more.",
    source: "RFC 9110 §15.5, §15.6; PEP 3333, \"Error Handling\"",
    mend: "start a response for what is no error; a redirect needs its Location, which an error \
           cannot give",
    check: Check::Lint,
};

pub(crate) static BLOCKING_MAY_BLOCK: Rule = Rule {
    id: "SRV-13",
    level: Level::Must,
    topic: Topic::Lifecycle,
    text: "A server MUST run a blocking reply where blocking is allowed.",
    source: "design: `Reply::Blocking`; PEP 3333 knows only threads",
    mend: "send the job to a worker, and let `may_block` be true there",
    check: Check::Lint,
};

pub(crate) static NOT_POLLED_AFTER_READY: Rule = Rule {
    id: "SRV-14",
    level: Level::Must,
    topic: Topic::Lifecycle,
    text: "A server MUST NOT poll a pending reply again after it was ready.",
    source: "std, `Future::poll`",
    mend: "drop the future with its outcome",
    check: Check::Lint,
};

/// Watches a reply to its end, by whichever arms it comes.
pub(super) fn watch(reply: Reply, exchange: Arc<Watched>) -> Reply {
    match reply {
        Reply::Ready(outcome) => Reply::Ready(outcome_of(outcome, &exchange)),
        Reply::Pending(future) => Reply::Pending(Box::pin(WatchedFuture {
            future: Some(future),
            exchange,
            probe: Probe::default(),
        })),
        Reply::Blocking(job) => Reply::Blocking(Box::new(move || {
            if !exchange.server_may_block() {
                let detail = "the job runs on a thread that must not block";
                exchange.record().report(&BLOCKING_MAY_BLOCK, detail);
            }
            watch(job(), exchange)
        })),
    }
}

fn outcome_of(outcome: Result<Response>, exchange: &Arc<Watched>) -> Result<Response> {
    match outcome {
        Ok(response) => Ok(exchange.finish(response)),
        Err(error) => {
            check_error(exchange.record(), &error);
            Err(error)
        }
    }
}

fn check_error(record: &Record, error: &Error) {
    let status = error.status();
    if !status.is_client_error() && !status.is_server_error() {
        record.report(&ERRORS_ARE_ERRORS, format_args!("the error's status is {status}"));
    }
    head::check_error(record, error);
    check_cause(record, error);
}

/// Looks among the causes of `error` for what says that a rule was broken.
pub(super) fn check_cause(record: &Record, error: &(dyn StdError + 'static)) {
    /// A chain may be a circle.
    const DEPTH: usize = 64;
    let chain = std::iter::successors(Some(error), |error| (*error).source()).take(DEPTH);
    let ours = chain.filter_map(|error| match error.downcast_ref::<Error>() {
        Some(Error::Application(error)) => Some(error),
        _ => error.downcast_ref::<ApplicationError>(),
    });
    for error in ours {
        let rule = match error {
            ApplicationError::WouldBlock { .. } => &NOT_BLOCKING,
            ApplicationError::HeadSent => &HEAD_IN_TIME,
            ApplicationError::LimitAfterRead => &LIMIT_BEFORE_READ,
            ApplicationError::ExchangeOver => &NOT_AFTER_END,
            _ => continue,
        };
        record.report(rule, error);
    }
}

struct WatchedFuture {
    future: Option<BoxFuture<Reply>>,
    exchange: Arc<Watched>,
    probe: Probe,
}

impl Future for WatchedFuture {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let WatchedFuture { future, exchange, probe } = &mut *self;
        let Some(pending) = future else {
            exchange.record().report(&NOT_POLLED_AFTER_READY, "it was polled once more");
            return Poll::Pending;
        };
        let (polled, lost) = probe.poll(cx, |cx| pending.as_mut().poll(cx));
        if lost {
            exchange
                .record()
                .report(&WOKEN_AGAIN, "the reply is pending, and nobody kept its waker");
        }
        polled.map(|reply| {
            *future = None;
            watch(reply, Arc::clone(exchange))
        })
    }
}
