//! Sends every message back: what `scripts/autobahn` tests.
//!
//! `ws-echo --server std|tokio [--blocking] [--addr 127.0.0.1:9001]`

#![expect(clippy::print_stdout, reason = "whoever starts it waits for the address")]

use gateway_core::{Environ, Response, Result, Server, StartResponse, run};
use gateway_std::StdServer;
use gateway_tokio::TokioServer;
use gateway_ws::Accept;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    use lexopt::{Arg::Long, ValueExt};

    let (mut tokio, mut blocking, mut addr) = (false, false, "127.0.0.1:9001".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("server") => {
                tokio = parser.value()?.parse_with(|name| match name {
                    "std" => Ok(false),
                    "tokio" => Ok(true),
                    _ => Err("it is `std` or `tokio`"),
                })?;
            }
            Long("blocking") => blocking = true,
            Long("addr") => addr = parser.value()?.string()?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    match tokio {
        true => serve(TokioServer::bind(&addr)?, blocking),
        false => serve(StdServer::bind(&addr)?, blocking),
    }
}

fn serve(
    server: impl Server,
    blocking: bool,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    for address in server.local_addrs() {
        println!("Listening on {address}");
    }
    match blocking {
        true => run(server, echo_blocking)?,
        false => run(server, echo)?,
    };
    Ok(())
}

/// Autobahn's largest message has 16 MiB.
fn accept(environ: &Environ) -> Result<Accept> {
    Ok(gateway_ws::accept(environ)?.max_message(16 << 20))
}

async fn echo(environ: Environ, start_response: StartResponse) -> Result<Response> {
    accept(&environ)?.on_upgrade(start_response, |mut socket| async move {
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    })
}

fn echo_blocking(environ: Environ, start_response: StartResponse) -> Result<Response> {
    accept(&environ)?.on_upgrade_blocking(start_response, |mut socket| {
        while let Some(message) = socket.receive()? {
            socket.send(message)?;
        }
        Ok(())
    })
}
