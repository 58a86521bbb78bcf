use std::time::Duration;

use gateway_http1::{CloseReason, Error, Event, Next, Timeout};
use http::StatusCode;

use crate::world::{CHUNKED, GET, POST, World, seconds};

#[test]
fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let mut world = World::new();
    world.pass(seconds(3));
    assert_eq!(world.time_out(seconds(7)), Timeout::KeepAlive);
    assert!(matches!(world.connection.next_event(), Ok(Event::Closed)));
    assert_eq!(world.connection.close_reason(), Some(CloseReason::Timeout));
    assert_eq!(world.deadline(), None);
}

#[test]
fn the_first_head_has_ten_seconds_from_the_begin() {
    let mut world = World::new();
    world.pass(seconds(1));
    for byte in b"GET / HTTP" {
        world.receive([*byte]);
        assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
        world.pass(Duration::from_millis(800));
    }
    assert_eq!(world.time_out(seconds(1)), Timeout::Head, "no byte has renewed it");
    assert_eq!(world.error(), Error::HeadTimeout);
    let answer = world.answer_with(Error::HeadTimeout.status(), Some(0), "");
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("Connection: close\r\n"));
    assert_eq!(world.next(), Next::Close(CloseReason::Timeout));
}

#[test]
fn empty_lines_renew_nothing() {
    let mut world = World::new();
    world.pass(seconds(4));
    world.receive("\r\n\r\n");
    assert_eq!(world.time_out(seconds(6)), Timeout::KeepAlive, "and are no head");

    let mut world = idle();
    world.pass(seconds(70));
    world.receive("\r\n\r");
    assert_eq!(world.time_out(seconds(5)), Timeout::KeepAlive);
}

/// After one request.
fn idle() -> World {
    let mut world = World::new();
    let _ = world.request(GET);
    assert_eq!(world.deadline(), None, "the application takes its time");
    world.pass(seconds(1000));
    world.answer("ok");
    assert_eq!(world.next(), Next::Ready);
    world
}

#[test]
fn keep_alive_runs_from_the_end_of_the_response() {
    let mut world = idle();
    assert_eq!(world.time_out(seconds(75)), Timeout::KeepAlive);
    assert!(matches!(world.connection.next_event(), Ok(Event::Closed)));
}

#[test]
fn a_later_head_has_ten_seconds_from_its_first_byte() {
    let mut world = idle();
    world.pass(seconds(74));
    world.receive("G");
    world.pass(seconds(4));
    world.receive("ET /");
    assert_eq!(world.time_out(seconds(6)), Timeout::Head);
}

#[test]
fn a_pipelined_head_has_ten_seconds_from_its_turn() {
    let mut world = World::new();
    let _ = world.request(format!("{GET}GET /"));
    world.pass(seconds(60));
    world.answer("ok");
    assert_eq!(world.next(), Next::Ready);
    assert_eq!(world.time_out(seconds(10)), Timeout::Head);
}

#[test]
fn a_body_counts_only_while_it_is_wanted() {
    let mut world = World::new();
    let _ = world.request(POST);
    assert_eq!(world.deadline(), None);
    world.connection.body_wanted(true, world.now);
    world.pass(seconds(3));
    world.connection.body_wanted(false, world.now);
    assert_eq!(world.deadline(), None);
    world.pass(seconds(100));
    world.connection.body_wanted(true, world.now);
    assert_eq!(world.time_out(seconds(2)), Timeout::Body);
    assert_eq!(world.error(), Error::BodyTimeout);
    let answer = world.answer_with(StatusCode::REQUEST_TIMEOUT, Some(0), "");
    assert!(answer.contains("Connection: close\r\n"));
}

#[test]
fn a_body_has_a_least_rate() {
    let mut world = World::new();
    let _ = world.request(CHUNKED);
    world.connection.body_wanted(true, world.now);
    // A byte a second earns next to nothing.
    let mut passed = 0;
    while world.deadline().unwrap() > world.now + seconds(1) {
        world.pass(seconds(1));
        world.receive("0");
        assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
        passed += 1;
    }
    assert_eq!(passed, 5);
    // What comes at the rate goes on for ever.
    let mut world = World::new();
    let _ = world.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    world.connection.body_wanted(true, world.now);
    for _ in 0..1000 {
        world.pass(seconds(1));
        assert_eq!(world.connection.handle_timeout(world.now), None);
        world.receive([b'x'; 240]);
        world.body();
    }
    assert_eq!(world.time_out(seconds(5)), Timeout::Body);
}

#[test]
fn a_body_may_not_stall_whatever_came_before() {
    let mut world = World::new();
    let _ = world.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    world.connection.body_wanted(true, world.now);
    world.receive([b'x'; 60_000]);
    assert_eq!(world.time_out(seconds(20)), Timeout::Body);
}

#[test]
fn a_complete_body_has_no_deadline() {
    let mut world = World::new();
    let _ = world.request(POST);
    world.connection.body_wanted(true, world.now);
    world.receive("hello");
    world.body();
    assert_eq!(world.deadline(), None);
    world.connection.body_wanted(true, world.now);
    assert_eq!(world.deadline(), None);
}

#[test]
fn writing_counts_only_while_bytes_wait() {
    let mut world = World::new();
    let _ = world.request(GET);
    world.connection.sent(100, 0, world.now);
    assert_eq!(world.deadline(), None);
    world.connection.sent(0, 100, world.now);
    world.pass(seconds(4));
    world.connection.sent(240, 100, world.now);
    world.pass(seconds(1));
    world.connection.sent(100, 0, world.now);
    assert_eq!(world.deadline(), None);
    world.connection.sent(0, 1, world.now);
    assert_eq!(world.time_out(seconds(5)), Timeout::Write);
    assert_eq!(world.next(), Next::Close(CloseReason::Timeout));
}

#[test]
fn a_slow_reader_is_cut_off() {
    let mut world = World::new();
    let _ = world.request(GET);
    world.connection.sent(1 << 20, 1 << 20, world.now);
    let mut taken = 0;
    while world.connection.handle_timeout(world.now).is_none() {
        world.pass(seconds(1));
        world.connection.sent(100, 1000, world.now);
        taken += 100;
        assert!(taken < 10_000, "100 bytes a second must not do for ever");
    }
    assert_eq!(world.connection.close_reason(), Some(CloseReason::Timeout));
    // 20 seconds of allowance shrink by 1 - 100/240 in each.
    assert!((3000..3600).contains(&taken), "{taken}");
}

#[test]
fn a_write_timeout_is_told_before_others() {
    let mut world = idle();
    world.connection.sent(0, 1, world.now);
    world.pass(seconds(75));
    assert_eq!(world.connection.handle_timeout(world.now), Some(Timeout::Write));
}

#[test]
fn what_is_left_of_a_body_has_two_seconds() {
    let mut world = World::new();
    let _ = world.request(POST);
    world.answer("ok");
    assert_eq!(world.next(), Next::Drain);
    world.pass(seconds(1));
    world.receive("hel");
    assert!(matches!(world.connection.next_event(), Ok(Event::NeedData)));
    assert_eq!(world.time_out(seconds(1)), Timeout::Drain);
    assert!(matches!(world.connection.next_event(), Ok(Event::Closed)));
}

#[test]
fn lingering_has_two_seconds() {
    let mut world = World::new();
    world.connection.linger();
    world.pass(seconds(1));
    world.receive([0; 1000]);
    assert_eq!(world.time_out(seconds(1)), Timeout::Drain);
    assert!(world.connection.is_lingering_done());
}

#[test]
fn a_drained_body_gives_way_to_keep_alive() {
    let mut world = World::new();
    let _ = world.request(POST);
    world.answer("ok");
    assert_eq!(world.next(), Next::Drain);
    world.receive("hello");
    assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
    assert_eq!(world.next(), Next::Ready);
    assert_eq!(world.time_out(seconds(75)), Timeout::KeepAlive);
}
