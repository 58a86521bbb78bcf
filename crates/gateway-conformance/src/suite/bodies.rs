//! Rules about what follows the head.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gateway_core::http::header::{CONTENT_LENGTH, TRAILER};
use gateway_core::http::{HeaderValue, StatusCode};
use gateway_core::http_body::{self, Frame};
use gateway_core::{
    Application, Body, Disconnected, Environ, Error, FileBody, IntoApplication, StartResponse,
    inline,
};

use super::MIB;
use super::answer::Framing;
use super::apps::{answering, broken, data, frames, iterated, streamed, text, trailer};
use super::claims::Feature;
use super::scene::{Checked, Scene, ensure};
use super::server_test::{ServerRule, case, must, port};
use super::witness::{Token, Witness};
use crate::rule::Topic;

pub(super) const RULES: &[ServerRule] = &[
    BODY_IS_DROPPED,
    BODY_OF_A_DEPARTED_PEER_IS_DROPPED,
    DATA_ARRIVE_AS_THEY_COME,
    FILES_ARE_SENT,
    SHRUNK_FILE_IS_CUT,
    LARGE_BODIES_ARRIVE_WHOLE,
    SLOW_PEER_HOLDS_BACK,
    TRAILERS_ARE_SENT,
];

const BODY_IS_DROPPED: ServerRule = ServerRule {
    rule: must(
        "SRV-53",
        Topic::Body,
        "A server MUST drop every body when its response is over: also one that failed, one that \
         was too long, and one that was not wanted.",
        "PEP 3333, Specification Details: close() upon completion of the current request",
        "Own the body in the code that sends it, and let nothing keep it behind the response.",
    ),
    name: "every_body_is_dropped",
    needs: &[],
    cases: &[
        port(
            "an iterator at its end",
            "Plack::Test::Suite: call close after read IO::Handle-like",
            |scene| {
                is_dropped(scene, "1234", |witness| iterated(witness, data(["1", "2", "3", "4"])))
            },
        ),
        case("a stream at its end", |scene| {
            is_dropped(scene, "12", |witness| streamed(witness, frames(data(["1", "2"]))))
        }),
        port("an iterator that fails", "test_wsgiref: HandlerTests.testCloseOnError", |scene| {
            is_dropped(scene, "", |witness| iterated(witness, data(["1"]).chain([broken()])))
        }),
        case("a stream that fails", |scene| {
            is_dropped(scene, "", |witness| {
                streamed(witness, frames(data(["1"]).chain([broken()])))
            })
        }),
        case("one that asks a handle meanwhile", |scene| {
            struct Asks(Disconnected, Token);
            impl Drop for Asks {
                fn drop(&mut self) {
                    let Asks(gone, _token) = self;
                    gone.is_disconnected();
                }
            }
            let site = scene.serve(|witness| {
                inline(move |environ, start_response| {
                    let asks = Asks(environ.disconnected(), witness.token("body"));
                    let items = std::iter::from_fn(move || {
                        let _asks = &asks;
                        None
                    });
                    Ok(text(start_response, Body::iter(items)))
                })
            })?;
            let mut peer = site.dial()?;
            peer.send_text("HEAD / HTTP/1.1\nHost: suite.test\n\n");
            peer.answer_for("HEAD")?.must_be(200)?;
            site.witness.noted_all(&["body dropped"])
        }),
        case("one that nobody wants", |scene| {
            let site =
                scene.serve(|witness| answering(move || iterated(&witness, data(["unwanted"]))))?;
            let mut peer = site.dial()?;
            peer.send_text("HEAD / HTTP/1.1\nHost: suite.test\n\n");
            peer.answer_for("HEAD")?.must_be(200)?;
            site.witness.noted_all(&["body dropped"])
        }),
    ],
};

/// The body is `whole`, or cut if that is empty, and dropped either way.
fn is_dropped(scene: &Scene<'_>, whole: &str, body: fn(&Witness) -> Body) -> Checked {
    let site = scene.serve(|witness| answering(move || body(&witness)))?;
    let mut peer = site.dial()?;
    peer.ask("/");
    let mut answer = peer.head()?;
    if whole.is_empty() {
        peer.is_cut(&mut answer)?;
    } else {
        peer.rest(&mut answer)?;
        answer.must_say(whole)?;
    }
    site.witness.noted_all(&["body dropped"])
}

const BODY_OF_A_DEPARTED_PEER_IS_DROPPED: ServerRule = ServerRule {
    rule: must(
        "SRV-54",
        Topic::Body,
        "A server MUST stop pulling a body and drop it where the peer goes away while it is sent.",
        "PEP 3333, Specification Details: close() also on early termination",
        "Give the body up when a write fails.",
    ),
    name: "the_body_of_a_departed_peer_is_dropped",
    needs: &[Feature::Disconnect],
    cases: &[
        case("an iterator without end", |scene| {
            is_dropped_on_departure(scene, |witness| iterated(witness, endless()))
        }),
        case("a stream without end", |scene| {
            is_dropped_on_departure(scene, |witness| {
                Body::stream(Endless { _token: witness.token("body") })
            })
        }),
    ],
};

fn is_dropped_on_departure(scene: &Scene<'_>, body: fn(&Witness) -> Body) -> Checked {
    let site = scene.serve(|witness| answering(move || body(&witness)))?;
    let mut peer = site.dial_allowing(Some(1 << 16))?;
    peer.ask("/");
    peer.head()?.must_be(200)?;
    peer.leave();
    site.witness.noted_all(&["body dropped"])
}

fn endless() -> impl Iterator<Item = io::Result<Bytes>> + Send + 'static {
    std::iter::repeat_with(|| Ok(Bytes::from_static(&[b'e'; 10_000])))
}

struct Endless {
    _token: Token,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = Bytes::from_static(&[b'e'; 10_000]);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

const DATA_ARRIVE_AS_THEY_COME: ServerRule = ServerRule {
    rule: must(
        "SRV-55",
        Topic::Body,
        "A server MUST send each datum of a body before it asks for, or waits for, the next.",
        "PEP 3333, Buffering and Streaming: no block may be delayed",
        "Flush before `next` is called, and when a stream is pending.",
    ),
    name: "data_arrive_as_they_come",
    needs: &[],
    cases: &[
        case("from an iterator", |scene| {
            arrive_as_they_come(scene, |witness| {
                let gates = witness.clone();
                let items = ["one", "two", "three"].into_iter().map(move |item| {
                    gates.wait(item);
                    Ok(Bytes::from_static(item.as_bytes()))
                });
                iterated(witness, items)
            })
        }),
        port("from a stream", "Plack::Test::Suite: coderef streaming", |scene| {
            arrive_as_they_come(scene, |witness| Body::stream(Gated::new(witness)))
        }),
    ],
};

fn arrive_as_they_come(scene: &Scene<'_>, body: fn(&Witness) -> Body) -> Checked {
    let site = scene.serve(|witness| answering(move || body(&witness)))?;
    let mut peer = site.dial()?;
    peer.ask("/");
    site.witness.open("one");
    let mut answer = peer.head()?;
    peer.part(&mut answer, "one")?;
    site.witness.open("two");
    peer.part(&mut answer, "two")?;
    site.witness.open("three");
    peer.rest(&mut answer)?;
    answer.must_say("onetwothree")
}

type Waits = Pin<Box<dyn Future<Output = Bytes> + Send>>;

/// Data, each behind the gate of its name.
struct Gated {
    witness: Witness,
    left: std::vec::IntoIter<&'static str>,
    next: Option<Waits>,
}

impl Gated {
    fn new(witness: &Witness) -> Gated {
        let left = vec!["one", "two", "three"].into_iter();
        Gated { witness: witness.clone(), left, next: None }
    }
}

impl http_body::Body for Gated {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.next.is_none() {
            let Some(item) = self.left.next() else { return Poll::Ready(None) };
            let witness = self.witness.clone();
            self.next = Some(Box::pin(async move {
                witness.opened(item).await;
                Bytes::from_static(item.as_bytes())
            }));
        }
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let data = ready!(next.as_mut().poll(cx));
        self.next = None;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

const FILES_ARE_SENT: ServerRule = ServerRule {
    rule: must(
        "SRV-56",
        Topic::Body,
        "A server MUST send the part of a file that a file body names, with its length, whatever \
         the file's own position is.",
        "PEP 3333, Optional Platform-Specific File Handling",
        "Begin at `offset` and send `len` bytes; `FilePieces` does it by reading.",
    ),
    name: "files_are_sent",
    needs: &[],
    cases: &[
        port(
            "from its position to its end",
            "Plack::Test::Suite: return glob; filehandle",
            |scene| {
                sends_file(scene, "3456789", || {
                    let mut file = file_of(b"0123456789")?;
                    file.seek(SeekFrom::Start(3))?;
                    Body::file(file)
                })
            },
        ),
        case("a part", |scene| {
            sends_file(scene, "12", || Ok(Body::File(FileBody::new(file_of(b"0123456789")?, 1, 2))))
        }),
        case("nothing of it", |scene| {
            sends_file(scene, "", || Ok(Body::File(FileBody::new(file_of(b"0123456789")?, 1, 0))))
        }),
        port(
            "with a length of the application's",
            "Plack::Test::Suite: filehandle with path()",
            |scene| {
                let site = scene.serve(|_| {
                    inline(|_, start_response| {
                        let body = Body::file(file_of(b"0123456789")?)?;
                        let head = [(CONTENT_LENGTH, "10")];
                        Ok(start_response.start(StatusCode::OK, head).with_body(body))
                    })
                })?;
                let answer = site.dial()?.get("/face.jpg")?;
                answer.must_have("content-length", "10")?;
                answer.must_say("0123456789")
            },
        ),
        port("a bigger one", "Plack::Test::Suite: bigger file", |scene| {
            let site = scene.serve(|_| {
                inline(|_, start_response| {
                    let body = Body::file(file_of(&pattern(BIGGER))?)?;
                    Ok(text(start_response, body))
                })
            })?;
            let answer = site.dial()?.get("/kyoto.jpg")?;
            answer.must_have("content-length", &BIGGER.to_string())?;
            ensure!(answer.body == pattern(BIGGER), "the file came changed");
            Ok(())
        }),
    ],
};

/// Longer than any buffer on the way, and no multiple of one.
const BIGGER: usize = 2_397_701;

/// Bytes that repeat with no period that a buffer has.
fn pattern(length: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut pattern = period.repeat(length / period.len() + 1);
    pattern.truncate(length);
    pattern
}

fn sends_file(scene: &Scene<'_>, expected: &str, body: fn() -> io::Result<Body>) -> Checked {
    let site =
        scene.serve(|_| inline(move |_, start_response| Ok(text(start_response, body()?))))?;
    let answer = site.dial()?.get("/")?;
    answer.must_have("content-length", &expected.len().to_string())?;
    answer.must_say(expected)
}

/// A file without a name, at its beginning.
fn file_of(bytes: &[u8]) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("gateway-conformance-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

const SHRUNK_FILE_IS_CUT: ServerRule = ServerRule {
    rule: must(
        "SRV-57",
        Topic::Body,
        "A server MUST cut the response visibly where a file ends before its body does.",
        "RFC 9112 §8: incomplete messages",
        "Take a read of no bytes before the length is reached for a failure.",
    ),
    name: "a_file_that_shrank_is_cut",
    needs: &[],
    cases: &[case("two of five bytes", |scene| {
        let site = scene.serve(|_| {
            inline(|_, start_response| {
                let body = FileBody::new(file_of(b"0123456789")?, 8, 5);
                Ok(text(start_response, Body::File(body)))
            })
        })?;
        let mut peer = site.dial()?;
        peer.ask("/");
        let mut answer = peer.head()?;
        answer.must_have("content-length", "5")?;
        peer.is_cut(&mut answer)?;
        ensure!(answer.text() == "89", "what came is {:?}", answer.text());
        Ok(())
    })],
};

const LARGE_BODIES_ARRIVE_WHOLE: ServerRule = ServerRule {
    rule: must(
        "SRV-58",
        Topic::Body,
        "A server MUST send all data of a body, also where the transport takes only a part of them \
         at a time.",
        "test_wsgiref: IntegrationTests.test_interrupted_write, HandlerTests.testPartialWrite",
        "Look at how much a write took, and write the rest.",
    ),
    name: "large_bodies_arrive_whole",
    needs: &[],
    cases: &[
        port("bytes", "test_wsgiref: IntegrationTests.test_interrupted_write", |scene| {
            arrives_whole(scene, |_| pattern(LARGE).into())
        }),
        case("an iterator", |scene| {
            arrives_whole(scene, |witness| {
                let all = Bytes::from(pattern(LARGE));
                let items = (0..LARGE / 1000).map(move |n| Ok(all.slice(n * 1000..(n + 1) * 1000)));
                iterated(witness, items)
            })
        }),
    ],
};

const LARGE: usize = 8_000_000;

/// The client begins to read when all buffers between the two are full.
fn arrives_whole(scene: &Scene<'_>, body: fn(&Witness) -> Body) -> Checked {
    let site = scene.serve(|witness| answering(move || body(&witness)))?;
    let mut peer = site.dial_allowing(Some(1000))?;
    peer.ask("/");
    let mut answer = peer.head()?;
    peer.allow(1 << 40);
    peer.rest(&mut answer)?;
    ensure!(answer.body.len() == LARGE, "{} bytes came of {LARGE}", answer.body.len());
    ensure!(answer.body == pattern(LARGE), "the data came changed");
    Ok(())
}

const SLOW_PEER_HOLDS_BACK: ServerRule = ServerRule {
    rule: must(
        "SRV-59",
        Topic::Body,
        "A server MUST NOT pull a body far ahead of what the peer takes: a slow peer slows the \
         application down.",
        "PEP 3333, Buffering and Streaming",
        "Ask for the next datum when the last one has been handed to the transport.",
    ),
    name: "a_slow_peer_holds_the_body_back",
    needs: &[],
    cases: &[case("a reader of one MiB at a time", |scene| {
        const LONG: u64 = 64 * MIB as u64;
        // More than what sockets hold, by far less than the body.
        const LEEWAY: u64 = 32 * MIB as u64;
        let produced = Arc::new(AtomicU64::new(0));
        let producing = Arc::clone(&produced);
        let site = scene.serve(|_| {
            let datum = Bytes::from(vec![b'p'; MIB]);
            answering(move || {
                let (producing, datum) = (Arc::clone(&producing), datum.clone());
                Body::iter((0..LONG / MIB as u64).map(move |_| {
                    producing.fetch_add(MIB as u64, Ordering::SeqCst);
                    Ok(datum.clone())
                }))
            })
        })?;
        let mut peer = site.dial_allowing(Some(MIB as u64))?;
        peer.ask("/");
        let mut answer = peer.head()?;
        let (mut read, mut ahead) = (0, 0);
        while read < LONG {
            peer.some(&mut answer)?;
            read += answer.body.len() as u64;
            answer.body.clear();
            ahead = ahead.max(produced.load(Ordering::SeqCst).saturating_sub(read));
            peer.allow_ahead(MIB as u64);
        }
        ensure!(ahead < LEEWAY, "{ahead} bytes were pulled ahead of the reader");
        Ok(())
    })],
};

const TRAILERS_ARE_SENT: ServerRule = ServerRule {
    rule: must(
        "SRV-60",
        Topic::Body,
        "A server MUST send a stream's trailers behind a chunked body, and leave them out on \
         HTTP/1.0.",
        "RFC 9110 §6.5; RFC 9112 §7.1.2",
        "Write the trailers between the last chunk and the empty line.",
    ),
    name: "trailers_are_sent",
    needs: &[Feature::Trailers],
    cases: &[
        case("of a stream of unknown length", |scene| {
            let site = scene.serve(with_trailers)?;
            let answer = site.dial()?.get("/")?;
            answer.must_say("hello")?;
            let expected = [("x-sum".to_owned(), "5".to_owned())];
            ensure!(answer.trailers == expected, "the trailers are {:?}", answer.trailers);
            Ok(())
        }),
        case("of one of known length, announced", |scene| {
            let site = scene.serve(|_| {
                (|mut environ: Environ, start_response: StartResponse| async move {
                    let head = [(TRAILER, HeaderValue::from_static("x-sum"))];
                    let body = Body::stream(environ.take_input());
                    Ok::<_, Error>(start_response.start(StatusCode::OK, head).with_body(body))
                })
                .boxed()
            })?;
            let mut peer = site.dial()?;
            peer.send_text("POST / HTTP/1.1\nHost: suite.test\nTransfer-Encoding: chunked\n\n");
            peer.send_text("5\nhello\n0\nX-Sum: 5\n\n");
            let answer = peer.answer()?;
            answer.must_say("hello")?;
            let expected = [("x-sum".to_owned(), "5".to_owned())];
            ensure!(answer.trailers == expected, "the trailers are {:?}", answer.trailers);
            Ok(())
        }),
        case("on HTTP/1.0", |scene| {
            let site = scene.serve(with_trailers)?;
            let mut peer = site.dial()?;
            let answer = peer.exchange("GET / HTTP/1.0\n\n")?;
            ensure!(answer.framing == Framing::UntilClose, "it is framed by {:?}", answer.framing);
            answer.must_say("hello")
        }),
    ],
};

fn with_trailers(witness: Witness) -> Box<dyn Application> {
    answering(move || {
        let mut items = frames(data(["hello"]));
        items.push(trailer("x-sum", "5"));
        streamed(&witness, items)
    })
    .boxed()
}
