//! A connection that has left HTTP.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::reply::BoxFuture;
use crate::wait::wait;
use crate::{ApplicationError, Error};

/// What runs on the connection after status 101.
#[non_exhaustive]
pub enum Upgrade {
    /// Runs on a thread that may block: the connection's own, or a worker for as long as it takes.
    Blocking(Box<dyn FnOnce(Upgraded) + Send + 'static>),
    /// Is awaited.
    Future(Box<dyn FnOnce(Upgraded) -> BoxFuture<()> + Send + 'static>),
}

impl Upgrade {
    /// A protocol that blocks.
    pub fn blocking(protocol: impl FnOnce(Upgraded) + Send + 'static) -> Upgrade {
        Upgrade::Blocking(Box::new(protocol))
    }

    /// A protocol that is awaited.
    pub fn future<F, Fut>(protocol: F) -> Upgrade
    where
        F: FnOnce(Upgraded) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Upgrade::Future(Box::new(move |upgraded| Box::pin(protocol(upgraded))))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Upgrade::Blocking(_) => "Blocking(..)",
            Upgrade::Future(_) => "Future(..)",
        })
    }
}

/// The bytes under an [`Upgraded`]: implemented by servers.
///
/// At most one party polls each direction at a time.
pub trait Duplex: Send + Sync + 'static {
    /// Reads some bytes into `into` and tells how many; 0 is the peer's end.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Takes some bytes of `from` to write and tells how many; 0 only for an empty `from`.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn poll_write(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>>;

    /// Ready when everything written has been handed to the transport.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Flushes, then ends the sending side. Reading goes on.
    ///
    /// # Errors
    ///
    /// Those of the transport.
    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether the calling thread may block until the peer acts.
    fn may_block(&self) -> bool;
}

/// A connection that has left HTTP, given to [`Body::Upgrade`](crate::Body::Upgrade).
///
/// Bytes that the peer sent right behind its request come first. It has poll methods for async
/// code and implements [`Read`] and [`Write`] for blocking code; on a reactor thread those fail
/// with an error of kind `WouldBlock`. Dropping it, or both its halves, closes the connection;
/// dropping one half does nothing yet. [`Body::upgrade`](crate::Body::upgrade) has an example.
///
/// Source: RFC 9110 §7.8.
pub struct Upgraded {
    duplex: Arc<dyn Duplex>,
}

impl Upgraded {
    /// For servers: the connection that `duplex` reads and writes.
    pub fn new(duplex: Arc<dyn Duplex>) -> Upgraded {
        Upgraded { duplex }
    }

    /// Two halves, which may be used from two threads or tasks.
    pub fn split(self) -> (UpgradedReader, UpgradedWriter) {
        (
            UpgradedReader { duplex: Arc::clone(&self.duplex) },
            UpgradedWriter { duplex: self.duplex },
        )
    }
}

/// The receiving half of an [`Upgraded`].
pub struct UpgradedReader {
    duplex: Arc<dyn Duplex>,
}

/// The sending half of an [`Upgraded`].
pub struct UpgradedWriter {
    duplex: Arc<dyn Duplex>,
}

macro_rules! reads {
    ($($half:ident),*) => {$(
        impl $half {
            /// Reads some bytes into `into`; 0 is the peer's end.
            ///
            /// # Errors
            ///
            /// Those of the transport.
            pub fn poll_read(
                &self,
                cx: &mut Context<'_>,
                into: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.duplex.poll_read(cx, into)
            }

            /// Awaits some bytes; 0 is the peer's end.
            ///
            /// # Errors
            ///
            /// Those of the transport.
            pub async fn read_async(&self, into: &mut [u8]) -> io::Result<usize> {
                std::future::poll_fn(|cx| self.duplex.poll_read(cx, into)).await
            }
        }

        impl Read for $half {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                may_block(&*self.duplex, "Upgraded::read")?;
                wait(|cx| self.duplex.poll_read(cx, into))
            }
        }
    )*};
}

macro_rules! writes {
    ($($half:ident),*) => {$(
        impl $half {
            /// Writes some bytes.
            ///
            /// # Errors
            ///
            /// Those of the transport.
            pub fn poll_write(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
                self.duplex.poll_write(cx, from)
            }

            /// Ready when everything written has been handed to the transport.
            ///
            /// # Errors
            ///
            /// Those of the transport.
            pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.duplex.poll_flush(cx)
            }

            /// Ends the sending side.
            ///
            /// # Errors
            ///
            /// Those of the transport.
            pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.duplex.poll_shutdown(cx)
            }

            /// Ends the sending side and blocks until that is done; the peer reads an end.
            ///
            /// # Errors
            ///
            /// Those of the transport, and one of kind `WouldBlock` on a reactor thread.
            pub fn shutdown(&mut self) -> io::Result<()> {
                may_block(&*self.duplex, "Upgraded::shutdown")?;
                wait(|cx| self.duplex.poll_shutdown(cx))
            }

            /// Ends the sending side; the peer reads an end.
            ///
            /// # Errors
            ///
            /// Those of the transport.
            pub async fn shutdown_async(&self) -> io::Result<()> {
                std::future::poll_fn(|cx| self.duplex.poll_shutdown(cx)).await
            }

            /// Writes all of `from` and awaits the transport.
            ///
            /// # Errors
            ///
            /// Those of the transport.
            pub async fn write_all_async(&self, mut from: &[u8]) -> io::Result<()> {
                while !from.is_empty() {
                    match std::future::poll_fn(|cx| self.duplex.poll_write(cx, from)).await? {
                        0 => return Err(io::ErrorKind::WriteZero.into()),
                        n => from = &from[n..],
                    }
                }
                std::future::poll_fn(|cx| self.duplex.poll_flush(cx)).await
            }
        }

        impl Write for $half {
            fn write(&mut self, from: &[u8]) -> io::Result<usize> {
                may_block(&*self.duplex, "Upgraded::write")?;
                wait(|cx| self.duplex.poll_write(cx, from))
            }

            fn flush(&mut self) -> io::Result<()> {
                may_block(&*self.duplex, "Upgraded::flush")?;
                wait(|cx| self.duplex.poll_flush(cx))
            }
        }
    )*};
}

macro_rules! debug {
    ($($half:ident),*) => {$(
        impl fmt::Debug for $half {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($half))
            }
        }
    )*};
}

reads!(Upgraded, UpgradedReader);
writes!(Upgraded, UpgradedWriter);
debug!(Upgraded, UpgradedReader, UpgradedWriter);

fn may_block(duplex: &dyn Duplex, call: &'static str) -> io::Result<()> {
    if duplex.may_block() {
        return Ok(());
    }
    Err(Error::from(ApplicationError::WouldBlock { call }).into())
}
