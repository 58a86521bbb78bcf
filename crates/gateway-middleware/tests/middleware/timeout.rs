//! Answers that do not come in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_timer::Delay;
use gateway_conformance::TestClient;
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Environ, IntoApplication, Reply, Response, Result, StartResponse, inline};
use gateway_middleware::Timeout;

use crate::around::{Boxed, Kind, around, around_each};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(5);

fn hello(_: Environ, start_response: StartResponse) -> Result<Response> {
    say_hello(start_response)
}

fn shortly(app: Boxed) -> Timeout<Boxed> {
    Timeout::new(app, SHORT)
}

#[test]
fn an_answer_in_time_is_left_alone() {
    around_each(
        hello,
        |app| Timeout::new(app, LONG),
        |client, _| {
            assert_eq!(client.get("/").send().text(), "Hello");
        },
    );
}

#[test]
fn a_future_is_dropped_when_its_time_is_over() {
    struct Drops(Arc<AtomicBool>);
    impl Drop for Drops {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let stuck = || {
        let dropped = Arc::clone(&dropped);
        let app = move |_: Environ, start_response: StartResponse| {
            let drops = Drops(Arc::clone(&dropped));
            async move {
                Delay::new(LONG * 60).await;
                drop(drops);
                say_hello(start_response)
            }
        };
        app.boxed()
    };
    around(Kind::Async, stuck, &shortly, &|client, _| {
        let response = client.get("/").send();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(dropped.swap(false, Ordering::SeqCst));
        let [line] = response.errors() else { panic!("the operator is told once") };
        assert!(line.contains("no answer within 5ms"), "{line}");
    });
    let gateway = |app| shortly(app).status(StatusCode::GATEWAY_TIMEOUT);
    around(Kind::Async, stuck, &gateway, &|client, _| {
        assert_eq!(client.get("/").send().status(), StatusCode::GATEWAY_TIMEOUT);
    });
}

#[test]
fn a_response_that_has_begun_is_cut() {
    async fn begins(_: Environ, start_response: StartResponse) -> Result<Response> {
        let mut response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        response.write_async("begun").await?;
        Delay::new(LONG * 60).await;
        Ok(response)
    }
    around(Kind::Async, || begins.boxed(), &shortly, &|client, _| {
        let response = client.get("/").send();
        assert_eq!((response.status(), &*response.text()), (StatusCode::OK, "begun"));
        assert!(response.is_cut());
    });
}

#[test]
fn work_that_comes_too_late_is_not_begun() {
    // Without any time, whatever has not begun is late.
    let never = || -> Boxed {
        let app = |_: Environ, _: StartResponse| -> Reply {
            Reply::Blocking(Box::new(|| panic!("it must not begin")))
        };
        app.boxed()
    };
    around(Kind::Blocking, never, &|app| Timeout::new(app, Duration::ZERO), &|client, _| {
        assert_eq!(client.get("/").send().status(), StatusCode::SERVICE_UNAVAILABLE);
    });
}

#[test]
fn an_answer_that_was_there_at_once_is_never_late() {
    let at_once = || inline(hello).boxed();
    around(Kind::Inline, at_once, &|app| Timeout::new(app, Duration::ZERO), &|client, _| {
        assert_eq!(client.get("/").send().text(), "Hello");
    });
}

#[test]
fn the_time_goes_on_from_one_arm_to_the_next() {
    async fn stuck(start_response: StartResponse) -> Result<Response> {
        Delay::new(LONG * 60).await;
        say_hello(start_response)
    }
    let working_first = || -> Boxed {
        let app = |_: Environ, start_response: StartResponse| -> Reply {
            Reply::Blocking(Box::new(|| Reply::future(stuck(start_response))))
        };
        app.boxed()
    };
    let awaiting_first = || -> Boxed {
        let app = |_: Environ, start_response: StartResponse| -> Reply {
            Reply::Pending(Box::pin(async { Reply::future(stuck(start_response)) }))
        };
        app.boxed()
    };
    let check = |client: &TestClient, _| {
        assert_eq!(client.get("/").send().status(), StatusCode::SERVICE_UNAVAILABLE);
    };
    around(Kind::Blocking, working_first, &shortly, &check);
    around(Kind::Async, awaiting_first, &shortly, &check);
}

fn say_hello(start_response: StartResponse) -> Result<Response> {
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body("Hello"))
}
