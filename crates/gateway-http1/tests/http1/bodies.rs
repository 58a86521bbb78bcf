use gateway_http1::{CloseReason, Error, Event, Next};
use http::StatusCode;

use crate::world::{CHUNKED, EXPECT, GET, POST, World};

#[test]
fn data_comes_in_the_pieces_it_was_received_in() {
    let mut world = World::new();
    let _ = world.request(format!("{POST}he"));
    assert!(matches!(world.connection.next_event(), Ok(Event::Data(data)) if data == "he"));
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
    world.receive("lloGET");
    assert!(matches!(world.connection.next_event(), Ok(Event::Data(data)) if data == "llo"));
    assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
    assert_eq!(world.connection.buffered(), 3);
}

#[test]
fn tiny_chunks_come_together() {
    let mut world = World::new();
    let chunks: String = (0..1000).map(|_| "1\r\nx\r\n").collect();
    let _ = world.request(format!("{CHUNKED}{chunks}"));
    let Ok(Event::Data(data)) = world.connection.next_event() else { panic!("no data") };
    assert_eq!(data.len(), 1000);
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
}

#[test]
fn trailers_come_with_the_end() {
    let mut world = World::new();
    let _ = world.request(format!("{CHUNKED}5\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n"));
    let (data, trailers) = world.body();
    assert_eq!(data, b"hello");
    let trailers = trailers.unwrap();
    assert_eq!(trailers.len(), 1, "those that would come too late are dropped");
    assert_eq!(trailers["x-sum"], "1");
    assert_eq!(world.connection.fields().len(), 2, "they are never among the fields");
    world.answer("ok");
    assert_eq!(world.next(), Next::Ready);
}

#[test]
fn fields_and_trailers_share_a_limit() {
    let mut world = World::with(|config| config.limits.headers = 4);
    let _ = world.request(format!("{CHUNKED}0\r\nA: b\r\nC: d\r\n\r\n"));
    assert!(matches!(world.connection.next_event(), Ok(Event::End(Some(_)))));
    world.answer("ok");
    assert_eq!(world.next(), Next::Ready);
    let _ = world.request(format!("{CHUNKED}0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"));
    assert_eq!(world.error(), Error::TooManyFields);
}

#[test]
fn a_broken_body_can_still_be_answered() {
    let mut world = World::new();
    let _ = world.request(format!("{CHUNKED}x\r\n"));
    assert_eq!(world.error(), Error::ChunkSize);
    assert!(!world.connection.keep_alive());
    let answer = world.answer_with(StatusCode::BAD_REQUEST, Some(0), "");
    assert!(answer.ends_with("Connection: close\r\n\r\n"));
    assert_eq!(world.next(), Next::Close(CloseReason::PeerError));
}

#[test]
fn reading_stops_at_the_read_ahead() {
    let mut world = World::with(|config| config.limits.read_ahead = 40_000);
    let _ = world.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    world.receive(vec![b'x'; 39_999]);
    assert!(world.connection.wants_read());
    world.receive("x");
    assert!(!world.connection.wants_read());
    assert!(matches!(world.connection.next_event(), Ok(Event::Data(data)) if data.len() == 40_000));
    assert!(world.connection.wants_read());
}

#[test]
fn continue_is_sent_once_and_on_demand() {
    let mut world = World::new();
    let head = world.request(EXPECT);
    assert!(head.expect_continue && world.connection.expects_continue());
    assert!(world.output.is_empty());
    world.connection.send_continue(&mut world.output);
    assert_eq!(world.written(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!world.connection.expects_continue());
    world.connection.send_continue(&mut world.output);
    assert!(world.output.is_empty());
    world.receive("hello");
    assert_eq!(world.body().0, b"hello");
    assert!(!world.answer("ok").contains("Connection"));
    assert_eq!(world.next(), Next::Ready);
}

#[test]
fn continue_is_not_sent_when_the_body_comes_anyway() {
    let mut world = World::new();
    let _ = world.request(format!("{EXPECT}he"));
    assert!(!world.connection.expects_continue(), "with the head");
    let mut world = World::new();
    let _ = world.request(EXPECT);
    world.receive("h");
    assert!(!world.connection.expects_continue(), "after the head");
    world.connection.send_continue(&mut world.output);
    assert!(world.output.is_empty());
}

#[test]
fn continue_is_not_sent_after_the_final_head() {
    let mut world = World::new();
    let _ = world.request(EXPECT);
    let answer = world.answer("no, thanks");
    assert!(answer.contains("Connection: close\r\n"), "the body may come or not");
    world.connection.send_continue(&mut world.output);
    assert!(world.output.is_empty());
    assert_eq!(world.next(), Next::Close(CloseReason::UnreadBody));
}

#[test]
fn continue_is_asked_for_anew_by_each_request() {
    let mut world = World::new();
    for _ in 0..2 {
        let _ = world.request(EXPECT);
        assert!(world.connection.expects_continue());
        world.connection.send_continue(&mut world.output);
        assert_eq!(world.written(), "HTTP/1.1 100 Continue\r\n\r\n");
        world.receive("hello");
        world.body();
        world.answer("ok");
        assert_eq!(world.next(), Next::Ready);
    }
    let _ = world.request(POST);
    assert!(!world.connection.expects_continue());
}

#[test]
fn what_is_left_of_a_body_is_thrown_away() {
    for (head, rest) in [(POST, "hello"), (CHUNKED, "5\r\nhello\r\n0\r\nX: y\r\n\r\n")] {
        let mut world = World::new();
        let _ = world.request(head);
        assert!(!world.answer("ok").contains("Connection"));
        assert_eq!(world.next(), Next::Drain);
        assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
        assert!(world.connection.wants_read());
        world.receive(&rest[..4]);
        assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)), "no data is told");
        assert_eq!(world.next(), Next::Drain);
        world.receive(format!("{}{GET}", &rest[4..]));
        assert!(matches!(world.connection.next_event(), Ok(Event::End(_))));
        assert_eq!(world.next(), Next::Ready);
        let _ = world.head();
    }
}

#[test]
fn a_body_is_no_request_even_if_nobody_reads_it() {
    let mut world = World::new();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = smuggled.len();
    let _ = world.request(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{smuggled}"
    ));
    world.answer("ok");
    assert_eq!(world.next(), Next::Drain);
    assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
    assert_eq!(world.next(), Next::Ready);
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
}

#[test]
fn too_much_unread_by_length_closes_and_says_so() {
    for (length, close) in [(65_536, false), (65_537, true)] {
        let mut world = World::new();
        let _ =
            world.request(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        assert_eq!(world.answer("ok").contains("Connection: close\r\n"), close, "{length}");
        let expected = if close { Next::Close(CloseReason::UnreadBody) } else { Next::Drain };
        assert_eq!(world.next(), expected, "{length}");
    }
}

#[test]
fn a_streaming_response_may_still_read_its_request() {
    let mut world = World::new();
    let _ = world.request("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    let headers = http::HeaderMap::new();
    let head = gateway_http1::ResponseHead::new(StatusCode::OK, &headers);
    world.connection.send_head(&head, &mut world.output).unwrap();
    assert!(world.connection.keep_alive(), "the length of the response is unknown yet");
    for _ in 0..100 {
        world.receive([b'x'; 10_000]);
        let Ok(Event::Data(data)) = world.connection.next_event() else { panic!("no data") };
        world.connection.send_data(data, &mut world.output).unwrap();
    }
    assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
    world.connection.send_end(None, &mut world.output).unwrap();
    assert_eq!(world.next(), Next::Ready);
}

#[test]
fn too_much_unread_in_chunks_is_an_error() {
    let mut world = World::new();
    let _ = world.request(CHUNKED);
    world.answer("ok");
    assert_eq!(world.next(), Next::Drain);
    world.receive(format!("ffff\r\n{}", "x".repeat(65_530)));
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)), "65,536 bytes are taken");
    world.receive("x");
    assert_eq!(world.error(), Error::UnreadBody);
    assert_eq!(world.next(), Next::Close(CloseReason::UnreadBody));
}

#[test]
fn a_connection_that_closes_throws_nothing_away() {
    let mut world = World::new();
    let _ = world
        .request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    world.answer("ok");
    assert_eq!(world.next(), Next::Close(CloseReason::PeerRequested));
}
