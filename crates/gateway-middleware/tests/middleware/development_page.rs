//! Pages that say what went wrong.

use std::net::SocketAddr;

use gateway_conformance::TestClient;
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Body, Environ, Error, IntoApplication, Response, Result, StartResponse};
use gateway_middleware::DevelopmentPage;

use crate::around::{Kind, around, around_each};

const ELSEWHERE: &str = "192.0.2.1:5000";

/// Fails as the request's path says.
fn fails(environ: Environ, start_response: StartResponse) -> Result<Response> {
    match &*environ.path_info() {
        "/panics" => panic!("the <shelf> is empty"),
        "/errs" => Err(std::io::Error::other("the disk is on fire").into()),
        "/missing" => Err(Error::with_status(StatusCode::NOT_FOUND, "no such article")),
        path => {
            let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
            let body = Body::iter([Ok("begun".into()), Err(std::io::Error::other("it broke"))]);
            Ok(if path == "/cut" { response.with_body(body) } else { response.with_body("well") })
        }
    }
}

#[test]
fn a_panic_says_what_and_where_to_browsers_in_html() {
    around_each(fails, DevelopmentPage::new, |client, _| {
        let page = client.get("/panics").header("accept", "text/html,*/*;q=0.8").send();
        assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let text = page.text();
        for part in ["the &lt;shelf&gt; is empty", "development_page.rs:", "GET /panics", "<pre>"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let [line] = page.errors() else { panic!("it is logged once") };
        assert!(line.contains("the <shelf> is empty") && line.contains("development_page.rs"));
    });
}

#[test]
fn an_error_says_its_causes_in_plain_text_to_others() {
    around_each(fails, DevelopmentPage::new, |client, _| {
        let page = client.get("/errs").send();
        assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(page.header("content-type"), Some("text/plain; charset=utf-8"));
        let expected = "500 Internal Server Error\n\nGET /errs\n  input or output failed\n  \
                        the disk is on fire\n";
        assert_eq!(page.text(), expected);
        let [line] = page.errors() else { panic!("it is logged once") };
        assert_eq!(line, "GET /errs: input or output failed: the disk is on fire");
    });
}

#[test]
fn what_is_no_failure_of_the_application_is_left_alone() {
    around_each(fails, DevelopmentPage::new, |client, _| {
        assert_eq!(client.get("/").send().text(), "well");
        assert_eq!(client.get("/missing").send().text(), "404 Not Found\n");
        assert!(client.get("/cut").send().is_cut());
    });
}

#[test]
fn strangers_learn_nothing() {
    let stranger: SocketAddr = ELSEWHERE.parse().expect("an address");
    around_each(fails, DevelopmentPage::new, |client, _| {
        for path in ["/panics", "/errs"] {
            let page = client.get(path).remote_addr(stranger).send();
            assert_eq!(page.text(), "500 Internal Server Error\n");
        }
    });
    around_each(
        fails,
        |app| DevelopmentPage::new(app).show_to_all(),
        |client, _| {
            let page = client.get("/panics").remote_addr(stranger).send();
            assert!(page.text().contains("the <shelf> is empty"));
        },
    );
}

#[test]
fn a_panic_behind_the_head_cuts_the_response() {
    async fn begins(_: Environ, start_response: StartResponse) -> Result<Response> {
        let mut response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        response.write_async("begun").await?;
        panic!("the shelf fell down")
    }
    around(Kind::Async, || begins.boxed(), &DevelopmentPage::new, &|client: &TestClient, _| {
        let response = client.get("/").send();
        assert_eq!((response.status(), &*response.text()), (StatusCode::OK, "begun"));
        assert!(response.is_cut());
        assert!(response.errors()[0].contains("the shelf fell down"));
    });
}
