//! Bodies that are pulled: iterators, streams, files.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gateway_core::http::HeaderMap;
use gateway_core::{ApplicationError, Body, Error, FileBody, Head, IterBody, Result, StreamBody};
use gateway_handler::{FilePieces, Flow, caught};
use gateway_http1::Timeout;

use crate::caught::Closing;
use crate::link::{Failure, Link};
use crate::{Phase, Transport};

/// From here on the peer has to read before more is pulled.
const HIGH_WATER: usize = 64 * 1024;

/// How many data a pump takes before it lets others have its worker.
const TURN: usize = 64;

/// How much of a file is sent by one call.
const PIECE: u64 = 1 << 20;

/// How much of the end of a file that must not change is read instead, in bytes.
const TAIL: u64 = 16 * 1024;

/// Up to so many bytes, all of such a file is read: less than this is not worth a call of its own.
const READ: u64 = 2 * TAIL;

/// A body to be pulled, and its head, which waits for the first data if it has not been sent.
pub(crate) struct Pull {
    pub(crate) body: Body,
    pub(crate) head: Head,
}

/// Pulls a body of the exchange `number` to its end, at the pace of the peer, and drops it.
pub(crate) async fn pump<T: Transport>(link: Arc<Link<T>>, number: u64, pull: Pull) -> Result<()> {
    // Nobody reads the request any more, unless the body does.
    link.lock().engine.body_wanted(false, link.transport.now());
    let Pull { body, head } = pull;
    let pen = Pen { link, number, length: body.len(), head: Some(head) };
    match body {
        Body::Iter(items) => pump_iter(pen, Closing(Some(items))).await,
        Body::Stream(stream) => pump_stream(pen, Closing(Some(stream))).await,
        Body::File(file) => pump_file(pen, file).await,
        // The contract sends the other kinds itself.
        _ => Ok(()),
    }
}

/// Whether all of a file is read by us, and is so little that it needs no pump.
pub(crate) fn is_read(file: &FileBody) -> bool {
    file.is_checked() && file.len <= READ
}

/// All of such a file.
pub(crate) fn read(file: FileBody) -> io::Result<Bytes> {
    let mut pieces = FilePieces::new(file);
    let Some(first) = pieces.next() else { return Ok(Bytes::new()) };
    let mut all = first?;
    for piece in pieces {
        all = [all, piece?].concat().into();
    }
    Ok(all)
}

/// Sends what a body brings, and before that its head.
struct Pen<T> {
    link: Arc<Link<T>>,
    number: u64,
    length: Option<u64>,
    /// Until it is certain that it has been sent.
    head: Option<Head>,
}

impl<T: Transport> Pen<T> {
    fn data(&mut self, data: Bytes) -> Result<Flow> {
        self.queue(data).map(|(flow, _)| flow)
    }

    /// The same, and tells how much waits to be written.
    fn queue(&mut self, data: Bytes) -> Result<(Flow, usize)> {
        if data.is_empty() {
            return Ok((Flow::More, 0));
        }
        self.start()?;
        let mut state = self.link.of(self.number)?;
        let flow = self.link.with_wire(&mut state, |contract, wire| contract.data(wire, data))?;
        Ok((flow, state.out.len()))
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<()> {
        self.start()?;
        let mut state = self.link.of(self.number)?;
        self.link.with_wire(&mut state, |contract, wire| contract.end(wire, trailers))
    }

    fn start(&mut self) -> Result<()> {
        let Some(mut head) = self.head.take() else { return Ok(()) };
        self.link.run_head_hooks(self.number, &mut head, &Body::Empty)?;
        let mut state = self.link.of(self.number)?;
        let length = self.length;
        self.link.with_wire(&mut state, |contract, wire| contract.start(wire, &mut head, length))
    }
}

enum Pumped<T> {
    Ended(Result<()>),
    /// The peer is slow, or it is another's turn.
    Paused(Pen<T>, Closing<IterBody>),
}

async fn pump_iter<T: Transport>(pen: Pen<T>, items: Closing<IterBody>) -> Result<()> {
    let link = Arc::clone(&pen.link);
    let turn = |pen, items| move || caught(|| take_turn(pen, items)).unwrap_or_else(Pumped::from);
    let mut pumped = link.transport.work(turn(pen, items)).await?;
    loop {
        let (pen, items) = match pumped {
            Pumped::Ended(outcome) => return outcome,
            Pumped::Paused(pen, items) => (pen, items),
        };
        if let Err(error) = poll_fn(|cx| link.poll_flush(cx)).await {
            // Closing it may block as well. If no worker does that any more, it is done here.
            let _ = link.transport.go_on(move || drop(items)).await;
            return Err(error);
        }
        pumped = link.transport.go_on(turn(pen, items)).await?;
    }
}

impl<T> From<Error> for Pumped<T> {
    fn from(error: Error) -> Pumped<T> {
        Pumped::Ended(Err(error))
    }
}

/// PEP 3333 wants each datum on its way before the next is asked for, since that may block.
fn take_turn<T: Transport>(mut pen: Pen<T>, mut items: Closing<IterBody>) -> Pumped<T> {
    for _ in 0..TURN {
        let sent = match items.0.as_mut().and_then(Iterator::next) {
            None => return Pumped::Ended(pen.end(None)),
            Some(Err(error)) => Err(Error::from(error)),
            Some(Ok(item)) => pen.data(item),
        };
        match sent.and_then(|flow| Ok((flow, pen.link.try_flush()?))) {
            Err(error) => return error.into(),
            Ok((Flow::Enough, _)) => return Pumped::Ended(pen.end(None)),
            Ok((Flow::More, true)) => {}
            Ok((Flow::More, false)) => break,
        }
    }
    Pumped::Paused(pen, items)
}

async fn pump_stream<T: Transport>(mut pen: Pen<T>, mut stream: Closing<StreamBody>) -> Result<()> {
    let link = Arc::clone(&pen.link);
    link.transport.drive(poll_fn(move |cx| poll_stream(&mut pen, &mut stream, cx))).await?
}

/// Frames that are ready together are written together.
fn poll_stream<T: Transport>(
    pen: &mut Pen<T>,
    stream: &mut Closing<StreamBody>,
    cx: &mut Context<'_>,
) -> Poll<Result<()>> {
    let Some(body) = &mut stream.0 else {
        return Poll::Ready(pen.end(None));
    };
    let mut waiting = pen.link.lock().out.len();
    loop {
        if waiting >= HIGH_WATER {
            ready!(pen.link.poll_flush(cx))?;
        }
        let frame = match caught(|| body.as_mut().poll_frame(cx))? {
            Poll::Ready(None) => return Poll::Ready(pen.end(None)),
            Poll::Ready(Some(frame)) => frame?,
            Poll::Pending => {
                if let Poll::Ready(flushed) = pen.link.poll_flush(cx) {
                    flushed?;
                }
                return Poll::Pending;
            }
        };
        match frame.into_data() {
            Ok(item) => match pen.queue(item)? {
                (Flow::More, more) => waiting = more,
                (Flow::Enough, _) => return Poll::Ready(pen.end(None)),
            },
            Err(frame) => return Poll::Ready(pen.end(frame.into_trailers().ok())),
        }
    }
}

async fn pump_file<T: Transport>(mut pen: Pen<T>, mut body: FileBody) -> Result<()> {
    let link = Arc::clone(&pen.link);
    let len = body.len;
    // What is read by us cannot change after the last look at the file; what the system is to send
    // can, until the peer is ready for it.
    let kept = match body.is_checked() {
        _ if is_read(&body) => len,
        true => TAIL,
        false => 0,
    };
    if len > kept {
        pen.start()?;
        if !link.lock().contract.has_length() {
            // A chunk's frame has to surround every piece.
            return pump_iter(pen, Closing(Some(Box::new(FilePieces::new(body))))).await;
        }
        // Head and file are one stream to the peer, and should be to the network.
        link.lock().out.set_followed();
        poll_fn(|cx| link.poll_flush(cx)).await?;
    }
    while body.len > kept {
        let piece = (body.len - kept).min(PIECE);
        let mut admitted = {
            let mut state = link.lock();
            link.with_wire(&mut state, |contract, wire| contract.announce(wire, piece))?
        };
        let over = admitted < piece;
        while admitted > 0 {
            match poll_fn(|cx| poll_send_file(&link, cx, &body, admitted)).await? {
                0 => return Err(FilePieces::shrunk().into()),
                n => {
                    body.offset += n;
                    admitted -= n;
                    body.len -= n;
                }
            }
        }
        if over {
            return Err(ApplicationError::BodyTooLong { declared: len - body.len }.into());
        }
    }
    for data in FilePieces::new(body) {
        if pen.data(data?)? == Flow::Enough {
            break;
        }
    }
    pen.end(None)
}

fn poll_send_file<T: Transport>(
    link: &Link<T>,
    cx: &mut Context<'_>,
    body: &FileBody,
    len: u64,
) -> Poll<Result<u64>> {
    // The peer's pace is that of the whole file, so a piece does not begin a new grace.
    let waiting = |sent: u64, left: u64| {
        let mut state = link.lock();
        let now = link.transport.now();
        let count = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        state.engine.sent(count(sent), count(left), now);
        state.engine.poll_timeout(now)
    };
    loop {
        link.transport.note(Phase::Writing, waiting(0, body.len));
        let error = match ready!(link.transport.poll_send_file(cx, &body.file, body.offset, len)) {
            Ok(sent) => {
                link.transport.note(Phase::Exchange, waiting(sent, body.len - sent));
                return Poll::Ready(Ok(sent));
            }
            Err(error) => error,
        };
        let failure = match error.kind() {
            io::ErrorKind::TimedOut => match link.lock().time_out(link.transport.now()) {
                Some(Timeout::Write) => Failure::TooSlow,
                // It was the reading side that was late.
                _ => continue,
            },
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected => Failure::Gone,
            _ => return Poll::Ready(Err(error.into())),
        };
        link.lock().failed = Some(failure);
        return Poll::Ready(Err(failure.into()));
    }
}
