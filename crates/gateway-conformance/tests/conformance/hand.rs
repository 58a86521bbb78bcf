//! A server by hand, which may be wrong.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use gateway_conformance::{Lint, Violation};
use gateway_core::bytes::Bytes;
use gateway_core::exchange::{ConnectionInfo, End, EndHook, Exchange, HeadHook};
use gateway_core::http::{HeaderMap, Method, Version};
use gateway_core::http_body::Frame;
use gateway_core::{
    Application, Body, Environ, Head, Input, IntoApplication, Reply, Response, Result, ServerInfo,
    StartResponse,
};

/// What a [`Hand`] does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Wrong {
    #[default]
    Nothing,
    /// It must not block anywhere.
    NeverBlocks,
    /// Its start_response is used already.
    HeadIsSent,
    /// It makes environ and start_response of two exchanges.
    TwoExchanges,
    /// It polls a future that was ready.
    PollsAgain,
    /// It asks a body that has ended.
    AsksAgain,
    /// It asks a body that has failed.
    AsksAfterFailure,
    /// It ends before it drops the body.
    KeepsBody,
    /// It runs no end hooks.
    ForgetsEnd,
    /// It runs no head hooks.
    ForgetsHooks,
    /// It takes data and keeps the head.
    KeepsHead,
}

/// One request, and the server that has it.
pub(crate) struct Hand {
    pub(crate) wrong: Wrong,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) target: &'static str,
    pub(crate) fields: Vec<(&'static str, &'static str)>,
    pub(crate) info: ConnectionInfo,
    pub(crate) declared: Option<u64>,
    pub(crate) input: Vec<&'static str>,
    /// What middleware does to the environ.
    pub(crate) given: fn(&mut Environ),
}

impl Default for Hand {
    fn default() -> Hand {
        let server = ServerInfo::new("hand.test", Some(80), "hand/1.0");
        Hand {
            wrong: Wrong::Nothing,
            method: Method::GET,
            version: Version::HTTP_11,
            target: "/",
            fields: vec![("Host", "hand.test")],
            info: ConnectionInfo::new(Arc::new(server)),
            declared: Some(0),
            input: Vec::new(),
            given: |_| {},
        }
    }
}

impl Hand {
    /// Runs `app` under the lint.
    pub(crate) fn call<M>(self, app: impl IntoApplication<M>) -> Vec<Violation> {
        let (linted, violations) = Lint::new(app).collecting();
        self.serve(&linted);
        violations.take()
    }

    pub(crate) fn serve(self, app: &dyn Application) {
        let wrong = self.wrong;
        let exchange = Arc::new(HandExchange {
            wrong,
            info: self.info.clone(),
            state: Mutex::new(State { sent: wrong == Wrong::HeadIsSent, ..State::default() }),
        });
        exchange.state().input = self.input.iter().rev().map(|data| Bytes::from(*data)).collect();
        let server: Arc<dyn Exchange> = exchange.clone();
        let other: Arc<dyn Exchange> = Arc::new(HandExchange {
            wrong: Wrong::Nothing,
            info: self.info,
            state: Mutex::default(),
        });
        let (bytes, positions) = head_bytes(&self.fields);
        let seen = if wrong == Wrong::TwoExchanges { other } else { Arc::clone(&server) };
        let input = Input::from_exchange(Arc::clone(&seen), self.declared, 1 << 20);
        let target = Bytes::from(self.target);
        let mut environ = Environ::new(seen, self.method, self.version, target)
            .with_fields(bytes, positions.into_iter())
            .with_input(input);
        (self.given)(&mut environ);
        let reply = app.call(environ, StartResponse::new(server));
        if let Ok(response) = exchange.drive(reply) {
            exchange.respond(response);
        }
    }
}

struct HandExchange {
    wrong: Wrong,
    info: ConnectionInfo,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: bool,
    head_hooks: Vec<HeadHook>,
    end_hooks: Vec<EndHook>,
    input: Vec<Bytes>,
}

impl HandExchange {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics here")
    }

    fn drive(&self, mut reply: Reply) -> Result<Response> {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            reply = match reply {
                Reply::Ready(outcome) => return outcome,
                Reply::Blocking(job) => job(),
                Reply::Pending(mut future) => loop {
                    if let Poll::Ready(reply) = future.as_mut().poll(&mut cx) {
                        if self.wrong == Wrong::PollsAgain {
                            assert!(future.as_mut().poll(&mut cx).is_pending());
                        }
                        break reply;
                    }
                },
            }
        }
    }

    fn respond(&self, response: Response) {
        let parts = response.into_parts();
        let (mut head, body) = (parts.head, parts.body);
        let mut kept = None;
        match body {
            Body::Iter(mut items) => {
                let failed = items.by_ref().any(|item| item.is_err());
                if self.wrong == Wrong::AsksAgain
                    || (self.wrong == Wrong::AsksAfterFailure && failed)
                {
                    let _ = items.next();
                }
                if self.wrong == Wrong::KeepsBody {
                    kept = Some(items);
                }
            }
            Body::Stream(mut stream) => {
                let mut cx = Context::from_waker(Waker::noop());
                while let Poll::Pending | Poll::Ready(Some(Ok(_))) =
                    stream.as_mut().poll_frame(&mut cx)
                {}
                if self.wrong == Wrong::AsksAgain {
                    let _ = stream.as_mut().poll_frame(&mut cx);
                }
            }
            _ => {}
        }
        self.send(&mut head);
        if self.wrong != Wrong::ForgetsEnd {
            let hooks = std::mem::take(&mut self.state().end_hooks);
            let end = End::new(Some(head.status), 0);
            hooks.into_iter().rev().for_each(|hook| hook(&end));
        }
        drop(kept);
    }

    fn send(&self, head: &mut Head) {
        if self.wrong != Wrong::ForgetsHooks {
            let hooks = std::mem::take(&mut self.state().head_hooks);
            hooks.into_iter().rev().for_each(|hook| hook(head));
        }
        self.state().sent |= self.wrong != Wrong::KeepsHead;
    }
}

impl Exchange for HandExchange {
    fn connection(&self) -> &ConnectionInfo {
        &self.info
    }

    fn may_block(&self) -> bool {
        self.wrong != Wrong::NeverBlocks
    }

    fn on_head(&self, hook: HeadHook) {
        self.state().head_hooks.push(hook);
    }

    fn on_end(&self, hook: EndHook) {
        self.state().end_hooks.push(hook);
    }

    fn early_hints(&self, _: &HeaderMap) {}

    fn head_sent(&self) -> bool {
        self.state().sent
    }

    fn write(&self, head: &mut Head, _: Bytes) -> Result<()> {
        self.send(head);
        Ok(())
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_input(&self, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        Poll::Ready(self.state().input.pop().map(|data| Ok(Frame::data(data))))
    }

    fn poll_disconnected(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn is_disconnected(&self) -> bool {
        false
    }
}

type Position = (std::ops::Range<usize>, std::ops::Range<usize>);

fn head_bytes(fields: &[(&str, &str)]) -> (Bytes, Vec<Position>) {
    let (mut bytes, mut positions) = (String::new(), Vec::new());
    for (name, value) in fields {
        let at = bytes.len();
        bytes.push_str(name);
        bytes.push_str(value);
        positions.push((at..at + name.len(), at + name.len()..bytes.len()));
    }
    (bytes.into(), positions)
}
