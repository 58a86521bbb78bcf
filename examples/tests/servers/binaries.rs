//! The examples' binaries: each on both servers, from its command line to a signal.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
#[cfg(target_os = "linux")]
use std::{
    thread,
    time::{Duration, Instant},
};

use crate::running::{Running, on_both, send};

#[test]
fn hello() {
    on_both(env!("CARGO_BIN_EXE_hello"), |hello| assert_eq!(hello.ask("/"), "Hello, World!\n"));
}

#[test]
fn axum_app() {
    on_both(env!("CARGO_BIN_EXE_axum-app"), |axum| {
        assert_eq!(axum.ask("/"), "Hello, 127.0.0.1\n");
        assert_eq!(axum.ask("/count/Ada"), "Ada is visitor number 1\n");
        assert_eq!(axum.ask("/count/Bob"), "Bob is visitor number 2\n");
    });
}

#[test]
fn counter() {
    on_both(env!("CARGO_BIN_EXE_counter"), |counter| {
        assert_eq!(counter.ask("/"), "You are request number 1.\n");
        assert_eq!(counter.ask("/"), "You are request number 2.\n");
    });
}

#[test]
fn mount() {
    on_both(env!("CARGO_BIN_EXE_mount"), |mount| {
        assert_eq!(mount.ask("/hello"), "Hello, World!\n");
        assert_eq!(mount.ask("/where/am/I"), "mounted at \"/where\", asked for \"/am/I\"\n");
    });
}

#[test]
fn echo() {
    on_both(env!("CARGO_BIN_EXE_echo"), |echo| {
        let post = "POST / HTTP/1.0\r\nContent-Length: 5\r\n";
        let (head, body) = echo.send(&format!("{post}Content-Type: text/html\r\n\r\nhello"));
        assert!(head.contains("\r\ncontent-type: text/html"), "{head}");
        assert_eq!(body, "hello");
        let (head, body) = echo.send(&format!("{post}\r\nagain"));
        assert!(head.contains("\r\ncontent-type: application/octet-stream"), "{head}");
        assert_eq!(body, "again");
    });
}

#[test]
fn guest_book() {
    on_both(env!("CARGO_BIN_EXE_guest-book"), |book| {
        let sign = |media_type: &str, form: &str| {
            book.send(&format!(
                "POST / HTTP/1.0\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            ))
        };
        let read = |target: &str, fields: &str| {
            book.send(&format!("GET {target} HTTP/1.0\r\n{fields}\r\n"))
        };
        let form = "application/x-www-form-urlencoded";
        let (head, _) = sign(form, "name=Ada+L.&text=%3Cb%3E+%26+%C3%BC");
        assert!(
            head.starts_with("HTTP/1.1 303 ") && head.contains("\r\nlocation: /\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nset-cookie: name=Ada%20L.; HttpOnly; SameSite=Lax"), "{head}");
        sign(form, "name=Bob&text=hello");

        let (head, page) = read("/", "Cookie: name=Ada%20L.\r\n");
        assert!(head.contains("\r\ncontent-type: text/html;charset=utf-8"), "{head}");
        assert!(head.contains("\r\nvary: accept, cookie"), "{head}");
        assert!(page.contains("value=\"Ada L.\""), "{page}");
        assert!(page.contains("<dt>Ada L.<dd>&lt;b> &amp; ü\n<dt>Bob<dd>hello\n"), "{page}");
        let (_, json) = read("/?by=Bob", "Accept: application/json, text/*;q=0.5\r\n");
        assert_eq!(json, r#"[{"name":"Bob","text":"hello"}]"#);
        let (_, text) = read("/", "Accept: text/plain\r\n");
        assert_eq!(text, "Ada L.: <b> & ü\nBob: hello\n");

        let refused = |answer: (String, String)| answer.0[9..12].to_owned();
        assert_eq!(refused(read("/", "Accept: image/png\r\n")), "406");
        assert_eq!(refused(read("/?by=a&by=b", "")), "400");
        assert_eq!(refused(sign(form, "name=Eve")), "400");
        assert_eq!(refused(sign("text/plain", "name=Eve&text=hello")), "415");
        let (_, text) = read("/?by=Eve", "Accept: text/plain\r\n");
        assert_eq!(text, "");
    });
}

/// An empty directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let name = format!("gateway-examples-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("the name is free");
        Directory(path)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("it is a directory");
        entries.map(|entry| entry.expect("it can be read").path()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A directory that is left is no reason to hide why the test failed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn upload() {
    for server in ["std", "tokio"] {
        let directory = Directory::new(&format!("upload-{server}"));
        let upload = Running::start_command(
            Command::new(env!("CARGO_BIN_EXE_upload"))
                .args(["--server", server, "--addr", "127.0.0.1:0"])
                .env("UPLOAD_DIR", &directory.0),
        );
        let (head, _) = upload.send("GET / HTTP/1.0\r\n\r\n");
        assert!(
            head.starts_with("HTTP/1.1 405 ") && head.contains("\r\nallow: POST, PUT"),
            "{head}"
        );
        // What is cut off leaves nothing.
        let (head, _) = upload.send(
            "PUT / HTTP/1.1\r\nHost: test\r\n\
                                     Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nno size\r\n",
        );
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert_eq!(directory.files(), [""; 0].map(PathBuf::from));

        let (head, body) = upload.send("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
        assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
        let path = body.strip_prefix("5 bytes are in ").expect("it tells the length").trim_end();
        assert_eq!(directory.files(), [Path::new(path)]);
        assert_eq!(fs::read_to_string(path).expect("it is a file"), "hello");
        upload.end();
    }
}

#[test]
fn middleware() {
    for server in ["std", "tokio"] {
        let args = ["--server", server, "--addr", "127.0.0.1:0"];
        let middleware = Running::start(env!("CARGO_BIN_EXE_middleware"), &args);
        for (path, answer) in [
            ("/quick", "at once\n"),
            ("/async", "after a while\n"),
            ("/blocking", "after blocking\n"),
        ] {
            let (head, body) = middleware.send(&format!("GET {path} HTTP/1.0\r\n\r\n"));
            assert_eq!(body, answer);
            assert!(head.contains("\r\nserver-timing: app;dur="), "{head}");
            assert!(head.contains("\r\ncache-control: no-store"), "{head}");
        }
        // The server's own answer passes the hook, but it is not the application's.
        let (head, _) = middleware.send("GET /other HTTP/1.0\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        assert!(head.contains("\r\nserver-timing: app;dur="), "{head}");
        assert!(!head.contains("\r\ncache-control:"), "{head}");
        let log = middleware.end();
        assert!(log.contains("GET /quick: Some(200), 8 bytes in "), "{log}");
        assert!(log.contains("GET /other: Some(404), 14 bytes in "), "{log}");
    }
}

#[test]
fn minimal_framework() {
    on_both(env!("CARGO_BIN_EXE_minimal-framework"), |framework| {
        assert_eq!(framework.ask("/users/a%2Fb"), "This is a/b.\n");
        assert_eq!(framework.ask("/users/a/b"), "404 Not Found\n");
        let (head, body) = framework.send("HEAD /users/a HTTP/1.0\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("\r\nContent-Length: 11\r\n"), "{head}");
        assert_eq!(body, "");
        let (head, _) = framework.send("DELETE /users/a HTTP/1.0\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
        assert!(head.contains("\r\nallow: GET, HEAD"), "{head}");
    });
}

#[test]
fn streaming() {
    on_both(env!("CARGO_BIN_EXE_streaming"), |streaming| {
        assert_eq!(streaming.ask("/"), "try /iter or /async\n");
        for path in ["/iter", "/async"] {
            let mut connection = streaming.connect();
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            connection.write_all(request.as_bytes()).expect("the server reads");
            let first = BufReader::new(connection)
                .lines()
                .map(|line| line.expect("the clock ticks"))
                .find(|line| line.starts_with("data: "));
            assert!(first.is_some_and(|first| first.ends_with(" GMT")));
        }
    });
}

#[test]
fn environ() {
    on_both(env!("CARGO_BIN_EXE_environ"), |environ| {
        assert_eq!(environ.ask("/plaintext"), "Hello, World!");
        assert_eq!(environ.ask("/json"), "{\"message\":\"Hello, World!\"}");
        assert_eq!(environ.ask("/big").chars().count(), 1 << 20);
        assert_eq!(environ.ask("/big?n=3000000").chars().count(), 3_000_000);
        assert_eq!(environ.ask("/stream?n=3"), "c".repeat(3 << 10));
        assert_eq!(environ.ask("/sleep?ms=1"), "slept\n");
        assert_eq!(environ.ask("/asleep?ms=1"), "slept\n");
        assert_eq!(environ.ask("/panic"), "500 Internal Server Error\n");
        let (head, _) = environ.send("GET /__probe/date HTTP/1.0\r\n\r\n");
        assert!(head.contains("\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT"), "{head}");
    });
}

/// `printf hello | sha256sum`
const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[test]
fn environ_reports() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("it is JSON");
    on_both(env!("CARGO_BIN_EXE_environ"), |environ| {
        let report = json(&environ.ask("/a%20b?c"));
        assert_eq!(report["path"], "/a%20b");
        assert_eq!(report["query"], "c");
        assert_eq!(report["body_len"], 0);
        assert_eq!(report["environ"]["PATH_INFO"], "/a b");

        let request = "PUT /x HTTP/1.0\r\nX-Name: value\r\nContent-Length: 5\r\n\r\nhello";
        let report = json(&environ.send(request).1);
        assert_eq!(report["method"], "PUT");
        assert_eq!(report["headers"][0], serde_json::json!(["x-name", "value"]));
        assert_eq!(report["body_len"], 5);
        assert_eq!(report["body_sha256"], HELLO_SHA256);
        assert_eq!(report["environ"]["HTTP_X_NAME"], "value");
    });
}

/// Both servers can be started in the same way.
#[test]
fn threads() {
    for server in ["std", "tokio"] {
        let args = ["--server", server, "--addr", "127.0.0.1:0", "--threads", "3"];
        let environ = Running::start(env!("CARGO_BIN_EXE_environ"), &args);
        assert_eq!(environ.ask("/plaintext"), "Hello, World!");
        #[cfg(target_os = "linux")]
        {
            // The main thread is one of them.
            let expected = if server == "tokio" { 2 } else { 0 };
            // A thread names itself, and that may be after the first answer of another one.
            let begun = Instant::now();
            while reactors(environ.child.id()) < expected
                && begun.elapsed() < Duration::from_secs(60)
            {
                thread::yield_now();
            }
            assert_eq!(reactors(environ.child.id()), expected);
        }
        let said = environ.end();
        let about_threads = said.lines().filter(|line| line.contains("--threads")).count();
        assert_eq!(about_threads, if server == "std" { 1 } else { 0 }, "{said}");
    }
}

/// How many threads with the name of a reactor a process has.
#[cfg(target_os = "linux")]
fn reactors(process: u32) -> usize {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    // One that has just ended has no name any more.
    let names =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("gateway-reactor")).count()
}

#[test]
fn on_a_unix_socket() {
    for server in ["std", "tokio"] {
        let name = format!("gateway-examples-{}-{server}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let address = format!("unix:{}", path.display());
        let args = ["--server", server, "--addr", &address];
        let running = Running::start(env!("CARGO_BIN_EXE_hello"), &args);
        assert_eq!(running.address, address);
        let connection = UnixStream::connect(&path).expect("it listens");
        assert_eq!(send(connection, "GET / HTTP/1.0\r\n\r\n").1, "Hello, World!\n");
        running.end();
    }
}

fn fails(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hello")).args(args).output();
    let Output { status, stderr, .. } = output.expect("the example starts");
    assert_eq!(status.code(), Some(1));
    let error = String::from_utf8(stderr).expect("it is text");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn mistakes_are_told_in_one_line() {
    assert!(fails(&["--server", "other"]).contains("it is `std` or `tokio`"));
    assert!(fails(&["--adr", "127.0.0.1:0"]).contains("--adr"));
    for server in ["std", "tokio"] {
        let error = fails(&["--server", server, "--addr", "127.0.0.1:0", "--threads", "0"]);
        assert!(error.contains("at least 1"), "{error}");
        assert!(fails(&["--server", server, "--threads", "many"]).contains("many"));
        assert!(fails(&["--server", server, "--addr", "nonsense"]).contains("nonsense"));
        let taken = Running::start(env!("CARGO_BIN_EXE_hello"), &["--addr", "127.0.0.1:0"]);
        let address = taken.address.strip_prefix("http://").expect("an address of TCP");
        let error = fails(&["--server", server, "--addr", address]);
        assert!(error.contains(address) && error.contains("in use"), "{error}");
    }
}
