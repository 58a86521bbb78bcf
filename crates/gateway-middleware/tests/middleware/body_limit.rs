//! Bodies that are too large.

use gateway_conformance::TestClient;
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Environ, Response, Result, StartResponse, bytes::Bytes};
use gateway_middleware::BodyLimit;

use crate::around::around_readers;

fn length(body: Bytes, start_response: StartResponse) -> Result<Response> {
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    Ok(response.with_body(body.len().to_string()))
}

#[test]
fn a_body_up_to_the_limit_passes_and_one_byte_more_is_413() {
    around_readers(
        length,
        |app| BodyLimit::new(app, 10),
        |client, _| {
            assert_eq!(client.post("/").body("x".repeat(10)).send().text(), "10");
            assert_eq!(client.post("/").pieces(["x".repeat(4), "x".repeat(6)]).send().text(), "10");
            assert_eq!(client.get("/").send().text(), "0");
            let declared = client.post("/").body("x".repeat(11)).send();
            assert_eq!(declared.status(), StatusCode::PAYLOAD_TOO_LARGE);
            let chunked = client.post("/").pieces(["x".repeat(4), "x".repeat(7)]).send();
            assert_eq!(chunked.status(), StatusCode::PAYLOAD_TOO_LARGE);
        },
    );
}

#[test]
fn a_route_may_take_more_than_the_server() {
    // The test client's limit is the server's: 2 MiB.
    let large = 3 << 20;
    around_readers(
        length,
        |app| BodyLimit::new(app, large),
        |client, _| {
            let declared = client.post("/").body(vec![0; large as usize]);
            assert_eq!(declared.send().text(), large.to_string());
            let pieces = client.post("/").pieces([vec![0; large as usize / 2], vec![1; 7]]);
            assert_eq!(pieces.send().text(), (large / 2 + 7).to_string());
        },
    );
}

#[test]
fn the_application_may_ask_for_less_and_not_for_more() {
    fn collects(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let limit = if environ.path_info() == "/less" { 3 } else { 1000 };
        let body = environ.input().collect(limit)?;
        length(body, start_response)
    }
    let client = TestClient::new(BodyLimit::new(collects, 10));
    for (path, bytes, status) in [("/less", 4, 413), ("/less", 3, 200), ("/more", 11, 413)] {
        for request in [
            client.post(path).body("x".repeat(bytes)),
            client.post(path).pieces(["x".repeat(bytes)]),
        ] {
            assert_eq!(request.send().status(), status, "{path} {bytes}");
        }
    }
}

#[test]
fn the_innermost_of_two_limits_cannot_loosen_the_outer_one() {
    let wrap = |app| BodyLimit::new(BodyLimit::new(app, 100), 10);
    around_readers(length, wrap, |client, _| {
        assert_eq!(client.post("/").body("x".repeat(11)).send().status(), 413);
        assert_eq!(client.post("/").pieces(["x".repeat(11)]).send().status(), 413);
        assert_eq!(client.post("/").pieces(["x".repeat(10)]).send().text(), "10");
    });
}
