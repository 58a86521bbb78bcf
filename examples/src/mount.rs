//! Applications under prefixes. None of them knows where it is mounted.

use gateway_core::http::StatusCode;
use gateway_core::{Environ, Mount, Response, Result, StartResponse};

use crate::{counter, hello};

/// `hello` and `counter` under prefixes of their own, and a list of them at the root.
pub fn app() -> Mount {
    Mount::new()
        .at("/hello", hello::app)
        .at("/counter", counter::app())
        .at("/where", place)
        .at("", index)
        .build()
        .expect("the prefixes begin with a slash, end without one, and differ")
}

fn index(_: Environ, start_response: StartResponse) -> Result<Response> {
    let response = start_response.start(StatusCode::OK, ());
    Ok(response.with_body("Try /hello, /counter and /where/am/I.\n"))
}

/// Shows how mounting splits a path.
fn place(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let (script_name, path_info) = (environ.script_name(), environ.path_info());
    let answer = format!("mounted at {script_name:?}, asked for {path_info:?}\n");
    Ok(start_response.start(StatusCode::OK, ()).with_body(answer))
}
