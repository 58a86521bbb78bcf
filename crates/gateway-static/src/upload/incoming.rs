//! Files that are not complete yet.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, unlinkat};
use rustix::io::Errno;

use crate::path::UNFINISHED;

/// What the process's mask takes away from. Nothing that is uploaded can be executed.
const MODE: Mode = Mode::from_raw_mode(0o666);

/// A file without a name, until it is [kept](Incoming::keep). Dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Incoming<'d> {
    directory: BorrowedFd<'d>,
    file: File,
    /// Its hidden name, where the file system has no files without one.
    temporary: Option<Vec<u8>>,
}

impl<'d> Incoming<'d> {
    /// A new file on the file system of `directory`.
    pub(crate) fn create(directory: BorrowedFd<'d>) -> Result<Incoming<'d>, Errno> {
        match unnamed(directory) {
            Ok(file) => Ok(Incoming { directory, file, temporary: None }),
            // The kernel, the file system or a sandbox does not know the flag. Who may not write
            // here is told so by the other way as well.
            Err(_) => Incoming::with_name(directory),
        }
    }

    /// A file with a hidden name. A process that is killed leaves it behind.
    fn with_name(directory: BorrowedFd<'d>) -> Result<Incoming<'d>, Errno> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let number = format!("{}-{number}", std::process::id());
            let name = [UNFINISHED, number.as_bytes()].concat();
            match openat(directory, &*name, flags, MODE) {
                // Left behind by another process of this number.
                Err(Errno::EXIST) => {}
                outcome => {
                    let file = File::from(outcome?);
                    return Ok(Incoming { directory, file, temporary: Some(name) });
                }
            }
        }
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Errno> {
        self.file.write_all(data).map_err(|error| errno(&error))
    }

    /// Puts the file into its directory as `name`, with all that was written.
    ///
    /// # Errors
    ///
    /// [`Errno::EXIST`] if there is anything of this name; the file is gone then, as after any error.
    pub(crate) fn keep(mut self, name: &[u8]) -> Result<(), Errno> {
        // What a file system holds back may still fail, and a power failure would leave a name
        // without its content.
        match self.file.sync_data().map_err(|error| errno(&error)) {
            // Where there is nothing to sync.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => {}
            Err(error) => return Err(error),
        }
        match self.temporary.take() {
            None => link_unnamed(&self.file, self.directory, name),
            Some(temporary) => {
                let outcome = rename(self.directory, &temporary, name);
                if outcome.is_err() {
                    // So that it is removed.
                    self.temporary = Some(temporary);
                }
                outcome
            }
        }
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Nobody could be told, and nobody sees it.
            let _ = unlinkat(self.directory, &**temporary, AtFlags::empty());
        }
    }
}

#[cfg(target_os = "linux")]
fn unnamed(directory: BorrowedFd<'_>) -> Result<File, Errno> {
    use rustix::fs::{Access, accessat};

    let file = File::from(openat(
        directory,
        c".",
        OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC,
        MODE,
    )?);
    // Without it there would be no way to a name.
    accessat(rustix::fs::CWD, handle_path(&file), Access::EXISTS, AtFlags::empty())?;
    Ok(file)
}

#[cfg(target_os = "linux")]
fn link_unnamed(file: &File, directory: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    linkat(rustix::fs::CWD, handle_path(file), directory, name, AtFlags::SYMLINK_FOLLOW)
}

#[cfg(target_os = "linux")]
fn handle_path(file: &File) -> String {
    use std::os::fd::AsRawFd;

    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: BorrowedFd<'_>) -> Result<File, Errno> {
    Err(Errno::NOTSUP)
}

#[cfg(not(target_os = "linux"))]
fn link_unnamed(_: &File, _: BorrowedFd<'_>, _: &[u8]) -> Result<(), Errno> {
    Err(Errno::NOTSUP)
}

/// Gives `from` another name, unless there is something of it.
fn rename(directory: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> Result<(), Errno> {
    #[cfg(target_os = "linux")]
    match rustix::fs::renameat_with(
        directory,
        from,
        directory,
        to,
        rustix::fs::RenameFlags::NOREPLACE,
    ) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        outcome => return outcome,
    }
    linkat(directory, from, directory, to, AtFlags::empty())?;
    // The file is in its place; what is left of this name is hidden.
    let _ = unlinkat(directory, from, AtFlags::empty());
    Ok(())
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    type Create = for<'d> fn(BorrowedFd<'d>) -> Result<Incoming<'d>, Errno>;

    /// A file of each kind, in a directory of its own.
    fn both_ways(check: impl Fn(&Path, BorrowedFd<'_>, Create)) {
        let ways: [Create; 2] = [|at| Incoming::create(at), |at| Incoming::with_name(at)];
        for create in ways {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let handle = File::open(directory.path()).expect("it opens");
            check(directory.path(), handle.as_fd(), create);
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("it can be read");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        entries.map(|entry| name(entry).into_string().expect("text")).collect()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_has_no_name_where_that_is_possible() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let handle = File::open(directory.path()).expect("it opens");
        let _file = Incoming::create(handle.as_fd()).expect("it can be made");
        // All usual file systems of Linux have such files.
        assert_eq!(names(directory.path()), <[&str; 0]>::default());
    }

    #[test]
    fn a_file_that_is_kept_is_whole_and_cannot_be_executed() {
        both_ways(|directory, handle, create| {
            let mut file = create(handle).expect("it can be made");
            file.write(b"some ").expect("it can be written");
            file.write(b"text").expect("it can be written");
            file.keep(b"a name").expect("the name is free");
            assert_eq!(names(directory), ["a name"]);
            assert_eq!(fs::read(directory.join("a name")).expect("it is there"), b"some text");
            // The mask of the process, by what it does to another file.
            File::create(directory.join("other")).expect("it can be made");
            let mode =
                |name| fs::metadata(directory.join(name)).expect("there").permissions().mode();
            assert_eq!(mode("a name"), mode("other"));
            assert_eq!(mode("a name") & 0o111, 0);
        });
    }

    #[test]
    fn a_file_that_is_dropped_leaves_nothing_behind() {
        both_ways(|directory, handle, create| {
            let mut file = create(handle).expect("it can be made");
            file.write(b"half").expect("it can be written");
            assert!(names(directory).iter().all(|name| name.starts_with(".gateway-upload-")));
            drop(file);
            assert_eq!(names(directory), <[&str; 0]>::default());
        });
    }

    #[test]
    fn nothing_is_overwritten() {
        both_ways(|directory, handle, create| {
            fs::write(directory.join("file"), "old").expect("it can be written");
            fs::create_dir(directory.join("directory")).expect("it can be made");
            symlink("nowhere", directory.join("link")).expect("it can be made");
            for name in ["file", "directory", "link"] {
                let mut file = create(handle).expect("it can be made");
                file.write(b"new").expect("it can be written");
                assert_eq!(file.keep(name.as_bytes()), Err(Errno::EXIST), "{name}");
            }
            assert_eq!(fs::read(directory.join("file")).expect("it is there"), b"old");
            assert_eq!(names(directory).len(), 3, "{:?}", names(directory));
        });
    }

    #[test]
    fn a_name_that_somebody_has_left_behind_is_passed_over() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let handle = File::open(directory.path()).expect("it opens");
        let first = Incoming::with_name(handle.as_fd()).expect("it can be made");
        let name = first.temporary.clone().expect("it has one");
        let text = String::from_utf8(name).expect("it is text");
        let (start, number) = text.rsplit_once('-').expect("it has a number");
        let next: u64 = number.parse().expect("it is a number");
        for number in next + 1..next + 50 {
            File::create(directory.path().join(format!("{start}-{number}"))).expect("a file");
        }
        let second = Incoming::with_name(handle.as_fd()).expect("it can be made");
        assert_ne!(first.temporary, second.temporary);
    }
}
