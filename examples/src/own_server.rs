//! A server author's first server: one connection, over a pair of pipes such as standard input and
//! output.
//!
//! `gateway-http1` knows the protocol and `gateway-handler` the application's side; a server moves
//! bytes between them: `pipe` holds the engine, `request` makes an `Environ` of what it tells,
//! and `channel` and `wire` are what the handler asks of a server. What a socket would need
//! besides is left out: time-outs, and lingering.

mod channel;
mod pipe;
mod request;
mod wire;

use std::io::{self, Read, Write};
use std::sync::Arc;

use gateway_core::exchange::ConnectionInfo;
use gateway_core::{Application, ServerInfo};
use gateway_handler::answer;
use gateway_http1::{Event, Next};

use pipe::Pipe;

/// Serves `app` to whoever writes what `input` reads and reads what `output` writes, until one of
/// the two has enough.
///
/// # Errors
///
/// When reading or writing fails.
pub fn serve(
    app: &dyn Application,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> io::Result<()> {
    let info = ConnectionInfo::new(Arc::new(ServerInfo::new("localhost", None, "own-server")));
    let mut pipe = Pipe::new(input, output);
    loop {
        match pipe.engine.next_event() {
            Ok(Event::NeedData) => pipe.fill()?,
            Ok(Event::Request(head)) => {
                let fields = pipe.engine.fields().to_vec();
                let request = |exchange| request::environ(exchange, head, &fields);
                pipe = answer(app, info.clone(), pipe, request);
                while pipe.engine.start_next_cycle() == Next::Drain {
                    pipe.drain()?;
                }
                if !pipe.engine.keep_alive() {
                    return Ok(());
                }
            }
            Ok(_) => return Ok(()),
            Err(error) => return pipe.refuse(error),
        }
    }
}
