//! An endless clock as server-sent events, from an iterator and from something that is polled.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, SystemTime};

use futures_timer::Delay;
use gateway_core::bytes::Bytes;
use gateway_core::http::{StatusCode, header::CONTENT_TYPE};
use gateway_core::http_body::{self, Frame};
use gateway_core::{Body, Environ, Reply, StartResponse};

const TICK: Duration = Duration::from_secs(1);
const EVENTS: &str = "text/event-stream";
const HINT: &str = "try /iter or /async\n";

/// Serves the clock at `/iter` and at `/async`. Neither ends before the client goes.
pub fn app(environ: Environ, start_response: StartResponse) -> Reply {
    let (status, content_type, body) = match environ.raw_path_info() {
        "/iter" => (StatusCode::OK, EVENTS, Body::iter(clock())),
        "/async" => (StatusCode::OK, EVENTS, Body::stream(Clock(Delay::new(Duration::ZERO)))),
        _ => (StatusCode::NOT_FOUND, "text/plain", HINT.into()),
    };
    start_response.start(status, [(CONTENT_TYPE, content_type)]).with_body(body).into()
}

/// May block between two data: a server that cannot afford it asks from a worker.
fn clock() -> impl Iterator<Item = io::Result<Bytes>> {
    let first = std::iter::once_with(|| Ok(event()));
    first.chain(std::iter::repeat_with(|| {
        thread::sleep(TICK);
        Ok(event())
    }))
}

/// Never blocks. Its timer belongs to no runtime, so it ticks on every server.
struct Clock(Delay);

impl http_body::Body for Clock {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(Pin::new(&mut self.0).poll(cx));
        self.0.reset(TICK);
        Poll::Ready(Some(Ok(Frame::data(event()))))
    }
}

fn event() -> Bytes {
    format!("data: {}\n\n", httpdate::fmt_http_date(SystemTime::now())).into()
}
