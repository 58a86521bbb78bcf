//! Runs one layer of a request's path N times, so that an instruction counter sees nothing else.
//!
//! `layers LAYER REQUEST N`, where the request is `host` (a Host field only) or `browser` (13 fields):
//!
//! | layer | what it runs |
//! |---|---|
//! | `engine` | gateway-http1: bytes to a request head, a response to bytes |
//! | `contract` | gateway-handler: the `start_response` contract onto a wire that takes everything |
//! | `core` | gateway-core: `Environ`, `StartResponse`, the application behind `dyn`, its `Reply` |
//! | `connection` | all of it: `gateway_connection::serve` over a transport in memory |
//!
//! Each checks what came out. `../counts` subtracts a short run from a longer one.

mod connection;
mod contract;
mod core;
mod engine;
mod request;

use std::env;
use std::process::ExitCode;

use gateway_core::http::StatusCode;
use gateway_core::http::header::CONTENT_TYPE;
use gateway_core::{Environ, Reply, StartResponse};

const HELLO: &str = "Hello, World!";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [layer, request, count] = arguments[..] else { return usage() };
    let (Some(request), Ok(count)) = (request::named(request), count.parse()) else {
        return usage();
    };
    match layer {
        "engine" => engine::run(&request, count),
        "contract" => contract::run(count),
        "core" => core::run(&request, count),
        "connection" => connection::run(&request, count),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: layers engine|contract|core|connection host|browser N");
    ExitCode::FAILURE
}

/// What the `environ` example does for `/plaintext`.
fn app(environ: Environ, start_response: StartResponse) -> Reply {
    match environ.raw_path_info() {
        "/plaintext" => {
            let headers = [(CONTENT_TYPE, "text/plain")];
            Ok(start_response.start(StatusCode::OK, headers).with_body(HELLO)).into()
        }
        _ => Ok(start_response.start(StatusCode::NOT_FOUND, ())).into(),
    }
}
