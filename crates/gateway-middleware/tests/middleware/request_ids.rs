//! Names of requests.

use std::collections::HashSet;

use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_TYPE, HeaderName};
use gateway_core::{Environ, Error, Response, Result, StartResponse};
use gateway_middleware::{RequestId, RequestIds};

use crate::around::around_each;

/// Says what the extensions and the request's own field call the request.
fn names(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let id = RequestId::of(&environ).map_or("none", RequestId::as_str);
    let field = environ.header("x-request-id").map(String::from_utf8_lossy);
    let text = format!("{id} {}", field.as_deref().unwrap_or("none"));
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text))
}

fn fails(_: Environ, _: StartResponse) -> Result<Response> {
    Err(Error::with_status(StatusCode::NOT_FOUND, "nothing is here"))
}

#[test]
fn every_request_has_a_name_of_its_own() {
    around_each(names, RequestIds::new, |client, _| {
        let mut seen = HashSet::new();
        for _ in 0..10 {
            let response = client.get("/").send();
            let id = response.header("x-request-id").expect("it is named").to_owned();
            assert_eq!(response.text(), format!("{id} none"));
            assert!(seen.insert(id));
        }
    });
}

#[test]
fn an_error_has_it_too() {
    around_each(fails, RequestIds::new, |client, _| {
        let response = client.get("/").send();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(response.header("x-request-id").is_some());
    });
}

#[test]
fn a_peer_names_its_request_only_where_it_may() {
    around_each(names, RequestIds::new, |client, _| {
        let response = client.get("/").header("x-request-id", "theirs").send();
        let id = response.header("x-request-id").expect("it is named").to_owned();
        assert_ne!(id, "theirs");
        assert_eq!(response.text(), format!("{id} {id}"), "the field says nothing else");
    });
    around_each(
        names,
        |app| RequestIds::new(app).accepting(),
        |client, _| {
            let response = client.get("/").header("x-request-id", "theirs").send();
            assert_eq!(response.header("x-request-id"), Some("theirs"));
            assert_eq!(response.text(), "theirs theirs");
        },
    );
}

#[test]
fn what_is_no_name_is_not_accepted() {
    around_each(
        names,
        |app| RequestIds::new(app).accepting(),
        |client, _| {
            for wrong in ["", "two words", "\"quoted\"", &"x".repeat(129)] {
                let response = client.get("/").header("x-request-id", wrong).send();
                let id = response.header("x-request-id").expect("it is named").to_owned();
                assert_eq!(response.text(), format!("{id} {id}"));
                assert_eq!(id.len(), 36, "{id}");
            }
            let twice =
                client.get("/").header("x-request-id", "a").header("x-request-id", "b").send();
            let id = twice.header("x-request-id").expect("it is named").to_owned();
            assert_eq!(twice.text(), format!("{id} {id}"));
        },
    );
}

#[test]
fn the_field_may_be_another() {
    let field = HeaderName::from_static("x-correlation-id");
    around_each(
        names,
        |app| RequestIds::new(app).field(field.clone()),
        |client, _| {
            let response = client.get("/").send();
            assert_eq!(response.header("x-request-id"), None);
            assert!(response.header("x-correlation-id").is_some());
        },
    );
}
