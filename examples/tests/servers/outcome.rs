//! What came of a case, and how it is compared.

use std::fmt::{self, Write};

/// What must come of a case.
#[derive(Default)]
pub(crate) struct Expectation {
    pub(crate) received: Vec<u8>,
    pub(crate) reset: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) log: Vec<String>,
}

/// What came of a case.
pub(crate) struct Outcome {
    /// With the values of Date and Server taken out.
    pub(crate) received: Vec<u8>,
    pub(crate) reset: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) log: Vec<String>,
    /// What else went wrong: time-outs, leaks, how the server stopped. Nothing, if all is well.
    pub(crate) troubles: Vec<String>,
}

/// Panics with a readable difference if the two are not alike.
pub(crate) fn must_fit(
    left_name: &str,
    left: &(impl fmt::Display + ?Sized),
    right_name: &str,
    right: &Outcome,
) {
    let (left, right) = (left.to_string(), right.to_string());
    assert!(left == right, "- {left_name}, + {right_name}:\n{}", difference(&left, &right));
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, &self.received, self.reset, &self.notes, &self.log, &[])
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, &self.received, self.reset, &self.notes, &self.log, &self.troubles)
    }
}

fn show(
    f: &mut fmt::Formatter<'_>,
    received: &[u8],
    reset: bool,
    notes: &[String],
    log: &[String],
    troubles: &[String],
) -> fmt::Result {
    writeln!(f, "[received]\n{}", readable(received))?;
    if reset {
        writeln!(f, "[reset]")?;
    }
    for (name, lines) in [("noted", notes), ("logged", log), ("troubles", troubles)] {
        if !lines.is_empty() {
            writeln!(f, "[{name}]\n{}", lines.join("\n"))?;
        }
    }
    Ok(())
}

/// A line for each CRLF, other control characters escaped, and long runs of a byte told by their
/// length.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        let run = rest.iter().take_while(|&&next| next == byte).count();
        if rest.starts_with(b"\r\n") {
            text.push('\n');
            rest = &rest[2..];
            continue;
        }
        let shown = std::ascii::escape_default(byte);
        if run > 40 {
            // Writing to a string does not fail.
            let _ = write!(text, "<{run} times {shown}>");
            rest = &rest[run..];
        } else {
            let _ = write!(text, "{shown}");
            rest = &rest[1..];
        }
    }
    text
}

/// The lines that differ, with all before and behind them.
fn difference(left: &str, right: &str) -> String {
    let (left, right): (Vec<_>, Vec<_>) = (left.lines().collect(), right.lines().collect());
    let shorter = left.len().min(right.len());
    let before = (0..shorter).take_while(|&n| left[n] == right[n]).count();
    let behind = (0..shorter - before)
        .take_while(|&n| left[left.len() - 1 - n] == right[right.len() - 1 - n])
        .count();
    let mut lines = Vec::new();
    let mut add = |mark: &str, of: &[&str]| {
        lines.extend(of.iter().map(|line| format!("{mark} {line}")));
    };
    add(" ", &left[..before]);
    add("-", &left[before..left.len() - behind]);
    add("+", &right[before..right.len() - behind]);
    add(" ", &left[left.len() - behind..]);
    lines.join("\n")
}

/// Takes out what may differ between servers and moments: the values of Date and Server.
pub(crate) fn without_facts(received: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(received.len());
    for line in received.split_inclusive(|&byte| byte == b'\n') {
        let field = [&b"date: "[..], b"server: "]
            .into_iter()
            .find(|name| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name));
        match field {
            Some(name) if line.ends_with(b"\r\n") => {
                kept.extend_from_slice(&line[..name.len()]);
                kept.extend_from_slice(b"*\r\n");
            }
            _ => kept.extend_from_slice(line),
        }
    }
    kept
}
