//! Where applications and servers complain.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
pub struct ErrorStream(Arc<Log<dyn ErrorSink>>);

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
        ErrorStream(Arc::new(Log { seldom: Mutex::default(), sink }))
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
        self.0.sink.line(&line.0);
    }

    /// Writes `what` and the chain of causes of `error` as one line. What is mostly a peer's request
    /// is cut after 200 bytes, so that a peer cannot choose how long the line is.
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
        self.line(with_causes(what, error));
    }

    /// The same for what peers can bring about as often as they like, such as that the server is
    /// overloaded: at most one such line in ten seconds. The next one tells how many were left out.
    ///
    /// All clones of a stream count together, and so do all kinds of such errors.
    ///
    /// ```
    /// use gateway_core::{Error, ErrorStream, ServerError};
    ///
    /// let (errors, lines) = ErrorStream::memory();
    /// for _ in 0..1_000 {
    ///     errors.error_seldom("GET /", &Error::from(ServerError::Overloaded));
    /// }
    /// assert_eq!(lines.take(), ["GET /: all workers are busy and the queue is full"]);
    /// ```
    pub fn error_seldom(&self, what: impl Display, error: &(dyn std::error::Error + 'static)) {
        let pass =
            self.0.seldom.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now());
        match pass {
            None => {}
            Some((0, _)) => self.error(what, error),
            Some((left_out, since)) => self.line(format_args!(
                "{} ({left_out} lines of this kind were left out in the {} s before)",
                with_causes(what, error),
                since.as_secs()
            )),
        }
    }
}

fn with_causes(what: impl Display, error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{}: {error}", beginning(what));
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// As much of `what` as a line has room for.
fn beginning(what: impl Display) -> String {
    struct Beginning(String);

    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            const ROOM: usize = 200;
            let fits = text.floor_char_boundary(ROOM - self.0.len());
            self.0.push_str(&text[..fits]);
            if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
        }
    }

    let mut beginning = Beginning(String::new());
    if write!(beginning, "{what}").is_err() {
        beginning.0.push('…');
    }
    beginning.0
}

/// What the clones of a stream share.
struct Log<S: ?Sized> {
    seldom: Mutex<Seldom>,
    sink: S,
}

/// How long one line of what happens again and again is enough.
const QUIET: Duration = Duration::from_secs(10);

/// What has become of the lines that are to be seldom.
#[derive(Debug, Default)]
struct Seldom {
    written: Option<Instant>,
    left_out: u64,
}

impl Seldom {
    /// Whether one may be written `now`; then also how many could not, and since when one was.
    fn pass(&mut self, now: Instant) -> Option<(u64, Duration)> {
        let since = self.written.map_or(QUIET, |then| now.saturating_duration_since(then));
        if since < QUIET {
            self.left_out += 1;
            return None;
        }
        self.written = Some(now);
        Some((std::mem::take(&mut self.left_out), since))
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

    #[test]
    fn what_a_line_is_about_is_cut_between_characters() {
        let about = |what: String| {
            let (errors, lines) = ErrorStream::memory();
            errors.error(what, &std::io::Error::other("no"));
            lines.take().remove(0)
        };
        assert_eq!(about("a".repeat(200)), "a".repeat(200) + ": no");
        assert_eq!(about("a".repeat(60_000)), "a".repeat(200) + "…: no");
        assert_eq!(about("a".repeat(199) + "ü"), "a".repeat(199) + "…: no");
        assert_eq!(about("a".repeat(198) + "ü"), "a".repeat(198) + "ü: no");
    }

    /// The last piece would fit.
    #[test]
    fn nothing_follows_what_was_cut() {
        let (errors, lines) = ErrorStream::memory();
        let most = "a".repeat(199);
        errors.error(format_args!("{most}{}{}", "ü", "b"), &std::io::Error::other("no"));
        assert_eq!(lines.take(), [most + "…: no"]);
    }

    #[test]
    fn what_is_seldom_is_counted_meanwhile() {
        let begin = Instant::now();
        let mut seldom = Seldom::default();
        let mut at = |seconds| seldom.pass(begin + Duration::from_secs(seconds));
        assert_eq!(at(0), Some((0, QUIET)));
        assert_eq!([at(0), at(1), at(9)], [None; 3]);
        assert_eq!(at(12), Some((3, Duration::from_secs(12))));
        assert_eq!(at(21), None);
        assert_eq!(at(22), Some((1, QUIET)));
        assert_eq!(at(60), Some((0, Duration::from_secs(38))));
    }

    #[test]
    fn what_was_left_out_is_told_with_the_next_line() {
        let (errors, lines) = ErrorStream::memory();
        let long_ago = Instant::now().checked_sub(Duration::from_secs(12)).expect("it runs longer");
        *errors.0.seldom.lock().expect("nothing panics under it") =
            Seldom { written: Some(long_ago), left_out: 7 };
        errors.error_seldom("GET /", &crate::Error::from(crate::ServerError::Overloaded));
        let line = "GET /: all workers are busy and the queue is full \
                    (7 lines of this kind were left out in the 12 s before)";
        assert_eq!(lines.take(), [line]);
    }
}
