//! `gateway run --reload`: nobody is refused while one application takes the place of another.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::Server;
use crate::tiny::Crate;

const RELOADS: usize = 10;

/// An application that answers `version`.
fn version(version: usize) -> String {
    format!(
        "use gateway_core::{{*, http::StatusCode}};\n\
         pub fn app(_: Environ, start: StartResponse) -> Result<Response> {{\n    \
         Ok(start.start(StatusCode::OK, ()).with_body(\"version {version}.\"))\n}}\n"
    )
}

fn exchange(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    match response.starts_with("HTTP/1.1 200 ") && response.ends_with('.') {
        true => Ok(response),
        false => Err(io::Error::other(format!("a broken response: {response:?}"))),
    }
}

/// Asks until the answer is `body`: the old application may take a last connection.
#[track_caller]
fn expect(address: &str, body: &str) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if exchange(address).unwrap().ends_with(body) {
            return;
        }
    }
    panic!("{body} never came");
}

fn reload_under_load(name: &str, server: &str) {
    let tiny = Crate::new(name, &version(0));
    let args = ["--reload", "--log", "off", "--server", server];
    let mut gateway = Server::spawn(&mut tiny.run("app", &args));
    let address = gateway.address.clone();
    let (done, exchanges) = (AtomicBool::new(false), AtomicUsize::new(0));
    let client = || -> io::Result<()> {
        while !done.load(Ordering::Relaxed) {
            exchange(&address)?;
            exchanges.fetch_add(1, Ordering::Relaxed);
            // Leaves the compiler something of the processor.
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let clients = [scope.spawn(client), scope.spawn(client), scope.spawn(client)];
        for reload in 1..=RELOADS {
            tiny.write(&version(reload));
            gateway.wait_for("Reloaded");
            expect(&address, &format!("version {reload}."));
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap().expect("no connection is refused, reset or cut");
        }
    });
    let exchanges = exchanges.into_inner();
    assert!(exchanges > 10 * RELOADS, "{exchanges} exchanges are no load");
    gateway.signal(Signal::TERM);
    let (code, _, err) = gateway.end();
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn nobody_is_refused_on_threads() {
    reload_under_load("tiny-reload-std", "std");
}

#[test]
fn nobody_is_refused_on_tokio() {
    reload_under_load("tiny-reload-tokio", "tokio");
}

#[test]
fn a_build_that_fails_leaves_the_old_one_serving() {
    let tiny = Crate::new("tiny-broken", &version(1));
    let mut gateway = Server::spawn(&mut tiny.run("app", &["--reload", "--log", "off"]));
    expect(&gateway.address, "version 1.");
    tiny.write("pub fn app( {");
    gateway.wait_for("src/lib.rs:1:");
    gateway.wait_for("error: the build failed");
    gateway.wait_for("goes on serving");
    expect(&gateway.address, "version 1.");
    // One that is built, but ends before it serves.
    tiny.write(
        "pub fn app() -> Result<fn(gateway_core::Environ, gateway_core::StartResponse) -> \
                gateway_core::Reply, String> { Err(\"not today\".into()) }",
    );
    gateway.wait_for("error: not today");
    gateway.wait_for("goes on serving");
    expect(&gateway.address, "version 1.");
    tiny.write(&version(2));
    gateway.wait_for("Reloaded");
    expect(&gateway.address, "version 2.");
    gateway.signal(Signal::INT);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn a_source_that_is_replaced_by_another_file_is_noticed_every_time() {
    let tiny = Crate::new("tiny-replaced", "");
    // The library is not where most are, and what the application writes is beside it.
    let manifest = tiny.directory.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap() + "\n[lib]\npath = \"lib.rs\"\n";
    let replace = |name: &str, text: &str| {
        let draft = tiny.directory.join(".draft");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, tiny.directory.join(name)).unwrap();
    };
    replace("Cargo.toml", &text);
    replace("lib.rs", &version(0));
    let mut gateway = Server::spawn(&mut tiny.run("app", &["--reload", "--log", "off"]));
    for round in 1..=2 {
        replace("lib.rs", &version(round));
        gateway.wait_for("Reloaded");
        expect(&gateway.address, &format!("version {round}."));
        replace("Cargo.toml", &format!("{text}# {round}\n"));
        gateway.wait_for("Reloaded");
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}
