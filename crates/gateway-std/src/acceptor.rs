//! The thread of `serve`: it accepts, looks at deadlines, and stops the server.

use std::io;
use std::os::unix::net::SocketAddr as UnixAddress;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gateway_connection::{
    Full, Listener, ListenerSocket, Permit, Registry, Service, SocketFile, serve,
};
use gateway_core::exchange::ConnectionInfo;
use gateway_core::{Address, ErrorStream, ServerInfo, Stopped, panic_message};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use crate::drive::block_on;
use crate::ending::{end_for_good, end_overdue, end_waiting};
use crate::server::Around;
use crate::shared::Shared;
use crate::socket::{Socket, poll_fds};
use crate::transport::StdTransport;
use crate::workers::{IDLE, Workers};

/// How long nothing is accepted when the system has no descriptors, memory or threads left.
const PAUSE: Duration = Duration::from_millis(50);

/// How long one complaint about that is enough.
const QUIET: Duration = Duration::from_secs(10);

/// As many connections are accepted before deadlines are looked at again.
const BATCH: usize = 64;

/// At the shutdown's deadline, how long `Pending` replies and unfinished heads have to end as they
/// are told to, and then threads to notice that their socket is gone.
const CUT: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(750)];

/// What accepts and ends connections.
pub(crate) struct Acceptor {
    shared: Arc<Shared>,
    service: Arc<Service>,
    errors: ErrorStream,
    around: Option<Around>,
    registry: Arc<Registry<Socket>>,
    workers: Workers,
    next_tick: Instant,
    /// Nothing is accepted before this.
    paused_until: Option<Instant>,
    complained: Option<Instant>,
}

/// What a server listens on, and what it tells of itself there.
struct Door {
    socket: ListenerSocket,
    info: Arc<ServerInfo>,
    /// The address of every connection; `None` where each may have another one.
    local: Option<Address>,
    _file: Option<SocketFile>,
}

/// One accepted connection.
struct Accepted {
    socket: OwnedFd,
    remote: Address,
    local: Address,
}

impl Acceptor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        service: Arc<Service>,
        errors: ErrorStream,
        around: Option<Around>,
        max_connections: usize,
        max_per_address: Option<usize>,
        stack_size: Option<usize>,
    ) -> Acceptor {
        let registry = Registry::new(max_connections, max_per_address, shared.clock.epoch());
        let workers = Workers::new(max_connections, stack_size, IDLE);
        let next_tick = shared.clock.now();
        Acceptor {
            shared,
            service,
            errors,
            around,
            registry,
            workers,
            next_tick,
            paused_until: None,
            complained: None,
        }
    }

    /// Serves until the server is stopped.
    pub(crate) fn run(mut self, listeners: Vec<Listener>, infos: Vec<ServerInfo>) -> Stopped {
        let doors: Vec<_> =
            listeners.into_iter().zip(infos).map(|(door, info)| Door::new(door, info)).collect();
        while self.shared.grace_left().is_none() {
            self.shared.set_crowded(!self.registry.has_room());
            // After that was set, since a connection may have ended before.
            let accepting = self.registry.has_room() && !self.is_paused();
            let ready = self.wait(if accepting { &doors } else { &[] });
            self.tick(&doors);
            for (door, _) in doors.iter().zip(ready).filter(|(_, ready)| *ready) {
                self.accept(door, BATCH);
            }
        }
        if self.shared.grace_left() > Some(Duration::ZERO) {
            // Who has connected, and perhaps sent a request, is not turned away.
            for door in &doors {
                self.accept(door, usize::MAX);
            }
        }
        drop(doors);
        self.stop()
    }

    /// Waits for a connection on one of `doors`, for a kick, or until something is to be done.
    fn wait(&self, doors: &[Door]) -> Vec<bool> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.shared.kicked(), PollFlags::IN)];
        fds.extend(doors.iter().map(|door| PollFd::from_borrowed_fd(door.as_fd(), PollFlags::IN)));
        let now = self.shared.clock.refresh();
        let tick =
            (!self.registry.is_empty()).then(|| self.next_tick.saturating_duration_since(now));
        let pause = self.paused_until.map(|until| until.saturating_duration_since(now));
        let timeout = [tick, pause].into_iter().flatten().min();
        // An interrupted wait has found nothing.
        let _ = poll_fds(&mut fds, timeout);
        if !fds[0].revents().is_empty() {
            self.shared.take_kicks();
        }
        fds[1..].iter().map(|fd| !fd.revents().is_empty()).collect()
    }

    /// Publishes the time and does what is due, if something is.
    fn tick(&mut self, doors: &[Door]) {
        let now = self.shared.clock.refresh();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + self.shared.tick();
        end_overdue(&self.registry, now);
        self.tell_who_has_gone();
        if !self.registry.has_room() && doors.iter().any(Door::is_awaited) {
            self.evict(now);
        }
    }

    fn tell_who_has_gone(&self) {
        if !self.shared.gone_awaited.swap(false, Ordering::SeqCst) {
            return;
        }
        for slot in self.registry.all() {
            let socket = slot.end();
            if socket.waiting.is_gone_unwatched() {
                if socket.is_gone() {
                    socket.waiting.wake_all();
                } else {
                    self.shared.gone_awaited.store(true, Ordering::SeqCst);
                }
            }
        }
    }

    /// Whoever is named here sees that, within a tick.
    fn evict(&self, now: Instant) {
        self.registry.evictees(now);
    }

    /// Accepts up to `most` of those who wait, as long as there is room.
    fn accept(&mut self, door: &Door, most: usize) {
        for _ in 0..most {
            if !self.registry.has_room() || self.is_paused() {
                return;
            }
            match door.accept() {
                Ok(accepted) => self.begin(door, accepted),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => self.pause("cannot accept connections for a moment", &error),
            }
        }
    }

    fn begin(&mut self, door: &Door, accepted: Accepted) {
        let Accepted { socket, remote, local } = accepted;
        let now = self.shared.clock.refresh();
        if self.registry.is_empty() {
            self.next_tick = now + self.shared.tick();
        }
        self.evict(now);
        let ip = remote.inet().map(|address| address.ip());
        let permit = match self.registry.insert(Socket::new(socket, ip.is_some()), ip, now) {
            Ok(permit) => permit,
            // By rule it is closed at once.
            Err(Full::Address | Full::Server) => return,
        };
        let mut info = ConnectionInfo::new(Arc::clone(&door.info));
        info.remote = remote;
        info.local = local;
        info.errors = self.errors.clone();
        let connection = Connection {
            permit,
            info,
            service: Arc::clone(&self.service),
            around: self.around.clone(),
            shared: Arc::clone(&self.shared),
        };
        if let Err(error) = self.workers.submit(Box::new(move || connection.run())) {
            self.pause("cannot make a thread for a moment", &error);
        }
    }

    fn pause(&mut self, why: &str, error: &io::Error) {
        let now = self.shared.clock.refresh();
        self.paused_until = Some(now + PAUSE);
        if self.complained.is_none_or(|then| now.duration_since(then) >= QUIET) {
            self.complained = Some(now);
            self.errors.error(why, error);
        }
    }

    fn is_paused(&mut self) -> bool {
        let now = self.shared.clock.refresh();
        if self.paused_until.is_some_and(|until| now >= until) {
            self.paused_until = None;
            if let Err(error) = self.workers.retry() {
                self.pause("still cannot make a thread", &error);
            }
        }
        self.paused_until.is_some()
    }
}

/// The shutdown.
impl Acceptor {
    fn stop(mut self) -> Stopped {
        while let Some(left) = self.shared.grace_left().filter(|left| !left.is_zero()) {
            if self.registry.is_empty() {
                break;
            }
            // Who waits for a request sees that there is a shutdown, within a tick.
            self.wait_for_a_kick(left.min(self.shared.tick()));
            self.tick(&[]);
            // A thread may have been missing.
            let _ = self.workers.retry();
        }
        let cut = self.registry.in_exchange();
        for slot in self.registry.all() {
            end_waiting(&slot);
        }
        self.wait_until_empty(CUT[0]);
        for slot in self.registry.all() {
            end_for_good(&slot);
        }
        self.wait_until_empty(CUT[1]);
        let left_running = self.registry.len();
        self.workers.close(left_running, CUT[0]);
        Stopped::new(cut, left_running)
    }

    fn wait_until_empty(&self, timeout: Duration) {
        let until = Instant::now() + timeout;
        while !self.registry.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.wait_for_a_kick(left);
            self.shared.clock.refresh();
        }
    }

    fn wait_for_a_kick(&self, timeout: Duration) {
        let mut fds = [PollFd::from_borrowed_fd(self.shared.kicked(), PollFlags::IN)];
        let _ = poll_fds(&mut fds, Some(timeout));
        self.shared.take_kicks();
    }
}

impl Door {
    fn new(listener: Listener, info: ServerInfo) -> Door {
        let local = listener.local_addr();
        let is_any = local.inet().is_some_and(|address| address.ip().is_unspecified());
        let (socket, file) = listener.split();
        Door { socket, info: Arc::new(info), local: (!is_any).then_some(local), _file: file }
    }

    fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            ListenerSocket::Tcp(listener) => {
                let (stream, remote) = listener.accept()?;
                let local = match &self.local {
                    Some(local) => local.clone(),
                    None => stream.local_addr().map_or(Address::Unnamed, Address::Inet),
                };
                Ok(Accepted { socket: stream.into(), remote: remote.into(), local })
            }
            ListenerSocket::Unix(listener) => {
                let (stream, remote) = listener.accept()?;
                let local = self.local.clone().unwrap_or(Address::Unnamed);
                Ok(Accepted { socket: stream.into(), remote: unix(&remote), local })
            }
        }
    }

    /// Whether somebody waits in the backlog.
    fn is_awaited(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.as_fd(), PollFlags::IN)];
        poll_fds(&mut fds, Some(Duration::ZERO)).is_ok_and(|ready| ready > 0)
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            ListenerSocket::Tcp(listener) => listener.as_fd(),
            ListenerSocket::Unix(listener) => listener.as_fd(),
        }
    }
}

fn unix(address: &UnixAddress) -> Address {
    address.as_pathname().map_or(Address::Unnamed, |path| Address::Unix(path.to_path_buf()))
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

/// A connection on its way to its thread, and there.
struct Connection {
    permit: Permit<Socket>,
    info: ConnectionInfo,
    service: Arc<Service>,
    around: Option<Around>,
    shared: Arc<Shared>,
}

impl Connection {
    fn run(self) {
        let Connection { permit, info, service, around, shared } = self;
        let errors = info.errors.clone();
        let transport = StdTransport::new(Arc::clone(permit.slot()), Arc::clone(&shared));
        let mut parts = Some((transport, service, info));
        let mut run = move || {
            if let Some((transport, service, info)) = parts.take() {
                block_on(serve(transport, service, info));
            }
        };
        // `run` is not called again after a panic.
        let outcome = catch_unwind(AssertUnwindSafe(move || match around {
            Some(around) => around(&mut run),
            None => run(),
        }));
        match outcome {
            // Closed already, or `around` did not call.
            Ok(()) => permit.end().end(),
            // Nobody knows how far it came.
            Err(_) => permit.end().reset(),
        }
        drop(permit);
        shared.connection_ended();
        if let Err(payload) = outcome {
            errors.line(format_args!("a connection panicked: {}", panic_message(&*payload)));
        }
    }
}
