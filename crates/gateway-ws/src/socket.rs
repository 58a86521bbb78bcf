//! A socket to await.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::{SinkExt, Stream};
use gateway_core::Upgraded;
use gateway_core::bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::{Role, WebSocketConfig};

use crate::guard::Guard;
use crate::{Close, CloseCode, Message, SocketError};

/// An open WebSocket, given to the function of [`Accept::on_upgrade`](crate::Accept::on_upgrade).
///
/// Its calls are awaited, on any server and any runtime. When the function is done the socket is
/// closed as its outcome says; dropping it earlier changes nothing about that.
///
/// # Examples
///
/// ```
/// use gateway_core::BoxError;
/// use gateway_ws::{Close, CloseCode, WebSocket};
///
/// /// Adds up numbers, and takes nothing else.
/// async fn sum(mut socket: WebSocket) -> Result<(), BoxError> {
///     let mut sum = 0.0;
///     while let Some(message) = socket.receive().await? {
///         let Some(number) = message.as_text().and_then(|text| text.parse::<f64>().ok()) else {
///             let close = Close::new(CloseCode::UNSUPPORTED, "only numbers are added up");
///             return Ok(socket.close(close).await?);
///         };
///         sum += number;
///         socket.send(sum.to_string()).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct WebSocket {
    /// There until it is dropped.
    socket: Option<Socket>,
    home: Home,
}

impl WebSocket {
    pub(crate) async fn new(
        upgraded: Upgraded,
        config: WebSocketConfig,
        protocol: Option<String>,
        home: Home,
    ) -> WebSocket {
        let guarded = Guarded { upgraded, guard: Guard::default() };
        let stream = WebSocketStream::from_raw_socket(guarded, Role::Server, Some(config)).await;
        let socket = Socket {
            stream,
            protocol,
            pong_due: false,
            told: Told::Nothing,
            pings: 0,
            pinged: None,
            closed: None,
        };
        WebSocket { socket: Some(socket), home }
    }

    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.socket().protocol.as_deref()
    }

    /// The next message; `None` when the peer has closed, and ever after.
    ///
    /// Pings are answered meanwhile, so a socket that only sends should still be received from. A
    /// future of this that is dropped loses nothing: it may be one branch of a `select!`.
    ///
    /// # Errors
    ///
    /// What the peer did wrong, once: [`SocketError::Violation`], [`NotUtf8`](SocketError::NotUtf8)
    /// or [`TooLarge`](SocketError::TooLarge), after it has been told by a close;
    /// [`SocketError::Gone`] if the connection ended without a close, and [`SocketError::Io`] if it
    /// failed otherwise.
    pub async fn receive(&mut self) -> Result<Option<Message>, SocketError> {
        let socket = self.socket_mut();
        poll_fn(|cx| socket.poll_receive(cx)).await
    }

    /// Sends a message and awaits the transport. If the future is dropped the message may be sent
    /// all the same, by whatever is called next.
    ///
    /// # Errors
    ///
    /// [`SocketError::Closed`] after a close, sent or received; [`SocketError::Gone`] if the peer has
    /// gone, [`SocketError::TooSlow`] if it does not read, and [`SocketError::Io`] if the connection
    /// failed otherwise.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), SocketError> {
        self.socket_mut().send(message.into().into()).await
    }

    /// Sends a ping; [`awaits_pong`](WebSocket::awaits_pong) tells whether it is answered.
    ///
    /// # Errors
    ///
    /// Those of [`send`](WebSocket::send).
    pub async fn ping(&mut self) -> Result<(), SocketError> {
        let socket = self.socket_mut();
        socket.pings += 1;
        let payload = Bytes::copy_from_slice(&socket.pings.to_be_bytes());
        socket.pinged = Some(payload.clone());
        socket.send(tungstenite::Message::Ping(payload)).await
    }

    /// Whether the last [`ping`](WebSocket::ping) is still unanswered. The pong is noted by
    /// [`receive`](WebSocket::receive).
    pub fn awaits_pong(&self) -> bool {
        self.socket().pinged.is_some()
    }

    /// Closes, and lets go of the socket. What the peer still sends is thrown away; the server
    /// waits for its end, for a while.
    ///
    /// # Errors
    ///
    /// Those of [`send`](WebSocket::send).
    pub async fn close(mut self, close: impl Into<Close>) -> Result<(), SocketError> {
        self.socket_mut().close(close.into()).await
    }

    /// What the peer's close said; `None` before it, and where it said nothing.
    pub fn closed(&self) -> Option<&Close> {
        self.socket().closed.as_ref()
    }

    fn socket(&self) -> &Socket {
        self.socket.as_ref().expect("only drop takes it")
    }

    fn socket_mut(&mut self) -> &mut Socket {
        self.socket.as_mut().expect("only drop takes it")
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        *self.home.0.lock().unwrap_or_else(PoisonError::into_inner) = self.socket.take();
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("protocol", &self.protocol()).finish_non_exhaustive()
    }
}

/// Where a socket goes when it is dropped, so that it can be closed by awaiting.
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<Mutex<Option<Socket>>>);

impl Home {
    /// Closes the socket, if it has come home and is still open.
    pub(crate) async fn close(self, close: Close) {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut socket) = socket {
            // Whoever has gone cannot be told.
            let _ = socket.close(close).await;
        }
    }
}

struct Socket {
    stream: WebSocketStream<Guarded>,
    protocol: Option<String>,
    /// A ping was read, and its pong has to go before anything else is read: a peer that sends
    /// pings and reads nothing would fill our memory with pongs.
    pong_due: bool,
    told: Told,
    pings: u64,
    /// The last ping, while it is unanswered.
    pinged: Option<Bytes>,
    closed: Option<Close>,
}

/// What has become of an error.
enum Told {
    Nothing,
    /// The peer is to be told by a close, which is queued or not yet.
    ByClose {
        error: SocketError,
        code: CloseCode,
        queued: bool,
    },
}

impl Socket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, SocketError>> {
        loop {
            if let Told::ByClose { .. } = self.told {
                return self.poll_tell(cx).map(Err);
            }
            if self.pong_due {
                ready!(self.stream.poll_flush_unpin(cx)).map_err(SocketError::of)?;
                self.pong_due = false;
            }
            match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Ok(tungstenite::Message::Text(text))) => {
                    return Poll::Ready(Ok(Some(Message::Text(crate::Text(text)))));
                }
                Some(Ok(tungstenite::Message::Binary(bytes))) => {
                    return Poll::Ready(Ok(Some(Message::Binary(bytes))));
                }
                Some(Ok(tungstenite::Message::Ping(_))) => self.pong_due = true,
                Some(Ok(tungstenite::Message::Pong(payload))) => {
                    self.pinged = self.pinged.take().filter(|pinged| *pinged != payload);
                }
                // Reading on sends the answer.
                Some(Ok(tungstenite::Message::Close(frame))) => {
                    self.closed = Close::received(frame);
                }
                Some(Ok(tungstenite::Message::Frame(_))) => {}
                Some(Err(error)) => {
                    let error = SocketError::of(error);
                    let Some(code) = error.close_code() else { return Poll::Ready(Err(error)) };
                    self.told = Told::ByClose { error, code, queued: false };
                }
            }
        }
    }

    /// Tells the peer what it did wrong, as far as it can be told, and gives the error.
    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<SocketError> {
        if let Told::ByClose { code, queued, .. } = &mut self.told
            && !*queued
        {
            let close = tungstenite::Message::Close(Some(Close::from(*code).into()));
            // It fails after a close of our own, which then was the last word.
            let _ = self.stream.start_send_unpin(close);
            *queued = true;
        }
        // A peer that has gone need not be told.
        let _ = ready!(self.stream.poll_flush_unpin(cx));
        match std::mem::replace(&mut self.told, Told::Nothing) {
            Told::ByClose { error, .. } => Poll::Ready(error),
            Told::Nothing => Poll::Ready(SocketError::Closed),
        }
    }

    async fn send(&mut self, message: tungstenite::Message) -> Result<(), SocketError> {
        self.stream.send(message).await.map_err(SocketError::of)
    }

    async fn close(&mut self, close: Close) -> Result<(), SocketError> {
        self.send(tungstenite::Message::Close(Some(close.into()))).await
    }
}

/// The connection, with its frames looked at, in the words of Tokio's traits.
struct Guarded {
    upgraded: Upgraded,
    guard: Guard,
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // It reads nothing once the guard has found something.
        this.guard.pass(&[])?;
        let room = into.initialize_unfilled();
        let read = ready!(this.upgraded.poll_read(cx, room))?;
        let passed = this.guard.pass(&room[..read])?;
        into.advance(passed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.upgraded.poll_write(cx, from)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.upgraded.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.upgraded.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Waker;

    use gateway_core::Duplex;

    use super::*;

    /// A peer that sends pings without end and reads a little.
    #[derive(Default)]
    struct Flood {
        read: AtomicUsize,
        written: AtomicUsize,
    }

    const PING: [u8; 6 + 125] = {
        let mut frame = [0; 6 + 125];
        frame[0] = 0x89;
        frame[1] = 0x80 | 125;
        frame
    };

    impl Duplex for Flood {
        fn poll_read(&self, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
            let count = into.len() / PING.len();
            into[..count * PING.len()].copy_from_slice(&PING.repeat(count));
            // A socket that reads on for ever fails its test all the same.
            match self.read.fetch_add(count * PING.len(), Ordering::Relaxed) {
                0..10_000_000 => Poll::Ready(Ok(count * PING.len())),
                _ => Poll::Ready(Ok(0)),
            }
        }

        fn poll_write(&self, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
            match self.written.fetch_add(from.len(), Ordering::Relaxed) {
                0..1000 => Poll::Ready(Ok(from.len())),
                _ => Poll::Pending,
            }
        }

        fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn may_block(&self) -> bool {
            false
        }
    }

    #[test]
    fn pings_are_not_read_before_their_pongs_are_gone() {
        let flood = Arc::new(Flood::default());
        let upgraded = Upgraded::new(Arc::clone(&flood) as Arc<dyn Duplex>);
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let mut cx = Context::from_waker(Waker::noop());
        let mut socket =
            pin_ready(WebSocket::new(upgraded, config, None, Home::default()), &mut cx);
        for _ in 0..3 {
            let mut receive = std::pin::pin!(socket.receive());
            assert!(receive.as_mut().poll(&mut cx).is_pending());
        }
        let read = flood.read.load(Ordering::Relaxed);
        assert!(read <= 4096, "{read} bytes were read for 1000 that could be written");
    }

    fn pin_ready<T>(future: impl Future<Output = T>, cx: &mut Context<'_>) -> T {
        match std::pin::pin!(future).poll(cx) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing has to be waited for"),
        }
    }
}
