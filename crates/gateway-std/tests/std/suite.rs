//! The rules of servers, one test each, over TCP and over a Unix socket.

use gateway_conformance::{Claims, Feature, ServerHarness};
use gateway_std::StdServer;

mod over_tcp {
    gateway_conformance::server_suite!(super::tcp());
}

mod over_a_unix_socket {
    gateway_conformance::server_suite!(super::unix());
}

fn tcp() -> ServerHarness<StdServer> {
    ServerHarness::new("gateway-std", |errors| {
        Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
    })
}

fn unix() -> ServerHarness<StdServer> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let bind = |errors| {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateway-std-suite-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        Ok(StdServer::bind(format!("unix:{}", path.display()))?.error_stream(errors))
    };
    // A Unix socket has no reset to send.
    ServerHarness::new("gateway-std, unix", bind)
        .claiming(Claims::everything().without(Feature::Reset))
}
