//! Wrong applications: at least one for every rule, caught by that rule and by no other.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex};

use gateway_conformance::{TestClient, TestRequest, Violation};
use gateway_core::bytes::Bytes;
use gateway_core::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::{
    Application, Body, Environ, Error, FileBody, IntoApplication, Reply, Response, Result,
    StartResponse, inline,
};

use crate::bodies::{Frames, Step, frames};

/// Makes the list, and a test of each entry.
macro_rules! mutations {
    ($($name:ident: $id:literal => $violations:expr;)+) => {
        pub(crate) const CAUGHT: &[&str] = &[$($id),+];

        $(
            #[test]
            fn $name() {
                let violations: Vec<Violation> = $violations;
                let ids: Vec<&str> = violations.iter().map(|found| found.rule.id).collect();
                assert_eq!(ids, [$id], "{violations:#?}");
            }
        )+
    };
}

mutations! {
    an_interim_status: "APP-01" => got(started(102, [], || Body::Empty));
    a_switch_to_nothing: "APP-01" => got(started(101, [], || Body::Empty));
    an_upgrade_with_200: "APP-01" => got(started(200, [], || Body::upgrade(drop)));
    an_interim_status_written: "APP-01" => got(written(102, [], &["x"], || Body::Empty));
    a_status_of_no_class: "APP-02" => got(started(799, [TEXT], || "x".into()));
    a_page_of_no_type: "APP-03" => got(started(200, [], || "x".into()));
    a_stream_of_no_type: "APP-03" => got(started(200, [], || stream([Step::Data("x")])));
    data_of_no_type: "APP-03" => got(written(200, [], &["x"], || Body::Empty));
    a_type_of_nothing: "APP-04" => got(started(204, [TEXT], || Body::Empty));
    a_type_of_what_was_not_modified: "APP-04" => got(started(304, [TEXT], || Body::Empty));
    a_length_in_words: "APP-05" => got(started(200, [TEXT, length("five")], || "hello".into()));
    a_length_twice: "APP-05" =>
        got(started(200, [TEXT, length("5"), length("5")], || "hello".into()));
    a_length_with_a_hook: "APP-05" => got(hooked((CONTENT_LENGTH, "+5")));
    too_few_bytes: "APP-06" => got(started(200, [TEXT, length("10")], || "hello".into()));
    too_few_data: "APP-06" => got(started(200, [TEXT, length("10")], || iter(&["hello"])));
    too_many_data: "APP-06" => got(started(200, [TEXT, length("5")], || iter(&["hello", "!"])));
    too_short_a_stream: "APP-06" =>
        got(started(200, [TEXT, length("5")], || stream([Step::Data("x")])));
    written_and_too_few: "APP-06" =>
        got(written(200, [TEXT, length("10")], &["hello"], || "x".into()));
    written_too_much: "APP-06" =>
        got(written(200, [TEXT, length("3")], &["hello"], || Body::Empty));
    a_wrong_length_with_a_hook: "APP-06" => got(hooked((CONTENT_LENGTH, "7")));
    a_length_of_nothing: "APP-07" => got(started(204, [length("0")], || Body::Empty));
    a_connection_kept: "APP-08" =>
        got(started(200, [TEXT, (CONNECTION, "keep-alive")], || "x".into()));
    a_coding_of_its_own: "APP-08" =>
        got(started(200, [TEXT, (TRANSFER_ENCODING, "chunked")], || "x".into()));
    an_upgrade_out_of_place: "APP-08" =>
        got(started(200, [TEXT, (UPGRADE, "echo")], || "x".into()));
    a_hop_with_an_error: "APP-08" => got(failed(500, [(CONNECTION, "keep-alive")]));
    a_hop_with_a_hook: "APP-08" => got(hooked((TRANSFER_ENCODING, "gzip")));
    a_date: "APP-09" =>
        got(started(200, [TEXT, (DATE, "Sun, 06 Nov 1994 08:49:37 GMT")], || "x".into()));
    a_status_field: "APP-10" =>
        got(started(200, [TEXT, (HeaderName::from_static("status"), "200 OK")], || "x".into()));
    a_name_with_a_low_line: "APP-11" =>
        got(started(200, [TEXT, (HeaderName::from_static("x_y"), "1")], || "x".into()));
    a_name_that_ends_with_a_hyphen: "APP-11" =>
        got(started(200, [TEXT, (HeaderName::from_static("x-"), "1")], || "x".into()));
    a_padded_value: "APP-12" =>
        got(started(200, [TEXT, (HeaderName::from_static("x-padded"), " 1")], || "x".into()));
    a_401_without_a_challenge: "APP-13" => got(started(401, [TEXT], || "x".into()));
    a_405_that_names_no_method: "APP-13" => got(failed(405, []));
    a_part_without_a_range: "APP-13" => got(started(206, [TEXT], || "x".into()));
    content_with_204: "APP-14" => got(started(204, [], || "x".into()));
    content_with_304: "APP-14" => got(started(304, [], || iter(&["x"])));
    data_with_205: "APP-14" => got(written(205, [], &["x"], || Body::Empty));
    a_switch_nobody_asked_for: "APP-15" => got(switching(Some("echo")));
    a_switch_to_another_protocol: "APP-15" =>
        sent(switching(Some("chat")), |client| offering(client, "echo, other"));
    a_switch_without_a_name: "APP-15" => sent(switching(None), |client| offering(client, "echo"));
    a_blocking_read_in_a_call: "APP-16" => on_reactor(inline(reads_by_blocking));
    a_blocking_read_in_a_future: "APP-16" => posted(async |environ, start_response| {
        reads_by_blocking(environ, start_response)
    });
    a_blocking_write_in_a_future: "APP-16" => got(async |_: Environ, start_response| {
        let mut response = start_text(start_response);
        // Whoever hides the error has blocked nevertheless.
        let _ = response.write("x");
        Ok::<_, Error>(response)
    });
    a_blocking_read_in_a_stream: "APP-16" => posted(inline(|mut environ, start_response| {
        let mut input = environ.take_input();
        let read = std::iter::from_fn(move || {
            let mut all = Vec::new();
            Some(input.read_to_end(&mut all).map(|_| Bytes::from(all)))
        });
        Ok(start_text(start_response).with_body(Body::stream(Polled(read))))
    }));
    a_reply_that_sleeps: "APP-17" => got(|_: Environ, start_response: StartResponse| {
        Reply::future(async move {
            std::future::pending::<()>().await;
            Ok(start_text(start_response))
        })
    });
    a_body_that_sleeps: "APP-17" =>
        got(started(200, [TEXT], || stream([Step::Data("x"), Step::Sleeps])));
    a_hint_too_long: "APP-18" =>
        got(started(200, [TEXT], || hinting(9, [Step::Data("x")])));
    a_hint_too_short: "APP-18" =>
        got(started(200, [TEXT], || hinting(1, [Step::Data("x"), Step::Data("y")])));
    an_end_that_is_none: "APP-18" =>
        got(started(200, [TEXT], || Body::stream(frames([Step::Data("x")]).says_end())));
    a_part_past_the_files_end: "APP-18" => got(started(200, [TEXT], || part(u64::MAX / 2)));
    an_empty_datum: "APP-19" => got(started(200, [TEXT], || iter(&["a", "", "b"])));
    trailers_out_of_the_blue: "APP-20" =>
        got(started(200, [TEXT], || stream([Step::Data("x"), Step::Trailer("x-sum")])));
    trailers_before_any_data: "APP-20" =>
        got(started(200, [TEXT], || stream([Step::Trailer("x-sum")])));
    a_trailer_that_frames: "APP-21" => got(started(200, [TEXT, (TRAILER, "Content-Length")], || {
        stream([Step::Data("x"), Step::Trailer("content-length")])
    }));
    the_last_requests_response: "APP-22" => {
        let kept = Mutex::new(None);
        let app = inline(move |_, start_response| {
            let recovery = start_response.recovery();
            let other = recovery.start(StatusCode::OK, [TEXT], Error::application("unused"))?;
            let last = kept.lock().expect("no test panics").replace(other);
            Ok(last.unwrap_or_else(|| start_text(start_response)))
        });
        let client = TestClient::new(app).reporting();
        assert!(client.get("/").send().violations().is_empty());
        client.get("/").send().violations().to_vec()
    };
    another_response_than_the_written: "APP-23" => got(|_: Environ, start_response: StartResponse| {
        let recovery = start_response.recovery();
        let mut written = recovery.start(StatusCode::OK, [TEXT], Error::application("unused"))?;
        written.write("x")?;
        Ok::<_, Error>(start_text(start_response))
    });
    a_write_after_the_end: "APP-24" => afterwards(|response, _| drop(response.write("late")));
    a_read_after_the_end: "APP-24" => afterwards(|_, environ| drop(environ.input().data()));
    an_error_that_is_none: "APP-25" => got(failed(200, []));
    an_error_that_redirects: "APP-25" => got(failed(303, []));
    a_limit_too_late: "APP-26" => posted(|mut environ: Environ, start_response| {
        let first = environ.input().data().transpose()?;
        environ.input().limit(1 << 30)?;
        Ok::<_, Error>(start_text(start_response).with_body(first.unwrap_or_default()))
    });
    a_head_too_late: "APP-27" => got(|_: Environ, start_response: StartResponse| {
        let mut response = start_text(start_response);
        response.write("x")?;
        response.head_mut()?.status = StatusCode::CREATED;
        Ok::<_, Error>(response)
    });
    a_hook_too_late: "APP-27" => got(|_: Environ, start_response: StartResponse| {
        let recovery = start_response.recovery();
        let mut response = recovery.start(StatusCode::OK, [TEXT], Error::application("unused"))?;
        response.write("x")?;
        start_response.on_head(|head| head.headers.clear());
        Ok::<_, Error>(response)
    });
    a_hint_of_a_length: "APP-28" => got(|_: Environ, start_response: StartResponse| {
        start_response.early_hints([(CONTENT_LENGTH, "5")]);
        Ok::<_, Error>(start_text(start_response))
    });
}

const TEXT: (HeaderName, &str) = (CONTENT_TYPE, "text/plain");

fn length(text: &'static str) -> (HeaderName, &'static str) {
    (CONTENT_LENGTH, text)
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a status")
}

fn start_text(start_response: StartResponse) -> Response {
    start_response.start(StatusCode::OK, [TEXT])
}

/// Answers with this head and this body.
fn started<const N: usize>(
    status: u16,
    headers: [(HeaderName, &'static str); N],
    body: impl Fn() -> Body + Send + Sync + 'static,
) -> impl Application {
    inline(move |_, start_response| {
        let status = code(status);
        Ok(start_response.start(status, headers.clone()).with_body(body()))
    })
}

/// The same, and writes before.
fn written<const N: usize>(
    status: u16,
    headers: [(HeaderName, &'static str); N],
    data: &'static [&'static str],
    body: impl Fn() -> Body + Send + Sync + 'static,
) -> impl Application {
    inline(move |_, start_response| {
        let mut response = start_response.start(code(status), headers.clone());
        for datum in data {
            response.write(*datum)?;
        }
        Ok(response.with_body(body()))
    })
}

/// Answers an error.
fn failed<const N: usize>(
    status: u16,
    headers: [(HeaderName, &'static str); N],
) -> impl Application {
    inline(move |_, _| {
        let status = code(status);
        Err(Error::with_status(status, "asked to fail").with_headers(headers.clone()))
    })
}

/// Adds a field by a hook to what is right.
fn hooked(field: (HeaderName, &'static str)) -> impl Application {
    inline(move |_, start_response| {
        let (name, value) = field.clone();
        start_response.on_head(move |head| {
            head.headers.insert(name, HeaderValue::from_static(value));
        });
        Ok(start_text(start_response).with_body("hello"))
    })
}

fn switching(protocol: Option<&'static str>) -> impl Application {
    inline(move |_, start_response| {
        let mut response = start_response.start(StatusCode::SWITCHING_PROTOCOLS, ());
        if let Some(protocol) = protocol {
            let protocol = HeaderValue::from_static(protocol);
            response.head_mut()?.headers.insert(UPGRADE, protocol);
        }
        Ok(response.with_body(Body::upgrade(drop)))
    })
}

fn offering<'a>(client: &'a TestClient, protocols: &str) -> TestRequest<'a> {
    client.get("/").header("connection", "upgrade").header("upgrade", protocols)
}

fn reads_by_blocking(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let body = environ.input().collect(100)?;
    Ok(start_text(start_response).with_body(body))
}

fn iter(data: &'static [&'static str]) -> Body {
    Body::iter(data.iter().map(|data| Ok(Bytes::from(*data))))
}

fn stream<const N: usize>(steps: [Step; N]) -> Body {
    Body::stream(frames(steps))
}

fn hinting<const N: usize>(len: u64, steps: [Step; N]) -> Body {
    Body::stream(Frames::hint(frames(steps), len))
}

fn part(len: u64) -> Body {
    let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    Body::File(FileBody::new(file.expect("the manifest"), 1, len))
}

/// A body that asks an iterator in its poll.
struct Polled<I>(I);

impl<I: Iterator<Item = std::io::Result<Bytes>> + Unpin> gateway_core::http_body::Body
    for Polled<I>
{
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<gateway_core::http_body::Frame<Bytes>>>> {
        let item = self.0.next();
        std::task::Poll::Ready(item.map(|item| item.map(gateway_core::http_body::Frame::data)))
    }
}

fn got<M>(app: impl IntoApplication<M>) -> Vec<Violation> {
    sent(app, |client| client.get("/"))
}

fn posted<M>(app: impl IntoApplication<M>) -> Vec<Violation> {
    sent(app, |client| client.post("/").pieces(["a", "b"]))
}

fn on_reactor<M>(app: impl IntoApplication<M>) -> Vec<Violation> {
    let client = TestClient::new(app).reporting().on_reactor();
    client.post("/").body("x").send().violations().to_vec()
}

fn sent<M>(
    app: impl IntoApplication<M>,
    request: impl FnOnce(&TestClient) -> TestRequest<'_>,
) -> Vec<Violation> {
    let client = TestClient::new(app).reporting();
    request(&client).send().violations().to_vec()
}

/// Keeps a response and an environ, and uses them when the exchange is over.
fn afterwards(late: impl FnOnce(&mut Response, &mut Environ)) -> Vec<Violation> {
    let kept = Arc::new(Mutex::new(None));
    let keeping = Arc::clone(&kept);
    let app = inline(move |environ, start_response| {
        let recovery = start_response.recovery();
        let other = recovery.start(StatusCode::OK, [TEXT], Error::application("unused"))?;
        *keeping.lock().expect("no test panics") = Some((other, environ));
        Ok(start_text(start_response))
    });
    let client = TestClient::new(app).reporting();
    assert!(client.post("/").body("x").send().violations().is_empty());
    let (mut response, mut environ) = kept.lock().expect("no test panics").take().expect("a call");
    late(&mut response, &mut environ);
    client.violations().take()
}
