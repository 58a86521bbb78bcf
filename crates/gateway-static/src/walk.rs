//! Opening below a directory where the kernel does not know how to stay inside.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

/// How many links one name may lead through, as on Linux.
const LINKS: usize = 40;

/// Opens `path` below `root`, one component at a time.
///
/// No component is opened through a link: links are read, and their targets walked like the rest.
/// `..` goes back to a handle that was passed on the way, never to whatever the directory's parent
/// has become; above `root` there is none.
pub(crate) fn open(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Passing through takes no permission to read.
    #[cfg(target_os = "linux")]
    let directory = directory | OFlags::PATH;
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut ahead: VecDeque<Vec<u8>> = components(path).collect();
    let mut links = 0;
    while let Some(component) = ahead.pop_front() {
        if component == b".." {
            passed.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let at = passed.last().unwrap_or(root).as_fd();
        let is_last = ahead.is_empty();
        let wanted = if is_last { flags } else { directory };
        match openat(at, &*component, wanted | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(handle) if is_last => return Ok(handle),
            Ok(handle) => passed.push(handle),
            // Which of them says "this is a link" depends on the system and the flags.
            Err(error @ (Errno::LOOP | Errno::NOTDIR | Errno::MLINK)) => {
                let target = readlinkat(at, &*component, Vec::new()).map_err(|_| error)?;
                let target = target.as_bytes();
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP);
                }
                if target.starts_with(b"/") {
                    return Err(Errno::XDEV);
                }
                for component in components(target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(component);
                }
            }
            Err(error) => return Err(error),
        }
    }
    openat(passed.last().unwrap_or(root), c".", flags, Mode::empty())
}

fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|&b| b == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
        .map(<[u8]>::to_vec)
}
