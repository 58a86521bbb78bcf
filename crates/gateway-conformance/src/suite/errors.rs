//! Rules about errors and panics.

use std::io;

use gateway_core::http::StatusCode;
use gateway_core::http::header::{ALLOW, CONTENT_LENGTH};
use gateway_core::{
    Application, Body, Environ, Error, IntoApplication, Response, Result, StartResponse, inline,
};

use super::apps::{blocking, broken, data, frames, iterated, streamed, text};
use super::claims::Feature;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must, port};
use super::witness::Witness;
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    ERROR_BECOMES_ITS_STATUS,
    PANIC_BECOMES_500,
    FAILURE_IS_CUT,
    FAILURE_IS_RESET,
    SERVER_GOES_ON,
    CAUSE_IS_NOT_SHOWN,
    FAILURE_IS_LOGGED,
    WRONG_HEAD_BECOMES_500,
];

const ERROR_BECOMES_ITS_STATUS: ServerRule = ServerRule {
    rule: must(
        "SRV-45",
        Topic::Errors,
        "A server MUST answer an error of the application with the error's status and fields where \
         no head has been sent.",
        "PEP 3333, Error Handling; test_wsgiref: HandlerTests.testBasicErrorOutput",
        "Send `Error::status` and a plain body of your own; see `error_page`.",
    ),
    name: "an_error_becomes_its_status",
    needs: &[],
    cases: &[
        case("403 from a call", |scene| {
            fails_with(scene, 403, |_| {
                inline(|_, _| Err(Error::with_status(StatusCode::FORBIDDEN, "no"))).boxed()
            })
        }),
        case("405 with its fields", |scene| {
            let site = scene.serve(|_| {
                inline(|_, _| {
                    let error = Error::with_status(StatusCode::METHOD_NOT_ALLOWED, "only GET");
                    Err(error.with_headers([(ALLOW, "GET")]))
                })
            })?;
            let answer = site.dial()?.get("/")?;
            answer.must_be(405)?;
            answer.must_have("allow", "GET")
        }),
        case("404 from a future, after the start", |scene| {
            fails_with(scene, 404, |_| {
                (|_: Environ, start_response: StartResponse| async move {
                    drop(text(start_response, "never sent"));
                    Err::<Response, _>(Error::with_status(StatusCode::NOT_FOUND, "no"))
                })
                .boxed()
            })
        }),
        case("503 from a function that may block", |scene| {
            fails_with(scene, 503, |_| {
                blocking(|_, _| Err(Error::with_status(StatusCode::SERVICE_UNAVAILABLE, "later")))
                    .boxed()
            })
        }),
        port(
            "500 for any other",
            "test_wsgiref: HandlerTests.testBasicErrorOutput, error_app",
            |scene| {
                fails_with(scene, 500, |_| {
                    inline(|_, _| Err(io::Error::other("the disk is on fire").into())).boxed()
                })
            },
        ),
    ],
};

fn fails_with(scene: &Scene<'_>, status: u16, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let site = scene.serve(app)?;
    site.dial()?.get("/")?.must_be(status)
}

const PANIC_BECOMES_500: ServerRule = ServerRule {
    rule: must(
        "SRV-46",
        Topic::Errors,
        "A server MUST answer 500 where the application panics before the head has been sent, \
         wherever it runs.",
        "PEP 3333, Error Handling; Plack::Test::Suite: Do not crash when the app dies",
        "Run the application's code, futures and bodies too, under `catch_unwind`.",
    ),
    name: "a_panic_becomes_500",
    needs: &[],
    cases: &[
        port("in a call", "Plack::Test::Suite: Do not crash when the app dies", |scene| {
            fails_with(scene, 500, |_| inline(|_, _| panic!("on purpose")).boxed())
        }),
        case("in a future", |scene| {
            fails_with(scene, 500, |_| {
                (|_: Environ, _: StartResponse| async { on_purpose() }).boxed()
            })
        }),
        case("in a function that may block", |scene| {
            fails_with(scene, 500, |_| blocking(|_, _| on_purpose()).boxed())
        }),
        case("in an iterator, before any data", |scene| {
            fails_with(scene, 500, |witness| {
                inline(move |_, start_response| {
                    let items = std::iter::from_fn(|| panic!("on purpose"));
                    Ok(text(start_response, iterated(&witness, items)))
                })
                .boxed()
            })
        }),
        case("in a hook of the head", |scene| {
            fails_with(scene, 500, |_| {
                inline(|_, start_response| {
                    start_response.on_head(|_| panic!("on purpose"));
                    Ok(text(start_response, "never sent"))
                })
                .boxed()
            })
        }),
    ],
};

fn on_purpose() -> Result<Response> {
    panic!("on purpose")
}

const FAILURE_IS_CUT: ServerRule = ServerRule {
    rule: must(
        "SRV-47",
        Topic::Errors,
        "A server MUST cut the response visibly where the application fails after the head: the \
         connection ends without the last chunk, or before the declared length.",
        "PEP 3333, Error Handling: the server may abort; RFC 9112 §8; test_wsgiref: \
         HandlerTests.testErrorAfterOutput",
        "Do not write the last chunk behind a body that failed; close.",
    ),
    name: "a_failure_after_the_head_is_cut",
    needs: &[],
    cases: &[
        port("an error after write", "test_wsgiref: HandlerTests.testErrorAfterOutput", |scene| {
            is_cut(scene, |_| {
                blocking(|_, start_response| {
                    text(start_response, Body::Empty).write("some")?;
                    Err(Error::application("on purpose"))
                })
                .boxed()
            })
        }),
        case("a panic after write", |scene| {
            is_cut(scene, |_| {
                blocking(|_, start_response| {
                    text(start_response, Body::Empty).write("some")?;
                    on_purpose()
                })
                .boxed()
            })
        }),
        case("an iterator that fails", |scene| {
            is_cut(scene, |witness| {
                inline(move |_, start_response| {
                    let items = data(["some"]).chain([broken()]);
                    Ok(text(start_response, iterated(&witness, items)))
                })
                .boxed()
            })
        }),
        case("an iterator that panics", |scene| {
            is_cut(scene, |witness| {
                inline(move |_, start_response| {
                    let items = data(["some"]).chain(std::iter::from_fn(|| panic!("on purpose")));
                    Ok(text(start_response, iterated(&witness, items)))
                })
                .boxed()
            })
        }),
        case("a stream that fails", |scene| {
            is_cut(scene, |witness| {
                inline(move |_, start_response| {
                    let items = frames(data(["some"]).chain([broken()]));
                    Ok(text(start_response, streamed(&witness, items)))
                })
                .boxed()
            })
        }),
    ],
};

fn is_cut(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let site = scene.serve(app)?;
    let mut peer = site.dial()?;
    peer.ask("/");
    let mut answer = peer.head()?;
    answer.must_be(200)?;
    peer.part(&mut answer, "some")?;
    peer.is_cut(&mut answer)?;
    ensure!(answer.body == b"some", "more came: {:?}", answer.text());
    Ok(())
}

const FAILURE_IS_RESET: ServerRule = ServerRule {
    rule: must(
        "SRV-48",
        Topic::Errors,
        "A server MUST end the connection with an error where a body that the end of the \
         connection delimits fails: a plain end would look like a whole body.",
        "RFC 9112 §8: incomplete messages",
        "Reset the connection behind such a response: a linger time of zero before the close, and no \
         shutdown, which would send a plain end first.",
    ),
    name: "a_failure_on_http_1_0_is_a_reset",
    needs: &[Feature::Reset],
    cases: &[case("an iterator that fails", |scene| {
        let site = scene.serve(|witness| {
            inline(move |_, start_response| {
                let gate = witness.clone();
                let items = data(["some"]).chain(std::iter::once_with(move || {
                    gate.wait("seen");
                    broken()
                }));
                Ok(text(start_response, iterated(&witness, items)))
            })
        })?;
        let mut peer = site.dial()?;
        peer.send_text("GET / HTTP/1.0\n\n");
        let mut answer = peer.head()?;
        peer.part(&mut answer, "some")?;
        site.witness.open("seen");
        peer.is_cut(&mut answer)
    })],
};

const SERVER_GOES_ON: ServerRule = ServerRule {
    rule: must(
        "SRV-49",
        Topic::Errors,
        "A server MUST go on to serve after an error or a panic of the application.",
        "Plack::Test::Suite: Do not crash when the app dies",
        "End the exchange that failed and nothing else.",
    ),
    name: "the_server_goes_on_after_failures",
    needs: &[Feature::Connections],
    cases: &[port(
        "after each kind",
        "Plack::Test::Suite: Do not crash when the app dies",
        |scene| {
            let site = scene.serve(|witness| {
                (move |environ: Environ, start_response: StartResponse| -> Result<Response> {
                    match &*environ.path_info() {
                        "/panic" => on_purpose(),
                        "/error" => Err(Error::application("on purpose")),
                        "/late" => {
                            text(start_response, Body::Empty).write("some")?;
                            on_purpose()
                        }
                        "/body" => {
                            let items =
                                data(["some"]).chain(std::iter::from_fn(|| panic!("on purpose")));
                            Ok(text(start_response, iterated(&witness, items)))
                        }
                        _ => Ok(text(start_response, "fine")),
                    }
                })
                .boxed()
            })?;
            for place in ["/panic", "/error"] {
                let mut peer = site.dial()?;
                peer.get(place)?.must_be(500)?;
                if scene.has(Feature::KeepAlive) {
                    peer.get("/")?.must_say("fine")?;
                }
                site.dial()?.get("/")?.must_say("fine")?;
            }
            for place in ["/late", "/body"] {
                let mut peer = site.dial()?;
                peer.ask(place);
                let mut answer = peer.head()?;
                peer.is_cut(&mut answer)?;
                site.dial()?.get("/")?.must_say("fine")?;
            }
            Ok(())
        },
    )],
};

const CAUSE_IS_NOT_SHOWN: ServerRule = ServerRule {
    rule: must(
        "SRV-50",
        Topic::Errors,
        "A server MUST NOT show the cause of an error or a panic to the peer.",
        "PEP 3333, Error Handling: a message for the user, a traceback for the log",
        "Answer with the status alone; the cause goes to the log.",
    ),
    name: "the_cause_is_not_shown",
    needs: &[],
    cases: &[
        case("of an error", |scene| {
            is_not_shown(scene, |_| inline(|_, _| Err(Error::application("a secret"))).boxed())
        }),
        case("of a panic", |scene| {
            is_not_shown(scene, |_| inline(|_, _| panic!("a secret")).boxed())
        }),
    ],
};

fn is_not_shown(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let site = scene.serve(app)?;
    let answer = site.dial()?.get("/")?;
    answer.must_be(500)?;
    let told = answer.text().contains("secret")
        || answer.reason.contains("secret")
        || answer.fields.iter().any(|(_, value)| value.contains("secret"));
    ensure!(!told, "the cause is in the response");
    Ok(())
}

const FAILURE_IS_LOGGED: ServerRule = ServerRule {
    rule: must(
        "SRV-51",
        Topic::Errors,
        "A server MUST write an error of the application that became a 5xx, and a panic, to the \
         error stream, with its cause; one that the application chose for the peer it SHOULD NOT. \
         Of many that became a 503 it MAY leave out some.",
        "PEP 3333, Error Handling: log the traceback; test_wsgiref: \
         HandlerTests.testBasicErrorOutput",
        "Pass every error through `complain` before it is answered.",
    ),
    name: "a_failure_is_logged",
    needs: &[Feature::Log],
    cases: &[
        port("an error", "test_wsgiref: HandlerTests.testBasicErrorOutput", |scene| {
            is_logged(scene, 500, 1, |_| {
                inline(|_, _| Err(Error::application("the shelf is empty"))).boxed()
            })
        }),
        case("a panic", |scene| {
            is_logged(scene, 500, 1, |_| inline(|_, _| panic!("the shelf is empty")).boxed())
        }),
        case("what the application chose", |scene| {
            is_logged(scene, 404, 0, |_| {
                let cause = "the shelf is empty";
                inline(move |_, _| Err(Error::with_status(StatusCode::NOT_FOUND, cause))).boxed()
            })
        }),
        port("the application's own lines", "Plack::Test::Suite: has errors", |scene| {
            is_logged(scene, 200, 1, |_| {
                inline(|environ, start_response| {
                    environ.errors().line("the shelf is empty");
                    Ok(text(start_response, "hello"))
                })
                .boxed()
            })
        }),
    ],
};

fn is_logged(
    scene: &Scene<'_>,
    status: u16,
    times: usize,
    app: fn(Witness) -> Box<dyn Application>,
) -> Checked {
    let site = scene.serve(app)?;
    site.dial()?.get("/")?.must_be(status)?;
    let lines = site.logged()?;
    let found = lines.iter().filter(|line| line.contains("the shelf is empty")).count();
    ensure!(found == times, "the cause is in the log {found} times, not {times}: {lines:?}");
    Ok(())
}

const WRONG_HEAD_BECOMES_500: ServerRule = ServerRule {
    rule: must(
        "SRV-52",
        Topic::Errors,
        "A server MUST answer 500 to a head that cannot be sent: a status of 1xx other than 101 \
         with an upgrade, or a Content-Length that is no number or contradicts another.",
        "RFC 9110 §8.6 and §15.2; test_wsgiref: IntegrationTests.test_status_validation_errors",
        "Check the head before its first byte is written; see `Contract::respond`.",
    ),
    name: "a_wrong_head_becomes_500",
    needs: &[],
    cases: &[
        port("100", "test_wsgiref: IntegrationTests.test_status_validation_errors", |scene| {
            fails_with(scene, 500, |_| {
                inline(|_, start_response| Ok(start_response.start(StatusCode::CONTINUE, ())))
                    .boxed()
            })
        }),
        case("101 without an upgrade", |scene| {
            fails_with(scene, 500, |_| {
                inline(|_, start_response| {
                    Ok(start_response.start(StatusCode::SWITCHING_PROTOCOLS, ()))
                })
                .boxed()
            })
        }),
        case("two lengths", |scene| {
            fails_with(scene, 500, |_| {
                inline(|_, start_response| {
                    let head = [(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "3")];
                    Ok(start_response.start(StatusCode::OK, head).with_body("hello"))
                })
                .boxed()
            })
        }),
        case("a length that is no number", |scene| {
            fails_with(scene, 500, |_| {
                inline(|_, start_response| {
                    let head = [(CONTENT_LENGTH, "five")];
                    Ok(start_response.start(StatusCode::OK, head).with_body("hello"))
                })
                .boxed()
            })
        }),
    ],
};
