//! Peers that have the response already.

use gateway_conformance::TestClient;
use gateway_core::http::header::{CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{Body, Environ, Error, Response, Result, StartResponse};
use gateway_middleware::{Compression, Conditional};

use crate::around::{Kind, around, around_each};

const CACHE_CONTROL: HeaderName = HeaderName::from_static("cache-control");
const PLAIN: (HeaderName, &str) = (CONTENT_TYPE, "text/plain");
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

/// A response as the request's path says.
fn page(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let ok = StatusCode::OK;
    let response = match &*environ.path_info() {
        "/own" => start_response.start(ok, [PLAIN, (ETAG, "\"mine\""), (LAST_MODIFIED, MODIFIED)]),
        "/weak" => start_response.start(ok, [PLAIN, (ETAG, "W/\"mine\"")]),
        "/dated" => start_response.start(ok, [PLAIN, (LAST_MODIFIED, MODIFIED)]),
        "/secret" => start_response.start(ok, [PLAIN, (CACHE_CONTROL, "private, no-store")]),
        "/created" => start_response.start(StatusCode::CREATED, [PLAIN]),
        "/missing" => return Err(Error::with_status(StatusCode::NOT_FOUND, "nothing is here")),
        "/items" => {
            let response = start_response.start(ok, [PLAIN]);
            return Ok(response.with_body(Body::iter([Ok("a page".into())])));
        }
        "/long" => {
            return Ok(start_response.start(ok, [PLAIN]).with_body(vec![b'x'; (256 << 10) + 1]));
        }
        _ => start_response.start(ok, [PLAIN, (CACHE_CONTROL, "max-age=60")]),
    };
    Ok(response.with_body("a page"))
}

#[test]
fn the_same_body_has_the_same_tag_and_is_sent_once() {
    around_each(page, Conditional::new, |client, _| {
        let first = client.get("/").send();
        let tag = first.header("etag").expect("it has one").to_owned();
        assert_eq!((tag.len(), &*first.text()), (34, "a page"));
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            for method in [Method::GET, Method::HEAD] {
                let again = client.request(method, "/").header("if-none-match", &known).send();
                assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
                assert_eq!(again.header("etag"), Some(&*tag));
                assert_eq!(again.header("cache-control"), Some("max-age=60"));
                assert_eq!(again.header("content-type"), None);
                assert!(again.body().is_empty());
            }
        }
        let other = client.get("/").header("if-none-match", "\"other\"").send();
        assert_eq!((other.status(), &*other.text()), (StatusCode::OK, "a page"));
    });
}

#[test]
fn what_has_no_tag_gets_none_it_cannot_have() {
    around_each(page, Conditional::new, |client, _| {
        for path in ["/secret", "/created", "/missing", "/items", "/long"] {
            assert_eq!(client.get(path).send().header("etag"), None, "{path}");
        }
        assert_eq!(client.post("/").send().header("etag"), None);
        let post = client.post("/own").header("if-none-match", "\"mine\"").send();
        assert_eq!(post.status(), StatusCode::OK, "it has been done");
    });
}

#[test]
fn the_applications_own_validators_count_in_the_order_of_the_rfc() {
    around_each(page, Conditional::new, |client, _| {
        for (path, fields, status) in [
            ("/own", &[("if-none-match", "\"mine\"")][..], 304),
            ("/own", &[("if-none-match", "W/\"mine\"")], 304),
            ("/own", &[("if-none-match", "\"other\""), ("if-modified-since", LATER)], 200),
            ("/own", &[("if-modified-since", MODIFIED)], 304),
            ("/dated", &[("if-modified-since", LATER)], 304),
            ("/dated", &[("if-modified-since", EARLIER)], 200),
            ("/dated", &[("if-modified-since", "yesterday")], 200),
            ("/dated", &[("if-unmodified-since", MODIFIED)], 200),
            ("/dated", &[("if-unmodified-since", EARLIER)], 412),
            ("/own", &[("if-match", "\"mine\"")], 200),
            ("/own", &[("if-match", "*")], 200),
            ("/own", &[("if-match", "\"other\", \"mine\"")], 200),
            ("/own", &[("if-match", "\"other\"")], 412),
            ("/own", &[("if-match", "W/\"mine\"")], 412),
            ("/own", &[("if-match", "\"mine\""), ("if-unmodified-since", EARLIER)], 200),
            ("/own", &[("if-match", "\"mine\""), ("if-none-match", "\"mine\"")], 304),
            ("/weak", &[("if-none-match", "\"mine\"")], 304),
            ("/weak", &[("if-match", "W/\"mine\"")], 412),
            ("/created", &[("if-none-match", "*")], 201),
            ("/missing", &[("if-match", "\"mine\"")], 404),
        ] {
            let request = fields.iter().fold(client.get(path), |r, (n, v)| r.header(*n, *v));
            assert_eq!(request.send().status(), status, "{path} {fields:?}");
        }
    });
}

#[test]
fn inside_of_compression_one_tag_stands_for_all_codings() {
    fn long(_: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(start_response.start(StatusCode::OK, [PLAIN]).with_body("again ".repeat(1000)))
    }
    around_each(
        long,
        |app| Compression::new(Conditional::new(app)),
        |client, _| {
            let plain = client.get("/").send().header("etag").expect("it has one").to_owned();
            let gzip = client.get("/").header("accept-encoding", "gzip").send();
            let weak = gzip.header("etag").expect("it has one").to_owned();
            assert_eq!(weak, format!("W/{plain}"));
            let again =
                client.get("/").header("accept-encoding", "gzip").header("if-none-match", &weak);
            let again = again.send();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(again.header("etag"), Some(&*weak));
        },
    );
}

#[test]
fn a_response_that_is_on_its_way_stays_as_it_is() {
    async fn written(_: Environ, start_response: StartResponse) -> Result<Response> {
        let mut response = start_response.start(StatusCode::OK, [PLAIN, (ETAG, "\"mine\"")]);
        response.write_async("begun").await?;
        Ok(response)
    }
    let boxed = || gateway_core::IntoApplication::boxed(written);
    around(Kind::Async, boxed, &Conditional::new, &|client: &TestClient, _| {
        let response = client.get("/").header("if-none-match", "\"mine\"").send();
        assert_eq!((response.status(), &*response.text()), (StatusCode::OK, "begun"));
    });
}
