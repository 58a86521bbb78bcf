//! The `own-server` example, over a pair of pipes. `own_server_suite` holds it to all that it claims.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

use crate::case::wire;
use crate::outcome::without_facts;

/// What the binary answers to `requests`. It must end by itself, and well.
fn answers(requests: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_own-server"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let stdin = child.stdin.as_mut().expect("it is piped");
    stdin.write_all(&wire(requests)).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    String::from_utf8_lossy(&without_facts(&output.stdout)).into_owned()
}

fn text(text: &str) -> String {
    String::from_utf8(wire(text)).expect("it is text")
}

const HELLO: &str =
    "HTTP/1.1 200 OK\nContent-Length: 14\ncontent-type: text/plain\n\nHello, World!␊";

#[test]
fn requests_and_what_is_none() {
    let requests = "GET /hello HTTP/1.1\nHost: test\n\n\
                    POST /counter HTTP/1.1\nHost: test\nContent-Length: 5\n\nhello\
                    GET / HTTP/1.1\nno field\n\n";
    let expected = "HTTP/1.1 200 OK\nContent-Length: 26\ncontent-type: text/plain\n\n\
                    You are request number 1.␊\
                    HTTP/1.1 400 Bad Request\nContent-Length: 0\nConnection: close\n\n";
    assert_eq!(answers(requests), text(&(HELLO.to_owned() + expected)));
}

/// The answer is out, so there is no second one to a body that turns out to be none.
#[test]
fn an_unread_body_that_is_malformed() {
    let request = "POST /hello HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\nno size\n";
    assert_eq!(answers(request), text(HELLO));
}

/// Fails when its text has been read.
struct Failing(io::Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::other("the pipe is broken")),
            length => Ok(length),
        }
    }
}

#[test]
fn an_input_that_fails_within_an_unread_body() {
    let request = "POST /hello HTTP/1.1\nHost: test\nContent-Length: 5\n\nhel";
    let input = Failing(io::Cursor::new(wire(request)));
    let served = examples::own_server::serve(&examples::mount::app(), input, io::sink());
    assert_eq!(served.expect_err("nothing more can be read").to_string(), "the pipe is broken");
}
