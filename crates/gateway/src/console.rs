//! What people read: the one place that prints, and the one that knows of colours.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use gateway_core::ErrorStream;

use crate::backlog::{Backlog, may_block};

/// A colour or weight on a terminal.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// For what is looked for.
    Bold,
    /// For remarks.
    Dim,
    /// For complaints.
    Red,
    /// For responses.
    Green,
    /// For requests.
    Cyan,
}

/// Writes to standard error. Whoever started the command may have stopped to listen, which is no
/// reason not to serve.
pub fn note(text: impl Display) {
    let line = format!("{text}\n");
    let _ = match NOTES.get() {
        Some(backlog) => backlog.clone().write_all(line.as_bytes()),
        None => io::stderr().lock().write_all(line.as_bytes()),
    };
}

/// From here on nobody waits until a [`note`] is read: neither a request nor the end of the process.
/// What does not fit is lost. [`finish`] is for the last ones. To be called when something serves: who
/// is only told why nothing does may take their time to read it.
pub fn keep_notes() {
    let tell = |lost| note(format_args!("{lost} lines were lost: nobody read standard error"));
    if NOTES.get().is_none()
        && may_block(io::stderr())
        && let Ok(backlog) = Backlog::new(io::stderr(), tell)
    {
        let _ = NOTES.set(backlog);
    }
}

/// Says why the command ends.
pub fn error(error: impl Display) {
    note(format_args!("{} {error}", painted(Style::Red, "error:")));
}

/// Writes to standard output what was asked for.
///
/// # Errors
///
/// The system's, `BrokenPipe` among them.
pub fn output(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Where the access log goes. It passes on at once what ends a line; but where a pipe, a socket or a
/// terminal may keep it waiting, nobody waits for it, and what does not fit is lost.
pub fn access_lines() -> Box<dyn Write + Send> {
    match &*ACCESS_LINES {
        Some(backlog) => Box::new(backlog.clone()),
        None => Box::new(io::stdout()),
    }
}

/// Waits until everything is written, but not for ever: nobody may be there to read it.
pub fn finish() {
    let deadline = Instant::now() + LAST_LINES;
    let access_lines = LazyLock::get(&ACCESS_LINES).and_then(Option::as_ref);
    for backlog in access_lines.into_iter().chain(NOTES.get()) {
        backlog.drain(deadline.saturating_duration_since(Instant::now()));
    }
}

const LAST_LINES: Duration = Duration::from_secs(1);

static NOTES: OnceLock<Backlog> = OnceLock::new();

/// There is one standard output, so there is one of these. Without a thread, lines are written by
/// whoever has ended the request.
static ACCESS_LINES: LazyLock<Option<Backlog>> = LazyLock::new(|| {
    let tell =
        |lost| note(format_args!("{lost} lines of the access log were lost: nobody read them"));
    may_block(io::stdout()).then(|| Backlog::new(io::stdout(), tell).ok()).flatten()
});

/// Where servers and applications complain.
pub fn complaints() -> ErrorStream {
    ErrorStream::new(|line: &str| note(line))
}

/// Where a trace goes: requests, responses and remarks have a colour each.
pub fn trace_lines() -> ErrorStream {
    ErrorStream::new(|line: &str| match line.as_bytes().first() {
        Some(b'<') => note(painted(Style::Cyan, line)),
        Some(b'>') => note(painted(Style::Green, line)),
        _ => note(painted(Style::Dim, line)),
    })
}

/// `text` as it looks on standard error.
pub fn painted(style: Style, text: &str) -> String {
    if !*COLOURS {
        return text.to_owned();
    }
    let code = match style {
        Style::Bold => 1,
        Style::Dim => 2,
        Style::Red => 31,
        Style::Green => 32,
        Style::Cyan => 36,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// `text` of somebody who has painted it, as it may stand on standard error.
pub fn on_terminal(text: &str) -> Cow<'_, str> {
    if *COLOURS {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split("\x1b[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain.into()
}

/// Source: no-color.org.
static COLOURS: LazyLock<bool> = LazyLock::new(|| {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    io::stderr().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_some_and(|term| term != "dumb")
});
