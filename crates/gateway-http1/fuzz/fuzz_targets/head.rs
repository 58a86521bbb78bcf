//! Request heads: pieces do not matter, and whatever the engine takes httparse takes alike. The
//! engine may be stricter, but not about names, values and versions.

#![no_main]

use gateway_http1::{BodyLength, Error, Event, Limits, Span, TargetForm};
use gateway_http1_fuzz::{Input, Peer, Pieces, Request};
use http::Version;
use httparse::Status;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq)]
enum Outcome {
    Request(Request),
    Refused(Error),
    Closed,
    Unfinished,
}

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::new(data) else { return };
    let [whole, bytewise, cut] = input.ways().map(|pieces| outcome(&input, pieces));
    assert_eq!(whole, bytewise, "byte by byte");
    assert_eq!(whole, cut, "in pieces");
    match whole {
        Outcome::Request(request) => {
            check_against_httparse(&request);
            check_target(&request);
            check_framing(&request);
            check_limits(&request, &input.config().limits);
        }
        Outcome::Refused(Error::IncompleteHead) | Outcome::Unfinished | Outcome::Closed => {
            assert!(!is_taken_by_httparse(input.bytes), "httparse sees a whole head");
        }
        Outcome::Refused(error) => {
            assert!(!is_refused_by_both(error) || !is_taken_by_httparse(input.bytes), "{error:?}");
        }
    }
});

fn outcome<'a>(input: &Input<'a>, pieces: Pieces<'a>) -> Outcome {
    let mut peer = Peer::new(input, pieces);
    match peer.next_event() {
        Some(Ok(Event::Request(head))) => Outcome::Request(Request::new(head, &peer.connection)),
        Some(Ok(Event::Closed)) => Outcome::Closed,
        Some(Ok(other)) => panic!("{other:?}"),
        Some(Err(error)) => Outcome::Refused(error),
        None => Outcome::Unfinished,
    }
}

fn check_against_httparse(Request { head, fields }: &Request) {
    let of = |span: Span| span.of(&head.bytes);
    // RFC 9110 section 2.5: a higher minor version is taken as 1.1. httparse does not know it.
    let mut bytes = head.bytes.to_vec();
    let minor = &mut bytes[head.target.range().end + " HTTP/1.".len()];
    *minor = (*minor).min(b'1');

    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut theirs = httparse::Request::new(&mut headers);
    assert_eq!(theirs.parse(&bytes), Ok(Status::Complete(bytes.len())));
    assert_eq!(theirs.method, Some(head.method.as_str()));
    assert_eq!(theirs.path.map(str::as_bytes), Some(of(head.target)));
    assert_eq!(theirs.version, Some(u8::from(head.version == Version::HTTP_11)));
    assert_eq!(theirs.headers.len(), fields.len());
    for (theirs, ours) in theirs.headers.iter().zip(fields) {
        assert_eq!((theirs.name.as_bytes(), theirs.value), (of(ours.name), of(ours.value)));
    }
}

/// The parts make up the whole.
fn check_target(Request { head, .. }: &Request) {
    let of = |span: Option<Span>| span.map_or(&b""[..], |span| span.of(&head.bytes));
    let (target, path) = (of(Some(head.target)), of(Some(head.path)));
    let scheme = match head.form {
        TargetForm::Origin => "",
        TargetForm::Absolute => "http://",
        TargetForm::Asterisk => return assert_eq!(target, b"*"),
    };
    assert!(path.starts_with(b"/") || path.is_empty() && head.form == TargetForm::Absolute);
    assert_eq!(head.authority.is_some(), head.form == TargetForm::Absolute);
    let mark = if head.query.is_some() { "?" } else { "" };
    let parts = [of(head.authority), path, mark.as_bytes(), of(head.query)].concat();
    assert!(target[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes()));
    assert_eq!(parts, target[scheme.len()..]);
}

/// No reader of these fields, however lenient, can see another body or another host.
fn check_framing(request: &Request) {
    let head = &request.head;
    let (lengths, codings) =
        (request.values("content-length"), request.values("transfer-encoding"));
    match (head.body, &lengths[..], &codings[..]) {
        (BodyLength::None, [], []) => {}
        (BodyLength::Length(length), [digits], []) => {
            assert!(digits.iter().all(u8::is_ascii_digit));
            let text = str::from_utf8(digits).expect("digits");
            assert_eq!(text.parse(), Ok(length));
        }
        (BodyLength::Chunked, [], [coding]) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"));
            assert_eq!(head.version, Version::HTTP_11);
        }
        other => panic!("{other:?}"),
    }
    match (head.host, &request.values("host")[..]) {
        (None, []) => assert_eq!(head.version, Version::HTTP_10),
        (Some(host), [value]) => assert_eq!(host.of(&head.bytes), *value),
        other => panic!("{other:?}"),
    }
    if head.expect_continue {
        assert!(request.values("expect")[0].eq_ignore_ascii_case(b"100-continue"));
        assert!(!head.body.is_empty() && head.version == Version::HTTP_11);
    }
    if head.upgrade {
        assert!(!request.values("upgrade").is_empty() && head.version == Version::HTTP_11);
    }
}

fn check_limits(Request { head, fields }: &Request, limits: &Limits) {
    assert!(head.method.as_str().len() <= limits.method);
    assert!(head.target.range().end + " HTTP/1.1".len() <= limits.request_line);
    assert!(head.bytes.len() <= limits.head);
    assert!(fields.len() <= limits.headers);
}

fn is_taken_by_httparse(bytes: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    matches!(httparse::Request::new(&mut headers).parse(bytes), Ok(Status::Complete(_)))
}

fn is_refused_by_both(error: Error) -> bool {
    matches!(
        error,
        Error::FieldName
            | Error::FieldValue
            | Error::Fold
            | Error::Version
            | Error::VersionUnsupported
    )
}
