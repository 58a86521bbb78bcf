//! The lint changes nothing: not for what is wrong, and not on a server.

use std::sync::Mutex;
use std::time::Duration;

use gateway_conformance::{
    Claims, Harness, Lint, Running, ServerHarness, TestClient, TestResponse, Violation, Violations,
    suite,
};
use gateway_core::bytes::Bytes;
use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use gateway_core::http::{Method, StatusCode};
use gateway_core::{
    Application, Body, BoxError, Environ, Error, ErrorStream, ReasonPhrase, Reply, Response,
    Result, Server, ServerError, StartResponse,
};
use gateway_std::StdServer;
use gateway_tokio::TokioServer;

use crate::bodies::{Step, frames};

/// Misbehaves in many ways, by path.
fn misbehave(mut environ: Environ, start_response: StartResponse) -> Reply {
    let path = environ.raw_path_info().to_owned();
    let begin = |start_response: StartResponse, length| {
        let headers = [(CONTENT_TYPE, "text/plain"), (CONTENT_LENGTH, length)];
        start_response.start(StatusCode::OK, headers)
    };
    let answer = move || -> Result<Response> {
        Ok(match &path[..] {
            "/short" => begin(start_response, "9").with_body(data(&["a", "b"])),
            "/long" => begin(start_response, "1").with_body(data(&["a", "b"])),
            "/wrong" => begin(start_response, "x").with_body("a"),
            "/interim" => start_response.start(StatusCode::PROCESSING, ()),
            "/hop" => start_response.start(StatusCode::OK, [(TRANSFER_ENCODING, "chunked")]),
            "/empty" => start_response.start(StatusCode::OK, ()).with_body(data(&["", "a", ""])),
            "/content" => start_response.start(StatusCode::NOT_MODIFIED, ()).with_body("a"),
            "/reason" => {
                let mut response = start_response.start(StatusCode::OK, ());
                response.head_mut()?.reason = Some(ReasonPhrase::new("Fine")?);
                response.with_body("a")
            }
            "/hooks" => {
                start_response.on_head(|head| head.status = StatusCode::ACCEPTED);
                start_response.on_head(|_| panic!("asked to panic"));
                start_response.start(StatusCode::OK, ()).with_body("a")
            }
            "/write" => {
                start_response.on_head(|head| head.status = StatusCode::ACCEPTED);
                let mut response = begin(start_response, "3");
                response.write("a")?;
                assert_eq!(response.status(), StatusCode::ACCEPTED);
                assert!(response.restart(StatusCode::OK, (), "cause").is_err());
                let _ = response.write("bcd");
                response.with_body("e")
            }
            "/trailers" => {
                let body = frames([Step::Data("a"), Step::Trailer("x-sum")]);
                start_response.start(StatusCode::OK, ()).with_body(Body::stream(body))
            }
            "/hint" => {
                let body = frames([Step::Data("a"), Step::Waits, Step::Data("b")]).hint(5);
                start_response.start(StatusCode::OK, ()).with_body(Body::stream(body))
            }
            "/input" => {
                let first = environ.input().data().transpose()?.unwrap_or_default();
                let input = environ.take_input();
                let mut response = start_response.start(StatusCode::OK, ());
                response.write(first)?;
                response.with_body(Body::stream(input))
            }
            _ => return Err(Error::with_status(StatusCode::FOUND, "no error")),
        })
    };
    Reply::blocking(answer)
}

fn data(data: &'static [&'static str]) -> Body {
    Body::iter(data.iter().map(|data| Ok(Bytes::from(*data))))
}

fn told(response: &TestResponse) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {} {:?}",
        response.head(),
        response.data(),
        response.trailers(),
        response.error(),
        response.errors(),
        response.is_cut(),
        response.bytes_sent(),
    )
}

#[test]
fn what_is_wrong_stays_wrong_in_the_same_way() {
    let plain = TestClient::new(misbehave).without_lint();
    let (linted, violations) = Lint::new(misbehave).collecting();
    let linted = TestClient::new(linted).without_lint();
    for path in [
        "/short",
        "/long",
        "/wrong",
        "/interim",
        "/hop",
        "/empty",
        "/content",
        "/reason",
        "/hooks",
        "/write",
        "/trailers",
        "/hint",
        "/input",
        "/other",
    ] {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            for gone_after in [u64::MAX, 1] {
                let send = |client: &TestClient| {
                    let request = client.request(method.clone(), path).pieces(["x", "yz"]);
                    told(&request.gone_after(gone_after).send())
                };
                assert_eq!(send(&linted), send(&plain), "{method} {path}");
            }
        }
    }
    assert!(!violations.take().is_empty());
}

/// A right server whose applications are all linted.
struct Linted<S> {
    inner: ServerHarness<S>,
    found: Mutex<Vec<Violations>>,
}

impl<S: Server + Send + 'static> Linted<S> {
    fn new(
        name: &'static str,
        make: impl Fn(ErrorStream) -> Result<S, ServerError> + Send + Sync + 'static,
    ) -> Linted<S> {
        Linted { inner: ServerHarness::new(name, make), found: Mutex::default() }
    }
}

impl<S: Server + Send + 'static> Harness for Linted<S> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn claims(&self) -> Claims {
        self.inner.claims()
    }

    fn patience(&self) -> Duration {
        self.inner.patience()
    }

    fn start(&self, app: Box<dyn Application>) -> Result<Box<dyn Running>, BoxError> {
        let (linted, violations) = Lint::new(app).collecting();
        self.found.lock().expect("no test panics here").push(violations);
        self.inner.start(Box::new(linted))
    }
}

/// The suite's applications break rules on purpose, and the servers are right.
#[track_caller]
fn check_server<S: Server + Send + 'static>(linted: &Linted<S>) {
    let report = suite(linted);
    assert!(report.passed(), "{report}");
    let found = linted.found.lock().expect("no test panics here");
    let all: Vec<Violation> = found.iter().flat_map(Violations::take).collect();
    let faults: Vec<String> =
        all.iter().filter(|one| one.rule.id.starts_with("SRV")).map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_suite_sees_no_lint_on_threads() {
    check_server(&Linted::new("std", |errors| {
        Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
    }));
}

#[test]
fn the_suite_sees_no_lint_on_a_reactor() {
    check_server(&Linted::new("tokio", |errors| {
        Ok(TokioServer::bind("127.0.0.1:0")?.error_stream(errors))
    }));
}
