//! The rules of servers, for what stands between an application and the wire here: both adapters on
//! our own server, and hyper with `into_tower`.

use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use gateway_conformance::{
    Claims, Dialled, Feature, Harness, Report, Running, ServerHarness, suite,
};
use gateway_core::exchange::ConnectionInfo;
use gateway_core::{
    Address, Application, BoxError, Environ, ErrorStream, Lines, ServerInfo, Stopped,
};
use gateway_tokio::TokioServer;
use gateway_tower::{from_tower, into_tower};

use crate::hosts::{Host, hyper_serves};

/// What a request says of its connection, as an extension.
#[derive(Clone)]
struct Told {
    remote: Address,
    local: Address,
    server: ServerInfo,
    errors: ErrorStream,
}

fn there_and_back(app: Box<dyn Application>) -> Box<dyn Application> {
    let service = into_tower(app).map_request(|request, info: &mut ConnectionInfo| {
        let told = request.extensions.remove::<Told>().expect("it was put there");
        (info.remote, info.local, info.errors) = (told.remote, told.local, told.errors);
        info.server = std::sync::Arc::new(told.server);
    });
    let app = from_tower(service).cancel(false).map_request(|environ: &Environ, request| {
        request.extensions.insert(environ.disconnected());
        request.extensions.insert(Told {
            remote: environ.remote_addr().clone(),
            local: environ.local_addr().clone(),
            server: environ.server().clone(),
            errors: environ.errors().clone(),
        });
    });
    Box::new(app)
}

struct ThereAndBack(ServerHarness<TokioServer>);

impl Harness for ThereAndBack {
    fn name(&self) -> String {
        "gateway-tokio, there and back".to_owned()
    }

    fn claims(&self) -> Claims {
        // A tower service has one response.
        Claims::everything().without(Feature::EarlyHints)
    }

    fn start(&self, app: Box<dyn Application>) -> Result<Box<dyn Running>, BoxError> {
        self.0.start(there_and_back(app))
    }
}

struct Hyper;

struct Served {
    host: Host,
    lines: Lines,
    logged: Mutex<Vec<String>>,
}

impl Harness for Hyper {
    fn name(&self) -> String {
        "hyper".to_owned()
    }

    fn claims(&self) -> Claims {
        [Feature::EarlyHints, Feature::OwnFields, Feature::Shutdown, Feature::Info, Feature::Reset]
            .into_iter()
            .fold(Claims::everything(), Claims::without)
    }

    fn start(&self, app: Box<dyn Application>) -> Result<Box<dyn Running>, BoxError> {
        let (errors, lines) = ErrorStream::memory();
        let host = hyper_serves(into_tower(app).errors(errors));
        Ok(Box::new(Served { host, lines, logged: Mutex::default() }))
    }
}

impl Running for Served {
    fn dial(&self) -> std::io::Result<Dialled> {
        Dialled::tcp(TcpStream::connect(self.host.address)?)
    }

    fn logged(&self) -> Option<Vec<String>> {
        let mut logged = self.logged.lock().expect("nobody panics");
        logged.extend(self.lines.take());
        Some(logged.clone())
    }

    fn stop(self: Box<Self>, _: Duration) -> Result<Stopped, BoxError> {
        drop(self);
        Ok(Stopped::default())
    }
}

/// What a tower service cannot do, or what of its host's kind of server is not ours to mend, by rule.
const TOWER: &[(&str, &str)] = &[
    ("SRV-116", "a URI without a path cannot be told from one with `/`"),
    ("SRV-120", "threads of Tokio's pool are not known to the server, so it does not count them"),
];

const HYPER: &[(&str, &str)] = &[
    ("SRV-38", "hyper has a phrase of its own for statuses without one"),
    ("SRV-60", "hyper sends trailers that were announced, to those who accept them"),
    ("SRV-74", "hyper takes what follows an unread body for a request"),
    ("SRV-82", "hyper says keep-alive, and closes"),
    ("SRV-84", "hyper takes a peer that has ended its side for one that has gone"),
    ("SRV-86", "hyper lets a request without Host through"),
    ("SRV-97", "as SRV-84"),
];

/// Everything else holds.
fn assert_rules(report: &Report, known: &[(&str, &str)]) {
    let failures: Vec<_> = report
        .failures()
        .filter(|outcome| !known.iter().any(|(id, _)| *id == outcome.rule.id))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(report.outcomes().len() > 80, "the suite has run");
}

#[test]
fn both_adapters_keep_the_rules() {
    let harness = ThereAndBack(ServerHarness::new("gateway-tokio", |errors| {
        Ok(TokioServer::bind("127.0.0.1:0")?.error_stream(errors))
    }));
    assert_rules(&suite(&harness), TOWER);
}

#[test]
fn an_application_keeps_the_rules_under_hyper() {
    assert_rules(&suite(&Hyper), &[TOWER, HYPER].concat());
}
