//! Errors and panics of the application.

use std::io;

use gateway_core::http::StatusCode;
use gateway_core::{
    Application, Body, Environ, Error, IntoApplication, Response, Result, StartResponse, inline,
};

use crate::case::{CHUNKED, Case, GET, blocking, cases, ok, page, text};
use crate::witness::Witness;

cases![
    error_with_a_status,
    error_without_one,
    error_after_the_head,
    panic_in_a_call,
    panic_in_a_future,
    panic_in_a_blocking_job,
    panic_after_the_head,
    panic_in_an_iterator,
];

const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// The status is for the peer, the cause is not; what the application chose is not logged.
fn error_with_a_status() -> Case {
    blocking!(|_, _| Err(Error::with_status(StatusCode::FORBIDDEN, "a secret reason")))
        .send(GET)
        .answers(page(StatusCode::FORBIDDEN))
}

fn error_without_one() -> Case {
    blocking!(|_, _| Err(io::Error::other("the disk is on fire").into()))
        .send(GET.repeat(2))
        .answers(page(FAILED).repeat(2))
        .logs(["GET /: input or output failed: the disk is on fire"; 2])
}

fn error_after_the_head() -> Case {
    blocking!(|witness, start_response| {
        witness.watch_end(&start_response);
        text(start_response, Body::Empty).write("some")?;
        Err(Error::application("out of order"))
    })
    .send(GET)
    .answers_and_closes(format!("{CHUNKED}4\nsome\n"))
    .notes(["end: 200, 4 bytes, the application failed with 500 Internal Server Error"])
    .logs(["GET /: the application failed with 500 Internal Server Error: out of order"])
}

const PANICKED: &str = "GET /: the application panicked: oh no";

/// The server goes on, on the same connection.
fn panic_in_a_call() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        inline(move |environ, start_response| {
            witness.watch_end(&start_response);
            match environ.raw_path_info() {
                "/" => panic!("oh no"),
                _ => Ok(text(start_response, "fine")),
            }
        })
        .boxed()
    }
    Case::new(app)
        .send(GET)
        .until(page(FAILED))
        .send("GET /again HTTP/1.1\nHost: test\n\n")
        .answers(page(FAILED) + &ok("fine"))
        .notes([
            "end: 500, 26 bytes, answered: the application panicked: oh no",
            "end: 200, 4 bytes, clean",
        ])
        .logs([PANICKED])
}

fn oh_no() -> Result<Response> {
    panic!("oh no")
}

fn panic_in_a_future() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |_: Environ, _: StartResponse| {
            let token = witness.token("future");
            async move {
                let _token = token;
                oh_no()
            }
        })
        .boxed()
    }
    Case::new(app)
        .send(GET.repeat(2))
        .answers(page(FAILED).repeat(2))
        .notes(["future dropped"; 2])
        .logs([PANICKED; 2])
}

fn panic_in_a_blocking_job() -> Case {
    blocking!(|_, _| panic!("oh no"))
        .send(GET.repeat(2))
        .answers(page(FAILED).repeat(2))
        .logs([PANICKED; 2])
}

fn panic_after_the_head() -> Case {
    blocking!(|_, start_response| {
        text(start_response, Body::Empty).write("some")?;
        panic!("oh no")
    })
    .send(GET)
    .answers_and_closes(format!("{CHUNKED}4\nsome\n"))
    .logs([PANICKED])
}

fn panic_in_an_iterator() -> Case {
    blocking!(|witness, start_response| {
        let token = witness.token("body");
        let mut data = Some("some");
        let body = Body::iter(std::iter::from_fn(move || {
            let _ = &token;
            Some(Ok(data.take().expect("oh no").into()))
        }));
        Ok(text(start_response, body))
    })
    .send(GET)
    .answers_and_closes(format!("{CHUNKED}4\nsome\n"))
    .notes(["body dropped"])
    .logs([PANICKED])
}
