//! A client that does what it is told and no more, and reads strictly what comes back.

use std::io::{self, Read};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::MIB;
use super::answer::{Answer, Framing, parse_chunk_size, parse_fields, parse_head};
use super::harness::{Dialled, Outlet};
use super::scene::{Checked, Trouble, ensure};
use super::transcript::Transcript;

/// A connection to the server under test.
///
/// Two threads move the bytes, so that every wait here is a bounded one, on any transport.
pub(super) struct Peer {
    outbox: Option<Sender<Vec<u8>>>,
    hang_up: Option<Box<dyn FnOnce() + Send>>,
    inbox: Arc<Inbox>,
    transcript: Transcript,
    patience: Duration,
    /// What has come and has not been looked at.
    buffer: Vec<u8>,
    body: BodyState,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By an end of what the server says.
    Clean,
    /// By an error of the transport: a reset.
    Reset,
}

/// Where the reading of a response's body stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyState {
    Done,
    Length(u64),
    /// What is left of the present chunk, and whether there has been one.
    Chunk(u64, bool),
    UntilClose,
}

#[derive(Default)]
struct Inbox {
    state: Mutex<Incoming>,
    changed: Condvar,
}

#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    total: u64,
    /// How many bytes are to be read in all; any number if `None`.
    allowed: Option<u64>,
    end: Option<End>,
    left: bool,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, Incoming> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Takes a connection. With `allowed`, it reads no more than so many bytes before
    /// [`allow`](Peer::allow) says so.
    pub(super) fn new(
        dialled: Dialled,
        transcript: Transcript,
        patience: Duration,
        allowed: Option<u64>,
    ) -> io::Result<Peer> {
        let Dialled { reader, writer, hang_up } = dialled;
        let inbox = Arc::new(Inbox::default());
        inbox.state().allowed = allowed;
        let (outbox, messages) = channel::<Vec<u8>>();
        let (incoming, log) = (Arc::clone(&inbox), transcript.clone());
        thread::Builder::new()
            .name("suite: reads".to_owned())
            .spawn(move || read(reader, &incoming, &log))?;
        thread::Builder::new()
            .name("suite: writes".to_owned())
            .spawn(move || write(writer, messages))?;
        Ok(Peer {
            outbox: Some(outbox),
            hang_up: Some(hang_up),
            inbox,
            transcript,
            patience,
            buffer: Vec::new(),
            body: BodyState::Done,
        })
    }

    /// Sends `bytes`, without waiting for anybody to read them.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.transcript.sent(bytes.as_ref());
        if let Some(outbox) = &self.outbox {
            // A server that has closed need not take it.
            let _ = outbox.send(bytes.as_ref().to_vec());
        }
    }

    /// Asks for `target` with GET.
    pub(super) fn ask(&mut self, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: suite.test\r\n\r\n"));
    }

    /// Asks for `target` with GET and reads the answer.
    pub(super) fn get(&mut self, target: &str) -> Result<Answer, Trouble> {
        self.ask(target);
        self.answer()
    }

    /// Sends `request`, in which `\n` stands for CRLF, and reads the answer.
    pub(super) fn exchange(&mut self, request: &str) -> Result<Answer, Trouble> {
        self.send_text(request);
        self.answer()
    }

    /// Sends `text`, in which `\n` stands for CRLF.
    pub(super) fn send_text(&mut self, text: &str) {
        self.send(text.replace('\n', "\r\n"));
    }

    /// Ends what it says; goes on reading.
    pub(super) fn half_close(&mut self) {
        self.transcript.event("the client ends its side");
        self.outbox = None;
    }

    /// Goes away.
    pub(super) fn leave(&mut self) {
        if let Some(hang_up) = self.hang_up.take() {
            self.transcript.event("the client goes away");
            let mut state = self.inbox.state();
            state.left = true;
            state.allowed = None;
            drop(state);
            self.inbox.changed.notify_all();
            hang_up();
            self.outbox = None;
        }
    }

    /// Lets it read so many bytes more.
    pub(super) fn allow(&mut self, more: u64) {
        let mut state = self.inbox.state();
        state.allowed = state.allowed.map(|allowed| allowed + more);
        drop(state);
        self.inbox.changed.notify_all();
    }

    /// Lets it read so many bytes beyond what has come.
    pub(super) fn allow_ahead(&mut self, more: u64) {
        let mut state = self.inbox.state();
        state.allowed = Some(state.total + more);
        drop(state);
        self.inbox.changed.notify_all();
    }

    /// Reads the next head, be it interim or final.
    pub(super) fn head(&mut self) -> Result<Answer, Trouble> {
        self.head_for("GET")
    }

    /// The same for the answer to `method`.
    pub(super) fn head_for(&mut self, method: &str) -> Result<Answer, Trouble> {
        ensure!(self.body == BodyState::Done, "the body before was not read to its end");
        let end = self.until(b"\r\n\r\n", "a response's head")?;
        let bytes: Vec<u8> = self.buffer.drain(..end).collect();
        let answer = parse_head(&bytes, method)?;
        self.body = match answer.framing {
            Framing::None | Framing::Length(0) => BodyState::Done,
            Framing::Length(length) => BodyState::Length(length),
            Framing::Chunked => BodyState::Chunk(0, false),
            Framing::UntilClose => BodyState::UntilClose,
        };
        Ok(answer)
    }

    /// Reads the next response whole; it must be a final one.
    pub(super) fn answer(&mut self) -> Result<Answer, Trouble> {
        self.answer_for("GET")
    }

    /// The same for the answer to `method`.
    pub(super) fn answer_for(&mut self, method: &str) -> Result<Answer, Trouble> {
        let mut answer = self.head_for(method)?;
        ensure!(answer.status >= 200, "an interim {} came, which nobody asked for", answer.status);
        self.rest(&mut answer)?;
        Ok(answer)
    }

    /// The same, unless the connection ends without an answer.
    pub(super) fn answer_or_end(&mut self) -> Result<Option<Answer>, Trouble> {
        if self.buffer.is_empty() && !self.fill("an answer, or the end of the connection")? {
            return Ok(None);
        }
        self.answer().map(Some)
    }

    /// Reads what is left of the body.
    pub(super) fn rest(&mut self, answer: &mut Answer) -> Checked {
        while let Some(data) = self.data(answer)? {
            answer.body.extend_from_slice(&data);
        }
        Ok(())
    }

    /// Reads some of the body, if there is more.
    pub(super) fn some(&mut self, answer: &mut Answer) -> Checked {
        if let Some(data) = self.data(answer)? {
            answer.body.extend_from_slice(&data);
        }
        Ok(())
    }

    /// Reads the body until at least `expected` of it has come, and compares.
    pub(super) fn part(&mut self, answer: &mut Answer, expected: &str) -> Checked {
        let at = answer.body.len();
        while answer.body.len() < at + expected.len() {
            match self.data(answer)? {
                Some(data) => answer.body.extend_from_slice(&data),
                None => break,
            }
        }
        let came = String::from_utf8_lossy(&answer.body[at..]).into_owned();
        ensure!(came == expected, "{came:?} came where {expected:?} was expected");
        Ok(())
    }

    /// Reads so many bytes of whatever comes.
    pub(super) fn raw(&mut self, count: usize) -> Result<Vec<u8>, Trouble> {
        while self.buffer.len() < count {
            ensure!(self.fill("more bytes")?, "the connection ended where bytes were expected");
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Expects the connection to end, with nothing more.
    pub(super) fn ends(&mut self) -> Result<End, Trouble> {
        while self.fill("the end of the connection")? {}
        ensure!(self.buffer.is_empty(), "{} bytes came that nobody asked for", self.buffer.len());
        Ok(self.inbox.state().end.unwrap_or(End::Clean))
    }

    /// Ends what it says, and expects nothing more.
    pub(super) fn finish(&mut self) -> Checked {
        self.half_close();
        self.ends().map(drop)
    }

    /// Expects the response that has begun to be cut: the connection ends and the body has not.
    pub(super) fn is_cut(&mut self, answer: &mut Answer) -> Checked {
        loop {
            match self.data_or_end(answer) {
                Ok(Some(data)) => answer.body.extend_from_slice(&data),
                Ok(None) => return Err(Trouble::new("the response ended as if it were whole")),
                Err(Cut::AtEnd(_)) => return Ok(()),
                Err(Cut::Broken(trouble)) => return Err(trouble),
            }
        }
    }

    fn data(&mut self, answer: &mut Answer) -> Result<Option<Vec<u8>>, Trouble> {
        self.data_or_end(answer).map_err(|cut| match cut {
            Cut::AtEnd(end) => Trouble::new(format!(
                "the connection ended ({end:?}) in the middle of a response's body"
            )),
            Cut::Broken(trouble) => trouble,
        })
    }

    /// The next data of the body; `None` after its end.
    fn data_or_end(&mut self, answer: &mut Answer) -> Result<Option<Vec<u8>>, Cut> {
        loop {
            match self.body {
                BodyState::Done => return Ok(None),
                BodyState::Chunk(0, some) => {
                    let begin = if some { 2 } else { 0 };
                    self.body_bytes(begin)?;
                    let frame = &self.buffer[..begin];
                    if some && frame != b"\r\n" {
                        return Err(Trouble::new("a chunk does not end with CRLF").into());
                    }
                    let line = self.body_line(begin)?;
                    let size = parse_chunk_size(&self.buffer[begin..line - 2])?;
                    if size > 0 {
                        self.buffer.drain(..line);
                        self.body = BodyState::Chunk(size, true);
                        continue;
                    }
                    // The line's own CRLF is where an empty trailer section begins.
                    while !self.buffer[line - 2..].windows(4).any(|w| w == b"\r\n\r\n") {
                        self.body_bytes(self.buffer.len() + 1)?;
                    }
                    let at = self.buffer[line - 2..].windows(4).position(|w| w == b"\r\n\r\n");
                    let end = line - 2 + at.unwrap_or_default() + 4;
                    answer.trailers = parse_fields(&self.buffer[line..end - 2])?;
                    self.buffer.drain(..end);
                    self.body = BodyState::Done;
                    return Ok(None);
                }
                BodyState::Length(left) | BodyState::Chunk(left, _) => {
                    self.body_bytes(1)?;
                    let n = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - n as u64;
                    self.body = match self.body {
                        BodyState::Chunk(..) => BodyState::Chunk(left, true),
                        _ if left == 0 => BodyState::Done,
                        _ => BodyState::Length(left),
                    };
                    return Ok(Some(self.buffer.drain(..n).collect()));
                }
                BodyState::UntilClose => {
                    if self.buffer.is_empty() && !self.fill("more of the body")? {
                        return match self.inbox.state().end {
                            Some(End::Reset) => Err(Cut::AtEnd(End::Reset)),
                            _ => {
                                self.body = BodyState::Done;
                                Ok(None)
                            }
                        };
                    }
                    return Ok(Some(std::mem::take(&mut self.buffer)));
                }
            }
        }
    }

    /// Fills the buffer to so many bytes, for a body.
    fn body_bytes(&mut self, count: usize) -> Result<(), Cut> {
        while self.buffer.len() < count {
            if !self.fill("more of the body")? {
                let end = self.inbox.state().end.unwrap_or(End::Clean);
                return Err(Cut::AtEnd(end));
            }
        }
        Ok(())
    }

    /// Where the line that begins at `begin` ends.
    fn body_line(&mut self, begin: usize) -> Result<usize, Cut> {
        loop {
            let at = self.buffer[begin..].windows(2).position(|pair| pair == b"\r\n");
            match at {
                Some(at) => return Ok(begin + at + 2),
                None => self.body_bytes(self.buffer.len() + 1)?,
            }
        }
    }

    /// Fills the buffer until `mark` is in it, and tells where that ends.
    fn until(&mut self, mark: &[u8], what: &str) -> Result<usize, Trouble> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Ok(at + mark.len());
            }
            ensure!(self.buffer.len() < MIB, "{what} has no end");
            ensure!(self.fill(what)?, "the connection ended where {what} was expected");
        }
    }

    /// Waits for more; `false` at the end of the connection.
    fn fill(&mut self, what: &str) -> Result<bool, Trouble> {
        let deadline = Instant::now() + self.patience;
        let mut state = self.inbox.state();
        loop {
            if !state.bytes.is_empty() {
                self.buffer.append(&mut state.bytes);
                return Ok(true);
            }
            if state.end.is_some() {
                return Ok(false);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "waited in vain for {what}");
            let waited = self.inbox.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Why a body did not go on.
enum Cut {
    /// The connection ended.
    AtEnd(End),
    /// What came is no body, or nothing came.
    Broken(Trouble),
}

impl From<Trouble> for Cut {
    fn from(trouble: Trouble) -> Cut {
        Cut::Broken(trouble)
    }
}

fn read(mut reader: Box<dyn Read + Send>, inbox: &Inbox, transcript: &Transcript) {
    let mut some = vec![0; 1 << 16];
    loop {
        let wanted = {
            let waiting = |state: &mut Incoming| {
                !state.left && state.allowed.is_some_and(|allowed| allowed <= state.total)
            };
            let state = inbox.changed.wait_while(inbox.state(), waiting);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            if state.left {
                return;
            }
            let wanted = state.allowed.map_or(u64::MAX, |allowed| allowed - state.total);
            usize::try_from(wanted).unwrap_or(usize::MAX).min(some.len())
        };
        let end = match reader.read(&mut some[..wanted]) {
            Ok(0) => Some(End::Clean),
            Ok(length) => {
                transcript.received(&some[..length]);
                let mut state = inbox.state();
                state.bytes.extend_from_slice(&some[..length]);
                state.total += length as u64;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                transcript.event(&format!("reading failed: {error}"));
                Some(End::Reset)
            }
        };
        if end == Some(End::Clean) {
            transcript.event("the server ended its side");
        }
        inbox.state().end = end;
        inbox.changed.notify_all();
        if end.is_some() {
            return;
        }
    }
}

fn write(mut writer: Box<dyn Outlet>, messages: std::sync::mpsc::Receiver<Vec<u8>>) {
    for message in messages {
        if writer.write_all(&message).and_then(|()| writer.flush()).is_err() {
            // Reading tells what became of the connection.
            return;
        }
    }
    let _ = writer.half_close();
}
