//! Bodies that are pulled: iterators, streams, files.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gateway_core::http::HeaderMap;
use gateway_core::{ApplicationError, Body, Error, FileBody, Head, IterBody, Result, StreamBody};
use gateway_handler::{FilePieces, Flow, caught};

use crate::link::{Failure, Link};
use crate::{Phase, Transport};

/// From here on the peer has to read before more is pulled.
const HIGH_WATER: usize = 64 * 1024;

/// How many data a pump takes before it lets others have its worker.
const TURN: usize = 64;

/// How much of a file is sent by one call.
const PIECE: u64 = 1 << 20;

/// A body to be pulled.
pub(crate) struct Pull {
    pub(crate) body: Body,
    /// Its head, if that waits for the body's first data.
    pub(crate) held: Option<Head>,
}

/// Pulls a body to its end, at the pace of the peer, and drops it.
pub(crate) async fn pump<T: Transport>(link: Arc<Link<T>>, pull: Pull) -> Result<()> {
    let Pull { body, held } = pull;
    let pen = Pen { link, length: body.len(), held };
    match body {
        Body::Iter(items) => pump_iter(pen, items).await,
        Body::Stream(stream) => pump_stream(pen, stream).await,
        Body::File(file) => pump_file(pen, file).await,
        // The contract sends the other kinds itself.
        _ => Ok(()),
    }
}

/// Sends what a body brings, and before that its head.
struct Pen<T> {
    link: Arc<Link<T>>,
    length: Option<u64>,
    held: Option<Head>,
}

impl<T: Transport> Pen<T> {
    fn data(&mut self, data: Bytes) -> Result<Flow> {
        if data.is_empty() {
            return Ok(Flow::More);
        }
        self.start()?;
        let mut state = self.link.lock();
        if let Some(failure) = state.failed {
            return Err(failure.into());
        }
        self.link.with_wire(&mut state, |contract, wire| contract.data(wire, data))
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<()> {
        self.start()?;
        let mut state = self.link.lock();
        self.link.with_wire(&mut state, |contract, wire| contract.end(wire, trailers))
    }

    #[inline]
    fn start(&mut self) -> Result<()> {
        match self.held.take() {
            Some(mut head) => self.link.start(&mut head, self.length),
            None => Ok(()),
        }
    }
}

enum Pumped<T> {
    Ended(Result<()>),
    /// The peer is slow, or it is another's turn.
    Paused(Pen<T>, IterBody),
}

async fn pump_iter<T: Transport>(mut pen: Pen<T>, mut items: IterBody) -> Result<()> {
    let link = Arc::clone(&pen.link);
    loop {
        let turn = move || caught(move || take_turn(pen, items)).unwrap_or_else(Pumped::from);
        match link.transport.work(turn).await? {
            Pumped::Ended(outcome) => return outcome,
            Pumped::Paused(same, rest) => (pen, items) = (same, rest),
        }
        poll_fn(|cx| link.poll_flush(cx)).await?;
    }
}

impl<T> From<Error> for Pumped<T> {
    fn from(error: Error) -> Pumped<T> {
        Pumped::Ended(Err(error))
    }
}

/// PEP 3333 wants each datum on its way before the next is asked for, since that may block.
fn take_turn<T: Transport>(mut pen: Pen<T>, mut items: IterBody) -> Pumped<T> {
    for _ in 0..TURN {
        let sent = match items.next() {
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

async fn pump_stream<T: Transport>(mut pen: Pen<T>, stream: StreamBody) -> Result<()> {
    let mut stream = CaughtStream(Some(stream));
    let link = Arc::clone(&pen.link);
    link.transport.drive(poll_fn(move |cx| poll_stream(&mut pen, &mut stream, cx))).await?
}

/// Frames that are ready together are written together.
fn poll_stream<T: Transport>(
    pen: &mut Pen<T>,
    stream: &mut CaughtStream,
    cx: &mut Context<'_>,
) -> Poll<Result<()>> {
    let Some(body) = &mut stream.0 else {
        return Poll::Ready(pen.end(None));
    };
    loop {
        if pen.link.lock().out.len() >= HIGH_WATER {
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
            Ok(item) => {
                if pen.data(item)? == Flow::Enough {
                    return Poll::Ready(pen.end(None));
                }
            }
            Err(frame) => return Poll::Ready(pen.end(frame.into_trailers().ok())),
        }
    }
}

struct CaughtStream(Option<StreamBody>);

impl Drop for CaughtStream {
    fn drop(&mut self) {
        let stream = self.0.take();
        // The response has its outcome; closing cannot change it.
        let _ = caught(move || drop(stream));
    }
}

async fn pump_file<T: Transport>(mut pen: Pen<T>, body: FileBody) -> Result<()> {
    pen.start()?;
    let link = Arc::clone(&pen.link);
    if !link.lock().contract.has_length() {
        // A chunk's frame has to surround every piece.
        return pump_iter(pen, Box::new(FilePieces::new(body)?)).await;
    }
    let FileBody { file, mut offset, len } = body;
    poll_fn(|cx| link.poll_flush(cx)).await?;
    let mut left = len;
    while left > 0 {
        let piece = left.min(PIECE);
        let mut admitted = {
            let mut state = link.lock();
            link.with_wire(&mut state, |contract, wire| contract.announce(wire, piece))?
        };
        let over = admitted < piece;
        while admitted > 0 {
            match poll_fn(|cx| poll_send_file(&link, cx, &file, offset, admitted, left)).await? {
                0 => return Err(FilePieces::shrunk().into()),
                n => {
                    offset += n;
                    admitted -= n;
                    left -= n;
                }
            }
        }
        if over {
            return Err(ApplicationError::BodyTooLong { declared: len - left }.into());
        }
    }
    pen.end(None)
}

fn poll_send_file<T: Transport>(
    link: &Link<T>,
    cx: &mut Context<'_>,
    file: &File,
    offset: u64,
    len: u64,
    left: u64,
) -> Poll<Result<u64>> {
    // The peer's pace is that of the whole file, so a piece does not begin a new grace.
    let waiting = |sent: u64, left: u64| {
        let mut state = link.lock();
        let now = link.transport.now();
        let count = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        state.engine.sent(count(sent), count(left), now);
        state.engine.poll_timeout()
    };
    link.transport.note(Phase::Writing, waiting(0, left));
    match ready!(link.transport.poll_send_file(cx, file, offset, len)) {
        Ok(sent) => {
            link.transport.note(Phase::Exchange, waiting(sent, left - sent));
            Poll::Ready(Ok(sent))
        }
        Err(error) => {
            let failure = match error.kind() {
                io::ErrorKind::TimedOut => Failure::TooSlow,
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::NotConnected => Failure::Gone,
                _ => return Poll::Ready(Err(error.into())),
            };
            link.lock().failed = Some(failure);
            Poll::Ready(Err(failure.into()))
        }
    }
}
