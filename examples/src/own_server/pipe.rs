//! Two pipes, with the engine in between.

use std::io::{self, Read, Write};
use std::sync::Arc;

use gateway_core::http::HeaderMap;
use gateway_http1::{Config, Connection, Error, Event, Output, ResponseHead};

/// The two pipes and what is on its way.
pub(super) struct Pipe {
    pub(super) engine: Connection,
    pub(super) out: Output,
    pub(super) writer: Box<dyn Write + Send>,
    reader: Box<dyn Read + Send>,
}

impl Pipe {
    pub(super) fn new(r: impl Read + Send + 'static, w: impl Write + Send + 'static) -> Pipe {
        let engine = Connection::new(Arc::new(Config::default()));
        Pipe { engine, out: Output::default(), writer: Box::new(w), reader: Box::new(r) }
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
        self.engine.receive(buffer);
        Ok(())
    }

    /// Throws away what the application left of a request's body.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        while let Ok(Event::NeedData) = self.engine.next_event() {
            self.fill()?;
        }
        Ok(())
    }

    /// Tells the peer what it did wrong.
    pub(super) fn refuse(&mut self, error: Error) -> io::Result<()> {
        let headers = HeaderMap::new();
        let mut head = ResponseHead::new(error.status(), &headers);
        head.length = Some(0);
        self.engine.send_head(&head, &mut self.out).map_err(io::Error::other)?;
        gateway_handler::Channel::flush(self)
    }
}
