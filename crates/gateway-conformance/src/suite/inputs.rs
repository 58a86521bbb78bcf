//! Rules about the request's body.

use std::io::Read;

use gateway_core::{Application, Environ, Error, IntoApplication, Response, Result, StartResponse};

use super::apps::{blocking, saying, text};
use super::claims::Feature;
use super::peer::Peer;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must, port};
use super::witness::Witness;
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    INPUT_OF_A_LENGTH,
    INPUT_IN_CHUNKS,
    INPUT_OF_NOTHING,
    INPUT_TRAILERS,
    INPUT_AS_IT_COMES,
    CONTINUE_WHEN_READ,
    NO_CONTINUE,
    TOO_LARGE_IS_413,
    LIMIT_CAN_BE_RAISED,
    UNREAD_INPUT,
    CUT_INPUT_IS_AN_ERROR,
];

/// Tells what came: the declared length, the body, the trailers.
async fn tell(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let declared = environ.input().declared_len();
    let body = environ.input().collect_async(1 << 20).await?;
    let again = environ.input().data_async().await;
    let mut words = format!("{declared:?} {} {}", body.escape_ascii(), again.is_none());
    if let Some(trailers) = environ.input().trailers() {
        for (name, value) in trailers {
            words += &format!(" {name}={}", value.as_bytes().escape_ascii());
        }
    }
    Ok(text(start_response, words))
}

/// The same by blocking, byte by byte in part.
fn tell_blocking(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    let input = environ.input();
    let declared = input.declared_len();
    let mut body = vec![0; 1];
    let length = input.read(&mut body)?;
    body.truncate(length);
    input.read_to_end(&mut body)?;
    let again = input.data().is_none();
    Ok(text(start_response, format!("{declared:?} {} {again}", body.escape_ascii())))
}

/// Both applications tell the same.
fn tells(scene: &Scene<'_>, pieces: &[&str], expected: &str) -> Checked {
    let apps: [fn() -> Box<dyn Application>; 2] = [|| tell.boxed(), || tell_blocking.boxed()];
    for app in apps {
        let site = scene.serve(|_| app())?;
        let mut peer = site.dial()?;
        for piece in pieces {
            peer.send_text(piece);
        }
        peer.answer()?.must_say(expected)?;
    }
    Ok(())
}

const INPUT_OF_A_LENGTH: ServerRule = ServerRule {
    rule: must(
        "SRV-68",
        Topic::Input,
        "A server MUST give the application the body that Content-Length declares, all of it and \
         nothing behind it, with that length.",
        "PEP 3333, Input and Error Streams: must not read past the Content-Length; RFC 9112 §6.3",
        "End the input at the declared length, whatever else is buffered.",
    ),
    name: "input_ends_at_its_length",
    needs: &[],
    cases: &[
        port("a form", "Plack::Test::Suite: POST; request->input seekable", |scene| {
            tells(
                scene,
                &["POST / HTTP/1.1\nHost: suite.test\nContent-Length: 14\n\nname=tatsuhiko"],
                "Some(14) name=tatsuhiko true",
            )
        }),
        case("with a request behind it", |scene| {
            tells(
                scene,
                &["POST / HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\nhelloGET / HTTP/1.1\n"],
                "Some(5) hello true",
            )
        }),
        case("in pieces", |scene| {
            tells(
                scene,
                &["POST / HTTP/1.1\nHost: suite.test\nContent-Le", "ngth: 5\n\nhe", "l", "lo"],
                "Some(5) hello true",
            )
        }),
        port("a big one", "Plack::Test::Suite: big POST", |scene| {
            let sent = "abcdefgh".repeat(12_000);
            let site = scene.serve(|_| {
                blocking(|mut environ, start_response| {
                    let mut body = Vec::new();
                    environ.input().read_to_end(&mut body)?;
                    Ok(text(start_response, body))
                })
            })?;
            let mut peer = site.dial()?;
            let head = "POST / HTTP/1.1\nHost: suite.test\nContent-Length: 96000\n\n";
            peer.send_text(head);
            peer.send(&sent);
            let answer = peer.answer()?;
            ensure!(answer.text() == sent, "{} of 96000 bytes came back", answer.body.len());
            Ok(())
        }),
    ],
};

const INPUT_IN_CHUNKS: ServerRule = ServerRule {
    rule: must(
        "SRV-69",
        Topic::Input,
        "A server MUST give the application a chunked body decoded, without a declared length.",
        "RFC 9112 §7.1; PEP 3333 leaves chunked requests to the server",
        "Decode chunks of any size and with extensions, in whatever pieces they come.",
    ),
    name: "chunked_input_is_decoded",
    needs: &[],
    cases: &[
        case("with an extension", |scene| {
            tells(scene, &[CHUNKED, "2\nhe\n3;really=\"yes\"\nllo\n0\n\n"], "None hello true")
        }),
        case("byte by byte", |scene| {
            let pieces: Vec<&str> =
                ["0", "0A", "\n", "he", "llohel", "lo\n", "0\n", "\n"].into_iter().collect();
            let mut all = vec![CHUNKED];
            all.extend(pieces);
            tells(scene, &all, "None hellohello true")
        }),
        case("that looks like chunks itself", |scene| {
            tells(scene, &[CHUNKED, "8\n0\n\nGET\n0\n\n"], "None 0\\r\\n\\r\\nGET true")
        }),
    ],
};

const CHUNKED: &str = "POST / HTTP/1.1\nHost: suite.test\nTransfer-Encoding: chunked\n\n";

const INPUT_OF_NOTHING: ServerRule = ServerRule {
    rule: must(
        "SRV-70",
        Topic::Input,
        "A server MUST give an input that has ended to a request without a body, and its length is \
         0.",
        "PEP 3333, Input and Error Streams; RFC 9112 §6.3: no framing, no body",
        "Without Content-Length and Transfer-Encoding, wait for nothing.",
    ),
    name: "input_of_nothing_has_ended",
    needs: &[],
    cases: &[
        port("a GET", "Plack::Test::Suite: request->content on GET", |scene| {
            tells(scene, &["GET / HTTP/1.1\nHost: suite.test\n\n"], "Some(0)  true")
        }),
        case("a POST without a length", |scene| {
            tells(scene, &["POST / HTTP/1.1\nHost: suite.test\n\n"], "Some(0)  true")
        }),
        case("a length of 0", |scene| {
            let post = "POST / HTTP/1.1\nHost: suite.test\nContent-Length: 0\n\n";
            tells(scene, &[post], "Some(0)  true")
        }),
    ],
};

const INPUT_TRAILERS: ServerRule = ServerRule {
    rule: must(
        "SRV-71",
        Topic::Input,
        "A server MUST give the application a request's trailers after the end of its body, apart \
         from the header fields.",
        "RFC 9110 §6.5.1",
        "Hand the trailers over as the last frame of `Exchange::poll_input`.",
    ),
    name: "input_has_its_trailers",
    needs: &[Feature::Trailers],
    cases: &[case("one field", |scene| {
        let site = scene.serve(|_| {
            (|environ: Environ, start_response: StartResponse| async move {
                if environ.header("x-sum").is_some() {
                    return Err(Error::application("a trailer is among the header fields"));
                }
                tell(environ, start_response).await
            })
            .boxed()
        })?;
        let mut peer = site.dial()?;
        peer.send_text(CHUNKED);
        peer.send_text("5\nhello\n0\nX-Sum: 1\n\n");
        peer.answer()?.must_say("None hello true x-sum=1")
    })],
};

const INPUT_AS_IT_COMES: ServerRule = ServerRule {
    rule: must(
        "SRV-72",
        Topic::Input,
        "A server MUST give the application what has come of a body without waiting for the rest, \
         and call it without waiting for any.",
        "PEP 3333, Input and Error Streams: read may return what is there",
        "Call the application when the head is there, and end a read with the first data.",
    ),
    name: "input_comes_in_pieces",
    needs: &[],
    cases: &[case("three pieces", |scene| {
        let site = scene.serve(|witness| {
            (move |mut environ: Environ, start_response: StartResponse| {
                let witness = witness.clone();
                async move {
                    witness.note("called");
                    while let Some(data) = environ.input().data_async().await {
                        witness.note(data?.escape_ascii());
                    }
                    Ok::<_, Error>(text(start_response, "all"))
                }
            })
            .boxed()
        })?;
        let mut peer = site.dial()?;
        peer.send_text("POST / HTTP/1.1\nHost: suite.test\nContent-Length: 11\n\n");
        site.witness.noted("called")?;
        for piece in ["one", "two", "three"] {
            peer.send(piece);
            site.witness.noted(piece)?;
        }
        peer.answer()?.must_say("all")
    })],
};

const EXPECTING: &str =
    "POST / HTTP/1.1\nHost: suite.test\nContent-Length: 5\nExpect: 100-continue\n\n";

const CONTINUE_WHEN_READ: ServerRule = ServerRule {
    rule: must(
        "SRV-73",
        Topic::Input,
        "A server MUST send `100 Continue` to a client that expects it when the application reads \
         the input, and not before.",
        "PEP 3333, HTTP 1.1 Expect/Continue; RFC 9110 §10.1.1",
        "Send it from the first read that finds nothing buffered.",
    ),
    name: "continue_is_sent_when_the_input_is_read",
    needs: &[Feature::Continue],
    cases: &[
        case("by awaiting", |scene| is_continued(scene, |_| tell.boxed())),
        case("by blocking", |scene| is_continued(scene, |_| tell_blocking.boxed())),
        case("after another interim response", |scene| {
            if !scene.has(Feature::EarlyHints) {
                return Ok(());
            }
            let site = scene.serve(|witness| {
                (move |environ: Environ, start_response: StartResponse| {
                    let witness = witness.clone();
                    async move {
                        start_response.early_hints(());
                        witness.opened("hinted").await;
                        tell(environ, start_response).await
                    }
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.send_text(EXPECTING);
            peer.head()?.must_be(103)?;
            site.witness.open("hinted");
            continues(&mut peer)
        }),
    ],
};

fn is_continued(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>) -> Checked {
    let site = scene.serve(app)?;
    let mut peer = site.dial()?;
    peer.send_text(EXPECTING);
    continues(&mut peer)
}

fn continues(peer: &mut Peer) -> Checked {
    peer.head()?.must_be(100)?;
    peer.send("hello");
    peer.answer()?.must_say("Some(5) hello true")
}

const NO_CONTINUE: ServerRule = ServerRule {
    rule: must(
        "SRV-74",
        Topic::Input,
        "A server MUST NOT send `100 Continue` where the application does not read, to an HTTP/1.0 \
         client, or for a body over the limit; and what a client that got none sends then is no \
         request.",
        "RFC 9110 §10.1.1",
        "Send it from a read, after the limit has been looked at; otherwise close.",
    ),
    name: "no_continue_without_a_read",
    needs: &[],
    cases: &[
        case("an application that does not read", |scene| {
            let site = scene.serve(|_| saying("no, thanks"))?;
            let mut peer = site.dial()?;
            peer.exchange(EXPECTING)?.must_say("no, thanks")?;
            peer.send_text("GET /smuggled HTTP/1.1\nHost: suite.test\n\n");
            peer.finish()
        }),
        case("HTTP/1.0", |scene| {
            let site = scene.serve(|_| tell.boxed())?;
            let post = "POST / HTTP/1.0\nContent-Length: 5\nExpect: 100-continue\n\nhello";
            site.dial()?.exchange(post)?.must_say("Some(5) hello true")
        }),
        case("over the limit", |scene| {
            let site = scene.serve(|_| limited_to_4.boxed())?;
            site.dial()?.exchange(EXPECTING)?.must_be(413)
        }),
    ],
};

async fn limited_to_4(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
    environ.input().limit(4)?;
    while let Some(data) = environ.input().data_async().await {
        data?;
    }
    Ok(text(start_response, "too little"))
}

const TOO_LARGE_IS_413: ServerRule = ServerRule {
    rule: must(
        "SRV-75",
        Topic::Input,
        "A server MUST answer 413 where the application passes on the error of a body over the \
         limit, whether its length was declared or found out.",
        "RFC 9110 §15.5.14",
        "Answer the error's status, also while the peer still sends.",
    ),
    name: "too_large_an_input_is_413",
    needs: &[],
    cases: &[
        case("declared", |scene| {
            let site = scene.serve(|_| limited_to_4.boxed())?;
            let post = "POST / HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\nhello";
            site.dial()?.exchange(post)?.must_be(413)
        }),
        case("in chunks", |scene| {
            let site = scene.serve(|_| limited_to_4.boxed())?;
            let mut peer = site.dial()?;
            peer.send_text(CHUNKED);
            peer.send_text("5\nhello\n0\n\n");
            peer.answer()?.must_be(413)
        }),
        case("at the limit", |scene| {
            let site = scene.serve(|_| limited_to_4.boxed())?;
            let post = "POST / HTTP/1.1\nHost: suite.test\nContent-Length: 4\n\nhell";
            site.dial()?.exchange(post)?.must_be(200)
        }),
    ],
};

const LIMIT_CAN_BE_RAISED: ServerRule = ServerRule {
    rule: must(
        "SRV-76",
        Topic::Input,
        "A server MUST let the application raise the body limit before the first read.",
        "A limit by route: only the application knows which of its places take uploads",
        "Check no length before the application reads.",
    ),
    name: "the_limit_can_be_raised",
    needs: &[],
    cases: &[case("to any length", |scene| {
        const LENGTH: usize = 9 << 20;
        let site = scene.serve(|_| {
            blocking(|mut environ, start_response| {
                environ.input().limit(u64::MAX)?;
                let length = std::io::copy(environ.input(), &mut std::io::sink())?;
                Ok(text(start_response, length.to_string()))
            })
        })?;
        let mut peer = site.dial()?;
        peer.send_text(&format!("POST / HTTP/1.1\nHost: suite.test\nContent-Length: {LENGTH}\n\n"));
        peer.send(vec![b'u'; LENGTH]);
        peer.answer()?.must_say(&LENGTH.to_string())
    })],
};

const UNREAD_INPUT: ServerRule = ServerRule {
    rule: must(
        "SRV-77",
        Topic::Input,
        "A server MUST answer a request whose body the application does not read, and MUST NOT \
         take that body for a request.",
        "RFC 9112 §9.3: read the whole message, or close",
        "Throw away what is left of a body, within bounds, or close behind the response.",
    ),
    name: "an_unread_input_is_no_request",
    needs: &[],
    cases: &[
        case("a small one", |scene| {
            is_no_request(scene, "POST / HTTP/1.1\nHost: suite.test\nContent-Length: 50\n\n")
        }),
        case("half read", |scene| {
            let site = scene.serve(|_| {
                blocking(|mut environ, start_response| {
                    environ.input().read_exact(&mut [0; 2])?;
                    Ok(text(start_response, environ.raw_path_info().to_owned()))
                })
            })?;
            let mut peer = site.dial()?;
            peer.send_text("POST /first HTTP/1.1\nHost: suite.test\nContent-Length: 5\n\nhello");
            peer.answer()?.must_say("/first")?;
            peer.finish()
        }),
        case("a large one", |scene| {
            let site = scene.serve(|_| saying("no, thanks"))?;
            let mut peer = site.dial()?;
            peer.send_text("POST / HTTP/1.1\nHost: suite.test\nContent-Length: 104857600\n\n");
            peer.send(vec![b'u'; 4 << 20]);
            peer.answer()?.must_say("no, thanks")
        }),
    ],
};

/// The body looks like a request, and is none.
fn is_no_request(scene: &Scene<'_>, head: &str) -> Checked {
    let site = scene.serve(|witness| {
        super::apps::telling(move |environ| {
            witness.note(environ.raw_path_info());
            environ.raw_path_info().to_owned()
        })
    })?;
    let mut peer = site.dial()?;
    peer.send_text(head);
    peer.send(format!("{:<46}\r\n\r\n", "GET /smuggled HTTP/1.1\r\nHost: suite.test"));
    peer.answer()?.must_say("/")?;
    peer.finish()?;
    site.witness.noted_all(&["/"])
}

const CUT_INPUT_IS_AN_ERROR: ServerRule = ServerRule {
    rule: must(
        "SRV-78",
        Topic::Input,
        "A server MUST fail the reads of a body that the peer cut off: it never looks like one \
         that has ended.",
        "RFC 9112 §8: incomplete messages",
        "Take the end of the connection within a body for an error of the peer.",
    ),
    name: "a_cut_input_is_an_error",
    needs: &[],
    cases: &[
        case("of a length, by awaiting", |scene| {
            is_an_error(scene, |_| tell.boxed(), "Content-Length: 10\n\nhello")
        }),
        case("of a length, by blocking", |scene| {
            is_an_error(scene, |_| tell_blocking.boxed(), "Content-Length: 10\n\nhello")
        }),
        case("in chunks", |scene| {
            is_an_error(scene, |_| tell.boxed(), "Transfer-Encoding: chunked\n\na\nhello")
        }),
        case("behind its last data", |scene| {
            is_an_error(scene, |_| tell.boxed(), "Transfer-Encoding: chunked\n\n5\nhello\n")
        }),
    ],
};

fn is_an_error(scene: &Scene<'_>, app: fn(Witness) -> Box<dyn Application>, rest: &str) -> Checked {
    let site = scene.serve(app)?;
    let mut peer = site.dial()?;
    peer.send_text(&format!("POST / HTTP/1.1\nHost: suite.test\n{rest}"));
    peer.half_close();
    // It may be told, or the connection may just end.
    match peer.answer_or_end()? {
        Some(answer) => answer.must_be(400),
        None => Ok(()),
    }
}
