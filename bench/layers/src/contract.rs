//! The contract between application and server, onto a wire that takes everything.

use gateway_core::bytes::Bytes;
use gateway_core::http::header::{CONTENT_TYPE, HeaderValue};
use gateway_core::http::{HeaderMap, Method, StatusCode};
use gateway_core::{Body, Head};
use gateway_handler::{Contract, Framing, Rest, Terms, Wire};

use crate::HELLO;

pub fn run(count: u64) {
    let mut contract = Contract::default();
    let mut wire = Counting::default();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let mut head = Head::new(StatusCode::OK, headers);
    for _ in 0..count {
        contract.begin(Terms::new(&Method::GET, false));
        let mut body = Body::from(HELLO);
        let rest = contract.respond(&mut wire, &mut head, false, &mut body);
        assert!(matches!(rest, Ok(Rest::Done)), "nothing has to be pumped");
        assert!(!contract.has_leftovers(), "the next exchange can begin");
    }
    assert_eq!((wire.heads, wire.ends), (count, count));
    assert_eq!(wire.bytes, count * HELLO.len() as u64);
}

#[derive(Default)]
struct Counting {
    heads: u64,
    bytes: u64,
    ends: u64,
}

impl Wire for Counting {
    fn informational(&mut self, _: StatusCode, _: &HeaderMap) {}

    fn head(&mut self, _: &Head, framing: Framing) {
        self.heads += u64::from(framing.length == Some(HELLO.len() as u64));
    }

    fn data(&mut self, data: Bytes) {
        self.bytes += data.len() as u64;
    }

    fn announce(&mut self, _: u64) {}

    fn end(&mut self, _: Option<HeaderMap>) {
        self.ends += 1;
    }

    fn cut(&mut self) {}
}
