//! Listings that were made a moment ago.
//!
//! A listing costs as much as its directory is large, and a request for it a few bytes. So a directory
//! is read by one at a time, and those who ask meanwhile, or within a moment, are sent the same page:
//! of the same memory, however slowly they read it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gateway_core::Result;
use gateway_core::bytes::Bytes;

use crate::root::Facts;
use crate::validators::is_settled;

/// How old a listing may be. Entries that came, went or were renamed are seen at once, as they change
/// the directory; sizes and dates of the others may be so old.
const FRESH: Duration = Duration::from_secs(1);

/// Beyond so many bytes, or directories, the listing that was asked for least lately is given up.
const MOST_BYTES: usize = 32 << 20;
const MOST_DIRECTORIES: usize = 64;

/// The listings of one tree.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// Who was asked for last is the last.
    directories: Mutex<Vec<Arc<Directory>>>,
}

#[derive(Debug)]
struct Directory {
    /// Device and inode.
    identity: (u64, u64),
    /// Locked while it is read.
    page: Mutex<Option<Page>>,
    bytes: AtomicUsize,
}

#[derive(Debug)]
struct Page {
    facts: Facts,
    href: String,
    json: bool,
    made: Instant,
    text: Bytes,
}

impl Recent {
    /// The listing of the directory with these `facts`, at `href`, for programs or for people. `make`
    /// makes it if there is none that will do; it may block, and so does this.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub(super) fn get(
        &self,
        facts: Facts,
        href: &str,
        json: bool,
        make: impl FnOnce() -> Result<String>,
    ) -> Result<Bytes> {
        let directory = self.directory((facts.device, facts.inode));
        let mut page = lock(&directory.page);
        if let Some(page) = &*page
            && page.facts == facts
            && page.json == json
            && page.href == href
            && page.made.elapsed() < FRESH
        {
            return Ok(page.text.clone());
        }
        let (made, begun) = (Instant::now(), SystemTime::now());
        *page = None;
        let text = Bytes::from(make()?);
        // Otherwise a change since then might not be seen by the facts.
        if is_settled(facts.changed, begun) {
            directory.bytes.store(text.len(), Ordering::Relaxed);
            *page = Some(Page { facts, href: href.to_owned(), json, made, text: text.clone() });
            drop(page);
            self.trim();
        }
        Ok(text)
    }

    fn directory(&self, identity: (u64, u64)) -> Arc<Directory> {
        let mut directories = lock(&self.directories);
        let known = directories.iter().position(|directory| directory.identity == identity);
        let directory = match known {
            Some(at) => directories.remove(at),
            None => Arc::new(Directory {
                identity,
                page: Mutex::default(),
                bytes: AtomicUsize::default(),
            }),
        };
        directories.push(Arc::clone(&directory));
        directory
    }

    fn trim(&self) {
        let mut directories = lock(&self.directories);
        let size = |directory: &Arc<Directory>| directory.bytes.load(Ordering::Relaxed);
        let mut bytes: usize = directories.iter().map(size).sum();
        let mut given_up = 0;
        while given_up + 1 < directories.len()
            && (bytes > MOST_BYTES || directories.len() - given_up > MOST_DIRECTORIES)
        {
            bytes -= size(&directories[given_up]);
            given_up += 1;
        }
        directories.drain(..given_up);
    }
}

/// What is under the locks is whole at any time, so a poisoned one is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::root::Stamp;

    /// A directory that last changed long ago.
    fn directory(inode: u64) -> Facts {
        let long_ago = Stamp { seconds: 1_000, nanoseconds: 1 };
        Facts { inode, modified: long_ago, changed: long_ago, ..Facts::default() }
    }

    /// Whether `get` makes a page anew.
    fn makes(recent: &Recent, facts: Facts, href: &str, json: bool, length: usize) -> bool {
        let mut made = false;
        let page = recent.get(facts, href, json, || {
            made = true;
            Ok("x".repeat(length))
        });
        assert_eq!(page.expect("it is made").len(), length);
        made
    }

    #[test]
    fn it_is_made_once_for_the_same_and_anew_for_another() {
        let recent = Recent::default();
        let facts = directory(1);
        assert!(makes(&recent, facts, "/a/", false, 9));
        assert!(!makes(&recent, facts, "/a/", false, 9));
        assert!(makes(&recent, facts, "/a/", true, 8));
        assert!(makes(&recent, facts, "/b/", true, 8));
        assert!(!makes(&recent, facts, "/b/", true, 8));
        let changed = Facts { changed: Stamp { seconds: 2_000, nanoseconds: 1 }, ..facts };
        assert!(makes(&recent, changed, "/b/", true, 8));
        assert!(makes(&recent, directory(2), "/b/", true, 8));
        assert!(!makes(&recent, changed, "/b/", true, 8), "one beside the other");
    }

    #[test]
    fn what_fails_is_tried_again() {
        let recent = Recent::default();
        let failed =
            recent.get(directory(1), "/", false, || Err(std::io::Error::other("no").into()));
        assert!(failed.is_err());
        assert!(makes(&recent, directory(1), "/", false, 1));
    }

    #[test]
    fn a_directory_that_just_changed_is_read_each_time() {
        let recent = Recent::default();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
        let seconds = i64::try_from(now.as_secs()).expect("it is not that late") + 100;
        let changed = Stamp { seconds, nanoseconds: 1 };
        let facts = Facts { changed, ..directory(1) };
        assert!(makes(&recent, facts, "/", false, 1));
        assert!(makes(&recent, facts, "/", false, 1));
    }

    #[test]
    fn it_is_not_kept_for_long() {
        let recent = Recent::default();
        assert!(makes(&recent, directory(1), "/", false, 1));
        let kept = Arc::clone(&lock(&recent.directories)[0]);
        let earlier = lock(&kept.page).as_ref().and_then(|page| page.made.checked_sub(FRESH));
        lock(&kept.page).as_mut().expect("it was made").made = earlier.expect("there was a time");
        assert!(makes(&recent, directory(1), "/", false, 1));
    }

    #[test]
    fn those_who_ask_meanwhile_wait_for_the_same() {
        const ALL: usize = 8;
        let recent = Recent::default();
        let (begin, times) = (Barrier::new(ALL), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..ALL {
                scope.spawn(|| {
                    begin.wait();
                    let page = recent.get(directory(1), "/", false, || {
                        times.fetch_add(1, Ordering::Relaxed);
                        Ok("page".to_owned())
                    });
                    assert_eq!(page.expect("it is made"), "page");
                });
            }
        });
        assert_eq!(times.into_inner(), 1);
    }

    #[test]
    fn the_least_lately_asked_for_go_first_and_one_is_always_kept() {
        let recent = Recent::default();
        let half = MOST_BYTES / 2;
        assert!(makes(&recent, directory(1), "/", false, half));
        assert!(makes(&recent, directory(2), "/", false, half));
        assert!(!makes(&recent, directory(1), "/", false, half));
        assert!(makes(&recent, directory(3), "/", false, 1));
        assert!(!makes(&recent, directory(1), "/", false, half), "asked for after the second");
        assert!(makes(&recent, directory(2), "/", false, half), "given up");
        assert!(makes(&recent, directory(4), "/", false, 2 * MOST_BYTES));
        assert!(!makes(&recent, directory(4), "/", false, 2 * MOST_BYTES));
        for inode in 10..=10 + MOST_DIRECTORIES as u64 {
            assert!(makes(&recent, directory(inode), "/", false, 1));
        }
        assert_eq!(lock(&recent.directories).len(), MOST_DIRECTORIES);
        assert!(makes(&recent, directory(10), "/", false, 1));
    }
}
