use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway_http1::{
    Config, Connection, Error, Event, Next, Output, RequestHead, ResponseHead, Timeout,
};
use http::{HeaderMap, StatusCode};

/// One connection, its output and its clock.
pub(crate) struct World {
    pub(crate) connection: Connection,
    pub(crate) output: Output,
    pub(crate) now: Instant,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap();
        let connection = Connection::new(Arc::new(config));
        Self { connection, output: Output::default(), now: base() }
    }

    /// The peer sends.
    pub(crate) fn receive(&mut self, bytes: impl AsRef<[u8]>) {
        let mut buffer = self.connection.take_buffer();
        buffer.extend_from_slice(bytes.as_ref());
        self.connection.receive(buffer);
    }

    /// The peer sends a head, and it is told.
    #[track_caller]
    pub(crate) fn request(&mut self, bytes: impl AsRef<[u8]>) -> RequestHead {
        self.receive(bytes);
        self.head()
    }

    #[track_caller]
    pub(crate) fn head(&mut self) -> RequestHead {
        match self.connection.next_event() {
            Ok(Event::Request(head)) => head,
            other => panic!("no request but {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn error(&mut self) -> Error {
        match self.connection.next_event() {
            Err(error) => error,
            Ok(event) => panic!("no error but {event:?}"),
        }
    }

    /// All data that can be told now, until the end or until more is needed.
    #[track_caller]
    pub(crate) fn body(&mut self) -> (Vec<u8>, Option<HeaderMap>) {
        let mut data = Vec::new();
        loop {
            match self.connection.next_event().unwrap() {
                Event::Data(more) => data.extend_from_slice(&more),
                Event::End(trailers) => return (data, trailers),
                Event::NeedData => return (data, None),
                other => panic!("no body but {other:?}"),
            }
        }
    }

    /// Answers with 200 and a body of known length.
    #[track_caller]
    pub(crate) fn answer(&mut self, body: &'static str) -> String {
        self.answer_with(StatusCode::OK, Some(body.len() as u64), body)
    }

    #[track_caller]
    pub(crate) fn answer_with(
        &mut self,
        status: StatusCode,
        length: Option<u64>,
        body: &'static str,
    ) -> String {
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(status, &headers);
        head.length = length;
        self.connection.send_head(&head, &mut self.output).unwrap();
        self.connection.send_data(Bytes::from_static(body.as_bytes()), &mut self.output).unwrap();
        self.connection.send_end(None, &mut self.output).unwrap();
        self.written()
    }

    /// Everything that waits is written.
    pub(crate) fn written(&mut self) -> String {
        let mut written = Vec::new();
        while !self.output.is_empty() {
            written.extend_from_slice(self.output.first());
            let length = self.output.first().len();
            self.output.advance(length);
        }
        self.connection.sent(written.len(), 0, self.now);
        String::from_utf8(written).unwrap()
    }

    pub(crate) fn next(&mut self) -> Next {
        self.connection.start_next_cycle()
    }

    /// Waits, for the peer or for the application.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.deadline();
        self.now += time;
    }

    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        self.connection.poll_timeout(self.now)
    }

    /// Whether the next deadline is exactly `after` from now, and nothing is due a nanosecond before;
    /// then lets the time pass and tells what is due.
    #[track_caller]
    pub(crate) fn time_out(&mut self, after: Duration) -> Timeout {
        let deadline = self.deadline().expect("there is a deadline");
        assert_eq!(deadline - self.now, after, "the deadline");
        self.now = deadline - Duration::from_nanos(1);
        assert_eq!(self.connection.handle_timeout(self.now), None, "one nanosecond before");
        self.now = deadline;
        let timeout = self.connection.handle_timeout(self.now).expect("something is due");
        assert_eq!(self.connection.handle_timeout(self.now), None, "a timeout is told once");
        timeout
    }
}

#[expect(clippy::disallowed_methods, reason = "one base instant; time is counted from it")]
fn base() -> Instant {
    Instant::now()
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
pub(crate) const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
pub(crate) const EXPECT: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
