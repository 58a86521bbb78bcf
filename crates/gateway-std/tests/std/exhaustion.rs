//! A process that has no descriptors left. It is another process than the one of the other tests.

use std::env;
use std::process::Command;
use std::time::Duration;

use gateway_core::{ErrorStream, Stopped};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::running::{LONG, Running, path, server};

const CHILD: &str = "GATEWAY_STD_EXHAUSTED";

/// Beyond standard input, output and error, the listener and the eventfd: not enough for all peers,
/// which have their end in this process, too.
const DESCRIPTORS: u64 = 24;

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "std::exhaustion::child", "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && told.contains("1 passed"), "{child:?}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let (errors, lines) = ErrorStream::memory();
    let running = Running::start(server().error_stream(errors), path);
    let limit = Rlimit { current: Some(DESCRIPTORS), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).expect("lower is allowed");

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
