//! A socket to block on.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway_core::{Upgraded, UpgradedReader, UpgradedWriter};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig};

use crate::guard::Guard;
use crate::{Close, Message, SocketError, Text};

/// An open WebSocket, given to the function of
/// [`Accept::on_upgrade_blocking`](crate::Accept::on_upgrade_blocking).
///
/// When the function returns the socket is closed as its outcome says.
///
/// # Examples
///
/// ```
/// use gateway_core::BoxError;
/// use gateway_ws::blocking::{Sender, WebSocket};
/// use std::sync::Mutex;
///
/// /// Whoever listens. A sender keeps no connection open.
/// static LISTENERS: Mutex<Vec<Sender>> = Mutex::new(Vec::new());
///
/// fn listen(mut socket: WebSocket) -> Result<(), BoxError> {
///     LISTENERS.lock().unwrap().push(socket.sender());
///     while socket.receive()?.is_some() {}
///     Ok(())
/// }
///
/// /// Tells them, and forgets those who have gone.
/// fn tell(news: &str) {
///     LISTENERS.lock().unwrap().retain(|listener| listener.send(news).is_ok());
/// }
/// ```
#[derive(Debug)]
pub struct WebSocket {
    receiver: Receiver,
    sender: Sender,
}

/// The half that receives, for one thread.
pub struct Receiver {
    socket: tungstenite::WebSocket<Side>,
    protocol: Option<String>,
    closed: Option<Close>,
    is_over: bool,
}

/// The half that sends; a clone sends on the same socket, whole messages one after the other.
///
/// It keeps nothing open: after the function has returned it fails with [`SocketError::Closed`].
#[derive(Clone)]
pub struct Sender {
    out: Arc<Mutex<Out>>,
}

impl WebSocket {
    pub(crate) fn new(
        upgraded: Upgraded,
        config: WebSocketConfig,
        protocol: Option<String>,
    ) -> WebSocket {
        let (reader, writer) = upgraded.split();
        let out = Out { writer: Some(writer), is_closed: false, pings: 0, pinged: None };
        let sender = Sender { out: Arc::new(Mutex::new(out)) };
        let side = Side { reader, guard: Guard::default(), sender: sender.clone() };
        let socket = tungstenite::WebSocket::from_raw_socket(side, Role::Server, Some(config));
        let receiver = Receiver { socket, protocol, closed: None, is_over: false };
        WebSocket { receiver, sender }
    }

    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.receiver.protocol()
    }

    /// Like [`Receiver::receive`].
    ///
    /// # Errors
    ///
    /// Those of [`Receiver::receive`].
    pub fn receive(&mut self) -> Result<Option<Message>, SocketError> {
        self.receiver.receive()
    }

    /// Like [`Sender::send`].
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send`].
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SocketError> {
        self.sender.send(message)
    }

    /// Like [`Sender::ping`].
    ///
    /// # Errors
    ///
    /// Those of [`Sender::ping`].
    pub fn ping(&mut self) -> Result<(), SocketError> {
        self.sender.ping()
    }

    /// Like [`Sender::awaits_pong`].
    pub fn awaits_pong(&self) -> bool {
        self.sender.awaits_pong()
    }

    /// Like [`Sender::close`].
    ///
    /// # Errors
    ///
    /// Those of [`Sender::close`].
    pub fn close(self, close: impl Into<Close>) -> Result<(), SocketError> {
        self.sender.close(close)
    }

    /// What the peer's close said; `None` before it, and where it said nothing.
    pub fn closed(&self) -> Option<&Close> {
        self.receiver.closed()
    }

    /// One more way to send, for another thread.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// The two halves, for two threads.
    pub fn split(self) -> (Receiver, Sender) {
        (self.receiver, self.sender)
    }
}

impl Receiver {
    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Waits for the next message; `None` when the peer has closed, and ever after.
    ///
    /// Pings are answered meanwhile, so a socket that only sends should still be received from.
    ///
    /// # Errors
    ///
    /// What the peer did wrong, once: [`SocketError::Violation`], [`NotUtf8`](SocketError::NotUtf8)
    /// or [`TooLarge`](SocketError::TooLarge), after it has been told by a close;
    /// [`SocketError::Gone`] if the connection ended without a close, and [`SocketError::Io`] if it
    /// failed otherwise, or if this is a reactor's thread.
    pub fn receive(&mut self) -> Result<Option<Message>, SocketError> {
        while !self.is_over {
            match self.socket.read() {
                Ok(tungstenite::Message::Text(text)) => return Ok(Some(Message::Text(Text(text)))),
                Ok(tungstenite::Message::Binary(bytes)) => return Ok(Some(Message::Binary(bytes))),
                Ok(tungstenite::Message::Pong(payload)) => {
                    self.socket.get_ref().sender.pong(&payload);
                }
                // Reading on sends the answer.
                Ok(tungstenite::Message::Close(frame)) => self.closed = Close::received(frame),
                Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Frame(_)) => {}
                Err(error) => {
                    self.is_over = true;
                    match SocketError::of(error) {
                        SocketError::Closed => {}
                        error => {
                            if let Some(code) = error.close_code() {
                                // Whoever has gone, or was told to go, need not be told.
                                let _ = self.socket.get_ref().sender.close(code);
                            }
                            return Err(error);
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// What the peer's close said; `None` before it, and where it said nothing.
    pub fn closed(&self) -> Option<&Close> {
        self.closed.as_ref()
    }
}

impl Sender {
    /// Sends a message and waits for the transport.
    ///
    /// # Errors
    ///
    /// [`SocketError::Closed`] after a close, sent or received; [`SocketError::Gone`] if the peer has
    /// gone, [`SocketError::TooSlow`] if it does not read, and [`SocketError::Io`] if the connection
    /// failed otherwise, or if this is a reactor's thread.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SocketError> {
        let frame = match message.into() {
            Message::Text(text) => Frame::message(text.0, OpCode::Data(Data::Text), true),
            Message::Binary(bytes) => Frame::message(bytes, OpCode::Data(Data::Binary), true),
        };
        self.lock().send(frame)
    }

    /// Sends a ping; [`awaits_pong`](Sender::awaits_pong) tells whether it is answered.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Sender::send).
    pub fn ping(&self) -> Result<(), SocketError> {
        let mut out = self.lock();
        out.pings += 1;
        let payload = out.pings.to_be_bytes();
        out.pinged = Some(payload);
        out.send(Frame::ping(payload.to_vec()))
    }

    /// Whether the last [`ping`](Sender::ping) is still unanswered. The pong is noted by
    /// [`Receiver::receive`].
    pub fn awaits_pong(&self) -> bool {
        self.lock().pinged.is_some()
    }

    /// Sends a close. What the peer still sends may be received, up to its own close.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Sender::send).
    pub fn close(&self, close: impl Into<Close>) -> Result<(), SocketError> {
        let mut out = self.lock();
        let sent = out.send(Frame::close(Some(close.into().into())));
        out.is_closed = true;
        sent
    }

    /// Lets go of the connection, whoever still has a sender.
    pub(crate) fn end(&self) {
        self.lock().writer = None;
    }

    fn pong(&self, payload: &[u8]) {
        let mut out = self.lock();
        out.pinged = out.pinged.filter(|pinged| pinged != payload);
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is shared by all who send: tungstenite answers on its own, too.
struct Out {
    writer: Option<UpgradedWriter>,
    is_closed: bool,
    pings: u64,
    pinged: Option<[u8; 8]>,
}

impl Out {
    fn send(&mut self, frame: Frame) -> Result<(), SocketError> {
        let mut bytes = Vec::with_capacity(frame.len());
        frame.format(&mut bytes).map_err(SocketError::of)?;
        match &mut self.writer {
            Some(writer) if !self.is_closed => {
                writer.write_all(&bytes).and_then(|()| writer.flush()).map_err(SocketError::io)
            }
            _ => Err(SocketError::Closed),
        }
    }
}

/// The first byte of a close frame.
const CLOSE: u8 = 0x88;

/// What tungstenite reads from, and writes its answers to.
struct Side {
    reader: UpgradedReader,
    guard: Guard,
    sender: Sender,
}

impl Read for Side {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // It reads nothing once the guard has found something.
        self.guard.pass(&[])?;
        let read = self.reader.read(into)?;
        Ok(self.guard.pass(&into[..read])?)
    }
}

/// tungstenite writes whole frames here: pongs, and the answer to a close.
impl Write for Side {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        let mut out = self.sender.lock();
        // After our close nothing may follow, and the answer to a close is already there.
        if !out.is_closed
            && let Some(writer) = &mut out.writer
        {
            writer.write_all(frame)?;
            out.is_closed = frame.first() == Some(&CLOSE);
        }
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sender.lock().writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}
