//! The request as JSON.

use gateway_core::{Environ, Reply, Response, Result, StartResponse};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Reads the whole body, then tells what came.
pub(super) fn app(mut environ: Environ, start_response: StartResponse) -> Reply {
    if environ.input().is_end() {
        return report(&environ, start_response, 0, Sha256::new()).into();
    }
    Reply::future(async move {
        let (mut length, mut hash) = (0, Sha256::new());
        while let Some(data) = environ.input().data_async().await {
            let data = data?;
            length += data.len() as u64;
            hash.update(&data);
        }
        report(&environ, start_response, length, hash)
    })
}

#[derive(Serialize)]
struct Report<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: Vec<[String; 2]>,
    body_len: u64,
    body_sha256: String,
    environ: &'a Environ,
}

fn report(
    environ: &Environ,
    start_response: StartResponse,
    body_len: u64,
    hash: Sha256,
) -> Result<Response> {
    let headers =
        environ.fields().map(|(name, value)| [latin1(name).to_ascii_lowercase(), latin1(value)]);
    let report = Report {
        method: environ.method().as_str(),
        path: environ.raw_path_info(),
        query: environ.query_string().unwrap_or_default(),
        headers: headers.collect(),
        body_len,
        body_sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        environ,
    };
    super::json(start_response, &report)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}
