//! What can be run as an application, and `run`.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_core::http::StatusCode;
use gateway_core::{
    Address, Application, BoxError, Control, Environ, Error, Handle, IntoApplication, Reply,
    Response, Result, Server, ServerError, ServerInfo, StartResponse, Stopped, inline, run,
    run_with,
};

use crate::exchange::{Memory, Request, finish};

fn hello(start_response: StartResponse) -> Response {
    start_response.start(StatusCode::OK, ()).with_body("hello")
}

fn plain(_: Environ, start_response: StartResponse) -> Result<Response> {
    Ok(hello(start_response))
}

async fn later(_: Environ, start_response: StartResponse) -> Result<Response> {
    Ok(hello(start_response))
}

fn reply(_: Environ, start_response: StartResponse) -> Reply {
    Reply::from(hello(start_response))
}

struct Implements;

impl Application for Implements {
    fn call(&self, _: Environ, start_response: StartResponse) -> Reply {
        Reply::from(hello(start_response))
    }
}

#[derive(Debug, PartialEq)]
enum Arm {
    Ready,
    Pending,
    Blocking,
}

/// Calls the application on a thread server and on a reactor: which arm it answers by, and whether
/// the answer is the same.
#[track_caller]
fn check<M>(app: impl IntoApplication<M>, in_place: Arm, on_reactor: Arm) {
    let app = app.into_application();
    let calls = [(Request::get("/"), in_place), (Request::get("/").on_reactor(), on_reactor)];
    for (request, expected) in calls {
        let (environ, exchange) = request.environ();
        let reply = app.call(environ, exchange.start_response());
        let arm = match &reply {
            Reply::Ready(_) => Arm::Ready,
            Reply::Pending(_) => Arm::Pending,
            Reply::Blocking(_) => Arm::Blocking,
        };
        assert_eq!(arm, expected);
        assert_eq!(exchange.answer(reply).body, "hello");
    }
}

#[test]
fn a_function_that_may_block_is_called_in_place_or_sent_to_a_worker() {
    check(plain, Arm::Ready, Arm::Blocking);
    check(plain.into_application().clone(), Arm::Ready, Arm::Blocking);
    let count = AtomicUsize::new(0);
    let closure = move |_: Environ, start_response: StartResponse| -> Result<Response> {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(hello(start_response))
    };
    check(closure, Arm::Ready, Arm::Blocking);
}

#[test]
fn a_function_that_promises_not_to_block_is_called_in_place() {
    check(inline(plain), Arm::Ready, Arm::Ready);
    check(inline(|_, start_response| Ok(hello(start_response))), Arm::Ready, Arm::Ready);
}

#[test]
fn an_async_function_is_awaited() {
    check(later, Arm::Pending, Arm::Pending);
    check(
        async |_: Environ, sr: StartResponse| Ok::<_, Error>(hello(sr)),
        Arm::Pending,
        Arm::Pending,
    );
    let text = Arc::new(String::from("hello"));
    let closure = move |_: Environ, start_response: StartResponse| {
        let text = Arc::clone(&text);
        async move {
            let response = start_response.start(StatusCode::OK, ());
            Ok::<_, Error>(response.with_body(text.as_str().to_owned()))
        }
    };
    check(closure, Arm::Pending, Arm::Pending);
}

#[test]
fn a_function_may_answer_a_reply() {
    check(reply, Arm::Ready, Arm::Ready);
    let choosing = |environ: Environ, start_response: StartResponse| match environ.nonblocking() {
        true => Reply::blocking(move || Ok(hello(start_response))),
        false => Reply::future(async move { Ok(hello(start_response)) }),
    };
    check(choosing, Arm::Pending, Arm::Blocking);
}

#[test]
fn an_application_is_one_also_behind_pointers() {
    static IMPLEMENTS: Implements = Implements;
    let boxed: Box<dyn Application> = Box::new(Implements);
    let shared: Arc<dyn Application> = Arc::new(Implements);
    let borrowed: &'static dyn Application = &IMPLEMENTS;
    check(Implements, Arm::Ready, Arm::Ready);
    check(Box::new(Implements), Arm::Ready, Arm::Ready);
    check(boxed, Arm::Ready, Arm::Ready);
    check(Arc::new(Implements), Arm::Ready, Arm::Ready);
    check(shared, Arm::Ready, Arm::Ready);
    check(&IMPLEMENTS, Arm::Ready, Arm::Ready);
    check(borrowed, Arm::Ready, Arm::Ready);
    check(plain.boxed(), Arm::Ready, Arm::Blocking);
    check(later.boxed(), Arm::Pending, Arm::Pending);
}

#[test]
fn errors_are_whatever_converts_into_ours() {
    fn never(_: Environ, start_response: StartResponse) -> Result<Response, Infallible> {
        Ok(hello(start_response))
    }
    async fn never_later(
        _: Environ,
        start_response: StartResponse,
    ) -> Result<Response, Infallible> {
        Ok(hello(start_response))
    }
    check(never, Arm::Ready, Arm::Blocking);
    check(never_later, Arm::Pending, Arm::Pending);

    fn boxed(_: Environ, _: StartResponse) -> Result<Response, BoxError> {
        Err("boom".into())
    }
    fn missing(_: Environ, _: StartResponse) -> Result<Response, io::Error> {
        Err(io::ErrorKind::NotFound.into())
    }
    async fn refused(_: Environ, _: StartResponse) -> Result<Response> {
        Err(Error::with_status(StatusCode::FORBIDDEN, "no"))
    }
    for (app, status) in [(boxed.boxed(), 500), (missing.boxed(), 500), (refused.boxed(), 403)] {
        for request in [Request::get("/"), Request::get("/").on_reactor()] {
            assert_eq!(request.call(&app).status, status);
        }
    }
}

/// A server whose only peer asks once, for `/`.
struct Once {
    bodies: Arc<Mutex<Vec<String>>>,
    fails: bool,
}

impl Server for Once {
    fn info(&self) -> ServerInfo {
        let mut info = ServerInfo::new("once.test", Some(8000), "once/1.0");
        info.run_once = true;
        info
    }

    fn local_addrs(&self) -> Vec<Address> {
        vec![Address::Unnamed]
    }

    fn handle(&self) -> Handle {
        Handle::new(Arc::new(Grace(Arc::clone(&self.bodies))))
    }

    fn serve(self, app: Arc<dyn Application>) -> Result<Stopped, ServerError> {
        if self.fails {
            return Err(ServerError::ShuttingDown);
        }
        self.bodies.lock().unwrap().push(Request::get("/").call(&app).body);
        Ok(Stopped::new(1, 2))
    }
}

struct Grace(Arc<Mutex<Vec<String>>>);

impl Control for Grace {
    fn shutdown(&self, grace: Duration) {
        self.0.lock().unwrap().push(format!("{grace:?}"));
    }
}

fn once() -> (Once, Arc<Mutex<Vec<String>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let server = Once { bodies: Arc::clone(&bodies), fails: false };
    (server, bodies)
}

#[test]
fn a_server_runs_whatever_is_an_application() {
    let (server, bodies) = once();
    let handle = server.handle();
    assert_eq!(server.local_addrs(), [Address::Unnamed]);
    let stopped = run(server, plain).unwrap();
    assert_eq!(stopped, Stopped::new(1, 2));
    run(once().0, later).unwrap();
    run(once().0, reply).unwrap();
    run(once().0, Implements).unwrap();
    run(once().0, plain.boxed()).unwrap();
    run(once().0, inline(plain)).unwrap();
    handle.clone().shutdown(Duration::from_secs(3));
    assert_eq!(*bodies.lock().unwrap(), ["hello", "3s"]);
}

#[test]
fn an_application_is_built_with_the_servers_facts_and_dropped_at_the_end() {
    struct Pool(Arc<AtomicUsize>);

    impl Drop for Pool {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let closed = Arc::new(AtomicUsize::new(0));
    let (server, bodies) = once();
    run_with(server, |info| {
        assert!(info.run_once && info.multithread && !info.multiprocess);
        let text = format!("{} on port {:?}", info.name, info.port);
        let pool = Pool(Arc::clone(&closed));
        move |_: Environ, start_response: StartResponse| -> Result<Response> {
            assert_eq!(pool.0.load(Ordering::Relaxed), 0);
            Ok(start_response.start(StatusCode::OK, ()).with_body(text.clone()))
        }
    })
    .unwrap();
    assert_eq!(*bodies.lock().unwrap(), ["once.test on port Some(8000)"]);
    assert_eq!(closed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_server_that_cannot_serve_says_so() {
    let (mut server, _) = once();
    server.fails = true;
    let error = run(server, plain).unwrap_err();
    assert!(matches!(error, ServerError::ShuttingDown));
}

#[test]
fn how_a_shutdown_went_is_said_in_words() {
    for ((cut, left), expected) in [
        ((0, 0), "every request was finished"),
        ((2, 0), "2 connections were cut"),
        ((0, 3), "3 threads are still running"),
    ] {
        let text = Stopped::new(cut, left).to_string();
        assert!(text.contains(expected), "{text}");
    }
    assert!(!Stopped::new(0, 3).to_string().contains("cut"));
}

#[test]
fn a_response_outlives_its_environ() {
    let (environ, exchange) = Request::get("/").environ();
    let response =
        finish(plain.into_application().call(environ, exchange.start_response())).unwrap();
    assert_eq!(response.body().len(), Some(5));
    let _: Arc<Memory> = exchange;
}
