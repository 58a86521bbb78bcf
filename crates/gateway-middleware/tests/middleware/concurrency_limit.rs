//! Too much at a time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Body, Environ, Error, Response, Result, StartResponse};
use gateway_middleware::ConcurrencyLimit;

use crate::around::around_each;

const PATIENCE: Duration = Duration::from_secs(60);

/// Lets a body wait for a test, and the test for the body.
#[derive(Clone)]
struct Gate {
    arrived: Sender<()>,
    open: Arc<Mutex<Receiver<()>>>,
}

#[test]
fn an_exchange_counts_until_its_body_has_gone() {
    let (arrived, arrivals) = channel();
    let (opener, open) = channel();
    let gate = Gate { arrived, open: Arc::new(Mutex::new(open)) };
    let answer = move |environ: Environ, start_response: StartResponse| -> Result<Response> {
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        if environ.path_info() != "/waits" {
            return Ok(response.with_body("quick"));
        }
        let gate = gate.clone();
        Ok(response.with_body(Body::iter(std::iter::once_with(move || {
            gate.arrived.send(()).expect("the test listens");
            gate.open.lock().expect("nobody panics").recv_timeout(PATIENCE).expect("it opens");
            Ok("slow".into())
        }))))
    };
    let wrap = |app| ConcurrencyLimit::new(app, 1).retry_after(Duration::from_millis(2500));
    around_each(answer, wrap, |client, _| {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| client.get("/waits").send().text());
            arrivals.recv_timeout(PATIENCE).expect("it comes");
            let refused = client.get("/").send();
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refused.header("retry-after"), Some("3"));
            assert_eq!(refused.errors(), [""; 0], "a crowd cannot fill the log");
            opener.send(()).expect("the body waits");
            assert_eq!(waiting.join().expect("it is answered"), "slow");
        });
        assert_eq!(client.get("/").send().text(), "quick");
    });
}

#[test]
fn a_permit_comes_back_however_the_exchange_ends() {
    let answer = |environ: Environ, start_response: StartResponse| -> Result<Response> {
        match &*environ.path_info() {
            "/fails" => return Err(Error::application("it is broken")),
            "/panics" => panic!("it is badly broken"),
            _ => {}
        }
        let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        Ok(response.with_body(Body::iter((0..3).map(|_| Ok("data".into())))))
    };
    around_each(
        answer,
        |app| Arc::new(ConcurrencyLimit::new(app, 1)),
        |client, _| {
            for path in ["/fails", "/panics", "/"] {
                assert_ne!(client.get(path).send().status(), StatusCode::SERVICE_UNAVAILABLE);
            }
            client.get("/").gone_after(4).send();
            assert_eq!(client.get("/").send().text(), "datadatadata");
        },
    );
}

#[test]
fn none_may_be_allowed() {
    let answer = |_: Environ, start_response: StartResponse| -> Result<Response> {
        Ok(start_response.start(StatusCode::NO_CONTENT, ()))
    };
    around_each(
        answer,
        |app| ConcurrencyLimit::new(app, 0),
        |client, _| {
            let refused = client.get("/").send();
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refused.header("retry-after"), Some("1"));
        },
    );
}
