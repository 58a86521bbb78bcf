//! Opening files below a directory, so that no name leads out of it.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_core::{Body, FileBody};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::range::Span;
use crate::walk;

/// How to open what a peer named. A FIFO or a device must not block the thread that opens it, and
/// a terminal must not become the process's own.
pub(crate) const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A directory by its handle. What is below is opened relative to it: there is no check that an
/// open could come too late for.
#[derive(Debug)]
pub(crate) struct Root {
    handle: OwnedFd,
    way: Way,
    /// Whether the kernel can look without waiting: `RESOLVE_CACHED`.
    looks_at_once: bool,
}

/// What keeps names inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The kernel does: `openat2` with `RESOLVE_BENEATH`.
    #[cfg(target_os = "linux")]
    Beneath,
    /// This process does, one component at a time.
    Walk,
    /// Nothing does: symbolic links may lead out, by the operator's leave.
    Follow,
}

/// How far an open may go: to the disk, or only to what the kernel has at hand.
#[derive(Debug)]
pub(crate) struct Look {
    at_once: bool,
    missed: Cell<bool>,
}

impl Look {
    /// Waits for the disk where it must.
    pub(crate) fn patient() -> Look {
        Look { at_once: false, missed: Cell::new(false) }
    }

    /// Never waits: what is not at hand is [missed](Look::has_missed).
    pub(crate) fn at_once() -> Look {
        Look { at_once: true, missed: Cell::new(false) }
    }

    /// Whether something would have had to be waited for: then what was found out counts for
    /// nothing.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed.get()
    }

    /// Whether the next step, which may wait, is to be left out.
    pub(crate) fn leaves_out(&self) -> bool {
        if self.at_once {
            self.missed.set(true);
        }
        self.at_once
    }
}

/// What a name stands for. Whatever is neither of them is not found.
#[derive(Debug)]
pub(crate) enum Found {
    File(Opened),
    Directory(Opened),
}

/// An open file or directory.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) facts: Facts,
}

/// What the system says of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) len: u64,
    pub(crate) modified: Stamp,
    /// The last change of content or metadata, which no user can set back.
    pub(crate) changed: Stamp,
}

/// A point in time, in seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(crate) struct Stamp {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

impl Opened {
    /// The bytes `span` of the file as it was found: a server cuts them if it changes.
    pub(crate) fn part(self, span: Span) -> Body {
        let Facts { len, modified, .. } = self.facts;
        let body = FileBody::new(self.file, span.start, span.end - span.start);
        Body::File(match modified.time() {
            Some(modified) => body.unless_changed(len, modified),
            None => body,
        })
    }
}

impl Stamp {
    /// `None` where the system's clock does not reach.
    fn time(self) -> Option<SystemTime> {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let rest = Duration::from_nanos(self.nanoseconds.try_into().ok()?);
        let second = match self.seconds {
            ..0 => UNIX_EPOCH.checked_sub(whole),
            _ => UNIX_EPOCH.checked_add(whole),
        };
        second?.checked_add(rest)
    }
}

impl Root {
    /// Opens the directory once; what stands under its name later is of no account.
    pub(crate) fn open(path: &Path, follow_symlinks: bool) -> io::Result<Root> {
        let flags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
        // Searching the directory is enough; listing it is checked when it is asked for.
        #[cfg(target_os = "linux")]
        let flags = flags.union(OFlags::PATH);
        let handle = rustix::fs::open(path, flags, Mode::empty())?;
        let way = if follow_symlinks { Way::Follow } else { Way::inside(&handle) };
        let looks_at_once = way.looks_at_once(&handle);
        Ok(Root { handle, way, looks_at_once })
    }

    /// Whether [`Look::at_once`] may find something.
    pub(crate) fn looks_at_once(&self) -> bool {
        self.looks_at_once
    }

    /// Opens what `path` names: decoded segments, joined by `/`, none of them `.` or `..`; empty
    /// for the directory itself.
    pub(crate) fn find(&self, path: &[u8], look: &Look) -> Result<Found, Errno> {
        let handle = match self.way {
            #[cfg(target_os = "linux")]
            Way::Beneath if look.at_once => at_hand(&self.handle, path).inspect_err(|&error| {
                // Behind a mount point there may be anything.
                let is_miss = error == Errno::AGAIN || error == Errno::XDEV;
                look.missed.set(look.has_missed() || is_miss);
            }),
            _ if look.leaves_out() => Err(Errno::AGAIN),
            #[cfg(target_os = "linux")]
            Way::Beneath => beneath(&self.handle, path),
            Way::Walk => walk::open(&self.handle, path, OPEN),
            Way::Follow => rustix::fs::openat(&self.handle, or_dot(path), OPEN, Mode::empty()),
        }?;
        let stat = rustix::fs::fstat(&handle)?;
        let opened = Opened { facts: Facts::from(&stat), file: File::from(handle) };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Found::File(opened)),
            FileType::Directory => Ok(Found::Directory(opened)),
            _ => Err(Errno::NOENT),
        }
    }

    /// The same directory, with names kept inside by this process.
    #[cfg(test)]
    pub(crate) fn walking(path: &Path) -> Root {
        let root = Root::open(path, false).expect("the directory opens");
        Root { way: Way::Walk, ..root }
    }
}

impl Way {
    #[cfg(target_os = "linux")]
    fn inside(handle: &OwnedFd) -> Way {
        // Old kernels do not have it, and old sandboxes refuse what they do not know.
        match beneath(handle, b"") {
            Err(Errno::NOSYS | Errno::PERM) => Way::Walk,
            _ => Way::Beneath,
        }
    }

    #[cfg(target_os = "linux")]
    fn looks_at_once(self, handle: &OwnedFd) -> bool {
        // Kernels before 5.12 do not know the flag.
        self == Way::Beneath
            && is_local(handle)
            && !matches!(at_hand(handle, b""), Err(Errno::INVAL))
    }

    #[cfg(not(target_os = "linux"))]
    fn inside(_: &OwnedFd) -> Way {
        Way::Walk
    }

    #[cfg(not(target_os = "linux"))]
    fn looks_at_once(self, _: &OwnedFd) -> bool {
        false
    }
}

impl From<&Stat> for Facts {
    #[expect(clippy::unnecessary_cast, reason = "the types are others on other systems")]
    fn from(stat: &Stat) -> Facts {
        let stamp = |seconds, nanoseconds| Stamp { seconds, nanoseconds };
        Facts {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            len: stat.st_size as u64,
            modified: stamp(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: stamp(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

/// Fails if `file` is no longer what `facts` say. A file that was only renamed or unlinked is still
/// the same, so the change time does not count.
pub(crate) fn check_unchanged(file: &File, facts: &Facts) -> io::Result<()> {
    let now = Facts::from(&rustix::fs::fstat(file)?);
    if now.len == facts.len && now.modified == facts.modified {
        return Ok(());
    }
    Err(io::Error::other("the file changed while it was sent"))
}

/// Opens what needs no disk to be found; [`Errno::AGAIN`] for everything else.
#[cfg(target_os = "linux")]
fn at_hand(handle: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV
        | ResolveFlags::CACHED;
    openat2(handle, or_dot(path), OPEN, Mode::empty(), resolve)
}

/// Whether the file system is one that answers by itself, once the kernel knows the name. One of the
/// network, or in user space, may ask somebody else in open(2) and fstat(2).
#[cfg(target_os = "linux")]
fn is_local(handle: &OwnedFd) -> bool {
    /// ext, XFS, Btrfs, F2FS, ZFS, bcachefs, tmpfs, ramfs, overlayfs.
    const LOCAL: [u32; 9] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x2fc1_2fc1,
        0xca45_1a4e,
        0x0102_1994,
        0x8584_58f6,
        0x794c_7630,
    ];
    let kind = rustix::fs::fstatfs(handle).map(|system| u32::try_from(system.f_type));
    matches!(kind, Ok(Ok(kind)) if LOCAL.contains(&kind))
}

#[cfg(target_os = "linux")]
fn beneath(handle: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // `..` in a link's target races with renames anywhere: the kernel then asks for another try.
    for _ in 0..16 {
        match openat2(handle, or_dot(path), OPEN, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            outcome => return outcome,
        }
    }
    walk::open(handle, path, OPEN)
}

fn or_dot(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    const SECRET: &[u8] = b"secret";

    /// `root` with a file, links that stay inside and links that leave; `outside` beside it.
    fn tree() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("root/sub/deep")).expect("it can be made");
        fs::create_dir(at("outside")).expect("it can be made");
        fs::write(at("outside/file"), SECRET).expect("it can be written");
        fs::write(at("root/file"), "inside").expect("it can be written");
        fs::write(at("root/sub/deep/file"), "inside").expect("it can be written");
        for (link, target) in [
            ("to-file", "file"),
            ("to-dir", "sub"),
            ("to-dir-slash", "sub/"),
            ("to-dot", "."),
            ("sub/up", "../file"),
            ("sub/deep/round", "../../sub/../to-dir/deep/file"),
            ("out", "../outside"),
            ("out-file", "../outside/file"),
            ("out-and-in", "../root/file"),
            ("sub/deep/out", "../../../outside"),
            ("absolute", "/etc/passwd"),
            ("proc", "/proc/self/root"),
            ("loop", "loop"),
            ("broken", "nothing"),
        ] {
            symlink(target, at("root").join(link)).expect("a link can be made");
        }
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("root/fifo"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .expect("a FIFO can be made");
        directory
    }

    fn both_ways(directory: &Path) -> [Root; 2] {
        let path = directory.join("root");
        [Root::open(&path, false).expect("it opens"), Root::walking(&path)]
    }

    #[test]
    fn both_ways_find_the_same() {
        let directory = tree();
        for root in both_ways(directory.path()) {
            for (name, expected) in [
                ("", Some("directory")),
                ("file", Some("file")),
                ("sub", Some("directory")),
                ("sub/deep/file", Some("file")),
                ("to-file", Some("file")),
                ("to-dir", Some("directory")),
                ("to-dir/deep/file", Some("file")),
                ("to-dir-slash", Some("directory")),
                ("to-dot", Some("directory")),
                ("to-dot/file", Some("file")),
                ("sub/up", Some("file")),
                ("sub/deep/round", Some("file")),
                ("out", None),
                ("out/file", None),
                ("out-file", None),
                ("out-and-in", None),
                ("sub/deep/out/file", None),
                ("absolute", None),
                ("proc", None),
                ("proc/etc/passwd", None),
                ("loop", None),
                ("loop/file", None),
                ("broken", None),
                ("fifo", None),
                ("file/file", None),
                ("..", None),
                ("sub/../../outside/file", None),
                ("nothing", None),
            ] {
                let found = match root.find(name.as_bytes(), &Look::patient()) {
                    Ok(Found::File(_)) => Some("file"),
                    Ok(Found::Directory(_)) => Some("directory"),
                    Err(_) => None,
                };
                assert_eq!(found, expected, "{name:?} by {:?}", root.way);
            }
        }
    }

    #[test]
    fn links_may_leave_where_the_operator_allows_it() {
        let directory = tree();
        let root = Root::open(&directory.path().join("root"), true).expect("it opens");
        assert!(matches!(root.find(b"out/file", &Look::patient()), Ok(Found::File(_))));
    }

    #[test]
    fn a_directory_that_becomes_a_link_during_a_request_leads_nowhere() {
        let directory = tree();
        let at = |name: &str| directory.path().join("root").join(name);
        fs::create_dir(at("swapped")).expect("it can be made");
        fs::write(at("swapped/file"), "inside").expect("it can be written");
        let roots = both_ways(directory.path());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::rename(at("swapped"), at("away")).expect("it can be renamed");
                    symlink("../outside", at("swapped")).expect("a link can be made");
                    fs::remove_file(at("swapped")).expect("it can be removed");
                    fs::rename(at("away"), at("swapped")).expect("it can be renamed");
                }
            });
            for _ in 0..5_000 {
                for root in &roots {
                    if let Ok(Found::File(opened)) = root.find(b"swapped/file", &Look::patient()) {
                        let content = io::read_to_string(opened.file).expect("it can be read");
                        assert_eq!(content, "inside", "{:?}", root.way);
                    }
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
