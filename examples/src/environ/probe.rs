//! Misbehaviour on demand: what an application may do to a server.

use std::io;

use gateway_core::bytes::Bytes;
use gateway_core::http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, ETAG, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use gateway_core::http::{HeaderMap, StatusCode};
use gateway_core::{Body, Environ, Error, ReasonPhrase, Response, Result, StartResponse};
use serde::Serialize;

use super::{MIB, Pieces};

pub(super) const PREFIX: &str = "/__probe/";

#[derive(Serialize)]
struct Hooks {
    hooks: &'static [&'static str],
}

const HOOKS: Hooks = Hooks {
    hooks: &[
        "noread",
        "status",
        "short",
        "long",
        "raise",
        "raise-mid",
        "stream",
        "big",
        "empty",
        "bad-value",
        "bad-name",
        "bad-reason",
        "date",
        "hop",
        "two-cl",
        "cl-te",
    ],
};

const INJECTION: &str = "x\r\nX-Injected: 1";

/// None of them touches the request's body.
pub(super) fn app(environ: &Environ, start_response: StartResponse) -> Result<Response> {
    let hook = environ.raw_path_info().strip_prefix(PREFIX).unwrap_or_default();
    let ok = |start_response: StartResponse| start_response.start(StatusCode::OK, ());
    Ok(match hook {
        "ping" => super::json(start_response, &HOOKS)?,
        "noread" => ok(start_response).with_body("noread"),
        "short" => with(start_response, [(CONTENT_LENGTH, "10")]).with_body(data(&["12345"])),
        "long" => {
            with(start_response, [(CONTENT_LENGTH, "5")]).with_body(data(&["12345", "EXTRA"]))
        }
        "raise" => return Err(boom().into()),
        "raise-mid" => {
            let pieces = [Ok(Bytes::from("some")), Err(boom())];
            ok(start_response).with_body(Body::stream(Pieces::new(pieces.into_iter())))
        }
        "stream" => ok(start_response).with_body(data(&["one,", "two,", "three"])),
        "big" => ok(start_response).with_body(vec![b'b'; MIB]),
        "empty" => ok(start_response),
        "bad-value" => {
            let mut headers = HeaderMap::new();
            headers.insert("x-probe", HeaderValue::from_str(INJECTION)?);
            start_response.start(StatusCode::OK, headers)
        }
        "bad-name" => {
            let mut headers = HeaderMap::new();
            let name = HeaderName::from_bytes(INJECTION.as_bytes())?;
            headers.insert(name, HeaderValue::from_static("1"));
            start_response.start(StatusCode::OK, headers)
        }
        "bad-reason" => {
            let mut response = ok(start_response);
            response.head_mut()?.reason = Some(ReasonPhrase::new(INJECTION)?);
            response
        }
        "date" => with(start_response, [(DATE, "Sun, 06 Nov 1994 08:49:37 GMT")]).with_body("date"),
        "hop" => {
            let hop = [(CONNECTION, "keep-alive"), (TRANSFER_ENCODING, "chunked")];
            with(start_response, hop).with_body("hop")
        }
        "two-cl" => {
            let lengths = [(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "3")];
            with(start_response, lengths).with_body("hello")
        }
        "cl-te" => {
            let both = [(CONTENT_LENGTH, "5"), (TRANSFER_ENCODING, "chunked")];
            with(start_response, both).with_body("hello")
        }
        _ => match hook.strip_prefix("status/") {
            Some(status) => {
                let status = StatusCode::from_bytes(status.as_bytes())
                    .map_err(|cause| Error::with_status(StatusCode::BAD_REQUEST, cause))?;
                start_response.start(status, [(ETAG, "\"probe\"")]).with_body("UNWANTEDBODY")
            }
            None => return Err(Error::with_status(StatusCode::NOT_FOUND, "no such hook")),
        },
    })
}

fn with<const N: usize>(
    start_response: StartResponse,
    fields: [(HeaderName, &'static str); N],
) -> Response {
    start_response.start(StatusCode::OK, fields)
}

/// Data whose common length nobody knows beforehand.
fn data(data: &'static [&'static str]) -> Body {
    let data = data.iter().map(|data| Ok(Bytes::from_static(data.as_bytes())));
    Body::stream(Pieces::new(data))
}

fn boom() -> io::Error {
    io::Error::other("boom")
}
