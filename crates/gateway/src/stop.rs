//! What signals do to a server.

use std::os::raw::c_int;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use std::{fs, io, mem, thread};

use gateway_core::{Application, Handle, Server, ServerError, Stopped};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::console;

/// How long requests may take to finish after a signal.
pub const GRACE: Duration = Duration::from_secs(25);

/// How long the server may take to end once the grace is over.
const OVERTIME: Duration = Duration::from_secs(2);

/// How long the server may take to end at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Why a server did not serve.
#[derive(Debug)]
pub enum LaunchError {
    /// The server says so.
    Server(ServerError),
    /// What the system did not do, and why.
    Io(&'static str, io::Error),
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To let requests finish, and end.
    Begin,
    /// To end at once.
    AtOnce,
    /// Nothing that is not done already.
    Nothing,
}

/// What has been asked for so far.
///
/// SIGINT and SIGTERM are somebody's wish, and a second one is a more urgent wish. SIGHUP only tells
/// that a terminal has gone. It may come more than once, from the shell and from the system, or
/// together with a SIGTERM, in any order: so it begins an end, and never hastens one.
#[derive(Debug, Default)]
pub struct Stopping {
    begun: bool,
    wishes: u32,
}

impl Stopping {
    /// Whether it is to end at all.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether it is to end at once.
    pub fn is_urgent(&self) -> bool {
        self.wishes > 1
    }

    /// Takes note of `signal`.
    pub fn ask(&mut self, signal: c_int) -> Asked {
        let wish = signal != SIGHUP;
        self.wishes += u32::from(wish);
        match mem::replace(&mut self.begun, true) {
            false => Asked::Begin,
            true if wish && self.is_urgent() => Asked::AtOnce,
            true => Asked::Nothing,
        }
    }
}

/// The signals that end a server. Without SIGHUP where that is ignored, as `nohup` has it: to listen
/// to a signal is to ignore it no more.
pub fn signals() -> Vec<c_int> {
    let status = fs::read("/proc/self/status").unwrap_or_default();
    let hangup = !is_ignored(SIGHUP, &String::from_utf8_lossy(&status));
    [SIGINT, SIGTERM].into_iter().chain(hangup.then_some(SIGHUP)).collect()
}

/// Whether `status`, of Linux' proc(5), says so of `signal`.
fn is_ignored(signal: c_int, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Serves `app` until signals stop it; `ready` is called when signals are heard and peers may come.
/// What is said from then on waits for [`console::finish`].
///
/// # Errors
///
/// If there are no signals or threads to be had, and those of the server.
pub fn launch(
    server: impl Server,
    app: Box<dyn Application>,
    verbose: bool,
    ready: impl FnOnce(),
) -> Result<ExitCode, LaunchError> {
    let code = stop_on_signals(server.handle(), verbose)
        .map_err(|source| LaunchError::Io("listen to signals", source))?;
    console::keep_notes();
    ready();
    let stopped = gateway_core::run(server, app).map_err(LaunchError::Server)?;
    if verbose || stopped != Stopped::default() {
        console::note(stopped);
    }
    Ok(ExitCode::from(code.load(Ordering::Relaxed)))
}

/// The exit code is 0, or 128 and the signal's number after one that ends at once.
fn stop_on_signals(handle: Handle, verbose: bool) -> io::Result<Arc<AtomicU8>> {
    let mut signals = Signals::new(signals())?;
    let code = Arc::new(AtomicU8::new(0));
    let ended = Arc::clone(&code);
    let wait = move || {
        let mut stopping = Stopping::default();
        for signal in signals.forever() {
            match stopping.ask(signal) {
                Asked::Nothing => {}
                Asked::Begin => {
                    if verbose {
                        say_stopping(signal);
                    }
                    handle.shutdown(GRACE);
                    end_in_any_case();
                }
                Asked::AtOnce => {
                    let exit = u8::try_from(128 + signal).unwrap_or(1);
                    ended.store(exit, Ordering::Relaxed);
                    handle.shutdown(Duration::ZERO);
                    // Usually the process is gone before; but nothing that hangs may keep it.
                    thread::sleep(AT_ONCE);
                    console::finish();
                    std::process::exit(exit.into());
                }
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(code)
}

/// Ends the process when the server has not, though the grace is over: an application holds the
/// thread that the server itself needs.
fn end_in_any_case() {
    let wait = || {
        thread::sleep(GRACE + OVERTIME);
        console::note("stopped; the application does not give back the server's own thread");
        console::finish();
        std::process::exit(0);
    };
    // Without a thread, a further signal is left.
    let _ = thread::Builder::new().name("end".into()).spawn(wait);
}

/// Says what `signal` began.
pub fn say_stopping(signal: c_int) {
    let seconds = GRACE.as_secs();
    let hint = if signal == SIGHUP { "" } else { " Once more ends at once." };
    console::note(format_args!("Stopping; requests have {seconds} s to finish.{hint}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_wish_is_urgent_and_a_hangup_is_none() {
        use Asked::{AtOnce, Begin, Nothing};
        for (signals, expected) in [
            (&[SIGINT, SIGTERM, SIGINT][..], &[Begin, AtOnce, AtOnce][..]),
            (&[SIGHUP, SIGHUP, SIGHUP], &[Begin, Nothing, Nothing]),
            (&[SIGTERM, SIGHUP, SIGTERM, SIGHUP], &[Begin, Nothing, AtOnce, Nothing]),
            (&[SIGHUP, SIGTERM, SIGINT], &[Begin, Nothing, AtOnce]),
        ] {
            let mut stopping = Stopping::default();
            let asked: Vec<_> = signals.iter().map(|signal| stopping.ask(*signal)).collect();
            assert_eq!(asked, expected, "{signals:?}");
        }
    }

    #[test]
    fn the_system_tells_what_is_ignored() {
        let status = |mask: &str| format!("Name:\tgateway\nSigBlk:\t1\nSigIgn:\t{mask}\n");
        assert!(is_ignored(SIGHUP, &status("0000000000001001")));
        assert!(!is_ignored(SIGHUP, &status("0000000000001006")));
        assert!(is_ignored(SIGINT, &status("0000000000000002")));
        for odd in ["", "SigIgn:\n", "SigIgn:\tx\n"] {
            assert!(!is_ignored(SIGHUP, odd), "{odd}");
        }
    }
}
