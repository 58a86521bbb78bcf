//! Clients and applications that are slow, or that never read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway_core::bytes::Bytes;
use gateway_core::{
    Application, Body, Environ, Error, IntoApplication, Response, Result, StartResponse, inline,
};
use socket2::SockRef;

use crate::case::{CHUNKED, Case, cases, closing, ok, text};
use crate::site::{On, Site};
use crate::witness::{PATIENCE, Witness};

cases![late_reader, unread_upload, unread_upload_that_closes];

const MIB: usize = 1 << 20;

/// The client looks only when everything has been offered that can be.
fn late_reader() -> Case {
    fn app(witness: Witness) -> Box<dyn Application> {
        inline(move |_, start_response| {
            let (witness, token) = (witness.clone(), witness.token("body"));
            let datum = Bytes::from(vec![b'l'; MIB]);
            let data = (0..32).map(move |number| {
                let _ = &token;
                if number == 1 {
                    witness.note("the second datum");
                }
                Ok(datum.clone())
            });
            Ok(text(start_response, Body::iter(data)))
        })
        .boxed()
    }
    let chunk = format!("100000\n{}\n", "l".repeat(MIB));
    Case::new(app)
        .send("GET / HTTP/1.1\nHost: test\nConnection: close\n\n")
        .noted("the second datum")
        .answers_and_closes(closing(CHUNKED) + &chunk.repeat(32) + "0\n\n")
        .notes(["the second datum", "body dropped"])
}

/// 100 MiB that nobody reads: the answer comes, and the server does not read them either.
fn unread_upload() -> Case {
    Case::new(|_| inline(|_, start_response| Ok(text(start_response, "no, thanks"))).boxed())
        .send("POST / HTTP/1.1\nHost: test\nContent-Length: 104857600\n\n")
        .flood(100 << 20)
        .answers_and_closes(closing(ok("no, thanks")))
}

fn unread_upload_that_closes() -> Case {
    async fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        let first = environ.input().data_async().await.transpose()?;
        assert!(first.is_some(), "the upload begins");
        Ok(text(start_response, "enough"))
    }
    Case::new(|_| {
        (|mut environ: Environ, start_response: StartResponse| {
            let limited = environ.input().limit(u64::MAX);
            async move {
                limited?;
                app(environ, start_response).await
            }
        })
        .boxed()
    })
    .send("POST / HTTP/1.1\nHost: test\nContent-Length: 104857600\n\n")
    .flood(100 << 20)
    .answers_and_closes(closing(ok("enough")))
}

/// More than all buffers between the two hold, by far less than what is to be sent.
const LEEWAY: usize = 48 * MIB;
const LONG: usize = 256 * MIB;

/// A reader that takes one MiB after the other is never far behind what was produced.
fn a_slow_reader_holds_back_the_producer(on: On) {
    let produced = Arc::new(AtomicUsize::new(0));
    let producing = Arc::clone(&produced);
    let site = Site::start(
        on,
        inline(move |_, start_response| {
            let (producing, datum) = (Arc::clone(&producing), Bytes::from(vec![b'p'; MIB]));
            let data = (0..LONG / MIB).map(move |_| {
                producing.fetch_add(MIB, Ordering::SeqCst);
                Ok(datum.clone())
            });
            Ok(text(start_response, Body::iter(data)))
        })
        .boxed(),
    );
    let mut stream = connect(&site, "GET / HTTP/1.0\r\n\r\n");
    let (mut read, mut some) = (0, vec![0; MIB]);
    loop {
        let length = stream.read(&mut some).expect("there is more, or an end");
        read += length;
        let ahead = produced.load(Ordering::SeqCst).saturating_sub(read);
        assert!(ahead < LEEWAY, "{ahead} bytes ahead of the reader");
        if length == 0 {
            break;
        }
    }
    assert!(read > LONG, "{read} bytes came");
    site.stop();
}

/// An application that takes one datum after the other is never far behind its client.
fn a_slow_application_holds_back_its_client(on: On) {
    let sent = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&sent);
    let site = Site::start(
        on,
        (move |mut environ: Environ, start_response: StartResponse| {
            let seen = Arc::clone(&seen);
            async move {
                let input = environ.input();
                input.limit(u64::MAX)?;
                let (mut read, mut behind) = (0, 0);
                while let Some(data) = input.data_async().await {
                    read += data?.len();
                    behind = behind.max(seen.load(Ordering::SeqCst).saturating_sub(read));
                }
                let answer = if behind < LEEWAY { "kept up" } else { "left behind" };
                Ok::<_, Error>(text(start_response, answer))
            }
        })
        .boxed(),
    );
    let head = format!("POST / HTTP/1.0\r\nContent-Length: {LONG}\r\n\r\n");
    let mut stream = connect(&site, &head);
    let some = vec![b's'; MIB];
    for _ in 0..LONG / MIB {
        stream.write_all(&some).expect("the server reads");
        sent.fetch_add(MIB, Ordering::SeqCst);
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("there is an answer");
    assert!(answer.ends_with("kept up"), "{answer}");
    site.stop();
}

/// While one application blocks, others are answered.
fn a_blocking_application_stalls_nobody(on: On) {
    let witness = Witness::default();
    let blocking = witness.clone();
    let site = Site::start(
        on,
        (move |environ: Environ, start_response: StartResponse| -> Result<Response> {
            if environ.raw_path_info() == "/blocking" {
                blocking.note("blocks");
                blocking.wait("gate");
            }
            Ok(text(start_response, "hello"))
        })
        .boxed(),
    );
    let mut blocked: Vec<TcpStream> =
        (0..4).map(|_| connect(&site, "GET /blocking HTTP/1.0\r\n\r\n")).collect();
    witness.wait_for_notes(4);
    for _ in 0..4 {
        answered(connect(&site, "GET / HTTP/1.0\r\n\r\n"));
    }
    witness.open("gate");
    blocked.drain(..).for_each(answered);
    site.stop();
}

fn answered(mut stream: TcpStream) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("there is an answer");
    assert!(answer.ends_with("hello"), "{answer}");
}

fn connect(site: &Site, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(site.address).expect("the server listens");
    SockRef::from(&stream).set_recv_buffer_size(1 << 16).expect("it can be small");
    stream.set_read_timeout(Some(PATIENCE)).expect("there can be a time-out");
    stream.write_all(request.as_bytes()).expect("the server reads");
    stream
}

macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use crate::site::On;

            #[test]
            fn on_std() {
                super::$test(On::Std);
            }

            #[test]
            fn on_tokio() {
                super::$test(On::Tokio);
            }
        }
    )+};
}

on_both![
    a_slow_reader_holds_back_the_producer,
    a_slow_application_holds_back_its_client,
    a_blocking_application_stalls_nobody,
];
