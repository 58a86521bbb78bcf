//! Requests that come compressed.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use gateway_conformance::TestClient;
use gateway_core::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use gateway_core::{Environ, Response, Result, StartResponse, bytes::Bytes};
use gateway_middleware::{BodyLimit, Decompression};

use crate::around::{Boxed, around_each, around_readers};

fn echo(body: Bytes, start_response: StartResponse) -> Result<Response> {
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(body))
}

fn with_brotli(app: Boxed) -> Decompression<Boxed> {
    Decompression::new(app).brotli()
}

fn encoded(coding: &str, data: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    match coding {
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(&mut all, 4096, 5, 20);
            encoder.write_all(data).expect("memory takes it");
            drop(encoder);
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(&mut all, Compression::default());
            encoder.write_all(data).expect("memory takes it");
            encoder.finish().expect("memory takes it");
        }
        _ => {
            let mut encoder = GzEncoder::new(&mut all, Compression::default());
            encoder.write_all(data).expect("memory takes it");
            encoder.finish().expect("memory takes it");
        }
    }
    all
}

#[test]
fn readers_of_every_kind_get_what_was_meant() {
    let text: Vec<u8> = (0..9000_u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
    around_readers(echo, with_brotli, |client, _| {
        for coding in ["gzip", "X-Gzip", "deflate", "br"] {
            let bytes = encoded(&coding.to_ascii_lowercase(), &text);
            let whole = client.post("/").header("content-encoding", coding).body(bytes.clone());
            assert!(whole.send().body() == text, "{coding}");
            let pieces = client.post("/").header("content-encoding", coding);
            let pieces = pieces.pieces(bytes.chunks(100).map(Bytes::copy_from_slice));
            assert!(pieces.send().body() == text, "{coding} in pieces");
        }
    });
}

#[test]
fn every_byte_may_come_alone() {
    around_readers(echo, with_brotli, |client, _| {
        for coding in ["gzip", "deflate", "br"] {
            let bytes = encoded(coding, b"Hello, Hello, Hello!");
            let request = client.post("/").header("content-encoding", coding);
            let request = request.pieces(bytes.chunks(1).map(Bytes::copy_from_slice));
            assert_eq!(request.send().text(), "Hello, Hello, Hello!", "{coding}");
        }
    });
}

#[test]
fn what_is_not_encoded_and_what_is_empty_pass() {
    around_readers(echo, Decompression::new, |client, _| {
        assert_eq!(client.post("/").body("plain").send().text(), "plain");
        let identity = client.post("/").header("content-encoding", "identity").body("plain");
        assert_eq!(identity.send().text(), "plain");
        for request in [
            client.post("/").header("content-encoding", "gzip").body(""),
            client.post("/").header("content-encoding", "gzip").pieces([""; 0]),
        ] {
            assert_eq!(request.send().text(), "");
        }
    });
}

#[test]
fn a_bomb_is_413_and_not_a_heap() {
    // 4 MiB of nothing, against the client's limit of 2 MiB.
    let nothing = vec![0; 4 << 20];
    around_readers(echo, with_brotli, |client, _| {
        for coding in ["gzip", "deflate", "br"] {
            let bomb = encoded(coding, &nothing);
            assert!(bomb.len() < 20_000, "{coding}");
            let response = client.post("/").header("content-encoding", coding).body(bomb).send();
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{coding}");
        }
    });
}

#[test]
fn a_routes_limit_counts_what_comes_out() {
    let wrap = |app| Decompression::new(BodyLimit::new(app, 1000));
    around_readers(echo, wrap, |client, _| {
        for (length, status) in [(1000, 200), (1001, 413)] {
            let bytes = encoded("gzip", &vec![b'x'; length]);
            let request = client.post("/").header("content-encoding", "gzip").body(bytes);
            assert_eq!(request.send().status(), status);
        }
    });
}

#[test]
fn what_is_broken_or_cut_off_is_400() {
    around_readers(echo, with_brotli, |client, _| {
        for coding in ["gzip", "deflate", "br"] {
            let good = encoded(coding, b"Hello, Hello, Hello!");
            let cut = good[..good.len() - 3].to_vec();
            let longer = [&good[..], b"\x00junk"].concat();
            let mut bad = vec![b"\xffno such thing at all".to_vec(), cut];
            // The decoder of Brotli keeps to itself what it has read beyond the end.
            bad.extend((coding != "br").then_some(longer));
            for bad in bad {
                let request = client.post("/").header("content-encoding", coding);
                let response = request.body(bad.clone()).send();
                assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{coding} {bad:x?}");
            }
        }
        let members = [encoded("gzip", b"one "), encoded("gzip", b"two")].concat();
        let request = client.post("/").header("content-encoding", "gzip").body(members);
        assert_eq!(request.send().text(), "one two", "gzip may be several members");
    });
}

#[test]
fn an_unknown_coding_is_told_what_is_known() {
    let answer = |_: Environ, start_response: StartResponse| echo("".into(), start_response);
    around_each(answer, Decompression::new, |client, _| {
        for unknown in ["zstd", "br", "gzip, gzip", "\"gzip\""] {
            let request = client.post("/").header("content-encoding", unknown).body("x");
            let response = request.send();
            assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{unknown}");
            assert_eq!(response.header("accept-encoding"), Some("gzip, deflate"));
        }
    });
    let client = TestClient::new(Decompression::new(answer).brotli());
    let response = client.post("/").header("content-encoding", "zstd").body("x").send();
    assert_eq!(response.header("accept-encoding"), Some("br, gzip, deflate"));
}

#[test]
fn the_application_finds_no_fields_of_the_encoded_body_and_its_trailers() {
    fn facts(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let body = environ.input().collect(100)?;
        let field = |name| environ.header(name).is_some();
        let facts = [field("content-encoding"), field("content-length")];
        let length = environ.var("CONTENT_LENGTH").map(std::borrow::Cow::into_owned);
        let sum = environ.input().trailers().map(|trailers| trailers["x-sum"].clone());
        let text = format!("{body:?} {facts:?} {length:?} {sum:?}");
        echo(text.into(), start_response)
    }
    let client = TestClient::new(Decompression::new(facts));
    let request = client.post("/").header("content-encoding", "gzip");
    let declared = request.body(encoded("gzip", b"Hello")).send();
    assert_eq!(declared.text(), r#"b"Hello" [false, false] None None"#);
    let (name, value) = (HeaderName::from_static("x-sum"), HeaderValue::from_static("7"));
    let request = client.post("/").header("content-encoding", "gzip");
    let request = request.pieces([encoded("gzip", b"Hello")]);
    let response = request.trailers(HeaderMap::from_iter([(name, value)])).send();
    assert_eq!(response.text(), r#"b"Hello" [false, false] None Some("7")"#);
}
