//! An axum router, unchanged, on any of our servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{ConnectInfo, Path, State};
use axum::routing::get;
use gateway_core::Application;
use gateway_tower::from_tower;

/// Greets at `/` and counts at `/count/{name}`.
///
/// All that knows of Gateway is here: the router becomes an application, and its requests are told
/// where the peer is, as `into_make_service_with_connect_info` tells them on `axum::serve`.
pub fn app() -> impl Application {
    from_tower(router()).map_request(|environ, request| {
        if let Some(peer) = environ.remote_addr().inet() {
            request.extensions.insert(ConnectInfo(peer));
        }
    })
}

fn router() -> Router {
    Router::new()
        .route("/", get(greet))
        .route("/count/{name}", get(count))
        .with_state(Arc::new(AtomicU64::new(0)))
}

async fn greet(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    format!("Hello, {}\n", peer.ip())
}

async fn count(Path(name): Path<String>, State(visits): State<Arc<AtomicU64>>) -> String {
    let visit = visits.fetch_add(1, Ordering::Relaxed) + 1;
    format!("{name} is visitor number {visit}\n")
}
