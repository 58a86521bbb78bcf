//! What is written to a writer, write by write.

use std::io;
use std::sync::{Arc, Mutex};

/// A writer that keeps each write by itself; clones have the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<String>>>);

impl Written {
    /// The lines that have come so far, each of which was one write.
    #[track_caller]
    pub(crate) fn take(&self) -> Vec<String> {
        let writes = std::mem::take(&mut *self.0.lock().expect("nobody panics"));
        let lines = writes.into_iter().map(|write| {
            let line = write.strip_suffix('\n').expect("a whole line");
            assert!(!line.contains(char::is_control), "{line:?}");
            line.to_owned()
        });
        lines.collect()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).map_err(io::Error::other)?;
        self.0.lock().expect("nobody panics").push(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
