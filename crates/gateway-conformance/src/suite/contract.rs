//! Rules about `write`, `restart`, hooks and early hints.

use gateway_core::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::{
    Application, ApplicationError, Body, Environ, Error, IntoApplication, Reply, Response, Result,
    StartResponse, inline,
};

use super::answer::Framing;
use super::apps::{blocking, broken, data, iterated, text};
use super::claims::Feature;
use super::peer::Peer;
use super::scene::{Checked, Scene, Trouble, ensure};
use super::server_test::{ServerRule, case, must, port};
use super::witness::Witness;
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    WRITE_GOES_BEFORE_THE_BODY,
    WRITE_ARRIVES_AT_ONCE,
    RESTART,
    HEAD_HOOKS,
    END_HOOKS,
    EARLY_HINTS,
    NO_EARLY_HINTS_ON_HTTP_1_0,
];

const WRITE_GOES_BEFORE_THE_BODY: ServerRule = ServerRule {
    rule: must(
        "SRV-61",
        Topic::Body,
        "A server MUST send what is written before the body, in order, with the head before the \
         first non-empty data; a declared length holds for both together.",
        "PEP 3333, The write() Callable",
        "Count and send written data as data of the body that came earlier.",
    ),
    name: "write_goes_before_the_body",
    needs: &[],
    cases: &[
        case("then a body", |scene| {
            let site = scene.serve(|_| {
                blocking(|_, start_response| {
                    let mut response = text(start_response, "three");
                    response.write("")?;
                    if response.is_head_sent() {
                        return Err(Error::application("empty data sent the head"));
                    }
                    response.write("one,")?;
                    response.write("two,")?;
                    Ok(response)
                })
            })?;
            let answer = site.dial()?.get("/")?;
            answer.must_say("one,two,three")?;
            ensure!(answer.framing == Framing::Chunked, "it is framed by {:?}", answer.framing);
            Ok(())
        }),
        port("alone", "test_wsgiref: HandlerTests.testContentLength, trivial_app2", |scene| {
            let site = scene.serve(|_| {
                blocking(|_, start_response| {
                    let mut response = text(start_response, Body::Empty);
                    response.write("http")?;
                    Ok(response)
                })
            })?;
            site.dial()?.get("/")?.must_say("http")
        }),
        port("awaited, then an iterator", "Plack::Test::Suite: coderef streaming", |scene| {
            let site = scene.serve(|witness| {
                (move |environ: Environ, start_response: StartResponse| {
                    let body = iterated(&witness, data(["!"]));
                    async move {
                        let query = environ.query_string().unwrap_or_default().to_owned();
                        let mut response = text(start_response, body);
                        response.write_async("Hello, ").await?;
                        response.write_async(query).await?;
                        Ok::<_, Error>(response)
                    }
                })
                .boxed()
            })?;
            site.dial()?.get("/?name=miyagawa")?.must_say("Hello, name=miyagawa!")
        }),
        case("within a declared length", |scene| {
            let site = scene.serve(|_| {
                blocking(|_, start_response| {
                    let head = [(CONTENT_LENGTH, "6")];
                    let mut response = start_response.start(StatusCode::OK, head).with_body("two");
                    response.write("one")?;
                    Ok(response)
                })
            })?;
            let answer = site.dial()?.get("/")?;
            answer.must_have("content-length", "6")?;
            answer.must_say("onetwo")
        }),
        case("past a declared length", |scene| {
            let site = scene.serve(|witness| {
                (move |_: Environ, start_response: StartResponse| -> Result<Response> {
                    let head = [(CONTENT_LENGTH, "5")];
                    let mut response = start_response.start(StatusCode::OK, head);
                    match response.write("12345extra") {
                        Err(Error::Application(ApplicationError::BodyTooLong { declared: 5 })) => {
                            witness.note("told");
                        }
                        other => witness.note(format_args!("{other:?}")),
                    }
                    Ok(response)
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.get("/")?.must_say("12345")?;
            peer.finish()?;
            site.witness.noted_all(&["told"])
        }),
    ],
};

const WRITE_ARRIVES_AT_ONCE: ServerRule = ServerRule {
    rule: must(
        "SRV-62",
        Topic::Body,
        "A server MUST have handed written data to the transport when `write` returns.",
        "PEP 3333, The write() Callable: either send or buffer before it returns; here it is sent, \
         since an application that writes has a reason to",
        "Flush in `Exchange::poll_flush` before it is ready.",
    ),
    name: "what_is_written_arrives_at_once",
    needs: &[],
    cases: &[
        case("written by blocking", |scene| {
            arrives_at_once(scene, |witness| {
                (move |_: Environ, start_response: StartResponse| -> Result<Response> {
                    let mut response = text(start_response, Body::Empty);
                    response.write("one")?;
                    witness.wait("one has come");
                    response.write("two")?;
                    witness.wait("two has come");
                    Ok(response)
                })
                .boxed()
            })
        }),
        case("written by awaiting", |scene| {
            arrives_at_once(scene, |witness| {
                (move |_: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        let mut response = text(start_response, Body::Empty);
                        response.write_async("one").await?;
                        witness.opened("one has come").await;
                        response.write_async("two").await?;
                        witness.opened("two has come").await;
                        Ok::<_, Error>(response)
                    }
                })
                .boxed()
            })
        }),
    ],
};

fn arrives_at_once(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let site = scene.serve(app)?;
    let mut peer = site.dial()?;
    peer.ask("/");
    let mut answer = peer.head()?;
    peer.part(&mut answer, "one")?;
    site.witness.open("one has come");
    peer.part(&mut answer, "two")?;
    site.witness.open("two has come");
    peer.rest(&mut answer)?;
    answer.must_say("onetwo")
}

const RESTART: ServerRule = ServerRule {
    rule: must(
        "SRV-63",
        Topic::StartResponse,
        "A server MUST let the application replace its head as long as none has been sent, and \
         afterwards hand the cause back, and cut the response if that is returned.",
        "PEP 3333, The start_response() Callable: exc_info",
        "Answer `Exchange::head_sent` by what is on the wire.",
    ),
    name: "a_head_is_replaced_until_it_is_sent",
    needs: &[],
    cases: &[
        case("before the head", |scene| {
            let site = scene.serve(|witness| {
                (move |_: Environ, start_response: StartResponse| -> Result<Response> {
                    let first = iterated(&witness, data(["never sent"]));
                    let mut response = text(start_response, first);
                    let cause = Error::application("on purpose");
                    response.restart(StatusCode::BAD_GATEWAY, (), cause)?;
                    Ok(response.with_body("sorry"))
                })
                .boxed()
            })?;
            let answer = site.dial()?.get("/")?;
            answer.must_be(502)?;
            answer.must_lack("content-type")?;
            ensure!(answer.text() == "sorry", "the body is {:?}", answer.text());
            site.witness.noted_all(&["body dropped"])
        }),
        case("after the head", |scene| {
            is_cut_after_restart(scene, |_, start_response| {
                let mut response = text(start_response, "never sent");
                response.write("some")?;
                response.restart(StatusCode::BAD_GATEWAY, (), Error::application("on purpose"))?;
                Ok(response.with_body("never sent either"))
            })
        }),
        case("by middleware, before the head", |scene| {
            let site = scene.serve(|_| recovering(|_, _| Err(Error::application("on purpose"))))?;
            let answer = site.dial()?.get("/")?;
            answer.must_be(503)?;
            ensure!(answer.text() == "later", "the body is {:?}", answer.text());
            Ok(())
        }),
        case("by middleware, after the head", |scene| {
            let site = scene.serve(|_| {
                recovering(|_, start_response| {
                    text(start_response, Body::Empty).write("some")?;
                    Err(Error::application("on purpose"))
                })
            })?;
            some_and_cut(&mut site.dial()?)
        }),
    ],
};

type Blocks = fn(Environ, StartResponse) -> Result<Response>;

fn is_cut_after_restart(scene: &Scene<'_>, app: Blocks) -> Checked {
    let site = scene.serve(|_| blocking(app))?;
    some_and_cut(&mut site.dial()?)
}

fn some_and_cut(peer: &mut Peer) -> Checked {
    peer.ask("/");
    let mut answer = peer.head()?;
    answer.must_be(200)?;
    peer.is_cut(&mut answer)?;
    ensure!(answer.body == b"some", "what came is {:?}", answer.text());
    Ok(())
}

/// Middleware around `inside` that answers 503 in its place after an error.
fn recovering(inside: Blocks) -> Box<dyn Application> {
    let inside = inside.into_application();
    (move |environ: Environ, start_response: StartResponse| -> Reply {
        let recovery = start_response.recovery();
        inside.call(environ, start_response).then(move |outcome| {
            outcome.or_else(|cause| {
                let response = recovery.start(StatusCode::SERVICE_UNAVAILABLE, (), cause)?;
                Ok(response.with_body("later"))
            })
        })
    })
    .boxed()
}

const HEAD_HOOKS: ServerRule = ServerRule {
    rule: must(
        "SRV-64",
        Topic::StartResponse,
        "A server MUST run every hook of the head once, the innermost first, on the head that is \
         then sent: whether the application returns or writes it, or the server answers an error.",
        "Rack and PSGI wrap the result for this; PEP 3333, start_response as middleware",
        "Run the hooks in the one place that every head passes, and empty their list first.",
    ),
    name: "head_hooks_run_once_innermost_first",
    needs: &[],
    cases: &[
        case("returned", |scene| {
            hooks_see(scene, 200, |_, start_response| Ok(text(start_response, "hello")))
        }),
        case("written", |scene| {
            hooks_see(scene, 200, |_, start_response| {
                let mut response = text(start_response, Body::Empty);
                response.write("some")?;
                response.write("more")?;
                Ok(response)
            })
        }),
        case("an iterator's", |scene| {
            hooks_see(scene, 200, |_, start_response| {
                Ok(text(start_response, Body::iter(data(["one", "two"]))))
            })
        }),
        case("an error of the application", |scene| {
            hooks_see(scene, 500, |_, _| Err(Error::application("on purpose")))
        }),
        case("a panic of the one within", |scene| {
            let site = scene.serve(|witness| {
                inline(move |_, start_response| {
                    let noting = witness.clone();
                    start_response.on_head(move |head| noting.note(head.status.as_u16()));
                    start_response.on_head(|_| panic!("on purpose"));
                    Ok(text(start_response, "never sent"))
                })
            })?;
            site.dial()?.get("/")?.must_be(500)?;
            site.witness.noted_all(&["500"])
        }),
        case("an error in the place of data", |scene| {
            hooks_see(scene, 500, |_, start_response| {
                Ok(text(start_response, Body::iter([broken()])))
            })
        }),
    ],
};

fn hooks_see(scene: &Scene<'_>, status: u16, inside: Blocks) -> Checked {
    let site = scene.serve(|witness| {
        (move |environ: Environ, start_response: StartResponse| -> Result<Response> {
            for name in ["outer", "inner"] {
                let noting = witness.clone();
                start_response.on_head(move |head| {
                    noting.note(format_args!("{name}: {}", head.status.as_u16()));
                    head.headers.insert("x-last", HeaderValue::from_static(name));
                });
            }
            inside(environ, start_response)
        })
        .boxed()
    })?;
    let answer = site.dial()?.get("/")?;
    answer.must_be(status)?;
    answer.must_have("x-last", "outer")?;
    site.witness.noted_all(&[&format!("inner: {status}"), &format!("outer: {status}")])
}

const END_HOOKS: ServerRule = ServerRule {
    rule: must(
        "SRV-65",
        Topic::Cancellation,
        "A server MUST run every hook of the end once, when the exchange is over, with the status \
         that was sent, the bytes of the body that were, the error that was answered, and what cut \
         the response.",
        "Rack: rack.response_finished; PSGI: psgix.cleanup",
        "Keep count in the one place that data pass, and finish every exchange by \
         `Contract::finish`.",
    ),
    name: "end_hooks_run_once",
    needs: &[],
    cases: &[
        case("a whole response", |scene| {
            ends_with(scene, "end: 200, 6 bytes, clean", |_, start_response| {
                Ok(text(start_response, Body::iter(data(["one", "two"]))))
            })
        }),
        case("written and returned", |scene| {
            ends_with(scene, "end: 200, 6 bytes, clean", |_, start_response| {
                let mut response = text(start_response, "two");
                response.write("one")?;
                Ok(response)
            })
        }),
        case("cut by an error", |scene| {
            ends_with(scene, "end: 200, 4 bytes, aborted", |_, start_response| {
                Ok(text(start_response, Body::iter(data(["some"]).chain([broken()]))))
            })
        }),
        case("an error before the head", |scene| {
            let site = scene.serve(|witness| {
                inline(move |_, start_response| {
                    witness.watch_end(&start_response);
                    Err(Error::with_status(StatusCode::GONE, "on purpose"))
                })
            })?;
            let answer = site.dial()?.get("/")?;
            answer.must_be(410)?;
            site.witness.noted_all(&[&format!("end: 410, {} bytes, answered", answer.body.len())])
        }),
        case("a HEAD", |scene| {
            let site = scene.serve(|witness| {
                inline(move |_, start_response| {
                    witness.watch_end(&start_response);
                    Ok(text(start_response, "hello"))
                })
            })?;
            let mut peer = site.dial()?;
            peer.send_text("HEAD / HTTP/1.1\nHost: suite.test\n\n");
            peer.answer_for("HEAD")?;
            site.witness.noted_all(&["end: 200, 0 bytes, clean"])
        }),
    ],
};

fn ends_with(scene: &Scene<'_>, end: &str, inside: Blocks) -> Checked {
    let mut site = scene.serve(|witness| {
        (move |environ: Environ, start_response: StartResponse| -> Result<Response> {
            witness.watch_end(&start_response);
            inside(environ, start_response)
        })
        .boxed()
    })?;
    let mut peer = site.dial()?;
    peer.ask("/");
    let mut answer = peer.head()?;
    if end.ends_with("clean") {
        peer.rest(&mut answer)?;
    } else {
        peer.is_cut(&mut answer)?;
    }
    site.witness.noted(end)?;
    // A hook that runs again does so before the server has ended.
    drop(peer);
    site.stop()?;
    site.witness.noted_all(&[end])
}

const EARLY_HINTS: ServerRule = ServerRule {
    rule: must(
        "SRV-66",
        Topic::StartResponse,
        "A server MUST send early hints as 103 while the application goes on, before the head, \
         with their fields, and drop those that come after it.",
        "RFC 8297; Rack: rack.early_hints",
        "Write the interim response and flush it; look whether the head has been sent.",
    ),
    name: "early_hints_are_sent_at_once",
    needs: &[Feature::EarlyHints],
    cases: &[case("twice, before a gate", |scene| {
        let site = scene.serve(hinting)?;
        let mut peer = site.dial()?;
        peer.ask("/");
        for name in ["</one.css>", "</two.css>"] {
            let hints = peer.head()?;
            hints.must_be(103)?;
            hints.must_have("link", name)?;
            hints.must_lack("content-length")?;
        }
        site.witness.open("seen");
        let answer = peer.answer()?;
        answer.must_lack("link")?;
        answer.must_say("hello")?;
        peer.finish()
    })],
};

fn hinting(witness: Witness) -> Box<dyn Application> {
    (move |_: Environ, start_response: StartResponse| {
        let witness = witness.clone();
        async move {
            start_response.early_hints([(LINK, "</one.css>")]);
            start_response.early_hints([(LINK, "</two.css>")]);
            witness.note("hinted");
            witness.opened("seen").await;
            let head = [(CONTENT_TYPE, "text/plain")];
            Ok::<_, Error>(start_response.start(StatusCode::OK, head).with_body("hello"))
        }
    })
    .boxed()
}

const NO_EARLY_HINTS_ON_HTTP_1_0: ServerRule = ServerRule {
    rule: must(
        "SRV-67",
        Topic::StartResponse,
        "A server MUST NOT send an interim response to an HTTP/1.0 client.",
        "RFC 9110 §15.2",
        "Look at the request's version before a 1xx is written.",
    ),
    name: "no_early_hints_on_http_1_0",
    needs: &[],
    cases: &[case("hints", |scene| {
        let site = scene.serve(hinting)?;
        site.witness.open("seen");
        let mut peer = site.dial()?;
        let answer = peer.exchange("GET / HTTP/1.0\n\n");
        answer.and_then(|answer: super::answer::Answer| answer.must_say("hello")).map_err(
            |trouble| {
                Trouble::new(format!("{trouble}: a client of HTTP/1.0 gets the answer alone"))
            },
        )
    })],
};
