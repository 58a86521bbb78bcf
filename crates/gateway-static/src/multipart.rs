//! Several ranges in one body: `multipart/byteranges`.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;

use gateway_core::bytes::{Bytes, BytesMut};

use crate::range::Span;
use crate::root::{Facts, Opened, check_unchanged};

/// How much of the file is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// The parts of a file, each behind a head of its own, as an iterator of data.
///
/// It ends with an error if the file has become shorter, or has changed before its last piece: a
/// body of announced length is then cut visibly.
///
/// Source: RFC 9110 §14.6.
#[derive(Debug)]
pub(crate) struct Multipart {
    file: File,
    facts: Facts,
    /// Heads and spans, in the order of sending.
    parts: std::vec::IntoIter<(Bytes, Span)>,
    now: Option<Span>,
    end: Option<Bytes>,
    len: u64,
}

impl Multipart {
    /// The parts `spans` of a file; `content_type` is the file's own.
    pub(crate) fn new(
        opened: Opened,
        spans: Vec<Span>,
        content_type: &str,
        boundary: &str,
    ) -> Multipart {
        let whole = opened.facts.len;
        let heads = spans.into_iter().enumerate().map(|(at, span)| {
            let line = if at == 0 { "" } else { "\r\n" };
            let (first, last) = (span.start, span.end - 1);
            let head = format!(
                "{line}--{boundary}\r\ncontent-type: {content_type}\r\n\
                 content-range: bytes {first}-{last}/{whole}\r\n\r\n"
            );
            (Bytes::from(head), span)
        });
        let parts: Vec<_> = heads.collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let sum: u64 =
            parts.iter().map(|(head, span)| head.len() as u64 + (span.end - span.start)).sum();
        Multipart {
            file: opened.file,
            facts: opened.facts,
            len: sum + end.len() as u64,
            parts: parts.into_iter(),
            now: None,
            end: Some(end),
        }
    }

    /// The length of the whole body, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    fn piece(&mut self, span: Span) -> io::Result<Bytes> {
        let left = span.end - span.start;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        let is_last = wanted as u64 == left && self.parts.len() == 0;
        let mut piece = BytesMut::zeroed(wanted);
        self.file.read_exact_at(&mut piece, span.start)?;
        if is_last {
            check_unchanged(&self.file, &self.facts)?;
        }
        let rest = span.start + wanted as u64..span.end;
        self.now = Some(rest).filter(|rest| !rest.is_empty());
        Ok(piece.freeze())
    }
}

impl Iterator for Multipart {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(span) = self.now.take() {
            return Some(self.piece(span));
        }
        if let Some((head, span)) = self.parts.next() {
            self.now = Some(span);
            return Some(Ok(head));
        }
        self.end.take().map(Ok)
    }
}

/// A boundary that no content can have been made to contain: it is drawn for every response.
pub(crate) fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(content: &[u8]) -> Opened {
        let file = tempfile::tempfile().expect("a temporary file");
        file.write_all_at(content, 0).expect("it can be written");
        let facts = Facts::from(&rustix::fs::fstat(&file).expect("it has facts"));
        Opened { file, facts }
    }

    #[test]
    fn the_length_is_that_of_what_comes() {
        let content: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let body = Multipart::new(opened(&content), vec![0..3, 10..150_000], "text/plain", "b");
        let len = body.len();
        let all: Vec<u8> = body.flat_map(|piece| piece.expect("it is there")).collect();
        assert_eq!(all.len() as u64, len);
        assert!(all.starts_with(b"--b\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-2/200000\r\n\r\n\x00\x01\x02\r\n--b\r\n"));
        assert!(all.ends_with(b"\r\n--b--\r\n"));
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let opened = opened(&[b'x'; 100_000]);
        let file = opened.file.try_clone().expect("a handle can be cloned");
        let mut body = Multipart::new(opened, vec![0..90_000, 95_000..99_000], "text/plain", "b");
        body.next().expect("a head").expect("it is made");
        file.set_len(10).expect("it can be cut");
        let error = body.next().expect("a piece").expect_err("it is too short");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_that_changes_is_an_error_before_its_last_piece() {
        let opened = opened(b"0123456789");
        let file = opened.file.try_clone().expect("a handle can be cloned");
        let body = Multipart::new(opened, vec![0..1, 5..6], "text/plain", "b");
        file.set_modified(std::time::UNIX_EPOCH).expect("its time can be set");
        let outcomes: Vec<bool> = body.take(4).map(|piece| piece.is_ok()).collect();
        assert_eq!(outcomes, [true, true, true, false]);
    }

    #[test]
    fn boundaries_differ() {
        assert_ne!(boundary(), boundary());
        assert_eq!(boundary().len(), 32);
    }
}
