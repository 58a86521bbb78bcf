//! A process that has few descriptors, or none left. It is another process than the one of the other
//! tests.

use std::env;
use std::process::Command;
use std::time::Duration;

use gateway_core::{ErrorStream, Stopped};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::running::{LONG, Running, path, server};

const CHILD: &str = "GATEWAY_STD_EXHAUSTED";

/// A soft limit below what the default of connections needs, and a hard one above.
const TOO_FEW: u64 = 64;
const PLENTY: u64 = 2000;

/// Beyond standard input, output and error, the listener and the eventfd: not enough for all peers,
/// which have their end in this process, too.
const DESCRIPTORS: u64 = 24;

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    alone("waits_and_goes_on");
}

#[test]
fn the_soft_limit_is_raised_as_far_as_the_default_needs() {
    alone("raises");
}

/// Runs another test in a process of its own.
fn alone(test: &str) {
    let name = format!("std::exhaustion::{test}");
    let child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && told.contains("1 passed"), "{child:?}");
}

#[test]
#[ignore = "run by a test above, in a process of its own"]
fn raises() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let limit = |current, maximum| Rlimit { current: Some(current), maximum: Some(maximum) };
    setrlimit(Resource::Nofile, limit(TOO_FEW, PLENTY)).expect("lower is allowed");
    let running = Running::start(server(), path);
    assert_eq!(running.get("/"), "/");
    // 512 connections of two each, and a fifth for others.
    assert_eq!(getrlimit(Resource::Nofile), limit(1280, PLENTY));
}

#[test]
#[ignore = "run by a test above, in a process of its own"]
fn waits_and_goes_on() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    // What is set counts, though there are not descriptors enough for it.
    let (errors, lines) = ErrorStream::memory();
    let limit = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    setrlimit(Resource::Nofile, limit).expect("lower is allowed");
    let running = Running::start(server().max_connections(512).error_stream(errors), path);

    // Both ends of a connection are in this process: connecting takes the last descriptor.
    let mut peers = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect(running.address) {
        peers.push(super::running::Peer::new(stream));
    }
    let mut waiting = peers.pop().expect("at least one");
    waiting.ask("/waiting");
    assert!(!waiting.is_ended_within(Duration::from_millis(200)));
    // So many that the others fit even if nobody was accepted before.
    peers.truncate(peers.len() / 4);
    assert_eq!(waiting.response().expect("an answer").1, "/waiting");
    drop((peers, waiting));
    assert_eq!(running.stop(LONG), Stopped::new(0, 0));
    let lines = lines.take();
    assert!(!lines.is_empty() && lines.len() <= 2, "{lines:?}");
    assert!(lines[0].starts_with("cannot accept connections for a moment: "), "{lines:?}");
}
