//! Hooks, and middleware that answers in the application's place.

use std::sync::{Arc, Mutex};

use gateway_core::bytes::Bytes;
use gateway_core::http::header::CONTENT_LENGTH;
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::{Application, Body, Environ, Error, Reply, StartResponse, inline};

use super::channel::{GET, run};

/// Notes what happens, in order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().expect("sound").push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("sound"))
    }
}

struct Hooked<A> {
    app: A,
    name: &'static str,
    notes: Notes,
}

impl<A: Application> Application for Hooked<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let (name, notes) = (self.name, self.notes.clone());
        start_response.on_head(move |head| {
            notes.note(format!("{name} head {}", head.status.as_u16()));
            head.headers.append("x-by", HeaderValue::from_static(name));
        });
        let notes = self.notes.clone();
        start_response.on_end(move |end| {
            let status = end.status.map_or(0, |status| status.as_u16());
            let error = end.error.map(|error| format!("answered: {error}")).unwrap_or_default();
            let abort = end.abort.map(|error| format!("cut: {error}")).unwrap_or_default();
            notes.note(format!("{name} end {status} {} {error}{abort}", end.bytes_sent));
        });
        self.app.call(environ, start_response)
    }
}

fn hooked<A: Application>(app: A) -> (impl Application, Notes) {
    let notes = Notes::default();
    let inner = Hooked { app, name: "inner", notes: notes.clone() };
    (Hooked { app: inner, name: "outer", notes: notes.clone() }, notes)
}

#[test]
fn hooks_run_once_innermost_first() {
    let (app, notes) = hooked(inline(|_, start| {
        let mut response = start.start(StatusCode::OK, ());
        response.write("one")?;
        Ok(response.with_body("two"))
    }));
    let outcome = run(app, GET);
    assert_eq!(
        notes.take(),
        ["inner head 200", "outer head 200", "inner end 200 6 ", "outer end 200 6 "]
    );
    let head = outcome.recorder.head.expect("it was sent").0;
    assert_eq!(head.headers.get_all("x-by").iter().collect::<Vec<_>>(), ["inner", "outer"]);
}

#[test]
fn they_see_what_the_server_says_itself() {
    let (app, notes) = hooked(inline(|_, _| panic!("oh no")));
    run(app, GET);
    let notes = notes.take();
    assert_eq!(notes[..2], ["inner head 500", "outer head 500"]);
    assert_eq!(notes[2], "inner end 500 26 answered: the application panicked: oh no");
}

#[test]
fn the_end_knows_why_a_response_was_cut() {
    let (app, notes) = hooked(inline(|_, start| {
        let items = [Ok(Bytes::from("some")), Err(std::io::Error::other("the disk is gone"))];
        Ok(start.start(StatusCode::OK, ()).with_body(Body::iter(items)))
    }));
    run(app, GET);
    assert_eq!(notes.take()[2], "inner end 200 4 cut: input or output failed");
}

/// A head that cannot be sent is no head for them.
#[test]
fn they_see_the_500_in_the_place_of_an_invalid_head() {
    for (status, lengths) in [(200, &["5", "3"][..]), (100, &[]), (101, &[])] {
        let (app, notes) = hooked(inline(move |_, start| {
            let mut response = start.start(StatusCode::from_u16(status).expect("a status"), ());
            for length in lengths {
                let length = HeaderValue::from_static(length);
                response.head_mut()?.headers.append(CONTENT_LENGTH, length);
            }
            Ok(response)
        }));
        run(app, GET);
        assert_eq!(notes.take()[..2], ["inner head 500", "outer head 500"], "{status}");
    }
}

/// Panics in both of its hooks.
struct Panics<A>(A);

impl<A: Application> Application for Panics<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        start_response.on_head(|_| panic!("in the head hook"));
        start_response.on_end(|_| panic!("in the end hook"));
        self.0.call(environ, start_response)
    }
}

#[test]
fn a_hook_that_panics_is_a_500_and_keeps_none_from_running() {
    let (app, notes) =
        hooked(Panics(inline(|_, start| Ok(start.start(StatusCode::OK, ()).with_body("x")))));
    let outcome = run(app, GET);
    assert_eq!(outcome.calls()[0], "head 500 26");
    let notes = notes.take();
    assert_eq!(notes[..2], ["inner head 500", "outer head 500"]);
    assert!(
        notes[2].starts_with("inner end 500") && notes[3].starts_with("outer end"),
        "{notes:?}"
    );
    let log = outcome.log.join("\n");
    assert!(log.contains("in the head hook") && log.contains("in the end hook"), "{log}");
}

#[test]
fn a_recovery_answers_in_place_of_a_failure() {
    struct Friendly<A>(A);
    impl<A: Application> Application for Friendly<A> {
        fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
            let recovery = start_response.recovery();
            self.0.call(environ, start_response).then(move |outcome| {
                outcome.or_else(|cause| {
                    let response = recovery.start(StatusCode::BAD_GATEWAY, (), cause)?;
                    Ok(response.with_body("sorry"))
                })
            })
        }
    }
    let app = Friendly(inline(|_, _| Err(Error::application("no backend"))));
    assert_eq!(run(app, GET).calls(), ["head 502 5", "data sorry", "end"]);
    let app = Friendly(inline(|_, start| {
        start.start(StatusCode::OK, ()).write("some")?;
        Err(Error::application("no backend"))
    }));
    assert_eq!(run(app, GET).calls(), ["head 200 ?", "data some", "cut"]);
}

#[test]
fn early_hints_come_before_the_head() {
    let app = inline(|_, start| {
        start.early_hints(());
        Ok(start.start(StatusCode::OK, ()))
    });
    assert_eq!(run(app, GET).calls(), ["informational 103", "head 200 0", "end"]);
}
