//! Responses that are made shorter, and those that are not.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use gateway_conformance::{TestClient, TestResponse};
use gateway_core::bytes::Bytes;
use gateway_core::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, VARY,
};
use gateway_core::http::{Method, StatusCode};
use gateway_core::http_body::{self, Frame};
use gateway_core::{
    Body, BoxError, Environ, FileBody, IntoApplication, Response, Result, StartResponse,
};
use gateway_middleware::Compression;

use crate::around::{Boxed, Kind, around, around_each};

const LINE: &str = "the same line once more\n";

fn story(_: Environ, start_response: StartResponse) -> Result<Response> {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CONTENT_LENGTH, "4800"),
        (ETAG, "\"v1\""),
        (ACCEPT_RANGES, "bytes"),
    ];
    Ok(start_response.start(StatusCode::OK, headers).with_body(LINE.repeat(200)))
}

fn with_brotli(app: Boxed) -> Compression<Boxed> {
    Compression::new(app).brotli()
}

/// What a response says, decoded by another implementation's way: all at once.
fn decoded(response: &TestResponse) -> Vec<u8> {
    assert!(!response.is_cut());
    decode(response.header("content-encoding"), &response.body()).expect("it can be decoded")
}

fn decode(coding: Option<&str>, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    match coding {
        Some("gzip") => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut all)?),
        Some("br") => drop(brotli::Decompressor::new(bytes, 4096).read_to_end(&mut all)?),
        _ => all.extend_from_slice(bytes),
    }
    Ok(all)
}

/// What can be read of a beginning.
fn decoded_so_far(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    // The end is missing, which is an error after all that is there.
    let _ = match coding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut all),
        _ => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut all),
    };
    all
}

#[test]
fn every_kind_of_application_is_compressed_as_the_peer_wants() {
    around_each(story, with_brotli, |client, _| {
        for (accepted, coding) in
            [("gzip", "gzip"), ("gzip, br", "br"), ("gzip;q=1, br;q=0.5", "gzip"), ("*", "br")]
        {
            let response = client.get("/").header("accept-encoding", accepted).send();
            assert_eq!(response.header("content-encoding"), Some(coding));
            assert_eq!(response.header("vary"), Some("accept-encoding"));
            assert_eq!(response.header("etag"), Some("W/\"v1\""));
            assert_eq!(response.header("accept-ranges"), None);
            let length = response.body().len().to_string();
            assert_eq!(response.header("content-length"), Some(&*length), "it is the new one");
            assert!(response.body().len() < 200);
            assert_eq!(decoded(&response), LINE.repeat(200).as_bytes());
        }
    });
}

#[test]
fn a_peer_that_does_not_accept_it_gets_what_is_there() {
    around_each(story, with_brotli, |client, _| {
        for accepted in ["", "identity", "gzip;q=0", "deflate", "*;q=0"] {
            let response = client.get("/").header("accept-encoding", accepted).send();
            assert_eq!(response.header("content-encoding"), None, "{accepted}");
            assert_eq!(response.header("vary"), Some("accept-encoding"), "it could have been");
            assert_eq!(response.header("etag"), Some("\"v1\""));
            assert_eq!(response.header("content-length"), Some("4800"));
            assert_eq!(response.text(), LINE.repeat(200));
        }
        assert_eq!(client.get("/").send().text(), LINE.repeat(200));
    });
    around_each(story, Compression::new, |client, _| {
        let response = client.get("/").header("accept-encoding", "br").send();
        assert_eq!(response.header("content-encoding"), None, "Brotli is for who asks for it");
    });
}

#[test]
fn head_says_what_get_says() {
    fn without_body(environ: Environ, start_response: StartResponse) -> Result<Response> {
        let is_head = environ.method() == Method::HEAD;
        let response = story(environ, start_response)?;
        Ok(if is_head { response.with_body(Body::Empty) } else { response })
    }
    let check = |client: &TestClient| {
        let fields = |method| {
            let request = client.request(method, "/").header("accept-encoding", "gzip");
            let mut headers = request.send().headers().clone();
            // It may be left out where the body is (RFC 9110 §9.3.2).
            headers.remove(CONTENT_LENGTH);
            headers
        };
        assert_eq!(fields(Method::HEAD), fields(Method::GET));
    };
    around_each(story, Compression::new, |client, _| check(client));
    check(&TestClient::new(Compression::new(without_body)));
}

/// What is not to be compressed, by what the request's path says.
fn unfit(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let plain = HeaderValue::from_static("text/plain");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, plain)]);
    let mut status = StatusCode::OK;
    let mut field = |name: HeaderName, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    match &*environ.path_info() {
        "/encoded" => field(HeaderName::from_static("content-encoding"), "zstd"),
        "/picture" => field(CONTENT_TYPE, "image/png"),
        "/no-transform" => field(CACHE_CONTROL, "max-age=60, No-Transform"),
        "/digest" => field(HeaderName::from_static("repr-digest"), "sha-256=:AAAA:"),
        "/part" => {
            field(CONTENT_RANGE, "bytes 0-4799/9600");
            status = StatusCode::PARTIAL_CONTENT;
        }
        "/no-such-part" => {
            field(CONTENT_RANGE, "bytes */9600");
            status = StatusCode::RANGE_NOT_SATISFIABLE;
        }
        "/tiny" => {
            let response = start_response.start(status, headers);
            return Ok(response.with_body(LINE));
        }
        _ => drop(headers.remove(CONTENT_TYPE)),
    }
    Ok(start_response.start(status, headers).with_body(LINE.repeat(200)))
}

#[test]
fn what_is_encoded_tiny_partial_or_not_to_be_transformed_is_left_alone() {
    around_each(unfit, Compression::new, |client, _| {
        for path in
            ["/encoded", "/picture", "/no-transform", "/digest", "/part", "/no-such-part", "/tiny"]
        {
            let request = client.get(path).header("accept-encoding", "gzip");
            let response = request.header("range", "bytes=0-4799").send();
            let expected = (path == "/encoded").then_some("zstd");
            assert_eq!(response.header("content-encoding"), expected, "{path}");
            assert_eq!(response.header("vary"), None, "{path}");
            assert!(response.text().starts_with(LINE), "{path}");
        }
    });
    let client = TestClient::new(Compression::new(unfit)).reporting();
    let response = client.get("/untyped").header("accept-encoding", "gzip").send();
    assert_eq!(response.header("content-encoding"), None);
}

#[test]
fn what_does_not_get_shorter_stays() {
    fn noise(_: Environ, start_response: StartResponse) -> Result<Response> {
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..2000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(noise))
    }
    around_each(noise, Compression::new, |client, _| {
        let response = client.get("/").header("accept-encoding", "gzip").send();
        assert_eq!((response.header("content-encoding"), response.body().len()), (None, 2000));
    });
}

#[test]
fn nothing_is_compressed_twice() {
    around_each(
        story,
        |app| Compression::new(with_brotli(app)),
        |client, _| {
            let response = client.get("/").header("accept-encoding", "gzip, br").send();
            assert_eq!(response.header("content-encoding"), Some("br"));
            assert_eq!(response.headers().get_all(VARY).iter().count(), 1);
            assert_eq!(decoded(&response), LINE.repeat(200).as_bytes());
        },
    );
}

#[test]
fn sizes_and_types_are_for_the_operator_to_choose() {
    let wrap = |app| Compression::new(app).min_size(4801);
    around_each(story, wrap, |client, _| {
        let response = client.get("/").header("accept-encoding", "gzip").send();
        assert_eq!(response.header("content-encoding"), None);
    });
    let wrap = |app| Compression::new(app).types(|media_type| media_type == "image/png");
    around_each(unfit, wrap, |client, _| {
        let coding = |path| {
            let response = client.get(path).header("accept-encoding", "gzip").send();
            response.header("content-encoding").map(str::to_owned)
        };
        assert_eq!(coding("/picture").as_deref(), Some("gzip"));
        assert_eq!(coding("/tiny"), None);
    });
}

#[test]
fn an_item_goes_out_before_the_next_is_asked_for() {
    fn items(environ: Environ, start_response: StartResponse) -> Result<Response> {
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        let fails = environ.path_info() == "/fails";
        let items = ["one ", "two ", "three"].map(|item| Ok(Bytes::from(item)));
        let error = fails.then(|| Err(io::Error::other("the source is dry")));
        Ok(response.with_body(Body::iter(items.into_iter().chain(error))))
    }
    around_each(items, with_brotli, |client, _| {
        for coding in ["gzip", "br"] {
            let response = client.get("/").header("accept-encoding", coding).send();
            let texts = ["one ", "one two ", "one two three"];
            for (n, text) in texts.into_iter().enumerate() {
                let so_far = response.data()[..=n].concat();
                assert_eq!(decoded_so_far(coding, &so_far), text.as_bytes());
            }
            assert_eq!(decoded(&response), b"one two three");

            let cut = client.get("/fails").header("accept-encoding", coding).send();
            assert!(cut.is_cut(), "an end would say that it is whole");
            assert_eq!(decoded_so_far(coding, &cut.body()), b"one two three");
        }
    });
}

/// Gives its frames one by one, and is pending in between.
struct Slow {
    frames: std::vec::IntoIter<Result<Frame<Bytes>, BoxError>>,
    was_pending: bool,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.was_pending = !self.was_pending;
        if self.was_pending {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.frames.next())
    }
}

fn slow(frames: Vec<Result<Frame<Bytes>, BoxError>>) -> Body {
    Body::stream(Slow { frames: frames.into_iter(), was_pending: false })
}

#[test]
fn a_stream_goes_out_when_it_is_pending_and_keeps_its_trailers() {
    fn stream(environ: Environ, start_response: StartResponse) -> Result<Response> {
        let headers = [(CONTENT_TYPE, "text/plain"), (HeaderName::from_static("trailer"), "x-sum")];
        let sum = HeaderMap::from_iter([(
            HeaderName::from_static("x-sum"),
            HeaderValue::from_static("7"),
        )]);
        let mut frames = vec![Ok(Frame::data("one ".into())), Ok(Frame::data("two".into()))];
        frames.push(match &*environ.path_info() {
            "/fails" => Err("the source is dry".into()),
            _ => Ok(Frame::trailers(sum)),
        });
        Ok(start_response.start(StatusCode::OK, headers).with_body(slow(frames)))
    }
    around_each(stream, with_brotli, |client, _| {
        for coding in ["gzip", "br"] {
            let response = client.get("/").header("accept-encoding", coding).send();
            assert_eq!(decoded_so_far(coding, &response.data()[0]), b"one ");
            assert_eq!(decoded_so_far(coding, &response.data()[..2].concat()), b"one two");
            assert_eq!(decoded(&response), b"one two");
            let trailers = response.trailers().expect("they are sent");
            assert_eq!(trailers["x-sum"], "7");
            assert!(client.get("/fails").header("accept-encoding", coding).send().is_cut());
        }
    });
}

#[test]
fn large_bodies_of_every_kind_come_whole() {
    fn numbers() -> Vec<u8> {
        (0..15_000).flat_map(|n: u32| format!("{n}\n").into_bytes()).collect()
    }
    fn large(environ: Environ, start_response: StartResponse) -> Result<Response> {
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        let body = match &*environ.path_info() {
            "/bytes" => Body::from(numbers()),
            "/iter" => Body::iter([Ok(Bytes::from(numbers()))]),
            "/stream" => slow(vec![Ok(Frame::data(numbers().into()))]),
            _ => {
                let mut file = tempfile::tempfile()?;
                file.write_all(b"before ")?;
                file.write_all(&numbers())?;
                file.seek(SeekFrom::Start(7))?;
                Body::file(file)?
            }
        };
        Ok(response.with_body(body))
    }
    around_each(large, with_brotli, |client, _| {
        for path in ["/bytes", "/iter", "/stream", "/file"] {
            for coding in ["gzip", "br"] {
                let response = client.get(path).header("accept-encoding", coding).send();
                assert_eq!(response.header("content-encoding"), Some(coding));
                assert!(decoded(&response) == numbers(), "{path} in {coding}");
            }
        }
    });
}

#[test]
fn a_file_that_is_too_short_is_an_error() {
    fn shrunk(_: Environ, start_response: StartResponse) -> Result<Response> {
        let mut file = tempfile::tempfile()?;
        file.write_all(LINE.as_bytes())?;
        let body = Body::File(FileBody::new(file, 0, 100_000));
        Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(body))
    }
    // Without the lint inside, which would find it, too.
    let client = TestClient::new(Compression::new(shrunk));
    let response = client.get("/").header("accept-encoding", "gzip").send();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "before anything is sent");
}

#[test]
fn a_file_that_changes_meanwhile_does_not_end_cleanly() {
    fn changed(environ: Environ, start_response: StartResponse) -> Result<Response> {
        let content = LINE.repeat(10_000);
        let mut file = tempfile::tempfile()?;
        file.write_all(content.as_bytes())?;
        let (len, mut modified) = (content.len() as u64, file.metadata()?.modified()?);
        if environ.path_info() == "/changed" {
            modified -= Duration::from_secs(1);
        }
        let body = Body::File(FileBody::new(file, 0, len).unless_changed(len, modified));
        Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(body))
    }
    let client = TestClient::new(Compression::new(changed));
    let ask = |path| client.get(path).header("accept-encoding", "gzip").send();
    assert_eq!(decoded(&ask("/kept")), LINE.repeat(10_000).as_bytes());
    let changed = ask("/changed");
    assert!(changed.is_cut() || changed.status() == StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_304_names_the_response_that_the_peer_has() {
    fn not_modified(_: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(start_response.start(StatusCode::NOT_MODIFIED, [(ETAG, "\"v1\"")]))
    }
    around_each(not_modified, Compression::new, |client, _| {
        for (known, tag, vary) in [
            ("W/\"v1\"", "W/\"v1\"", Some("accept-encoding")),
            ("\"other\", W/\"v1\"", "W/\"v1\"", Some("accept-encoding")),
            ("\"v1\"", "\"v1\"", None),
        ] {
            let response = client.get("/").header("if-none-match", known).send();
            assert_eq!(response.header("etag"), Some(tag), "{known}");
            assert_eq!(response.header("vary"), vary);
        }
    });
}

#[test]
fn a_response_that_is_on_its_way_is_left_alone() {
    async fn written(_: Environ, start_response: StartResponse) -> Result<Response> {
        let headers = [(CONTENT_TYPE, "text/plain")];
        let mut response = start_response.start(StatusCode::OK, headers);
        response.write_async("begun, ").await?;
        Ok(response.with_body(LINE.repeat(200)))
    }
    around(Kind::Async, || written.boxed(), &Compression::new, &|client, _| {
        let response = client.get("/").header("accept-encoding", "gzip").send();
        assert_eq!(response.header("content-encoding"), None);
        assert_eq!(response.text(), format!("begun, {}", LINE.repeat(200)));
    });
}
