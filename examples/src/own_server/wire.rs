//! Where the handler puts a response: through the engine, which writes the framing, into the output.

use gateway_core::bytes::Bytes;
use gateway_core::http::{HeaderMap, StatusCode};
use gateway_core::{Head, ReasonPhrase};
use gateway_handler::{Framing, Wire};
use gateway_http1::ResponseHead;

use super::pipe::Pipe;

/// The contract asks for nothing that the engine refuses, so there are no errors to look at.
impl Wire for Pipe {
    fn informational(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.engine.send_informational(status, headers, &mut self.out);
    }

    fn head(&mut self, head: &Head, framing: Framing) {
        let mut response = ResponseHead::new(head.status, &*head.headers);
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
