//! What the handler asks of a server that has a thread to itself: both calls block.

use std::io;

use gateway_core::bytes::Bytes;
use gateway_core::http_body::Frame;
use gateway_core::{PeerError, Result};
use gateway_handler::Channel;
use gateway_http1::Event;

use super::pipe::Pipe;

impl Channel for Pipe {
    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            let written = self.writer.write(self.out.first())?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
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
                    // The application wants the body, which the peer may hold back until it knows.
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
