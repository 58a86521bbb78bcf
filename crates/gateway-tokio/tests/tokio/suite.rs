//! The rules of servers, one test each, over TCP.

use gateway_conformance::ServerHarness;
use gateway_tokio::TokioServer;

fn harness() -> ServerHarness<TokioServer> {
    ServerHarness::new("gateway-tokio", |errors| {
        Ok(TokioServer::bind("127.0.0.1:0")?.error_stream(errors))
    })
}

gateway_conformance::server_suite!(harness());
