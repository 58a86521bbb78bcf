//! `gateway serve --upload`.

use std::fs;

use crate::options::basic;
use crate::process::{Server, gateway, refusal};
use crate::serve::site;

const WARNING: &str = "Anybody who reaches this address can put files here";

#[test]
fn files_are_uploaded_where_it_is_allowed() {
    let form = "--b\r\nContent-Disposition: form-data; name=f; filename=form\r\n\r\nform\r\n--b--";
    let fields = "Content-Type: multipart/form-data; boundary=b\r\nOrigin: http://test\r\n";
    for name in ["std", "tokio"] {
        let site = site();
        let server = Server::start(site.path(), &["--upload", "--server", name]);
        let answer = server.ask("PUT /sub/put", "", "put");
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.contains("\r\nlocation: /sub/put\r\n"), "{answer}");
        let answer = server.ask("POST /", fields, form);
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        for (target, text) in [("/sub/put", "put"), ("/form", "form")] {
            assert!(server.get(target, "").ends_with(&format!("\r\n\r\n{text}")));
        }
        let answer = server.ask("PUT /a.txt", "", "new");
        assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
        let answer = server.ask("POST /", &fields.replace("//test", "//evil"), form);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(server.get("/", "").contains("<form method=\"post\""));
        assert!(!server.said.contains(WARNING), "{}", server.said);
    }
}

#[test]
fn nothing_is_uploaded_where_nobody_allows_it() {
    let site = site();
    let server = Server::start(site.path(), &[]);
    for request in ["PUT /new", "POST /"] {
        let answer = server.ask(request, "", "new");
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"), "{answer}");
    }
    assert!(!server.get("/", "").contains("<form"));
    assert_eq!(fs::read_dir(site.path()).unwrap().count(), 2);
}

#[test]
fn the_limit_is_an_argument() {
    let site = site();
    let server = Server::start(site.path(), &["--upload", "--upload-limit", "1kB"]);
    assert!(server.ask("PUT /x", "", &"x".repeat(1000)).starts_with("HTTP/1.1 201 "));
    let answer = server.ask("PUT /y", "", &"x".repeat(1001));
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("1000 bytes"), "{answer}");
    let (line, code) = refusal(site.path(), &["serve", "--upload-limit", "much"]);
    assert!(line.contains("\"much\" is no size; write it like 4GiB"), "{line}");
    assert_eq!(code, Some(2));
    let mut command = gateway(site.path());
    command.env("GATEWAY_UPLOAD", "1").env("GATEWAY_UPLOAD_LIMIT", "2");
    let server = Server::spawn(command.args(["serve", "--port", "0"]));
    assert!(server.ask("PUT /z", "", "zzz").starts_with("HTTP/1.1 413 "));
    assert!(server.ask("PUT /z", "", "zz").starts_with("HTTP/1.1 201 "));
}

#[test]
fn a_password_is_asked_for_before_anything_is_written() {
    let site = site();
    let server = Server::start(site.path(), &["--upload", "--auth", "ada:pw"]);
    for fields in ["", &basic("ada:wrong")] {
        assert!(server.ask("PUT /x", fields, "x").starts_with("HTTP/1.1 401 "));
    }
    assert!(!site.path().join("x").exists());
    assert!(server.ask("PUT /x", &basic("ada:pw"), "x").starts_with("HTTP/1.1 201 "));
}

#[test]
fn an_open_door_is_said_at_the_start() {
    let site = site();
    let said = |args: &[&str]| Server::start(site.path(), args).said.clone();
    let far = ["--bind", "0.0.0.0"];
    assert_eq!(said(&[&far, &["--upload"][..]].concat()).matches(WARNING).count(), 1);
    assert!(!said(&far).contains(WARNING));
    assert!(!said(&[&far, &["--upload", "--auth", "ada:pw"][..]].concat()).contains(WARNING));
    assert!(!said(&["--upload"]).contains(WARNING));
}
