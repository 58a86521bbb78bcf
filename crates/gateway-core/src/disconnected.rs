//! The news that the peer has gone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::exchange::Exchange;

/// A future that is ready when the peer has gone; owned and cheap to clone.
///
/// From [`Environ::disconnected`](crate::Environ::disconnected). A peer that closed only its
/// sending side counts as gone here, although it still gets its answer; see
/// [`Reply::cancel_on`](crate::Reply::cancel_on). After the end of the exchange it is ready.
#[derive(Clone)]
pub struct Disconnected {
    exchange: Arc<dyn Exchange>,
}

impl Disconnected {
    pub(crate) fn new(exchange: Arc<dyn Exchange>) -> Disconnected {
        Disconnected { exchange }
    }

    /// Whether the peer has gone by now. Does not block, on any server.
    pub fn is_disconnected(&self) -> bool {
        self.exchange.is_disconnected()
    }
}

impl Future for Disconnected {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.exchange.poll_disconnected(cx)
    }
}

impl fmt::Debug for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disconnected")
    }
}
