//! A channel that writes down what reaches it.

use std::sync::Arc;

use gateway_core::bytes::Bytes;
use gateway_core::exchange::ConnectionInfo;
use gateway_core::http::{HeaderMap, Method, StatusCode, Version};
use gateway_core::http_body::Frame;
use gateway_core::{Environ, ErrorStream, Head, Input, IntoApplication, Result, ServerInfo};
use gateway_handler::{Channel, Framing, Wire, answer};

/// What reached the wire, one entry for each call.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) calls: Vec<String>,
    pub(crate) head: Option<(Head, Framing)>,
    pub(crate) body: Vec<u8>,
    input: Vec<Bytes>,
    gone: bool,
}

impl Wire for Recorder {
    fn informational(&mut self, status: StatusCode, _: &HeaderMap) {
        self.calls.push(format!("informational {}", status.as_u16()));
    }

    fn head(&mut self, head: &Head, framing: Framing) {
        let length = framing.length.map_or("?".to_owned(), |length| length.to_string());
        self.calls.push(format!("head {} {length}", head.status.as_u16()));
        self.head = Some((head.clone(), framing));
    }

    fn data(&mut self, data: Bytes) {
        assert!(!data.is_empty(), "empty data must not reach a wire");
        self.calls.push(format!("data {}", String::from_utf8_lossy(&data)));
        self.body.extend_from_slice(&data);
    }

    fn announce(&mut self, length: u64) {
        self.calls.push(format!("announce {length}"));
    }

    fn end(&mut self, trailers: Option<HeaderMap>) {
        self.calls.push(match trailers {
            Some(trailers) => format!("end {trailers:?}"),
            None => "end".to_owned(),
        });
    }

    fn cut(&mut self) {
        self.calls.push("cut".to_owned());
    }
}

impl Channel for Recorder {
    fn flush(&mut self) -> std::io::Result<()> {
        if self.gone { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    fn read(&mut self) -> Option<Result<Frame<Bytes>>> {
        self.input.pop().map(|data| Ok(Frame::data(data)))
    }
}

/// What an exchange came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) recorder: Recorder,
    pub(crate) log: Vec<String>,
}

impl Outcome {
    pub(crate) fn calls(&self) -> Vec<&str> {
        self.recorder.calls.iter().map(String::as_str).collect()
    }
}

/// A request as a test wants it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) input: &'static [&'static str],
    pub(crate) gone: bool,
}

pub(crate) const GET: Request = Request { method: Method::GET, input: &[], gone: false };

/// Runs `app` for `request`.
pub(crate) fn run<M>(app: impl IntoApplication<M>, request: Request) -> Outcome {
    let (errors, log) = ErrorStream::memory();
    let mut info = ConnectionInfo::new(Arc::new(ServerInfo::new("test", None, "test")));
    info.errors = errors;
    let input = request.input.iter().rev().map(|data| Bytes::from(*data)).collect();
    let channel = Recorder { input, gone: request.gone, ..Recorder::default() };
    let app = app.boxed();
    let recorder = answer(&*app, info, channel, |exchange| {
        let input = Input::from_exchange(Arc::clone(&exchange), None, 100);
        Environ::new(exchange, request.method, Version::HTTP_11, Bytes::from("/x"))
            .with_input(input)
    });
    Outcome { recorder, log: log.take() }
}
