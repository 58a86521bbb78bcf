//! Chunked bodies: pieces do not matter, and the engine takes what the reference takes, alike.

#![no_main]

use gateway_http1::{Event, Limits};
use gateway_http1_fuzz::reference::{self, Stop};
use gateway_http1_fuzz::{Input, Peer, Pieces};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const HEAD_FIELDS: usize = 2;

#[derive(Debug, PartialEq)]
struct Outcome {
    data: Vec<u8>,
    end: Result<End, Stop>,
}

#[derive(Debug, PartialEq)]
struct End {
    trailers: HeaderMap,
    /// What belongs to the next message.
    rest: Vec<u8>,
}

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::new(data) else { return };
    let [whole, bytewise, cut] = input.ways().map(|pieces| outcome(&input, pieces));
    assert_eq!(whole, bytewise, "byte by byte");
    assert_eq!(whole, cut, "in pieces");
    check_against_reference(&whole, input.bytes, &input.config().limits);
});

fn outcome<'a>(input: &Input<'a>, pieces: Pieces<'a>) -> Outcome {
    let mut peer = Peer::new(input, pieces);
    peer.send(HEAD);
    assert!(matches!(peer.next_event(), Some(Ok(Event::Request(_)))));
    let mut data = Vec::new();
    let end = loop {
        match peer.next_event() {
            Some(Ok(Event::Data(more))) => data.extend_from_slice(&more),
            Some(Ok(Event::End(trailers))) => {
                assert!(trailers.as_ref().is_none_or(|trailers| !trailers.is_empty()));
                let trailers = trailers.unwrap_or_default();
                break Ok(End { trailers, rest: peer.rest() });
            }
            Some(Ok(other)) => panic!("{other:?}"),
            Some(Err(gateway_http1::Error::IncompleteBody)) | None => break Err(Stop::Unfinished),
            Some(Err(_)) => break Err(Stop::Refused),
        }
    };
    Outcome { data, end }
}

fn check_against_reference(ours: &Outcome, bytes: &[u8], limits: &Limits) {
    let mut data = Vec::new();
    let theirs = reference::decode(bytes, HEAD_FIELDS, limits, &mut data);
    assert_eq!(ours.data, data);
    match (&ours.end, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.rest, theirs.rest);
            check_trailers(&ours.trailers, &theirs.trailers);
        }
        (Err(ours), Err(theirs)) if ours == theirs => {}
        // The engine need not wait for the end of a line that has gone wrong.
        (Err(Stop::Refused), Err(Stop::Unfinished)) => {}
        _ => panic!("{:?}, but the reference {theirs:?}", ours.end),
    }
}

/// Every trailer is there in its order, or none of its name is.
fn check_trailers(ours: &HeaderMap, theirs: &[(&[u8], &[u8])]) {
    let values = |wanted: &str| -> Vec<&[u8]> {
        let named = |(name, _): &&(&[u8], &[u8])| name.eq_ignore_ascii_case(wanted.as_bytes());
        theirs.iter().filter(named).map(|(_, value)| *value).collect()
    };
    for name in ours.keys() {
        assert!(ours.get_all(name).iter().eq(values(name.as_str())), "{name}");
    }
    for harmless in ["x-sum", "a"] {
        assert_eq!(ours.contains_key(harmless), !values(harmless).is_empty());
    }
    // They would come too late, behind decisions made without them (RFC 9110 section 6.5.1).
    for harmful in ["content-length", "transfer-encoding", "host", "authorization"] {
        assert!(!ours.contains_key(harmful));
    }
}
