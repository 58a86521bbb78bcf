//! `Expect: 100-continue`: sent when the input is read, and only then.

use gateway_core::http::{StatusCode, header::LINK};
use gateway_core::{
    Application, Environ, Error, IntoApplication, Response, Result, StartResponse, inline,
};

use crate::case::{Case, cases, closing, ok, page, text};
use crate::witness::Witness;

cases![
    read_by_blocking,
    read_by_awaiting,
    read_after_a_while,
    never_read,
    never_read_but_sent,
    asked_for_on_http_1_0,
    without_a_body,
    over_the_limit,
    sent_without_waiting,
];

const POST: &str = "POST / HTTP/1.1\nHost: test\nContent-Length: 5\nExpect: 100-continue\n\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\n\n";

fn read(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let body = environ.input().collect(5)?;
    Ok(text(start_response, body))
}

async fn read_async(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let body = environ.input().collect_async(5).await?;
    Ok(text(start_response, body))
}

fn read_by_blocking() -> Case {
    Case::new(|_| read.boxed())
        .send(POST)
        .until(CONTINUE)
        .send("hello")
        .answers(CONTINUE.to_owned() + &ok("hello"))
}

fn read_by_awaiting() -> Case {
    Case::new(|_| read_async.boxed())
        .send(POST)
        .until(CONTINUE)
        .send("hello")
        .answers(CONTINUE.to_owned() + &ok("hello"))
}

/// Nothing is sent before the application reads.
fn read_after_a_while() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |mut environ: Environ, start_response: StartResponse| {
            let witness = witness.clone();
            async move {
                let hints = [(LINK, "</style.css>")];
                start_response.early_hints(hints);
                witness.note("hinted");
                witness.opened("gate").await;
                let body = environ.input().collect_async(5).await?;
                Ok::<_, Error>(text(start_response, body))
            }
        })
        .boxed()
    }
    let hints = "HTTP/1.1 103 Early Hints\nlink: </style.css>\n\n";
    Case::new(app)
        .send(POST)
        .noted("hinted")
        .until(hints)
        .open("gate")
        .until(CONTINUE)
        .send("hello")
        .answers([hints, CONTINUE, &ok("hello")].concat())
        .notes(["hinted"])
}

fn never_read() -> Case {
    Case::new(|_| inline(|_, start_response| Ok(text(start_response, "no, thanks"))).boxed())
        .send(POST)
        .answers_and_closes(closing(ok("no, thanks")))
}

/// A body that comes after the answer is not taken for a request.
fn never_read_but_sent() -> Case {
    Case::new(|_| inline(|_, start_response| Ok(text(start_response, "no, thanks"))).boxed())
        .send(POST)
        .until(closing(ok("no, thanks")))
        .send("GET /")
        .answers_and_closes(closing(ok("no, thanks")))
}

/// RFC 9110 §10.1.1: such an expectation is ignored.
fn asked_for_on_http_1_0() -> Case {
    Case::new(|_| read.boxed())
        .send("POST / HTTP/1.0\nContent-Length: 5\nExpect: 100-continue\n\nhello")
        .answers_and_closes(closing(ok("hello")))
}

fn without_a_body() -> Case {
    Case::new(|_| read.boxed())
        .send("POST / HTTP/1.1\nHost: test\nContent-Length: 0\nExpect: 100-continue\n\n")
        .answers(ok(""))
}

/// A body that would be refused is not asked for.
fn over_the_limit() -> Case {
    Case::new(|_| read.boxed())
        .send("POST / HTTP/1.1\nHost: test\nContent-Length: 6\nExpect: 100-continue\n\n")
        .answers_and_closes(closing(page(StatusCode::PAYLOAD_TOO_LARGE)))
}

/// A client need not wait: what has come needs no invitation.
fn sent_without_waiting() -> Case {
    Case::new(|_| read.boxed()).send(POST.to_owned() + "hello").answers(ok("hello"))
}
