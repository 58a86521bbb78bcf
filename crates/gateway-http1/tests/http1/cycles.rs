use gateway_http1::{CloseReason, Error, Event, Next, UsageError};
use http::StatusCode;

use crate::world::{CHUNKED, GET, POST, World};

fn get(version: &str, fields: &str) -> String {
    format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n")
}

/// Answers one request with those fields and tells the head's `Connection` and what is next.
#[track_caller]
fn persistence(version: &str, fields: &str) -> (Option<String>, Next) {
    let mut world = World::new();
    let _ = world.request(get(version, fields));
    let answer = world.answer("ok");
    let mut connection = answer.lines().filter_map(|line| line.strip_prefix("Connection: "));
    let said = connection.next().map(str::to_owned);
    assert_eq!(connection.next(), None, "one Connection field");
    (said, world.next())
}

#[test]
fn events_of_a_cycle_in_order() {
    let mut world = World::new();
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
    let _ = world.request(format!("{POST}hello"));
    assert!(matches!(world.connection.next_event(), Ok(Event::Data(data)) if data == "hello"));
    assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
    assert!(matches!(world.connection.next_event(), Ok(Event::Paused)));
    assert!(matches!(world.connection.next_event(), Ok(Event::Paused)));
    world.answer("ok");
    assert!(matches!(world.connection.next_event(), Ok(Event::Paused)));
    assert_eq!(world.next(), Next::Ready);
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
}

#[test]
fn an_end_is_told_without_a_body_too() {
    let mut world = World::new();
    for head in [GET, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"] {
        let _ = world.request(head);
        assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
        world.answer("ok");
        assert_eq!(world.next(), Next::Ready);
    }
}

#[test]
fn the_end_need_not_be_asked_for() {
    let mut world = World::new();
    let _ = world.request(GET);
    world.answer("ok");
    assert_eq!(world.next(), Next::Ready);
    let _ = world.request(GET);
}

#[test]
fn http_11_is_kept_unless_told_otherwise() {
    assert_eq!(persistence("1.1", ""), (None, Next::Ready));
    assert_eq!(persistence("1.1", "Connection: keep-alive\r\n"), (None, Next::Ready));
    assert_eq!(persistence("1.1", "Connection: x-close\r\n"), (None, Next::Ready));
    assert_eq!(persistence("1.1", "Proxy-Connection: close\r\n"), (None, Next::Ready));
    let closed = (Some("close".to_owned()), Next::Close(CloseReason::PeerRequested));
    for fields in [
        "Connection: close\r\n",
        "connection: CLOSE\t\r\n",
        "Connection: keep-alive, close\r\n",
        "Connection: close, keep-alive\r\n",
        "Connection: foo\r\nX: y\r\nConnection: close\r\n",
    ] {
        assert_eq!(persistence("1.1", fields), closed, "{fields}");
    }
}

#[test]
fn http_10_is_kept_only_if_asked_for() {
    let closed = (Some("close".to_owned()), Next::Close(CloseReason::Http10));
    assert_eq!(persistence("1.0", ""), closed);
    assert_eq!(persistence("1.0", "Connection: foo\r\n"), closed);
    let kept = (Some("keep-alive".to_owned()), Next::Ready);
    assert_eq!(persistence("1.0", "Connection: Keep-Alive\r\n"), kept);
    let closed = (Some("close".to_owned()), Next::Close(CloseReason::PeerRequested));
    assert_eq!(persistence("1.0", "Connection: keep-alive, close\r\n"), closed);
}

#[test]
fn http_10_is_not_kept_without_a_length() {
    let mut world = World::new();
    let _ = world.request(get("1.0", "Connection: keep-alive\r\n"));
    let answer = world.answer_with(StatusCode::OK, None, "until the close");
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the close");
    assert_eq!(world.next(), Next::Close(CloseReason::UntilClose));
}

#[test]
fn the_number_of_requests_is_limited() {
    let mut world = World::with(|config| config.limits.requests_per_connection = 3);
    for _ in 0..2 {
        let _ = world.request(GET);
        assert!(!world.answer("ok").contains("Connection"));
        assert_eq!(world.next(), Next::Ready);
    }
    let _ = world.request(GET);
    assert!(world.answer("ok").contains("Connection: close\r\n"));
    assert_eq!(world.next(), Next::Close(CloseReason::RequestLimit));
}

#[test]
fn the_server_may_decide_to_close() {
    let mut world = World::new();
    let _ = world.request(GET);
    assert!(world.connection.keep_alive());
    world.connection.close_after_response(CloseReason::Draining);
    assert!(!world.connection.keep_alive());
    assert!(world.answer("ok").contains("Connection: close\r\n"));
    assert_eq!(world.next(), Next::Close(CloseReason::Draining));
    assert_eq!(world.connection.close_reason(), Some(CloseReason::Draining));
}

#[test]
fn pipelined_requests_are_told_one_at_a_time() {
    let mut world = World::new();
    world.receive("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HT");
    for target in ["/1", "/2"] {
        let head = world.head();
        assert_eq!(head.target.of(&head.bytes), target.as_bytes());
        assert!(!world.connection.wants_read(), "nothing is read before the answer");
        assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
        assert!(matches!(world.connection.next_event(), Ok(Event::Paused)));
        world.answer("ok");
        assert_eq!(world.next(), Next::Ready);
    }
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
    assert!(world.connection.wants_read());
    let head = world.request("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.target.of(&head.bytes), b"/3");
}

#[test]
fn fields_are_those_of_the_present_request() {
    let mut world = World::new();
    let many: String = (0..40).map(|i| format!("X-{i}: {i}\r\n")).collect();
    for (fields, count) in [("", 1), (many.as_str(), 41), ("X: y\r\n", 2)] {
        let head = world.request(get("1.1", fields));
        assert_eq!(world.connection.fields().len(), count);
        let last = world.connection.fields()[count - 1];
        assert!(head.bytes.ends_with(b"\r\n\r\n"));
        assert_eq!(last.value.range().end, head.bytes.len() - 4);
        world.answer("ok");
        assert_eq!(world.next(), Next::Ready);
    }
}

#[test]
fn nothing_is_processed_after_close() {
    let mut world = World::new();
    let _ = world.request(format!(
        "{}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        get("1.1", "Connection: close\r\n")
    ));
    world.answer("ok");
    assert_eq!(world.next(), Next::Close(CloseReason::PeerRequested));
    assert_eq!(world.next(), Next::Close(CloseReason::PeerRequested));
    assert!(!matches!(world.connection.next_event(), Ok(Event::Request(_))));
}

#[test]
fn nothing_is_processed_after_an_error() {
    let mut world = World::new();
    world.receive(format!("GET / HTTP/1.1\r\nHost : a\r\n\r\n{GET}"));
    assert_eq!(world.error(), Error::FieldName);
    world.receive(GET);
    assert_eq!(world.error(), Error::FieldName, "it is sticky");
    assert!(!world.connection.wants_read());
    assert_eq!(world.connection.buffered(), 0);
    let answer = world.answer_with(StatusCode::BAD_REQUEST, Some(2), "no");
    assert_eq!(
        answer,
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    );
    assert_eq!(world.error(), Error::FieldName);
    assert_eq!(world.next(), Next::Close(CloseReason::PeerError));
}

#[test]
fn an_error_is_answered_only_once() {
    let mut world = World::new();
    world.receive("\x16\x03\x01");
    assert_eq!(world.error(), Error::Method);
    world.answer_with(StatusCode::BAD_REQUEST, Some(0), "");
    let headers = http::HeaderMap::new();
    let head = gateway_http1::ResponseHead::new(StatusCode::OK, &headers);
    let again = world.connection.send_head(&head, &mut world.output);
    assert_eq!(again, Err(UsageError::NoRequest));
    assert!(world.output.is_empty());
}

#[test]
fn a_good_and_a_broken_request() {
    let mut world = World::new();
    let _ = world.request(format!("{GET}Invalid\r\n\r\n"));
    world.answer("ok");
    assert_eq!(world.next(), Next::Ready);
    assert_eq!(world.error(), Error::Method);
    let answer = world.answer_with(StatusCode::BAD_REQUEST, Some(0), "");
    assert!(answer.contains("Connection: close"));
}

#[test]
fn a_refused_head_request_gets_no_content() {
    for refused in
        ["HEAD /x HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", "HEAD /x HTTP/9.9\r\n\r\n"]
    {
        let mut world = World::new();
        world.receive(refused);
        let error = world.error();
        let answer = world.answer_with(error.status(), Some(2), "no");
        assert!(
            answer.contains("Content-Length: 2\r\n") && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }
}

#[test]
fn an_error_without_a_length_is_answered_for_every_version() {
    let mut world = World::new();
    world.receive("GET / HTTP/1.0\r\nHost: a b\r\n\r\n");
    assert_eq!(world.error(), Error::Host);
    let answer = world.answer_with(StatusCode::BAD_REQUEST, None, "no");
    assert_eq!(answer, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nno");
}

#[test]
fn a_peer_that_closes_between_requests_is_clean() {
    for before in ["", "\r\n", "\r\n\r", "\r"] {
        let mut world = World::new();
        world.receive(before);
        world.connection.receive_eof();
        assert!(matches!(world.connection.next_event(), Ok(Event::Closed)), "{before:?}");
        assert!(!world.connection.wants_read());
        assert_eq!(world.deadline(), None);
    }
}

#[test]
fn whole_requests_of_a_half_closed_peer_are_answered() {
    let mut world = World::new();
    world.receive(format!("{GET}{POST}hello"));
    world.connection.receive_eof();
    let _ = world.head();
    assert!(!world.answer("1").contains("Connection"));
    assert_eq!(world.next(), Next::Ready);
    let _ = world.head();
    assert_eq!(world.body().0, b"hello");
    world.answer("2");
    assert_eq!(world.next(), Next::Ready);
    assert!(matches!(world.connection.next_event(), Ok(Event::Closed)));
}

#[test]
fn a_head_that_is_cut_short_is_an_error() {
    for part in ["G", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n\r"] {
        let mut world = World::new();
        world.receive(part);
        assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
        world.connection.receive_eof();
        assert_eq!(world.error(), Error::IncompleteHead, "{part:?}");
    }
}

#[test]
fn a_body_that_is_cut_short_is_an_error() {
    for part in [format!("{POST}hell"), format!("{CHUNKED}5\r\nhel"), format!("{CHUNKED}0\r\n")] {
        let mut world = World::new();
        let _ = world.request(&part);
        world.body();
        world.connection.receive_eof();
        assert_eq!(world.error(), Error::IncompleteBody, "{part:?}");
    }
}

#[test]
fn a_few_empty_lines_before_a_request_are_forgiven() {
    let mut world = World::new();
    let _ = world.request(format!("\r\n\r\n{GET}"));
    world.answer("ok");
    assert_eq!(world.next(), Next::Ready);
    let _ = world.request(format!("\r\n{GET}"));
    world.answer("ok");
    assert_eq!(world.next(), Next::Ready);
    for byte in b"\r\n\r\n\r\n\r\n" {
        world.receive([*byte]);
        assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
    }
    world.receive("\r");
    assert_eq!(world.error(), Error::Method, "a fifth one is not");
}

#[test]
fn only_whole_empty_lines_are_forgiven() {
    for start in ["\n", "\rG", "\r\n\n", " \r\n", "\r\n GET"] {
        let mut world = World::new();
        world.receive(format!("{start}{GET}"));
        assert_eq!(world.error(), Error::Method, "{start:?}");
    }
}

#[test]
fn a_response_that_is_cut_ends_the_connection() {
    let mut world = World::new();
    let _ = world.request(GET);
    let headers = http::HeaderMap::new();
    let head = gateway_http1::ResponseHead::new(StatusCode::OK, &headers);
    world.connection.send_head(&head, &mut world.output).unwrap();
    world.connection.send_data("some".into(), &mut world.output).unwrap();
    world.connection.cut();
    let end = world.connection.send_end(None, &mut world.output);
    assert_eq!(end, Err(UsageError::Cut));
    assert!(world.written().ends_with("\r\n\r\n4\r\nsome\r\n"), "no last chunk");
    assert_eq!(world.next(), Next::Close(CloseReason::Cut));
}

#[test]
fn a_cycle_begun_too_early_cuts() {
    let mut world = World::new();
    let _ = world.request(GET);
    assert_eq!(world.next(), Next::Close(CloseReason::Cut));
}

#[test]
fn a_cycle_may_be_asked_for_while_idle() {
    let mut world = World::new();
    let deadline = world.deadline();
    assert_eq!(world.next(), Next::Ready);
    assert_eq!(world.deadline(), deadline, "it renews nothing");
}

#[test]
fn lingering_ends_with_the_peers_fin_or_a_bound() {
    let mut world = World::with(|config| config.limits.drain = 100);
    world.connection.linger();
    assert!(world.connection.wants_read() && !world.connection.is_lingering_done());
    world.receive([0; 100]);
    assert_eq!(world.connection.buffered(), 0);
    assert!(!world.connection.is_lingering_done());
    world.receive([0; 1]);
    assert!(world.connection.is_lingering_done());

    let mut world = World::new();
    world.connection.linger();
    world.receive(GET);
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)), "nothing is parsed");
    world.connection.receive_eof();
    assert!(world.connection.is_lingering_done());

    let mut world = World::new();
    world.connection.receive_eof();
    world.connection.linger();
    assert!(world.connection.is_lingering_done());
}
