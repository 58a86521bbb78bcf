//! `ETag` and `Last-Modified`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_core::http::HeaderValue;

use crate::fields::owned;
use crate::root::{Facts, Stamp};

/// The last second that an HTTP date can say: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// What tells one state of a representation from another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Validators {
    pub(crate) tag: Option<Tag>,
    /// In whole seconds since 1970.
    pub(crate) modified: Option<u64>,
    /// The server's clock, in whole seconds since 1970.
    now: u64,
    /// Several representations have the same date.
    date_is_shared: bool,
}

/// An entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) opaque: String,
    pub(crate) weak: bool,
}

impl Validators {
    /// Those of a file as it stands.
    ///
    /// The tag is made of device, inode, size, and the times of modification and change, by a hash
    /// that keeps them to the server. Users can set the former time back but not the latter, so
    /// two states share a tag only if the file changed twice between two ticks of the file
    /// system's clock. A file that was changed so lately that this may still happen has a weak tag.
    pub(crate) fn of(facts: &Facts, now: SystemTime) -> Validators {
        let mut hasher = DefaultHasher::new();
        (facts.device, facts.inode, facts.len, facts.modified, facts.changed).hash(&mut hasher);
        let opaque = hexadecimal(hasher.finish());
        let weak = !is_settled(facts.changed, now);
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        // RFC 9110 §8.8.2.1: never later than the message itself.
        let modified = u64::try_from(facts.modified.seconds).ok().map(|seconds| seconds.min(now));
        let modified = modified.filter(|&seconds| seconds <= LAST_SECOND);
        Validators { tag: Some(Tag { opaque, weak }), modified, now, date_is_shared: false }
    }

    /// The same where the file's date is that of its codings as well, which makes it a weak validator
    /// (RFC 9110 §8.8.1).
    pub(crate) fn with_shared_date(self, shared: bool) -> Validators {
        Validators { date_is_shared: shared, ..self }
    }

    /// Those of what is made of the file anew for every request: the same content, not the same
    /// bytes.
    pub(crate) fn encoded(self, coding: &str) -> Validators {
        let tag =
            self.tag.map(|tag| Tag { opaque: format!("{}-{coding}", tag.opaque), weak: true });
        Validators { tag, ..self }
    }

    /// Whether the date is good enough to put parts together: nothing can have changed since in the
    /// same second (RFC 9110 §8.8.2.2), and it is the date of nothing else.
    pub(crate) fn is_date_strong(&self) -> bool {
        !self.date_is_shared && self.modified.is_some_and(|modified| modified < self.now)
    }

    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        let Tag { opaque, weak } = self.tag.as_ref()?;
        owned([if *weak { "W/\"" } else { "\"" }, opaque, "\""].concat()).ok()
    }

    pub(crate) fn last_modified(&self) -> Option<HeaderValue> {
        owned(httpdate::fmt_http_date(time(self.modified?))).ok()
    }
}

fn hexadecimal(number: u64) -> String {
    let digit = |place: u32| char::from_digit((number >> (4 * place)) as u32 & 0xf, 16);
    (0..16).rev().filter_map(digit).collect()
}

/// A number of seconds as a point in time.
pub(crate) fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND))
}

/// Whether whatever changes from now on gets another stamp.
pub(crate) fn is_settled(changed: Stamp, now: SystemTime) -> bool {
    // The clock behind the stamps ticks every few milliseconds; where they have no fraction at all,
    // as on FAT, every two seconds.
    let tick = Duration::from_millis(if changed.nanoseconds == 0 { 2_000 } else { 100 });
    let changed = u64::try_from(changed.seconds).ok().map(Duration::from_secs).and_then(|whole| {
        Some(UNIX_EPOCH + whole + Duration::from_nanos(changed.nanoseconds.try_into().ok()?))
    });
    match changed {
        Some(changed) => now.duration_since(changed).is_ok_and(|age| age > tick),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let stamp = |seconds| Stamp { seconds, nanoseconds: 500_000_000 };
        Facts { device: 1, inode: 2, len: 3, modified: stamp(1_000), changed: stamp(2_000) }
    }

    fn tag(facts: &Facts, now: SystemTime) -> Tag {
        Validators::of(facts, now).tag.expect("a file has a tag")
    }

    #[test]
    fn numbers_have_all_their_digits() {
        for number in [0, 0xa, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(hexadecimal(number), format!("{number:016x}"));
        }
    }

    #[test]
    fn every_fact_makes_another_tag() {
        let stamp = Stamp { seconds: 1_000, nanoseconds: 500_000_001 };
        let tags: std::collections::HashSet<String> = [
            facts(),
            Facts { device: 9, ..facts() },
            Facts { inode: 9, ..facts() },
            Facts { len: 9, ..facts() },
            Facts { modified: stamp, ..facts() },
            Facts { changed: stamp, ..facts() },
        ]
        .iter()
        .map(|facts| tag(facts, time(9_000)).opaque)
        .collect();
        assert_eq!(tags.len(), 6);
    }

    #[test]
    fn a_tag_is_weak_until_the_file_has_settled() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        for (now, weak) in [(2_000_400, true), (2_000_550, true), (2_000_700, false)] {
            assert_eq!(tag(&facts(), at(now)).weak, weak, "{now}");
        }
        let coarse = Facts { changed: Stamp { seconds: 2_000, nanoseconds: 0 }, ..facts() };
        assert!(tag(&coarse, at(2_001_900)).weak);
        assert!(!tag(&coarse, at(2_002_100)).weak);
        let weak = tag(&facts(), at(2_000_550));
        assert_eq!(weak.opaque, tag(&facts(), at(9_000_000)).opaque);
    }

    #[test]
    fn dates_that_cannot_be_said_are_left_out() {
        let at = |seconds| Facts { modified: Stamp { seconds, nanoseconds: 0 }, ..facts() };
        assert_eq!(Validators::of(&at(-1), time(9_000)).last_modified(), None);
        let far = Validators::of(&at(i64::MAX), time(LAST_SECOND));
        assert_eq!(far.last_modified().expect("it is said"), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn a_date_in_the_future_becomes_now() {
        let validators = Validators::of(&facts(), time(999));
        assert_eq!(validators.modified, Some(999));
        assert!(!validators.is_date_strong());
        assert!(Validators::of(&facts(), time(1_001)).is_date_strong());
    }
}
