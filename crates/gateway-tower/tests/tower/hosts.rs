//! Servers of both kinds, each on a free port of its own, until they are dropped.

use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use gateway_core::{Application, Input, Server, http, run};
use gateway_std::StdServer;
use gateway_tokio::TokioServer;
use gateway_tower::{FromTower, IntoTower, from_tower};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::oneshot;
use tower::Service;

/// Long enough for whatever must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    stop: Option<Box<dyn FnOnce() + Send + Sync>>,
    thread: Option<JoinHandle<()>>,
}

/// `router` as axum serves it.
pub(crate) fn axum_serves(router: Router) -> Host {
    asynchronous(move |listener, stopped| async move {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let stop = async move {
            let _ = stopped.await;
        };
        axum::serve(listener, service).with_graceful_shutdown(stop).await.expect("it serves");
    })
}

/// `app` as plain hyper serves it.
pub(crate) fn hyper_serves<A: Application>(app: IntoTower<A>) -> Host {
    asynchronous(move |listener, stopped| async move {
        let accepting = async {
            loop {
                let (socket, _) = listener.accept().await.expect("it accepts");
                let service = app.clone();
                tokio::spawn(async move {
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // It fails where a client goes away, or a response is cut.
                    let _ =
                        builder.serve_connection_with_upgrades(TokioIo::new(socket), service).await;
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = stopped => {}
        }
    })
}

/// `app` on gateway-tokio.
pub(crate) fn tokio_serves(app: impl Application) -> Host {
    serves(TokioServer::bind("127.0.0.1:0").expect("a free port").threads(2), app)
}

/// `app` on gateway-std, where it finds a Tokio runtime.
pub(crate) fn std_serves(app: impl Application) -> Host {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = StdServer::bind("127.0.0.1:0").expect("a free port");
    let handle = runtime.handle().clone();
    let server = server.with_context(move |run| {
        let _entered = handle.enter();
        run();
    });
    let mut host = serves(server, app);
    let stop = host.stop.take().expect("it has not been stopped");
    host.stop = Some(Box::new(move || {
        stop();
        runtime.shutdown_background();
    }));
    host
}

/// A router on our servers, with what `into_make_service_with_connect_info` adds.
pub(crate) fn application(router: Router) -> FromTower<Router> {
    from_tower(router).map_request(|environ, request| {
        if let Some(peer) = environ.remote_addr().inet() {
            request.extensions.insert(ConnectInfo(peer));
        }
    })
}

/// Asserts that a router is a service of our input as it is.
pub(crate) fn is_service<S: Service<http::Request<Input>>>(_: &S) {}

fn serves(server: impl Server + Send + 'static, app: impl Application) -> Host {
    let address = server.local_addrs()[0].inet().expect("an address of TCP");
    let handle = server.handle();
    let thread = thread::spawn(move || {
        run(server, app).expect("it serves");
    });
    let stop = Box::new(move || handle.shutdown(Duration::ZERO));
    Host { address, stop: Some(stop), thread: Some(thread) }
}

fn asynchronous<F, Fut>(serve: F) -> Host
where
    F: FnOnce(tokio::net::TcpListener, oneshot::Receiver<()>) -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (stop, stopped) = oneshot::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            listener.set_nonblocking(true).expect("it can be");
            let listener = tokio::net::TcpListener::from_std(listener).expect("it is taken");
            serve(listener, stopped).await;
        });
        runtime.shutdown_background();
    });
    let stop = Box::new(move || {
        // It fails only where the host has ended.
        let _ = stop.send(());
    });
    Host { address, stop: Some(stop), thread: Some(thread) }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            thread::panicking() || ended.is_none_or(|ended| ended.is_ok()),
            "the host panicked"
        );
    }
}
