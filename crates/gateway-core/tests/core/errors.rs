//! Errors that went through a library, and what an error says in its response's head.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use gateway_core::http::StatusCode;
use gateway_core::http::header::{ALLOW, HeaderMap, HeaderValue, RETRY_AFTER, SET_COOKIE};
use gateway_core::{ApplicationError, BoxError, Error, PeerError, ServerError};

use crate::exchange::{Request, Step};

fn too_large() -> PeerError {
    PeerError::BodyTooLarge { limit: 7 }
}

/// What a library makes of an error that its reader gave it.
#[derive(Debug)]
struct Wrapped(BoxError);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the document cannot be read")
    }
}

impl StdError for Wrapped {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

fn wrapped(cause: impl Into<BoxError>, times: usize) -> BoxError {
    (0..times).fold(cause.into(), |cause, _| Box::new(Wrapped(cause)))
}

/// Every way by which an error without a status of its own becomes one of ours.
#[track_caller]
fn check(make: impl Fn() -> BoxError, expected: StatusCode) {
    let through_io = || Error::from(io::Error::other(make()));
    let again = || Error::from(io::Error::from(Error::application(make())));
    for error in [Error::application(make()), Error::from(make()), through_io(), again()] {
        assert_eq!(error.status(), expected, "{error:?}");
    }
}

#[test]
fn a_fault_of_the_peer_stays_one_however_it_is_wrapped() {
    check(|| Box::new(too_large()), StatusCode::PAYLOAD_TOO_LARGE);
    check(|| Box::new(Error::from(too_large())), StatusCode::PAYLOAD_TOO_LARGE);
    check(|| Box::new(io::Error::from(Error::from(too_large()))), StatusCode::PAYLOAD_TOO_LARGE);
    check(|| Box::new(io::Error::other(too_large())), StatusCode::PAYLOAD_TOO_LARGE);
    for times in [1, 2, 9] {
        check(|| wrapped(too_large(), times), StatusCode::PAYLOAD_TOO_LARGE);
        check(|| wrapped(Error::from(too_large()), times), StatusCode::PAYLOAD_TOO_LARGE);
        let as_io = || io::Error::from(Error::from(PeerError::BodyTimeout));
        check(|| wrapped(as_io(), times), StatusCode::REQUEST_TIMEOUT);
        let twice = || io::Error::new(io::ErrorKind::InvalidData, io::Error::other(as_io()));
        check(|| wrapped(twice(), times), StatusCode::REQUEST_TIMEOUT);
        check(|| wrapped(Error::Io(as_io()), times), StatusCode::REQUEST_TIMEOUT);
    }
    let malformed =
        || PeerError::Malformed { status: StatusCode::URI_TOO_LONG, cause: "long".into() };
    check(|| wrapped(malformed(), 1), StatusCode::URI_TOO_LONG);

    let error = Error::application(wrapped(too_large(), 2));
    assert!(matches!(error, Error::Peer(PeerError::BodyTooLarge { limit: 7 })), "{error:?}");
    let gone = Error::application(wrapped(PeerError::Disconnected, 2));
    assert!(gone.is_disconnect(), "{gone:?}");
}

/// `serde_json` calls the source of its `io::Error` its own, and an `io::Error` that of its content.
#[test]
fn a_body_over_the_limit_is_413_through_a_parser() {
    let steps = [Step::Data("[1, 2, "), Step::Data("3, 4]")];
    let (mut environ, _) = Request::post(steps).limit(9).environ();
    let cause = serde_json::from_reader::<_, Vec<u32>>(environ.input()).unwrap_err();
    let text = cause.to_string();
    assert!(text.contains("larger than 9 bytes"), "{text}");
    let error = Error::application(cause);
    assert!(matches!(error, Error::Peer(PeerError::BodyTooLarge { limit: 9 })), "{error:?}");

    let (mut environ, _) = Request::post([Step::Data("[1]")]).on_reactor().environ();
    let cause = serde_json::from_reader::<_, Vec<u32>>(environ.input()).unwrap_err();
    let error = Error::application(cause);
    let would_block = ApplicationError::WouldBlock { call: "Input::read" }.to_string();
    assert_eq!(error.to_string(), would_block);

    let cause = serde_json::from_str::<Vec<u32>>("[1").unwrap_err();
    assert_eq!(Error::application(cause).status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn what_else_has_a_status_keeps_it() {
    for times in [0, 1, 3] {
        check(|| wrapped(ServerError::Overloaded, times), StatusCode::SERVICE_UNAVAILABLE);
        check(|| wrapped(ServerError::ShuttingDown, times), StatusCode::SERVICE_UNAVAILABLE);
        let gone = || Error::with_status(StatusCode::GONE, "old");
        check(|| wrapped(gone(), times), StatusCode::GONE);
        check(|| wrapped(ApplicationError::HeadSent, times), StatusCode::INTERNAL_SERVER_ERROR);
        check(|| wrapped("anything", times), StatusCode::INTERNAL_SERVER_ERROR);
    }
    let error = Error::application(wrapped(Error::with_status(StatusCode::GONE, "old"), 1));
    let source = error.source().expect("the cause is kept");
    assert_eq!(source.to_string(), "the document cannot be read");
}

#[test]
fn a_status_that_was_asked_for_goes_before_one_that_is_found() {
    let error = Error::with_status(StatusCode::BAD_REQUEST, wrapped(too_large(), 1));
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn a_cause_without_a_status_is_kept_whole() {
    let error = Error::application(io::Error::other("the disk is full"));
    assert_eq!(error.to_string(), "the application failed with 500 Internal Server Error");
    assert_eq!(error.source().unwrap().to_string(), "the disk is full");
    let error = Error::from(io::Error::from(io::ErrorKind::NotFound));
    assert!(matches!(&error, Error::Io(cause) if cause.kind() == io::ErrorKind::NotFound));
    let boxed: BoxError = Box::new(io::Error::from(io::ErrorKind::NotFound));
    assert!(matches!(Error::from(boxed), Error::Io(_)));
}

/// Nobody knows what an error calls its source.
#[test]
fn a_chain_without_an_end_is_not_followed_for_ever() {
    #[derive(Debug)]
    struct Circle;

    impl fmt::Display for Circle {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("round")
        }
    }

    impl StdError for Circle {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(self)
        }
    }

    check(|| Box::new(Circle), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn an_error_has_fields_for_its_response() {
    let error = Error::with_status(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
    assert_eq!(error.headers(), None);
    let error = error.with_headers([(ALLOW, "GET, HEAD")]);
    assert_eq!(error.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(error.source().unwrap().to_string(), "only GET and HEAD");
    assert_eq!(error.headers().unwrap()[ALLOW], "GET, HEAD");

    // Fields of one name stay together and replace those of an earlier call.
    let cookies = [(SET_COOKIE, "a=1"), (SET_COOKIE, "b=2")];
    let error = error.with_headers(cookies).with_headers([(ALLOW, "PUT")]).with_headers(());
    let headers = error.headers().unwrap();
    assert_eq!(headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(headers.get_all(ALLOW).iter().collect::<Vec<_>>(), ["PUT"]);
}

#[test]
fn every_error_can_have_fields() {
    let later = || HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from(30))]);
    for error in [
        Error::from(ServerError::Overloaded),
        too_large().into(),
        ApplicationError::HeadSent.into(),
        io::Error::other("the disk is full").into(),
    ] {
        let (status, text) = (error.status(), error.to_string());
        let error = error.with_headers(later());
        assert_eq!(error.status(), status);
        assert_eq!(error.headers(), Some(&later()));
        assert_eq!(error.source().unwrap().to_string(), text);
    }
    let gone = Error::from(PeerError::Disconnected).with_headers(later());
    assert!(gone.is_disconnect() && gone.headers().is_none(), "{gone:?}");
}

#[test]
fn fields_travel_with_their_error() {
    let refused = || {
        Error::with_status(StatusCode::METHOD_NOT_ALLOWED, "only GET")
            .with_headers([(ALLOW, "GET")])
    };
    let allow = |error: &Error| error.headers().map(|headers| headers[ALLOW].clone());
    for error in [
        Error::application(refused()),
        Error::from(io::Error::from(refused())),
        Error::application(wrapped(refused(), 2)),
    ] {
        assert_eq!(allow(&error).unwrap(), "GET");
    }
    let (mut environ, _) = Request::post([Step::Fails(refused())]).environ();
    for _ in 0..2 {
        assert_eq!(allow(&environ.input().data().unwrap().unwrap_err()).unwrap(), "GET");
    }
}
