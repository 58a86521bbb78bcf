//! Rules about how an application is called, and the kinds of its replies.

use gateway_core::{
    Application, Environ, Error, IntoApplication, Reply, Response, Result, StartResponse,
};

use super::apps::{telling, text};
use super::claims::Feature;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must, port};
use super::witness::Witness;
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] =
    &[EVERY_REPLY, CALLED_ONCE, BLOCKING_STALLS_NOBODY, WAITING_STALLS_NOBODY, MAY_BLOCK];

const EVERY_REPLY: ServerRule = ServerRule {
    rule: must(
        "SRV-92",
        Topic::Lifecycle,
        "A server MUST serve every kind of reply: ready, pending, blocking, and any chain of them.",
        "PSGI: delayed response and streaming body; there is no server that serves only some",
        "Loop until the reply is ready.",
    ),
    name: "every_kind_of_reply_is_served",
    needs: &[],
    cases: &[
        case("ready", |scene| {
            serves(scene, |environ, start_response| answer(&environ, start_response).into())
        }),
        port("pending", "Plack::Test::Suite: coderef res", |scene| {
            serves(scene, |environ, start_response| {
                Reply::future(async move { answer(&environ, start_response) })
            })
        }),
        case("blocking", |scene| {
            serves(scene, |environ, start_response| {
                Reply::blocking(move || answer(&environ, start_response))
            })
        }),
        case("a chain", |scene| {
            serves(scene, |environ, start_response| {
                Reply::Pending(Box::pin(async move {
                    Reply::Blocking(Box::new(move || {
                        Reply::Pending(Box::pin(async move {
                            Reply::blocking(move || answer(&environ, start_response))
                        }))
                    }))
                }))
            })
        }),
        case("pending, woken by another thread", |scene| {
            let site = scene.serve(|witness| {
                (move |environ: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        witness.note("waits");
                        witness.opened("gate").await;
                        answer(&environ, start_response)
                    }
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.ask("/?name=miyagawa");
            site.witness.noted("waits")?;
            site.witness.open("gate");
            peer.answer()?.must_say("Hello, name=miyagawa")
        }),
    ],
};

fn answer(environ: &Environ, start_response: StartResponse) -> Result<Response> {
    let query = environ.query_string().unwrap_or_default();
    Ok(text(start_response, format!("Hello, {query}")))
}

fn serves(scene: &Scene<'_>, app: fn(Environ, StartResponse) -> Reply) -> Checked {
    let site = scene.serve(|_| app)?;
    site.dial()?.get("/?name=miyagawa")?.must_say("Hello, name=miyagawa")
}

const CALLED_ONCE: ServerRule = ServerRule {
    rule: must(
        "SRV-93",
        Topic::Lifecycle,
        "A server MUST call the application once for each request.",
        "PEP 3333, The Server/Gateway Side: once for each request",
        "Never answer a request twice, also where the first answer failed.",
    ),
    name: "the_application_is_called_once",
    needs: &[],
    cases: &[
        case("for a request", |scene| calls(scene, "GET /a HTTP/1.1\nHost: suite.test\n\n", "/a")),
        case("for one that fails", |scene| {
            calls(scene, "GET /panic HTTP/1.1\nHost: suite.test\n\n", "/panic")
        }),
        case("for one with a body", |scene| {
            calls(scene, "POST /b HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\nhello", "/b")
        }),
    ],
};

fn calls(scene: &Scene<'_>, request: &str, place: &str) -> Checked {
    let mut site = scene.serve(|witness| {
        telling(move |environ| {
            witness.note(environ.raw_path_info());
            assert_ne!(environ.raw_path_info(), "/panic", "on purpose");
            String::new()
        })
    })?;
    let mut peer = site.dial()?;
    peer.exchange(request)?;
    peer.finish()?;
    drop(peer);
    site.stop()?;
    site.witness.noted_all(&[place])
}

const BLOCKING_STALLS_NOBODY: ServerRule = ServerRule {
    rule: must(
        "SRV-94",
        Topic::Lifecycle,
        "A server of several connections MUST answer others while applications block where they \
         may.",
        "PEP 3333, Thread Support; there is no `wsgi.async`: blocking is the server's to provide \
         for",
        "Give every blocking reply a thread of its own.",
    ),
    name: "a_blocking_application_stalls_nobody",
    needs: &[Feature::Connections],
    cases: &[
        case("four that block", |scene| {
            stalls_nobody(scene, |witness| {
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
        case("four bodies that block", |scene| {
            stalls_nobody(scene, |witness| {
                gateway_core::inline(move |environ, start_response| {
                    let waits = environ.raw_path_info() == "/wait";
                    let gates = witness.clone();
                    let items = std::iter::once_with(move || {
                        if waits {
                            gates.note("waits");
                            gates.wait("gate");
                        }
                        Ok("hello".into())
                    });
                    Ok(text(start_response, gateway_core::Body::iter(items)))
                })
                .boxed()
            })
        }),
    ],
};

/// Four exchanges wait, and four others are answered meanwhile.
fn stalls_nobody(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let site = scene.serve(app)?;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut peer = site.dial()?;
        peer.ask("/wait");
        waiting.push(peer);
    }
    site.witness.noted_times("waits", 4)?;
    for _ in 0..4 {
        site.dial()?.get("/")?.must_say("hello")?;
    }
    site.witness.open("gate");
    waiting.iter_mut().try_for_each(|peer| peer.answer()?.must_say("hello"))
}

const WAITING_STALLS_NOBODY: ServerRule = ServerRule {
    rule: must(
        "SRV-95",
        Topic::Lifecycle,
        "A server of several connections MUST answer others while replies are pending.",
        "There is no precedent: WSGI has no pending reply",
        "Poll a pending reply when it is woken, and serve others in between.",
    ),
    name: "a_pending_reply_stalls_nobody",
    needs: &[Feature::Connections],
    cases: &[case("four that wait", |scene| {
        stalls_nobody(scene, |witness| {
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
    })],
};

const MAY_BLOCK: ServerRule = ServerRule {
    rule: must(
        "SRV-96",
        Topic::Lifecycle,
        "A server MUST let a blocking reply and an iterator block on the request's input and on \
         `write`; a call in place it MUST let do so unless it says `nonblocking`, and where it \
         does, it MUST fail the call instead of blocking the reactor.",
        "There is no precedent: PEP 3333 knows threads alone",
        "Decide `Exchange::may_block` by the thread that asks.",
    ),
    name: "blocking_works_where_it_may",
    needs: &[],
    cases: &[
        case("in a blocking reply", |scene| {
            let site = scene.serve(|_| {
                (|mut environ: Environ, start_response: StartResponse| -> Reply {
                    Reply::blocking(move || {
                        let body = environ.input().collect(10)?;
                        let mut response = text(start_response, "!");
                        response.write(body)?;
                        Ok(response)
                    })
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.send_text("POST / HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\n");
            peer.send("hello");
            peer.answer()?.must_say("hello!")
        }),
        case("in a call", |scene| {
            let site = scene.serve(|_| {
                (|mut environ: Environ, start_response: StartResponse| -> Reply {
                    let nonblocking = environ.nonblocking();
                    let read = environ.input().collect(10);
                    let words = format!("{nonblocking} {}", read.is_err());
                    text(start_response, words).into()
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.send_text("POST / HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\n");
            peer.send("hello");
            let answer = peer.answer()?;
            let fits = ["false false", "true true"].contains(&&*answer.text());
            ensure!(fits, "nonblocking and the failure of a read are {:?}", answer.text());
            Ok(())
        }),
    ],
};
