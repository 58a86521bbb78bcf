//! A server author's first server: one connection, over standard input and output or another pair
//! of pipes.
//!
//! `gateway-http1` knows the protocol and `gateway-handler` the application's side; a server moves
//! bytes between them. What a socket would need besides is left out: time-outs, and lingering.

mod pipe;
mod request;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use gateway_core::exchange::ConnectionInfo;
use gateway_core::{Application, ServerInfo};
use gateway_handler::{Channel, answer};
use gateway_http1::{Event, Next};

use pipe::Pipe;
use request::environ;

/// Serves `app` over standard input and output, until one of the two has enough.
///
/// # Errors
///
/// When reading or writing fails.
pub fn serve(app: &dyn Application) -> io::Result<()> {
    serve_over(app, io::stdin(), io::stdout())
}

/// The same over another pair of pipes.
///
/// # Errors
///
/// When reading or writing fails.
pub fn serve_over(
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
                let request = |exchange| environ(exchange, head, &fields);
                pipe = answer(app, info.clone(), pipe, request);
                while pipe.engine.start_next_cycle(Instant::now()) == Next::Drain {
                    if let Some(Err(_)) = pipe.read() {
                        return Ok(());
                    }
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
