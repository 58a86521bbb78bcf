//! Hooks for the head and for the end.

use std::io;

use gateway_core::http::header::CONTENT_LENGTH;
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::{
    Application, Body, Error, IntoApplication, Response, Result, StartResponse, inline,
};

use crate::case::{CHUNKED, Case, GET, blocking, cases, ok, page, text, with};
use crate::witness::Witness;

cases![
    head_hooks_innermost_first,
    head_hooks_see_an_error,
    head_hooks_see_an_error_of_an_iterator,
    head_hooks_see_what_two_lengths_come_to,
    head_hooks_see_what_status_100_comes_to,
    head_hooks_with_write,
    inner_head_hook_panics,
    outer_head_hook_panics,
    end_hooks,
    inner_end_hook_panics,
    outer_end_hook_panics,
];

const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
const PANICKED: &str = "GET /: the application panicked: oh no";

/// Puts two hooks around what `inside` answers.
fn hooked(
    witness: &Witness,
    start_response: StartResponse,
    inside: impl FnOnce(StartResponse) -> Result<Response>,
) -> Result<Response> {
    for name in ["outer", "inner"] {
        let noting = witness.clone();
        start_response.on_head(move |head| {
            noting.note(format_args!("{name} head: {}", head.status.as_u16()));
            head.headers.insert("x-last", HeaderValue::from_static(name));
        });
    }
    inside(start_response)
}

fn head_hooks_innermost_first() -> Case {
    blocking!(|witness, start_response| {
        hooked(witness, start_response, |start_response| Ok(text(start_response, "hello")))
    })
    .send(GET)
    .answers(with(&ok("hello"), "x-last: outer"))
    .notes(["inner head: 200", "outer head: 200"])
}

fn head_hooks_see_an_error() -> Case {
    blocking!(|witness, start_response| {
        hooked(witness, start_response, |_| Err(Error::application("out of order")))
    })
    .send(GET)
    .answers(with(&page(FAILED), "x-last: outer"))
    .notes(["inner head: 500", "outer head: 500"])
    .logs(["GET /: the application failed with 500 Internal Server Error: out of order"])
}

/// What the server answers for a head that it cannot send is seen, and that head is not.
const SEEN: [&str; 2] = ["inner head: 500", "outer head: 500"];

/// The head waits for the first data, and in its place comes an error.
fn head_hooks_see_an_error_of_an_iterator() -> Case {
    blocking!(|witness, start_response| {
        hooked(witness, start_response, |start_response| {
            let data = [Err(io::Error::other("the disk is on fire"))];
            Ok(text(start_response, Body::iter(data)))
        })
    })
    .send(GET)
    .answers(with(&page(FAILED), "x-last: outer"))
    .notes(SEEN)
    .logs(["GET /: input or output failed: the disk is on fire"])
}

fn head_hooks_see_what_two_lengths_come_to() -> Case {
    blocking!(|witness, start_response| {
        hooked(witness, start_response, |start_response| {
            let head = [(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "3")];
            Ok(start_response.start(StatusCode::OK, head).with_body("hello"))
        })
    })
    .send(GET)
    .answers(with(&page(FAILED), "x-last: outer"))
    .notes(SEEN)
    .logs(["GET /: the response's Content-Length is not one decimal number that fits its body"])
}

fn head_hooks_see_what_status_100_comes_to() -> Case {
    blocking!(|witness, start_response| {
        hooked(witness, start_response, |start_response| {
            Ok(start_response.start(StatusCode::CONTINUE, ()))
        })
    })
    .send(GET)
    .answers(with(&page(FAILED), "x-last: outer"))
    .notes(SEEN)
    .logs([
        "GET /: 100 Continue cannot stand here: 101 goes with Body::Upgrade, and other 1xx are \
            not final",
    ])
}

fn head_hooks_with_write() -> Case {
    blocking!(|witness, start_response| {
        hooked(witness, start_response, |start_response| {
            let mut response = text(start_response, Body::Empty);
            response.write("some")?;
            Ok(response)
        })
    })
    .send(GET)
    .answers(with(CHUNKED, "x-last: outer") + "4\nsome\n0\n\n")
    .notes(["inner head: 200", "outer head: 200"])
}

/// Whoever has not run yet sees the head of the error.
fn inner_head_hook_panics() -> Case {
    blocking!(|witness, start_response| {
        hooked(witness, start_response, |start_response| {
            start_response.on_head(|_| panic!("oh no"));
            Ok(text(start_response, "hello"))
        })
    })
    .send(GET.repeat(2))
    .answers(with(&page(FAILED), "x-last: outer").repeat(2))
    .notes(["inner head: 500", "outer head: 500", "inner head: 500", "outer head: 500"])
    .logs([PANICKED; 2])
}

/// Each runs once: what the others did to the head is lost with it.
fn outer_head_hook_panics() -> Case {
    blocking!(|witness, start_response| {
        start_response.on_head(|_| panic!("oh no"));
        hooked(witness, start_response, |start_response| Ok(text(start_response, "hello")))
    })
    .send(GET.repeat(2))
    .answers(page(FAILED).repeat(2))
    .notes(["inner head: 200", "outer head: 200", "inner head: 200", "outer head: 200"])
    .logs([PANICKED; 2])
}

fn end_hooks() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        inline(move |environ, start_response| {
            witness.watch_end(&start_response);
            match environ.raw_path_info() {
                "/error" => Err(Error::with_status(StatusCode::NOT_FOUND, "no such page")),
                _ => {
                    Ok(text(start_response, Body::iter(["one", "two"].map(|data| Ok(data.into())))))
                }
            }
        })
        .boxed()
    }
    Case::new(app)
        .send(GET)
        .noted("end: 200, 6 bytes, clean")
        .send("GET /error HTTP/1.1\nHost: test\n\n")
        .noted("end: 404, 14 bytes, answered: the application failed with 404 Not Found")
        .send("HEAD / HTTP/1.1\nHost: test\n\n")
        .answers(
            [
                format!("{CHUNKED}3\none\n3\ntwo\n0\n\n"),
                page(StatusCode::NOT_FOUND),
                CHUNKED.to_owned(),
            ]
            .concat(),
        )
        .notes([
            "end: 200, 6 bytes, clean",
            "end: 404, 14 bytes, answered: the application failed with 404 Not Found",
            "end: 200, 0 bytes, clean",
        ])
}

fn inner_end_hook_panics() -> Case {
    blocking!(|witness, start_response| {
        witness.watch_end(&start_response);
        start_response.on_end(|_| panic!("oh no"));
        Ok(text(start_response, "hello"))
    })
    .send(GET.repeat(2))
    .answers(ok("hello").repeat(2))
    .notes(["end: 200, 5 bytes, clean"; 2])
    .logs([PANICKED; 2])
}

fn outer_end_hook_panics() -> Case {
    blocking!(|witness, start_response| {
        start_response.on_end(|_| panic!("oh no"));
        witness.watch_end(&start_response);
        Ok(text(start_response, "hello"))
    })
    .send(GET.repeat(2))
    .answers(ok("hello").repeat(2))
    .notes(["end: 200, 5 bytes, clean"; 2])
    .logs([PANICKED; 2])
}
