//! Applications of every kind within a middleware, with the lint inside and outside of it.

use std::future::poll_fn;
use std::task::Poll;

use gateway_conformance::{Lint, TestClient};
use gateway_core::bytes::Bytes;
use gateway_core::{
    Application, Environ, IntoApplication, Response, Result, StartResponse, inline,
};

/// How the application inside answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Inline,
    Blocking,
    Async,
}

/// What is wrapped, and what wraps.
pub(crate) type Boxed = Box<dyn Application>;

/// Checks `wrap` around an application of each kind that answers what `answer` says, as on a server
/// with threads and as on a reactor.
#[track_caller]
pub(crate) fn around_each<W: Application>(
    answer: impl Fn(Environ, StartResponse) -> Result<Response> + Clone + Send + Sync + 'static,
    wrap: impl Fn(Boxed) -> W,
    check: impl Fn(&TestClient, Kind),
) {
    around(Kind::Inline, || inline(answer.clone()).boxed(), &wrap, &check);
    around(Kind::Blocking, || answer.clone().boxed(), &wrap, &check);
    let awaited = || {
        let answer = answer.clone();
        let app = move |environ, start_response| {
            let answer = answer.clone();
            async move {
                be_pending_once().await;
                answer(environ, start_response)
            }
        };
        app.boxed()
    };
    around(Kind::Async, awaited, &wrap, &check);
}

/// The same for applications that read the request's body first: by blocking, and by awaiting.
#[track_caller]
pub(crate) fn around_readers<W: Application>(
    answer: fn(Bytes, StartResponse) -> Result<Response>,
    wrap: impl Fn(Boxed) -> W,
    check: impl Fn(&TestClient, Kind),
) {
    let blocking = move |mut environ: Environ, start_response: StartResponse| {
        let body = read(&mut environ)?;
        answer(body, start_response)
    };
    let awaiting = move |mut environ: Environ, start_response: StartResponse| async move {
        let mut all = Vec::new();
        while let Some(data) = environ.input().data_async().await {
            all.extend_from_slice(&data?);
        }
        answer(all.into(), start_response)
    };
    around(Kind::Blocking, || blocking.boxed(), &wrap, &check);
    around(Kind::Async, || awaiting.boxed(), &wrap, &check);
}

/// The whole body, under the limit that the request has.
fn read(environ: &mut Environ) -> Result<Bytes> {
    let mut all = Vec::new();
    while let Some(data) = environ.input().data() {
        all.extend_from_slice(&data?);
    }
    Ok(all.into())
}

/// Checks `wrap` around `app`, as on a server with threads and as on a reactor.
#[track_caller]
pub(crate) fn around<W: Application>(
    kind: Kind,
    app: impl Fn() -> Boxed,
    wrap: &impl Fn(Boxed) -> W,
    check: &impl Fn(&TestClient, Kind),
) {
    for is_reactor in [false, true] {
        let (inside, violations) = Lint::new(app()).collecting();
        let client = TestClient::new(wrap(Box::new(inside)));
        let client = if is_reactor { client.on_reactor() } else { client };
        check(&client, kind);
        let found = violations.take();
        assert!(found.is_empty(), "inside, {kind:?}, on a reactor: {is_reactor}: {found:?}");
    }
}

async fn be_pending_once() {
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        if polls > 1 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
