//! Bytes to a request head, and a response to bytes.

use std::sync::Arc;
use std::time::Instant;

use gateway_core::bytes::Bytes;
use gateway_core::http::header::{CONTENT_TYPE, HeaderValue};
use gateway_core::http::{HeaderMap, StatusCode};
use gateway_http1::{Config, Connection, Event, Next, Output, ResponseHead};

use crate::HELLO;

pub fn run(request: &[u8], count: u64) {
    let now = Instant::now();
    let mut engine = Connection::new(Arc::new(Config::default()));
    let mut output = Output::default();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let mut head = ResponseHead::new(StatusCode::OK, &headers);
    head.length = Some(HELLO.len() as u64);
    head.date = Some(b"Sun, 06 Nov 1994 08:49:37 GMT");
    head.server = Some(b"layers");
    for _ in 0..count {
        let mut buffer = engine.take_buffer();
        buffer.extend_from_slice(request);
        engine.receive(buffer);
        let Ok(Event::Request(_)) = engine.next_event() else { panic!("a whole request came") };
        engine.send_head(&head, &mut output).expect("a head is due");
        engine.send_data(Bytes::from_static(HELLO.as_bytes()), &mut output).expect("data is due");
        engine.send_end(None, &mut output).expect("the end is due");
        let written = output.len();
        assert!(output.first().ends_with(HELLO.as_bytes()), "all of it is contiguous");
        output.advance(written);
        engine.sent(written, output.len(), now);
        assert_eq!(engine.start_next_cycle(), Next::Ready);
        assert!(engine.poll_timeout(now).is_some(), "it waits for the next request");
    }
}
