//! What the peer understands of the bytes that were written, by httparse and the reference.

use gateway_http1::{Limits, RequestHead};
use http::{Method, StatusCode, Version};
use httparse::Status;

use crate::reference;

/// What the application said.
#[derive(Debug, PartialEq)]
pub struct Response {
    pub status: StatusCode,
    /// What the request allows.
    to_head: bool,
    http_11: bool,
    expected_continue: bool,
    pub body: Vec<u8>,
    /// It has come to its end.
    pub whole: bool,
    /// Another request may follow.
    pub kept: bool,
}

impl Response {
    pub fn new(status: StatusCode, request: Option<&RequestHead>) -> Self {
        Self {
            status,
            to_head: request.is_some_and(|head| head.method == Method::HEAD),
            http_11: request.is_some_and(|head| head.version == Version::HTTP_11),
            expected_continue: request.is_some_and(|head| head.expect_continue),
            body: Vec::new(),
            whole: false,
            kept: false,
        }
    }
}

/// These responses were written, in this order, and nothing else.
pub fn check(mut written: &[u8], responses: &[Response]) {
    for response in responses {
        written = check_one(written, response);
    }
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    assert!(written.is_empty() || written == interim, "{}", written.escape_ascii());
}

fn check_one<'a>(written: &'a [u8], response: &Response) -> &'a [u8] {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Response::new(&mut headers);
    let Ok(Status::Complete(end)) = parsed.parse(written) else {
        panic!("no response: {}", written.escape_ascii());
    };
    let rest = &written[end..];
    if parsed.code == Some(100) {
        assert!(response.expected_continue, "100 to nobody");
        return check_one(rest, response);
    }
    assert_eq!(parsed.code, Some(response.status.as_u16()));
    let value = |name: &str| {
        let mut values = parsed.headers.iter().filter(|field| field.name == name);
        let value = values.next().map(|field| field.value);
        assert!(values.next().is_none(), "{name} twice");
        value
    };
    let closes = value("Connection") == Some(b"close");
    assert!(!(closes && response.kept), "kept after it said close");
    let framing = (value("Content-Length"), value("Transfer-Encoding"));
    match framing {
        (None, None) if matches!(response.status.as_u16(), 101 | 204) => rest,
        _ if response.to_head || response.status == StatusCode::NOT_MODIFIED => rest,
        (Some(length), None) => {
            let length: usize = str::from_utf8(length).expect("digits").parse().expect("digits");
            assert_eq!(response.body.len() == length, response.whole);
            let (body, rest) = rest.split_at(length.min(rest.len()));
            assert_eq!(body, response.body);
            rest
        }
        (None, Some(b"chunked")) if response.http_11 => {
            let mut body = Vec::new();
            let end = reference::decode(rest, 0, &Limits::default(), &mut body);
            assert_eq!(body, response.body);
            match end {
                Ok(end) if response.whole => {
                    let trailers: &[(&[u8], &[u8])] = &[(b"etag", b"x")];
                    assert_eq!(end.trailers, trailers);
                    end.rest
                }
                Err(reference::Stop::Unfinished) if !response.whole => b"",
                other => panic!("{other:?} of {response:?}"),
            }
        }
        (None, None) => {
            assert!(closes, "only the close can end it");
            assert_eq!(rest, response.body);
            b""
        }
        both => panic!("{both:?}"),
    }
}
