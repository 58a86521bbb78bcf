//! The connection, as far as it listens. What it says is in `send`, when it gives up in `time`, and
//! what follows from what in `state`.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Version};

use crate::chunked::{Decoded, Decoder};
use crate::head::HeadScanner;
use crate::state::{CloseReason, Next, Peer, State};
use crate::timer::{Allowance, For, Waiting};
use crate::trailers::TrailerScanner;
use crate::{BodyLength, Config, Error, Event, Field, RequestHead};

/// Empty lines before a request line that are forgiven (RFC 9112 section 2.2 asks for at least one).
const BLANK_LINES: u8 = 4;

/// Field positions are kept for the next request up to this many; most heads have fewer.
const KEPT_FIELDS: usize = 32;

/// The protocol state of one connection.
///
/// It reads no socket, knows no clock and starts nothing: bytes and instants are passed in, events
/// and bytes come out. The [crate's page](crate) shows a whole cycle.
#[derive(Debug)]
pub struct Connection {
    pub(crate) config: Arc<Config>,
    pub(crate) state: State,
    /// What was received and not yet told.
    buffer: BytesMut,
    /// The buffer's length when it was taken to be read into.
    taken: usize,
    eof: bool,
    head: HeadScanner,
    fields: Vec<Field>,
    body: Body,
    pub(crate) request: Facts,
    requests: u32,
    blank_lines: u8,
    /// Bytes thrown away since throwing away began.
    discarded: u64,
    pub(crate) waiting: Waiting,
    pub(crate) receiving: Allowance,
    pub(crate) sending: Allowance,
}

/// What has to be remembered of a request for its response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) http_11: bool,
    pub(crate) head_method: bool,
    /// The peer waits for a 100 and has sent nothing of its body.
    pub(crate) expects: bool,
    pub(crate) upgrade: bool,
}

/// What is left of a request's body.
#[derive(Debug)]
enum Body {
    Length(u64),
    Chunked(Decoder),
    Trailers(TrailerScanner),
}

impl Connection {
    /// A connection that has just been accepted.
    ///
    /// `config` must have passed [`Config::validate`].
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            state: State::new(),
            buffer: BytesMut::new(),
            taken: 0,
            eof: false,
            head: HeadScanner::default(),
            fields: Vec::new(),
            body: Body::Length(0),
            request: Facts { http_11: true, head_method: false, expects: false, upgrade: false },
            requests: 0,
            blank_lines: 0,
            discarded: 0,
            waiting: Waiting::New(For::FirstByte),
            receiving: Allowance::Unused,
            sending: Allowance::Unused,
        }
    }

    /// Lends the buffer to read into: append at its end, change nothing before, and give it back
    /// with [`receive`](Self::receive). How much to reserve is the reader's decision; capacity comes
    /// back to the buffer when the [`Bytes`](bytes::Bytes) taken from it are dropped.
    ///
    /// An idle connection's buffer may be replaced by an empty one to save memory.
    #[inline]
    pub fn take_buffer(&mut self) -> BytesMut {
        self.taken = self.buffer.len();
        std::mem::take(&mut self.buffer)
    }

    /// Takes the buffer back, with what has been read at its end, which may be nothing.
    ///
    /// What arrives after an error, or after our FIN, is thrown away.
    #[inline]
    pub fn receive(&mut self, buffer: BytesMut) {
        let fresh = buffer.len().saturating_sub(std::mem::take(&mut self.taken));
        self.buffer = buffer;
        if fresh == 0 {
            return;
        }
        match self.state.peer() {
            Peer::Head => self.begin_head(),
            Peer::Body | Peer::Draining => {
                self.request.expects = false;
                self.receiving.earn(fresh);
            }
            Peer::Complete | Peer::Paused | Peer::Switched => {}
            Peer::Failed(_) | Peer::Closed => self.buffer.clear(),
            Peer::Lingering => {
                self.buffer.clear();
                self.discarded += fresh as u64;
                if self.discarded > self.config.limits.drain {
                    self.state.peer_closed(CloseReason::PeerClosed);
                }
            }
        }
    }

    /// Notes the peer's FIN: nothing more will be received. Requests that are buffered are still
    /// told and may be answered.
    pub fn receive_eof(&mut self) {
        self.eof = true;
        if self.state.peer() == Peer::Lingering {
            self.state.peer_closed(CloseReason::PeerClosed);
        }
    }

    /// Tells what the received bytes mean. Call it until it says [`Event::NeedData`] (then read, if
    /// [`wants_read`](Self::wants_read)), [`Event::Paused`] (then answer) or [`Event::Closed`]; body
    /// data only when the application asks for it.
    ///
    /// # Errors
    ///
    /// What the peer did wrong; the same again on every later call.
    #[inline]
    pub fn next_event(&mut self) -> Result<Event, Error> {
        match self.state.peer() {
            Peer::Head => self.next_head(),
            Peer::Body | Peer::Draining => self.next_data(),
            Peer::Complete => {
                self.state.end_told();
                Ok(Event::End(None))
            }
            Peer::Paused | Peer::Switched => Ok(Event::Paused),
            Peer::Lingering => Ok(Event::NeedData),
            Peer::Closed => Ok(Event::Closed),
            Peer::Failed(error) => Err(error),
        }
    }

    /// Whether reading makes sense: not after the peer's FIN, nor while a complete request waits for
    /// its response (pipelining is serial), nor when `limits.read_ahead` is buffered.
    #[inline]
    pub fn wants_read(&self) -> bool {
        match self.state.peer() {
            Peer::Head | Peer::Body | Peer::Draining => {
                !self.eof && self.buffer.len() < self.config.limits.read_ahead
            }
            Peer::Lingering => true,
            _ => false,
        }
    }

    /// Whether nothing more of a request is on its way: the present one is complete, or the peer has
    /// sent its FIN. Otherwise closing at once may reset the connection under what still comes.
    pub fn is_request_complete(&self) -> bool {
        self.eof || !matches!(self.state.peer(), Peer::Body | Peer::Draining | Peer::Failed(_))
    }

    /// How many received bytes have not been told yet.
    #[inline]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The header fields of the present request, in order, as positions in
    /// [`RequestHead::bytes`](crate::RequestHead::bytes). Valid from
    /// [`Event::Request`] to the next cycle.
    #[inline]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Begins the next cycle. To be called when the response has ended; before that, it is cut.
    ///
    /// A connection that is kept waits for `timeouts.keep_alive`, or, if bytes of the next request are
    /// here already, for `timeouts.head`.
    pub fn start_next_cycle(&mut self) -> Next {
        let before = self.state.peer();
        let unread = match &self.body {
            Body::Length(left) => *left > self.config.limits.unread,
            Body::Chunked(_) | Body::Trailers(_) => false,
        };
        let next = self.state.next_cycle(|| unread);
        match next {
            Next::Ready if before != Peer::Head => self.reset(),
            Next::Drain if before != Peer::Draining => {
                self.discarded = 0;
                self.receiving = Allowance::Unused;
                self.waiting = Waiting::New(For::Drain);
            }
            _ => {}
        }
        next
    }

    /// Whether the connection will be kept after the present response, as far as is known now.
    #[inline]
    pub fn keep_alive(&self) -> bool {
        self.close_reason().is_none()
    }

    /// Why the connection will not be kept.
    #[inline]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.state.close_reason()
    }

    /// Takes the bytes that were received but not told: after [`Next::Upgraded`] they are the first
    /// ones of the other protocol.
    pub fn into_rest(&mut self) -> BytesMut {
        std::mem::take(&mut self.buffer)
    }

    /// Begins to linger. To be called when our FIN has been sent (or could not be): what the peer
    /// still sends is read and thrown away until its FIN, `limits.drain` bytes or `timeouts.drain`,
    /// because closing with unread bytes resets the connection and may destroy our last answer
    /// (RFC 9112 section 9.6).
    pub fn linger(&mut self) {
        self.buffer = BytesMut::new();
        self.discarded = 0;
        self.receiving = Allowance::Unused;
        self.sending = Allowance::Unused;
        self.waiting = Waiting::New(For::Drain);
        self.state.linger();
        if self.eof {
            self.state.peer_closed(CloseReason::PeerClosed);
        }
    }

    /// Whether lingering is over and the socket may be closed.
    pub fn is_lingering_done(&self) -> bool {
        self.state.peer() == Peer::Closed
    }

    /// The head is refused, or what comes after it.
    #[cold]
    pub(crate) fn fail(&mut self, error: Error, reason: CloseReason) -> Error {
        if self.state.peer() == Peer::Head {
            // A refused HEAD gets no content either, if that much of it was understood.
            self.request.head_method = self.buffer.starts_with(b"HEAD ");
            // Its version may be unknown: what an HTTP/1.0 peer understands, every peer does.
            self.request.http_11 = false;
        }
        self.buffer = BytesMut::new();
        self.waiting = Waiting::Not;
        self.receiving = Allowance::Unused;
        self.state.failed(error, reason);
        error
    }

    #[inline(always)]
    fn next_head(&mut self) -> Result<Event, Error> {
        if self.is_blank() {
            if !self.eof {
                return Ok(Event::NeedData);
            }
            self.waiting = Waiting::Not;
            self.state.peer_closed(CloseReason::PeerClosed);
            return Ok(Event::Closed);
        }
        let limits = &self.config.limits;
        let end = match self.head.scan(&self.buffer, limits, &mut self.fields) {
            Ok(Some(end)) => end,
            Ok(None) if !self.eof => return Ok(Event::NeedData),
            Ok(None) => return Err(self.fail(Error::IncompleteHead, CloseReason::PeerError)),
            Err(error) => return Err(self.fail(error, CloseReason::PeerError)),
        };
        self.finish_head(end)
    }

    /// Apart from the scan, so that the event is built where it is returned.
    #[inline(never)]
    fn finish_head(&mut self, end: usize) -> Result<Event, Error> {
        match self.head.finish(&self.buffer[..end]) {
            Ok(mut head) => {
                head.bytes = self.buffer.split_to(end).freeze();
                self.begin_request(&head);
                Ok(Event::Request(head))
            }
            Err(error) => Err(self.fail(error, CloseReason::PeerError)),
        }
    }

    #[inline(always)]
    fn begin_request(&mut self, head: &RequestHead) {
        self.waiting = Waiting::Not;
        self.requests += 1;
        self.request = Facts {
            http_11: head.version == Version::HTTP_11,
            head_method: head.method == Method::HEAD,
            expects: head.expect_continue && self.buffer.is_empty(),
            upgrade: head.upgrade,
        };
        let notes = self.head.notes();
        if notes.close {
            self.state.close(CloseReason::PeerRequested);
        } else if !self.request.http_11 && !notes.keep_alive {
            self.state.close(CloseReason::Http10);
        } else if self.requests >= self.config.limits.requests_per_connection {
            self.state.close(CloseReason::RequestLimit);
        }
        self.body = match head.body {
            BodyLength::None => Body::Length(0),
            BodyLength::Length(length) => Body::Length(length),
            BodyLength::Chunked => Body::Chunked(Decoder::default()),
        };
        self.state.request(!head.body.is_empty());
    }

    fn next_data(&mut self) -> Result<Event, Error> {
        let draining = self.state.peer() == Peer::Draining;
        loop {
            let before = self.buffer.len();
            let outcome = self.step_body();
            if draining {
                self.discarded += (before - self.buffer.len()) as u64;
                if self.discarded > self.config.limits.unread {
                    return Err(self.fail(Error::UnreadBody, CloseReason::UnreadBody));
                }
            }
            match outcome {
                Ok(Event::Data(_)) if draining && self.state.peer() == Peer::Complete => {
                    self.state.end_told();
                    return Ok(Event::End(None));
                }
                Ok(Event::Data(_)) if draining => {}
                Ok(Event::NeedData) if self.eof => {
                    return Err(self.fail(Error::IncompleteBody, CloseReason::PeerError));
                }
                Ok(event) => return Ok(event),
                Err(error) => return Err(self.fail(error, CloseReason::PeerError)),
            }
        }
    }

    /// The next part of a body, whoever it is for.
    fn step_body(&mut self) -> Result<Event, Error> {
        let limits = &self.config.limits;
        let buffer = &mut self.buffer;
        if let Body::Chunked(decoder) = &mut self.body {
            match decoder.decode(buffer, limits)? {
                Decoded::Data(data) => return Ok(Event::Data(data)),
                Decoded::NeedData => return Ok(Event::NeedData),
                Decoded::Trailers => self.body = Body::Trailers(TrailerScanner::default()),
            }
        }
        let event = match &mut self.body {
            Body::Trailers(scanner) => match scanner.scan(buffer, self.fields.len(), limits)? {
                Some(trailers) => Event::End(trailers),
                None => return Ok(Event::NeedData),
            },
            Body::Length(left) if !buffer.is_empty() => {
                let here = buffer.len();
                let take = usize::try_from(*left).unwrap_or(here).min(here);
                *left -= take as u64;
                let more = *left > 0;
                let data = Event::Data(hand_over(buffer, take));
                if more {
                    return Ok(data);
                }
                data
            }
            Body::Length(_) | Body::Chunked(_) => return Ok(Event::NeedData),
        };
        self.receiving = Allowance::Unused;
        self.state.body_ended();
        if matches!(event, Event::End(_)) {
            self.state.end_told();
        }
        Ok(event)
    }

    /// Whether no byte of a head is here: nothing, or a line that may become an empty one.
    #[inline]
    fn is_blank(&self) -> bool {
        match self.buffer[..] {
            [] => true,
            [b'\r'] => self.blank_lines < BLANK_LINES,
            _ => false,
        }
    }

    /// Bytes came where a head is expected: skips empty lines, and lets the head's time run from
    /// its first byte on. An empty line is none, so it renews nothing.
    #[inline]
    fn begin_head(&mut self) {
        while self.buffer.starts_with(b"\r\n")
            && self.blank_lines < BLANK_LINES
            && !matches!(self.waiting, Waiting::New(For::Head) | Waiting::Until(For::Head, _))
        {
            self.buffer.advance(2);
            self.blank_lines += 1;
        }
        if self.is_blank() {
            return;
        }
        self.waiting = match self.waiting {
            Waiting::Until(For::FirstByte | For::Head, at) => Waiting::Until(For::Head, at),
            _ => Waiting::New(For::Head),
        };
    }

    #[inline]
    fn reset(&mut self) {
        self.head = HeadScanner::default();
        if self.fields.capacity() > KEPT_FIELDS {
            self.fields = Vec::new();
        } else {
            self.fields.clear();
        }
        self.blank_lines = 0;
        self.receiving = Allowance::Unused;
        self.waiting = Waiting::New(For::KeepAlive);
        self.begin_head();
    }

    /// Whether more of the request's body is left than would be thrown away for a next request.
    #[inline]
    pub(crate) fn much_unread(&self) -> bool {
        self.state.peer() == Peer::Body
            && matches!(self.body, Body::Length(left) if left > self.config.limits.unread)
    }
}

/// Takes the first `len` bytes out of `buffer`. A small part of it is copied: whoever keeps that must
/// not keep the whole buffer, since a body may come in a great many small pieces.
pub(crate) fn hand_over(buffer: &mut BytesMut, len: usize) -> Bytes {
    if len < buffer.capacity() / 4 {
        let data = Bytes::copy_from_slice(&buffer[..len]);
        buffer.advance(len);
        return data;
    }
    buffer.split_to(len).freeze()
}
