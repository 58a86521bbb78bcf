use gateway_http1::{Event, Next, ResponseHead, UsageError};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::world::{GET, World};

const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";

fn switch(world: &mut World) -> Result<String, UsageError> {
    let mut headers = HeaderMap::new();
    headers.insert("upgrade", HeaderValue::from_static("echo"));
    headers.insert("content-length", HeaderValue::from_static("5"));
    let mut head = ResponseHead::new(StatusCode::SWITCHING_PROTOCOLS, &headers);
    head.length = Some(5);
    world.connection.send_head(&head, &mut world.output)?;
    world.connection.send_end(None, &mut world.output)?;
    Ok(world.written())
}

#[test]
fn a_switch_hands_the_rest_over() {
    let mut world = World::new();
    let head = world.request(format!("{UPGRADE}hello"));
    assert!(head.upgrade);
    let expected =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(switch(&mut world), Ok(expected.to_owned()));
    assert_eq!(world.next(), Next::Upgraded);
    assert_eq!(world.connection.into_rest(), "hello");
    assert!(!world.connection.wants_read());
    assert_eq!(world.deadline(), None);
    assert!(matches!(world.connection.next_event(), Ok(Event::Paused)));
}

#[test]
fn a_switch_waits_for_the_requests_body() {
    let mut world = World::new();
    let with_body = UPGRADE.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n");
    let _ = world.request(with_body);
    switch(&mut world).unwrap();
    assert_eq!(world.next(), Next::Drain);
    world.receive("helloraw");
    assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
    assert_eq!(world.next(), Next::Upgraded);
    assert_eq!(world.connection.into_rest(), "raw");
}

/// RFC 9110 section 7.8: the 100 comes first, or the peer takes the 101 for the other protocol's begin
/// and what it says there would be taken for the body.
#[test]
fn a_switch_comes_behind_the_continue_that_was_asked_for() {
    let mut world = World::new();
    let expecting =
        UPGRADE.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let _ = world.request(&expecting);
    let heads = switch(&mut world).unwrap();
    assert!(heads.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 "), "{heads}");
    assert_eq!(world.next(), Next::Drain);
    world.receive("helloraw");
    assert!(matches!(world.connection.next_event(), Ok(Event::End(None))));
    assert_eq!(world.next(), Next::Upgraded);
    assert_eq!(world.connection.into_rest(), "raw");

    let mut world = World::new();
    let _ = world.request(expecting + "h");
    assert!(switch(&mut world).unwrap().starts_with("HTTP/1.1 101 "), "the body comes anyway");
}

#[test]
fn a_switch_needs_an_offer() {
    for request in [
        GET.to_owned(),
        UPGRADE.replace("Upgrade: echo\r\n", ""),
        UPGRADE.replace(", Upgrade", ""),
        UPGRADE.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let mut world = World::new();
        assert!(!world.request(&request).upgrade, "{request}");
        assert_eq!(switch(&mut world), Err(UsageError::NoUpgrade));
        assert!(!world.answer("no").contains("upgrade"));
    }
}

#[test]
fn an_offer_may_be_ignored() {
    let mut world = World::new();
    let _ = world.request(format!("{UPGRADE}{GET}"));
    assert_eq!(world.answer("ok"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(world.next(), Next::Ready);
    let _ = world.head();
}
