//! Rules about the connection: order, reuse, and what is no request.

use gateway_core::{Environ, Error, IntoApplication, Reply, Response, Result, StartResponse};

use super::apps::{answering, data, iterated, saying, telling, text};
use super::claims::Feature;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must, port, should};
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    KEEP_ALIVE,
    CLOSE,
    HTTP_1_0_CLOSES,
    HTTP_1_0_KEEP_ALIVE,
    PIPELINING,
    HALF_CLOSED,
    ANY_PIECES,
    NO_REQUEST,
    AMBIGUOUS_FRAMING,
    TOO_LONG_A_HEAD,
];

const KEEP_ALIVE: ServerRule = ServerRule {
    rule: must(
        "SRV-79",
        Topic::Connection,
        "A server MUST answer further requests of an HTTP/1.1 connection behind every response \
         that does not say `Connection: close`.",
        "RFC 9112 §9.3",
        "Begin another cycle when the response and the request's body have been dealt with.",
    ),
    name: "a_connection_is_used_again",
    needs: &[Feature::KeepAlive],
    cases: &[case("behind each kind of response", |scene| {
        let site = scene.serve(|witness| {
            (move |environ: Environ, start_response: StartResponse| -> Result<Response> {
                let items = iterated(&witness, data(["one", "two"]));
                match environ.raw_path_info() {
                    "/stream" => Ok(text(start_response, items)),
                    "/error" => Err(Error::with_status(gateway_core::http::StatusCode::GONE, "no")),
                    other => Ok(text(start_response, other.to_owned())),
                }
            })
            .boxed()
        })?;
        let mut peer = site.dial()?;
        for (place, status, body) in
            [("/a", 200, "/a"), ("/stream", 200, "onetwo"), ("/error", 410, ""), ("/b", 200, "/b")]
        {
            let answer = peer.get(place)?;
            answer.must_be(status)?;
            ensure!(!answer.closes(), "behind {place} the connection is closed");
            ensure!(body.is_empty() || answer.text() == body, "{place} is {:?}", answer.text());
        }
        peer.send_text("POST /c HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\nhello");
        peer.answer()?.must_say("/c")?;
        peer.finish()
    })],
};

const CLOSE: ServerRule = ServerRule {
    rule: must(
        "SRV-80",
        Topic::Connection,
        "A server MUST end the connection behind the answer to a request with `Connection: close`, \
         and say so in it.",
        "RFC 9112 §9.6",
        "Look for the option in every request.",
    ),
    name: "close_by_the_client_is_honoured",
    needs: &[],
    cases: &[
        case("with a request that waits behind", |scene| {
            closes(
                scene,
                "GET / HTTP/1.1\nHost: suite.test\nConnection: close\n\n\
                 GET /2 HTTP/1.1\nHost: suite.test\n\n",
            )
        }),
        case("among other options, in any case", |scene| {
            closes(scene, "GET / HTTP/1.1\nHost: suite.test\nConnection: x-mine, Close\n\n")
        }),
    ],
};

fn closes(scene: &Scene<'_>, request: &str) -> Checked {
    let site = scene.serve(|_| saying("hello"))?;
    let mut peer = site.dial()?;
    let answer = peer.exchange(request)?;
    answer.must_say("hello")?;
    ensure!(answer.closes(), "`connection` is {:?}", answer.values("connection"));
    peer.ends().map(drop)
}

const HTTP_1_0_CLOSES: ServerRule = ServerRule {
    rule: must(
        "SRV-81",
        Topic::Connection,
        "A server MUST end the connection behind the answer to an HTTP/1.0 request that does not \
         ask for another, and MUST answer it without a Host.",
        "RFC 9112 §9.3 and §3.2; test_wsgiref: IntegrationTests run on HTTP/1.0",
        "Decide about reuse by the request's version and options.",
    ),
    name: "http_1_0_closes",
    needs: &[],
    cases: &[port("a plain request", "test_wsgiref: IntegrationTests.test_plain_hello", |scene| {
        let site = scene.serve(|_| saying("Hello, world!"))?;
        let mut peer = site.dial()?;
        let answer = peer.exchange("GET / HTTP/1.0\n\n")?;
        answer.must_say("Hello, world!")?;
        answer.must_have("content-length", "13")?;
        peer.ends().map(drop)
    })],
};

const HTTP_1_0_KEEP_ALIVE: ServerRule = ServerRule {
    rule: should(
        "SRV-82",
        Topic::Connection,
        "A server SHOULD keep an HTTP/1.0 connection that asks for it with `Connection: \
         keep-alive`, and MUST say so if it does; behind a response of unknown length it MUST \
         close.",
        "RFC 9112 §9.3 and appendix C.2.2",
        "Send `Connection: keep-alive` where the response has a length, and go on.",
    ),
    name: "http_1_0_is_kept_alive",
    needs: &[Feature::KeepAlive],
    cases: &[
        case("a response with a length", |scene| {
            let site = scene.serve(|_| saying("hello"))?;
            let mut peer = site.dial()?;
            for _ in 0..2 {
                let answer = peer.exchange("GET / HTTP/1.0\nConnection: keep-alive\n\n")?;
                answer.must_say("hello")?;
                answer.must_have("connection", "keep-alive")?;
            }
            peer.finish()
        }),
        case("a response without", |scene| {
            let site =
                scene.serve(|witness| answering(move || iterated(&witness, data(["hello"]))))?;
            let mut peer = site.dial()?;
            let answer = peer.exchange("GET / HTTP/1.0\nConnection: keep-alive\n\n")?;
            answer.must_say("hello")?;
            let kept = answer.options().any(|option| option == "keep-alive");
            ensure!(!kept, "it says keep-alive, with nothing to tell where the body ends");
            peer.ends().map(drop)
        }),
    ],
};

const PIPELINING: ServerRule = ServerRule {
    rule: must(
        "SRV-83",
        Topic::Connection,
        "A server MUST answer pipelined requests in their order, whatever each takes.",
        "RFC 9112 §9.3.2",
        "Take the next request up when the response before it is complete.",
    ),
    name: "pipelined_requests_are_answered_in_order",
    needs: &[Feature::KeepAlive],
    cases: &[
        case("the later the faster", |scene| {
            let site = scene.serve(|witness| {
                (move |environ: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    match environ.raw_path_info() {
                        "/blocking" => Reply::blocking(move || {
                            witness.wait("gate");
                            Ok(text(start_response, "blocking"))
                        }),
                        "/async" => Reply::future(async move {
                            witness.opened("gate").await;
                            Ok(text(start_response, "async"))
                        }),
                        _ => text(start_response, "ready").into(),
                    }
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            let places = ["/blocking", "/async", "/ready"];
            let all =
                places.map(|place| format!("GET {place} HTTP/1.1\r\nHost: suite.test\r\n\r\n"));
            peer.send(all.concat());
            site.witness.open("gate");
            for place in places {
                peer.answer()?.must_say(&place[1..])?;
            }
            peer.finish()
        }),
        case("with bodies of each framing", |scene| {
            let site = scene.serve(|_| {
                (|mut environ: Environ, start_response: StartResponse| async move {
                    let body = environ.input().collect_async(100).await?;
                    let place = environ.raw_path_info();
                    Ok::<_, Error>(text(start_response, format!("{place} {}", body.escape_ascii())))
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.send_text(
                "POST /1 HTTP/1.1\nHost: suite.test\nContent-Length: 3\n\none\
                 POST /2 HTTP/1.1\nHost: suite.test\nTransfer-Encoding: chunked\n\n3\ntwo\n0\n\n\
                 GET /3 HTTP/1.1\nHost: suite.test\n\n",
            );
            for expected in ["/1 one", "/2 two", "/3 "] {
                peer.answer()?.must_say(expected)?;
            }
            peer.finish()
        }),
    ],
};

const HALF_CLOSED: ServerRule = ServerRule {
    rule: must(
        "SRV-84",
        Topic::Connection,
        "A server MUST answer a client that has ended its own side behind the request.",
        "RFC 9112 §9.6: a half-closed connection; the end of input is no departure",
        "Take the end of what the peer says for no more than that.",
    ),
    name: "a_half_closed_client_is_answered",
    needs: &[],
    cases: &[
        case("by an application that waits", |scene| {
            let site = scene.serve(|witness| {
                (move |_: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        witness.note("called");
                        witness.opened("closed").await;
                        Ok::<_, Error>(text(start_response, "hello"))
                    }
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.ask("/");
            site.witness.noted("called")?;
            peer.half_close();
            site.witness.open("closed");
            peer.answer()?.must_say("hello")?;
            peer.ends().map(drop)
        }),
        case("at once", |scene| {
            let site = scene.serve(|_| saying("hello"))?;
            let mut peer = site.dial()?;
            peer.ask("/");
            peer.half_close();
            peer.answer()?.must_say("hello")?;
            peer.ends().map(drop)
        }),
    ],
};

const ANY_PIECES: ServerRule = ServerRule {
    rule: must(
        "SRV-85",
        Topic::Connection,
        "A server MUST read a request alike in whatever pieces it comes.",
        "RFC 9112 §2.2: a stream of octets",
        "Parse from a buffer, and ask for more where it does not suffice.",
    ),
    name: "a_request_may_come_in_any_pieces",
    needs: &[],
    cases: &[case("byte by byte", |scene| {
        let site = scene.serve(|_| {
            (|mut environ: Environ, start_response: StartResponse| async move {
                let body = environ.input().collect_async(100).await?;
                let agent = environ.header("x-agent").unwrap_or_default().escape_ascii();
                let words = format!("{} {agent} {}", environ.raw_target(), body.escape_ascii());
                Ok::<_, Error>(text(start_response, words))
            })
            .boxed()
        })?;
        let mut peer = site.dial()?;
        let request = "POST /a?b HTTP/1.1\r\nHost: suite.test\r\nX-Agent: me\r\n\
                       Content-Length: 5\r\n\r\nhello";
        for byte in request.as_bytes().chunks(1) {
            peer.send(byte);
        }
        peer.answer()?.must_say("/a?b me hello")
    })],
};

const NO_REQUEST: ServerRule = ServerRule {
    rule: must(
        "SRV-86",
        Topic::Connection,
        "A server MUST refuse what is no request with a status of 4xx or 5xx, end the connection, \
         and not call the application.",
        "RFC 9112 §2.2, §3, §3.2 and §5; RFC 9110 §15.5.1",
        "Parse strictly, and answer the error of the parser yourself.",
    ),
    name: "what_is_no_request_is_refused",
    needs: &[],
    cases: &[
        case("no Host", |scene| is_refused(scene, "GET / HTTP/1.1\r\n\r\n")),
        case("two Hosts", |scene| {
            is_refused(scene, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        }),
        case("a blank before the colon", |scene| {
            is_refused(scene, "GET / HTTP/1.1\r\nHost: a\r\nX-Name : b\r\n\r\n")
        }),
        case("a continued line", |scene| {
            is_refused(scene, "GET / HTTP/1.1\r\nHost: a\r\nX-Name: b\r\n c\r\n\r\n")
        }),
        case("NUL in a value", |scene| {
            is_refused(scene, "GET / HTTP/1.1\r\nHost: a\r\nX-Name: b\0c\r\n\r\n")
        }),
        case("a bare CR in a value", |scene| {
            is_refused(scene, "GET / HTTP/1.1\r\nHost: a\r\nX-Name: b\rX-Other: c\r\n\r\n")
        }),
        case("another protocol", |scene| is_refused(scene, "GET / RTSP/1.0\r\nHost: a\r\n\r\n")),
        case("another major version", |scene| {
            is_refused(scene, "GET / HTTP/3.0\r\nHost: a\r\n\r\n")
        }),
        case("a blank in the target", |scene| {
            is_refused(scene, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n")
        }),
        case("no method", |scene| is_refused(scene, " / HTTP/1.1\r\nHost: a\r\n\r\n")),
    ],
};

fn is_refused(scene: &Scene<'_>, request: &str) -> Checked {
    let mut site = scene.serve(|witness| {
        telling(move |environ| {
            witness.note(format_args!("called with {}", environ.raw_target()));
            String::new()
        })
    })?;
    let mut peer = site.dial()?;
    peer.send(request);
    let answer = peer.answer()?;
    ensure!(answer.status >= 400, "the status is {}", answer.status);
    peer.ends()?;
    drop(peer);
    site.stop()?;
    site.witness.noted_all(&[])
}

const AMBIGUOUS_FRAMING: ServerRule = ServerRule {
    rule: must(
        "SRV-87",
        Topic::Connection,
        "A server MUST refuse a request of which two readers could find two ends: contradicting or \
         malformed lengths, a transfer coding other than chunked, both at once, or chunks that are \
         none.",
        "RFC 9112 §6.1, §6.3 and §11.2: request smuggling",
        "Decide about the framing in one place, by the RFC's steps, and close on any doubt.",
    ),
    name: "ambiguous_framing_is_refused",
    needs: &[],
    cases: &[
        case("two lengths", |scene| {
            smuggles_nothing(scene, "Content-Length: 5\r\nContent-Length: 0\r\n\r\n")
        }),
        case("a length with a sign", |scene| smuggles_nothing(scene, "Content-Length: +0\r\n\r\n")),
        case("a length and chunks", |scene| {
            smuggles_nothing(scene, "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n")
        }),
        case("an unknown coding", |scene| {
            smuggles_nothing(scene, "Transfer-Encoding: xchunked\r\n\r\n")
        }),
        case("a coding behind chunked", |scene| {
            smuggles_nothing(scene, "Transfer-Encoding: chunked, identity\r\n\r\n")
        }),
        case("a size that is no number", |scene| {
            smuggles_nothing(scene, "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n")
        }),
        case("data longer than their chunk", |scene| {
            smuggles_nothing(scene, "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n")
        }),
    ],
};

/// Behind the doubtful request comes another, which must not be answered.
fn smuggles_nothing(scene: &Scene<'_>, framing: &str) -> Checked {
    let site = scene.serve(|witness| {
        (move |mut environ: Environ, start_response: StartResponse| {
            let witness = witness.clone();
            async move {
                if environ.raw_path_info() == "/smuggled" {
                    witness.note("smuggled");
                }
                let body = environ.input().collect_async(1 << 20).await?;
                Ok::<_, Error>(text(start_response, body))
            }
        })
        .boxed()
    })?;
    let mut peer = site.dial()?;
    peer.send(format!("POST / HTTP/1.1\r\nHost: suite.test\r\n{framing}"));
    peer.send("GET /smuggled HTTP/1.1\r\nHost: suite.test\r\n\r\n");
    let answer = peer.answer()?;
    ensure!((400..600).contains(&answer.status), "the status is {}", answer.status);
    peer.ends()?;
    site.witness.noted_all(&[])
}

const TOO_LONG_A_HEAD: ServerRule = ServerRule {
    rule: must(
        "SRV-88",
        Topic::Connection,
        "A server MUST bound the length of a head and refuse a longer one, with 414 or 431 or \
         another 4xx, and not call the application.",
        "RFC 9110 §15.5.15, RFC 6585 §5; test_wsgiref: IntegrationTests.test_request_length",
        "Count what has come of a head before it is whole.",
    ),
    name: "too_long_a_head_is_refused",
    needs: &[],
    cases: &[
        port("a long target", "test_wsgiref: IntegrationTests.test_request_length", |scene| {
            is_too_long(scene, &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1 << 21)))
        }),
        case("a long field", |scene| {
            let field = "x".repeat(1 << 21);
            is_too_long(scene, &format!("GET / HTTP/1.1\r\nHost: a\r\nX-Name: {field}\r\n\r\n"))
        }),
        case("many fields", |scene| {
            let fields = "X-Name: value\r\n".repeat(1 << 17);
            is_too_long(scene, &format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
        }),
    ],
};

/// Two MiB are more than any server takes for a head.
fn is_too_long(scene: &Scene<'_>, request: &str) -> Checked {
    let site = scene.serve(|witness| {
        telling(move |_| {
            witness.note("called");
            String::new()
        })
    })?;
    let mut peer = site.dial()?;
    peer.send(request);
    // What it has not read makes of its end a reset, which may overtake the answer.
    if let Some(answer) = peer.answer_or_end()? {
        ensure!((400..500).contains(&answer.status), "the status is {}", answer.status);
    }
    site.witness.noted_all(&[])
}
