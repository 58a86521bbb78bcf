//! Handles that an application kept: after their exchange they reach nothing.

use std::sync::Mutex;

use gateway_core::http::{StatusCode, header::LINK};
use gateway_core::{
    Application, Disconnected, Environ, Error, Input, IntoApplication, Recovery, Response, Result,
    StartResponse,
};

use crate::case::{Case, cases, ok, page, text};
use crate::witness::Witness;

cases![on_the_same_connection, returned_by_the_next_exchange, start_response_after_an_error];

struct Kept {
    response: Response,
    input: Input,
    recovery: Recovery,
    disconnected: Disconnected,
}

/// `/keep` keeps all that it can, `/use` uses it, `/return` answers with it.
fn keeper(witness: Witness) -> Box<dyn Application> {
    let kept = Mutex::new(None);
    (move |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        let mut kept = kept.lock().expect("nobody panics");
        match environ.raw_path_info() {
            "/keep" => {
                let cause = || Error::application("no cause at all");
                let recovery = start_response.recovery();
                let another = start_response.recovery();
                *kept = Some(Kept {
                    response: another.start(StatusCode::ACCEPTED, (), cause())?,
                    input: environ.take_input(),
                    recovery,
                    disconnected: environ.disconnected(),
                });
                Ok(text(start_response, "kept"))
            }
            "/use" => {
                let mut kept = kept.take().expect("/keep came first");
                let late = kept.response.write("late").expect_err("it is over");
                witness.note(format_args!("write: {late}"));
                let late = kept.input.collect(10).expect_err("it is over");
                witness.note(format_args!("input: {late}"));
                witness.note(format_args!("gone: {}", kept.disconnected.is_disconnected()));
                let late = kept.recovery.start(StatusCode::OK, (), Error::application("late"));
                witness.note(format_args!("recovery: {}", late.is_err()));
                Ok(text(start_response, "used"))
            }
            _ => {
                drop(start_response);
                Ok(kept.take().expect("/keep came first").response.with_body("stolen"))
            }
        }
    })
    .boxed()
}

const KEEP: &str = "POST /keep HTTP/1.1\nHost: test\nContent-Length: 5\n\nhello";
const OVER: &str = "the handle belongs to another exchange, or to one that is over";

fn on_the_same_connection() -> Case {
    Case::new(keeper)
        .send(KEEP)
        .until(ok("kept"))
        .send("POST /use HTTP/1.1\nHost: test\nContent-Length: 5\n\nworld")
        .answers(ok("kept") + &ok("used"))
        .notes([
            &format!("write: {OVER}"),
            &format!("input: {OVER}"),
            "gone: true",
            "recovery: true",
        ])
}

fn returned_by_the_next_exchange() -> Case {
    let failed = page(StatusCode::INTERNAL_SERVER_ERROR);
    Case::new(keeper)
        .send(KEEP)
        .until(ok("kept"))
        .send("GET /return HTTP/1.1\nHost: test\n\n")
        .answers(ok("kept") + &failed)
        .logs([&format!("GET /return: {OVER}")])
}

fn start_response_after_an_error() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        let kept = Mutex::new(None::<StartResponse>);
        (move |_: Environ, start_response: StartResponse| -> Result<Response> {
            let Some(old) = kept.lock().expect("nobody panics").replace(start_response) else {
                return Err(Error::with_status(StatusCode::NOT_FOUND, "not yet"));
            };
            witness.watch_end(&old);
            old.early_hints([(LINK, "late")]);
            let late = text(old, "").write("late").expect_err("it is over");
            witness.note(late);
            let new = kept.lock().expect("nobody panics").take().expect("it was put there");
            Ok(text(new, "fine"))
        })
        .boxed()
    }
    let request = "GET / HTTP/1.1\nHost: test\n\n";
    let not_found = page(StatusCode::NOT_FOUND);
    Case::new(app)
        .send(request)
        .until(&not_found)
        .send(request)
        .answers(not_found + &ok("fine"))
        .notes([OVER])
}
