//! Where applications and servers complain.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Takes one finished line, without its line end. A server or a test supplies it.
pub trait ErrorSink: Send + Sync + 'static {
    /// Takes `line`, which has no control characters but tabs. It should not block for long: whoever
    /// complains waits for it.
    fn line(&self, line: &str);
}

impl<F: Fn(&str) + Send + Sync + 'static> ErrorSink for F {
    fn line(&self, line: &str) {
        self(line);
    }
}

/// `wsgi.errors`: a sink for lines of text, cheap to clone.
///
/// # Examples
///
/// ```
/// use gateway_core::ErrorStream;
///
/// let (errors, lines) = ErrorStream::memory();
/// errors.line("the cache is cold");
/// assert_eq!(lines.take(), ["the cache is cold"]);
/// ```
///
/// Source: PEP 3333, "Input and Error Streams".
#[derive(Clone)]
pub struct ErrorStream {
    sink: Arc<dyn ErrorSink>,
}

impl ErrorStream {
    /// Lines go to `sink`, which may be called from several threads at a time.
    ///
    /// ```
    /// use gateway_core::ErrorStream;
    ///
    /// let (send, receive) = std::sync::mpsc::channel();
    /// let errors = ErrorStream::new(move |line: &str| drop(send.send(line.to_owned())));
    /// errors.line(format_args!("{} of {} workers are busy", 8, 8));
    /// assert_eq!(receive.recv().as_deref(), Ok("8 of 8 workers are busy"));
    /// ```
    pub fn new(sink: impl ErrorSink) -> ErrorStream {
        ErrorStream { sink: Arc::new(sink) }
    }

    /// Lines go to standard error, each in one write.
    pub fn stderr() -> ErrorStream {
        static STDERR: LazyLock<ErrorStream> = LazyLock::new(|| {
            ErrorStream::new(|line: &str| {
                // Nobody is left to tell when standard error is gone.
                let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
            })
        });
        STDERR.clone()
    }

    /// Lines are kept in memory, for tests.
    pub fn memory() -> (ErrorStream, Lines) {
        let lines = Lines::default();
        let kept = lines.clone();
        (ErrorStream::new(move |line: &str| kept.push(line)), lines)
    }

    /// Writes one line. Control characters in it are escaped, so that what a peer sent cannot
    /// forge a line or drive a terminal.
    pub fn line(&self, text: impl Display) {
        let mut line = Escaped(String::new());
        // Writing to a string fails only if the Display implementation itself does.
        if write!(line, "{text}").is_err() {
            line.0.push_str(" (the rest could not be formatted)");
        }
        self.sink.line(&line.0);
    }

    /// Writes `what` and the chain of causes of `error` as one line.
    ///
    /// ```
    /// use gateway_core::{Error, ErrorStream};
    ///
    /// let (errors, lines) = ErrorStream::memory();
    /// errors.error("GET /", &Error::application("the shelf is empty"));
    /// let line = "GET /: the application failed with 500 Internal Server Error: the shelf is empty";
    /// assert_eq!(lines.take(), [line]);
    /// ```
    pub fn error(&self, what: impl Display, error: &(dyn std::error::Error + 'static)) {
        let mut text = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.line(text);
    }
}

impl fmt::Debug for ErrorStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorStream")
    }
}

/// The lines of [`ErrorStream::memory`].
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Takes the lines that have come so far.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

struct Escaped(String);

impl fmt::Write for Escaped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() && c != '\t' {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_be_forged() {
        let (errors, lines) = ErrorStream::memory();
        errors.line("path /x\r\n500 forged \x1b[2J\u{85}");
        assert_eq!(lines.take(), [r"path /x\r\n500 forged \u{1b}[2J\u{85}"]);
    }

    #[test]
    fn the_cause_chain_is_one_line() {
        let (errors, lines) = ErrorStream::memory();
        let cause = std::io::Error::other("disk on fire");
        errors.error("GET /", &crate::Error::from(cause));
        assert_eq!(lines.take(), ["GET /: input or output failed: disk on fire"]);
    }
}
