//! HEAD, 204 and 304: what an application may do where no body follows the head.

use std::thread;
use std::time::Instant;

use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{
    Application, Body, Disconnected, Environ, IntoApplication, StartResponse, inline,
};

use crate::case::{CHUNKED, Case, blocking, cases, ok, text};
use crate::witness::{PATIENCE, Witness};

cases![
    body_that_asks_when_it_is_closed,
    hooks_that_ask_when_they_are_dropped,
    body_that_panics_when_it_is_closed,
    written_for_ever_to_one_who_half_closes,
    written_for_ever_to_one_who_resets,
];

const HEAD: &str = "HEAD / HTTP/1.1\nHost: test\n\n";

/// A HEAD, a 204 and a 304, for which `prepare` makes the body and adds hooks, and then an answer
/// with a body, all on one connection.
macro_rules! bodiless {
    ($prepare:expr) => {{
        fn app(witness: Witness) -> Box<dyn Application> {
            let prepare: fn(&Witness, &Environ, &StartResponse) -> Body = $prepare;
            inline(move |environ, start_response| {
                let status = match environ.raw_path_info() {
                    "/204" => StatusCode::NO_CONTENT,
                    "/304" => StatusCode::NOT_MODIFIED,
                    "/last" => return Ok(text(start_response, "hello")),
                    _ => StatusCode::OK,
                };
                let body = prepare(&witness, &environ, &start_response);
                let response = start_response.start(status, [(CONTENT_TYPE, "text/plain")]);
                Ok(response.with_body(body))
            })
            .boxed()
        }
        let get = |path| format!("GET {path} HTTP/1.1\nHost: test\n\n");
        let bare =
            |status| format!("HTTP/1.1 {status}\nDate: *\nServer: *\ncontent-type: text/plain\n\n");
        let answers =
            [CHUNKED.to_owned(), bare("204 No Content"), bare("304 Not Modified"), ok("hello")];
        Case::new(app)
            .send(HEAD)
            .until(CHUNKED)
            .send(["/204", "/304", "/last"].map(get).concat())
            .answers(answers.concat())
    }};
}

/// An iterator that nobody wants, and that owns `something`.
fn body_with(something: impl Send + 'static) -> Body {
    Body::iter(std::iter::from_fn(move || {
        let _ = &something;
        panic!("nobody wants this body")
    }))
}

/// Has a question when it is dropped, and must not have to wait for the answer.
struct Asks {
    disconnected: Disconnected,
    witness: Witness,
}

impl Asks {
    fn of(witness: &Witness, environ: &Environ) -> Asks {
        Asks { disconnected: environ.disconnected(), witness: witness.clone() }
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        let gone = self.disconnected.is_disconnected();
        self.witness.note(if gone { "gone" } else { "there" });
    }
}

fn body_that_asks_when_it_is_closed() -> Case {
    bodiless!(|witness, environ, _| body_with(Asks::of(witness, environ))).notes(["there"; 3])
}

/// For a hook for the end the exchange is over, so nobody is there any more.
fn hooks_that_ask_when_they_are_dropped() -> Case {
    bodiless!(|witness, environ, start_response| {
        let (first, last) = (Asks::of(witness, environ), Asks::of(witness, environ));
        start_response.on_head(move |_| drop(first));
        start_response.on_end(move |_| drop(last));
        body_with(())
    })
    .notes(["there", "gone", "there", "gone", "there", "gone"])
}

struct PanicsWhenClosed;

impl Drop for PanicsWhenClosed {
    fn drop(&mut self) {
        panic!("oh no");
    }
}

fn body_that_panics_when_it_is_closed() -> Case {
    bodiless!(|witness, _, start_response| {
        witness.watch_end(start_response);
        body_with(PanicsWhenClosed)
    })
    .notes([
        "end: 200, 0 bytes, clean",
        "end: 204, 0 bytes, clean",
        "end: 304, 0 bytes, clean",
    ])
}

/// No data goes out whose sending could fail; still it ends, when nobody is there any more.
fn written_for_ever() -> Case {
    blocking!(|witness, start_response| {
        let mut response = text(start_response, Body::Empty);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            response.write("more").inspect_err(|error| witness.note(error))?;
            thread::yield_now();
        }
        witness.note("nothing ends it");
        Ok(response)
    })
    .send(HEAD)
    .notes(["the peer went away before the exchange was over"])
}

fn written_for_ever_to_one_who_half_closes() -> Case {
    written_for_ever().answers(CHUNKED)
}

fn written_for_ever_to_one_who_resets() -> Case {
    written_for_ever().until(CHUNKED).reset()
}
