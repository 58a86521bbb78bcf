//! Pages of other origins.

use std::time::Duration;

use gateway_conformance::TestResponse;
use gateway_core::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{Environ, Error, Response, Result, StartResponse, inline};
use gateway_middleware::{Cors, CorsError};

use crate::around::{Boxed, around_each};

const US: &str = "https://www.example.org";

fn api(environ: Environ, start_response: StartResponse) -> Result<Response> {
    if environ.path_info() == "/missing" {
        return Err(Error::with_status(StatusCode::NOT_FOUND, "nothing is here"));
    }
    let headers = [(CONTENT_TYPE, "application/json")];
    Ok(start_response.start(StatusCode::OK, headers).with_body("{}"))
}

fn strict(app: Boxed) -> Cors<Boxed> {
    let cors = Cors::new(app).origin(US).origin("http://localhost:3000");
    let cors = cors.methods([Method::GET, Method::PUT]).headers([CONTENT_TYPE, AUTHORIZATION]);
    let cors = cors.expose([ETAG]).credentials().max_age(Duration::from_secs(600));
    cors.build().expect("it is sound")
}

/// The fields that say what is allowed, without their common beginning.
fn allowed(response: &TestResponse) -> Vec<String> {
    let fields = response.headers().iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("access-control-")?;
        Some(format!("{name}: {}", value.to_str().expect("it is text")))
    });
    let mut fields: Vec<String> = fields.collect();
    fields.sort();
    fields
}

fn varies(response: &TestResponse) -> Vec<&str> {
    let values = response.headers().get_all("vary").iter();
    values.map(|value| value.to_str().expect("it is text")).collect()
}

#[test]
fn a_page_of_a_known_origin_may_read_errors_too() {
    around_each(api, strict, |client, _| {
        for (path, status) in [("/", 200), ("/missing", 404)] {
            let response = client.get(path).header("origin", US).send();
            assert_eq!(response.status(), status);
            let expected =
                ["allow-credentials: true", &format!("allow-origin: {US}"), "expose-headers: etag"];
            assert_eq!(allowed(&response), expected);
            assert_eq!(varies(&response), ["origin"]);
        }
    });
}

#[test]
fn any_other_page_may_not() {
    around_each(api, strict, |client, _| {
        for origin in [
            "https://www.example.org.evil.example",
            "https://evil-www.example.org",
            "xhttps://www.example.org",
            "null",
            "*",
            "http://www.example.org",
            "https://www.example.org:8443",
            "https://WWW.example.org",
        ] {
            let response = client.get("/").header("origin", origin).send();
            assert_eq!(allowed(&response), [""; 0], "{origin}");
            assert_eq!(varies(&response), ["origin"]);
            let preflight = client.options("/").header("origin", origin);
            let preflight = preflight.header("access-control-request-method", "PUT").send();
            assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
            assert_eq!(allowed(&preflight), [""; 0], "{origin}");
        }
        let response = client.get("/").send();
        assert_eq!((allowed(&response), varies(&response)), (vec![], vec!["origin"]));
        let twice = client.get("/").header("origin", US).header("origin", US).send();
        assert_eq!(allowed(&twice), [""; 0]);
    });
}

#[test]
fn a_preflight_is_answered_without_the_application() {
    let never = |_: Environ, _: StartResponse| panic!("a preflight does not come here");
    around_each(never, strict, |client, _| {
        let ask = |method| {
            let request = client.options("/").header("origin", US);
            let request = request.header("access-control-request-method", method);
            request.header("access-control-request-headers", "content-type").send()
        };
        let response = ask("PUT");
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let expected = [
            "allow-credentials: true",
            "allow-headers: content-type, authorization",
            "allow-methods: GET, PUT",
            &format!("allow-origin: {US}"),
            "max-age: 600",
        ];
        assert_eq!(allowed(&response), expected);
        let depends = ["origin", "access-control-request-method", "access-control-request-headers"];
        assert_eq!(varies(&response), depends);
        let other = allowed(&ask("DELETE"));
        assert!(!other.iter().any(|field| field.starts_with("allow-methods")), "{other:?}");
    });
}

#[test]
fn options_without_the_fields_of_a_preflight_are_the_applications() {
    around_each(api, strict, |client, _| {
        assert_eq!(client.options("/").header("origin", US).send().text(), "{}");
        let request = client.options("/").header("access-control-request-method", "PUT");
        assert_eq!(request.send().text(), "{}");
    });
}

#[test]
fn what_is_public_is_for_all_without_credentials() {
    let public = |app| Cors::new(app).any_origin().any_headers().build().expect("it is sound");
    around_each(api, public, |client, _| {
        let response = client.get("/").header("origin", "https://anybody.example").send();
        assert_eq!(allowed(&response), ["allow-origin: *"]);
        assert_eq!(varies(&response), [""; 0]);
        let preflight = client.options("/").header("origin", US);
        let preflight = preflight.header("access-control-request-method", "GET");
        let preflight = preflight.header("access-control-request-headers", "x-a, authorization");
        let expected = [
            "allow-headers: x-a, authorization",
            "allow-methods: GET, HEAD, POST",
            "allow-origin: *",
        ];
        assert_eq!(allowed(&preflight.send()), expected);
    });
}

#[test]
fn what_would_be_unsafe_or_never_match_is_refused() {
    let cors = || Cors::new(inline(api));
    let error = cors().any_origin().credentials().build().expect_err("any page could use them");
    assert!(matches!(error, CorsError::CredentialsForAll));
    for wrong in ["*", "null", "https://www.example.org/", "https://*.example.org", "example.org"] {
        let error = cors().origin(wrong).build().expect_err("no browser sends it");
        assert!(matches!(error, CorsError::InvalidOrigin { origin } if origin == wrong));
    }
}
