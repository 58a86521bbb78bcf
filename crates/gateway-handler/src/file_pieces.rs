//! A file where its bytes have to pass through the server.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::{Bytes, BytesMut};
use gateway_core::FileBody;

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// A [`FileBody`] as an iterator of its data, for a server that cannot hand the file to the system
/// whole. It ends with an error if the file is shorter than the body says.
#[derive(Debug)]
pub struct FilePieces {
    file: File,
    left: u64,
}

impl FilePieces {
    /// Goes to where the body begins.
    ///
    /// # Errors
    ///
    /// When the file has no such position.
    pub fn new(body: FileBody) -> io::Result<FilePieces> {
        let FileBody { mut file, offset, len } = body;
        file.seek(SeekFrom::Start(offset))?;
        Ok(FilePieces { file, left: len })
    }

    /// What is said of a file that ended before its body did.
    pub fn shrunk() -> io::Error {
        io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent")
    }
}

impl Iterator for FilePieces {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.left == 0 {
            return None;
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        let mut piece = BytesMut::zeroed(wanted);
        Some(self.file.read(&mut piece).and_then(|n| {
            if n == 0 {
                return Err(FilePieces::shrunk());
            }
            piece.truncate(n);
            self.left -= n as u64;
            Ok(piece.freeze())
        }))
    }
}
