//! Measures the adapters: axum on gateway-tokio beside axum on `axum::serve`, and an application under
//! hyper beside a plain hyper service. Each server has one thread.
//!
//! ```text
//! cargo run --release --manifest-path bench/Cargo.toml -p adapters              # all, by wrk, in rounds
//! cargo run --release --manifest-path bench/Cargo.toml -p adapters -- app-hyper # serves one
//! ```
//!
//! `bench/counts` holds ours to their bounds.

use std::convert::Infallible;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::routing::get;
use gateway_core::http::{self, StatusCode, header::CONTENT_TYPE};
use gateway_core::{Server, inline, run};
use gateway_tokio::TokioServer;
use gateway_tower::{from_tower, into_tower};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;

/// What is served, beside what it is compared with.
const PAIRS: [(&str, &str); 2] = [("axum-gateway", "axum-serve"), ("app-hyper", "hyper")];

const ROUNDS: usize = 8;
const HELLO: &str = "Hello, World!";
const PATH: &str = "/plaintext";
const LISTENING: &str = "Listening on http://";

/// What a browser sends.
const FIELDS: &[&str] = &[
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: none",
    "Sec-Fetch-User: ?1",
    "Priority: u=0, i",
    "Cache-Control: max-age=0",
];

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    match std::env::args().nth(1).as_deref() {
        None => measure(),
        Some("axum-gateway") => {
            let server = TokioServer::bind("127.0.0.1:0")?.threads(1);
            let address = server.local_addrs()[0].inet().ok_or("an address of TCP")?;
            listening(address)?;
            run(server, from_tower(router()))?;
            Ok(())
        }
        Some("axum-serve") => on_a_thread(|listener| async {
            axum::serve(listener, router()).await?;
            Ok(())
        }),
        Some("hyper") => on_a_thread(|listener| {
            serve(listener, || {
                service_fn(|_| async {
                    let mut response =
                        http::Response::new(Full::new(Bytes::from_static(HELLO.as_bytes())));
                    let plain = http::HeaderValue::from_static("text/plain");
                    response.headers_mut().insert(CONTENT_TYPE, plain);
                    Ok::<_, Infallible>(response)
                })
            })
        }),
        Some("app-hyper") => on_a_thread(|listener| {
            let service = into_tower(inline(|_, start_response| {
                let headers = [(CONTENT_TYPE, "text/plain")];
                Ok(start_response.start(StatusCode::OK, headers).with_body(HELLO))
            }));
            serve(listener, move || service.clone())
        }),
        Some(other) => Err(format!("there is no {other}").into()),
    }
}

fn router() -> Router {
    Router::new()
        .route(PATH, get(|| async { HELLO }))
        .route("/users/{id}", get(|| async { "user" }))
}

fn on_a_thread<F: Future<Output = Outcome>>(
    serve: impl FnOnce(tokio::net::TcpListener) -> F,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        listening(listener.local_addr()?)?;
        serve(listener).await
    })
}

async fn serve<S>(listener: tokio::net::TcpListener, service: impl Fn() -> S) -> Outcome
where
    S: HttpService<Incoming> + 'static,
    S::Future: 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::ResBody: 'static,
    <S::ResBody as hyper::body::Body>::Error: Into<Box<dyn Error + Send + Sync>>,
{
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service());
        tokio::task::spawn_local(async move {
            // It fails where wrk goes away.
            let _ = connection.await;
        });
    }
}

/// One server, as a process of its own.
struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    fn start(name: &str) -> Outcome<Served> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(name).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("it is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().strip_prefix(LISTENING).ok_or("it says where it listens")?;
        Ok(Served { child, address: address.parse()? })
    }

    /// The processor time that it has used, in seconds.
    fn used(&self) -> Outcome<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / 100.0)
    }

    /// Requests per second, and microseconds of processor time per request.
    fn load(&self, fields: &[&str]) -> Outcome<(f64, f64)> {
        let before = self.used()?;
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c32", "-d2s"]);
        wrk.args(fields.iter().flat_map(|field| ["-H", field]));
        let output = wrk.arg(format!("http://{}{PATH}", self.address)).output()?;
        let text = String::from_utf8(output.stdout)?;
        let total = text.lines().find(|line| line.contains("requests in")).ok_or("wrk counts")?;
        let requests: f64 = total.split_whitespace().next().ok_or("a count")?.parse()?;
        let rate = text.lines().find(|line| line.contains("Requests/sec")).ok_or("wrk rates")?;
        let rate = rate.split_whitespace().last().ok_or("a rate")?.parse()?;
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(text.into());
        }
        Ok((rate, (self.used()? - before) * 1e6 / requests))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn measure() -> Outcome {
    for (what, fields) in [("Host only", &[][..]), ("13 fields", FIELDS)] {
        for (ours, theirs) in PAIRS {
            let servers = [Served::start(ours)?, Served::start(theirs)?];
            let mut results = [Vec::new(), Vec::new()];
            for round in 0..=ROUNDS {
                for at in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                    let result = servers[at].load(fields)?;
                    // The first one warms up.
                    if round > 0 {
                        results[at].push(result);
                    }
                }
            }
            let [ours_is, theirs_is] = results.map(|results| best(&results));
            for (name, (rate, micros)) in [(ours, ours_is), (theirs, theirs_is)] {
                say(&format!("{what:10} {name:14} {rate:9.0} requests/s {micros:6.2} us/request"))?;
            }
            let (rate, micros) = (ours_is.0 / theirs_is.0, ours_is.1 / theirs_is.1);
            say(&format!("{what:10} {ours} / {theirs}: rate {rate:.3}, processor {micros:.3}"))?;
        }
    }
    Ok(())
}

/// The best rate and the least time: what else runs on the machine makes both worse only.
fn best(results: &[(f64, f64)]) -> (f64, f64) {
    results.iter().fold((0.0, f64::INFINITY), |best, result| {
        (f64::max(best.0, result.0), f64::min(best.1, result.1))
    })
}

fn listening(address: SocketAddr) -> Outcome {
    say(&format!("{LISTENING}{address}"))
}

fn say(line: &str) -> Outcome {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
