//! An axum application gives on gateway-tokio, request by request, what it gives on `axum::serve`.

use std::io::{Read, Write};

use axum::Router;

use crate::apps;
use crate::client::{Answer, ask, chunked, connect, with_body};
use crate::hosts::{application, axum_serves, is_service, tokio_serves};

/// Serves the same application on both and sends both every request, in order.
fn compare(app: impl Fn() -> Router, requests: &[Vec<u8>]) -> Vec<Answer> {
    is_service(&app());
    let axum = axum_serves(app());
    let ours = tokio_serves(application(app()));
    let both = |request: &Vec<u8>| {
        let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned();
        let (theirs, ours) = (ask(&axum, request), ask(&ours, request));
        assert_eq!(ours, theirs, "{line}");
        ours
    };
    requests.iter().map(both).collect()
}

fn request(line: &str, fields: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{fields}\r\n").into_bytes()
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[test]
fn pages() {
    let lines = [
        "GET /",
        "HEAD /",
        "POST /",
        "OPTIONS /",
        "GET /empty",
        "GET /teapot",
        "HEAD /teapot",
        "GET /query?a=1&b=%20x",
        "GET /query?a",
        "GET /two",
        "GET /no%20where?x=%ff",
        "GET //",
        "DELETE /teapot",
        "GET http://test/query?q=1",
    ];
    let requests: Vec<_> = lines.iter().map(|line| request(line, "")).collect();
    let answers = compare(apps::hello, &requests);
    assert_eq!(answers[0].text(), "<h1>Hello, World!</h1>");
    assert_eq!(
        statuses(&answers),
        [200, 200, 405, 405, 204, 418, 418, 200, 200, 200, 404, 404, 405, 200]
    );
}

#[test]
fn old_clients() {
    let requests = [b"GET / HTTP/1.0\r\n\r\n".to_vec(), b"HEAD / HTTP/1.0\r\n\r\n".to_vec()];
    let answers = compare(apps::hello, &requests);
    assert!(answers.iter().all(|answer| answer.whole));
}

#[test]
fn files() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &[u8]| {
        std::fs::write(directory.path().join(name), text).expect("it is written");
    };
    write("index.html", b"<h1>index</h1>");
    write("missing.html", b"<h1>missing</h1>");
    write("style.css", b"h1 { color: red }");
    write("large.bin", &[7; 300_000]);
    let requests = [
        request("GET /assets/", ""),
        request("GET /assets/index.html", ""),
        request("HEAD /assets/large.bin", ""),
        request("GET /assets/large.bin", ""),
        request("GET /assets/style.css", "range: bytes=3-9\r\n"),
        request("GET /assets/style.css", "range: bytes=90-\r\n"),
        request("GET /assets/style.css", "if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT\r\n"),
        request("GET /assets/../Cargo.toml", ""),
        request("GET /assets/none", ""),
        request("POST /assets/style.css", ""),
        request("GET /one", ""),
        request("GET /assets", ""),
    ];
    let answers = compare(|| apps::files(directory.path()), &requests);
    assert_eq!(statuses(&answers), [200, 200, 200, 200, 206, 416, 304, 404, 404, 405, 200, 200]);
    assert_eq!(answers[3].body.len(), 300_000);
}

#[test]
fn server_sent_events() {
    let answers = compare(apps::events, &[request("GET /events", "")]);
    assert_eq!(answers[0].field("content-type"), "text/event-stream");
    assert!(answers[0].text().ends_with("event: tick\nid: 3\ndata: n 3\n\n"));
}

#[test]
fn forms() {
    let fields = [("content-type", "multipart/form-data; boundary=XX")];
    let part = |name: &str, file: &str, data: &str| {
        let file = if file.is_empty() { String::new() } else { format!("; filename=\"{file}\"") };
        format!("--XX\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{data}\r\n")
    };
    let form =
        part("name", "", "Ada") + &part("picture", "a.png", &"p".repeat(9000)) + "--XX--\r\n";
    let large = part("picture", "b.png", &"p".repeat(18_000)) + "--XX--\r\n";
    let requests = [
        with_body("POST /", &fields, form.as_bytes()),
        with_body("POST /", &fields, large.as_bytes()),
        with_body("POST /", &fields, &form.as_bytes()[..300]),
        with_body("POST /", &[("content-type", "text/plain")], b"no form"),
    ];
    let answers = compare(apps::form, &requests);
    assert_eq!(answers[0].text(), "name - 3\npicture a.png 9000\n");
    assert_eq!(statuses(&answers), [200, 413, 400, 400]);
}

#[test]
fn todos() {
    let json = [("content-type", "application/json")];
    let requests = [
        request("GET /todos", ""),
        with_body("POST /todos", &json, br#"{"text":"write"}"#),
        with_body("POST /todos", &json, br#"{"text":"test"}"#),
        with_body("PATCH /todos/2", &json, br#"{"done":true}"#),
        with_body("PATCH /todos/7", &json, br#"{"done":true}"#),
        with_body("POST /todos", &json, br#"{"text":"#),
        with_body("POST /todos", &json, br#"{"title":"x"}"#),
        with_body("POST /todos", &[("content-type", "text/plain")], b"{}"),
        request("DELETE /todos/1", ""),
        request("DELETE /todos/1", ""),
        request("DELETE /todos/x", ""),
        request("GET /todos", ""),
    ];
    let answers = compare(apps::todos, &requests);
    assert_eq!(answers[11].text(), r#"[{"id":2,"text":"test","done":true}]"#);
    assert_eq!(statuses(&answers), [200, 201, 201, 200, 404, 400, 422, 415, 204, 404, 400, 200]);
}

#[test]
fn a_store_behind_layers() {
    let requests = [
        with_body("POST /shared/a", &[], &[b'x'; 900]),
        request("GET /shared/a", ""),
        request("GET /shared/a", "accept-encoding: gzip\r\n"),
        request("GET /shared/b", ""),
        with_body("POST /shared/a", &[], &[b'x'; 2000]),
        chunked("POST /shared/a", &[&[b'x'; 700], &[b'y'; 700]], ""),
        request("DELETE /admin/keys", ""),
        request("DELETE /admin/keys", "authorization: Bearer secret\r\n"),
        request("GET /shared/a", ""),
        with_body("POST /other", &[], b"y"),
    ];
    let answers = compare(apps::store, &requests);
    assert_eq!(answers[2].field("content-encoding"), "gzip");
    assert_eq!(statuses(&answers), [200, 200, 200, 404, 413, 413, 401, 200, 404, 200]);
}

#[test]
fn the_peer() {
    let answers = compare(apps::who, &[request("GET /", "")]);
    assert_eq!(answers[0].text(), "127.0.0.1");
}

#[test]
fn nested_services() {
    let lines = [
        "GET /api",
        "GET /api/",
        "GET /api/users/7?x=1",
        "GET /a/x/users/8",
        "GET /service/deep?y",
        "POST /service",
        "GET /exact",
        "GET /else",
    ];
    let requests: Vec<_> = lines.iter().map(|line| request(line, "")).collect();
    let answers = compare(apps::nested, &requests);
    assert_eq!(answers[4].text(), "GET /deep?y");
    assert_eq!(answers[7].text(), "nowhere");
}

#[test]
fn bodies_that_stream() {
    let large = vec![b'u'; 5 << 20];
    let requests = [
        with_body("POST /count", &[], &large),
        chunked("POST /count", &[&large[..100_000], b"", &large[..7]][..1], "x-end: 1\r\n"),
        with_body("POST /echo", &[], &large[..1_000_000]),
        chunked("POST /echo", &[b"one", b"two"], ""),
        with_body("POST /whole", &[], &large[..1 << 20]),
        with_body("POST /whole", &[("expect", "100-continue")], b"")[..].to_vec(),
        request("GET /download", ""),
        request("HEAD /download", ""),
        request("GET /trailers", "te: trailers\r\n"),
    ];
    let answers = compare(apps::streams, &requests);
    assert!(answers[1].text().contains("x-end"), "{}", answers[1].text());
    assert_eq!((answers[2].body.len(), answers[6].body.len()), (1_000_000, 3_000_000));
    assert_eq!(answers[4].text(), "1048576");
    assert_eq!(answers[8].trailers, ["x-sum: 7"]);
}

#[test]
fn what_breaks_is_seen_to_be_broken() {
    let axum = axum_serves(apps::streams());
    let ours = tokio_serves(application(apps::streams()));
    for host in [&axum, &ours] {
        let mut stream = connect(host);
        stream.write_all(&request("GET /breaks", "")).expect("the host reads");
        let mut answer = Vec::new();
        // Hyper may not even send the head, and a reset is an end, too.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    }
}
