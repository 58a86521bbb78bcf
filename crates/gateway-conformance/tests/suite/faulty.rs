//! Faults around the application: what it is given, and what becomes of its answer, changed.

use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use gateway_core::exchange::wait;
use gateway_core::http::HeaderMap;
use gateway_core::http_body::{self, Frame};
use gateway_core::{
    Application, Body, Environ, Error, FileBody, Input, IntoApplication, Reply, Response, Result,
    StartResponse,
};

use crate::proxy::{exchange_of, rebuilt};

type Inner = Arc<dyn Application>;

/// Changes what the application is given. `change` may block.
pub(crate) fn given(
    app: Inner,
    change: impl Fn(&mut Environ) + Send + Sync + 'static,
) -> Box<dyn Application> {
    (move |mut environ: Environ, start_response: StartResponse| {
        change(&mut environ);
        app.call(environ, start_response)
    })
    .boxed()
}

/// Changes what the application answers.
pub(crate) fn answered(
    app: Inner,
    change: impl Fn(Response) -> Result<Response> + Clone + Send + Sync + 'static,
) -> Box<dyn Application> {
    (move |environ: Environ, start_response: StartResponse| {
        let change = change.clone();
        app.call(environ, start_response).then(move |outcome| change(outcome?))
    })
    .boxed()
}

/// Gives the application another input, made of the whole of its own.
pub(crate) fn with_input(
    app: Inner,
    change: fn(&mut Environ, io::Result<Vec<u8>>) -> Option<Input>,
) -> Box<dyn Application> {
    given(app, move |environ| {
        let mut body = Vec::new();
        let read = environ.input().read_to_end(&mut body).map(|_| body);
        if let Some(input) = change(environ, read) {
            environ.set_input(input);
        }
    })
}

/// Sends bodies of known length as if nobody knew it.
pub(crate) fn without_lengths(app: Inner) -> Box<dyn Application> {
    answered(app, |response| {
        Ok(response.map_body(|body| match body {
            Body::Bytes(data) => Body::iter([Ok(data)]),
            Body::Empty => Body::iter([]),
            other => other,
        }))
    })
}

/// Makes up what is missing of a declared length.
pub(crate) fn padding(app: Inner) -> Box<dyn Application> {
    answered(app, |response| {
        let declared = response.headers().contains_key("content-length");
        Ok(response.map_body(|body| match body {
            Body::Iter(items) if declared => {
                Body::iter(items.chain([Ok(Bytes::from_static(b"\0\0\0\0\0"))]))
            }
            other => other,
        }))
    })
}

/// Never drops an iterator.
pub(crate) fn keeping_bodies(app: Inner) -> Box<dyn Application> {
    answered(app, |response| {
        Ok(response.map_body(|body| match body {
            Body::Iter(items) => {
                let mut items = ManuallyDrop::new(items);
                Body::iter(std::iter::from_fn(move || items.next()))
            }
            other => other,
        }))
    })
}

/// Collects an iterator before anything is sent.
pub(crate) fn collecting(app: Inner) -> Box<dyn Application> {
    answered(app, |response| {
        let mut failure = None;
        let response = response.map_body(|body| match body {
            Body::Iter(items) => match items.collect::<io::Result<Vec<Bytes>>>() {
                Ok(data) => Body::iter(data.into_iter().map(Ok)),
                Err(error) => {
                    failure = Some(error);
                    Body::Empty
                }
            },
            other => other,
        });
        failure.map_or(Ok(response), |error| Err(error.into()))
    })
}

/// Changes the files that bodies name.
pub(crate) fn with_files(app: Inner, change: fn(&mut FileBody)) -> Box<dyn Application> {
    answered(app, move |mut response| {
        if let Body::File(file) = response.body_mut() {
            change(file);
        }
        Ok(response)
    })
}

/// Keeps one field of each name.
pub(crate) fn one_of_each(headers: &mut HeaderMap) {
    let single: HeaderMap = headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    *headers = HeaderMap::new();
    for (name, value) in &single {
        headers.insert(name, value.clone());
    }
}

/// Shows the cause of an error.
pub(crate) fn showing_causes(app: Inner) -> Box<dyn Application> {
    (move |environ: Environ, start_response: StartResponse| {
        let recovery = start_response.recovery();
        app.call(environ, start_response).then(move |outcome| {
            outcome.or_else(|error| {
                let text = format!("{error:?}");
                Ok(recovery.start(error.status(), (), error)?.with_body(text))
            })
        })
    })
    .boxed()
}

/// Knows no status but one.
pub(crate) fn forgetting_statuses(app: Inner) -> Box<dyn Application> {
    (move |environ: Environ, start_response: StartResponse| {
        app.call(environ, start_response)
            .then(|outcome| outcome.map_err(|error| Error::application(error.to_string())))
    })
    .boxed()
}

/// Cancels every reply.
pub(crate) fn cancelling(app: Inner) -> Box<dyn Application> {
    (move |environ: Environ, start_response: StartResponse| {
        let gone = environ.disconnected();
        app.call(environ, start_response).cancel_on(gone)
    })
    .boxed()
}

/// Knows no reply that is pending.
pub(crate) fn refusing_pending(app: Inner) -> Box<dyn Application> {
    (move |environ: Environ, start_response: StartResponse| match app.call(environ, start_response)
    {
        Reply::Pending(_) => Reply::Ready(Err(Error::application("what is a future?"))),
        other => other,
    })
    .boxed()
}

/// Calls the application for one request at a time, and waits for its answer.
pub(crate) fn one_at_a_time(app: Inner) -> Box<dyn Application> {
    let turn = Mutex::new(());
    (move |environ: Environ, start_response: StartResponse| {
        let _turn = turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut reply = app.call(environ, start_response);
        loop {
            reply = match reply {
                Reply::Ready(outcome) => return Reply::Ready(outcome),
                Reply::Pending(mut future) => wait(|cx| future.as_mut().poll(cx)),
                Reply::Blocking(job) => job(),
            }
        }
    })
    .boxed()
}

/// Calls the application twice.
pub(crate) fn calling_twice(app: Inner) -> Box<dyn Application> {
    (move |mut environ: Environ, start_response: StartResponse| {
        let exchange = exchange_of(&start_response);
        let again = rebuilt(&mut environ, &exchange);
        drop(app.call(again, StartResponse::new(exchange)));
        app.call(environ, start_response)
    })
    .boxed()
}

/// Upgrades to whatever a client offers.
pub(crate) fn eager_to_upgrade(app: Inner) -> Box<dyn Application> {
    use gateway_core::http::{StatusCode, header::UPGRADE};
    (move |environ: Environ, start_response: StartResponse| {
        if environ.header("upgrade").is_none() {
            return app.call(environ, start_response);
        }
        let response = start_response.start(StatusCode::SWITCHING_PROTOCOLS, [(UPGRADE, "echo")]);
        response.with_body(Body::upgrade(drop)).into()
    })
    .boxed()
}

/// A body of one datum whose length nobody knows.
pub(crate) struct Unsized(pub(crate) Option<Bytes>);

impl http_body::Body for Unsized {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }
}
