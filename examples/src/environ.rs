//! Shows the request as JSON, and serves what probes, benchmarks and abuse tests ask for.
//!
//! | route | answer |
//! |---|---|
//! | `/plaintext` | `Hello, World!` |
//! | `/json` | `{"message":"Hello, World!"}`, rendered per request |
//! | `/big` | 1 MiB from memory; `?n=BYTES` for another length |
//! | `/echo` | the length of the request's body, which may have any |
//! | `/stream` | 1000 data of 1 KiB, length unknown; `?n=` for another number |
//! | `/panic` | panics before the head |
//! | `/abort?after=BYTES` | fails after that many bytes |
//! | `/sleep?ms=N`, `/asleep?ms=N` | takes that long, blocking or not |
//! | `/__probe/…` | misbehaves, see the names under `/__probe/ping` |
//! | any other | the request: method, path, fields, body length and hash, CGI variables |
//!
//! What does not block is answered at once, and bodies are read without blocking, so that no server
//! needs a worker for any route but `/sleep`.

mod pieces;
mod probe;
mod report;

use std::io;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use futures_timer::Delay;
use gateway_core::bytes::Bytes;
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Body, Environ, Error, Reply, Response, Result, StartResponse};
use serde::Serialize;

use pieces::Pieces;

const HELLO: &str = "Hello, World!";
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Answers by the path of the request.
pub fn app(environ: Environ, start_response: StartResponse) -> Reply {
    match environ.raw_path_info() {
        "/plaintext" => text(start_response, HELLO).into(),
        "/json" => json(start_response, &Message { message: HELLO }).into(),
        "/big" => big(&environ, start_response).into(),
        "/echo" => Reply::future(length(environ, start_response)),
        "/stream" => stream(&environ, start_response).into(),
        "/panic" => panic!("asked to panic"),
        "/abort" => abort(&environ, start_response).into(),
        "/sleep" => sleep(&environ, start_response),
        "/asleep" => asleep(&environ, start_response),
        path if path.starts_with(probe::PREFIX) => probe::app(&environ, start_response).into(),
        _ => report::app(environ, start_response),
    }
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

fn big(environ: &Environ, start_response: StartResponse) -> Result<Response> {
    static BIG: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..=126).cycle().take(MIB).collect::<Vec<u8>>());
    let big = Bytes::from_static(&BIG);
    let body = match number(environ, "n")? {
        None => Body::from(big),
        Some(len) => Body::stream(Pieces::new(pieces::repeat(big, len)).with_len(len)),
    };
    Ok(octets(start_response).with_body(body))
}

async fn length(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let input = environ.input();
    input.limit(u64::MAX)?;
    let mut length = 0;
    while let Some(data) = input.data_async().await {
        length += data?.len() as u64;
    }
    Ok(text(start_response, length.to_string()))
}

fn stream(environ: &Environ, start_response: StartResponse) -> Result<Response> {
    const DATUM: &[u8] = &[b'c'; KIB];
    let count = number(environ, "n")?.unwrap_or(1000);
    let data = (0..count).map(|_| Ok(Bytes::from_static(DATUM)));
    Ok(octets(start_response).with_body(Body::stream(Pieces::new(data))))
}

fn abort(environ: &Environ, start_response: StartResponse) -> Result<Response> {
    let after = number(environ, "after")?.unwrap_or(0);
    let data = pieces::repeat(Bytes::from_static(&[b'a'; KIB]), after);
    let failing = data.chain([Err(io::Error::other("asked to fail"))]);
    Ok(octets(start_response).with_body(Body::stream(Pieces::new(failing))))
}

fn sleep(environ: &Environ, start_response: StartResponse) -> Reply {
    match milliseconds(environ) {
        Ok(time) => Reply::blocking(move || {
            thread::sleep(time);
            Ok(text(start_response, "slept\n"))
        }),
        Err(error) => error.into(),
    }
}

fn asleep(environ: &Environ, start_response: StartResponse) -> Reply {
    match milliseconds(environ) {
        Ok(time) => Reply::future(async move {
            Delay::new(time).await;
            Ok(text(start_response, "slept\n"))
        }),
        Err(error) => error.into(),
    }
}

fn milliseconds(environ: &Environ) -> Result<Duration> {
    Ok(Duration::from_millis(number(environ, "ms")?.unwrap_or(0)))
}

/// The number that the query gives for `name`, if it names it.
fn number(environ: &Environ, name: &str) -> Result<Option<u64>> {
    let mut pairs = environ
        .query_string()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let value = pairs.find_map(|(key, value)| (key == name).then_some(value));
    let number = value.map(str::parse).transpose();
    number.map_err(|cause| Error::with_status(StatusCode::BAD_REQUEST, cause))
}

fn text(start_response: StartResponse, text: impl Into<Body>) -> Response {
    start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text)
}

fn json(start_response: StartResponse, value: &impl Serialize) -> Result<Response> {
    let json = serde_json::to_vec(value).map_err(Error::application)?;
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "application/json")]);
    Ok(response.with_body(json))
}

fn octets(start_response: StartResponse) -> Response {
    start_response.start(StatusCode::OK, [(CONTENT_TYPE, "application/octet-stream")])
}
