//! The contract's wire, made of the engine.

use bytes::Bytes;
use gateway_core::http::{HeaderMap, HeaderName, StatusCode};
use gateway_core::{Head, ReasonPhrase, ResponseHeaders};
use gateway_handler::{Framing, Wire};
use gateway_http1::{CloseReason, Connection, Fields, Output, ResponseHead, UsageError};

use crate::date::with_rendered;
use crate::link::Failure;

/// Borrows what it needs for one call of the contract.
pub(crate) struct EngineWire<'a> {
    pub(crate) engine: &'a mut Connection,
    pub(crate) out: &'a mut Output,
    pub(crate) server: Option<&'a str>,
    pub(crate) unix_seconds: u64,
    pub(crate) draining: bool,
    pub(crate) failed: &'a mut Option<Failure>,
}

impl EngineWire<'_> {
    /// The contract asks only for what the engine's state allows; if it ever did not, the peer
    /// must not be left with half a message that looks whole.
    fn checked(&mut self, outcome: Result<(), UsageError>) {
        debug_assert!(outcome.is_ok(), "{outcome:?}");
        if outcome.is_err() {
            self.engine.cut();
            *self.failed = Some(Failure::Gone);
        }
    }
}

impl Wire for EngineWire<'_> {
    fn informational(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.engine.send_informational(status, headers, self.out);
    }

    fn head(&mut self, head: &Head, framing: Framing) {
        if self.draining {
            self.engine.close_after_response(CloseReason::Draining);
        }
        let outcome = with_rendered(self.unix_seconds, self.server, |rendered| {
            let headers = Listed(&head.headers);
            let mut response = ResponseHead::new(head.status, &headers);
            response.reason = head.reason.as_ref().map(ReasonPhrase::as_bytes);
            response.length = framing.length;
            response.close = framing.close;
            if framing.date_missing && framing.server_missing {
                response.common = rendered.common.as_ref();
            }
            response.date = framing.date_missing.then_some(rendered.date.as_bytes());
            response.server = self.server.filter(|_| framing.server_missing).map(str::as_bytes);
            self.engine.send_head(&response, self.out)
        });
        self.checked(outcome);
    }

    fn data(&mut self, data: Bytes) {
        let outcome = self.engine.send_data(data, self.out);
        self.checked(outcome);
    }

    fn announce(&mut self, length: u64) {
        let outcome = self.engine.announce_data(length, self.out);
        self.checked(outcome);
    }

    fn end(&mut self, trailers: Option<HeaderMap>) {
        let outcome = self.engine.send_end(trailers.as_ref(), self.out);
        self.checked(outcome);
    }

    fn cut(&mut self) {
        self.engine.cut();
    }
}

/// The fields as the engine writes them.
#[derive(Debug)]
struct Listed<'a>(&'a ResponseHeaders);

impl Fields for Listed<'_> {
    fn for_each(&self, each: &mut dyn FnMut(&HeaderName, &[u8])) {
        for (name, value) in self.0.fields() {
            each(name, value);
        }
    }
}
