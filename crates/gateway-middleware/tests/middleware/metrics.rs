//! What is counted and measured.

use gateway_conformance::TestClient;
use gateway_core::bytes::Bytes;
use gateway_core::http::{Method, StatusCode, header::CONTENT_TYPE};
use gateway_core::{Application, Body, Environ, Error, Response, Result, StartResponse, inline};
use gateway_middleware::{Metrics, RoutePattern};

use crate::around::{Boxed, around_each, around_readers};

/// A router that says by which pattern it routes.
fn router(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let path = environ.path_info().into_owned();
    if path.starts_with("/users/") {
        RoutePattern::set(&mut environ, "/users/{id}");
    }
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    match &*path {
        "/users/broken" => {
            let error = std::io::Error::other("the disk is gone");
            Ok(response.with_body(Body::iter([Ok("begun".into()), Err(error)])))
        }
        "/missing" => Err(Error::with_status(StatusCode::NOT_FOUND, "no route")),
        _ => Ok(response.with_body("a user")),
    }
}

/// The lines that begin with `name`.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    metrics.text().lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

/// Around an application of each kind, with metrics of its own.
fn with_new_metrics(check: impl Fn(&TestClient, &Metrics)) {
    let metrics = std::cell::RefCell::new(Metrics::new());
    let wrap = |app: Boxed| {
        metrics.replace(Metrics::new());
        metrics.borrow().measure(app)
    };
    around_each(router, wrap, |client, _| check(client, &metrics.borrow()));
}

#[test]
fn exchanges_are_counted_by_their_pattern_and_outcome() {
    with_new_metrics(|client, metrics| {
        for path in ["/users/7", "/users/8", "/users/broken", "/missing"] {
            client.get(path).send();
        }
        client.head("/users/7").send();
        assert_eq!(
            lines(metrics, "http_requests_total"),
            [
                r#"http_requests_total{method="GET",route="/users/{id}",status="200"} 3"#,
                r#"http_requests_total{method="GET",route="none",status="404"} 1"#,
                r#"http_requests_total{method="HEAD",route="/users/{id}",status="200"} 1"#,
            ]
        );
        let count = r#"http_request_duration_seconds_count{method="GET",route="/users/{id}"} 3"#;
        assert_eq!(lines(metrics, "http_request_duration_seconds_count")[0], count);
        // a user, a user, begun
        let sum = r#"http_response_size_bytes_sum{method="GET",route="/users/{id}"} 17"#;
        assert_eq!(lines(metrics, "http_response_size_bytes_sum")[0], sum);
        let in_flight = lines(metrics, "http_requests_in_flight");
        assert_eq!(
            in_flight,
            [
                r#"http_requests_in_flight{method="GET"} 0"#,
                r#"http_requests_in_flight{method="HEAD"} 0"#,
            ]
        );
    });
}

#[test]
fn what_is_under_way_is_in_flight() {
    let metrics = Metrics::new();
    let seen = metrics.clone();
    let app = inline(move |_, start_response| {
        let seen = seen.clone();
        let text = move || lines(&seen, "http_requests_in_flight").concat();
        let body = Body::iter(std::iter::once_with(move || Ok(text().into())));
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        Ok(response.with_body(body))
    });
    let client = TestClient::new(metrics.measure(app));
    let text = client.get("/").send().text();
    assert_eq!(text, r#"http_requests_in_flight{method="GET"} 1"#);
}

#[test]
fn a_request_counts_as_far_as_it_is_read() {
    fn length(body: Bytes, start_response: StartResponse) -> Result<Response> {
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        Ok(response.with_body(body.len().to_string()))
    }
    let metrics = std::cell::RefCell::new(Metrics::new());
    let wrap = |app: Boxed| {
        metrics.replace(Metrics::new());
        metrics.borrow().measure(app)
    };
    around_readers(length, wrap, |client, _| {
        client.post("/").body("x".repeat(100)).send();
        client.post("/").pieces(["x".repeat(500), "x".repeat(500)]).send();
        let metrics = metrics.borrow();
        let sum = r#"http_request_size_bytes_sum{method="POST",route="none"} 1100"#;
        assert_eq!(lines(&metrics, "http_request_size_bytes_sum"), [sum]);
        let bucket = r#"http_request_size_bytes_bucket{method="POST",route="none",le="256"} 1"#;
        assert!(metrics.text().contains(bucket));
    });
}

#[test]
fn labels_are_bounded_whatever_peers_and_routes_do() {
    let metrics = Metrics::with_max_routes(2);
    let app = inline(|mut environ, start_response| {
        let pattern = environ.path_info().into_owned();
        RoutePattern::set(&mut environ, pattern);
        Ok(start_response.start(StatusCode::NO_CONTENT, ()))
    });
    let client = TestClient::new(metrics.measure(app));
    for n in 0..50 {
        client.get(format!("/{n}")).send();
        let method = Method::from_bytes(format!("M{n}").as_bytes()).expect("a method");
        client.request(method, "/0").send();
    }
    assert_eq!(
        lines(&metrics, "http_requests_total"),
        [
            r#"http_requests_total{method="GET",route="/0",status="204"} 1"#,
            r#"http_requests_total{method="GET",route="/1",status="204"} 1"#,
            r#"http_requests_total{method="GET",route="other",status="204"} 48"#,
            r#"http_requests_total{method="other",route="/0",status="204"} 50"#,
        ]
    );
}

#[test]
fn the_page_is_prometheus_text_and_only_to_be_read() {
    let metrics = Metrics::new();
    let page: Box<dyn Application> = Box::new(metrics.page());
    TestClient::new(metrics.measure(inline(router))).get("/users/7").send();
    let client = TestClient::new(page);
    let response = client.get("/").send();
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(response.header("content-type"), Some(media_type));
    let text = response.text();
    for line in [
        "# HELP http_requests_total Exchanges that are over.",
        "# TYPE http_requests_total counter",
        "# TYPE http_requests_in_flight gauge",
        "# TYPE http_request_duration_seconds histogram",
        "# TYPE http_request_size_bytes histogram",
        "# TYPE http_response_size_bytes histogram",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is missing in {text}");
    }
    assert_eq!(client.post("/").send().header("allow"), Some("GET, HEAD"));
}
