//! Where a server listens.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gateway_core::{Address, ServerError, ServerInfo};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

/// How many connections may wait to be accepted; the system may cut it to its own maximum.
const BACKLOG: i32 = 4096;

/// After a silence of the first the peer is asked for a sign of life, and after a minute more given up.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// A bound socket, not blocking, whose connections wait in a backlog of 4,096.
///
/// Its TCP connections have `TCP_NODELAY` and keep-alive: a peer that vanished without a word while
/// nothing was on its way to it is noticed after two minutes, also where no timeout of HTTP runs, as
/// after an upgrade.
///
/// Dropping it closes the socket, unless [`split`](Listener::split) took that out.
#[derive(Debug)]
pub struct Listener {
    socket: ListenerSocket,
    file: Option<SocketFile>,
    /// The host as it was asked for.
    host: Option<String>,
}

/// The socket of a [`Listener`].
#[derive(Debug)]
pub enum ListenerSocket {
    /// Over IP.
    Tcp(TcpListener),
    /// On this machine, by a path.
    Unix(UnixListener),
}

impl Listener {
    /// Listens on `address`: `HOST:PORT`, where the host is a name, an IPv4 address, or an IPv6
    /// address in brackets, and port 0 is any free one; or `unix:PATH`.
    ///
    /// The socket file that a dead server left behind is replaced.
    ///
    /// # Errors
    ///
    /// [`ServerError::Bind`] if `address` is none of these, its name is not known, or the system
    /// refuses it: of kind `AddrInUse` if somebody listens there, or if the path is no socket.
    pub fn bind(address: &str) -> Result<Listener, ServerError> {
        let bound = match address.strip_prefix("unix:") {
            Some(path) => bind_unix(Path::new(path)),
            None => bind_tcp(address),
        };
        bound.map_err(|source| ServerError::Bind { address: address.to_owned(), source })
    }

    /// Takes over a socket that listens already. If it has keep-alive, that stays as it is.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] if it cannot be made non-blocking.
    pub fn from_tcp(listener: TcpListener) -> Result<Listener, ServerError> {
        listener.set_nonblocking(true).map_err(not_made_nonblocking)?;
        let socket = SockRef::from(&listener);
        // Without them small responses are slower, and who vanished is noticed later.
        let _ = socket.set_tcp_nodelay(true);
        if socket.keepalive().is_ok_and(|chosen| !chosen) {
            let _ = socket.set_tcp_keepalive(&KEEP_ALIVE);
        }
        Ok(Listener { socket: ListenerSocket::Tcp(listener), file: None, host: None })
    }

    /// Takes over a socket that listens already. Its file is not removed later.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] if it cannot be made non-blocking.
    pub fn from_unix(listener: UnixListener) -> Result<Listener, ServerError> {
        listener.set_nonblocking(true).map_err(not_made_nonblocking)?;
        Ok(Listener { socket: ListenerSocket::Unix(listener), file: None, host: None })
    }

    /// Where it listens, with the real port where 0 was asked for.
    pub fn local_addr(&self) -> Address {
        match &self.socket {
            ListenerSocket::Tcp(listener) => {
                listener.local_addr().map_or(Address::Unnamed, Address::Inet)
            }
            ListenerSocket::Unix(listener) => listener
                .local_addr()
                .ok()
                .and_then(|address| address.as_pathname().map(Path::to_path_buf))
                .map_or(Address::Unnamed, Address::Unix),
        }
    }

    /// The facts of a server that listens here. `name` is the operator's; otherwise it is the host
    /// as it was asked for, or `localhost` where that says nothing.
    pub fn server_info(&self, software: &'static str, name: Option<&str>) -> ServerInfo {
        let local = self.local_addr().inet();
        let name = name.or(self.host.as_deref()).map_or_else(
            || Cow::Owned(local.map_or_else(|| "localhost".to_owned(), own_name)),
            |name| Cow::Owned(name.to_owned()),
        );
        ServerInfo::new(name, local.map(|address| address.port()), software)
    }

    /// The socket, and the file to be removed (by dropping it) when the socket is closed.
    pub fn split(self) -> (ListenerSocket, Option<SocketFile>) {
        (self.socket, self.file)
    }
}

/// The file of a Unix socket that we made; dropping it removes the file, if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Another server may have put its own file there since.
    identity: Identity,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Left behind it does no harm: the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Device, inode, and when it was made, since an inode's number may be used again.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(path: &Path) -> io::Result<Identity> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino(), file.created().ok()))
}

fn not_made_nonblocking(source: io::Error) -> ServerError {
    ServerError::Io { action: "make its listener non-blocking", source }
}

fn bind_tcp(address: &str) -> io::Result<Listener> {
    let (host, port) = address.rsplit_once(':').ok_or_else(no_address)?;
    let _: u16 = port.parse().map_err(|_| no_address())?;
    if host.is_empty() {
        return Err(no_address());
    }
    let mut failure = None;
    for address in address.to_socket_addrs()? {
        match listen(address) {
            Ok(listener) => {
                let is_name = host.parse::<IpAddr>().is_err() && !host.starts_with('[');
                return Ok(Listener {
                    socket: ListenerSocket::Tcp(listener),
                    file: None,
                    host: is_name.then(|| host.to_owned()),
                });
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "an address is HOST:PORT or unix:PATH")
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // Accepted connections inherit these, which saves each the system calls.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEP_ALIVE)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let file = SocketFile { path: path.to_path_buf(), identity: identity(path)? };
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(Listener { socket: ListenerSocket::Unix(socket.into()), file: Some(file), host: None })
}

/// Whether `path` is a socket that nobody listens on. Connecting to any other file is refused, too.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket && knock(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Connects without waiting: where the backlog is full, somebody is behind it, who may be stuck.
fn knock(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// RFC 3875 §4.1.14: an IPv6 address stands in brackets.
fn own_name(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// A directory that is removed with what is in it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let name = format!("gateway-listener-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a temporary directory");
            Directory(path)
        }

        fn address(&self) -> (PathBuf, String) {
            let path = self.0.join("socket");
            let address = format!("unix:{}", path.display());
            (path, address)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn kind(address: &str) -> io::ErrorKind {
        match Listener::bind(address) {
            Err(ServerError::Bind { source, .. }) => source.kind(),
            other => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn port_0_is_told_as_it_is() {
        let listener = Listener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().inet().expect("an IP address").port();
        assert_ne!(port, 0);
        let info = listener.server_info("test/1", None);
        assert_eq!((&*info.name, info.port), ("127.0.0.1", Some(port)));
        assert_eq!(listener.server_info("test/1", Some("example.org")).name, "example.org");
    }

    #[test]
    fn a_name_stays_a_name() {
        let listener = Listener::bind("localhost:0").expect("a free port");
        assert_eq!(listener.server_info("test/1", None).name, "localhost");
    }

    #[test]
    fn an_ipv6_address_has_brackets() {
        let Ok(listener) = Listener::bind("[::1]:0") else { return };
        assert_eq!(listener.server_info("test/1", None).name, "[::1]");
    }

    fn accepted(listener: &Listener) -> TcpStream {
        let ListenerSocket::Tcp(socket) = &listener.socket else { panic!("{listener:?}") };
        let address = socket.local_addr().expect("it is bound");
        let _peer = TcpStream::connect(address).expect("it listens");
        // The peer may be through with connecting before it can be accepted.
        socket.set_nonblocking(false).expect("a socket's mode");
        socket.accept().expect("a peer waits").0
    }

    fn keep_alive(listener: &Listener) -> Option<(Duration, Duration, u32)> {
        let accepted = accepted(listener);
        let accepted = SockRef::from(&accepted);
        accepted.keepalive().expect("an option of TCP's").then(|| {
            let idle = accepted.tcp_keepalive_time().expect("an option of TCP's");
            let interval = accepted.tcp_keepalive_interval().expect("an option of TCP's");
            (idle, interval, accepted.tcp_keepalive_retries().expect("an option of TCP's"))
        })
    }

    #[test]
    fn small_answers_do_not_wait_for_more() {
        let bound = Listener::bind("127.0.0.1:0").expect("a free port");
        let handed_over = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let handed_over = Listener::from_tcp(handed_over).expect("it listens");
        for listener in [bound, handed_over] {
            assert!(accepted(&listener).nodelay().expect("an option of TCP's"), "{listener:?}");
        }
    }

    #[test]
    fn peers_that_vanished_are_looked_for() {
        let expected = Some((Duration::from_secs(60), Duration::from_secs(15), 4));
        let bound = Listener::bind("127.0.0.1:0").expect("a free port");
        assert_eq!(keep_alive(&bound), expected);
        let handed_over = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let handed_over = Listener::from_tcp(handed_over).expect("it listens");
        assert_eq!(keep_alive(&handed_over), expected);
    }

    #[test]
    fn who_hands_a_socket_over_may_have_decided() {
        let theirs = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (idle, interval) = (Duration::from_secs(7), Duration::from_secs(3));
        let chosen = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(2);
        SockRef::from(&theirs).set_tcp_keepalive(&chosen).expect("an option of TCP's");
        let listener = Listener::from_tcp(theirs).expect("it listens");
        assert_eq!(keep_alive(&listener), Some((idle, interval, 2)));
    }

    #[test]
    fn a_port_in_use_is_refused_and_said() {
        let first = Listener::bind("127.0.0.1:0").expect("a free port");
        let address = first.local_addr().to_string();
        assert_eq!(kind(&address), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn what_is_no_address_is_said() {
        for address in ["", "8000", "127.0.0.1", ":8000", "127.0.0.1:port", "127.0.0.1:70000"] {
            assert_eq!(kind(address), io::ErrorKind::InvalidInput, "{address}");
        }
    }

    #[test]
    fn a_socket_file_comes_and_goes_with_its_listener() {
        let directory = Directory::new("comes");
        let (path, address) = directory.address();
        let listener = Listener::bind(&address).expect("a free path");
        assert_eq!(listener.local_addr(), Address::Unix(path.clone()));
        assert_eq!(kind(&address), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn the_file_of_a_dead_server_is_replaced_and_no_other() {
        let directory = Directory::new("stale");
        let (path, address) = directory.address();
        drop(UnixListener::bind(&path).expect("a free path"));
        assert!(path.exists());
        drop(Listener::bind(&address).expect("a stale file is replaced"));
        fs::write(&path, "precious").expect("a file");
        assert_eq!(kind(&address), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read(&path).expect("the file is there"), b"precious");
    }

    #[test]
    fn a_server_whose_backlog_is_full_is_still_there() {
        let directory = Directory::new("full");
        let (path, address) = directory.address();
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a descriptor");
        let name = SockAddr::unix(&path).expect("a short path");
        busy.bind(&name).expect("a free path");
        busy.listen(0).expect("it is bound");
        let mut waiting = Vec::new();
        let error = loop {
            let peer = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a descriptor");
            peer.set_nonblocking(true).expect("a socket can");
            match peer.connect(&name) {
                Ok(()) => waiting.push(peer),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);

        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(kind(&address)));
        let told = told.recv_timeout(Duration::from_secs(10));
        assert_eq!(told.expect("it does not wait"), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_is_not_ours_any_more_stays() {
        let directory = Directory::new("stays");
        let (path, address) = directory.address();
        let ours = Listener::bind(&address).expect("a free path");
        fs::remove_file(&path).expect("it is there");
        let _theirs = UnixListener::bind(&path).expect("a free path");
        drop(ours);
        assert!(path.exists());
    }
}
