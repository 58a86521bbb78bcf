//! A connection that has left HTTP, in memory.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use gateway_core::Duplex;
use gateway_core::exchange::Exchange;

/// What the peer sends and receives after a 101.
pub(super) struct Line(Arc<Mutex<Ends>>);

struct Ends {
    sends: Bytes,
    receives: Vec<u8>,
    shut: bool,
}

impl Line {
    pub(super) fn new(sends: Bytes) -> Line {
        Line(Arc::new(Mutex::new(Ends { sends, receives: Vec::new(), shut: false })))
    }

    pub(super) fn duplex(&self, exchange: Arc<dyn Exchange>) -> Arc<dyn Duplex> {
        Arc::new(Wire { ends: Arc::clone(&self.0), exchange })
    }

    pub(super) fn take(&self) -> Bytes {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut ends.receives).into()
    }
}

struct Wire {
    ends: Arc<Mutex<Ends>>,
    exchange: Arc<dyn Exchange>,
}

impl Wire {
    fn with<R>(&self, f: impl FnOnce(&mut Ends) -> R) -> R {
        f(&mut self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Duplex for Wire {
    fn poll_read(&self, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.with(|ends| {
            let length = into.len().min(ends.sends.len());
            ends.sends.copy_to_slice(&mut into[..length]);
            Poll::Ready(Ok(length))
        })
    }

    fn poll_write(&self, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.with(|ends| {
            if ends.shut {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            ends.receives.extend_from_slice(from);
            Ok(from.len())
        }))
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|ends| ends.shut = true);
        Poll::Ready(Ok(()))
    }

    fn may_block(&self) -> bool {
        self.exchange.may_block()
    }
}
