//! `write`, `restart`, hooks, early hints, errors, panics.

use std::io;

use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::{
    Application, ApplicationError, Body, Environ, Error, IntoApplication, ReasonPhrase, Reply,
    Response, Result, StartResponse, inline,
};

use crate::case::{CHUNKED, Case, cases, closing, ok, page, text, with};
use crate::witness::Witness;

cases![
    write_then_body,
    write_async_then_body,
    write_alone,
    write_within_a_length,
    write_past_a_length,
    empty_write_sends_nothing,
    restart_before_the_head,
    restart_after_the_head,
    recovery_from_an_error,
    late_edit_of_the_head,
    early_hints,
    early_hints_on_http_1_0,
    recovery_after_the_head,
    head_hooks_innermost_first,
    head_hooks_see_an_error,
    head_hooks_with_write,
    end_hooks,
    error_with_a_status,
    error_without_one,
    error_after_the_head,
    panic_in_a_call,
    panic_in_a_future,
    panic_in_a_blocking_job,
    panic_after_the_head,
    panic_in_an_iterator,
    reason_phrase,
    status_100,
    hop_by_hop_fields,
    contradicting_lengths,
];

const GET: &str = "GET / HTTP/1.1\nHost: test\n\n";

/// A case around a function that may block.
macro_rules! blocking {
    ($f:expr) => {{
        fn app(witness: Witness) -> Box<dyn Application> {
            (move |_: Environ, start_response: StartResponse| -> Result<Response> {
                let f: fn(&Witness, StartResponse) -> Result<Response> = $f;
                f(&witness, start_response)
            })
            .boxed()
        }
        Case::new(app)
    }};
}

const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

fn write_then_body() -> Case {
    blocking!(|_, start_response| {
        let mut response = text(start_response, "three");
        response.write("one,")?;
        response.write("two,")?;
        assert!(response.is_head_sent());
        Ok(response)
    })
    .send(GET)
    .answers(format!("{CHUNKED}4\none,\n4\ntwo,\n5\nthree\n0\n\n"))
}

/// What is written is on the wire before the application goes on.
fn write_async_then_body() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |_: Environ, start_response: StartResponse| {
            let witness = witness.clone();
            async move {
                let mut response = text(start_response, "two");
                response.write_async("one,").await?;
                witness.opened("gate").await;
                Ok::<_, Error>(response)
            }
        })
        .boxed()
    }
    Case::new(app)
        .send(GET)
        .until(format!("{CHUNKED}4\none,\n"))
        .open("gate")
        .answers(format!("{CHUNKED}4\none,\n3\ntwo\n0\n\n"))
}

fn write_alone() -> Case {
    blocking!(|_, start_response| {
        let mut response = text(start_response, Body::Empty);
        response.write("one")?;
        Ok(response)
    })
    .send(GET)
    .answers(format!("{CHUNKED}3\none\n0\n\n"))
}

fn declared(length: &'static str, start_response: StartResponse) -> Response {
    let head = [(CONTENT_TYPE, "text/plain"), (CONTENT_LENGTH, length)];
    start_response.start(StatusCode::OK, head)
}

fn write_within_a_length() -> Case {
    blocking!(|_, start_response| {
        let mut response = declared("6", start_response).with_body("two");
        response.write("one")?;
        Ok(response)
    })
    .send(GET)
    .answers(ok("onetwo"))
}

/// What fits is sent, the rest is an error, and the response is whole.
fn write_past_a_length() -> Case {
    blocking!(|witness, start_response| {
        let mut response = declared("5", start_response);
        let error = response.write("12345extra").expect_err("five are declared");
        witness.note(error);
        Ok(response)
    })
    .send(GET)
    .answers_and_closes(ok("12345"))
    .notes(["the body is longer than the declared Content-Length of 5"])
    .logs(["GET /: the body is longer than the declared Content-Length of 5"])
}

fn empty_write_sends_nothing() -> Case {
    blocking!(|witness, start_response| {
        let mut response = text(start_response, "hello");
        response.write("")?;
        witness.note(response.is_head_sent());
        Ok(response)
    })
    .send(GET)
    .answers(ok("hello"))
    .notes(["false"])
}

fn restart_before_the_head() -> Case {
    blocking!(|witness, start_response| {
        let token = witness.token("first body");
        let first = Body::iter(std::iter::from_fn(move || {
            let _ = &token;
            None
        }));
        let mut response = text(start_response, first);
        let cause = Error::application("the backend is gone");
        response.restart(StatusCode::BAD_GATEWAY, [(CONTENT_TYPE, "text/plain")], cause)?;
        Ok(response.with_body("sorry"))
    })
    .send(GET)
    .answers(ok("sorry").replace("200 OK", "502 Bad Gateway"))
    .notes(["first body dropped"])
}

fn restart_after_the_head() -> Case {
    blocking!(|_, start_response| {
        let mut response = text(start_response, "never sent");
        response.write("some")?;
        response.restart(StatusCode::BAD_GATEWAY, (), Error::application("the backend is gone"))?;
        Ok(response.with_body("never sent either"))
    })
    .send(GET)
    .answers_and_closes(format!("{CHUNKED}4\nsome\n"))
    .logs(["GET /: the application failed with 500 Internal Server Error: the backend is gone"])
}

/// Middleware answers in place of an application that failed.
fn recovery_from_an_error() -> Case {
    fn app(_: Witness) -> Box<dyn Application> {
        (|environ: Environ, start_response: StartResponse| -> Reply {
            let recovery = start_response.recovery();
            let inside = (|_: Environ, _: StartResponse| -> Result<Response> {
                Err(Error::application("the cache is cold"))
            })
            .into_application();
            inside.call(environ, start_response).then(move |outcome| {
                outcome.or_else(|cause| {
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    let head = [(CONTENT_TYPE, "text/plain")];
                    Ok(recovery.start(status, head, cause)?.with_body("later"))
                })
            })
        })
        .boxed()
    }
    Case::new(app).send(GET).answers(ok("later").replace("200 OK", "503 Service Unavailable"))
}

fn late_edit_of_the_head() -> Case {
    blocking!(|witness, start_response| {
        let mut response = text(start_response, Body::Empty);
        response.head_mut()?.headers.insert(LINK, HeaderValue::from_static("early"));
        response.write("some")?;
        match response.head_mut() {
            Err(Error::Application(ApplicationError::HeadSent)) => witness.note("too late"),
            other => witness.note(format_args!("{other:?}")),
        }
        Ok(response)
    })
    .send(GET)
    .answers(with(CHUNKED, "link: early") + "4\nsome\n0\n\n")
    .notes(["too late"])
}

const HINTS: &str = "HTTP/1.1 103 Early Hints\nlink: </style.css>\n\n";

/// The hints go out while the application goes on.
fn hint(witness: Witness) -> Box<dyn Application> {
    (move |_: Environ, start_response: StartResponse| {
        let witness = witness.clone();
        async move {
            start_response.early_hints([(LINK, "</style.css>")]);
            witness.opened("gate").await;
            Ok::<_, Error>(text(start_response, "hello"))
        }
    })
    .boxed()
}

fn early_hints() -> Case {
    Case::new(hint).send(GET).until(HINTS).open("gate").answers(HINTS.to_owned() + &ok("hello"))
}

fn early_hints_on_http_1_0() -> Case {
    let answer = closing(ok("hello"));
    Case::new(hint).send("GET / HTTP/1.0\n\n").open("gate").answers_and_closes(answer)
}

fn recovery_after_the_head() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |_: Environ, start_response: StartResponse| -> Result<Response> {
            let recovery = start_response.recovery();
            let mut response = text(start_response, Body::Empty);
            response.write("some")?;
            match recovery.start(StatusCode::OK, (), Error::application("no")) {
                Ok(_) => witness.note("a second head"),
                Err(_) => witness.note("no second head"),
            }
            Ok(response)
        })
        .boxed()
    }
    Case::new(app).send(GET).answers(format!("{CHUNKED}4\nsome\n0\n\n")).notes(["no second head"])
}

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

fn reason_phrase() -> Case {
    blocking!(|_, start_response| {
        let mut response = text(start_response, "hello");
        response.head_mut()?.reason = Some(ReasonPhrase::new("Splendid Indeed")?);
        Ok(response)
    })
    .send(GET)
    .answers(ok("hello").replace("200 OK", "200 Splendid Indeed"))
}

fn status_100() -> Case {
    blocking!(|_, start_response| Ok(start_response.start(StatusCode::CONTINUE, ())))
        .send(GET)
        .answers(page(FAILED))
        .logs([
            "GET /: 100 Continue cannot stand here: 101 goes with Body::Upgrade, and other 1xx are \
             not final",
        ])
}

fn hop_by_hop_fields() -> Case {
    blocking!(|_, start_response| {
        let mut response = text(start_response, "hello");
        let headers = &mut response.head_mut()?.headers;
        headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
        headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        Ok(response)
    })
    .send(GET)
    .answers(ok("hello"))
    .logs([
        "GET /: the application set `keep-alive`, which belongs to the server; it was removed",
        "GET /: the application set `transfer-encoding`, which belongs to the server; it was removed",
    ])
}

fn contradicting_lengths() -> Case {
    blocking!(|_, start_response| {
        let head = [(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "3")];
        Ok(start_response.start(StatusCode::OK, head).with_body("hello"))
    })
    .send(GET)
    .answers(page(FAILED))
    .logs(["GET /: the response's Content-Length is not one decimal number that fits its body"])
}
