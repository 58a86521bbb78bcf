//! One connection's socket: its system calls, and who waits for what.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gateway_http1::Output;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, sockopt};

use crate::drive::Waiting;

/// What is read at first: most heads are shorter. It lies on the stack, so that a thread which waits
/// holds no buffer, and one more page of stack where this is larger.
const SMALL: usize = 3 * 1024;

/// What is read when the last read was full: 64 KiB of a body, which many clients send at once, and
/// the head before them.
const LARGE: usize = 64 * 1024 + SMALL;

/// As many slices are written at once.
const SLICES: usize = 64;

/// What is copied at once where the system cannot send from a file.
const COPY: usize = 64 * 1024;

const DONT_WAIT: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A socket that blocks, of which most calls ask not to be blocked.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    over_ip: bool,
    /// The last read filled its buffer.
    hungry: AtomicBool,
    /// For sendfile, which has no flag to say so, the socket has been made non-blocking.
    nonblocking: AtomicBool,
    /// A read that blocks does so for a limited time.
    limited: AtomicBool,
    /// We ended the reading side, so its end tells nothing about the peer.
    read_ended: AtomicBool,
    /// The shutdown's deadline has passed.
    cut: AtomicBool,
    /// We ended both sides.
    ended: AtomicBool,
    pub(crate) waiting: Waiting,
}

impl Socket {
    /// A connected, blocking socket.
    pub(crate) fn new(fd: OwnedFd, over_ip: bool) -> Socket {
        Socket {
            fd,
            over_ip,
            hungry: AtomicBool::new(false),
            nonblocking: AtomicBool::new(false),
            limited: AtomicBool::new(false),
            read_ended: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waiting: Waiting::default(),
        }
    }

    /// Reads what is there. 0 is the end.
    pub(crate) fn receive(&self, into: &mut BytesMut) -> io::Result<usize> {
        self.receive_with(into, RecvFlags::DONTWAIT)
    }

    /// Reads, and waits for `patience`, by one system call once the socket has been prepared. It is
    /// of kind `WouldBlock` when nothing came.
    #[inline]
    pub(crate) fn receive_in(&self, into: &mut BytesMut, patience: Duration) -> io::Result<usize> {
        if !self.limited.load(Ordering::Relaxed) || self.nonblocking.load(Ordering::Relaxed) {
            self.prepare_to_wait(patience)?;
        }
        self.receive_with(into, RecvFlags::empty())
    }

    #[cold]
    fn prepare_to_wait(&self, patience: Duration) -> io::Result<()> {
        if !self.limited.swap(true, Ordering::Relaxed) {
            sockopt::set_socket_timeout(&self.fd, sockopt::Timeout::Recv, Some(patience))?;
        }
        if self.nonblocking.load(Ordering::Relaxed) {
            self.set_nonblocking(false)?;
        }
        Ok(())
    }

    #[inline]
    fn receive_with(&self, into: &mut BytesMut, flags: RecvFlags) -> io::Result<usize> {
        loop {
            let received = if self.hungry.load(Ordering::Relaxed) {
                self.receive_large(into, flags)
            } else {
                self.receive_small(into, flags)
            };
            match received {
                Err(Errno::INTR) => {}
                received => return received.map_err(io::Error::from),
            }
        }
    }

    #[inline]
    fn receive_small(&self, into: &mut BytesMut, flags: RecvFlags) -> Result<usize, Errno> {
        let mut buffer = [const { MaybeUninit::<u8>::uninit() }; SMALL];
        let ((received, _), n) = rustix::net::recv(&self.fd, &mut buffer[..], flags)?;
        into.extend_from_slice(received);
        if n == SMALL {
            self.hungry.store(true, Ordering::Relaxed);
        }
        Ok(n)
    }

    /// A body is coming: into memory of its own, which nobody has to clear before.
    #[inline(never)]
    fn receive_large(&self, into: &mut BytesMut, flags: RecvFlags) -> Result<usize, Errno> {
        let mut room = Vec::with_capacity(into.len() + LARGE);
        room.extend_from_slice(into);
        let received = rustix::net::recv(&self.fd, spare_capacity(&mut room), flags);
        if received.is_ok() {
            *into = BytesMut::from(Bytes::from(room));
        }
        let n = received.map(|(n, _)| n);
        if n.unwrap_or(0) < SMALL && n != Err(Errno::INTR) {
            self.hungry.store(false, Ordering::Relaxed);
        }
        n
    }

    /// Writes what the socket takes now.
    #[inline]
    pub(crate) fn send(&self, out: &Output) -> io::Result<usize> {
        let first = out.first();
        loop {
            let sent = if first.len() == out.len() {
                rustix::net::send(&self.fd, first, flags(out))
            } else {
                self.send_slices(out)
            };
            match sent {
                Err(Errno::INTR) => {}
                sent => return sent.map_err(io::Error::from),
            }
        }
    }

    #[inline(never)]
    fn send_slices(&self, out: &Output) -> Result<usize, Errno> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = out.slices(&mut slices);
        let mut control = SendAncillaryBuffer::default();
        rustix::net::sendmsg(&self.fd, &slices[..filled], &mut control, flags(out))
    }

    /// Sends from a file what the socket takes now. 0 is the file's end.
    pub(crate) fn send_file(&self, file: &File, offset: u64, len: u64) -> io::Result<u64> {
        if !self.nonblocking.load(Ordering::Relaxed) {
            self.set_nonblocking(true)?;
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        loop {
            let mut position = offset;
            match rustix::fs::sendfile(&self.fd, file, Some(&mut position), len) {
                Ok(n) => return Ok(n as u64),
                Err(Errno::INTR) => {}
                // Some file systems have no way to do it.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    return self.copy_file(file, offset, len);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn copy_file(&self, file: &File, offset: u64, len: usize) -> io::Result<u64> {
        let mut buffer = vec![0; len.min(COPY)];
        let n = file.read_at(&mut buffer, offset)?;
        if n == 0 {
            return Ok(0);
        }
        loop {
            match rustix::net::send(&self.fd, &buffer[..n], DONT_WAIT) {
                Ok(n) => return Ok(n as u64),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&self.fd, nonblocking)?;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Waits for `events`, at most for `timeout`. Tells what is there: nothing after the timeout.
    pub(crate) fn wait(
        &self,
        events: PollFlags,
        timeout: Option<Duration>,
    ) -> io::Result<PollFlags> {
        let mut fds = [PollFd::new(&self.fd, events)];
        match poll_fds(&mut fds, timeout) {
            Ok(_) => Ok(fds[0].revents()),
            Err(Errno::INTR) => Ok(PollFlags::empty()),
            Err(error) => Err(error.into()),
        }
    }

    /// What tells that the peer has gone. Once we have ended the reading side ourselves, its end
    /// says nothing.
    pub(crate) fn gone_events(&self) -> PollFlags {
        let end = if self.is_read_ended() { PollFlags::empty() } else { PollFlags::RDHUP };
        end | PollFlags::HUP | PollFlags::ERR
    }

    pub(crate) fn is_gone(&self) -> bool {
        let events = self.gone_events();
        // Whoever cannot be asked is as good as gone.
        self.wait(events, Some(Duration::ZERO)).map_or(true, |there| there.intersects(events))
    }

    /// Ends the reading side: what has come is still read, then there is an end. It wakes a thread
    /// that waits for more. There is no way back, so this is only for when the time is up.
    pub(crate) fn end_reading(&self) {
        if !self.read_ended.swap(true, Ordering::SeqCst) {
            // It fails when the peer has reset the connection, which is an end as well.
            let _ = rustix::net::shutdown(&self.fd, Shutdown::Read);
        }
    }

    pub(crate) fn is_read_ended(&self) -> bool {
        self.read_ended.load(Ordering::SeqCst)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn end_writing(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.fd, Shutdown::Write)?)
    }

    /// Ends both sides, and wakes every thread that waits for one of them.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
        self.waiting.wake_all();
    }

    /// Ends both sides so that the peer sees a reset, unless they were ended already, and with them
    /// what may still be on its way to the peer.
    pub(crate) fn reset(&self) {
        if self.ended.swap(true, Ordering::SeqCst) {
            return self.waiting.wake_all();
        }
        // Closing would do, but a handle that an application has kept may hold the socket open.
        let reset = self.over_ip
            && socket2::SockRef::from(&self.fd).set_linger(Some(Duration::ZERO)).is_ok()
            && rustix::net::connect_unspec(&self.fd).is_ok();
        if !reset {
            let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
        }
        self.waiting.wake_all();
    }

    /// Ends a future that is being driven.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.waiting.wake_driver();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// poll(2), for ever without a timeout.
pub(crate) fn poll_fds(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize, Errno> {
    // What does not fit is hundreds of years.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    poll(fds, timeout.as_ref())
}
fn flags(out: &Output) -> SendFlags {
    if out.is_followed() { DONT_WAIT | SendFlags::MORE } else { DONT_WAIT }
}
