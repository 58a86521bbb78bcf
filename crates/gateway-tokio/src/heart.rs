//! A running server: what accepts, what looks after all connections, and what ends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use gateway_connection::{Full, Listener, Permit, Registry, Service, Settings, serve};
use gateway_core::exchange::ConnectionInfo;
use gateway_core::{Address, Application, ErrorStream, ServerError, ServerInfo, Stopped};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::accept::{Acceptor, Detached, Incoming, IncomingSocket};
use crate::clock::Clock;
use crate::signals::{CUT, DUE, END, Signals};
use crate::socket::Socket;
use crate::stop::Stop;
use crate::transport::TokioTransport;
use crate::workers::Workers;

/// How often it is looked at the deadlines at the least.
const LOOK: Duration = Duration::from_millis(250);

/// How often somebody who can be evicted is looked for while newcomers wait.
const EVICT: Duration = Duration::from_millis(50);

/// How long connections and workers have to notice that they have been cut.
const AFTERMATH: Duration = Duration::from_millis(250);

/// A runtime that connections are given to.
#[derive(Debug)]
pub(crate) struct Reactor {
    handle: Handle,
    live: AtomicUsize,
}

impl Reactor {
    pub(crate) fn new(handle: Handle) -> Arc<Reactor> {
        Arc::new(Reactor { handle, live: AtomicUsize::new(0) })
    }
}

/// What the connections of a running server share.
pub(crate) struct Heart {
    registry: Arc<Registry<Signals>>,
    clock: Arc<Clock>,
    reactors: Vec<Arc<Reactor>>,
    workers: Arc<Workers>,
    service: Arc<Service>,
    info: Arc<ServerInfo>,
    errors: ErrorStream,
    begun: Notify,
    ended: Notify,
}

impl Heart {
    /// `reactors` has at least one.
    pub(crate) fn new(
        settings: &Settings,
        info: ServerInfo,
        max_connections: usize,
        reactors: Vec<Arc<Reactor>>,
        workers: Workers,
        app: Arc<dyn Application>,
    ) -> Arc<Heart> {
        let clock = Clock::new();
        let per_address = settings.max_connections_per_address;
        let registry = Registry::new(max_connections, per_address, clock.epoch());
        Arc::new(Heart {
            registry,
            clock: Arc::new(clock),
            reactors,
            workers: Arc::new(workers),
            service: settings.service(app),
            info: Arc::new(info),
            errors: settings.errors.clone(),
            begun: Notify::new(),
            ended: Notify::new(),
        })
    }

    /// Serves until `stop` is ordered, then ends all connections. When the future is dropped
    /// instead, they are cut.
    pub(crate) async fn beat(
        self: Arc<Self>,
        listener: Listener,
        stop: &Stop,
    ) -> Result<Stopped, ServerError> {
        let mut acceptor = Acceptor::new(listener, self.errors.clone())
            .map_err(|source| ServerError::Io { action: "listen", source })?;
        let cut_at_last = CutAtLast(&self);
        tokio::select! {
            biased;
            () = stop.ordered() => {}
            () = self.look_after() => {}
            () = self.accept(&mut acceptor) => {}
        }
        // Before nobody listens any more: what is answered after that says that it is the last.
        self.raise(END);
        if stop.has_grace() {
            self.accept_waiting(&mut acceptor);
        }
        drop(acceptor);
        tokio::select! {
            biased;
            () = self.empty() => {}
            () = stop.grace_over() => {}
            () = self.look_after() => {}
            () = self.end_idle() => {}
        }
        let cut = self.registry.in_exchange();
        drop(cut_at_last);
        // What is left then hangs in an application that does not come back.
        let _ =
            timeout(AFTERMATH, async { tokio::join!(self.empty(), self.workers.quiet()) }).await;
        Ok(Stopped::new(cut, self.workers.busy()))
    }

    /// Accepts while there is room. What does not fit waits in the backlog.
    async fn accept(self: &Arc<Self>, acceptor: &mut Acceptor) {
        loop {
            while !self.registry.has_room() {
                if acceptor.is_awaited() {
                    self.evict();
                }
                let _ = timeout(EVICT, self.ended.notified()).await;
            }
            let incoming = acceptor.accept().await;
            self.begin(incoming, Signals::default());
            self.evict();
        }
    }

    /// Whoever has connected before the end, and perhaps sent a request, is not turned away.
    fn accept_waiting(self: &Arc<Self>, acceptor: &mut Acceptor) {
        while self.registry.has_room()
            && let Some(incoming) = acceptor.accept_waiting()
        {
            let signals = Signals::default();
            signals.raise(END);
            self.begin(incoming, signals);
        }
    }

    fn evict(&self) {
        for slot in self.registry.evictees(self.clock.now()) {
            slot.end().raise(END);
        }
    }

    /// Tells connections when their time is over, for ever.
    async fn look_after(&self) {
        let times = &self.service.config.timeouts;
        let shortest = [times.head, times.keep_alive, times.grace, times.stall, times.drain]
            .into_iter()
            .fold(8 * LOOK, Duration::min);
        loop {
            while self.registry.is_empty() {
                self.begun.notified().await;
            }
            sleep((shortest / 8).max(Duration::from_millis(1))).await;
            for slot in self.registry.overdue(self.clock.tick()) {
                // Whoever comes to wait later sees the flag anyway.
                if slot.end().flags() & DUE == 0 {
                    slot.end().raise(DUE);
                }
            }
        }
    }

    /// Asks those to end, again and again, who were spared when the server began to end.
    async fn end_idle(&self) {
        loop {
            sleep(LOOK).await;
            for slot in self.registry.idle_and_heads() {
                slot.end().raise(END);
            }
        }
    }

    /// Waits until no connection is left.
    async fn empty(&self) {
        while !self.registry.is_empty() {
            self.ended.notified().await;
        }
    }

    fn raise(&self, flag: u8) {
        self.registry.all().iter().for_each(|slot| slot.end().raise(flag));
    }

    /// Gives a new connection, with these flags, to the reactor that has the fewest.
    fn begin(self: &Arc<Self>, incoming: Incoming, signals: Signals) {
        let remote = incoming.remote.inet().map(|address| address.ip());
        let permit = match self.registry.insert(signals, remote, self.clock.tick()) {
            Ok(permit) => permit,
            // Closed at once: waiting in the backlog it would be in the way of other addresses.
            Err(Full::Address | Full::Server) => return,
        };
        let fewest = self.reactors.iter().min_by_key(|reactor| reactor.live.load(Relaxed));
        let Some(reactor) = fewest.map(Arc::clone) else { return };
        reactor.live.fetch_add(1, Relaxed);
        let handle = reactor.handle.clone();
        let live = Live { permit: Some(permit), reactor, heart: Arc::clone(self) };
        self.begun.notify_one();
        if handle.id() == Handle::current().id() {
            handle.spawn(live.serve(incoming));
            return;
        }
        let Incoming { socket, remote, local } = incoming;
        match socket.detach() {
            Ok(socket) => drop(handle.spawn(live.serve_elsewhere(socket, remote, local))),
            Err(error) => self.not_served(&error),
        }
    }
}

/// Cuts what is left when the server ends, in whatever way.
struct CutAtLast<'a>(&'a Heart);

impl Drop for CutAtLast<'_> {
    fn drop(&mut self) {
        self.0.raise(CUT);
        self.0.workers.close();
    }
}

/// One connection's task holds it for as long as it lives, and a panic does not lose it.
struct Live {
    permit: Option<Permit<Signals>>,
    reactor: Arc<Reactor>,
    heart: Arc<Heart>,
}

impl Live {
    async fn serve_elsewhere(self, socket: Detached, remote: Address, local: Address) {
        match socket.attach() {
            Ok(socket) => self.serve(Incoming { socket, remote, local }).await,
            Err(error) => self.heart.not_served(&error),
        }
    }

    async fn serve(self, incoming: Incoming) {
        let heart = &self.heart;
        let Some(permit) = &self.permit else { return };
        let mut info = ConnectionInfo::new(Arc::clone(&heart.info));
        info.remote = incoming.remote;
        info.local = incoming.local;
        info.nonblocking = true;
        info.errors = heart.errors.clone();
        let service = Arc::clone(&heart.service);
        match incoming.socket {
            IncomingSocket::Tcp(socket) => {
                serve(heart.transport(socket, permit), service, info).await;
            }
            IncomingSocket::Unix(socket) => {
                serve(heart.transport(socket, permit), service, info).await;
            }
        }
    }
}

impl Heart {
    fn transport<S: Socket>(&self, socket: S, permit: &Permit<Signals>) -> TokioTransport<S> {
        let (slot, clock) = (Arc::clone(permit.slot()), Arc::clone(&self.clock));
        TokioTransport::new(socket, slot, Arc::clone(&self.workers), clock)
    }

    fn not_served(&self, error: &std::io::Error) {
        self.errors.error("a connection cannot be served", error);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.permit = None;
        self.reactor.live.fetch_sub(1, Relaxed);
        self.heart.ended.notify_one();
    }
}
