//! The body limit where middleware takes, wraps or replaces the body.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use gateway_core::bytes::Bytes;
use gateway_core::http_body::{Body, Frame};
use gateway_core::{DEFAULT_BODY_LIMIT, Environ, Error, Input, PeerError};

use crate::exchange::{Request, Step, block_on};

const OVER_DEFAULT: usize = 3 << 20;

fn too_large(error: &Error) -> Option<u64> {
    match error {
        Error::Peer(PeerError::BodyTooLarge { limit }) => Some(*limit),
        _ => None,
    }
}

/// Reads to the end, and tells the length or the limit that was in the way.
fn read(input: &mut Input) -> Result<u64, u64> {
    std::io::copy(input, &mut std::io::sink())
        .map_err(|error| too_large(&error.into()).expect("only the limit fails"))
}

/// A body whose length nobody knows beforehand.
fn stream(data: impl Into<Bytes>) -> Input {
    Input::from_body(Mapped(Input::from_bytes(data), |data| data))
}

/// What a wrapper makes of the data that it reads.
struct Mapped(Input, fn(Bytes) -> Bytes);

impl Body for Mapped {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(cx)).transpose()?;
        Poll::Ready(frame.map(|frame| Ok(frame.map_data(self.1))))
    }
}

fn same(body: Input) -> Mapped {
    Mapped(body, |data| data)
}

fn doubled(body: Input) -> Mapped {
    Mapped(body, |data| [data.clone(), data].concat().into())
}

fn first_bytes(body: Input) -> Mapped {
    Mapped(body, |data| data.slice(..1))
}

fn limited(limit: u64) -> Environ {
    Request::post([Step::Data("12345"), Step::Data("67890")]).limit(limit).environ().0
}

#[test]
fn what_is_in_memory_already_has_no_limit_until_one_is_set() {
    let mut input = Input::from_bytes(vec![b'x'; OVER_DEFAULT]);
    assert_eq!(read(&mut input), Ok(OVER_DEFAULT as u64));

    let mut input = Input::from_bytes("12345");
    input.limit(4).unwrap();
    assert_eq!(read(&mut input), Err(4));

    let mut environ = limited(4);
    environ.set_input(Input::from_bytes("12345"));
    assert_eq!(read(environ.input()), Ok(5));
    environ.set_input(Input::from_bytes("12345"));
    assert_eq!(too_large(&environ.input().collect(4).unwrap_err()), Some(4));
}

#[test]
fn a_body_of_middleware_alone_has_the_default_limit() {
    assert_eq!(read(&mut stream(vec![b'x'; OVER_DEFAULT])), Err(DEFAULT_BODY_LIMIT));
}

#[test]
fn a_replacement_has_the_limit_of_what_it_replaces() {
    let mut environ = limited(4);
    environ.set_input(stream("12345"));
    assert_eq!(read(environ.input()), Err(4));

    let mut environ = limited(u64::MAX);
    environ.set_input(stream(vec![b'x'; OVER_DEFAULT]));
    assert_eq!(read(environ.input()), Ok(OVER_DEFAULT as u64));

    // Also where the input was taken before, was limited by middleware, or was another replacement.
    let mut environ = limited(4);
    drop(environ.take_input());
    drop(environ.take_input());
    environ.set_input(stream("12345"));
    assert_eq!(read(environ.input()), Err(4));

    let mut environ = limited(u64::MAX);
    environ.input().limit(3).unwrap();
    environ.set_input(stream("12345"));
    assert_eq!(read(environ.input()), Err(3));

    for between in [Input::empty(), Input::from_bytes("in memory"), stream("")] {
        let mut environ = limited(4);
        environ.set_input(between);
        environ.set_input(stream("12345"));
        assert_eq!(read(environ.input()), Err(4));
    }
}

#[test]
fn a_limit_that_was_chosen_stays() {
    for chosen in [2, 4] {
        let mut environ = limited(3);
        let mut input = stream("12345");
        input.limit(chosen).unwrap();
        environ.set_input(input);
        assert_eq!(read(environ.input()), Err(chosen));
        environ.set_input(stream("12345"));
        assert_eq!(read(environ.input()), Err(chosen), "and is handed on");
    }
    // The server's is a choice, too.
    let mut environ = limited(3).with_input(limited(7).take_input());
    assert_eq!(read(environ.input()), Err(7));
}

/// `collect(limit)` is about that one call.
#[test]
fn what_was_collected_does_not_raise_the_limit_of_what_follows() {
    let mut environ = limited(4);
    environ.input().collect(1 << 30).unwrap();
    environ.set_input(stream("12345"));
    assert_eq!(read(environ.input()), Err(4));
}

#[test]
fn an_input_that_was_taken_keeps_its_limit() {
    assert_eq!(read(&mut limited(4).take_input()), Err(4));
    let mut environ = limited(4);
    let mut taken = environ.take_input();
    environ.set_input(Input::from_bytes("another"));
    environ.input().limit(u64::MAX).unwrap();
    assert_eq!(read(&mut taken), Err(4));
    let mut text = String::new();
    environ.input().read_to_string(&mut text).unwrap();
    assert_eq!(text, "another");
    let taken = async { limited(4).take_input().collect_async(4).await };
    assert_eq!(too_large(&block_on(taken).unwrap_err()), Some(4));
}

#[test]
fn one_limit_governs_a_body_and_its_wrapper() {
    let mut environ = limited(4);
    environ.wrap_input(same);
    assert_eq!(read(environ.input()), Err(4));

    // Raised or lowered inside, it is so for both.
    let mut environ = limited(4);
    environ.wrap_input(same);
    environ.input().limit(u64::MAX).unwrap();
    assert_eq!(read(environ.input()), Ok(10));
    let mut environ = limited(100);
    environ.wrap_input(same);
    environ.input().limit(7).unwrap();
    assert_eq!(read(environ.input()), Err(7));

    let mut environ = limited(4);
    environ.wrap_input(same);
    assert_eq!(environ.input().collect(10).unwrap(), "1234567890");
    let mut environ = limited(4);
    environ.wrap_input(same);
    let error = block_on(environ.input().collect_async(9)).unwrap_err();
    assert_eq!(too_large(&error), Some(9));
}

#[test]
fn a_wrapper_outgrows_the_limit_on_neither_side() {
    let mut environ = limited(19);
    environ.wrap_input(doubled);
    assert_eq!(read(environ.input()), Err(19));
    let mut environ = limited(20);
    environ.wrap_input(doubled);
    assert_eq!(read(environ.input()), Ok(20));

    let mut environ = limited(9);
    environ.wrap_input(first_bytes);
    assert_eq!(read(environ.input()), Err(9));
    let mut environ = limited(10);
    environ.wrap_input(first_bytes);
    assert_eq!(read(environ.input()), Ok(2));
}

#[test]
fn a_declared_length_over_the_limit_fails_in_a_wrapper_before_anything_is_read() {
    let (mut environ, exchange) =
        Request::post([Step::Data("12345")]).declared(5).limit(4).environ();
    environ.wrap_input(same);
    assert_eq!(read(environ.input()), Err(4));
    assert_eq!(exchange.input_polls(), 0);
}

#[test]
fn wrappers_nest() {
    let mut environ = limited(4);
    environ.wrap_input(same);
    environ.wrap_input(doubled);
    environ.wrap_input(first_bytes);
    environ.input().limit(19).unwrap();
    assert_eq!(read(environ.input()), Err(19));
    let mut environ = limited(4);
    environ.wrap_input(same);
    environ.wrap_input(doubled);
    environ.wrap_input(first_bytes);
    environ.input().limit(20).unwrap();
    assert_eq!(read(environ.input()), Ok(2));
}

#[test]
fn what_a_wrapper_makes_of_memory_is_limited() {
    let mut environ = limited(4);
    environ.set_input(Input::from_bytes("123"));
    environ.wrap_input(doubled);
    assert_eq!(read(environ.input()), Err(4));

    // What is in memory already may be longer than what is made of it.
    let mut environ = limited(4);
    environ.set_input(Input::from_bytes("1234567"));
    environ.wrap_input(first_bytes);
    assert_eq!(read(environ.input()), Ok(1));

    let mut environ = limited(4);
    let mut bytes = Input::from_bytes("1234567");
    bytes.limit(6).unwrap();
    environ.set_input(bytes);
    environ.wrap_input(first_bytes);
    environ.input().limit(u64::MAX).unwrap();
    assert_eq!(read(environ.input()), Ok(1));
}

#[test]
fn a_wrapper_that_keeps_the_body_to_itself_has_it_limited() {
    let mut kept = None;
    let mut environ = limited(4);
    environ.wrap_input(|body| {
        kept = Some(body);
        same(Input::empty())
    });
    assert_eq!(read(&mut kept.unwrap()), Err(4));
    assert_eq!(read(environ.input()), Ok(0));
}

#[test]
fn a_wrapped_body_that_was_begun_goes_on_under_the_limit() {
    let mut environ = limited(4);
    environ.input().read_exact(&mut [0]).unwrap_err();
    environ.wrap_input(same);
    environ.input().limit(u64::MAX).unwrap();
    assert_eq!(read(environ.input()), Err(4), "it has failed, and stays so");

    let mut environ = limited(9);
    environ.input().read_exact(&mut [0]).unwrap();
    environ.wrap_input(same);
    environ.input().limit(10).unwrap();
    assert_eq!(read(environ.input()), Ok(9));
}

#[test]
fn a_wrapped_body_blocks_where_the_request_may() {
    let (mut environ, _) = Request::post([Step::Data("1")]).on_reactor().environ();
    environ.wrap_input(same);
    assert!(environ.input().collect(9).is_err());
    assert_eq!(block_on(environ.input().collect_async(9)).unwrap(), "1");
}
