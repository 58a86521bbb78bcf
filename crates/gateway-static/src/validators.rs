//! `ETag` and `Last-Modified`.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_core::http::HeaderValue;
use httpdate::HttpDate;

use crate::root::{Facts, Stamp};

/// The last second that an HTTP date can say: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// What tells one state of a representation from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    /// What tells the file's states apart, in hexadecimal digits.
    state: [u8; 16],
    /// The coding that it is put into anew, and before that a hyphen.
    coding: Option<&'static str>,
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
        let Facts { device, inode, len, modified, changed } = *facts;
        let times = [modified.seconds, modified.nanoseconds, changed.seconds, changed.nanoseconds];
        let mut hasher = DefaultHasher::new();
        hasher.write([device, inode, len].map(u64::to_le_bytes).as_flattened());
        hasher.write(times.map(i64::to_le_bytes).as_flattened());
        let state = hexadecimal(hasher.finish());
        let weak = !is_settled(facts.changed, now);
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        // RFC 9110 §8.8.2.1: never later than the message itself.
        let modified = u64::try_from(facts.modified.seconds).ok().map(|seconds| seconds.min(now));
        let modified = modified.filter(|&seconds| seconds <= LAST_SECOND);
        Validators {
            tag: Some(Tag { state, coding: None, weak }),
            modified,
            now,
            date_is_shared: false,
        }
    }

    /// The same where the file's date is that of its codings as well, which makes it a weak validator
    /// (RFC 9110 §8.8.1).
    pub(crate) fn with_shared_date(self, shared: bool) -> Validators {
        Validators { date_is_shared: shared, ..self }
    }

    /// Those of what is made of the file anew for every request: the same content, not the same
    /// bytes.
    pub(crate) fn encoded(self, coding: &'static str) -> Validators {
        let tag = self.tag.map(|tag| Tag { coding: Some(coding), weak: true, ..tag });
        Validators { tag, ..self }
    }

    /// Whether the date is good enough to put parts together: nothing can have changed since in the
    /// same second (RFC 9110 §8.8.2.2), and it is the date of nothing else.
    pub(crate) fn is_date_strong(&self) -> bool {
        !self.date_is_shared && self.modified.is_some_and(|modified| modified < self.now)
    }

    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        let Tag { state, coding, weak } = self.tag.as_ref()?;
        let before: &[u8] = if *weak { b"W/\"" } else { b"\"" };
        let (hyphen, coding) = coding.map_or(("", ""), |coding| ("-", coding));
        let parts = [before, state, hyphen.as_bytes(), coding.as_bytes(), b"\""];
        // The longest name of a coding is `gzip`.
        let mut text = [0; 32];
        let mut room = &mut text[..];
        parts.iter().try_for_each(|part| room.write_all(part)).ok()?;
        let left = room.len();
        HeaderValue::from_bytes(&text[..text.len() - left]).ok()
    }

    pub(crate) fn last_modified(&self) -> Option<HeaderValue> {
        const LENGTH: usize = "Thu, 01 Jan 1970 00:00:00 GMT".len();
        let mut text = [0; LENGTH];
        write!(&mut text[..], "{}", HttpDate::from(time(self.modified?))).ok()?;
        HeaderValue::from_bytes(&text).ok()
    }
}

impl Tag {
    /// Whether `opaque` is what stands between this tag's quotes.
    pub(crate) fn is(&self, opaque: &[u8]) -> bool {
        match (opaque.strip_prefix(&self.state), self.coding) {
            (Some(rest), None) => rest.is_empty(),
            (Some(rest), Some(coding)) => rest.strip_prefix(b"-") == Some(coding.as_bytes()),
            (None, _) => false,
        }
    }
}

fn hexadecimal(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| DIGITS[(number >> (60 - 4 * place)) as usize & 0xf])
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
            assert_eq!(hexadecimal(number), format!("{number:016x}").as_bytes());
        }
    }

    #[test]
    fn every_fact_makes_another_tag() {
        let stamp = Stamp { seconds: 1_000, nanoseconds: 500_000_001 };
        let tags: std::collections::HashSet<[u8; 16]> = [
            facts(),
            Facts { device: 9, ..facts() },
            Facts { inode: 9, ..facts() },
            Facts { len: 9, ..facts() },
            Facts { modified: stamp, ..facts() },
            Facts { changed: stamp, ..facts() },
        ]
        .iter()
        .map(|facts| tag(facts, time(9_000)).state)
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
        assert_eq!(weak.state, tag(&facts(), at(9_000_000)).state);
    }

    #[test]
    fn a_tag_is_what_stands_between_its_quotes_and_nothing_longer() {
        let plain = Validators::of(&facts(), time(9_000));
        let coded = plain.encoded("br");
        for validators in [plain, coded] {
            let field = validators.etag().expect("a file has a tag");
            let opaque = field.as_bytes().split(|&byte| byte == b'"').nth(1).expect("it is quoted");
            let is = |opaque: &[u8]| validators.tag.expect("a file has a tag").is(opaque);
            assert!(is(opaque));
            assert!(!is(&opaque[1..]) && !is(&opaque[..15]) && !is(&[opaque, b"x"].concat()));
        }
        let state = &plain.tag.expect("a file has a tag").state;
        let is_coded = |opaque: &[u8]| coded.tag.expect("a file has a tag").is(opaque);
        assert!(!is_coded(state) && !is_coded(&[state, &b"-gzip"[..]].concat()));
        assert!(!plain.tag.expect("a file has a tag").is(&[state, &b"-br"[..]].concat()));
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
