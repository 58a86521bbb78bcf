//! Uploads over sockets, on both servers.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway_core::{Address, Application, ErrorStream, Handle, Server, ServerError, Stopped};
use gateway_static::StaticFiles;
use gateway_std::StdServer;
use gateway_tokio::TokioServer;

use crate::tree::Tree;

/// What must happen happens within this time, or the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs, until it is asked to end.
struct Running {
    address: SocketAddr,
    handle: Handle,
    serving: JoinHandle<Result<Stopped, ServerError>>,
}

impl Running {
    fn start<S: Server + Send + 'static>(server: S, app: StaticFiles) -> Running {
        let address = server.local_addrs().iter().find_map(Address::inet).expect("an IP address");
        let handle = server.handle();
        let app: Arc<dyn Application> = Arc::new(app);
        Running { address, handle, serving: thread::spawn(move || server.serve(app)) }
    }

    fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(self.address).expect("it listens");
        connection.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
        connection.set_write_timeout(Some(PATIENCE)).expect("a socket takes it");
        connection
    }

    /// The whole answer to `request`, after which the connection closes.
    fn ask(&self, request: &[u8]) -> String {
        let mut connection = self.connect();
        connection.write_all(request).expect("the server reads");
        rest(connection)
    }

    /// Waits until all exchanges are over.
    fn end(self) {
        self.handle.shutdown(PATIENCE);
        let stopped = self.serving.join().expect("it does not panic").expect("it serves");
        assert_eq!((stopped.cut, stopped.left_running), (0, 0));
    }
}

/// Runs `check` for each server, with an empty root and what it complains to.
fn on_both(limit: u64, check: impl Fn(Running, &Tree)) {
    let app = |tree: &Tree| {
        let builder = tree.builder().listing(true).upload(true).upload_limit(limit);
        builder.build().expect("it can be served")
    };
    let (errors, log) = ErrorStream::memory();
    let tree = Tree::new(&[]);
    let server = StdServer::bind("127.0.0.1:0").expect("it binds").error_stream(errors.clone());
    check(Running::start(server, app(&tree)), &tree);
    let tree = Tree::new(&[]);
    let server = TokioServer::bind("127.0.0.1:0").expect("it binds").error_stream(errors);
    check(Running::start(server, app(&tree)), &tree);
    // All that went wrong was the peer's fault.
    assert_eq!(log.take(), Vec::<String>::new());
}

fn rest(mut connection: TcpStream) -> String {
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("the server answers");
    String::from_utf8(answer).expect("it is text")
}

/// Reads to the end of the next head.
fn head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).expect("the server answers");
        head.extend(byte);
    }
    String::from_utf8(head).expect("it is text")
}

fn names(tree: &Tree) -> Vec<String> {
    let entries = fs::read_dir(tree.root()).expect("it can be read");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().expect("text")).collect();
    names.sort();
    names
}

fn put(name: &str, fields: &str) -> String {
    format!("PUT /{name} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{fields}\r\n")
}

#[test]
fn what_is_sent_is_stored() {
    let large: Vec<u8> = (0..8 << 20_usize).map(|at: usize| (at * at / 1000) as u8).collect();
    on_both(1 << 30, |server, tree| {
        let request = put("large", &format!("Content-Length: {}\r\n", large.len()));
        let answer = server.ask(&[request.as_bytes(), &large].concat());
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.contains("\r\nlocation: /large\r\n"), "{answer}");
        assert!(fs::read(tree.at("large")).expect("it is there") == large);

        let chunked = put("chunked", "Transfer-Encoding: chunked\r\n") + "4\r\nsome\r\n0\r\n\r\n";
        assert!(server.ask(chunked.as_bytes()).starts_with("HTTP/1.1 201 "));
        assert_eq!(fs::read(tree.at("chunked")).expect("it is there"), b"some");

        let part = "--b\r\nContent-Disposition: form-data; name=f; filename=";
        let body = [
            format!("{part}one\r\n\r\n1\r\n{part}\"two\"\r\n\r\n").as_bytes(),
            &large,
            b"\r\n--b--\r\n",
        ]
        .concat();
        let head = "POST / HTTP/1.1\r\nHost: test\r\nOrigin: http://test\r\nConnection: close\r\n\
                    Content-Type: multipart/form-data; boundary=b\r\nContent-Length: ";
        let request = format!("{head}{}\r\n\r\n", body.len());
        let answer = server.ask(&[request.as_bytes(), &body].concat());
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        assert!(fs::read(tree.at("two")).expect("it is there") == large);
        assert_eq!(names(tree), ["chunked", "large", "one", "two"]);
        server.end();
    });
}

#[test]
fn an_upload_that_is_cut_is_never_seen_and_leaves_nothing() {
    let multipart = "Content-Type: multipart/form-data; boundary=b\r\n";
    let part = "--b\r\nContent-Disposition: form-data; name=f; filename=cut\r\n\r\nhalf";
    let post = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n{multipart}");
    let put = "PUT /cut HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n";
    let chunked = "PUT /cut HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n";
    for (request, begin) in [(put, "half"), (chunked, "4\r\nhalf\r\n"), (post.as_str(), part)] {
        on_both(1 << 30, |server, tree| {
            let mut connection = server.connect();
            let request = format!("{request}Expect: 100-continue\r\n\r\n");
            connection.write_all(request.as_bytes()).expect("the server reads");
            // It reads now.
            assert_eq!(head(&mut connection), "HTTP/1.1 100 Continue\r\n\r\n");
            connection.write_all(begin.as_bytes()).expect("the server reads");
            let listing = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
            assert!(server.ask(listing).contains("This directory is empty."));
            drop(connection);
            server.end();
            assert_eq!(names(tree), Vec::<String>::new());
        });
    }
}

#[test]
fn who_asks_first_need_not_send_what_is_refused() {
    on_both(1000, |server, tree| {
        tree.write("there", b"old");
        for (request, status) in [
            (put("large", "Expect: 100-continue\r\nContent-Length: 1001\r\n"), 413),
            (put("there", "Expect: 100-continue\r\nContent-Length: 3\r\n"), 409),
            (put(".hidden", "Expect: 100-continue\r\nContent-Length: 3\r\n"), 400),
            (put("x", "Expect: 100-continue\r\nContent-Length: 3\r\nOrigin: null\r\n"), 403),
        ] {
            let answer = server.ask(request.as_bytes());
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        assert_eq!(names(tree), ["there"]);
        server.end();
    });
}

#[test]
fn of_two_at_a_time_one_is_first() {
    on_both(1 << 30, |server, tree| {
        let mut both = [server.connect(), server.connect()];
        for (connection, text) in both.iter_mut().zip(["one", "two"]) {
            let fields = "Expect: 100-continue\r\nContent-Length: 3\r\n";
            connection.write_all(put("x", fields).as_bytes()).expect("the server reads");
            // Nothing of this name is there yet, for either.
            assert_eq!(head(connection), "HTTP/1.1 100 Continue\r\n\r\n");
            connection.write_all(&text.as_bytes()[..1]).expect("the server reads");
        }
        let [mut first, mut second] = both;
        second.write_all(b"wo").expect("the server reads");
        assert!(rest(second).starts_with("HTTP/1.1 201 "));
        first.write_all(b"ne").expect("the server reads");
        let answer = rest(first);
        assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
        assert!(answer.contains("`x` is there already"), "{answer}");
        assert_eq!(fs::read(tree.at("x")).expect("it is there"), b"two");
        assert_eq!(names(tree), ["x"]);
        server.end();
    });
}
