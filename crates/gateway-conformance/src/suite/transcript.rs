//! What went over a connection, to be shown to whoever has to mend the server.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much of each run of bytes is kept.
const KEPT: usize = 4096;

/// The bytes and events of one connection, in their order; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Transcript(Arc<Mutex<Vec<Entry>>>);

enum Entry {
    Sent(Run),
    Received(Run),
    Event(String),
}

#[derive(Default)]
struct Run {
    kept: Vec<u8>,
    length: usize,
}

impl Run {
    fn push(&mut self, bytes: &[u8]) {
        let room = KEPT - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len();
    }
}

impl Transcript {
    pub(super) fn sent(&self, bytes: &[u8]) {
        let mut entries = self.entries();
        if !matches!(entries.last(), Some(Entry::Sent(_))) {
            entries.push(Entry::Sent(Run::default()));
        }
        if let Some(Entry::Sent(run)) = entries.last_mut() {
            run.push(bytes);
        }
    }

    pub(super) fn received(&self, bytes: &[u8]) {
        let mut entries = self.entries();
        if !matches!(entries.last(), Some(Entry::Received(_))) {
            entries.push(Entry::Received(Run::default()));
        }
        if let Some(Entry::Received(run)) = entries.last_mut() {
            run.push(bytes);
        }
    }

    pub(super) fn event(&self, event: &str) {
        self.entries().push(Entry::Event(event.to_owned()));
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &*self.entries() {
            match entry {
                Entry::Sent(run) => show(f, '>', run)?,
                Entry::Received(run) => show(f, '<', run)?,
                Entry::Event(event) => writeln!(f, "  ({event})")?,
            }
        }
        Ok(())
    }
}

fn show(f: &mut fmt::Formatter<'_>, mark: char, run: &Run) -> fmt::Result {
    for line in readable(&run.kept).split_inclusive('\n') {
        writeln!(f, "{mark} {}", line.trim_end_matches('\n'))?;
    }
    match run.length - run.kept.len() {
        0 => Ok(()),
        more => writeln!(f, "{mark} … and {more} bytes more"),
    }
}

/// CRLF as `␍␊` and a line's end, other control characters escaped, long runs of a byte told by
/// their length.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        let run = rest.iter().take_while(|&&next| next == byte).count();
        if rest.starts_with(b"\r\n") {
            text.push_str("␍␊\n");
            rest = &rest[2..];
            continue;
        }
        let shown = std::ascii::escape_default(byte);
        let taken = if run > 40 { run } else { 1 };
        // Writing to a string does not fail.
        let _ = match taken {
            1 => write!(text, "{shown}"),
            _ => write!(text, "<{run} times {shown}>"),
        };
        rest = &rest[taken..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_read() {
        let transcript = Transcript::default();
        transcript.sent(b"GET / HTTP/1.1\r\n");
        transcript.sent(b"\r\n");
        transcript.received(&[b'x'; 50]);
        transcript.event("the end");
        let shown = "> GET / HTTP/1.1␍␊\n> ␍␊\n< <50 times x>\n  (the end)\n";
        assert_eq!(transcript.to_string(), shown);
    }

    #[test]
    fn it_keeps_little_of_much() {
        let transcript = Transcript::default();
        transcript.sent(&vec![b'y'; 10_000]);
        assert!(transcript.to_string().ends_with("> … and 5904 bytes more\n"));
    }
}
