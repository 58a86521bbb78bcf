//! Serves measured applications and, at `/metrics`, what Prometheus collects of them. `scripts/metrics`
//! has Prometheus do so.
//!
//! ```text
//! cargo run -p gateway-middleware --example metrics [ADDRESS]    # default: 127.0.0.1:8000
//! ```

use std::error::Error;
use std::io::Write;

use gateway_core::http::StatusCode;
use gateway_core::{Environ, Mount, Response, Server, StartResponse, run};
use gateway_middleware::{Metrics, RoutePattern};
use gateway_tokio::TokioServer;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let metrics = Metrics::new();
    let site = Mount::new().at("/metrics", metrics.page()).at("", metrics.measure(app)).build()?;
    let server = TokioServer::bind(&address)?;
    for address in server.local_addrs() {
        writeln!(std::io::stdout(), "Listening on http://{address}")?;
    }
    run(server, site)?;
    Ok(())
}

/// Echoes, and says as a framework's router does by which pattern a request was routed. The odd one
/// shows that a label may be any text.
fn app(mut environ: Environ, start_response: StartResponse) -> gateway_core::Result<Response> {
    let pattern = match environ.raw_path_info() {
        "/odd" => Some("/\"quoted\"\\{and\nbroken}/\u{e9}"),
        path if path.starts_with("/users/") => Some("/users/{id}"),
        _ => None,
    };
    if let Some(pattern) = pattern {
        RoutePattern::set(&mut environ, pattern);
    }
    let body = environ.input().collect(1 << 20)?;
    Ok(start_response.start(StatusCode::OK, ()).with_body(body))
}
