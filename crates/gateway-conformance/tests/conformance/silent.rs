//! What is right passes without a word, on threads and on a reactor.

use std::fs::File;
use std::io;
use std::io::{Read, Write};

use gateway_conformance::{TestClient, TestRequest, TestResponse};
use gateway_core::bytes::Bytes;
use gateway_core::http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LINK, LOCATION, TRAILER, UPGRADE,
};
use gateway_core::http::{HeaderMap, HeaderValue, Method, StatusCode};
use gateway_core::{
    Body, Environ, Error, IntoApplication, Mount, Reply, Response, Result, StartResponse, Upgraded,
    inline,
};

use crate::bodies::{Step, frames};

#[track_caller]
fn silent<M>(
    app: impl IntoApplication<M>,
    request: impl Fn(&TestClient) -> TestRequest<'_>,
    expected: &str,
) -> TestResponse {
    let mut client = TestClient::new(app);
    let mut last = None;
    for _ in 0..2 {
        let response = request(&client).send();
        assert!(response.violations().is_empty(), "{:#?}", response.violations());
        assert_eq!(response.text(), expected, "{response:?}");
        last = Some(response);
        client = client.on_reactor();
    }
    last.expect("there were two")
}

#[track_caller]
fn gets<M>(app: impl IntoApplication<M>, expected: &str) -> TestResponse {
    silent(app, |client| client.get("/"), expected)
}

fn text(start_response: StartResponse) -> Response {
    start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")])
}

#[test]
fn a_plain_function() {
    fn app(_: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(text(start_response).with_body("plain"))
    }
    let response = gets(app, "plain");
    assert_eq!(response.header("content-length"), Some("5"));
    assert!(response.body_closed() && !response.is_cut());
}

#[test]
fn an_async_function() {
    async fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let body = environ.input().collect_async(100).await?;
        Ok(text(start_response).with_body(body))
    }
    silent(app, |client| client.post("/").pieces(["a", "b", "c"]), "abc");
    silent(app, |client| client.post("/").body("abc"), "abc");
}

#[test]
fn a_function_that_blocks() {
    fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let mut body = String::new();
        environ.input().read_to_string(&mut body)?;
        let mut response = text(start_response);
        response.write(body)?;
        response.write("")?;
        Ok(response.with_body("!"))
    }
    let response = silent(app, |client| client.post("/").pieces(["a", "b"]), "ab!");
    assert_eq!(response.data(), ["ab", "!"]);
}

#[test]
fn replies_within_replies() {
    gets(
        |environ: Environ, start_response: StartResponse| {
            Reply::Pending(Box::pin(async move {
                assert_eq!(environ.method(), "GET");
                Reply::blocking(move || Ok(text(start_response).with_body("deep")))
            }))
        },
        "deep",
    );
}

#[test]
fn what_is_written_and_awaited() {
    async fn app(_: Environ, start_response: StartResponse) -> Result<Response> {
        let headers = [(CONTENT_TYPE, "text/plain"), (CONTENT_LENGTH, "6")];
        let mut response = start_response.start(StatusCode::OK, headers);
        response.write_async("one").await?;
        assert!(response.is_head_sent() && response.head_mut().is_err());
        response.write_async("two").await?;
        Ok(response)
    }
    gets(app, "onetwo");
}

#[test]
fn an_iterator() {
    let app = inline(|_, start_response| {
        let data = ["a", "b"].map(|data| Ok(Bytes::from(data)));
        Ok(text(start_response).with_body(Body::iter(data)))
    });
    let response = gets(app, "ab");
    assert_eq!(response.header("content-length"), None);
}

#[test]
fn an_iterator_that_fails() {
    let app = inline(|_, start_response| {
        let data = [Ok(Bytes::from("a")), Err(io::Error::other("boom"))];
        Ok(text(start_response).with_body(Body::iter(data)))
    });
    let response = gets(app, "a");
    assert!(response.is_cut() && response.body_closed());
    assert_eq!(response.error(), Some("input or output failed: boom"));
}

#[test]
fn a_stream_with_trailers() {
    let app = inline(|_, start_response| {
        let headers = [(CONTENT_TYPE, "text/plain"), (TRAILER, "X-Sum, X-Other")];
        let body = frames([Step::Waits, Step::Data("a"), Step::Data("b"), Step::Trailer("x-sum")]);
        Ok(start_response.start(StatusCode::OK, headers).with_body(Body::stream(body)))
    });
    let response = gets(app, "ab");
    assert_eq!(response.trailers().and_then(|all| all.get("x-sum")).expect("a trailer"), "1");
}

#[test]
fn trailers_that_a_hook_announces() {
    let app = inline(|_, start_response| {
        start_response.on_head(|head| {
            head.headers.insert(TRAILER, HeaderValue::from_static("x-sum"));
        });
        let body = frames([Step::Trailer("x-sum")]);
        Ok(text(start_response).with_body(Body::stream(body)))
    });
    gets(app, "");
}

#[test]
fn a_stream_of_known_length() {
    let app = inline(|_, start_response| {
        let body = frames([Step::Data("a"), Step::Waits, Step::Data("b")]).hint(2);
        Ok(text(start_response).with_body(Body::stream(body)))
    });
    assert_eq!(gets(app, "ab").header("content-length"), Some("2"));
}

#[test]
fn a_stream_that_fails_at_once() {
    let app = inline(|_, start_response| {
        let body = frames([Step::Fails(io::Error::other("boom"))]);
        Ok(text(start_response).with_body(Body::stream(body)))
    });
    assert_eq!(gets(app, "500 Internal Server Error\n").status(), 500);
}

#[test]
fn the_requests_body_as_the_responses() {
    async fn echo(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let mut input = environ.take_input();
        input.limit(u64::MAX)?;
        Ok(text(start_response).with_body(Body::stream(input)))
    }
    let response = silent(echo, |client| client.post("/").body("abc"), "abc");
    assert_eq!(response.header("content-length"), Some("3"));
    silent(echo, |client| client.post("/").pieces(["a", "bc"]), "abc");
    gets(echo, "");
}

#[test]
fn a_file() {
    let app = inline(|_, start_response| {
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))?;
        Ok(text(start_response).with_body(Body::file(file)?))
    });
    gets(app, include_str!("../../Cargo.toml"));
}

#[test]
fn an_answer_to_head() {
    let whole = inline(|_, start_response| Ok(text(start_response).with_body("whole")));
    let response = silent(whole, |client| client.head("/"), "");
    assert_eq!(response.header("content-length"), Some("5"));

    let left_out = inline(|_, start_response| {
        let headers = [(CONTENT_TYPE, "text/plain"), (CONTENT_LENGTH, "5")];
        Ok(start_response.start(StatusCode::OK, headers))
    });
    let response = silent(left_out, |client| client.head("/"), "");
    assert_eq!(response.header("content-length"), Some("5"));
    let pulled = inline(|_, start_response| {
        Ok(text(start_response).with_body(Body::stream(frames([Step::Data("whole")]))))
    });
    let response = silent(pulled, |client| client.head("/"), "");
    assert!(response.body_closed());
}

#[test]
fn answers_without_content() {
    for status in [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED] {
        gets(
            inline(move |_, start_response| Ok(start_response.start(status, [(ETAG, "\"1\"")]))),
            "",
        );
    }
    gets(
        inline(|_, start_response| {
            Ok(start_response.start(StatusCode::SEE_OTHER, [(LOCATION, "/a")]))
        }),
        "",
    );
}

#[test]
fn errors() {
    let missing = inline(|_, _| Err(Error::with_status(StatusCode::NOT_FOUND, "nothing here")));
    let response = gets(missing, "404 Not Found\n");
    assert_eq!((response.status(), response.errors()), (StatusCode::NOT_FOUND, &[][..]));
    let refused = inline(|_, _| {
        let error = Error::with_status(StatusCode::METHOD_NOT_ALLOWED, "only POST");
        Err(error.with_headers([(ALLOW, "POST")]))
    });
    gets(refused, "405 Method Not Allowed\n");
    let panics = inline(|_, _| panic!("asked to panic"));
    let response = gets(panics, "500 Internal Server Error\n");
    assert!(response.errors()[0].contains("asked to panic"), "{:?}", response.errors());
}

#[test]
fn a_hook_that_panics_becomes_an_error() {
    let app = inline(|_, start_response| {
        start_response.on_head(|_| panic!("asked to panic"));
        let headers = [(CONTENT_TYPE, "text/plain"), (CONTENT_LENGTH, "5")];
        Ok(start_response.start(StatusCode::OK, headers).with_body("hello"))
    });
    gets(app, "500 Internal Server Error\n");
}

#[test]
fn early_hints() {
    let app = inline(|_, start_response| {
        start_response.early_hints([(LINK, "</style.css>; rel=preload")]);
        Ok(text(start_response).with_body("x"))
    });
    assert_eq!(gets(app, "x").early_hints().len(), 1);
}

#[test]
fn a_response_started_over() {
    let app = inline(|_, start_response| {
        let mut response = text(start_response).with_body("never sent");
        let cause = Error::application("changed its mind");
        response.restart(StatusCode::BAD_GATEWAY, [(CONTENT_TYPE, "text/plain")], cause)?;
        Ok(response.with_body("over"))
    });
    assert_eq!(gets(app, "over").status(), StatusCode::BAD_GATEWAY);
}

#[test]
fn a_connection_to_be_closed() {
    let app = inline(|_, start_response| {
        let headers = [(CONTENT_TYPE, "text/plain"), (CONNECTION, "close")];
        Ok(start_response.start(StatusCode::OK, headers).with_body("bye"))
    });
    gets(app, "bye");
}

#[test]
fn an_upgrade() {
    fn switch(start_response: StartResponse) -> Response {
        let headers = [(UPGRADE, "echo"), (CONNECTION, "upgrade")];
        start_response.start(StatusCode::SWITCHING_PROTOCOLS, headers)
    }
    let blocking = inline(|_, start_response| {
        Ok(switch(start_response).with_body(Body::upgrade(|mut connection: Upgraded| {
            let mut all = Vec::new();
            connection.read_to_end(&mut all).expect("it is in memory");
            connection.write_all(&all).expect("it is in memory");
        })))
    });
    let awaited = inline(|_, start_response| {
        Ok(switch(start_response).with_body(Body::upgrade_async(async |connection: Upgraded| {
            let mut bytes = [0; 2];
            while let Ok(n @ 1..) = connection.read_async(&mut bytes).await {
                connection.write_all_async(&bytes[..n]).await.expect("it is in memory");
            }
        })))
    });
    for app in [blocking.boxed(), awaited.boxed()] {
        let ask =
            |client: &TestClient| client.get("/").header("upgrade", "chat, echo").send_to_line();
        let response = silent_upgrade(app, ask);
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(&response.upgraded()[..], b"over the line");
    }
}

#[track_caller]
fn silent_upgrade<M>(
    app: impl IntoApplication<M>,
    ask: impl Fn(&TestClient) -> TestResponse,
) -> TestResponse {
    let client = TestClient::new(app);
    let response = ask(&client);
    assert!(response.violations().is_empty(), "{:#?}", response.violations());
    assert!(!response.is_cut());
    response
}

trait SendToLine {
    fn send_to_line(self) -> TestResponse;
}

impl SendToLine for TestRequest<'_> {
    fn send_to_line(self) -> TestResponse {
        self.header("connection", "upgrade").after_upgrade("over the line").send()
    }
}

#[test]
fn mounted_applications() {
    fn place(environ: Environ, start_response: StartResponse) -> Result<Response> {
        let (script_name, path_info) = (environ.script_name(), environ.path_info());
        let place = format!("{script_name} {path_info}");
        Ok(text(start_response).with_body(place))
    }
    let mount = || Mount::new().at("/a b", place).at("", place).build().expect("sound prefixes");
    silent(mount(), |client| client.get("/a%20b/c?d=e"), "/a b /c");
    silent(mount(), |client| client.get("/%C3%A9"), " /é");
    silent(mount(), |client| client.get("http://other.test"), " /");
    silent(mount(), |client| client.options("*"), " *");
    silent(mount(), |client| client.request(Method::CONNECT, "other.test:443"), " ");
}

#[test]
fn middleware_that_wraps_the_input() {
    let app = inline(|mut environ, start_response| {
        environ.wrap_input(|input| input);
        environ.input().limit(3)?;
        let input = environ.take_input();
        Ok(text(start_response).with_body(Body::stream(input)))
    });
    silent(app, |client| client.post("/").pieces(["a", "bc"]), "abc");
}

#[test]
fn trailers_of_a_request() {
    async fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        environ.input().collect_async(100).await?;
        let sum = environ.input().trailers().and_then(|all| all.get("x-sum")).cloned();
        Ok(text(start_response).with_body(format!("{sum:?}")))
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    silent(
        app,
        move |client| client.post("/").pieces(["x"]).trailers(trailers.clone()),
        "Some(\"7\")",
    );
}
