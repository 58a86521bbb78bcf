//! Listings that were made a moment ago.
//!
//! A listing costs as much as its directory is large, and a request for it a few bytes. So it is made
//! by one at a time, and those who ask meanwhile, or within a moment, are sent the same page: of the
//! same memory, however slowly they read it.

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

/// Beyond so many bytes, or listings, that which was asked for least lately is given up.
const MOST_BYTES: usize = 32 << 20;
const MOST_LISTINGS: usize = 64;

/// The listings of one tree.
#[derive(Debug)]
pub(crate) struct Recent {
    /// Who was asked for last is the last.
    listings: Mutex<Vec<Arc<Listing>>>,
    fresh: Duration,
}

#[derive(Debug)]
struct Listing {
    subject: Subject,
    /// Locked while it is made.
    page: Mutex<Option<Page>>,
    bytes: AtomicUsize,
}

/// What is listed, and how.
#[derive(Debug, PartialEq, Eq)]
struct Subject {
    device: u64,
    inode: u64,
    href: String,
    json: bool,
}

#[derive(Debug)]
struct Page {
    /// The directory before it was read.
    facts: Facts,
    /// Whether a change since then is to be seen by other facts.
    is_settled: bool,
    begun: Instant,
    made: Instant,
    text: Bytes,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { listings: Mutex::default(), fresh: FRESH }
    }
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
        href: String,
        json: bool,
        make: impl FnOnce() -> Result<String>,
    ) -> Result<Bytes> {
        let arrived = Instant::now();
        let subject = Subject { device: facts.device, inode: facts.inode, href, json };
        let listing = self.listing(subject);
        let text = self.page(&listing, facts, arrived, make);
        drop(listing);
        self.trim();
        text
    }

    fn page(
        &self,
        listing: &Listing,
        facts: Facts,
        arrived: Instant,
        make: impl FnOnce() -> Result<String>,
    ) -> Result<Bytes> {
        let mut page = lock(&listing.page);
        if let Some(page) = &*page {
            let is_same = page.is_settled && page.facts == facts;
            // What was read since this request came cannot be too old for it.
            if arrived <= page.begun || is_same && page.made.elapsed() < self.fresh {
                return Ok(page.text.clone());
            }
        }
        *page = None;
        listing.bytes.store(0, Ordering::Relaxed);
        let (begun, is_settled) = (Instant::now(), is_settled(facts.changed, SystemTime::now()));
        let text = Bytes::from(make()?.into_bytes().into_boxed_slice());
        listing.bytes.store(text.len(), Ordering::Relaxed);
        let made = Instant::now();
        *page = Some(Page { facts, is_settled, begun, made, text: text.clone() });
        Ok(text)
    }

    fn listing(&self, subject: Subject) -> Arc<Listing> {
        let mut listings = lock(&self.listings);
        let known = listings.iter().position(|listing| listing.subject == subject);
        let listing = match known {
            Some(at) => listings.remove(at),
            None => {
                Arc::new(Listing { subject, page: Mutex::default(), bytes: AtomicUsize::default() })
            }
        };
        listings.push(Arc::clone(&listing));
        listing
    }

    /// Gives up what is too much, but nothing that somebody makes or waits for.
    fn trim(&self) {
        let mut listings = lock(&self.listings);
        let size = |listing: &Listing| listing.bytes.load(Ordering::Relaxed);
        let mut bytes = listings.iter().map(|listing| size(listing)).sum::<usize>();
        let mut count = listings.len();
        listings.retain(|listing| {
            let is_too_much = bytes > MOST_BYTES || count > MOST_LISTINGS;
            let is_given_up = is_too_much && Arc::strong_count(listing) == 1;
            if is_given_up {
                count -= 1;
                bytes = bytes.saturating_sub(size(listing));
            }
            !is_given_up
        });
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

    /// In which nothing grows old while a test runs.
    fn recent() -> Recent {
        Recent { fresh: Duration::from_secs(3600), ..Recent::default() }
    }

    /// Whether `get` makes a page anew.
    fn makes(recent: &Recent, facts: Facts, href: &str, json: bool, length: usize) -> bool {
        let mut made = false;
        let page = recent.get(facts, href.to_owned(), json, || {
            made = true;
            Ok("x".repeat(length))
        });
        assert_eq!(page.expect("it is made").len(), length);
        made
    }

    #[test]
    fn it_is_made_once_for_the_same_and_anew_for_another() {
        let recent = recent();
        let facts = directory(1);
        assert!(makes(&recent, facts, "/a/", false, 9));
        assert!(!makes(&recent, facts, "/a/", false, 9));
        assert!(makes(&recent, facts, "/a/", true, 8));
        assert!(makes(&recent, facts, "/b/", true, 8));
        for (href, json, length) in [("/a/", false, 9), ("/a/", true, 8), ("/b/", true, 8)] {
            assert!(!makes(&recent, facts, href, json, length), "one beside the other");
        }
        let changed = Facts { changed: Stamp { seconds: 2_000, nanoseconds: 1 }, ..facts };
        assert!(makes(&recent, changed, "/b/", true, 8));
        assert!(makes(&recent, directory(2), "/b/", true, 8));
        assert!(!makes(&recent, changed, "/b/", true, 8));
    }

    #[test]
    fn what_fails_is_tried_again() {
        let recent = recent();
        let failed = recent
            .get(directory(1), "/".to_owned(), false, || Err(std::io::Error::other("no").into()));
        assert!(failed.is_err());
        assert!(makes(&recent, directory(1), "/", false, 1));
        assert!(!makes(&recent, directory(1), "/", false, 1));
    }

    /// A directory that changes just now.
    fn unsettled() -> Facts {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
        let seconds = i64::try_from(now.as_secs()).expect("it is not that late") + 100;
        Facts { changed: Stamp { seconds, nanoseconds: 1 }, ..directory(1) }
    }

    #[test]
    fn a_directory_that_just_changed_is_read_each_time() {
        let recent = recent();
        assert!(makes(&recent, unsettled(), "/", false, 1));
        assert!(makes(&recent, unsettled(), "/", false, 1));
    }

    #[test]
    fn it_is_not_kept_for_long() {
        let recent = Recent { fresh: Duration::ZERO, ..Recent::default() };
        assert!(makes(&recent, directory(1), "/", false, 1));
        assert!(makes(&recent, directory(1), "/", false, 1));
    }

    /// Whatever became of the directory meanwhile, and however long it took.
    #[test]
    fn those_who_came_before_it_was_begun_are_sent_the_same() {
        let recent = Recent { fresh: Duration::ZERO, ..Recent::default() };
        let arrived = Instant::now();
        let subject = Subject { device: 0, inode: 1, href: "/".to_owned(), json: false };
        let listing = recent.listing(subject);
        let first = recent.page(&listing, unsettled(), arrived, || Ok("page".to_owned()));
        assert_eq!(first.expect("it is made"), "page");
        let waited = recent.page(&listing, directory(1), arrived, || panic!("it is there"));
        assert_eq!(waited.expect("it is there"), "page");
        let later = recent.page(&listing, unsettled(), Instant::now(), || Ok("later".to_owned()));
        assert_eq!(later.expect("it is made"), "later");
    }

    #[test]
    fn those_who_ask_meanwhile_wait_for_the_same() {
        const ALL: usize = 8;
        let recent = recent();
        let (begin, times) = (Barrier::new(ALL), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..ALL {
                scope.spawn(|| {
                    begin.wait();
                    let page = recent.get(directory(1), "/".to_owned(), false, || {
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
    fn the_least_lately_asked_for_go_first() {
        let recent = recent();
        let half = MOST_BYTES / 2;
        assert!(makes(&recent, directory(1), "/", false, half));
        assert!(makes(&recent, directory(2), "/", false, half));
        assert!(!makes(&recent, directory(1), "/", false, half));
        assert!(makes(&recent, directory(3), "/", false, 1));
        assert!(!makes(&recent, directory(1), "/", false, half), "asked for after the second");
        assert!(makes(&recent, directory(2), "/", false, half), "given up");
        for inode in 10..=10 + MOST_LISTINGS as u64 {
            assert!(makes(&recent, directory(inode), "/", false, 1));
        }
        assert_eq!(lock(&recent.listings).len(), MOST_LISTINGS);
        assert!(makes(&recent, directory(10), "/", false, 1));
    }

    #[test]
    fn what_is_too_much_by_itself_is_for_those_who_wait_only() {
        let recent = recent();
        let much = 2 * MOST_BYTES;
        assert!(makes(&recent, directory(1), "/", false, 1));
        let subject = Subject { device: 0, inode: 2, href: "/".to_owned(), json: false };
        let waiting = recent.listing(subject);
        assert!(makes(&recent, directory(2), "/", false, much));
        assert!(!makes(&recent, directory(2), "/", false, much), "somebody waits for it");
        drop(waiting);
        assert!(!makes(&recent, directory(2), "/", false, much), "the last one");
        assert!(makes(&recent, directory(2), "/", false, much));
        assert!(lock(&recent.listings).is_empty());
    }
}
