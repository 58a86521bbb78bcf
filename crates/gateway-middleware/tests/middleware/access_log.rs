//! The access log.

use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::{Body, Environ, Error, ErrorStream, Response, Result, StartResponse};
use gateway_middleware::{AccessLog, LogFormat, RequestIds};

use crate::around::around_each;

fn hello(environ: Environ, start_response: StartResponse) -> Result<Response> {
    if environ.path_info() == "/missing" {
        return Err(Error::with_status(StatusCode::NOT_FOUND, "nothing is here"));
    }
    let response = start_response.start(StatusCode::OK, [(CONTENT_TYPE, "text/plain")]);
    if environ.path_info() == "/cut" {
        let broken = std::io::Error::other("the disk is gone");
        return Ok(response.with_body(Body::iter([Ok("begun".into()), Err(broken)])));
    }
    Ok(response.with_body("Hello"))
}

#[test]
fn every_kind_of_application_and_outcome_has_its_line() {
    let (stream, lines) = ErrorStream::memory();
    let wrap = |app| AccessLog::new(app, LogFormat::Combined, stream.clone());
    around_each(hello, wrap, |client, _| {
        client.get("/a?b").header("user-agent", "test \"1\"").send();
        client.get("/missing").header("authorization", "Basic YWRhOnB3").send();
        assert!(client.get("/cut").send().is_cut());
        let lines: Vec<String> = lines.take().iter().map(|line| without_time(line)).collect();
        assert_eq!(
            lines,
            [
                r#"127.0.0.1 - - [] "GET /a?b HTTP/1.1" 200 5 "-" "test \"1\"""#,
                r#"127.0.0.1 - ada [] "GET /missing HTTP/1.1" 404 14 "-" "-""#,
                r#"127.0.0.1 - - [] "GET /cut HTTP/1.1" 200 5 "-" "-""#,
            ]
        );
    });
}

#[test]
fn a_line_in_json_has_the_name_of_the_request_and_why_it_was_cut() {
    let (stream, lines) = ErrorStream::memory();
    let wrap = |app| RequestIds::new(AccessLog::new(app, LogFormat::Json, stream.clone()));
    around_each(hello, wrap, |client, _| {
        let response = client.get("/cut").send();
        let id = response.header("x-request-id").expect("it is named");
        let [line] = &lines.take()[..] else { panic!("one line for one request") };
        assert!(line.contains(&format!(r#""id":"{id}""#)), "{line}");
        assert!(line.contains(r#""status":200,"bytes":5"#), "{line}");
        assert!(line.contains(r#""aborted":""#), "{line}");
    });
}

/// The line with nothing between the brackets of its time.
fn without_time(line: &str) -> String {
    let (before, rest) = line.split_once('[').expect("a time begins");
    let (_, after) = rest.split_once(']').expect("it ends");
    format!("{before}[]{after}")
}
