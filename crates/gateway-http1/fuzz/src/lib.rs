//! What the targets share: a fuzz input, and the peer that sends it and watches the engine.

pub mod reference;
pub mod responses;

use std::io::IoSlice;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use gateway_http1::{Config, Connection, Error, Event, Field, Output, RequestHead};

/// Four bytes that choose, then what the peer sends.
pub struct Input<'a> {
    /// What the peer sends.
    pub bytes: &'a [u8],
    /// What the application does.
    pub choice: u8,
    seed: u16,
    small: bool,
    fin: bool,
}

/// What the peer sends, in pieces.
pub type Pieces<'a> = Box<dyn Iterator<Item = &'a [u8]> + 'a>;

impl<'a> Input<'a> {
    /// `None` if there are not even the bytes that choose.
    pub fn new(data: &'a [u8]) -> Option<Self> {
        let ([low, high, choice, flags], bytes) = data.split_first_chunk()?;
        let seed = u16::from_le_bytes([*low, *high]);
        let (small, fin) = (flags & 1 != 0, flags & 2 != 0);
        Some(Self { bytes, choice: *choice, seed, small, fin })
    }

    /// Small limits are reached by small inputs; seeds are for the usual ones.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        if self.small {
            let limits = &mut config.limits;
            (limits.method, limits.request_line, limits.head, limits.headers) = (10, 100, 200, 5);
            (limits.chunk_line, limits.chunk_extensions, limits.trailers) = (10, 8, 50);
            (limits.read_ahead, limits.unread, limits.drain) = (200, 50, 100);
            limits.requests_per_connection = 2;
        }
        config
    }

    /// Whole, byte by byte, and cut anywhere.
    pub fn ways(&self) -> [Pieces<'a>; 3] {
        let mut rest = self.bytes;
        let mut random = u32::from(self.seed) | 1 << 16;
        let cut = std::iter::from_fn(move || {
            // Xorshift. Lengths of every magnitude, short ones above all.
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let length = 1 + (random >> 8) as usize % (1 << (random % 8));
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        });
        [Box::new(std::iter::once(self.bytes)), Box::new(self.bytes.chunks(1)), Box::new(cut)]
    }
}

/// The other end of a connection. It takes some bytes for each that it sends, so that what is
/// written goes in pieces, too.
pub struct Peer<'a> {
    pub connection: Connection,
    pub output: Output,
    /// What it has got.
    pub written: Vec<u8>,
    pieces: Pieces<'a>,
    fin: bool,
    fin_sent: bool,
}

impl<'a> Peer<'a> {
    pub fn new(input: &Input<'a>, pieces: Pieces<'a>) -> Self {
        let config = input.config();
        config.validate().expect("a valid config");
        Self {
            connection: Connection::new(Arc::new(config)),
            output: Output::default(),
            written: Vec::new(),
            pieces,
            fin: input.fin,
            fin_sent: false,
        }
    }

    /// Sends until there is an event; `None` when everything is sent. What must hold after each
    /// event is checked here.
    pub fn next_event(&mut self) -> Option<Result<Event, Error>> {
        loop {
            let buffered = self.connection.buffered();
            let event = self.connection.next_event();
            match &event {
                Ok(Event::NeedData) => {
                    assert!(!self.fin_sent, "it waits for more behind a FIN");
                    assert!(self.connection.wants_read(), "it waits and does not read");
                    self.connection.body_wanted(true, *NOW);
                    assert!(self.connection.poll_timeout(*NOW).is_some(), "it waits for ever");
                    match self.pieces.next() {
                        Some(piece) => self.send(piece),
                        None if self.fin => {
                            self.fin_sent = true;
                            self.connection.receive_eof();
                        }
                        None => return None,
                    }
                    continue;
                }
                Ok(Event::Data(data)) => {
                    let taken = buffered - self.connection.buffered();
                    assert!(!data.is_empty() && data.len() <= taken, "more out than in");
                }
                Err(error) => {
                    assert_eq!(self.connection.next_event().err(), Some(*error), "not sticky");
                    assert!(!self.connection.keep_alive(), "kept after an error");
                    assert_eq!(self.connection.buffered(), 0, "kept bytes after an error");
                }
                Ok(_) => {}
            }
            return Some(event);
        }
    }

    pub fn send(&mut self, piece: &[u8]) {
        let mut buffer = self.connection.take_buffer();
        buffer.extend_from_slice(piece);
        self.connection.receive(buffer);
        self.take(50 * piece.len());
    }

    /// Takes up to so many bytes of what is to be written.
    pub fn take(&mut self, most: usize) {
        let before = self.written.len();
        while !self.output.is_empty() && self.written.len() - before < most {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = self.output.slices(&mut slices);
            assert_eq!(&*slices[0], self.output.first());
            let start = self.written.len();
            let bytes = slices[..filled].iter().flat_map(|slice| slice.iter());
            self.written.extend(bytes.take(most - (start - before)));
            self.output.advance(self.written.len() - start);
        }
        self.connection.sent(self.written.len() - before, self.output.len(), *NOW);
    }

    /// What was sent and not understood, and what would still be sent.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = self.connection.into_rest().to_vec();
        rest.extend(self.pieces.by_ref().flatten());
        rest
    }

    /// Nothing that comes behind the end is heard.
    pub fn check_closed(&mut self) {
        self.connection.linger();
        self.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let event = self.connection.next_event();
        assert!(matches!(event, Ok(Event::NeedData | Event::Closed)), "{event:?}");
        self.connection.receive_eof();
        assert!(self.connection.is_lingering_done());
        assert!(self.output.is_empty());
    }
}

/// A request with the positions of its fields.
#[derive(Debug)]
pub struct Request {
    pub head: RequestHead,
    pub fields: Vec<Field>,
}

impl Request {
    pub fn new(head: RequestHead, connection: &Connection) -> Self {
        Self { head, fields: connection.fields().to_vec() }
    }

    /// The values of all fields of a name.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let bytes = &self.head.bytes[..];
        let named = |field: &&Field| field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(|field| field.value.of(bytes)).collect()
    }
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        let spans = |head: &RequestHead| {
            (head.target, head.form, head.authority, head.path, head.query, head.host)
        };
        let (ours, theirs) = (&self.head, &other.head);
        (&ours.bytes, &ours.method, ours.version) == (&theirs.bytes, &theirs.method, theirs.version)
            && spans(ours) == spans(theirs)
            && (ours.body, ours.expect_continue, ours.upgrade)
                == (theirs.body, theirs.expect_continue, theirs.upgrade)
            && self.fields == other.fields
    }
}

/// The one instant at which everything happens.
#[expect(clippy::disallowed_methods, reason = "one base instant; no time passes")]
pub static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
