//! A file where its bytes have to pass through the server.

use std::io;
use std::os::unix::fs::FileExt;

use bytes::{Bytes, BytesMut};
use gateway_core::FileBody;

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// A [`FileBody`] as an iterator of its data, for a server that cannot hand the file to the system
/// whole. It ends with an error if the file is shorter than the body says, or has changed though the
/// body says that it must not: then the last piece is kept back.
#[derive(Debug)]
pub struct FilePieces {
    body: FileBody,
}

impl FilePieces {
    /// The pieces of `body`. The file's own position is neither used nor moved, so a file that is
    /// open once may be sent many times at once.
    pub fn new(body: FileBody) -> FilePieces {
        FilePieces { body }
    }

    /// What is said of a file that ended before its body did.
    pub fn shrunk() -> io::Error {
        io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent")
    }
}

impl Iterator for FilePieces {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let body = &mut self.body;
        if body.len == 0 {
            return None;
        }
        let wanted = usize::try_from(body.len).unwrap_or(usize::MAX).min(PIECE);
        let mut piece = BytesMut::zeroed(wanted);
        let read = loop {
            match body.file.read_at(&mut piece, body.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => break Err(FilePieces::shrunk()),
                read => break read,
            }
        };
        Some(read.and_then(|n| {
            piece.truncate(n);
            body.offset += n as u64;
            body.len -= n as u64;
            if body.len == 0 {
                body.check()?;
            }
            Ok(piece.freeze())
        }))
    }
}
