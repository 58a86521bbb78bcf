//! What runs on an accepted socket, from its first message to its close.

use gateway_core::{Body, BoxError, Response, Result, StartResponse};
use tungstenite::protocol::WebSocketConfig;

use crate::accept::{Limits, Log};
use crate::{Accept, Close, CloseCode, SocketError};

/// So much is read at once, and held by a socket that waits.
const READ_BUFFER: usize = 8 * 1024;

#[cfg(feature = "async")]
impl Accept {
    /// Answers 101, and gives the socket to `f`, which is awaited.
    ///
    /// When `f` is done the socket is closed: with 1000 after `Ok`, and with 1011 after an error of
    /// the application's, which is logged. After a [`SocketError`], or what wraps one, nothing is
    /// logged: it is the peer's fault, and was told to the peer. A panic, and a shutdown of the server whose time is
    /// up, end the connection without a close. A socket that `f` has given to somebody else lives on
    /// there, and is closed only by [`close`](crate::WebSocket::close).
    ///
    /// ```
    /// use gateway_core::{Environ, Response, Result, StartResponse};
    ///
    /// async fn echo(environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     gateway_ws::accept(&environ)?.on_upgrade(start_response, |mut socket| async move {
    ///         while let Some(message) = socket.receive().await? {
    ///             socket.send(message).await?;
    ///         }
    ///         Ok(())
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`response`](Accept::response).
    pub fn on_upgrade<F, Fut>(self, start_response: StartResponse, f: F) -> Result<Response>
    where
        F: FnOnce(crate::WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let response = self.response(start_response)?;
        let Accept { protocol, limits, log, .. } = self;
        Ok(response.with_body(Body::upgrade_async(move |upgraded| async move {
            let home = crate::socket::Home::default();
            let config = limits.config();
            let socket = crate::WebSocket::new(upgraded, config, protocol, home.clone()).await;
            let close = log.close(f(socket).await);
            home.close(close).await;
        })))
    }
}

#[cfg(feature = "blocking")]
impl Accept {
    /// Answers 101, and gives the socket to `f`, which may block: on the connection's thread, or on
    /// a worker beside a reactor for as long as the socket is open. Beside a reactor with many
    /// sockets, `on_upgrade` is the better choice.
    ///
    /// When `f` returns the socket is closed as with `on_upgrade`, whoever still has a
    /// [`Sender`](crate::blocking::Sender).
    ///
    /// ```
    /// use gateway_core::{Environ, Response, Result, StartResponse};
    ///
    /// fn echo(environ: Environ, start_response: StartResponse) -> Result<Response> {
    ///     gateway_ws::accept(&environ)?.on_upgrade_blocking(start_response, |mut socket| {
    ///         while let Some(message) = socket.receive()? {
    ///             socket.send(message)?;
    ///         }
    ///         Ok(())
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`response`](Accept::response).
    pub fn on_upgrade_blocking<F>(self, start_response: StartResponse, f: F) -> Result<Response>
    where
        F: FnOnce(crate::blocking::WebSocket) -> Result<(), BoxError> + Send + 'static,
    {
        /// Lets go of the connection, also after a panic.
        struct End(crate::blocking::Sender);

        impl Drop for End {
            fn drop(&mut self) {
                self.0.end();
            }
        }

        let response = self.response(start_response)?;
        let Accept { protocol, limits, log, .. } = self;
        Ok(response.with_body(Body::upgrade(move |upgraded| {
            let socket = crate::blocking::WebSocket::new(upgraded, limits.config(), protocol);
            let end = End(socket.sender());
            let close = log.close(f(socket));
            // Whoever has gone, or was told to go, cannot be told.
            let _ = end.0.close(close);
        })))
    }
}

impl Limits {
    fn config(self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Every message is flushed, so nothing is gained by keeping it.
            .write_buffer_size(0)
            .max_message_size(Some(self.max_message))
            .max_frame_size(Some(self.max_frame.unwrap_or(self.max_message)))
    }
}

impl Log {
    /// What is told the peer after the outcome of an application's function.
    fn close(&self, outcome: Result<(), BoxError>) -> Close {
        match outcome {
            Ok(()) => CloseCode::NORMAL.into(),
            // The last word was said, or nobody listens.
            Err(error) if SocketError::is_the_cause_of(&*error) => CloseCode::NORMAL.into(),
            Err(error) => {
                let error = gateway_core::Error::application(error);
                self.errors.error(format_args!("{}: the WebSocket failed", self.request), &error);
                CloseCode::INTERNAL_ERROR.into()
            }
        }
    }
}
