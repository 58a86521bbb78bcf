//! Bytes that wait to be written.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Data up to this length, in bytes, is copied behind the head; longer data is kept as it is.
///
/// One small copy costs less than a further element in a vectored write and the reference count.
pub(crate) const COPY: usize = 4096;

/// Written bytes are let go of when there are this many and they are the larger part.
const COMPACT: usize = 16 * 1024;

/// Bytes that wait to be written, in order: heads, chunk lines and small data (up to 4 KiB) copied
/// into one contiguous buffer, larger data kept as the [`Bytes`] it came in.
///
/// Write [`first`](Self::first), or [`slices`](Self::slices) with a vectored write, then tell how
/// far it went with [`advance`](Self::advance). The buffer is reused, so small responses allocate
/// nothing after the first one.
///
/// ```
/// use std::io::IoSlice;
/// use gateway_http1::Output;
///
/// let mut output = Output::default();
/// output.push_slice(b"HTTP/1.1 200 OK\r\n\r\n");
/// output.push_bytes(vec![b'x'; 10_000].into());
///
/// let mut slices = [IoSlice::new(&[]); 4];
/// assert_eq!(output.slices(&mut slices), 2);
/// assert_eq!(output.first(), b"HTTP/1.1 200 OK\r\n\r\n");
/// output.advance(19);
/// assert_eq!(output.len(), 10_000);
/// ```
#[derive(Debug, Default)]
pub struct Output {
    /// What was copied: `small[start..]` is yet to be written.
    small: Vec<u8>,
    start: usize,
    /// What was not copied, each with the offset in `small` before which it belongs.
    large: VecDeque<(usize, Bytes)>,
    len: usize,
    followed: bool,
}

impl Output {
    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.small.len() - self.start + self.len
    }

    /// Forgets everything that waits. Memory is kept, see [`shrink`](Self::shrink).
    pub fn clear(&mut self) {
        self.small.clear();
        self.start = 0;
        self.large.clear();
        self.len = 0;
        self.followed = false;
    }

    /// Tells that what waits is followed at once by something that does not pass through here, such
    /// as a file, until all of it has been written.
    pub fn set_followed(&mut self) {
        self.followed = !self.is_empty();
    }

    /// Whether more follows at once, so that a last small packet may be held back for it
    /// (`MSG_MORE`).
    #[inline]
    pub fn is_followed(&self) -> bool {
        self.followed
    }

    /// Adds `bytes` at the end: a copy if it is small, else as it is.
    #[inline]
    pub fn push_bytes(&mut self, bytes: Bytes) {
        if bytes.len() <= COPY {
            self.small.extend_from_slice(&bytes);
        } else {
            self.len += bytes.len();
            self.large.push_back((self.small.len(), bytes));
        }
    }

    /// Adds a copy of `slice` at the end.
    #[inline]
    pub fn push_slice(&mut self, slice: &[u8]) {
        self.small.extend_from_slice(slice);
    }

    /// Fills `into` with what is to be written first, in order, and tells how many were filled: 0
    /// only if nothing waits (or `into` is empty).
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut copied = self.start;
        let mut put = |slice: &'a [u8]| {
            if !slice.is_empty() && filled < into.len() {
                into[filled] = IoSlice::new(slice);
                filled += 1;
            }
            filled < into.len()
        };
        for (at, bytes) in &self.large {
            if !put(&self.small[copied..*at]) || !put(bytes) {
                return filled;
            }
            copied = *at;
        }
        put(&self.small[copied..]);
        filled
    }

    /// The longest run of bytes at the front that is contiguous: everything, unless large data
    /// waits, too. Empty only if nothing waits.
    #[inline]
    pub fn first(&self) -> &[u8] {
        match self.large.front() {
            None => &self.small[self.start..],
            Some((at, bytes)) if *at == self.start => bytes,
            Some((at, _)) => &self.small[self.start..*at],
        }
    }

    /// Forgets the first `n` bytes: they have been written.
    ///
    /// # Panics
    ///
    /// If fewer than `n` bytes wait.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.len(), "advanced over more bytes than wait");
        if n == self.len() {
            self.clear();
        } else {
            self.advance_partly(n);
        }
    }

    /// Adds all that waits in `later` at the end.
    pub fn append(&mut self, later: Self) {
        let mut copied = later.start;
        for (at, bytes) in later.large {
            self.small.extend_from_slice(&later.small[copied..at]);
            copied = at;
            self.len += bytes.len();
            self.large.push_back((self.small.len(), bytes));
        }
        self.small.extend_from_slice(&later.small[copied..]);
    }

    /// Gives up the memory of the buffers if nothing waits. To be called when the connection idles.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// The buffer that small things are appended to.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.small
    }

    #[cold]
    fn advance_partly(&mut self, mut n: usize) {
        while let Some((at, bytes)) = self.large.front_mut() {
            let copied = n.min(*at - self.start);
            self.start += copied;
            n -= copied;
            if self.start < *at || n < bytes.len() {
                if self.start == *at {
                    bytes::Buf::advance(bytes, n);
                    self.len -= n;
                }
                n = 0;
                break;
            }
            n -= bytes.len();
            self.len -= bytes.len();
            self.large.pop_front();
        }
        self.start += n;
        if self.start >= COMPACT && self.start * 2 >= self.small.len() {
            self.small.drain(..self.start);
            for (at, _) in &mut self.large {
                *at -= self.start;
            }
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = output.slices(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn small_things_are_one_slice() {
        let mut output = Output::default();
        for _ in 0..16 {
            output.push_slice(b"HTTP/1.1 200 OK\r\n\r\n");
            output.push_bytes(Bytes::from_static(b"Hello"));
        }
        assert_eq!(output.first().len(), output.len());
        assert_eq!(output.slices(&mut [IoSlice::new(&[]); 8]), 1);
        output.advance(output.len());
        assert!(output.is_empty() && output.first().is_empty());
    }

    #[test]
    fn only_what_waits_is_followed() {
        let mut output = Output::default();
        output.set_followed();
        assert!(!output.is_followed());
        output.push_slice(b"head");
        output.set_followed();
        output.advance(1);
        assert!(output.is_followed());
        output.advance(3);
        output.push_slice(b"the next head");
        assert!(!output.is_followed());
    }

    #[test]
    fn the_copy_threshold() {
        let mut output = Output::default();
        output.push_bytes(vec![b'a'; COPY].into());
        assert_eq!(output.slices(&mut [IoSlice::new(&[]); 8]), 1);
        output.push_bytes(vec![b'b'; COPY + 1].into());
        assert_eq!(output.slices(&mut [IoSlice::new(&[]); 8]), 2);
    }

    #[test]
    fn any_advance_keeps_the_order() {
        let build = || {
            let mut output = Output::default();
            output.push_bytes(vec![b'a'; 5000].into());
            output.push_slice(b"bcd");
            output.push_bytes(vec![b'e'; 5000].into());
            output.push_bytes(vec![b'f'; 5000].into());
            output.push_slice(b"gh");
            output
        };
        let whole = gather(&build());
        assert_eq!(whole.len(), 15_005);
        for n in [0, 1, 4999, 5000, 5001, 5003, 5004, 10_003, 10_004, 15_003, 15_004, 15_005] {
            let mut output = build();
            output.advance(n);
            assert_eq!(gather(&output), &whole[n..], "advanced by {n}");
            assert_eq!(output.len(), whole.len() - n);
            assert!(whole[n..].starts_with(output.first()));
            output.push_slice(b"!");
            assert_eq!(gather(&output).last(), Some(&b'!'));
        }
    }

    #[test]
    fn what_was_written_is_let_go() {
        let mut output = Output::default();
        for round in 0..1000 {
            output.push_slice(&[b'x'; 1000]);
            if round % 7 == 0 {
                output.push_bytes(vec![b'y'; 5000].into());
            }
            output.advance(output.len() - 10);
        }
        assert!(output.small.len() < 2 * COMPACT, "{} bytes are held", output.small.len());
    }

    #[test]
    #[should_panic(expected = "advanced over more bytes")]
    fn advancing_too_far_is_a_bug() {
        Output::default().advance(1);
    }

    #[test]
    fn memory_is_given_up_only_when_empty() {
        let mut output = Output::default();
        output.push_slice(b"x");
        output.shrink();
        assert_eq!(output.len(), 1);
        output.advance(1);
        output.shrink();
        assert_eq!(output.small.capacity(), 0);
    }
}
