//! Taking new connections from the listener.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use gateway_connection::{Listener, ListenerSocket, SocketFile};
use gateway_core::{Address, ErrorStream};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use tokio::net::unix::SocketAddr as UnixAddress;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::clock::now;

/// How long to wait when the system has no descriptor or no memory for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// How long one complaint about that is enough.
const QUIET: Duration = Duration::from_secs(10);

/// A listening socket that is registered with the current reactor.
pub(crate) struct Acceptor {
    socket: Socket,
    errors: ErrorStream,
    complained: Option<Instant>,
    _file: Option<SocketFile>,
}

enum Socket {
    /// With the address, unless connections come to several.
    Tcp(TcpListener, Option<SocketAddr>),
    Unix(UnixListener, Address),
}

/// A new connection.
pub(crate) struct Incoming {
    pub(crate) socket: IncomingSocket,
    pub(crate) remote: Address,
    pub(crate) local: Address,
}

/// Its socket, which is registered with the reactor that accepted it.
pub(crate) enum IncomingSocket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl IncomingSocket {
    /// Takes it from the reactor that it is registered with, to be registered with another one by
    /// [`Detached::attach`].
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            IncomingSocket::Tcp(socket) => Detached::Tcp(socket.into_std()?),
            IncomingSocket::Unix(socket) => Detached::Unix(socket.into_std()?),
        })
    }
}

/// A new connection's socket on the way from one reactor to another.
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Detached {
    /// Registers it with the current reactor.
    pub(crate) fn attach(self) -> io::Result<IncomingSocket> {
        Ok(match self {
            Detached::Tcp(socket) => IncomingSocket::Tcp(TcpStream::from_std(socket)?),
            Detached::Unix(socket) => IncomingSocket::Unix(UnixStream::from_std(socket)?),
        })
    }
}

impl Acceptor {
    /// Needs a Tokio context.
    pub(crate) fn new(listener: Listener, errors: ErrorStream) -> io::Result<Acceptor> {
        let local = listener.local_addr();
        let (socket, file) = listener.split();
        let socket = match socket {
            ListenerSocket::Tcp(socket) => {
                let one = local.inet().filter(|address| !address.ip().is_unspecified());
                Socket::Tcp(TcpListener::from_std(socket)?, one)
            }
            ListenerSocket::Unix(socket) => Socket::Unix(UnixListener::from_std(socket)?, local),
        };
        Ok(Acceptor { socket, errors, complained: None, _file: file })
    }

    /// Whether a connection waits to be accepted.
    pub(crate) fn is_awaited(&self) -> bool {
        let mut asked = [PollFd::new(self, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut asked, Some(&now)).is_ok_and(|n| n > 0)
    }

    /// Waits for the next connection. What the system refuses is tried again.
    pub(crate) async fn accept(&mut self) -> Incoming {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(incoming) => return incoming,
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.complain(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Takes a connection that waits already, if there is one, without asking the reactor, which may
    /// not know of it yet.
    pub(crate) fn accept_waiting(&mut self) -> Option<Incoming> {
        loop {
            match self.try_accept() {
                Ok(incoming) => return Some(incoming),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.complain(&error);
                    return None;
                }
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        let now = now();
        if self.complained.is_none_or(|then| now.duration_since(then) >= QUIET) {
            self.complained = Some(now);
            self.errors.error("cannot accept connections for a moment", error);
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        Poll::Ready(Ok(match &self.socket {
            Socket::Tcp(listener, local) => {
                let (socket, remote) = ready!(listener.poll_accept(cx))?;
                tcp(socket, Address::Inet(remote), *local)
            }
            Socket::Unix(listener, local) => {
                let (socket, remote) = ready!(listener.poll_accept(cx))?;
                unix(socket, named(&remote), local)
            }
        }))
    }

    fn try_accept(&self) -> io::Result<Incoming> {
        let socket = rustix::net::accept_with(self, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        Ok(match &self.socket {
            Socket::Tcp(_, local) => {
                let socket = TcpStream::from_std(socket.into())?;
                let remote = socket.peer_addr().map_or(Address::Unnamed, Address::Inet);
                tcp(socket, remote, *local)
            }
            Socket::Unix(_, local) => {
                let socket = UnixStream::from_std(socket.into())?;
                let remote = socket.peer_addr().map_or(Address::Unnamed, |peer| named(&peer));
                unix(socket, remote, local)
            }
        })
    }
}

fn tcp(socket: TcpStream, remote: Address, local: Option<SocketAddr>) -> Incoming {
    let local = local.or_else(|| socket.local_addr().ok());
    let local = local.map_or(Address::Unnamed, Address::Inet);
    Incoming { socket: IncomingSocket::Tcp(socket), remote, local }
}

fn unix(socket: UnixStream, remote: Address, local: &Address) -> Incoming {
    Incoming { socket: IncomingSocket::Unix(socket), remote, local: local.clone() }
}

fn named(address: &UnixAddress) -> Address {
    address.as_pathname().map_or(Address::Unnamed, |path| Address::Unix(path.to_path_buf()))
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket, _) => socket.as_fd(),
            Socket::Unix(socket, _) => socket.as_fd(),
        }
    }
}

/// accept(2): what the network did to the connection that was to be accepted is reported with it,
/// and the next one may be all right.
fn is_about_one_connection(error: &io::Error) -> bool {
    const ERRORS: [Errno; 11] = [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PROTO,
        Errno::PERM,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
    ];
    Errno::from_io_error(error).is_some_and(|errno| ERRORS.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream as Peer;

    #[test]
    fn a_lack_of_descriptors_is_not_the_peers() {
        for errno in [Errno::CONNABORTED, Errno::NETDOWN, Errno::HOSTUNREACH] {
            assert!(is_about_one_connection(&errno.into()), "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::INVAL] {
            assert!(!is_about_one_connection(&errno.into()), "{errno}");
        }
    }

    #[tokio::test]
    async fn a_connection_has_what_it_needs_from_the_begin() {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr();
        let mut acceptor = Acceptor::new(listener, ErrorStream::stderr()).unwrap();
        let peer = Peer::connect(address.inet().unwrap()).unwrap();
        let incoming = acceptor.accept().await;
        assert_eq!(incoming.local, address);
        assert_eq!(incoming.remote, Address::Inet(peer.local_addr().unwrap()));
        let IncomingSocket::Tcp(socket) = incoming.socket else { panic!("another socket") };
        assert!(socket.nodelay().unwrap());
        let flags = rustix::fs::fcntl_getfl(&socket).unwrap();
        assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
        assert!(!acceptor.is_awaited());
        let _next = Peer::connect(address.inet().unwrap()).unwrap();
        assert!(acceptor.is_awaited());
    }

    #[tokio::test]
    async fn with_several_addresses_each_connection_has_its_own() {
        let listener = Listener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().inet().unwrap().port();
        let mut acceptor = Acceptor::new(listener, ErrorStream::stderr()).unwrap();
        let _peer = Peer::connect(("127.0.0.1", port)).unwrap();
        let incoming = acceptor.accept().await;
        assert_eq!(incoming.local.to_string(), format!("127.0.0.1:{port}"));
    }
}
