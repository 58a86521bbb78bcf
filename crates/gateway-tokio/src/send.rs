//! Writing to a socket, once and without waiting.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use gateway_http1::Output;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

/// As many pieces as one system call is given.
const SLICES: usize = 64;

/// The most of a file that is sent by one call, so that a large one does not hold up the others.
const PIECE: u64 = 256 * 1024;

/// The most of a file that is sent by one call where it has to be copied.
const COPIED: usize = 64 * 1024;

/// Sends some of `out`, which is `first` and more if that is shorter.
#[inline]
pub(crate) fn send(socket: impl AsFd, first: &[u8], out: &Output) -> io::Result<usize> {
    if first.len() == out.len() {
        return Ok(rustix::net::send(socket, first, flags(out))?);
    }
    send_slices(socket, out)
}

fn flags(out: &Output) -> SendFlags {
    if out.is_followed() { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL }
}

fn send_slices(socket: impl AsFd, out: &Output) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = out.slices(&mut slices);
    let mut nothing = SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(socket, &slices[..filled], &mut nothing, flags(out))?)
}

/// Sends some of the `len` bytes of `file` from `offset`; 0 when the file ends there.
pub(crate) fn send_file(
    socket: impl AsFd,
    file: &File,
    offset: u64,
    len: u64,
) -> io::Result<usize> {
    let piece = len.min(PIECE) as usize;
    match rustix::fs::sendfile(&socket, file, Some(&mut { offset }), piece) {
        Ok(sent) => Ok(sent),
        // Not every file system can do it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::OVERFLOW) => {
            send_copied(socket, file, offset, piece)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the socket does not take is read again the next time.
fn send_copied(socket: impl AsFd, file: &File, offset: u64, len: usize) -> io::Result<usize> {
    let mut piece = vec![0; len.min(COPIED)];
    let read = file.read_at(&mut piece, offset)?;
    if read == 0 {
        return Ok(0);
    }
    Ok(rustix::net::send(socket, &piece[..read], SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_file_can_be_copied() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/src/send.rs")).unwrap();
        assert_eq!(send_copied(&ours, &file, 4, 7).unwrap(), 7);
        let mut taken = [0; 7];
        peer.read_exact(&mut taken).unwrap();
        assert_eq!(&taken, b"Writing");
        assert_eq!(send_copied(&ours, &file, 1 << 40, 7).unwrap(), 0);
    }
}
