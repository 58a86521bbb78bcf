//! The application on both servers, under the lint, byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gateway_conformance::Lint;
use gateway_core::{Address, Application, ErrorStream, Server};
use gateway_std::StdServer;
use gateway_tokio::TokioServer;

use crate::app::{LIMIT, checksum, shelf};

/// What must happen happens within this time, or the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// What the large file has, in bytes: more than any buffer, and less than the limit.
const LARGE: usize = 8 << 20;

#[test]
fn both_servers_send_the_same_bytes() {
    let std =
        answers(|errors| StdServer::bind("127.0.0.1:0").expect("it binds").error_stream(errors));
    let tokio =
        answers(|errors| TokioServer::bind("127.0.0.1:0").expect("it binds").error_stream(errors));
    assert_eq!(std, tokio);
}

/// Runs the application on a server, asks it everything, and stops it.
fn answers<S: Server + Send + 'static>(bind: impl FnOnce(ErrorStream) -> S) -> Vec<String> {
    let (errors, log) = ErrorStream::memory();
    let server = bind(errors);
    let address = server.local_addrs().iter().find_map(Address::inet).expect("an IP address");
    let handle = server.handle();
    let app: Arc<dyn Application> = Arc::new(Lint::new(shelf()));
    let serving = thread::spawn(move || server.serve(app));
    let answers = ask(address);
    handle.shutdown(PATIENCE);
    let stopped = serving.join().expect("it does not panic").expect("it serves");
    assert_eq!((stopped.cut, stopped.left_running), (0, 0));
    // All that went wrong was the peer's fault.
    assert_eq!(log.take(), Vec::<String>::new());
    answers
}

fn ask(address: SocketAddr) -> Vec<String> {
    let mut answers = Vec::new();
    let mut check = |request: &str, body: &[u8], parts: &[&str]| {
        let answer = exchange(address, request, body);
        for part in parts {
            assert!(answer.contains(part), "{part:?} is missing for {request}: {answer:.500}");
        }
        answers.push(answer);
    };
    check("GET /search?q=a+b&tag=c HTTP/1.1\r\n", b"", &["\n\na b [\"c\"] None"]);
    check("GET /search HTTP/1.1\r\n", b"", &["HTTP/1.1 400 "]);
    let accept = "Accept: application/json\r\nAccept-Language: de\r\nAccept-Encoding: br\r\n";
    let expected = ["\ncontent-language: de\n", "\nx-coding: br\n", "\n\n\"Guten Tag\""];
    check(&format!("GET /hello HTTP/1.1\r\n{accept}"), b"", &expected);
    check("GET /hello HTTP/1.1\r\nAccept: image/png\r\n", b"", &["HTTP/1.1 406 "]);
    let expected = ["\nset-cookie: last%20page=me; SameSite=Lax; Path=/\n", "\n\nSome(\"you\")"];
    check("GET /visits?me HTTP/1.1\r\nCookie: last%20page=you\r\n", b"", &expected);
    for kind in ["blocking", "awaiting"] {
        let add = format!("POST /{kind}/add HTTP/1.1\r\n");
        let form = format!("{add}{FORM}");
        check(&form, b"title=a&author=b", &["\n\n\"a\" by b in None"]);
        check(&form, b"title=a", &["HTTP/1.1 400 "]);
        check(&form, &[b'x'; 101], &["HTTP/1.1 413 "]);
        check(&add, b"title=a&author=b", &["HTTP/1.1 415 ", "\naccept: application/x-www"]);

        let multipart = "Content-Type: multipart/form-data; boundary=b\r\n";
        let upload = format!("POST /{kind}/upload HTTP/1.1\r\n{multipart}");
        let file: Vec<u8> = (0..LARGE).map(|at| (at * at / 1000) as u8).collect();
        let expected =
            format!("\n\n\"file\" Some(\"f\") None {LARGE} bytes, {}", checksum(0, &file));
        check(&upload, &form_with(&file), &[&expected, "\n\"title\" None None \"end\"\n"]);
        check(&upload, &form_with(&file)[..LARGE], &["HTTP/1.1 400 "]);
        check(&upload, &vec![b'x'; 100_000], &["HTTP/1.1 413 "]);
        let length = format!("{upload}Content-Length: {}\r\n", LIMIT + 1);
        check(&length, b"", &["HTTP/1.1 413 "]);
    }
    answers
}

fn form_with(file: &[u8]) -> Vec<u8> {
    let head = "--b\r\nContent-Disposition: form-data; name=file; filename=f\r\n\r\n";
    let end = "\r\n--b\r\nContent-Disposition: form-data; name=title\r\n\r\nend\r\n--b--\r\n";
    [head.as_bytes(), file, end.as_bytes()].concat()
}

/// What comes back for a request, whose body has its length said unless the head does.
fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).expect("it listens");
    connection.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
    connection.set_write_timeout(Some(PATIENCE)).expect("a socket takes it");
    let length = match head.contains("Content-Length") {
        true => String::new(),
        false => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!("{head}Host: test\r\nConnection: close\r\n{length}\r\n");
    connection.write_all(head.as_bytes()).expect("the server reads");
    connection.write_all(body).expect("the server reads");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("the server answers");
    without_facts(&answer)
}

/// The answer as text, with LF for CRLF, and a star for what no two answers have in common.
fn without_facts(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").expect("it has a head");
    let lines = head.lines().map(|line| match line.split_once(": ") {
        Some((name @ ("Date" | "Server"), _)) => format!("{name}: *\n"),
        _ => format!("{line}\n"),
    });
    let head: String = lines.collect();
    format!("{head}\n{body}")
}
