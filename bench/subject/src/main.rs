//! The `environ` example, with the routes that only comparisons need:
//!
//! | route | answer |
//! |---|---|
//! | `/big` | the 1 MiB that the peers of `../shared/bench` send, byte for byte |
//! | `/pending` | what `/plaintext` answers, as a future that is ready at once |
//! | `/blocking` | the same, as work that may block |
//! | any other | the example's |

use std::process::ExitCode;
use std::sync::LazyLock;

use gateway_core::bytes::Bytes;
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Body, Environ, Reply, Response, StartResponse};

const BIG: usize = 1 << 20;

fn main() -> ExitCode {
    examples::launch::launch(app)
}

fn app(environ: Environ, start_response: StartResponse) -> Reply {
    match environ.raw_path_info() {
        "/big" => Ok(answer(start_response, "application/octet-stream", big())).into(),
        "/pending" => Reply::future(async move { Ok(hello(start_response)) }),
        "/blocking" => Reply::blocking(move || Ok(hello(start_response))),
        _ => examples::environ::app(environ, start_response),
    }
}

fn big() -> Bytes {
    static BYTES: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..BIG).map(|at| ((at * 31 + 7) % 251) as u8).collect());
    Bytes::from_static(&BYTES)
}

fn hello(start_response: StartResponse) -> Response {
    answer(start_response, "text/plain", "Hello, World!")
}

fn answer(start_response: StartResponse, kind: &'static str, body: impl Into<Body>) -> Response {
    start_response.start(StatusCode::OK, [(CONTENT_TYPE, kind)]).with_body(body)
}
