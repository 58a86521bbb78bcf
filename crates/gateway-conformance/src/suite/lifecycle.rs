//! Rules about stopping a server.

use std::time::Duration;

use gateway_core::{
    Application, Environ, Error, IntoApplication, Reply, Response, Result, StartResponse, Stopped,
};

use super::PATIENCE;
use super::apps::{saying, text};
use super::claims::Feature;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must};
use super::witness::{Token, Witness};
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] =
    &[REQUESTS_IN_FLIGHT_FINISH, IDLE_CONNECTIONS_END, DEADLINE_CUTS, APPLICATION_IS_DROPPED];

const REQUESTS_IN_FLIGHT_FINISH: ServerRule = ServerRule {
    rule: must(
        "SRV-118",
        Topic::Lifecycle,
        "A server that is told to stop MUST finish requests in flight within the grace, say in \
         their answers that the connection ends, and count none of them as cut.",
        "There is no precedent in PEP 3333; RFC 9112 §9.6 for the answer",
        "Stop to accept, send `Connection: close`, and wait for the exchanges.",
    ),
    name: "requests_in_flight_finish",
    needs: &[Feature::Shutdown, Feature::Connections, Feature::KeepAlive],
    cases: &[
        case("a future", |scene| {
            finishes(scene, |witness| {
                (move |environ: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        if environ.raw_path_info() == "/wait" {
                            witness.note("waits");
                            witness.opened("gate").await;
                        }
                        Ok::<_, Error>(text(start_response, "hello"))
                    }
                })
                .boxed()
            })
        }),
        case("a function that blocks", |scene| {
            finishes(scene, |witness| {
                (move |environ: Environ, start_response: StartResponse| -> Result<Response> {
                    if environ.raw_path_info() == "/wait" {
                        witness.note("waits");
                        witness.wait("gate");
                    }
                    Ok(text(start_response, "hello"))
                })
                .boxed()
            })
        }),
        case("one whose body still comes, by awaiting", |scene| {
            reads_on(scene, |witness| {
                (move |mut environ: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        let mut body = Vec::new();
                        while let Some(data) = environ.input().data_async().await {
                            body.extend_from_slice(&data?);
                            witness.note(format_args!("read {}", body.len()));
                        }
                        Ok::<_, Error>(text(start_response, body))
                    }
                })
                .boxed()
            })
        }),
        case("one whose body still comes, by blocking", |scene| {
            reads_on(scene, |witness| {
                (move |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
                    let mut body = Vec::new();
                    while let Some(data) = environ.input().data() {
                        body.extend_from_slice(&data?);
                        witness.note(format_args!("read {}", body.len()));
                    }
                    Ok(text(start_response, body))
                })
                .boxed()
            })
        }),
    ],
};

/// The body of a request is in flight, too.
fn reads_on(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let mut site = scene.serve(app)?;
    let mut idle = site.dial()?;
    idle.get("/")?.must_be(200)?;
    let mut busy = site.dial()?;
    busy.send_text("POST / HTTP/1.1\nHost: suite.test\nContent-Length: 4\n\nb");
    site.witness.noted("read 1")?;
    let stopping = site.begin_stop(PATIENCE)?;
    idle.ends()?;
    // One by one, so that the server has to wait for each.
    for (byte, read) in [("o", "read 2"), ("d", "read 3"), ("y", "read 4")] {
        busy.send_text(byte);
        site.witness.noted(read)?;
    }
    busy.answer()?.must_say("body")?;
    drop(busy);
    let stopped = stopping.wait()?;
    ensure!(stopped == Stopped::default(), "nothing was cut, and it says: {stopped}");
    Ok(())
}

fn finishes(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let mut site = scene.serve(app)?;
    let mut idle = site.dial()?;
    idle.get("/")?.must_say("hello")?;
    let mut busy = site.dial()?;
    busy.ask("/wait");
    site.witness.noted("waits")?;
    let stopping = site.begin_stop(PATIENCE)?;
    // Its end shows that the stop has begun.
    idle.ends()?;
    site.witness.open("gate");
    let answer = busy.answer()?;
    answer.must_say("hello")?;
    ensure!(answer.closes(), "`connection` is {:?}", answer.values("connection"));
    busy.ends()?;
    // Whoever stays connected is waited for: it might still be sending.
    drop(busy);
    let stopped = stopping.wait()?;
    ensure!(stopped == Stopped::default(), "nothing was cut, and it says: {stopped}");
    Ok(())
}

const IDLE_CONNECTIONS_END: ServerRule = ServerRule {
    rule: must(
        "SRV-119",
        Topic::Lifecycle,
        "A server that is told to stop MUST end connections that wait for a further request at \
         once and those whose first one has not come within a moment, and count none of them as \
         cut.",
        "RFC 9112 §9.5: a server may close an idle connection at any time",
        "Wake what waits for a request, and close it.",
    ),
    name: "idle_connections_end_at_a_stop",
    needs: &[Feature::Shutdown, Feature::Connections, Feature::KeepAlive],
    cases: &[case("one that was used, one that was not", |scene| {
        let mut site = scene.serve(|_| saying("hello"))?;
        let mut silent = site.dial()?;
        let mut used = site.dial()?;
        used.get("/")?.must_say("hello")?;
        let stopping = site.begin_stop(PATIENCE * 100)?;
        used.ends()?;
        silent.ends()?;
        let stopped = stopping.wait()?;
        ensure!(stopped == Stopped::default(), "nothing was cut, and it says: {stopped}");
        Ok(())
    })],
};

const DEADLINE_CUTS: ServerRule = ServerRule {
    rule: must(
        "SRV-120",
        Topic::Lifecycle,
        "A server MUST drop pending replies and cut their connections when the grace is over, \
         count them, and count threads of the application that still run.",
        "There is no precedent in PEP 3333; `Stopped` is what an operator's log needs",
        "Cancel what waits at the deadline, and leave running threads alone.",
    ),
    name: "the_deadline_cuts_and_counts",
    needs: &[Feature::Shutdown],
    cases: &[
        case("a pending reply", |scene| {
            let mut site = scene.serve(|witness| {
                (move |_: Environ, start_response: StartResponse| -> Reply {
                    let (token, witness) = (witness.token("work"), witness.clone());
                    Reply::future(async move {
                        let _token = token;
                        witness.note("called");
                        std::future::pending::<()>().await;
                        Ok(text(start_response, "never sent"))
                    })
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.ask("/");
            site.witness.noted("called")?;
            let stopped = site.begin_stop(Duration::from_millis(10))?.wait()?;
            ensure!(stopped == Stopped::new(1, 0), "one reply was pending, and it says: {stopped}");
            site.witness.noted_all(&["called", "work dropped"])?;
            // It may be told.
            if let Some(answer) = peer.answer_or_end()? {
                answer.must_be(503)?;
            }
            peer.ends().map(drop)
        }),
        case("a thread that runs", |scene| {
            let mut site = scene.serve(|witness| {
                (move |_: Environ, start_response: StartResponse| -> Result<Response> {
                    witness.note("called");
                    witness.wait("gate");
                    Ok(text(start_response, "late"))
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.ask("/");
            site.witness.noted("called")?;
            let stopped = site.begin_stop(Duration::from_millis(10))?.wait()?;
            ensure!(stopped == Stopped::new(1, 1), "one thread ran, and it says: {stopped}");
            site.witness.open("gate");
            Ok(())
        }),
    ],
};

const APPLICATION_IS_DROPPED: ServerRule = ServerRule {
    rule: must(
        "SRV-121",
        Topic::Lifecycle,
        "A server MUST have dropped the application when it has stopped and no thread of it runs: \
         that is the application's own shutdown.",
        "ASGI: lifespan.shutdown; here it is Drop",
        "Let go of every `Arc` of the application before `serve` returns.",
    ),
    name: "the_application_is_dropped_at_the_end",
    needs: &[Feature::Shutdown],
    cases: &[case("after a request", |scene| {
        struct Owning(Token);
        impl Application for Owning {
            fn call(&self, _: Environ, start_response: StartResponse) -> Reply {
                let Owning(_token) = self;
                text(start_response, "hello").into()
            }
        }
        let mut site = scene.serve(|witness| Owning(witness.token("application")))?;
        let mut peer = site.dial()?;
        peer.get("/")?.must_say("hello")?;
        site.stop()?;
        let notes = site.witness.notes();
        ensure!(notes == ["application dropped"], "the application noted {notes:?}");
        Ok(())
    })],
};
