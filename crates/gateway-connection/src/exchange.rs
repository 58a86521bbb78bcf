//! One exchange, as the application's handles see it.

use std::fmt::{self, Display};
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, EndHook, Exchange, HeadHook, RequestFields};
use gateway_core::http::{HeaderMap, Version};
use gateway_core::http_body::Frame;
use gateway_core::{ApplicationError, Body, Error, Head, PeerError, Result};
use gateway_http1::{Event, Field, RequestHead, Timeout};

use crate::link::{Link, Read, State};
use crate::request::keep;
use crate::{Phase, Transport};

/// The handle that `Environ`, `StartResponse`, `Response` and `Input` hold.
///
/// The driver uses it again for the connection's next exchange if nobody else holds it. Otherwise
/// it makes a new one, and the numbers tell an old handle from the present exchange.
pub(crate) struct ConnectionExchange<T> {
    pub(crate) link: Arc<Link<T>>,
    pub(crate) number: u64,
    /// What it is about; nothing before its request has come.
    pub(crate) about: Option<About>,
    fields: RequestFields,
}

/// What the driver has to know of a request.
pub(crate) struct About {
    pub(crate) version: Version,
    /// How long its method and target are together, as the log names it.
    name: usize,
}

impl<T> ConnectionExchange<T> {
    pub(crate) fn new(link: Arc<Link<T>>, number: u64) -> ConnectionExchange<T> {
        ConnectionExchange { link, number, about: None, fields: RequestFields::default() }
    }

    /// Takes note of its request, and takes its bytes.
    #[inline]
    pub(crate) fn begin(&mut self, request: &mut RequestHead, fields: &[Field]) {
        self.about = Some(About { version: request.version, name: request.target.range().end });
        keep(&mut self.fields, request, fields);
    }

    /// Becomes the connection's next one. Keeping the head longer would keep the receive buffer from
    /// being used again.
    #[inline]
    pub(crate) fn renew(&mut self, number: u64) {
        self.number = number;
        self.about = None;
        self.fields.clear();
    }

    /// As the log names it.
    pub(crate) fn name(&self) -> impl Display {
        fmt::from_fn(|f| match &self.about {
            // A head begins with its method, one space, and its target.
            Some(About { name, .. }) => {
                String::from_utf8_lossy(&self.fields.bytes()[..*name]).fmt(f)
            }
            None => f.write_str("a request"),
        })
    }
}

impl<T: Transport> ConnectionExchange<T> {
    /// The connection's state, if this exchange is still on.
    fn state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.link.lock();
        if state.number == self.number {
            Ok(state)
        } else {
            Err(ApplicationError::ExchangeOver.into())
        }
    }

    /// What is buffered of the request body; `None` when more has to be read.
    fn next_frame(&self) -> Result<Option<Option<Frame<Bytes>>>> {
        let mut state = self.state()?;
        let State { engine, out, .. } = &mut *state;
        match engine.next_event() {
            Ok(Event::Data(data)) => Ok(Some(Some(Frame::data(data)))),
            Ok(Event::End(Some(trailers))) => Ok(Some(Some(Frame::trailers(trailers)))),
            Ok(Event::NeedData) => {
                engine.send_continue(out);
                engine.body_wanted(true, self.link.transport.now());
                Ok(None)
            }
            Ok(_) => Ok(Some(None)),
            Err(gateway_http1::Error::BodyTimeout) => Err(PeerError::BodyTimeout.into()),
            Err(error) => {
                Err(PeerError::Malformed { status: error.status(), cause: Box::new(error) }.into())
            }
        }
    }

    fn body_not_wanted(&self) {
        let Ok(mut state) = self.state() else { return };
        let now = self.link.transport.now();
        state.engine.body_wanted(false, now);
        self.link.transport.note(Phase::Exchange, state.engine.poll_timeout(now));
    }
}

impl<T: Transport> Exchange for ConnectionExchange<T> {
    fn connection(&self) -> &ConnectionInfo {
        &self.link.info
    }

    #[inline]
    fn fields(&self) -> Option<&RequestFields> {
        Some(&self.fields)
    }

    fn may_block(&self) -> bool {
        self.link.transport.may_block()
    }

    fn on_head(&self, hook: HeadHook) {
        if let Ok(mut state) = self.state() {
            state.contract.on_head(hook);
        }
    }

    fn on_end(&self, hook: EndHook) {
        if let Ok(mut state) = self.state() {
            state.contract.on_end(hook);
        }
    }

    fn early_hints(&self, headers: &HeaderMap) {
        let Ok(mut state) = self.state() else { return };
        self.link.with_wire(&mut state, |contract, wire| contract.early_hints(wire, headers));
        drop(state);
        // What fails now fails again, and is told, with the response.
        let _ = self.link.try_flush();
    }

    fn head_sent(&self) -> bool {
        self.state().map_or(true, |state| state.contract.is_head_sent())
    }

    fn write(&self, head: &mut Head, data: Bytes) -> Result<()> {
        let link = &self.link;
        link.run_head_hooks(self.number, head, &Body::Empty)?;
        let mut state = link.of(self.number)?;
        state.engine.body_wanted(false, link.transport.now());
        let outcome = link.with_wire(&mut state, |contract, wire| contract.write(wire, head, data));
        let bodiless = state.contract.is_bodiless();
        drop(state);
        // Nothing goes out that could fail, and the application may write for ever.
        if bodiless && outcome.is_ok() && link.transport.is_gone() {
            return Err(PeerError::Disconnected.into());
        }
        outcome
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.link.poll_flush_of(cx, Some(self.number))
    }

    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let mut waited = false;
        let frame = loop {
            match self.next_frame() {
                Ok(Some(frame)) => break Ok(frame),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            waited = true;
            // What was announced must have been sent before anybody waits for the answer to it.
            if let Err(error) = self.link.try_flush() {
                break Err(error);
            }
            match ready!(self.link.poll_read(cx, Phase::Exchange, Some(self.number))) {
                Ok(Read::TimedOut(Some(Timeout::Body))) => {
                    break Err(PeerError::BodyTimeout.into());
                }
                Ok(Read::TimedOut(Some(Timeout::Write))) => break Err(PeerError::TooSlow.into()),
                Ok(_) => {}
                Err(_) => break Err(Error::from(PeerError::Disconnected)),
            }
        };
        if waited {
            self.body_not_wanted();
        }
        Poll::Ready(frame.transpose())
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Ok(mut state) = self.link.of(self.number) else { return Poll::Ready(()) };
        state.reader_awaited = true;
        // Under the lock, so that the exchange does not end meanwhile: a late poll would take the
        // place of the waker of one that waits for the next request. It does not wait.
        ready!(self.link.reading.poll(cx, |cx| self.link.transport.poll_gone(cx)));
        drop(state);
        self.link.reading.wake_all();
        Poll::Ready(())
    }

    fn is_disconnected(&self) -> bool {
        self.link.of(self.number).is_err() || self.link.transport.is_gone()
    }
}
