//! One application within a stack of middlewares, on both servers, byte by byte.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_timer::Delay;
use gateway_conformance::{Lint, TestClient};
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{
    Address, Application, Body, Environ, ErrorStream, Mount, Response, Result, Server,
    StartResponse,
};
use gateway_middleware::{
    AccessLines, AccessLog, Compression, LogFormat, RequestId, RequestIds, Timeout,
};
use gateway_static::StaticFiles;
use gateway_std::StdServer;
use gateway_tokio::TokioServer;

use crate::written::Written;

/// What must happen happens within this time, or the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

const CLOSE: &str = "Host: test\r\nConnection: close\r\n";

/// What a server sent for each request, and what was logged.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    answers: Vec<String>,
    log: Vec<String>,
}

#[test]
fn both_servers_send_the_same_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("story.txt"), "once upon a time ".repeat(5000))
        .expect("a file");
    fs::write(directory.path().join("pixel.png"), b"\x89PNG and so on").expect("a file");
    let files = StaticFiles::new(directory.path()).build().expect("it is a directory");
    let client = TestClient::new(files);
    // What has just changed has a weak tag for a moment.
    while client.get("/pixel.png").send().header("etag").expect("a tag").starts_with("W/") {
        thread::yield_now();
    }
    let std = outcome(directory.path(), |errors| {
        StdServer::bind("127.0.0.1:0").expect("it binds").error_stream(errors)
    });
    let tokio = outcome(directory.path(), |errors| {
        TokioServer::bind("127.0.0.1:0").expect("it binds").error_stream(errors)
    });
    assert_eq!(std.log, tokio.log);
    assert_eq!(std.answers.len(), tokio.answers.len());
    for (std, tokio) in std.answers.iter().zip(&tokio.answers) {
        for (std, tokio) in std.lines().zip(tokio.lines()) {
            assert!(std == tokio, "{std:.200}\nand\n{tokio:.200}");
        }
        assert!(std == tokio, "one goes on: {} and {} bytes", std.len(), tokio.len());
    }
}

/// The stack: names outside of the log, so that its lines have them; the log outside of compression,
/// so that it counts what is sent; the time inside, where the work is.
fn site(directory: &Path, log: Written) -> impl Application {
    let files = StaticFiles::new(directory).build().expect("it is a directory");
    let mount = Mount::new()
        .at("/files", files)
        .at("/report", report)
        .at("/count", count)
        .at("/later", later)
        .at("/stuck", stuck)
        .build()
        .expect("the prefixes are sound");
    let app = Timeout::new(Lint::new(mount), PATIENCE);
    let log = AccessLines::new(LogFormat::Combined, log);
    let app = AccessLog::new(Compression::new(app).brotli()).also_to(log);
    Lint::new(RequestIds::new(app))
}

fn report(environ: Environ, start_response: StartResponse) -> Result<Response> {
    let id = RequestId::of(&environ).map_or(0, |id| id.as_str().len());
    let text = format!("{id} digits name this\n").repeat(100);
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text))
}

fn count(_: Environ, start_response: StartResponse) -> Result<Response> {
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    Ok(response.with_body(Body::iter((0..5).map(|n| Ok(format!("{n} little piggies\n").into())))))
}

async fn later(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let body = environ.input().collect_async(1000).await?;
    Delay::new(Duration::from_millis(1)).await;
    let text = [&body[..], b" and again"].concat().repeat(100);
    Ok(start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]).with_body(text))
}

/// Has a time of its own, which is short.
fn stuck(environ: Environ, start_response: StartResponse) -> gateway_core::Reply {
    async fn forever(_: Environ, start_response: StartResponse) -> Result<Response> {
        Delay::new(PATIENCE * 60).await;
        Ok(start_response.start(StatusCode::NO_CONTENT, ()))
    }
    Timeout::new(forever, Duration::from_millis(5)).call(environ, start_response)
}

/// Runs the site on a server, asks it everything, and stops it.
fn outcome<S: Server + Send + 'static>(
    directory: &Path,
    bind: impl FnOnce(ErrorStream) -> S,
) -> Outcome {
    let (errors, log) = ErrorStream::memory();
    let lines = Written::default();
    let server = bind(errors);
    let address = server.local_addrs().iter().find_map(Address::inet).expect("an IP address");
    let handle = server.handle();
    let app: Arc<dyn Application> = Arc::new(site(directory, lines.clone()));
    let serving = thread::spawn(move || server.serve(app));
    let answers = ask(address);
    handle.shutdown(PATIENCE);
    let stopped = serving.join().expect("it does not panic").expect("it serves");
    assert_eq!((stopped.cut, stopped.left_running), (0, 0));
    let complaints = log.take();
    let [timeout] = &complaints[..] else { panic!("one line, of the timeout: {complaints:?}") };
    assert!(timeout.contains("no answer within 5ms"), "{timeout}");
    Outcome { answers, log: access_lines(&lines) }
}

fn ask(address: SocketAddr) -> Vec<String> {
    let mut answers = Vec::new();
    for (request, parts) in [
        // A file, in every coding, and again.
        ("GET /files/story.txt", &["\nContent-Length: 85000\n", "\nvary: accept-encoding\n"][..]),
        (
            "GET /files/story.txt|Accept-Encoding: gzip",
            &["\ncontent-encoding: gzip\n", "\netag: W/"],
        ),
        ("GET /files/story.txt|Accept-Encoding: gzip, br", &["\ncontent-encoding: br\n"]),
        ("GET /files/story.txt|Range: bytes=5-8|Accept-Encoding: gzip", &["\n\nupon"]),
        ("GET /files/story.txt|If-None-Match: *|Accept-Encoding: gzip", &["HTTP/1.1 304 "]),
        ("GET /files/pixel.png|Accept-Encoding: gzip", &["\n\n\u{fffd}PNG and so on"]),
        ("HEAD /files/pixel.png", &["\nContent-Length: 14\n"]),
        ("GET /files/none|Accept-Encoding: gzip", &["HTTP/1.1 404 ", "\nx-request-id: *\n"]),
        // What blocks, what is iterated, what is awaited, and what does not come.
        ("GET /report|Accept-Encoding: gzip", &["\ncontent-encoding: gzip\n"]),
        ("GET /report", &["\n\n36 digits name this\n"]),
        ("GET /count|Accept-Encoding: br", &["\nTransfer-Encoding: chunked\n"]),
        ("GET /count", &["\n\n11\n0 little piggies\n"]),
        ("POST /later|Content-Length: 4|+body", &["\n\nbody and againbody"]),
        (
            "POST /later|Content-Length: 4|Accept-Encoding: gzip|+body",
            &["\ncontent-encoding: gzip\n"],
        ),
        ("GET /stuck", &["HTTP/1.1 503 ", "\nx-request-id: *\n"]),
        ("GET /nothing", &["HTTP/1.1 404 "]),
    ] {
        let answer = exchange(address, request);
        for part in parts {
            assert!(answer.contains(part), "{part:?} is missing for {request}: {answer:.500}");
        }
        answers.push(answer);
    }
    answers
}

/// What comes back for a request, whose parts are parted by `|`, the body behind a `+`.
fn exchange(address: SocketAddr, request: &str) -> String {
    let (head, body) = request.split_once("|+").unwrap_or((request, ""));
    let mut fields = head.split('|');
    let line = fields.next().unwrap_or_default();
    let fields: String = fields.map(|field| format!("{field}\r\n")).collect();
    let mut connection = TcpStream::connect(address).expect("it listens");
    connection.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
    let request = format!("{line} HTTP/1.1\r\n{CLOSE}{fields}\r\n{body}");
    connection.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("the server answers");
    without_facts(&answer)
}

/// The answer as text, with LF for CRLF, and a star for what no two answers have in common.
fn without_facts(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").expect("it has a head");
    let lines = head.lines().map(|line| match line.split_once(": ") {
        Some((name @ ("Date" | "Server" | "x-request-id"), _)) => format!("{name}: *\n"),
        _ => format!("{line}\n"),
    });
    let head: String = lines.collect();
    format!("{head}\n{body}")
}

/// What was logged, without times. A line is written when the peer may already have all.
fn access_lines(lines: &Written) -> Vec<String> {
    let lines = lines.take().into_iter().map(|line| {
        let (before, rest) = line.split_once('[').expect("a time begins");
        let (_, after) = rest.split_once(']').expect("it ends");
        format!("{before}[]{after}")
    });
    let lines: Vec<String> = lines.collect();
    assert_eq!(lines.len(), 16, "a line for every request: {lines:?}");
    lines
}
