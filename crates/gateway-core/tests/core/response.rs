//! From `start_response` to the head on its way.

use std::sync::{Arc, Mutex};

use gateway_core::http::StatusCode;
use gateway_core::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK,
};
use gateway_core::{
    Application, ApplicationError, Body, Environ, Error, Reply, Response, Result, StartResponse,
    inline,
};

use crate::exchange::{Memory, Request, block_on, finish};

fn is_head_sent(error: &Error) -> bool {
    matches!(error, Error::Application(ApplicationError::HeadSent))
}

#[test]
fn starting_sends_nothing() {
    let (_, exchange) = Request::get("/").environ();
    let response =
        exchange.start_response().start(StatusCode::CREATED, [(CONTENT_TYPE, "text/plain")]);
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain");
    assert!(!response.is_head_sent());
    assert!(exchange.sent_head().is_none());
}

#[test]
fn header_fields_come_in_several_forms() {
    let start = |headers| {
        let (_, exchange) = Request::get("/").environ();
        let response = exchange.start_response().start(StatusCode::OK, headers);
        response.headers().get_all("x-a").iter().cloned().collect::<Vec<HeaderValue>>()
    };
    let name = HeaderName::from_static("x-a");
    let value = |text| HeaderValue::from_static(text);
    let map: HeaderMap =
        [(name.clone(), value("1")), (name.clone(), value("2"))].into_iter().collect();
    assert_eq!(start(map), ["1", "2"]);
    let (_, exchange) = Request::get("/").environ();
    let pairs = [(name.clone(), value("1")), (name.clone(), value("2"))];
    let response = exchange.start_response().start(StatusCode::OK, pairs);
    assert_eq!(response.headers().get_all("x-a").iter().count(), 2);
    let (_, exchange) = Request::get("/").environ();
    let response = exchange.start_response().start(StatusCode::OK, [(name, "1")]);
    assert_eq!(response.headers()["x-a"], "1");
}

#[test]
fn the_first_data_that_is_not_empty_sends_the_head() {
    let (mut response, exchange) = Memory::started(StatusCode::OK);
    response.write("").unwrap();
    assert!(exchange.sent_head().is_none());
    assert_eq!(exchange.flushes(), 0);
    response.head_mut().unwrap().status = StatusCode::ACCEPTED;
    response.write("one,").unwrap();
    assert_eq!(exchange.sent_head().unwrap().status, StatusCode::ACCEPTED);
    assert_eq!(exchange.sent(), "one,");
    assert_eq!(exchange.flushes(), 1);
    assert!(response.is_head_sent());
    let answer = exchange.answer(Reply::from(response.with_body("two")));
    assert_eq!(answer.body, "one,two");
}

#[test]
fn a_late_edit_is_an_error() {
    let (mut response, _) = Memory::started(StatusCode::OK);
    response.head_mut().unwrap().headers.insert(LINK, HeaderValue::from_static("</a>"));
    response.write("x").unwrap();
    assert!(is_head_sent(&response.head_mut().unwrap_err()));
    // What was sent can still be seen.
    assert_eq!(response.head().headers[LINK], "</a>");
}

#[test]
fn write_async_does_the_same_on_a_reactor() {
    let (_, exchange) = Request::get("/").on_reactor().environ();
    let mut response = exchange.start_response().start(StatusCode::OK, ());
    let error = response.write("x").unwrap_err();
    assert!(
        matches!(
            error,
            Error::Application(ApplicationError::WouldBlock { call: "Response::write" })
        ),
        "{error:?}"
    );
    assert!(exchange.sent_head().is_none());
    assert!(!response.is_head_sent());
    block_on(response.write_async("x")).unwrap();
    assert_eq!(exchange.sent(), "x");
    assert!(response.is_head_sent());
}

#[test]
fn a_head_can_be_sent_ahead_of_all_data() {
    let (_, exchange) = Request::get("/").on_reactor().environ();
    let mut response = exchange.start_response().start(StatusCode::ACCEPTED, ());
    block_on(response.send_head_async()).unwrap();
    assert_eq!(exchange.sent_head().unwrap().status, StatusCode::ACCEPTED);
    assert_eq!((exchange.sent(), exchange.flushes()), (String::new(), 1));
    assert!(response.is_head_sent());
    // Once more it has nothing to send.
    block_on(response.send_head_async()).unwrap();
    let answer = exchange.answer(Reply::from(response.with_body("body")));
    assert_eq!(answer.body, "body");

    let (mut response, exchange) = Memory::started(StatusCode::OK);
    exchange.disconnect();
    assert!(block_on(response.send_head_async()).unwrap_err().is_disconnect());
    assert!(!response.is_head_sent());
}

#[test]
fn writing_to_a_peer_that_has_gone_fails() {
    let (mut response, exchange) = Memory::started(StatusCode::OK);
    exchange.disconnect();
    assert!(response.write("x").unwrap_err().is_disconnect());
    assert!(!response.is_head_sent());
}

#[test]
fn restarting_replaces_head_and_body_until_the_head_is_sent() {
    let (response, exchange) = Memory::started(StatusCode::OK);
    let closed = Arc::new(());
    let held = Arc::clone(&closed);
    let mut response = response.with_body(Body::iter(std::iter::once_with(move || {
        drop(held);
        Ok("never".into())
    })));
    assert_eq!(Arc::strong_count(&closed), 2);
    response.restart(StatusCode::BAD_GATEWAY, [(CONTENT_TYPE, "text/plain")], "a cause").unwrap();
    assert_eq!(Arc::strong_count(&closed), 1, "the former body is closed");
    assert!(response.body().is_empty());
    let answer = exchange.answer(Reply::from(response.with_body("sorry")));
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers.len(), 1);
    assert_eq!(answer.body, "sorry");
}

#[test]
fn restarting_after_the_head_hands_the_cause_back() {
    let (mut response, exchange) = Memory::started(StatusCode::OK);
    response.write("some").unwrap();
    let cause = response.restart(StatusCode::BAD_GATEWAY, (), "a cause").unwrap_err();
    assert_eq!(cause, "a cause");
    assert_eq!(exchange.sent_head().unwrap().status, StatusCode::OK);
}

/// Two responses of one exchange, which only recovery can bring about: one head is sent.
#[test]
fn restarting_knows_a_head_that_another_response_sent() {
    let (_, exchange) = Request::get("/").environ();
    let start_response = exchange.start_response();
    let recovery = start_response.recovery();
    let mut first = start_response.start(StatusCode::OK, ());
    assert!(!recovery.is_head_sent());
    let mut second = recovery.start(StatusCode::OK, (), Error::application("boom")).unwrap();
    first.write("some").unwrap();
    assert_eq!(second.restart(StatusCode::BAD_GATEWAY, (), "a cause"), Err("a cause"));
}

/// The head may be on its way although the data was refused.
#[test]
fn a_first_write_that_fails_behind_the_head_leaves_no_restart() {
    let (_, exchange) = Request::get("/").environ();
    let mut response = exchange.start_response().start(StatusCode::OK, [(CONTENT_LENGTH, "3")]);
    let error = response.write("four").unwrap_err();
    assert!(matches!(error, Error::Application(ApplicationError::BodyTooLong { declared: 3 })));
    assert!(exchange.sent_head().is_some());
    assert!(response.is_head_sent());
    assert!(is_head_sent(&response.head_mut().unwrap_err()));
    assert!(response.restart(StatusCode::BAD_GATEWAY, (), error).is_err());
}

#[test]
fn bodies_are_looked_at_and_replaced() {
    let (response, _) = Memory::started(StatusCode::OK);
    let mut response = response.with_body("four");
    assert_eq!(response.body().len(), Some(4));
    *response.body_mut() = Body::from(String::from("seven!!"));
    let response = response.map_body(|body| match body {
        Body::Bytes(bytes) => Body::iter([Ok(bytes)]),
        other => other,
    });
    assert!(matches!(response.body(), Body::Iter(_)));
    assert_eq!(response.body().len(), None);
}

#[test]
fn recovery_tells_beforehand_that_it_is_too_late() {
    let (_, exchange) = Request::get("/").environ();
    let start_response = exchange.start_response();
    let recovery = start_response.recovery();
    start_response.start(StatusCode::OK, ()).write("some").unwrap();
    assert!(recovery.is_head_sent());
    assert!(recovery.start(StatusCode::OK, (), Error::application("boom")).is_err());
}

/// Answers for an application that fails, if it can.
struct Friendly<A>(A);

impl<A: Application> Application for Friendly<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let recovery = start_response.recovery();
        self.0.call(environ, start_response).then(move |outcome| {
            outcome.or_else(|cause| {
                let response = recovery.start(cause.status(), (), cause)?;
                Ok(response.with_body("sorry"))
            })
        })
    }
}

#[test]
fn recovery_answers_in_place_of_an_application_that_failed() {
    let app = Friendly(inline(|_, _| Err(Error::with_status(StatusCode::NOT_FOUND, "gone"))));
    let answer = Request::get("/").call(&app);
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.body, "sorry");
    assert!(answer.error.is_none());
}

#[test]
fn recovery_hands_the_cause_back_once_the_head_is_sent() {
    let app = Friendly(inline(|_, start_response: StartResponse| {
        start_response.start(StatusCode::OK, ()).write("some")?;
        Err(Error::with_status(StatusCode::NOT_FOUND, "gone"))
    }));
    let answer = Request::get("/").call(&app);
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "some");
    assert_eq!(answer.error.unwrap().status(), StatusCode::NOT_FOUND);
}

/// Notes its name on the head and in a log, inside one another.
struct Noting<A> {
    name: &'static str,
    log: Arc<Mutex<Vec<String>>>,
    app: A,
}

impl<A: Application> Application for Noting<A> {
    fn call(&self, environ: Environ, start_response: StartResponse) -> Reply {
        let (name, log) = (self.name, Arc::clone(&self.log));
        start_response.on_head(move |head| {
            log.lock().unwrap().push(format!("head {name}"));
            head.headers.append("x-via", HeaderValue::from_static(name));
        });
        let log = Arc::clone(&self.log);
        start_response.on_end(move |end| {
            let status = end.status.map(|status| status.as_u16());
            let line = format!("end {name} {status:?} {} {}", end.bytes_sent, end.error.is_some());
            log.lock().unwrap().push(line);
        });
        self.app.call(environ, start_response)
    }
}

#[track_caller]
fn check_hooks(app: impl Application, status: u16, sent: usize, aborted: bool) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let noting = |name, app: Box<dyn Application>| -> Box<dyn Application> {
        Box::new(Noting { name, log: Arc::clone(&log), app })
    };
    let app = noting("outer", noting("middle", noting("inner", Box::new(app))));
    let answer = Request::get("/").call(&app);
    let via: Vec<_> = answer.headers.get_all("x-via").iter().collect();
    assert_eq!(via, ["inner", "middle", "outer"]);
    let end = |name| format!("end {name} Some({status}) {sent} {aborted}");
    let expected = [
        "head inner".to_owned(),
        "head middle".to_owned(),
        "head outer".to_owned(),
        end("inner"),
        end("middle"),
        end("outer"),
    ];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[test]
fn hooks_run_once_and_innermost_first_however_the_head_is_sent() {
    let start = |start_response: StartResponse| start_response.start(StatusCode::OK, ());
    check_hooks(inline(move |_, sr| Ok(start(sr).with_body("four"))), 200, 4, false);
    check_hooks(
        inline(move |_, sr| {
            let mut response = start(sr);
            response.write("one")?;
            response.write("two")?;
            Ok(response.with_body("three"))
        }),
        200,
        11,
        false,
    );
    check_hooks(inline(|_, _| Err(Error::application("boom"))), 500, 0, true);
    check_hooks(
        inline(move |_, sr| {
            start(sr).write("some")?;
            Err(Error::application("boom"))
        }),
        200,
        4,
        true,
    );
    check_hooks(
        Friendly(inline(|_, _| Err(Error::with_status(StatusCode::CONFLICT, "boom")))),
        409,
        5,
        false,
    );
}

#[test]
fn hooks_see_what_the_application_made_of_the_head() {
    let app = inline(|_, start_response: StartResponse| {
        start_response.on_head(|head| {
            assert_eq!(head.status, StatusCode::ACCEPTED);
            head.status = StatusCode::CREATED;
        });
        let mut response = start_response.start(StatusCode::OK, ());
        response.head_mut()?.status = StatusCode::ACCEPTED;
        Ok(response)
    });
    assert_eq!(Request::get("/").call(&app).status, StatusCode::CREATED);
}

#[test]
fn early_hints_are_handed_on_at_once() {
    let (_, exchange) = Request::get("/").environ();
    let start_response = exchange.start_response();
    start_response.early_hints([(LINK, "</style.css>; rel=preload")]);
    start_response.early_hints([(LINK, "</late.css>; rel=preload")]);
    let hints: Vec<_> = exchange.hints().iter().map(|map| map[LINK].clone()).collect();
    assert_eq!(hints, ["</style.css>; rel=preload", "</late.css>; rel=preload"]);
    assert!(exchange.sent_head().is_none());
    assert!(start_response.start(StatusCode::OK, ()).headers().is_empty());
}

#[test]
fn a_server_gets_the_parts_and_knows_whose_they_are() {
    let (mut response, _) = Memory::started(StatusCode::OK);
    response.write("x").unwrap();
    let parts = finish(Reply::from(response.with_body("y"))).unwrap().into_parts();
    assert!(parts.head_sent);
    assert!(parts.exchange.head_sent());
    assert_eq!(parts.body.len(), Some(1));
}

#[test]
fn an_error_becomes_a_reply() {
    let reply = Reply::from(Error::with_status(StatusCode::GONE, "away"));
    let error = finish(reply).unwrap_err();
    assert_eq!(error.status(), StatusCode::GONE);
    fn fails() -> Result<Response> {
        HeaderValue::from_str("a\r\nX-Injected: 1")?;
        unreachable!("the value is refused")
    }
    assert_eq!(fails().unwrap_err().status(), StatusCode::INTERNAL_SERVER_ERROR);
}
