//! The whole path of a connection over a transport in memory, which costs next to nothing.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use gateway_connection::{Phase, Service, Transport, serve};
use gateway_core::bytes::{Bytes, BytesMut};
use gateway_core::exchange::{ConnectionInfo, wait};
use gateway_core::{IntoApplication, ServerError, ServerInfo};
use gateway_http1::Output;

use crate::HELLO;

pub fn run(request: &Bytes, count: u64) {
    let answered = Arc::new(AtomicU64::new(0));
    let transport = Memory {
        request: request.clone(),
        left: AtomicU64::new(count),
        answered: Arc::clone(&answered),
        now: Instant::now(),
    };
    let info = ConnectionInfo::new(Arc::new(ServerInfo::new("layers", Some(80), "layers")));
    let service = Arc::new(Service::new(Arc::from(crate::app.boxed())));
    let mut served = pin!(serve(transport, service, info));
    wait(|cx| served.as_mut().poll(cx));
    assert_eq!(answered.load(Ordering::Relaxed), count, "each request has its answer");
}

/// A peer that sends one request for each read, and then its end.
struct Memory {
    request: Bytes,
    left: AtomicU64,
    answered: Arc<AtomicU64>,
    now: Instant,
}

impl Transport for Memory {
    fn poll_read(&self, _: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Ok(0));
        }
        self.left.store(left - 1, Ordering::Relaxed);
        into.extend_from_slice(&self.request);
        Poll::Ready(Ok(self.request.len()))
    }

    fn poll_write(&self, _: &mut Context<'_>, out: &Output) -> Poll<io::Result<usize>> {
        Poll::Ready(self.try_write(out))
    }

    fn try_write(&self, out: &Output) -> io::Result<usize> {
        let whole = out.first();
        let good = whole.starts_with(b"HTTP/1.1 200 OK\r\n") && whole.ends_with(HELLO.as_bytes());
        self.answered.fetch_add(u64::from(good), Ordering::Relaxed);
        Ok(out.len())
    }

    fn poll_send_file(
        &self,
        _: &mut Context<'_>,
        _: &File,
        _: u64,
        _: u64,
    ) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(&self, _: bool) {}

    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn unix_seconds(&self) -> u64 {
        784_111_777
    }

    fn note(&self, _: Phase, _: Option<Instant>) {}

    fn is_draining(&self) -> bool {
        false
    }

    async fn drive<R: Send>(
        &self,
        future: impl Future<Output = R> + Send,
    ) -> Result<R, ServerError> {
        Ok(future.await)
    }

    async fn work<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, ServerError> {
        Ok(job())
    }

    fn may_block(&self) -> bool {
        true
    }
}
