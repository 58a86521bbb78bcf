//! Lines for somebody who may be slow to read them, or may have stopped: nobody else waits for that.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, mem, thread};

/// Bytes of lines that may wait to be written: some seconds of a busy server's.
const MOST: usize = 4 << 20;

/// POSIX's least `PIPE_BUF` on Linux: what is written at once up to it stays together, also where an
/// old and a new process of an application write to the same pipe.
const TOGETHER: usize = 4096;

/// What a thread writes, in the order in which it was handed over. Beyond [`MOST`] bytes lines are
/// lost, and whoever hands them over goes on: to answer requests is worth more than to log them.
#[derive(Clone)]
pub(crate) struct Backlog {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that did not fit and of which nobody has been told.
    lost: u64,
    /// The thread has taken lines, and is not through with them.
    writing: bool,
}

impl Backlog {
    /// Writes to `out` from a thread of its own. When there is room again after lines were lost, `tell`
    /// is told how many.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub(crate) fn new(
        out: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Backlog> {
        let shared = Arc::<Shared>::default();
        let backlog = Backlog { shared: Arc::clone(&shared) };
        let write = move || shared.write(out, tell);
        thread::Builder::new().name("lines".into()).spawn(write)?;
        Ok(backlog)
    }

    /// Waits until all is written, or until `most` is over.
    pub(crate) fn drain(&self, most: Duration) {
        let is_busy = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        let waiting = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(waiting, most, is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Takes whole lines.
impl Write for Backlog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.shared.lock();
        if waiting.lines.len() + line.len() > MOST {
            waiting.lost += 1;
            return Ok(line.len());
        }
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.shared.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn write(&self, mut out: impl Write, tell: impl Fn(u64)) {
        let mut lines = Vec::new();
        loop {
            let mut waiting = self.lock();
            waiting.writing = false;
            self.changed.notify_all();
            while waiting.lines.is_empty() {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            lines.clear();
            mem::swap(&mut lines, &mut waiting.lines);
            waiting.writing = true;
            let lost = mem::take(&mut waiting.lost);
            drop(waiting);
            if lost > 0 {
                tell(lost);
            }
            let mut rest = &lines[..];
            while !rest.is_empty() {
                let (some, others) = rest.split_at(whole_lines(rest));
                // Whoever reads it may have gone, which is no reason not to serve.
                let _ = out.write_all(some).and_then(|()| out.flush());
                rest = others;
            }
        }
    }

    /// Nothing under the lock can panic half way, so a poisoned one is sound.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").finish_non_exhaustive()
    }
}

/// Whether a write to it may wait for somebody: it is a pipe, a socket or a terminal. What cannot be
/// asked is taken for one.
pub(crate) fn may_block(fd: impl AsFd) -> bool {
    let kind = || fd.as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    kind().map_or(true, |kind| {
        let kind = kind.file_type();
        let is_device = kind.is_char_device() && !io::IsTerminal::is_terminal(&fd.as_fd());
        !(kind.is_file() || is_device)
    })
}

/// How many bytes of `lines` are as many lines as stay together, or one that is longer.
fn whole_lines(lines: &[u8]) -> usize {
    let is_end = |byte: &u8| *byte == b'\n';
    let end = match lines.len() <= TOGETHER {
        true => Some(lines.len() - 1),
        false => {
            let last = lines[..TOGETHER].iter().rposition(is_end);
            last.or_else(|| lines.iter().position(is_end))
        }
    };
    end.map_or(lines.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const LONG: Duration = Duration::from_secs(60);

    /// Says when it is to write, and then waits until it may.
    struct Gate {
        at: Sender<Vec<u8>>,
        open: Receiver<()>,
    }

    impl Write for Gate {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            self.at.send(lines.to_vec()).unwrap();
            self.open.recv().unwrap();
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_lost_is_counted() {
        let (at, reached) = channel();
        let (open, opened) = channel();
        let (tell, told) = channel();
        let gate = Gate { at, open: opened };
        let mut backlog = Backlog::new(gate, move |lost| tell.send(lost).unwrap()).unwrap();
        backlog.write_all(b"first\n").unwrap();
        assert_eq!(reached.recv_timeout(LONG).unwrap(), b"first\n");
        let line = [[b'a'; TOGETHER - 1].as_slice(), b"\n"].concat();
        let (kept, lost) = (MOST / line.len(), 7);
        for _ in 0..kept + lost {
            assert_eq!(backlog.write(&line).unwrap(), line.len());
        }
        backlog.drain(Duration::ZERO);
        open.send(()).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), lost as u64);
        // Whoever has been told finds room.
        backlog.write_all(b"last\n").unwrap();
        for _ in 0..kept {
            assert_eq!(reached.recv_timeout(LONG).unwrap(), line);
            open.send(()).unwrap();
        }
        assert_eq!(reached.recv_timeout(LONG).unwrap(), b"last\n");
        open.send(()).unwrap();
        backlog.drain(LONG);
        assert!(told.try_recv().is_err(), "it is told once");
    }

    #[test]
    fn what_is_drained_has_been_written() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut backlog = Backlog::new(theirs, |_| ()).unwrap();
        backlog.drain(LONG);
        backlog.write_all(b"line\n").unwrap();
        backlog.drain(LONG);
        ours.set_nonblocking(true).unwrap();
        let mut got = [0; 9];
        assert_eq!(ours.read(&mut got).unwrap(), 5);
    }

    #[test]
    fn a_reader_that_has_gone_does_no_harm() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        let mut backlog = Backlog::new(theirs, |_| ()).unwrap();
        for _ in 0..3 {
            backlog.write_all(b"line\n").unwrap();
            backlog.drain(LONG);
        }
    }

    #[test]
    fn lines_are_written_as_wholes() {
        assert_eq!(whole_lines(b"one\ntwo\n"), 8);
        let (short, long) = ([b'a'; 99].as_slice(), [b'b'; TOGETHER].as_slice());
        let both = [short, b"\n", long, b"\n", short, b"\n"].concat();
        assert_eq!(whole_lines(&both), 100);
        assert_eq!(whole_lines(&both[100..]), TOGETHER + 1);
        assert_eq!(whole_lines(long), TOGETHER);
    }

    #[test]
    fn files_keep_nobody_waiting() {
        assert!(!may_block(tempfile::tempfile().unwrap()));
        assert!(!may_block(File::open("/dev/null").unwrap()));
        assert!(may_block(UnixStream::pair().unwrap().0));
        assert!(may_block(io::pipe().unwrap().1));
    }
}
