//! Rules about peers that go away, and handles that outlive their exchange.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use gateway_core::http::StatusCode;
use gateway_core::{
    Application, ApplicationError, Body, Disconnected, Environ, Error, Input, IntoApplication,
    PeerError, Recovery, Reply, Response, Result, StartResponse,
};

use super::apps::text;
use super::claims::Feature;
use super::scene::{Checked, Scene};
use super::server_test::{ServerRule, case, must};
use super::witness::Witness;
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    DISCONNECTED_IS_READY,
    DISCONNECTED_CAN_BE_ASKED,
    CANCEL_ON_DROPS_THE_WORK,
    OTHERWISE_IT_RUNS,
    WRITES_FAIL,
    END_HOOKS_TELL,
    HANDLES_REACH_NOTHING,
];

const DISCONNECTED_IS_READY: ServerRule = ServerRule {
    rule: must(
        "SRV-97",
        Topic::Cancellation,
        "A server MUST make `disconnected()` ready when the peer goes away while the application \
         waits for it, and not before.",
        "RFC 9112 §9.6; the news that threads get by a failing write, an awaited reply needs \
         itself",
        "Watch the connection for its end while somebody polls; wake every waker.",
    ),
    name: "disconnected_becomes_ready",
    needs: &[Feature::Disconnect],
    cases: &[
        case("the client goes away", |scene| becomes_ready(scene, true)),
        case("the client ends its side, and is answered", |scene| becomes_ready(scene, false)),
        case("two that wait", |scene| {
            let site = scene.serve(|witness| {
                (move |environ: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    let (one, two) = (environ.disconnected(), environ.disconnected());
                    async move {
                        let noting = witness.clone();
                        let both = async { both(one, two).await };
                        noting.note("called");
                        both.await;
                        noting.note("gone");
                        Ok::<_, Error>(text(start_response, "hello"))
                    }
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.ask("/");
            site.witness.noted("called")?;
            peer.leave();
            site.witness.noted_all(&["called", "gone"])
        }),
    ],
};

/// Polls both whenever one of the two wakes it.
async fn both(mut one: Disconnected, mut two: Disconnected) {
    let (mut first, mut second) = (false, false);
    std::future::poll_fn(|cx| {
        first = first || Pin::new(&mut one).poll(cx).is_ready();
        second = second || Pin::new(&mut two).poll(cx).is_ready();
        if first && second { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn becomes_ready(scene: &Scene<'_>, leaves: bool) -> Checked {
    let site = scene.serve(|witness| {
        (move |environ: Environ, start_response: StartResponse| {
            let witness = witness.clone();
            async move {
                let gone = environ.disconnected();
                witness.note(format_args!("gone: {}", gone.is_disconnected()));
                gone.await;
                witness.note("ready");
                Ok::<_, Error>(text(start_response, "hello"))
            }
        })
        .boxed()
    })?;
    let mut peer = site.dial()?;
    peer.ask("/");
    site.witness.noted("gone: false")?;
    if leaves {
        peer.leave();
    } else {
        peer.half_close();
        peer.answer()?.must_say("hello")?;
    }
    site.witness.noted_all(&["gone: false", "ready"])
}

const DISCONNECTED_CAN_BE_ASKED: ServerRule = ServerRule {
    rule: must(
        "SRV-98",
        Topic::Cancellation,
        "A server MUST tell code that blocks, whenever it asks, whether the peer has gone.",
        "The same for an application that polls between two pieces of work",
        "Look at the connection in `Exchange::is_disconnected`, without blocking.",
    ),
    name: "a_departure_can_be_asked_for",
    needs: &[Feature::Disconnect],
    cases: &[case("before and after", |scene| {
        let site = scene.serve(|witness| {
            (move |environ: Environ, start_response: StartResponse| -> Result<Response> {
                let gone = environ.disconnected();
                witness.note(format_args!("gone: {}", gone.is_disconnected()));
                // A departure takes its time, on which only asking again can wait.
                let began = std::time::Instant::now();
                while !gone.is_disconnected() && began.elapsed() < witness.patience() {
                    std::thread::yield_now();
                }
                witness.note(format_args!("gone: {}", gone.is_disconnected()));
                Ok(text(start_response, "hello"))
            })
            .boxed()
        })?;
        let mut peer = site.dial()?;
        peer.ask("/");
        site.witness.noted("gone: false")?;
        peer.leave();
        site.witness.noted_all(&["gone: false", "gone: true"])
    })],
};

const CANCEL_ON_DROPS_THE_WORK: ServerRule = ServerRule {
    rule: must(
        "SRV-99",
        Topic::Cancellation,
        "A server MUST let `cancel_on` drop a pending reply where it stands when the peer goes \
         away, and end the exchange.",
        "There is no precedent: WSGI cannot cancel",
        "Poll the reply when a waker that `disconnected()` was polled with is woken.",
    ),
    name: "cancel_on_drops_the_work",
    needs: &[Feature::Disconnect],
    cases: &[
        case("a future", |scene| {
            let site = scene.serve(|witness| {
                (move |environ: Environ, start_response: StartResponse| {
                    witness.watch_end(&start_response);
                    endless(&witness, start_response).cancel_on(environ.disconnected())
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.ask("/");
            site.witness.noted("called")?;
            peer.leave();
            let end = "end: no head, 0 bytes, aborted";
            site.witness.noted_all(&["called", "work dropped", end])
        }),
        case("a job that has not begun", |scene| {
            let mut site = scene.serve(|witness| {
                (move |environ: Environ, start_response: StartResponse| -> Reply {
                    let witness = witness.clone();
                    let gone = environ.disconnected();
                    Reply::Pending(Box::pin(async move {
                        witness.note("called");
                        gone.clone().await;
                        let noting = witness.clone();
                        let job = Reply::blocking(move || {
                            noting.note("begun");
                            Ok(text(start_response, "never sent"))
                        });
                        job.cancel_on(gone)
                    }))
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.ask("/");
            site.witness.noted("called")?;
            peer.leave();
            site.stop()?;
            site.witness.noted_all(&["called"])
        }),
    ],
};

/// Waits for ever unless it is dropped.
fn endless(witness: &Witness, start_response: StartResponse) -> Reply {
    let (token, witness) = (witness.token("work"), witness.clone());
    Reply::future(async move {
        let _token = token;
        witness.note("called");
        std::future::pending::<()>().await;
        Ok(text(start_response, "never sent"))
    })
}

const OTHERWISE_IT_RUNS: ServerRule = ServerRule {
    rule: must(
        "SRV-100",
        Topic::Cancellation,
        "A server MUST let an application that it called run to its end when the peer goes away, \
         unless the application asked for the contrary.",
        "PEP 3333: nothing stops a synchronous application; an awaited one is treated alike",
        "Go on to drive a pending reply, whatever becomes of the connection.",
    ),
    name: "an_application_runs_to_its_end",
    needs: &[Feature::Disconnect],
    cases: &[
        case("a future that knows", |scene| {
            runs_to_its_end(scene, &["called", "gone", "ran to its end"], |witness| {
                (move |environ: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        witness.note("called");
                        environ.disconnected().await;
                        // Whoever cancels it has its turn now.
                        another_turn().await;
                        witness.note("gone");
                        witness.opened("gate").await;
                        witness.note("ran to its end");
                        Ok::<_, Error>(text(start_response, "hello"))
                    }
                })
                .boxed()
            })
        }),
        case("a future", |scene| {
            runs_to_its_end(scene, &["called", "ran to its end"], |witness| {
                (move |_: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        witness.note("called");
                        witness.opened("gate").await;
                        witness.note("ran to its end");
                        Ok::<_, Error>(text(start_response, "hello"))
                    }
                })
                .boxed()
            })
        }),
        case("a function that blocks", |scene| {
            runs_to_its_end(scene, &["called", "ran to its end"], |witness| {
                (move |_: Environ, start_response: StartResponse| -> Result<Response> {
                    witness.note("called");
                    witness.wait("gate");
                    witness.note("ran to its end");
                    Ok(text(start_response, "hello"))
                })
                .boxed()
            })
        }),
    ],
};

/// Is ready when it is polled again.
async fn another_turn() {
    let mut polled = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The gate opens when the application knows of the departure, where it asks at all.
fn runs_to_its_end(
    scene: &Scene<'_>,
    notes: &[&str],
    app: fn(Witness) -> Box<dyn Application>,
) -> Checked {
    let site = scene.serve(app)?;
    let mut peer = site.dial()?;
    peer.ask("/");
    site.witness.noted("called")?;
    peer.leave();
    if notes.contains(&"gone") {
        site.witness.noted("gone")?;
    }
    site.witness.open("gate");
    site.witness.noted_all(notes)
}

const WRITES_FAIL: ServerRule = ServerRule {
    rule: must(
        "SRV-101",
        Topic::Cancellation,
        "A server MUST fail `write` with the error of a peer that has gone, so that an application \
         without end has one.",
        "PEP 3333, The write() Callable; test_wsgiref: \
         HandlerTests.testClientConnectionTerminations",
        "Turn a failing transport into `PeerError::Disconnected`.",
    ),
    name: "writes_to_a_departed_peer_fail",
    needs: &[Feature::Disconnect],
    cases: &[
        case("by blocking", |scene| {
            fails_to_write(scene, |witness| {
                (move |_: Environ, start_response: StartResponse| -> Result<Response> {
                    let mut response = text(start_response, Body::Empty);
                    loop {
                        let written = response.write(Bytes::from_static(&[b'w'; 10_000]));
                        written.inspect_err(|error| note_end(&witness, error))?;
                    }
                })
                .boxed()
            })
        }),
        case("by awaiting", |scene| {
            fails_to_write(scene, |witness| {
                (move |_: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        let mut response = text(start_response, Body::Empty);
                        loop {
                            let data = Bytes::from_static(&[b'w'; 10_000]);
                            let written = response.write_async(data).await;
                            if let Err(error) = written {
                                note_end(&witness, &error);
                                return Err::<Response, _>(error);
                            }
                        }
                    }
                })
                .boxed()
            })
        }),
    ],
};

fn note_end(witness: &Witness, error: &Error) {
    match error {
        Error::Peer(PeerError::Disconnected) => witness.note("gone"),
        other => witness.note(format_args!("{other:?}")),
    }
}

fn fails_to_write(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let site = scene.serve(app)?;
    let mut peer = site.dial_allowing(Some(1 << 16))?;
    peer.ask("/");
    peer.head()?.must_be(200)?;
    peer.leave();
    site.witness.noted_all(&["gone"])
}

const END_HOOKS_TELL: ServerRule = ServerRule {
    rule: must(
        "SRV-102",
        Topic::Cancellation,
        "A server MUST run the hooks of the end also where the peer has gone, and tell them so.",
        "Rack: rack.response_finished",
        "Finish an exchange that was given up like any other.",
    ),
    name: "end_hooks_tell_of_a_departure",
    needs: &[Feature::Disconnect],
    cases: &[case("in the middle of a body", |scene| {
        let site = scene.serve(|witness| {
            gateway_core::inline(move |_, start_response| {
                let noting = witness.clone();
                start_response.on_end(move |end| match end.abort {
                    Some(error) => note_end(&noting, error),
                    None => noting.note("a clean end"),
                });
                let items = std::iter::repeat_with(|| Ok(Bytes::from_static(&[b'e'; 10_000])));
                Ok(text(start_response, Body::iter(items)))
            })
        })?;
        let mut peer = site.dial_allowing(Some(1 << 16))?;
        peer.ask("/");
        peer.head()?.must_be(200)?;
        peer.leave();
        site.witness.noted_all(&["gone"])
    })],
};

const HANDLES_REACH_NOTHING: ServerRule = ServerRule {
    rule: must(
        "SRV-103",
        Topic::Cancellation,
        "A server MUST make every handle void that an application keeps beyond its exchange: it \
         reaches neither the connection nor the exchange that follows.",
        "PEP 3333: environ, input and write belong to one call",
        "Let handles carry the number of their exchange, and compare.",
    ),
    name: "leaked_handles_reach_nothing",
    needs: &[Feature::KeepAlive],
    cases: &[
        case("used by the next exchange", |scene| {
            let site = scene.serve(keeper)?;
            let mut peer = site.dial()?;
            peer.send_text("POST /keep HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\nhello");
            peer.answer()?.must_say("kept")?;
            peer.send_text("POST /use HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\nworld");
            peer.answer()?.must_say("world")?;
            site.witness.noted_all(&["write: over", "input: over", "gone: true", "recovery: none"])
        }),
        case("returned by the next exchange", |scene| {
            let site = scene.serve(keeper)?;
            let mut peer = site.dial()?;
            peer.get("/keep")?.must_say("kept")?;
            peer.get("/return")?.must_be(500)
        }),
    ],
};

struct Kept {
    response: Response,
    input: Input,
    recovery: Recovery,
    disconnected: Disconnected,
}

/// `/keep` keeps all that it can, `/use` uses it and echoes, `/return` answers with it.
fn keeper(witness: Witness) -> Box<dyn Application> {
    let kept = Mutex::new(None::<Kept>);
    (move |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let old = kept.take();
        match (environ.raw_path_info(), old) {
            ("/keep", _) => {
                let another = start_response.recovery();
                let cause = Error::application("no cause at all");
                *kept = Some(Kept {
                    response: another.start(StatusCode::ACCEPTED, (), cause)?,
                    input: environ.take_input(),
                    recovery: start_response.recovery(),
                    disconnected: environ.disconnected(),
                });
                Ok(text(start_response, "kept"))
            }
            ("/use", Some(mut old)) => {
                witness.note(format_args!("write: {}", over(old.response.write("late"))));
                witness.note(format_args!("input: {}", over(old.input.collect(10).map(drop))));
                witness.note(format_args!("gone: {}", old.disconnected.is_disconnected()));
                let late = old.recovery.start(StatusCode::OK, (), Error::application("late"));
                witness.note(if late.is_err() { "recovery: none" } else { "recovery: some" });
                let body = environ.input().collect(10)?;
                Ok(text(start_response, body))
            }
            (_, Some(old)) => {
                drop(start_response);
                Ok(old.response.with_body("stolen"))
            }
            (_, None) => Err(Error::application("nothing was kept")),
        }
    })
    .boxed()
}

fn over(late: Result<()>) -> &'static str {
    match late {
        Err(Error::Application(ApplicationError::ExchangeOver)) => "over",
        Err(_) => "another error",
        Ok(()) => "done",
    }
}
