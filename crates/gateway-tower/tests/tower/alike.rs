//! An application gives under hyper, and nested in axum, what it gives on our server.

use std::io::{BufReader, Write};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::extract::OriginalUri;
use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE, TRAILER};
use gateway_core::http::{HeaderMap, HeaderValue, StatusCode};
use gateway_core::{
    Application, Body, Environ, Error, FileBody, IntoApplication, Mount, Reply, Response, Result,
    StartResponse, inline,
};
use gateway_tower::into_tower;
use http_body_util::StreamBody;
use hyper::body::Frame;

use crate::apps::Iterate;
use crate::client::{
    Answer, ask, chunked, connect, get, read_answer, read_chunk, read_head, with_body,
};
use crate::hosts::{axum_serves, hyper_serves, tokio_serves};

/// Every kind of reply and of body.
fn kinds() -> Box<dyn Application> {
    fn blocks(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let read = std::io::copy(environ.input(), &mut std::io::sink())?;
        let mut response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
        response.write(format!("{read} bytes, "))?;
        Ok(response.with_body(format!("by {}", environ.method())))
    }
    async fn waits(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let body = environ.input().collect_async(1 << 20).await?;
        let mut response = start_response.start(StatusCode::OK, ());
        response.write_async("got ").await?;
        Ok(response.with_body(body))
    }
    fn rest(environ: Environ, start_response: StartResponse) -> Reply {
        let path = environ.path_info().into_owned();
        let body = match &*path {
            "/iter" => Body::iter((0..1000u32).map(|n| Ok(vec![n as u8; 2000].into()))),
            "/file" => {
                let file = std::fs::File::open(file!().rsplit('/').next().map_or_else(
                    || unreachable!("a path has a last part"),
                    |name| format!("{}/tests/tower/{name}", env!("CARGO_MANIFEST_DIR")),
                ));
                Body::File(FileBody::new(file.expect("this file"), 4, 60))
            }
            "/stream" => {
                let mut map = HeaderMap::new();
                map.insert("x-sum", HeaderValue::from_static("3"));
                let frames = [
                    Ok::<_, Error>(Frame::data("one".into())),
                    Ok(Frame::data("two".into())),
                    Ok(Frame::trailers(map)),
                ];
                let body = Body::stream(StreamBody::new(Iterate(frames.into_iter())));
                return start_response
                    .start(StatusCode::OK, [(TRAILER, "x-sum")])
                    .with_body(body)
                    .into();
            }
            "/length" => {
                let headers = [(CONTENT_LENGTH, "5")];
                return start_response.start(StatusCode::OK, headers).with_body("exact").into();
            }
            "/panic" => panic!("on purpose"),
            "/fails" => return Error::with_status(StatusCode::CONFLICT, "on purpose").into(),
            "/none" => return start_response.start(StatusCode::NO_CONTENT, ()).into(),
            "/blocked" => {
                return Reply::blocking(move || {
                    Ok(start_response.start(StatusCode::ACCEPTED, ()).with_body("blocked"))
                });
            }
            _ => format!(
                "{} {} {:?} {:?}",
                environ.method(),
                path,
                environ.query_string(),
                environ.header("x-a").map(String::from_utf8_lossy)
            )
            .into(),
        };
        start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(body).into()
    }
    let app = Mount::new().at("/blocks", blocks).at("/waits", waits).at("", rest);
    app.build().expect("the prefixes are sound").boxed()
}

#[test]
fn an_application_under_hyper_and_axum() {
    let ours = tokio_serves(kinds());
    let hyper = hyper_serves(into_tower(kinds()));
    let router = Router::new().fallback_service(into_tower(kinds()));
    let axum = axum_serves(router);
    let plain = |line: &str| {
        format!("{line} HTTP/1.1\r\nhost: test\r\nx-a: 1\r\nconnection: close\r\n\r\n").into_bytes()
    };
    let large = vec![b'x'; 1 << 20];
    let mut requests: Vec<Vec<u8>> = [
        "GET /",
        "HEAD /",
        "GET /a%20b?c=d",
        "GET /iter",
        "GET /file",
        "HEAD /file",
        "GET /stream",
        "GET /length",
        "HEAD /length",
        "GET /panic",
        "GET /fails",
        "GET /none",
        "GET /blocked",
        "GET /blocks",
        "HEAD /blocks",
        "GET /waits",
    ]
    .map(plain)
    .into();
    requests.push(with_body("POST /blocks", &[], &large[..1_000_000]));
    // Too long by what it declares. It is not sent: a host may close before it has read it.
    let declared = "POST /blocks HTTP/1.1\r\nhost: test\r\nconnection: close\r\n";
    requests.push(format!("{declared}content-length: 3000000\r\n\r\n").into_bytes());
    requests.push(chunked("POST /blocks", &[&large[..1_000_000], b"end"], ""));
    requests.push(with_body("POST /waits", &[], &large[..500_000]));
    for request in &requests {
        let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned();
        let expected = ask(&ours, request);
        assert_eq!(ask(&hyper, request), seen_through_hyper(&expected), "{line} under hyper");
        assert_eq!(ask(&axum, request), seen_through_hyper(&expected), "{line} in axum");
    }
    let answer = ask(&ours, &requests[16]);
    assert_eq!(answer.text(), "1000000 bytes, by POST");
    assert_eq!(ask(&hyper, &requests[17]).status, 413);
}

/// Hyper sends trailers only to those who say that they take them.
fn seen_through_hyper(answer: &Answer) -> Answer {
    Answer { trailers: Vec::new(), ..answer.clone() }
}

#[test]
fn trailers_go_both_ways() {
    fn app(mut environ: Environ, start_response: StartResponse) -> Reply {
        Reply::future(async move {
            environ.input().collect_async(1000).await?;
            let sum = environ.input().trailers().and_then(|map| map.get("x-sum").cloned());
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", sum.expect("the client sends it"));
            let frames =
                [Ok::<_, Error>(Frame::data("data".into())), Ok(Frame::trailers(trailers))];
            let body = Body::stream(StreamBody::new(Iterate(frames.into_iter())));
            Ok(start_response.start(StatusCode::OK, [(TRAILER, "x-sum")]).with_body(body))
        })
    }
    let host = hyper_serves(into_tower(app));
    let request = chunked("POST /", &[b"data"], "x-sum: 9\r\n");
    let request =
        String::from_utf8(request).expect("text").replace("host:", "te: trailers\r\nhost:");
    assert_eq!(ask(&host, request).trailers, ["x-sum: 9"]);
}

#[test]
fn a_nested_application_knows_where_it_stands() {
    fn tell(environ: Environ, start_response: StartResponse) -> Result<Response> {
        let told = format!(
            "{} + {} of {} from {}",
            environ.script_name(),
            environ.path_info(),
            environ.raw_target(),
            environ.remote_addr().inet().is_some()
        );
        Ok(start_response.start(StatusCode::OK, ()).with_body(told))
    }
    use axum::extract::ConnectInfo;
    use std::net::SocketAddr;
    let service = into_tower(tell)
        .original_uri(|extensions| Some(extensions.get::<OriginalUri>()?.0.clone()))
        .map_request(|request, info| {
            if let Some(peer) = request.extensions.get::<ConnectInfo<SocketAddr>>() {
                info.remote = peer.0.into();
            }
        });
    let host = axum_serves(Router::new().nest_service("/in/side", service));
    assert_eq!(get(&host, "/in/side/x?y=1").text(), "/in/side + /x of /in/side/x?y=1 from true");
    assert_eq!(get(&host, "/in/side").text(), "/in/side +  of /in/side from true");
}

/// The exchange has the fields, and is used again with its memory: whoever reads, changes, takes or
/// keeps them has those of its own request, and none of them is in a response.
#[test]
fn fields_stay_with_their_request() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&kept);
    let app = inline(move |mut environ, start_response| {
        let text = |environ: &Environ| {
            let number = environ.header("X-Number").expect("each request has one");
            format!("{} of {}", String::from_utf8_lossy(number), environ.fields().count())
        };
        let told = match environ.raw_path_info() {
            "/change" => {
                environ.headers_mut().insert("x-more", HeaderValue::from_static("1"));
                environ.headers_mut().remove("host");
                text(&environ)
            }
            "/take" => {
                let taken = environ.take_headers();
                let number = taken["x-number"].to_str().expect("it is text").to_owned();
                format!("{number} of {}, left {}", taken.len(), environ.fields().count())
            }
            _ => text(&environ),
        };
        if environ.raw_path_info() == "/keep" {
            keeps.lock().expect("nobody panicked").push(environ);
        }
        let headers = [(CONTENT_TYPE, "text/plain"), (SET_COOKIE, "a=1"), (SET_COOKIE, "b=2")];
        Ok(start_response.start(StatusCode::OK, headers).with_body(told))
    });
    let host = hyper_serves(into_tower(app));
    let mut stream = connect(&host);
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let paths = ["/", "/change", "/take", "/keep", "/", "/keep", "/take"];
    let told: Vec<String> = (1..)
        .zip(paths)
        .map(|(number, path)| {
            let more: String = (0..number).map(|n| format!("x-field-{n}: {n}\r\n")).collect();
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: test\r\nx-number: {number}\r\n{more}\r\n");
            stream.write_all(request.as_bytes()).expect("the host reads");
            let answer = read_answer(&mut reader, false);
            let names: Vec<&String> = answer.fields.keys().collect();
            assert_eq!(names, ["content-type", "set-cookie"], "{path}");
            assert_eq!(answer.fields["set-cookie"], ["a=1", "b=2"]);
            answer.text()
        })
        .collect();
    let expected =
        ["1 of 3", "2 of 4", "3 of 5, left 0", "4 of 6", "5 of 7", "6 of 8", "7 of 9, left 0"];
    assert_eq!(told, expected);
    let kept = kept.lock().expect("nobody panicked");
    let numbers: Vec<_> = kept.iter().map(|environ| environ.header("x-number")).collect();
    assert_eq!(numbers, [Some(&b"4"[..]), Some(b"6")]);
}

/// What is written is on its way before the application goes on, also from the pool.
#[test]
fn data_arrive_as_they_come() {
    let gate = Arc::new(std::sync::Barrier::new(2));
    let opened = Arc::clone(&gate);
    let app = move |_: Environ, start_response: StartResponse| -> Result<Response> {
        let opened = Arc::clone(&opened);
        let mut response = start_response.start(StatusCode::OK, ());
        response.write("first")?;
        opened.wait();
        let items = (0..2).map(move |n| {
            if n == 1 {
                opened.wait();
            }
            Ok(format!("item {n}").into())
        });
        Ok(response.with_body(Body::iter(items)))
    };
    let host = hyper_serves(into_tower(app));
    let mut stream = connect(&host);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("the host reads");
    let mut reader = BufReader::new(stream);
    read_head(&mut reader);
    assert_eq!(read_chunk(&mut reader).as_deref(), Some(&b"first"[..]));
    gate.wait();
    assert_eq!(read_chunk(&mut reader).as_deref(), Some(&b"item 0"[..]));
    thread::spawn(move || gate.wait());
    assert_eq!(read_chunk(&mut reader).as_deref(), Some(&b"item 1"[..]));
    assert_eq!(read_chunk(&mut reader), None);
}
