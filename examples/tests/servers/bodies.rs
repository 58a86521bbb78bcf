//! Kinds of bodies, declared lengths, trailers, bodiless statuses.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use gateway_core::bytes::Bytes;
use gateway_core::http::header::{CONTENT_LENGTH, ETAG};
use gateway_core::http::{HeaderMap, HeaderValue, StatusCode};
use gateway_core::http_body::{self, Frame};
use gateway_core::{
    Application, Body, Environ, FileBody, IntoApplication, Response, Result, StartResponse, inline,
};

use crate::case::{CHUNKED, Case, cases, closing, ok, page, text};
use crate::witness::{Token, Witness};

cases![
    nothing,
    bytes,
    a_mebibyte,
    iterator,
    iterator_of_a_mebibyte,
    stream,
    stream_that_waits,
    stream_of_known_length,
    file,
    file_part,
    file_that_shrank,
    trailers,
    trailers_on_http_1_0,
    trailers_echoed,
    too_short,
    too_long,
    too_long_in_one_piece,
    no_length_but_the_right_one,
    error_before_data,
    error_after_data,
    error_after_data_on_http_1_0,
    error_in_a_stream,
    no_content,
    not_modified,
];

const GET: &str = "GET / HTTP/1.1\nHost: test\n\n";

/// The same on HTTP/1.0, whose end is that of the connection.
fn until_close(data: &str) -> String {
    closing(CHUNKED).replace("Transfer-Encoding: chunked\n", "") + data
}

/// An application that answers with the body that `make` makes.
macro_rules! answering {
    ($make:expr) => {{
        fn app(witness: Witness) -> Box<dyn Application> {
            inline(move |_, start_response| {
                let make: fn(&Witness) -> Body = $make;
                Ok(text(start_response, make(&witness)))
            })
            .boxed()
        }
        Case::new(app)
    }};
}

fn nothing() -> Case {
    answering!(|_| Body::Empty).send(GET).answers(ok(""))
}

fn bytes() -> Case {
    answering!(|_| "hello".into()).send(GET).answers(ok("hello"))
}

fn a_mebibyte() -> Case {
    answering!(|_| vec![b'm'; 1 << 20].into()).send(GET).answers(ok(&"m".repeat(1 << 20)))
}

/// Data from `items`, with a token that is dropped with them.
fn iter<I>(token: Token, items: I) -> Body
where
    I: IntoIterator<Item = io::Result<Bytes>>,
    I::IntoIter: Send + 'static,
{
    let mut items = items.into_iter();
    Body::iter(std::iter::from_fn(move || {
        let _ = &token;
        items.next()
    }))
}

fn iterator() -> Case {
    answering!(|witness| {
        let data = ["one", "", "three"].map(|data| Ok(data.into()));
        iter(witness.token("body"), data)
    })
    .send(GET)
    .answers(format!("{CHUNKED}3\none\n5\nthree\n0\n\n"))
    .notes(["body dropped"])
}

fn iterator_of_a_mebibyte() -> Case {
    let chunk = format!("400\n{}\n", "i".repeat(1024));
    answering!(|witness| {
        let datum = Bytes::from(vec![b'i'; 1024]);
        iter(witness.token("body"), std::iter::repeat_n(datum, 1024).map(Ok))
    })
    .send(GET)
    .answers(format!("{CHUNKED}{}0\n\n", chunk.repeat(1024)))
    .notes(["body dropped"])
}

/// Frames in order; before each comes a wake-up that it has to wait for.
struct Frames {
    frames: std::vec::IntoIter<io::Result<Frame<Bytes>>>,
    waits: bool,
    _token: Token,
}

impl Frames {
    fn of(witness: &Witness, frames: Vec<io::Result<Frame<Bytes>>>) -> Frames {
        Frames { frames: frames.into_iter(), waits: false, _token: witness.token("body") }
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.waits = !self.waits;
        if self.waits {
            let waker = cx.waker().clone();
            std::thread::spawn(move || waker.wake());
            return Poll::Pending;
        }
        Poll::Ready(self.frames.next())
    }
}

fn data(data: &'static str) -> io::Result<Frame<Bytes>> {
    Ok(Frame::data(Bytes::from_static(data.as_bytes())))
}

fn stream() -> Case {
    struct Once(Option<&'static str>);
    impl http_body::Body for Once {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            Poll::Ready(self.0.take().map(data))
        }
    }
    answering!(|_| Body::stream(Once(Some("hello"))))
        .send(GET)
        .answers(format!("{CHUNKED}5\nhello\n0\n\n"))
}

fn stream_that_waits() -> Case {
    answering!(|witness| Body::stream(Frames::of(witness, vec![data("one"), data("two")])))
        .send(GET)
        .answers(format!("{CHUNKED}3\none\n3\ntwo\n0\n\n"))
        .notes(["body dropped"])
}

/// The request's own body: its length is known, and so the response's.
fn stream_of_known_length() -> Case {
    async fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(text(start_response, Body::stream(environ.take_input())))
    }
    Case::new(|_| app.boxed())
        .send("POST / HTTP/1.1\nHost: test\nContent-Length: 5\n\nhello")
        .answers(ok("hello"))
}

/// An unnamed file with ten digits, at the third of them.
fn digits() -> File {
    let path = std::env::temp_dir().join(format!(
        "gateway-digits-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let options = File::options().read(true).write(true).create_new(true).open(&path);
    let mut file = options.expect("there can be a file");
    std::fs::remove_file(&path).expect("it can lose its name");
    file.write_all(b"0123456789").expect("it takes ten digits");
    file.seek(SeekFrom::Start(3)).expect("it has a fourth digit");
    file
}

fn file() -> Case {
    answering!(|_| Body::file(digits()).expect("it has a length"))
        .send(GET.repeat(2))
        .answers(ok("3456789").repeat(2))
}

fn file_part() -> Case {
    answering!(|_| Body::File(FileBody::new(digits(), 1, 2))).send(GET).answers(ok("12"))
}

fn file_that_shrank() -> Case {
    answering!(|_| Body::File(FileBody::new(digits(), 8, 5)))
        .send(GET)
        .answers_and_closes(ok("89xyz").replace("xyz", ""))
        .logs(["GET /: input or output failed: the file became shorter while it was sent"])
}

fn with_trailers(witness: &Witness) -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("5"));
    let frames = vec![data("hello"), Ok(Frame::trailers(trailers))];
    Body::stream(Frames::of(witness, frames))
}

fn trailers() -> Case {
    answering!(with_trailers)
        .send(GET)
        .answers(format!("{CHUNKED}5\nhello\n0\nx-sum: 5\n\n"))
        .notes(["body dropped"])
}

fn trailers_on_http_1_0() -> Case {
    answering!(with_trailers)
        .send("GET / HTTP/1.0\n\n")
        .answers_and_closes(until_close("hello"))
        .notes(["body dropped"])
}

fn trailers_echoed() -> Case {
    async fn app(mut environ: Environ, start_response: StartResponse) -> Result<Response> {
        Ok(text(start_response, Body::stream(environ.take_input())))
    }
    Case::new(|_| app.boxed())
        .send("POST / HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n")
        .send("5\nhello\n0\nX-Sum: 5\n\n")
        .answers(format!("{CHUNKED}5\nhello\n0\nx-sum: 5\n\n"))
}

/// An application that declares `length` and yields `data`.
fn declaring(
    witness: Witness,
    length: &'static str,
    data: &'static [&str],
) -> Box<dyn Application> {
    inline(move |_, start_response| {
        witness.watch_end(&start_response);
        let body = iter(witness.token("body"), data.iter().map(|&data| Ok(data.into())));
        let head = [(CONTENT_LENGTH, length)];
        Ok(start_response.start(StatusCode::OK, head).with_body(body))
    })
    .boxed()
}

fn declared(length: u64, data: &str) -> String {
    format!("HTTP/1.1 200 OK\nDate: *\nServer: *\nContent-Length: {length}\n\n{data}")
}

fn too_short() -> Case {
    Case::new(|witness| declaring(witness, "10", &["12345"]))
        .send(GET)
        .answers_and_closes(declared(10, "12345"))
        .notes([
            "body dropped",
            "end: 200, 5 bytes, the body ended after 5 of the declared 10 bytes",
        ])
        .logs(["GET /: the body ended after 5 of the declared 10 bytes"])
}

fn too_long() -> Case {
    Case::new(|witness| declaring(witness, "5", &["12345", "extra", "more"]))
        .send(GET)
        .answers(declared(5, "12345"))
        .notes([
            "body dropped",
            "end: 200, 5 bytes, the body is longer than the declared Content-Length of 5",
        ])
        .logs(["GET /: the body is longer than the declared Content-Length of 5"])
}

fn too_long_in_one_piece() -> Case {
    Case::new(|witness| declaring(witness, "5", &["12345extra"]))
        .send(GET)
        .answers(declared(5, "12345"))
        .notes([
            "body dropped",
            "end: 200, 5 bytes, the body is longer than the declared Content-Length of 5",
        ])
        .logs(["GET /: the body is longer than the declared Content-Length of 5"])
}

fn no_length_but_the_right_one() -> Case {
    Case::new(|witness| declaring(witness, "5", &["12", "345"]))
        .send(GET)
        .answers(declared(5, "12345"))
        .notes(["body dropped", "end: 200, 5 bytes, clean"])
}

fn failing(witness: &Witness, data: &'static [&str]) -> Body {
    let data = data.iter().map(|&data| Ok(data.into()));
    iter(witness.token("body"), data.chain([Err(io::Error::other("the disk is on fire"))]))
}

const FIRE: &str = "GET /: input or output failed: the disk is on fire";

/// The head is held until the first data, so the error can still have a status.
fn error_before_data() -> Case {
    answering!(|witness| failing(witness, &[""]))
        .send(GET)
        .answers(page(StatusCode::INTERNAL_SERVER_ERROR))
        .notes(["body dropped"])
        .logs([FIRE])
}

fn error_after_data() -> Case {
    answering!(|witness| failing(witness, &["some"]))
        .send(GET)
        .answers_and_closes(format!("{CHUNKED}4\nsome\n"))
        .notes(["body dropped"])
        .logs([FIRE])
}

/// Nothing but a reset can tell that something is missing.
fn error_after_data_on_http_1_0() -> Case {
    answering!(|witness| failing(witness, &["some"]))
        .send("GET / HTTP/1.0\n\n")
        .answers_and_resets(until_close("some"))
        .notes(["body dropped"])
        .logs([FIRE])
}

fn error_in_a_stream() -> Case {
    answering!(|witness| {
        let frames = vec![data("some"), Err(io::Error::other("the disk is on fire"))];
        Body::stream(Frames::of(witness, frames))
    })
    .send(GET)
    .answers_and_closes(format!("{CHUNKED}4\nsome\n"))
    .notes(["body dropped"])
    .logs([FIRE])
}

/// An application that sends an ETag and an unwanted body with `status`.
fn tagged(witness: Witness, status: StatusCode) -> Box<dyn Application> {
    inline(move |_, start_response| {
        let body = iter(witness.token("body"), [Ok("unwanted".into())]);
        Ok(start_response.start(status, [(ETAG, "\"1\"")]).with_body(body))
    })
    .boxed()
}

fn no_content() -> Case {
    Case::new(|witness| tagged(witness, StatusCode::NO_CONTENT))
        .send(GET)
        .answers("HTTP/1.1 204 No Content\nDate: *\nServer: *\netag: \"1\"\n\n")
        .notes(["body dropped"])
}

fn not_modified() -> Case {
    Case::new(|witness| tagged(witness, StatusCode::NOT_MODIFIED))
        .send(GET)
        .answers("HTTP/1.1 304 Not Modified\nDate: *\nServer: *\netag: \"1\"\n\n")
        .notes(["body dropped"])
}
