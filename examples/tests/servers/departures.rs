//! Clients that leave, in each phase of an exchange.
//!
//! An application that was called runs to its end unless it asked otherwise; a body is dropped once,
//! and nothing stays behind, which every case of the suite is checked for.

use std::fs::File;
use std::io::Write;

use gateway_core::bytes::Bytes;
use gateway_core::http::StatusCode;
use gateway_core::{
    Application, Body, Environ, Error, IntoApplication, Reply, Response, Result, StartResponse,
    inline,
};

use crate::case::{Case, cases, closing, ok, page, text};
use crate::witness::Witness;

cases![
    before_a_head,
    within_a_head,
    within_a_head_by_reset,
    within_a_body_read_by_blocking,
    within_a_body_read_by_awaiting,
    within_a_chunk,
    within_a_body_by_reset,
    within_a_body_that_is_not_read,
    half_closed_and_still_answered,
    half_closed_and_asked_by_blocking,
    while_a_future_runs,
    while_a_job_runs,
    cancelled_future,
    cancelled_job,
    cancelled_only_if_asked,
    while_an_iterator_is_sent,
    while_a_stream_is_sent,
    while_a_file_is_sent,
    while_bytes_are_sent,
    while_writing,
    after_the_answer,
];

const GET: &str = "GET / HTTP/1.1\nHost: test\n\n";
const GONE: &str = "the peer went away before the exchange was over";

fn never(witness: Witness) -> Box<dyn Application> {
    inline(move |_, start_response| {
        witness.note("called");
        Ok(text(start_response, "hello"))
    })
    .boxed()
}

fn before_a_head() -> Case {
    Case::new(never).half_close().answers_and_closes("")
}

fn within_a_head() -> Case {
    Case::new(never).send("GET / HTTP/1.1\nHost:").half_close().answers_and_closes(
        closing(page(StatusCode::BAD_REQUEST))
            .replace("400 Bad Request␊", "the connection ended inside a request head␊")
            .replace("Content-Length: 16", "Content-Length: 43"),
    )
}

fn refused() -> String {
    closing(page(StatusCode::BAD_REQUEST))
}

fn within_a_head_by_reset() -> Case {
    Case::new(never).send("GET / HTTP/1.1\nHost:").reset()
}

/// Notes what reading comes to.
fn read(witness: Witness) -> Box<dyn Application> {
    (move |mut environ: Environ, start_response: StartResponse| -> Result<Response> {
        witness.watch_end(&start_response);
        let first = environ.input().data().transpose()?;
        witness.note(format_args!("{first:?}"));
        environ.input().collect(1000).inspect_err(|error| witness.note(error))?;
        Ok(text(start_response, "all is there"))
    })
    .boxed()
}

fn read_async(witness: Witness) -> Box<dyn Application> {
    (move |mut environ: Environ, start_response: StartResponse| {
        let witness = witness.clone();
        async move {
            witness.watch_end(&start_response);
            let first = environ.input().data_async().await.transpose()?;
            witness.note(format_args!("{first:?}"));
            let rest = environ.input().collect_async(1000).await;
            rest.inspect_err(|error| witness.note(error))?;
            Ok::<_, Error>(text(start_response, "all is there"))
        }
    })
    .boxed()
}

const POST: &str = "POST / HTTP/1.1\nHost: test\nContent-Length: 10\n\n12345";
const CUT_OFF: &str = "the request is refused with 400 Bad Request";
const CUT_OFF_END: &str =
    "end: 400, 16 bytes, answered: the request is refused with 400 Bad Request";

fn within_a_body_read_by_blocking() -> Case {
    Case::new(read)
        .send(POST)
        .noted("Some(b\"12345\")")
        .half_close()
        .answers_and_closes(refused())
        .notes(["Some(b\"12345\")", CUT_OFF, CUT_OFF_END])
}

fn within_a_body_read_by_awaiting() -> Case {
    Case::new(read_async)
        .send(POST)
        .noted("Some(b\"12345\")")
        .half_close()
        .answers_and_closes(refused())
        .notes(["Some(b\"12345\")", CUT_OFF, CUT_OFF_END])
}

fn within_a_chunk() -> Case {
    Case::new(read_async)
        .send("POST / HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\na\n12345")
        .noted("Some(b\"12345\")")
        .half_close()
        .answers_and_closes(refused())
        .notes(["Some(b\"12345\")", CUT_OFF, CUT_OFF_END])
}

fn within_a_body_by_reset() -> Case {
    Case::new(read_async).send(POST).noted("Some(b\"12345\")").reset().notes([
        "Some(b\"12345\")",
        GONE,
        "end: no head, 0 bytes, the peer went away before the exchange was over",
    ])
}

fn within_a_body_that_is_not_read() -> Case {
    Case::new(never).send(POST).half_close().answers_and_closes(ok("hello")).notes(["called"])
}

/// A future that notes when the peer has gone, and answers all the same.
fn half_closed_and_still_answered() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |environ: Environ, start_response: StartResponse| {
            let witness = witness.clone();
            witness.watch_end(&start_response);
            async move {
                witness.note("called");
                environ.disconnected().await;
                witness.note("gone");
                Ok::<_, Error>(text(start_response, "hello"))
            }
        })
        .boxed()
    }
    Case::new(app).send(GET).noted("called").half_close().answers_and_closes(ok("hello")).notes([
        "called",
        "gone",
        "end: 200, 5 bytes, clean",
    ])
}

/// Waits at the gate by blocking, then asks whether anybody waits.
fn job(witness: Witness) -> Box<dyn Application> {
    (move |environ: Environ, start_response: StartResponse| -> Result<Response> {
        let _token = witness.token("call");
        let gone = environ.disconnected();
        witness.note(format_args!("gone: {}", gone.is_disconnected()));
        witness.wait("gate");
        witness.note(format_args!("gone: {}", gone.is_disconnected()));
        Ok(text(start_response, "hello"))
    })
    .boxed()
}

fn half_closed_and_asked_by_blocking() -> Case {
    Case::new(job)
        .send(GET)
        .noted("gone: false")
        .half_close()
        .open("gate")
        .answers_and_closes(ok("hello"))
        .notes(["gone: false", "gone: true", "call dropped"])
}

fn while_a_future_runs() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
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
    }
    Case::new(app)
        .send(GET)
        .noted("called")
        .reset()
        .open("gate")
        .notes(["called", "ran to its end"])
}

fn while_a_job_runs() -> Case {
    Case::new(job).send(GET).noted("gone: false").reset().open("gate").notes([
        "gone: false",
        "gone: true",
        "call dropped",
    ])
}

/// A future that waits for ever unless it is dropped.
fn endless(witness: &Witness, start_response: StartResponse) -> Reply {
    let token = witness.token("future");
    let witness = witness.clone();
    Reply::future(async move {
        let _token = token;
        witness.note("called");
        witness.opened("a gate that nobody opens").await;
        Ok(text(start_response, "never sent"))
    })
}

fn cancelled_future() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |environ: Environ, start_response: StartResponse| {
            witness.watch_end(&start_response);
            endless(&witness, start_response).cancel_on(environ.disconnected())
        })
        .boxed()
    }
    Case::new(app).send(GET).noted("called").half_close().answers_and_closes("").notes([
        "called",
        "future dropped",
        "end: no head, 0 bytes, the peer went away before the exchange was over",
    ])
}

/// The job has not begun when the client goes, and never begins.
fn cancelled_job() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |environ: Environ, start_response: StartResponse| -> Reply {
            let witness = witness.clone();
            witness.note("called");
            Reply::Pending(Box::pin(async move {
                witness.opened("gate").await;
                let job = Reply::blocking(move || {
                    witness.note("begun");
                    Ok(text(start_response, "never sent"))
                });
                job.cancel_on(environ.disconnected())
            }))
        })
        .boxed()
    }
    Case::new(app)
        .send(GET)
        .noted("called")
        .half_close()
        .open("gate")
        .answers_and_closes("")
        .notes(["called"])
}

fn cancelled_only_if_asked() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |environ: Environ, start_response: StartResponse| {
            let witness = witness.clone();
            async move {
                witness.note("called");
                environ.disconnected().await;
                witness.opened("gate").await;
                witness.note("ran to its end");
                Ok::<_, Error>(text(start_response, "hello"))
            }
        })
        .boxed()
    }
    Case::new(app)
        .send(GET)
        .noted("called")
        .half_close()
        .open("gate")
        .answers_and_closes(ok("hello"))
        .notes(["called", "ran to its end"])
}

/// An application whose body has no end, or none that anybody waits for.
fn sending(witness: Witness, body: fn(&Witness) -> Body) -> Box<dyn Application> {
    inline(move |_, start_response| {
        witness.watch_abort(&start_response);
        Ok(text(start_response, body(&witness)))
    })
    .boxed()
}

const ABORTED: &str = "abort: the peer went away before the exchange was over";

/// Leaves when the body has begun to come.
fn left_while_sending(case: Case) -> Case {
    case.send(GET).until_contains("\n\n").reset()
}

fn endless_data(witness: &Witness) -> impl Iterator<Item = std::io::Result<Bytes>> + use<> {
    let token = witness.token("body");
    std::iter::repeat_with(move || {
        let _ = &token;
        Ok(Bytes::from_static(&[b'e'; 1000]))
    })
}

fn while_an_iterator_is_sent() -> Case {
    left_while_sending(Case::new(|witness| {
        sending(witness, |witness| Body::iter(endless_data(witness)))
    }))
    .notes(["body dropped", ABORTED])
}

fn while_a_stream_is_sent() -> Case {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use gateway_core::http_body::{self, Frame};

    struct Endless<I>(I);

    impl<I: Iterator<Item = std::io::Result<Bytes>> + Unpin> http_body::Body for Endless<I> {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
            Poll::Ready(self.0.next().map(|data| data.map(Frame::data)))
        }
    }

    left_while_sending(Case::new(|witness| {
        sending(witness, |witness| Body::stream(Endless(endless_data(witness))))
    }))
    .notes(["body dropped", ABORTED])
}

fn while_a_file_is_sent() -> Case {
    fn large_file() -> File {
        let name =
            format!("gateway-large-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let options = File::options().read(true).write(true).create_new(true).open(&path);
        let mut file = options.expect("there can be a file");
        std::fs::remove_file(&path).expect("it can lose its name");
        file.write_all(b"begin").expect("it takes some bytes");
        // It has holes and takes no room.
        file.set_len(1 << 30).expect("it can be long");
        std::io::Seek::rewind(&mut file).expect("it has a begin");
        file
    }
    left_while_sending(Case::new(|witness| {
        sending(witness, |_| Body::file(large_file()).expect("it has a length"))
    }))
    .notes([ABORTED])
}

fn while_bytes_are_sent() -> Case {
    left_while_sending(Case::new(|witness| sending(witness, |_| vec![b'b'; 64 << 20].into())))
        .notes([ABORTED])
}

fn while_writing() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        (move |_: Environ, start_response: StartResponse| -> Result<Response> {
            witness.watch_abort(&start_response);
            let mut response = text(start_response, Body::Empty);
            loop {
                let written = response.write(Bytes::from_static(&[b'w'; 1000]));
                written.inspect_err(|error| witness.note(error))?;
            }
        })
        .boxed()
    }
    left_while_sending(Case::new(app)).notes([GONE, ABORTED])
}

fn after_the_answer() -> Case {
    Case::new(never).send(GET).until(ok("hello")).reset().notes(["called"])
}
