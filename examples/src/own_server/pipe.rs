//! Two pipes, with the engine in between.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use gateway_core::bytes::Bytes;
use gateway_core::http::{HeaderMap, StatusCode};
use gateway_core::http_body::Frame;
use gateway_core::{Head, PeerError, ReasonPhrase, Result};
use gateway_handler::{Channel, Framing, Wire};
use gateway_http1::{Config, Connection, Error, Event, Output, ResponseHead};

/// The two pipes and what is on its way.
pub(super) struct Pipe {
    pub(super) engine: Connection,
    out: Output,
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
}

impl Pipe {
    pub(super) fn new(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
    ) -> Pipe {
        let engine = Connection::new(Arc::new(Config::default()), Instant::now());
        let (reader, writer) = (Box::new(reader), Box::new(writer));
        Pipe { engine, out: Output::default(), reader, writer }
    }

    /// Reads once.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        let mut some = [0; 1 << 14];
        let length = self.reader.read(&mut some)?;
        if length == 0 {
            self.engine.receive_eof();
        }
        let mut buffer = self.engine.take_buffer();
        buffer.extend_from_slice(&some[..length]);
        self.engine.receive(buffer, Instant::now());
        Ok(())
    }

    /// Tells the peer what it did wrong.
    pub(super) fn refuse(&mut self, error: Error) -> io::Result<()> {
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(error.status(), &headers);
        head.length = Some(0);
        let sent = self.engine.send_head(&head, &mut self.out);
        sent.map_err(io::Error::other)?;
        self.flush()
    }
}

impl Channel for Pipe {
    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            let written = self.writer.write(self.out.first())?;
            self.out.advance(written);
        }
        self.writer.flush()
    }

    fn read(&mut self) -> Option<Result<Frame<Bytes>>> {
        loop {
            match self.engine.next_event() {
                Ok(Event::Data(data)) => return Some(Ok(Frame::data(data))),
                Ok(Event::End(trailers)) => return trailers.map(|map| Ok(Frame::trailers(map))),
                Ok(Event::NeedData) => {
                    self.engine.send_continue(&mut self.out);
                    if let Err(error) = self.flush().and_then(|()| self.fill()) {
                        return Some(Err(error.into()));
                    }
                }
                Ok(_) => return None,
                Err(error) => {
                    let (status, cause) = (error.status(), Box::new(error));
                    return Some(Err(PeerError::Malformed { status, cause }.into()));
                }
            }
        }
    }
}

/// The contract asks for nothing that the engine refuses, so there are no errors to look at.
impl Wire for Pipe {
    fn informational(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.engine.send_informational(status, headers, &mut self.out);
    }

    fn head(&mut self, head: &Head, framing: Framing) {
        let mut response = ResponseHead::new(head.status, &head.headers);
        response.reason = head.reason.as_ref().map(ReasonPhrase::as_bytes);
        response.length = framing.length;
        response.close = framing.close;
        let _ = self.engine.send_head(&response, &mut self.out);
    }

    fn data(&mut self, data: Bytes) {
        let _ = self.engine.send_data(data, &mut self.out);
    }

    fn announce(&mut self, length: u64) {
        let _ = self.engine.announce_data(length, &mut self.out);
    }

    fn end(&mut self, trailers: Option<HeaderMap>) {
        let _ = self.engine.send_end(trailers.as_ref(), &mut self.out);
    }

    fn cut(&mut self) {
        self.engine.cut();
    }
}
