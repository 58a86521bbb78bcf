//! What is different where a terminal listens.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::process::gateway;
use crate::serve::site;

/// What `serve` says on a terminal until it has said its address, with `variables` set.
fn said(variables: &[(&str, &str)]) -> String {
    let site = site();
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut command = gateway(site.path());
    command.args(["serve", "--port", "0", "--log", "off"]).env("TERM", "xterm");
    let mut child =
        command.envs(variables.iter().copied()).stderr(Stdio::from(theirs)).spawn().unwrap();
    // So that an end of the child is an end of what can be read.
    drop(command);
    let mut lines = BufReader::new(File::from(ours));
    let mut said = String::new();
    while !said.contains("http://") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "{said}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    said
}

#[test]
fn there_are_colours_unless_they_are_declined() {
    assert!(said(&[]).contains("\x1b[1mhttp://127.0.0.1:"));
    assert!(said(&[("NO_COLOR", "")]).contains("\x1b["), "an empty value declines nothing");
    for declined in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!said(&[declined]).contains('\x1b'), "{declined:?}");
    }
}
