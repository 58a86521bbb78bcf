//! Blocking where it must not: a typed error on a reactor, and no more than waiting on a thread.
//!
//! It is the one thing in which the servers differ, so these are no cases of the list.

use gateway_core::http::StatusCode;
use gateway_core::{
    Application, Body, Environ, Error, IntoApplication, Response, Result, StartResponse, inline,
};

use crate::case::{CHUNKED, Case, ok, page, text};
use crate::outcome::must_fit;
use crate::site::{On, run};
use crate::witness::Witness;

const POST: &str = "POST / HTTP/1.1\nHost: test\nContent-Length: 5\n\n";

fn check(case: fn() -> Case, on: On) {
    must_fit("expected", &case().expected, "got", &run(&case(), on));
}

fn read_in_a_call(_: Witness) -> Box<dyn Application> {
    inline(|mut environ, start_response| Ok(text(start_response, environ.input().collect(5)?)))
        .boxed()
}

#[test]
fn reading_in_a_call_fails_on_a_reactor() {
    let case = || {
        Case::new(read_in_a_call).send(POST).send("hello").answers(page(StatusCode::INTERNAL_SERVER_ERROR)).logs([
            "POST /: blocking Input::collect on a reactor thread; answer Reply::Blocking, or use \
             the async form",
        ])
    };
    check(case, On::Tokio);
}

#[test]
fn reading_in_a_call_waits_on_a_thread() {
    check(|| Case::new(read_in_a_call).send(POST).send("hello").answers(ok("hello")), On::Std);
}

fn write_in_a_call(_: Witness) -> Box<dyn Application> {
    inline(|_, start_response| {
        let mut response = text(start_response, Body::Empty);
        response.write("hello")?;
        Ok(response)
    })
    .boxed()
}

#[test]
fn writing_in_a_call_fails_on_a_reactor_with_nothing_sent() {
    let case = || {
        Case::new(write_in_a_call).send("GET / HTTP/1.1\nHost: test\n\n").answers(page(StatusCode::INTERNAL_SERVER_ERROR)).logs([
            "GET /: blocking Response::write on a reactor thread; answer Reply::Blocking, or use \
             the async form",
        ])
    };
    check(case, On::Tokio);
}

#[test]
fn writing_in_a_call_waits_on_a_thread() {
    let case = || {
        Case::new(write_in_a_call)
            .send("GET / HTTP/1.1\nHost: test\n\n")
            .answers(CHUNKED.to_owned() + "5\nhello\n0\n\n")
    };
    check(case, On::Std);
}

fn read_in_a_future(_: Witness) -> Box<dyn Application> {
    async fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(text(start_response, environ.input().collect(5)?))
    }
    app.boxed()
}

#[test]
fn reading_in_a_future_fails_on_a_reactor() {
    let case = || {
        Case::new(read_in_a_future).send(POST).send("hello").answers(page(StatusCode::INTERNAL_SERVER_ERROR)).logs([
            "POST /: blocking Input::collect on a reactor thread; answer Reply::Blocking, or use \
             the async form",
        ])
    };
    check(case, On::Tokio);
}

/// What may block, may block on either: a function is a worker's affair on a reactor.
#[test]
fn reading_in_a_function_works_everywhere() {
    fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response, Error> {
        Ok(text(start_response, environ.input().collect(5)?))
    }
    for on in On::ALL {
        let case = || Case::new(|_| app.boxed()).send(POST).send("hello").answers(ok("hello"));
        check(case, on);
    }
}
