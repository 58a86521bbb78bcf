//! Rules about the head and where a response ends.

use gateway_core::http::header::{CONTENT_LENGTH, ETAG};
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::{Application, Body, IntoApplication, inline};

use super::answer::Framing;
use super::apps::{answering, broken, data, frames, iterated, saying, streamed, text};
use super::claims::Feature;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must, port};
use super::witness::Witness;
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    HEAD_IS_HELD,
    LENGTH_IS_FILLED_IN,
    LENGTH_IS_KEPT,
    TOO_SHORT_IS_CUT,
    TOO_LONG_IS_STOPPED,
    UNKNOWN_LENGTH_IS_DELIMITED,
    HEAD_HAS_NO_BODY,
    SOME_STATUSES_HAVE_NO_BODY,
];

const HEAD_IS_HELD: ServerRule = ServerRule {
    rule: must(
        "SRV-30",
        Topic::StartResponse,
        "A server MUST hold the head back until the body's first non-empty data or its end, so \
         that an error before that still becomes a status.",
        "PEP 3333, The start_response() Callable: headers are sent with the first non-empty string",
        "Store the head that `start` gives, and send it with the first data; see `Contract`.",
    ),
    name: "head_is_held_until_data",
    needs: &[],
    cases: &[
        case("an iterator that fails after empty data", |scene| {
            fails_before_data(scene, |witness| iterated(witness, data([""]).chain([broken()])))
        }),
        case("a stream that fails at once", |scene| {
            fails_before_data(scene, |witness| streamed(witness, frames([broken()].into_iter())))
        }),
        case("a stream that fails after empty data", |scene| {
            fails_before_data(scene, |witness| {
                streamed(witness, frames(data([""]).chain([broken()])))
            })
        }),
    ],
};

fn fails_before_data(scene: &Scene<'_>, body: fn(&Witness) -> Body) -> Checked {
    let site = scene.serve(|witness| answering(move || body(&witness)))?;
    site.dial()?.get("/")?.must_be(500)
}

const LENGTH_IS_FILLED_IN: ServerRule = ServerRule {
    rule: must(
        "SRV-31",
        Topic::StartResponse,
        "A server MUST fill in Content-Length where the application declares none and the kind of \
         body tells its length.",
        "PEP 3333, Handling the Content-Length Header",
        "Take `Body::len` where the head has no Content-Length.",
    ),
    name: "content_length_is_filled_in",
    needs: &[],
    cases: &[
        port("bytes", "test_wsgiref: HandlerTests.testContentLength, trivial_app1", |scene| {
            has_length(scene, saying("http"), "http")
        }),
        port(
            "bytes beyond ASCII",
            "test_wsgiref: HandlerTests.testContentLength, trivial_app3",
            |scene| {
                has_length(
                    scene,
                    answering(|| "тест"),
                    "\u{d1}\u{82}\u{d0}\u{b5}\u{d1}\u{81}\u{d1}\u{82}",
                )
            },
        ),
        port(
            "nothing",
            "test_wsgiref: HandlerTests.testBasicErrorOutput, non_error_app",
            |scene| has_length(scene, answering(|| Body::Empty), ""),
        ),
    ],
};

fn has_length(scene: &Scene<'_>, app: impl Application, body: &str) -> Checked {
    let site = scene.serve(|_| app)?;
    let answer = site.dial()?.get("/")?;
    answer.must_say(body)?;
    answer.must_have("content-length", &body.chars().count().to_string())
}

const LENGTH_IS_KEPT: ServerRule = ServerRule {
    rule: must(
        "SRV-32",
        Topic::StartResponse,
        "A server MUST send the Content-Length that the application declares, once and without \
         another framing beside it.",
        "PEP 3333, Handling the Content-Length Header; RFC 9112 §6.2",
        "Where the head has a Content-Length, add neither another nor a Transfer-Encoding.",
    ),
    name: "declared_length_is_kept",
    needs: &[],
    cases: &[
        case("an iterator of that length", |scene| {
            let site = scene.serve(|witness| declaring(witness, "5", ["12", "345"]))?;
            let answer = site.dial()?.get("/")?;
            answer.must_say("12345")?;
            answer.must_have("content-length", "5")
        }),
        port(
            "a length in answer to HEAD",
            "test_wsgiref: HandlerTests.testContentLength, trivial_app4",
            |scene| {
                let site = scene.serve(|_| {
                    inline(|_, start_response| {
                        Ok(start_response.start(StatusCode::OK, [(CONTENT_LENGTH, "12345")]))
                    })
                })?;
                let mut peer = site.dial()?;
                peer.send_text("HEAD / HTTP/1.1\nHost: suite.test\nConnection: close\n\n");
                let answer = peer.answer_for("HEAD")?;
                answer.must_have("content-length", "12345")?;
                peer.ends().map(drop)
            },
        ),
    ],
};

/// Declares `length` and yields `items`.
fn declaring<const N: usize>(
    witness: Witness,
    length: &'static str,
    items: [&'static str; N],
) -> Box<dyn Application> {
    inline(move |_, start_response| {
        let body = iterated(&witness, data(items));
        Ok(start_response.start(StatusCode::OK, [(CONTENT_LENGTH, length)]).with_body(body))
    })
    .boxed()
}

const TOO_SHORT_IS_CUT: ServerRule = ServerRule {
    rule: must(
        "SRV-33",
        Topic::Body,
        "A server MUST end the connection without more where a body ends before its declared \
         length, so that the response does not look whole.",
        "PEP 3333, Handling the Content-Length Header; RFC 9112 §8",
        "Count the data; at the end of a body that is too short, close in place of going on.",
    ),
    name: "too_short_a_body_is_cut",
    needs: &[],
    cases: &[case("five of ten bytes", |scene| {
        let site = scene.serve(|witness| declaring(witness, "10", ["12345"]))?;
        let mut peer = site.dial()?;
        peer.ask("/");
        let mut answer = peer.head()?;
        answer.must_have("content-length", "10")?;
        peer.part(&mut answer, "12345")?;
        peer.is_cut(&mut answer)?;
        ensure!(answer.body == b"12345", "the missing data were made up: {:?}", answer.text());
        Ok(())
    })],
};

const TOO_LONG_IS_STOPPED: ServerRule = ServerRule {
    rule: must(
        "SRV-34",
        Topic::Body,
        "A server MUST NOT send more of a body than its declared length, and MUST drop what is \
         left of it.",
        "PEP 3333, Handling the Content-Length Header: stop iterating",
        "Send what fits, drop the body, and answer the next request on its own.",
    ),
    name: "too_long_a_body_is_stopped",
    needs: &[],
    cases: &[
        case("within a datum", |scene| is_stopped(scene, ["12345extra"])),
        case("by a datum of its own", |scene| is_stopped(scene, ["12345", "extra", "more"])),
    ],
};

fn is_stopped<const N: usize>(scene: &Scene<'_>, items: [&'static str; N]) -> Checked {
    let site = scene.serve(|witness| declaring(witness, "5", items))?;
    let mut peer = site.dial()?;
    peer.get("/")?.must_say("12345")?;
    site.witness.noted("body dropped")?;
    // Whether the connection goes on is the server's choice; more data are not.
    peer.finish()
}

const UNKNOWN_LENGTH_IS_DELIMITED: ServerRule = ServerRule {
    rule: must(
        "SRV-35",
        Topic::Connection,
        "A server MUST delimit a body of unknown length: by chunks on HTTP/1.1, and by the end of \
         the connection, without Transfer-Encoding, on HTTP/1.0.",
        "RFC 9112 §6.1 and §6.3; PEP 3333, Handling the Content-Length Header",
        "Send `Transfer-Encoding: chunked` to HTTP/1.1 clients only, and close behind an HTTP/1.0 \
         response without a length.",
    ),
    name: "unknown_length_is_delimited",
    needs: &[],
    cases: &[
        case("on HTTP/1.1", |scene| {
            let site = scene.serve(three)?;
            let answer = site.dial()?.get("/")?;
            answer.must_say("onetwothree")?;
            ensure!(answer.framing == Framing::Chunked, "it is framed by {:?}", answer.framing);
            Ok(())
        }),
        case("on HTTP/1.0", |scene| {
            let site = scene.serve(three)?;
            let mut peer = site.dial()?;
            let answer = peer.exchange("GET / HTTP/1.0\nHost: suite.test\n\n")?;
            answer.must_say("onetwothree")?;
            answer.must_lack("transfer-encoding")?;
            answer.must_lack("content-length")?;
            peer.ends().map(drop)
        }),
    ],
};

fn three(witness: Witness) -> impl Application {
    answering(move || iterated(&witness, data(["one", "", "two", "three"])))
}

const HEAD_HAS_NO_BODY: ServerRule = ServerRule {
    rule: must(
        "SRV-36",
        Topic::Connection,
        "A server MUST answer HEAD with the head that GET would have and no body, whatever the \
         application returns, and MUST NOT pull a body for it.",
        "RFC 9110 §9.3.2; Rack: a HEAD response has an empty body",
        "Send the head with its framing fields, drop the body unread, and go on.",
    ),
    name: "head_has_no_body",
    needs: &[],
    cases: &[
        case("a body of known length", |scene| {
            let site = scene.serve(|_| saying("hello"))?;
            let mut peer = site.dial()?;
            peer.send_text("HEAD / HTTP/1.1\nHost: suite.test\nConnection: close\n\n");
            let answer = peer.answer_for("HEAD")?;
            answer.must_be(200)?;
            answer.must_have("content-length", "5")?;
            peer.ends().map(drop)
        }),
        case("an iterator", |scene| {
            let site = scene.serve(|witness| {
                answering(move || {
                    let noting = witness.clone();
                    iterated(
                        &witness,
                        std::iter::repeat_with(move || {
                            noting.note("pulled");
                            Ok("unwanted".into())
                        }),
                    )
                })
            })?;
            let mut peer = site.dial()?;
            peer.send_text("HEAD / HTTP/1.1\nHost: suite.test\nConnection: close\n\n");
            peer.answer_for("HEAD")?.must_be(200)?;
            peer.ends()?;
            site.witness.noted_all(&["body dropped"])
        }),
    ],
};

const SOME_STATUSES_HAVE_NO_BODY: ServerRule = ServerRule {
    rule: must(
        "SRV-37",
        Topic::Connection,
        "A server MUST send no body with 204 and 304, whatever the application returns, and \
         neither Content-Length nor Transfer-Encoding that it made up.",
        "RFC 9110 §15.3.5 and §15.4.5, RFC 9112 §6.3",
        "Treat the two statuses as ended by their head.",
    ),
    name: "some_statuses_have_no_body",
    needs: &[],
    cases: &[
        case("204", |scene| {
            has_no_body(scene, StatusCode::NO_CONTENT, |witness| {
                iterated(witness, data(["unwanted"]))
            })
        }),
        case("304", |scene| {
            has_no_body(scene, StatusCode::NOT_MODIFIED, |witness| {
                iterated(witness, data(["unwanted"]))
            })
        }),
        case("204 with bytes", |scene| {
            has_no_body(scene, StatusCode::NO_CONTENT, |_| "unwanted".into())
        }),
        port("304 without anything", "Plack::Test::Suite: no entity headers on 304", |scene| {
            has_no_body(scene, StatusCode::NOT_MODIFIED, |_| Body::Empty)
        }),
    ],
};

fn has_no_body(scene: &Scene<'_>, status: StatusCode, body: fn(&Witness) -> Body) -> Checked {
    let site = scene.serve(|witness| {
        inline(move |environ, start_response| {
            if environ.raw_path_info() == "/next" {
                return Ok(text(start_response, "next"));
            }
            let head = [(ETAG, HeaderValue::from_static("\"1\""))];
            Ok(start_response.start(status, head).with_body(body(&witness)))
        })
    })?;
    let mut peer = site.dial()?;
    let answer = peer.get("/")?;
    answer.must_be(status.as_u16())?;
    answer.must_have("etag", "\"1\"")?;
    for made_up in ["content-type", "content-length", "transfer-encoding"] {
        answer.must_lack(made_up)?;
    }
    if scene.has(Feature::KeepAlive) {
        peer.get("/next")?.must_say("next")?;
    }
    peer.finish()
}
