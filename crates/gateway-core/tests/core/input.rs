//! The request body.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::bytes::Bytes;
use gateway_core::http::{HeaderMap, HeaderValue, StatusCode};
use gateway_core::http_body::{Body, Frame};
use gateway_core::{ApplicationError, BoxError, Error, Input, PeerError};

use crate::exchange::{Request, Step, block_on};

fn too_large(error: &Error) -> Option<u64> {
    match error {
        Error::Peer(PeerError::BodyTooLarge { limit }) => Some(*limit),
        _ => None,
    }
}

fn would_block(error: &Error) -> Option<&'static str> {
    match error {
        Error::Application(ApplicationError::WouldBlock { call }) => Some(call),
        _ => None,
    }
}

fn pieces() -> Request {
    Request::post([
        Step::Data("line "),
        Step::Waits,
        Step::Data(""),
        Step::Data("one\nli"),
        Step::Data("ne two"),
    ])
}

#[test]
fn is_read_by_blocking() {
    let (mut environ, _) = pieces().environ();
    let input = environ.input();
    let mut text = String::new();
    input.read_line(&mut text).unwrap();
    assert_eq!(text, "line one\n");
    assert_eq!(input.read(&mut []).unwrap(), 0);
    assert!(!input.is_end());
    text.clear();
    input.read_to_string(&mut text).unwrap();
    assert_eq!(text, "line two");
    assert!(input.is_end());
    assert_eq!(input.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn is_taken_datum_by_datum() {
    let (mut environ, _) = pieces().environ();
    let data: Vec<Bytes> =
        std::iter::from_fn(|| environ.input().data()).map(Result::unwrap).collect();
    assert_eq!(data, ["line ", "one\nli", "ne two"]);
    assert!(environ.input().data().is_none());
}

#[test]
fn is_awaited_on_a_reactor() {
    let (mut environ, _) = pieces().on_reactor().environ();
    let whole = block_on(async {
        let input = environ.input();
        assert_eq!(input.data_async().await.unwrap().unwrap(), "line ");
        input.collect_async(100).await.unwrap()
    });
    assert_eq!(whole, "one\nline two");
}

#[test]
fn is_collected_in_one_piece() {
    let (mut environ, _) = pieces().environ();
    assert_eq!(environ.input().collect(100).unwrap(), "line one\nline two");
    assert_eq!(environ.input().collect(100).unwrap(), "");
    let (mut environ, _) = pieces().on_reactor().environ();
    assert_eq!(block_on(environ.input().collect_async(100)).unwrap(), "line one\nline two");
}

#[test]
fn a_body_of_one_datum_is_not_copied() {
    let body = Bytes::from_static(b"all at once");
    let collected = Input::from_bytes(body.clone()).collect(100).unwrap();
    assert_eq!(collected.as_ptr(), body.as_ptr());
}

#[test]
fn nothing_is_read_that_nobody_asks_for() {
    let (mut environ, exchange) = pieces().environ();
    environ.input().limit(1 << 40).unwrap();
    assert_eq!(environ.input().declared_len(), None);
    assert!(!environ.input().is_end());
    assert_eq!(exchange.input_polls(), 0);
    environ.input().data().unwrap().unwrap();
    assert_eq!(exchange.input_polls(), 1);
}

#[test]
fn a_declared_length_over_the_limit_fails_before_anything_is_read() {
    let (mut environ, exchange) =
        Request::post([Step::Data("12345")]).declared(5).limit(4).environ();
    let input = environ.input();
    let error = Error::from(input.read(&mut [0; 1]).unwrap_err());
    assert_eq!(too_large(&error), Some(4), "{error:?}");
    assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(exchange.input_polls(), 0, "no 100 Continue was asked for");
    // Not even a second try makes it look like a short body.
    let error = input.data().unwrap().unwrap_err();
    assert_eq!(too_large(&error), Some(4), "{error:?}");
    assert!(!input.is_end());
    assert_eq!(exchange.input_polls(), 0);
}

#[test]
fn the_same_by_every_way_to_read() {
    let over = || Request::post([Step::Data("12345")]).declared(5).limit(4).environ();
    let (mut environ, exchange) = over();
    assert_eq!(too_large(&environ.input().collect(4).unwrap_err()), Some(4));
    let (mut other, other_exchange) = over();
    let error = block_on(other.input().collect_async(3)).unwrap_err();
    assert_eq!(too_large(&error), Some(3));
    let (mut third, third_exchange) = over();
    let error = Error::from(third.input().fill_buf().unwrap_err());
    assert_eq!(too_large(&error), Some(4));
    for exchange in [exchange, other_exchange, third_exchange] {
        assert_eq!(exchange.input_polls(), 0);
    }
    let mut memory = Input::from_bytes("12345");
    memory.limit(4).unwrap();
    let error = Error::from(memory.read(&mut [0; 1]).unwrap_err());
    assert_eq!(too_large(&error), Some(4));
}

#[test]
fn a_body_of_exactly_the_limit_is_taken() {
    let steps = || [Step::Data("123"), Step::Data("45")];
    let (mut environ, _) = Request::post(steps()).limit(5).environ();
    let mut text = String::new();
    environ.input().read_to_string(&mut text).unwrap();
    assert_eq!(text, "12345");
    let (mut environ, _) = Request::post(steps()).declared(5).limit(1).environ();
    assert_eq!(environ.input().collect(5).unwrap(), "12345");
}

#[test]
fn an_undeclared_body_fails_where_it_crosses_the_limit() {
    let steps = || [Step::Data("123"), Step::Data("45"), Step::Data("6")];
    let (mut environ, exchange) = Request::post(steps()).limit(4).environ();
    let input = environ.input();
    assert_eq!(input.data().unwrap().unwrap(), "123");
    for _ in 0..3 {
        assert_eq!(too_large(&input.data().unwrap().unwrap_err()), Some(4));
    }
    assert_eq!(exchange.input_polls(), 2, "the rest is left where it is");

    let (mut environ, _) = Request::post(steps()).environ();
    assert_eq!(too_large(&environ.input().collect(5).unwrap_err()), Some(5));
}

#[test]
fn the_limit_is_lifted_before_the_first_read_only() {
    let (mut environ, _) = Request::post([Step::Data("12345")]).declared(5).limit(4).environ();
    environ.input().limit(u64::MAX).unwrap();
    assert_eq!(environ.input().data().unwrap().unwrap(), "12345");
    let error = environ.input().limit(9).unwrap_err();
    assert!(matches!(error, Error::Application(ApplicationError::LimitAfterRead)));
}

#[test]
fn collecting_the_rest_keeps_to_both_limits() {
    let steps = || [Step::Data("first\nse"), Step::Data("cond"), Step::Data("third")];
    let (mut environ, _) = Request::post(steps()).environ();
    environ.input().read_line(&mut String::new()).unwrap();
    assert_eq!(environ.input().collect(11).unwrap(), "secondthird");

    let (mut environ, _) = Request::post(steps()).environ();
    environ.input().read_line(&mut String::new()).unwrap();
    assert_eq!(too_large(&environ.input().collect(10).unwrap_err()), Some(10));

    let (mut environ, _) = Request::post(steps()).limit(16).environ();
    environ.input().read_line(&mut String::new()).unwrap();
    assert_eq!(too_large(&environ.input().collect(100).unwrap_err()), Some(16));
}

#[test]
fn a_body_that_was_cut_off_never_ends_well() {
    let (mut environ, _) =
        Request::post([Step::Data("half"), Step::Fails(PeerError::Disconnected.into())])
            .declared(8)
            .environ();
    let input = environ.input();
    let mut text = String::new();
    let error = input.read_to_string(&mut text).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    for _ in 0..2 {
        assert!(input.data().unwrap().unwrap_err().is_disconnect());
        assert!(Error::from(input.read(&mut [0; 4]).unwrap_err()).is_disconnect());
        assert!(input.collect(100).unwrap_err().is_disconnect());
        assert!(!input.is_end());
    }
}

#[test]
fn every_error_comes_again_with_its_status() {
    let malformed = || PeerError::Malformed {
        status: StatusCode::BAD_REQUEST,
        cause: "a chunk size that is none".into(),
    };
    for error in [
        malformed().into(),
        PeerError::BodyTimeout.into(),
        PeerError::TooSlow.into(),
        ApplicationError::ExchangeOver.into(),
        Error::with_status(StatusCode::IM_A_TEAPOT, "short and stout"),
        Error::from(io::Error::from(io::ErrorKind::ConnectionReset)),
    ] {
        let expected = (error.status(), error.to_string());
        let (mut environ, _) = Request::post([Step::Fails(error)]).environ();
        for _ in 0..2 {
            let error = environ.input().data().unwrap().unwrap_err();
            assert_eq!(error.status(), expected.0);
            assert!(error.to_string().contains(&expected.1) || error.status() == 418, "{error}");
        }
    }
}

/// `read_to_end` tries again after `Interrupted`: a source that stays broken must not say so.
#[test]
fn an_interrupted_source_is_not_read_for_ever() {
    let interrupted = Error::from(io::Error::from(io::ErrorKind::Interrupted));
    let (mut environ, _) = Request::post([Step::Fails(interrupted)]).environ();
    let error = environ.input().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other);
}

#[test]
fn blocking_on_a_reactor_is_a_typed_error_that_breaks_nothing() {
    let (mut environ, exchange) = pieces().on_reactor().environ();
    let input = environ.input();
    let error = input.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(would_block(&Error::from(error)), Some("Input::read"));
    assert_eq!(would_block(&input.data().unwrap().unwrap_err()), Some("Input::data"));
    assert_eq!(would_block(&input.collect(9).unwrap_err()), Some("Input::collect"));
    assert_eq!(exchange.input_polls(), 0);
    assert_eq!(block_on(input.collect_async(100)).unwrap(), "line one\nline two");
}

/// What a worker has left in the buffer is at hand; what comes after it is not.
#[test]
fn what_was_read_ahead_can_be_taken_on_a_reactor_and_no_more() {
    let (mut environ, exchange) =
        Request::post([Step::Data("first\nsecond\n"), Step::Data("third")]).environ();
    let input = environ.input();
    input.read_line(&mut String::new()).unwrap();
    exchange.move_to_reactor();
    assert_eq!(would_block(&input.collect(100).unwrap_err()), Some("Input::collect"));
    assert_eq!(exchange.input_polls(), 1);
    let mut text = String::new();
    input.read_line(&mut text).unwrap();
    assert_eq!(text, "second\n");
    let error = Error::from(input.read_line(&mut text).unwrap_err());
    assert_eq!(would_block(&error), Some("Input::read"));
    assert_eq!(block_on(input.collect_async(100)).unwrap(), "third");
    assert_eq!(input.collect(100).unwrap(), "", "the end is known by now");

    let (mut environ, exchange) = Request::post([Step::Data("a\nb"), Step::Data("c")]).environ();
    let input = environ.input();
    input.read_line(&mut String::new()).unwrap();
    exchange.move_to_reactor();
    assert_eq!(input.data().unwrap().unwrap(), "b");
    assert_eq!(would_block(&input.data().unwrap().unwrap_err()), Some("Input::data"));
}

#[test]
fn the_same_holds_for_a_body_that_middleware_put_there() {
    let (mut environ, _) = Request::get("/").on_reactor().environ();
    environ.set_input(Input::from_body(Pieces::of(["abc"])));
    assert_eq!(would_block(&environ.input().collect(9).unwrap_err()), Some("Input::collect"));
    assert_eq!(block_on(environ.input().collect_async(9)).unwrap(), "abc");

    let (mut environ, _) = Request::get("/").environ();
    environ.set_input(Input::from_body(Pieces::of(["abc"])));
    assert_eq!(environ.input().collect(9).unwrap(), "abc");
}

#[test]
fn trailers_stand_behind_the_end() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("abc"));
    let steps = || [Step::Data("body"), Step::Trailers(trailers.clone())];
    let (mut environ, _) = Request::post(steps()).environ();
    let input = environ.input();
    assert_eq!(input.data().unwrap().unwrap(), "body");
    assert!(input.trailers().is_none());
    assert!(input.data().is_none());
    assert_eq!(input.trailers(), Some(&trailers));
    assert_eq!(environ.var("HTTP_X_CHECKSUM"), None);

    let (mut environ, _) = Request::post(steps()).environ();
    let mut input = environ.take_input();
    let frames = block_on(async {
        let mut frames = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut input).poll_frame(cx)).await
        {
            frames.push(frame.unwrap());
        }
        frames
    });
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].data_ref().unwrap(), "body");
    assert_eq!(frames[1].trailers_ref(), Some(&trailers));
    assert!(input.is_end_stream());
}

#[test]
fn the_size_hint_says_what_is_left() {
    let exact = |input: &Input| input.size_hint().exact();
    let (mut environ, _) =
        Request::post([Step::Data("12345"), Step::Data("678")]).declared(8).environ();
    let input = environ.input();
    assert_eq!(exact(input), Some(8));
    input.read_exact(&mut [0; 2]).unwrap();
    assert_eq!(exact(input), Some(6));
    input.collect(100).unwrap();
    assert_eq!(exact(input), Some(0));

    let (mut environ, _) = pieces().environ();
    let input = environ.input();
    assert_eq!(exact(input), None);
    input.read_exact(&mut [0; 2]).unwrap();
    assert_eq!((input.size_hint().lower(), exact(input)), (3, None));
    input.collect(100).unwrap();
    assert_eq!(exact(input), Some(0));

    let mut input = Input::from_bytes("123");
    assert_eq!(exact(&input), Some(3));
    input.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(exact(&input), Some(2));
    assert_eq!(exact(&Input::empty()), Some(0));
}

#[test]
fn consuming_past_the_buffer_takes_the_buffer() {
    let mut input = Input::from_bytes("12345");
    assert_eq!(input.fill_buf().unwrap(), b"12345");
    input.consume(2);
    assert_eq!(input.fill_buf().unwrap(), b"345");
    input.consume(99);
    assert!(input.fill_buf().unwrap().is_empty());
}

#[test]
fn a_body_of_middleware_has_limits_and_errors_too() {
    let mut input = Input::from_body(Pieces::of(["123", "", "45"]));
    assert_eq!(input.declared_len(), None);
    assert_eq!(input.collect(5).unwrap(), "12345");
    let error = Input::from_body(Pieces::of(["123", "45"])).collect(4).unwrap_err();
    assert_eq!(too_large(&error), Some(4));

    // An error of ours that travelled in a box, or in an io::Error in a box, is itself again.
    let boxed: BoxError = Box::new(PeerError::BodyTimeout);
    let error = Input::from_body(Pieces::failing(boxed)).collect(9).unwrap_err();
    assert_eq!(error.status(), StatusCode::REQUEST_TIMEOUT);
    let inner = io::Error::from(Error::from(PeerError::BodyTooLarge { limit: 7 }));
    let error = Input::from_body(Pieces::failing(Box::new(inner))).collect(9).unwrap_err();
    assert_eq!(too_large(&error), Some(7));
    let error = Input::from_body(Pieces::failing("not gzip".into())).collect(9).unwrap_err();
    assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

struct Pieces {
    data: VecDeque<&'static str>,
    error: Option<BoxError>,
}

impl Pieces {
    fn of<const N: usize>(data: [&'static str; N]) -> Pieces {
        Pieces { data: data.into(), error: None }
    }

    fn failing(error: BoxError) -> Pieces {
        Pieces { data: VecDeque::new(), error: Some(error) }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match (self.data.pop_front(), self.error.take()) {
            (Some(data), error) => {
                self.error = error;
                Some(Ok(Frame::data(data.into())))
            }
            (None, Some(error)) => Some(Err(error)),
            (None, None) => None,
        })
    }
}
