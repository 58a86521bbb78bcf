//! What the lint does with what it finds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gateway_conformance::{Lint, TestClient};
use gateway_core::http::StatusCode;
use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use gateway_core::{Application, Body, Environ, Response, Result, StartResponse, inline};

use crate::hand::{Hand, Wrong};

fn wrong(_: Environ, start_response: StartResponse) -> Result<Response> {
    let headers = [(CONTENT_TYPE, "text/plain"), (CONTENT_LENGTH, "9")];
    Ok(start_response.start(StatusCode::OK, headers).with_body("x"))
}

fn untyped(_: Environ, start_response: StartResponse) -> Result<Response> {
    Ok(start_response.start(StatusCode::OK, ()).with_body("x"))
}

fn client(app: impl Application) -> TestClient {
    TestClient::new(app).without_lint()
}

#[test]
fn it_panics_for_a_must() {
    let response = client(Lint::new(wrong)).get("/").send();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.errors()[0].contains("panicked: APP-06"), "{:?}", response.errors());
}

#[test]
fn it_logs_a_should() {
    let response = client(Lint::new(untyped)).get("/").send();
    assert_eq!(response.text(), "x");
    assert!(response.errors()[0].starts_with("APP-03: "), "{:?}", response.errors());
}

#[test]
fn it_logs_a_must_if_it_is_told_to() {
    let response = client(Lint::new(wrong).logging()).get("/").send();
    assert!(response.is_cut());
    assert!(response.errors()[0].starts_with("APP-06: "), "{:?}", response.errors());
}

#[test]
fn what_comes_to_light_at_the_end_is_logged() {
    let mut hand = Hand { wrong: Wrong::KeepsBody, ..Hand::default() };
    let (errors, lines) = gateway_core::ErrorStream::memory();
    hand.info.errors = errors;
    let app = inline(|_, start_response| {
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        Ok(response.with_body(Body::iter([Ok("x".into())])))
    });
    let outcome = catch_unwind(AssertUnwindSafe(|| hand.serve(&Lint::new(app))));
    assert!(outcome.is_ok());
    let lines = lines.take();
    assert!(lines[0].starts_with("SRV-16: "), "{lines:?}");
}

#[test]
fn lints_can_be_nested() {
    let (inner, found_inside) = Lint::new(wrong).collecting();
    let (outer, found_outside) = Lint::new(inner).collecting();
    assert!(client(outer).get("/").send().is_cut());
    assert_eq!(found_inside.take().len(), 1);
    assert_eq!(found_outside.take().len(), 1);
}

#[test]
fn a_rule_is_told_once_for_an_exchange() {
    let app = inline(|_, start_response| {
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        Ok(response.with_body(Body::iter((0..9).map(|_| Ok("".into())))))
    });
    let (linted, violations) = Lint::new(app).collecting();
    let client = client(linted);
    client.get("/").send();
    assert_eq!(violations.take().len(), 1);
    client.get("/").send();
    assert_eq!(violations.take().len(), 1);
}
