//! Bodies that are pulled.

use std::sync::Arc;

use gateway_core::bytes::Bytes;
use gateway_core::http::HeaderMap;
use gateway_core::{Body, Error, Head, IterBody, PeerError, Result};
use gateway_handler::{Flow, caught};

use super::exchange::HostExchange;

/// Puts what a body brings into the outbox, and before that its head, if it has not been sent.
pub(super) struct Pen {
    exchange: Arc<HostExchange>,
    length: Option<u64>,
    head: Option<Head>,
}

impl Pen {
    pub(super) fn new(exchange: Arc<HostExchange>, length: Option<u64>, head: Head) -> Pen {
        exchange.begin_pulling();
        Pen { exchange, length, head: Some(head) }
    }

    pub(super) fn data(&mut self, data: Bytes) -> Result<Flow> {
        if data.is_empty() {
            return Ok(Flow::More);
        }
        self.start()?;
        self.exchange.with(|contract, outbox| contract.data(outbox, data))
    }

    pub(super) fn end(&mut self, trailers: Option<HeaderMap>) -> Result<()> {
        self.start()?;
        self.exchange.with(|contract, outbox| contract.end(outbox, trailers))
    }

    fn start(&mut self) -> Result<()> {
        let Some(mut head) = self.head.take() else { return Ok(()) };
        self.exchange.run_head_hooks(&mut head, &Body::Empty)?;
        let length = self.length;
        self.exchange.with(|contract, outbox| {
            contract.start(outbox, &mut head, length)?;
            outbox.keep_head(|| head);
            Ok(())
        })
    }

    /// Whether the host has gone, so that nobody takes what comes.
    fn is_in_vain(&self) -> bool {
        self.exchange.is_given_up()
    }

    fn is_ahead(&self) -> bool {
        self.exchange.lock().outbox.is_full()
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.exchange.end_pulling();
    }
}

/// What came of a turn with an iterator.
pub(super) enum Pumped {
    Ended(Result<()>),
    /// The peer is slow: the thread is given back meanwhile. The pen is dropped behind the items.
    Paused(IterBody, Pen),
}

/// Pulls `items` until they end or are ahead of the peer. Each is on its way before the next is asked
/// for, which may block.
pub(super) fn take_turn(mut items: IterBody, mut pen: Pen) -> Pumped {
    let outcome = loop {
        let sent = match items.next() {
            None => break Ok(()),
            Some(Err(error)) => Err(Error::from(error)),
            Some(Ok(item)) => pen.data(item),
        };
        match sent {
            Err(error) => break Err(error),
            Ok(Flow::Enough) => break Ok(()),
            Ok(Flow::More) if pen.is_in_vain() => break Err(PeerError::Disconnected.into()),
            Ok(Flow::More) if pen.is_ahead() => return Pumped::Paused(items, pen),
            Ok(Flow::More) => {}
        }
    };
    // Before the end is told: the host may run the end hooks at once. What closing makes of itself
    // cannot change the response.
    let _ = caught(move || drop(items));
    Pumped::Ended(outcome.and_then(|()| pen.end(None)))
}
