//! `write`, `restart`, early hints, and heads that are not as they should be.

use std::sync::Arc;

use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::{
    Application, ApplicationError, Body, Environ, Error, IntoApplication, ReasonPhrase, Reply,
    Response, Result, StartResponse,
};

use crate::case::{CHUNKED, Case, GET, blocking, cases, closing, ok, page, text, with};
use crate::witness::Witness;

cases![
    write_then_body,
    write_async_then_body,
    head_ahead_of_a_body,
    write_alone,
    write_within_a_length,
    write_past_a_length,
    empty_write_sends_nothing,
    restart_before_the_head,
    restart_after_the_head,
    recovery_from_an_error,
    recovery_after_the_head,
    late_edit_of_the_head,
    early_hints,
    early_hints_on_http_1_0,
    early_hints_after_the_head,
    reason_phrase,
    status_100,
    hop_by_hop_fields,
    contradicting_lengths,
];

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

/// A peer may have to see the head before it does what brings the first data about.
fn head_ahead_of_a_body() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |_: Environ, start_response: StartResponse| {
            let witness = witness.clone();
            async move {
                let mut response = text(start_response, Body::Empty);
                response.send_head_async().await?;
                witness.opened("gate").await;
                let items = [Ok("one".into())];
                Ok::<_, Error>(response.with_body(Body::iter(items)))
            }
        })
        .boxed()
    }
    Case::new(app).send(GET).until(CHUNKED).open("gate").answers(format!("{CHUNKED}3\none\n0\n\n"))
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

fn recovery_after_the_head() -> Case {
    blocking!(|witness, start_response| {
        let recovery = start_response.recovery();
        let mut response = text(start_response, Body::Empty);
        response.write("some")?;
        match recovery.start(StatusCode::OK, (), Error::application("no")) {
            Ok(_) => witness.note("a second head"),
            Err(_) => witness.note("no second head"),
        }
        Ok(response)
    })
    .send(GET)
    .answers(format!("{CHUNKED}4\nsome\n0\n\n"))
    .notes(["no second head"])
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

/// They come too late, and nothing of them is sent.
fn early_hints_after_the_head() -> Case {
    blocking!(|witness, start_response| {
        // No application can do it with what it is given, but its server's handles can.
        let exchange = start_response.start(StatusCode::OK, ()).into_parts().exchange;
        let late = StartResponse::new(Arc::clone(&exchange));
        let mut response = text(StartResponse::new(exchange), "body");
        response.write("some")?;
        late.early_hints([(LINK, "</style.css>")]);
        witness.note("hinted");
        Ok(response)
    })
    .send(GET)
    .answers(format!("{CHUNKED}4\nsome\n4\nbody\n0\n\n"))
    .notes(["hinted"])
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
