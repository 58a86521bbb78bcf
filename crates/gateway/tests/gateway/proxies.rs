//! `--trusted-proxy` and `--trusted-fields`: whose word is taken for who the client is.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Server, gateway, refusal};
use crate::serve::site;
use crate::tiny::Crate;

/// Says who the request is from, by which scheme and for whom.
const FACTS: &str = r#"
use gateway_core::{*, http::StatusCode};

pub fn app(environ: Environ, start: StartResponse) -> Result<Response> {
    let ip = environ.remote_addr().inet().map_or("-".to_owned(), |address| address.ip().to_string());
    let facts = format!("{ip} {} {}", environ.url_scheme(), environ.authority().unwrap_or("-"));
    Ok(start.start(StatusCode::OK, ()).with_body(facts))
}
"#;

/// What a proxy writes in either kind of field, for different clients.
const SAID: &str = "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\
    X-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: shop.example\r\n\
    Forwarded: for=6.6.6.6, for=203.0.113.7;proto=https;host=standard.example\r\n";

const NOTHING_BELIEVED: &str = "127.0.0.1 http test";

#[test]
fn an_application_sees_the_client_of_a_proxy_that_is_trusted() {
    let tiny = Crate::new("tiny-proxies", FACTS);
    for name in ["std", "tokio"] {
        for (args, expected) in [
            (&[][..], NOTHING_BELIEVED),
            (&["--trusted-proxy", "10.0.0.0/8"], NOTHING_BELIEVED),
            (&["--trusted-proxy", "unix"], NOTHING_BELIEVED),
            (&["--trusted-proxy", "127.0.0.1"], "203.0.113.9 https shop.example"),
            (
                &["--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "203.0.113.0/24"],
                "6.6.6.6 https shop.example",
            ),
            (
                &["--trusted-proxy", "fd00::/8,127.0.0.1", "--trusted-fields", "forwarded"],
                "203.0.113.7 https standard.example",
            ),
        ] {
            let args = [&["--server", name], args].concat();
            let mut server = Server::spawn(&mut tiny.run("app", &args));
            let answer = server.get("/", SAID);
            assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{args:?}: {answer}");
            let (client, _) = expected.split_once(' ').unwrap();
            let line = server.line();
            assert!(line.starts_with(&format!("{client} - - [")), "{args:?}: {line}");
        }
    }
}

#[test]
fn a_directory_and_its_log_see_the_client_of_a_proxy_that_is_trusted() {
    let site = site();
    // A form is only taken from a page of the same scheme, host and port.
    let fields = format!("{SAID}Origin: https://shop.example\r\n");
    let put = |server: &mut Server, target: &str| {
        let answer = server.ask(&format!("PUT {target}"), &fields, "x");
        (answer["HTTP/1.1 ".len()..][..3].to_owned(), server.line())
    };
    for name in ["std", "tokio"] {
        let upload = ["--upload", "--server", name];
        let mut server = Server::start(site.path(), &upload);
        let (status, line) = put(&mut server, &format!("/a-{name}"));
        assert!(status == "403" && line.starts_with("127.0.0.1 - - ["), "{status} {line}");

        let trusted = [&upload[..], &["--trusted-proxy", "127.0.0.1", "--trace"]].concat();
        let mut server = Server::start(site.path(), &trusted);
        let (status, line) = put(&mut server, &format!("/b-{name}"));
        assert!(status == "201" && line.starts_with("203.0.113.9 - - ["), "{status} {line}");
        server.wait_for("* #1 203.0.113.9:");
    }
}

#[test]
fn the_environment_and_the_file_name_proxies_as_well() {
    let site = site();
    let client = |command: &mut Command| {
        let mut server = Server::spawn(command.args(["serve", "--port", "0"]));
        server.get("/a.txt", SAID);
        server.line().split(' ').next().unwrap().to_owned()
    };
    let both = "127.0.0.1,203.0.113.0/24";
    assert_eq!(client(gateway(site.path()).env("GATEWAY_TRUSTED_PROXY", both)), "6.6.6.6");
    let write = |text: &str| fs::write(site.path().join("gateway.toml"), text).unwrap();
    write("[serve]\ntrusted-proxy = ['127.0.0.1', '10.0.0.0/8']\ntrusted-fields = 'forwarded'\n");
    assert_eq!(client(&mut gateway(site.path())), "203.0.113.7");
    write("[serve]\ntrusted-proxy = '127.0.0.1'\n");
    assert_eq!(client(&mut gateway(site.path())), "203.0.113.9");
    assert_eq!(client(gateway(site.path()).env("GATEWAY_TRUSTED_PROXY", "unix")), "127.0.0.1");
}

/// The client in the access log, where a request comes by a Unix socket.
fn by_unix_socket(args: &[&str]) -> String {
    let site = site();
    let socket = site.path().join("socket");
    let mut command = gateway(site.path());
    command.args(["serve", "--bind", &format!("unix:{}", socket.display())]).args(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("unix:") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0);
    }
    let mut stream = UnixStream::connect(&socket).unwrap();
    let request = format!("GET /a.txt HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{SAID}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("text\n"), "{answer}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let mut log = String::new();
    child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
    log.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_unix_socket_is_trusted_where_it_is_said() {
    for name in ["std", "tokio"] {
        let with = |proxy| by_unix_socket(&["--server", name, "--trusted-proxy", proxy]);
        assert_eq!(with("0.0.0.0/0"), "-");
        assert_eq!(with("unix"), "203.0.113.9");
    }
}

#[test]
fn a_proxy_that_cannot_be_meant_is_refused() {
    let site = site();
    let hint = "is neither an address nor a network; write 10.0.0.1, 10.0.0.0/8 or fd00::/8, or \
                unix for a Unix socket";
    for command in [&["serve"][..], &["run", "none:app"]] {
        for wrong in ["localhost", "10.0.0.0/33", "unix:/run/app", "*", ""] {
            let flag = [command, &["--trusted-proxy", wrong]].concat();
            let (said, code) = refusal(site.path(), &flag);
            assert!(said.contains("--trusted-proxy <ADDRESS[/BITS]>"), "{said}");
            assert!(wrong.is_empty() || said.contains(&format!("`{wrong}` {hint}")), "{said}");
            assert_eq!(code, Some(2));
        }
        let refused = refusal(site.path(), &[command, &["--trusted-fields", "forwarded"]].concat());
        let line = "error: --trusted-fields: nobody is believed yet; name the proxy with \
                    --trusted-proxy\n";
        assert_eq!(refused, (line.to_owned(), Some(2)));
    }
    fs::write(site.path().join("gateway.toml"), "[run]\n\ntrusted-proxy = ['10.0.0.0/8', 'x']\n")
        .unwrap();
    let line = format!("error: gateway.toml:3: `x` {hint}\n");
    assert_eq!(refusal(site.path(), &["run", "none:app"]), (line, Some(2)));
}
