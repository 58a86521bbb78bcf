//! Conversations with an echo, as data.

use gateway_core::{Environ, Response, Result, StartResponse};

use crate::client::{Client, FIN};
use crate::site::{On, Site};

/// What the echo takes.
pub(crate) const MAX_MESSAGE: usize = 2 << 20;
pub(crate) const MAX_FRAME: usize = 1 << 20;

/// One thing that a client does, or sees.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends bytes, all at once.
    Send(Vec<u8>),
    /// Sends bytes in pieces of so many.
    SendIn(usize, Vec<u8>),
    /// Gets a frame with FIN, and this opcode and content.
    Get(u8, Vec<u8>),
    /// Gets a close with this code, then a clean end.
    Closed(u16),
    /// Gets a close without a code, then a clean end.
    ClosedWithoutCode,
    /// Closes with 1000 and is answered alike.
    Close,
}

/// One connection.
pub(crate) type Conversation = Vec<Step>;

/// Makes four tests of each case: a list of conversations, one after the other.
macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident: $conversations:expr;)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            #[test]
            fn on_std() {
                $crate::case::run($crate::site::On::Std, false, $conversations);
            }

            #[test]
            fn on_std_blocking() {
                $crate::case::run($crate::site::On::Std, true, $conversations);
            }

            #[test]
            fn on_tokio() {
                $crate::case::run($crate::site::On::Tokio, false, $conversations);
            }

            #[test]
            fn on_tokio_blocking() {
                $crate::case::run($crate::site::On::Tokio, true, $conversations);
            }
        }
    )*};
}
pub(crate) use cases;

pub(crate) fn run(on: On, blocking: bool, conversations: impl IntoIterator<Item = Conversation>) {
    let site = match blocking {
        true => Site::start(on, echo_blocking),
        false => Site::start(on, echo),
    };
    for conversation in conversations {
        let mut client = Client::open(site.address);
        for step in conversation {
            match step {
                Step::Send(bytes) => client.send(bytes),
                Step::SendIn(size, bytes) => {
                    bytes.chunks(size).for_each(|piece| client.send(piece));
                }
                Step::Get(opcode, content) => client.expect(FIN | opcode, content),
                Step::Closed(code) => client.expect_close(code),
                Step::ClosedWithoutCode => {
                    client.expect(FIN | crate::client::CLOSE, "");
                    client.expect_end();
                }
                Step::Close => client.close(),
            }
        }
    }
    assert_eq!(site.stop(), [""; 0], "nothing is logged about a peer");
}

fn accept(environ: &Environ) -> Result<gateway_ws::Accept> {
    Ok(gateway_ws::accept(environ)?.max_message(MAX_MESSAGE).max_frame(MAX_FRAME))
}

pub(crate) async fn echo(environ: Environ, start_response: StartResponse) -> Result<Response> {
    accept(&environ)?.on_upgrade(start_response, |mut socket| async move {
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    })
}

pub(crate) fn echo_blocking(environ: Environ, start_response: StartResponse) -> Result<Response> {
    accept(&environ)?.on_upgrade_blocking(start_response, |mut socket| {
        while let Some(message) = socket.receive()? {
            socket.send(message)?;
        }
        Ok(())
    })
}
