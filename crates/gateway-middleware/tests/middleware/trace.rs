//! What a trace shows.

use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{ErrorStream, Response, Result, StartResponse, bytes::Bytes};
use gateway_middleware::Trace;

use crate::around::around_readers;

fn echo(body: Bytes, start_response: StartResponse) -> Result<Response> {
    let headers = [(CONTENT_TYPE, "text/plain")];
    let mut response = start_response.start(StatusCode::OK, headers);
    response.head_mut()?.headers.append("set-cookie", "id=SECRET".parse()?);
    Ok(response.with_body(body))
}

#[test]
fn both_heads_and_sizes_are_shown_and_no_secret() {
    let (stream, lines) = ErrorStream::memory();
    around_readers(
        echo,
        |app| Trace::new(app, stream.clone()),
        |client, _| {
            let request = client.post("/echo").header("cookie", "id=SECRET").pieces(["Hel", "lo"]);
            assert_eq!(request.send().text(), "Hello");
            let lines = lines.take().join("\n");
            for part in [
                "* #1 127.0.0.1:49152",
                "< POST /echo HTTP/1.1",
                "< cookie: [masked, 9 bytes]",
                "> HTTP/1.1 200 OK",
                "> content-type: text/plain",
                "> set-cookie: [masked, 9 bytes]",
                "* #1 received 5 bytes, sent 5 bytes in ",
            ] {
                assert!(lines.contains(part), "{part} is missing in {lines}");
            }
            assert!(!lines.contains("SECRET"), "{lines}");
        },
    );
}
