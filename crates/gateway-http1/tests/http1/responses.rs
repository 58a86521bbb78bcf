use std::io::IoSlice;

use bytes::Bytes;
use gateway_http1::{Next, ResponseHead, UsageError};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::world::{GET, World};

const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_10: &str = "GET / HTTP/1.0\r\n\r\n";

#[track_caller]
fn answer(request: &str, status: u16, length: Option<u64>, body: &'static str) -> String {
    let mut world = World::new();
    let _ = world.request(request);
    world.answer_with(StatusCode::from_u16(status).unwrap(), length, body)
}

#[test]
fn framing_follows_length_and_version() {
    assert_eq!(
        answer(GET, 200, Some(5), "hello"),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    );
    assert_eq!(answer(GET, 200, Some(0), ""), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        answer(GET, 200, None, "hello"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    );
    assert_eq!(
        answer(GET, 200, None, ""),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "empty data is no chunk"
    );
    assert_eq!(
        answer(GET_10, 200, None, "hello"),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    );
}

#[test]
fn head_has_the_fields_of_get_and_no_content() {
    assert_eq!(answer(HEAD, 200, Some(5), "hello"), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(
        answer(HEAD, 200, None, "hello"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let kept = "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(
        answer(kept, 200, None, "hello"),
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n"
    );
}

#[test]
fn a_204_has_no_framing_at_all() {
    for request in [GET, HEAD] {
        for length in [None, Some(0), Some(5)] {
            assert_eq!(answer(request, 204, length, "hello"), "HTTP/1.1 204 No Content\r\n\r\n");
        }
    }
}

#[test]
fn a_304_has_at_most_a_length() {
    assert_eq!(
        answer(GET, 304, Some(5), "hello"),
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
    );
    assert_eq!(answer(GET, 304, Some(0), ""), "HTTP/1.1 304 Not Modified\r\n\r\n");
    assert_eq!(answer(GET, 304, None, "hello"), "HTTP/1.1 304 Not Modified\r\n\r\n");
}

#[test]
fn bodiless_is_known_after_the_head() {
    for (request, status, bodiless) in [
        (GET, 200, false),
        (HEAD, 200, true),
        (GET, 204, true),
        (GET, 304, true),
        (GET, 205, false),
    ] {
        let mut world = World::new();
        let _ = world.request(request);
        assert!(!world.connection.response_bodiless());
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(StatusCode::from_u16(status).unwrap(), &headers);
        head.length = Some(0);
        world.connection.send_head(&head, &mut world.output).unwrap();
        assert_eq!(world.connection.response_bodiless(), bodiless, "{request:?} {status}");
    }
}

#[test]
fn trailers_make_it_chunked_where_they_are_understood() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    let respond = |request: &str| {
        let mut world = World::new();
        let _ = world.request(request);
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(StatusCode::OK, &headers);
        (head.length, head.trailers) = (Some(2), true);
        world.connection.send_head(&head, &mut world.output).unwrap();
        world.connection.send_data(Bytes::from_static(b"ok"), &mut world.output).unwrap();
        world.connection.send_end(Some(&trailers), &mut world.output).unwrap();
        world.written()
    };
    assert_eq!(
        respond(GET),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n"
    );
    assert_eq!(
        respond(GET_10),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    );
    assert_eq!(respond(HEAD), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

#[test]
fn a_whole_head() {
    let mut world = World::new();
    let _ = world.request(GET);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    headers.insert("connection", HeaderValue::from_static("x"));
    headers.insert("server", HeaderValue::from_static("x"));
    headers.append("set-cookie", HeaderValue::from_static("a=b"));
    headers.append("set-cookie", HeaderValue::from_static("c=d"));
    let head = ResponseHead {
        common: None,
        status: StatusCode::OK,
        reason: Some(b"Fine\t\xff"),
        headers: &headers,
        length: Some(0),
        date: Some(b"today"),
        server: Some(b"gateway"),
        close: true,
        trailers: false,
    };
    world.connection.send_head(&head, &mut world.output).unwrap();
    assert_eq!(
        world.output.first().escape_ascii().to_string(),
        "HTTP/1.1 200 Fine\\t\\xff\\r\\nDate: today\\r\\nServer: gateway\\r\\nContent-Length: 0\\r\\n\
         content-type: text/plain\\r\\nset-cookie: a=b\\r\\nset-cookie: c=d\\r\\n\
         Connection: close\\r\\n\\r\\n"
    );
}

#[test]
fn control_bytes_cannot_reach_the_wire() {
    let mut world = World::new();
    let _ = world.request(GET);
    let headers = HeaderMap::new();
    for bad in [&b"a\r\nX: y"[..], b"\n", b"\0", b"a long enough text with a \x7f in it", b"\r"] {
        let plain = ResponseHead::new(StatusCode::OK, &headers);
        for (head, error) in [
            (ResponseHead { reason: Some(bad), ..plain }, UsageError::Reason),
            (ResponseHead { date: Some(bad), ..plain }, UsageError::FieldValue("date")),
            (ResponseHead { server: Some(bad), ..plain }, UsageError::FieldValue("server")),
            (ResponseHead { headers: &Splits(bad), ..plain }, UsageError::FieldValue("a field")),
        ] {
            assert_eq!(world.connection.send_head(&head, &mut world.output), Err(error));
        }
    }
    assert!(world.output.is_empty());
    assert!(!world.answer("ok").is_empty(), "and nothing has happened");
}

#[test]
fn calls_at_the_wrong_time_are_typed_errors() {
    let headers = HeaderMap::new();
    let mut head = ResponseHead::new(StatusCode::OK, &headers);
    head.length = Some(0);
    let mut world = World::new();
    let World { connection, output, .. } = &mut world;
    assert_eq!(connection.send_head(&head, output), Err(UsageError::NoRequest));
    assert_eq!(connection.send_data("x".into(), output), Err(UsageError::NoRequest));
    assert_eq!(connection.send_end(None, output), Err(UsageError::NoRequest));
    let _ = world.request(GET);
    let World { connection, output, .. } = &mut world;
    assert_eq!(connection.send_data("x".into(), output), Err(UsageError::HeadNotSent));
    assert_eq!(connection.send_end(None, output), Err(UsageError::HeadNotSent));
    assert_eq!(connection.announce_data(1, output), Err(UsageError::HeadNotSent));
    for informational in [100, 102, 103, 199] {
        let status = StatusCode::from_u16(informational).unwrap();
        let head = ResponseHead { status, ..head };
        assert_eq!(connection.send_head(&head, output), Err(UsageError::InformationalStatus));
    }
    connection.send_head(&head, output).unwrap();
    assert_eq!(connection.send_head(&head, output), Err(UsageError::HeadSent));
    connection.send_end(None, output).unwrap();
    assert_eq!(connection.send_data("x".into(), output), Err(UsageError::NoRequest));
    assert_eq!(connection.send_head(&head, output), Err(UsageError::NoRequest));
    connection.cut();
    assert_eq!(connection.send_head(&head, output), Err(UsageError::Cut));
}

#[test]
fn a_length_is_kept_to_the_byte() {
    let mut world = World::new();
    let _ = world.request(GET);
    let headers = HeaderMap::new();
    let mut head = ResponseHead::new(StatusCode::OK, &headers);
    head.length = Some(5);
    let World { connection, output, .. } = &mut world;
    connection.send_head(&head, output).unwrap();
    let before = output.len();
    connection.send_data("1234".into(), output).unwrap();
    assert_eq!(connection.send_end(None, output), Err(UsageError::TooShort { missing: 1 }));
    assert_eq!(connection.send_data("56".into(), output), Err(UsageError::TooLong { excess: 1 }));
    assert_eq!(output.len(), before + 4, "nothing of it was written");
    connection.send_data("5".into(), output).unwrap();
    connection.send_data(Bytes::new(), output).unwrap();
    assert_eq!(connection.send_data("6".into(), output), Err(UsageError::TooLong { excess: 1 }));
    connection.send_end(None, output).unwrap();
    assert_eq!(world.next(), Next::Ready);
}

#[test]
fn data_may_go_by_other_means_where_the_framing_allows() {
    let run = |request: &str, length: Option<u64>| {
        let mut world = World::new();
        let _ = world.request(request);
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(StatusCode::OK, &headers);
        head.length = length;
        let World { connection, output, .. } = &mut world;
        connection.send_head(&head, output).unwrap();
        let head_length = output.len();
        let announced = connection.announce_data(5, output);
        assert_eq!(output.len(), head_length);
        announced.and_then(|()| connection.send_end(None, output))
    };
    assert_eq!(run(GET, Some(5)), Ok(()));
    assert_eq!(run(GET_10, None), Ok(()));
    assert_eq!(run(GET, Some(4)), Err(UsageError::TooLong { excess: 1 }));
    assert_eq!(run(GET, Some(6)), Err(UsageError::TooShort { missing: 1 }));
    assert_eq!(run(GET, None), Err(UsageError::NotAnnounceable));
    assert_eq!(run(HEAD, Some(5)), Err(UsageError::NotAnnounceable));
}

#[test]
fn large_data_is_not_copied() {
    let mut world = World::new();
    let _ = world.request(GET);
    let headers = HeaderMap::new();
    let head = ResponseHead::new(StatusCode::OK, &headers);
    let World { connection, output, .. } = &mut world;
    connection.send_head(&head, output).unwrap();
    let data = Bytes::from(vec![b'x'; 100_000]);
    connection.send_data(data.clone(), output).unwrap();
    connection.send_end(None, output).unwrap();
    let mut slices = [IoSlice::new(&[]); 8];
    assert_eq!(output.slices(&mut slices), 3);
    assert!(slices[0].ends_with(b"\r\n\r\n186a0\r\n"));
    assert_eq!(slices[1].as_ptr(), data.as_ptr());
    assert_eq!(&slices[2][..], b"\r\n0\r\n\r\n");
}

#[test]
fn informational_responses_come_before_the_final_head() {
    let mut hints = HeaderMap::new();
    hints.insert("link", HeaderValue::from_static("</a>; rel=preload"));
    hints.insert("content-length", HeaderValue::from_static("5"));
    hints.insert("connection", HeaderValue::from_static("close"));
    hints.insert("upgrade", HeaderValue::from_static("x"));
    let inform = |world: &mut World, status: u16| {
        let status = StatusCode::from_u16(status).unwrap();
        world.connection.send_informational(status, &hints, &mut world.output);
        world.written()
    };
    let mut world = World::new();
    assert_eq!(inform(&mut world, 103), "", "there is no request");
    let _ = world.request(GET);
    let expected = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    assert_eq!(inform(&mut world, 103), expected);
    assert_eq!(inform(&mut world, 103), expected);
    assert_eq!(inform(&mut world, 101), "");
    assert_eq!(inform(&mut world, 200), "");
    world.answer("ok");
    assert_eq!(inform(&mut world, 103), "", "the head is out");
    let mut world = World::new();
    let _ = world.request(GET_10);
    assert_eq!(inform(&mut world, 103), "", "HTTP/1.0 would take it for the answer");
}

#[test]
fn pipelined_small_answers_are_one_slice() {
    let mut world = World::new();
    world.receive(GET.repeat(16));
    let headers = HeaderMap::new();
    let mut head = ResponseHead::new(StatusCode::OK, &headers);
    head.length = Some(2);
    for _ in 0..16 {
        let _ = world.head();
        world.connection.send_head(&head, &mut world.output).unwrap();
        world.connection.send_data("ok".into(), &mut world.output).unwrap();
        world.connection.send_end(None, &mut world.output).unwrap();
        assert_eq!(world.next(), Next::Ready);
    }
    assert_eq!(world.output.slices(&mut [IoSlice::new(&[]); 8]), 1);
    assert_eq!(world.output.first().len(), world.output.len());
}

/// Fields of somebody who checks nothing.
#[derive(Debug)]
struct Splits<'a>(&'a [u8]);

impl gateway_http1::Fields for Splits<'_> {
    fn for_each(&self, each: &mut dyn FnMut(&http::HeaderName, &[u8])) {
        each(&http::header::VIA, b"sound");
        each(&http::header::WARNING, self.0);
    }
}
