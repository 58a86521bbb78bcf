//! Faults of an exchange: what the application's handles do, changed.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, End, EndHook, Exchange, HeadHook};
use gateway_core::http::{HeaderMap, StatusCode};
use gateway_core::http_body::Frame;
use gateway_core::{Application, Body, Environ, Error, Head, Input, Reply, Result, StartResponse};

/// What the handles do wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Hooks of the head run in the order they were added.
    HeadHooksOutermostFirst,
    /// Hooks of the end are told of a byte more.
    EndHooksMiscount,
    /// Hooks of the end hear of clean ends alone.
    EndHooksOnlyWhenClean,
    /// Early hints are lost.
    NoEarlyHints,
    /// Nobody is told of a departure.
    NeverGone,
    /// A handle that is void takes what it is given.
    VoidHandlesWork,
    /// It says that calls must not block, and lets them.
    ClaimsAReactor,
}

/// A proxy between an application and the exchange.
struct Proxy {
    wrong: Wrong,
    real: Arc<dyn Exchange>,
    info: ConnectionInfo,
    head_hooks: Arc<Mutex<Vec<HeadHook>>>,
}

/// The application on a server whose handles are wrong.
pub(crate) fn with_proxy(app: Arc<dyn Application>, wrong: Wrong) -> Box<dyn Application> {
    Box::new(Proxied { app, wrong })
}

struct Proxied {
    app: Arc<dyn Application>,
    wrong: Wrong,
}

impl Application for Proxied {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        let real = exchange_of(&start_response);
        let mut info = real.connection().clone();
        info.nonblocking |= self.wrong == Wrong::ClaimsAReactor;
        let proxy: Arc<dyn Exchange> = Arc::new(Proxy {
            wrong: self.wrong,
            real: Arc::clone(&real),
            info,
            head_hooks: Arc::default(),
        });
        let environ = rebuilt(&mut environ, &proxy);
        self.app.call(environ, StartResponse::new(Arc::clone(&proxy))).map(move |response| {
            // The server takes none but its own exchange's.
            let parts = response.into_parts();
            let mut response =
                StartResponse::new(real).start(parts.head.status, parts.head.headers);
            match parts.body {
                // What has been written goes on by writing.
                Body::Bytes(data) if parts.head_sent => {
                    response.write(data).expect("the peer is there");
                    response
                }
                body => response.with_body(body),
            }
        })
    }
}

/// The exchange behind a handle.
pub(crate) fn exchange_of(start_response: &StartResponse) -> Arc<dyn Exchange> {
    let cause = Error::application("nothing has been sent");
    let response = start_response.recovery().start(StatusCode::OK, (), cause);
    response.expect("nothing has been sent").into_parts().exchange
}

/// The same request on another exchange.
pub(crate) fn rebuilt(environ: &mut Environ, exchange: &Arc<dyn Exchange>) -> Environ {
    let target = Bytes::copy_from_slice(environ.raw_target().as_bytes());
    let headers = environ.headers().clone();
    let declared = environ.input().declared_len();
    let (method, version) = (environ.method().clone(), environ.version());
    Environ::new(Arc::clone(exchange), method, version, target)
        .with_headers(headers)
        .with_input(Input::from_exchange(Arc::clone(exchange), declared, 2 << 20))
}

impl Exchange for Proxy {
    fn connection(&self) -> &ConnectionInfo {
        &self.info
    }

    fn may_block(&self) -> bool {
        self.real.may_block()
    }

    fn on_head(&self, hook: HeadHook) {
        if self.wrong != Wrong::HeadHooksOutermostFirst {
            return self.real.on_head(hook);
        }
        let mut hooks = self.head_hooks.lock().expect("nobody panics");
        hooks.push(hook);
        if hooks.len() == 1 {
            let hooks = Arc::clone(&self.head_hooks);
            self.real.on_head(Box::new(move |head| {
                std::mem::take(&mut *hooks.lock().expect("nobody panics"))
                    .into_iter()
                    .for_each(|hook| hook(head));
            }));
        }
    }

    fn on_end(&self, hook: EndHook) {
        let wrong = self.wrong;
        self.real.on_end(Box::new(move |end| match wrong {
            Wrong::EndHooksMiscount => hook(
                &End::new(end.status, end.bytes_sent + 1)
                    .with_error(end.error)
                    .with_abort(end.abort),
            ),
            Wrong::EndHooksOnlyWhenClean if end.abort.is_some() => {}
            _ => hook(end),
        }));
    }

    fn early_hints(&self, headers: &HeaderMap) {
        if self.wrong != Wrong::NoEarlyHints {
            self.real.early_hints(headers);
        }
    }

    fn head_sent(&self) -> bool {
        self.real.head_sent()
    }

    fn write(&self, head: &mut Head, data: Bytes) -> Result<()> {
        let written = self.real.write(head, data);
        if self.wrong == Wrong::VoidHandlesWork { Ok(()) } else { written }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = self.real.poll_flush(cx);
        if self.wrong == Wrong::VoidHandlesWork { flushed.map(|_| Ok(())) } else { flushed }
    }

    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.real.poll_input(cx)
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wrong == Wrong::NeverGone { Poll::Pending } else { self.real.poll_disconnected(cx) }
    }

    fn is_disconnected(&self) -> bool {
        self.wrong != Wrong::NeverGone && self.real.is_disconnected()
    }
}
