//! The suite: holds a server to the rules over real byte streams.
//!
//! A server's author brings a [`Harness`], which starts the server with an application and connects
//! to it, and says what the server [claims](Claims). [`suite`] runs every rule of
//! [`SERVER`](crate::SERVER) and gives a [`Report`]; [`server_suite!`](crate::server_suite) makes a
//! `#[test]` of every rule.
//!
//! Every wait is bounded, and a failed rule tells what went over the wire:
//!
//! ```text
//! SRV-38: A server MUST send exactly one `Date` …
//! `date` is [] in place of one value
//! mend: …
//! a connection:
//! > GET / HTTP/1.1␍␊
//! …
//! ```

mod answer;
mod apps;
mod bodies;
mod claims;
mod connections;
mod contract;
mod departures;
mod environs;
mod errors;
mod fields;
mod framing;
mod guard;
mod harness;
mod inputs;
mod lifecycle;
mod macros;
mod paths;
mod peer;
mod replies;
mod report;
mod scene;
mod server_test;
mod transcript;
mod upgrades;
mod witness;

use std::time::Duration;

pub use claims::{Claims, Feature};
pub use harness::{Dialled, Harness, Outlet, Running, ServerHarness};
pub use report::{Outcome, Report, Verdict, table};
pub use server_test::ServerRule;

pub(crate) use server_test::GROUPS;

/// Longer than anything here takes on a busy machine; who waits for so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(10);

const MIB: usize = 1 << 20;

/// Runs every rule and reports.
///
/// [`run_rule`] runs a single one.
///
/// ```no_run
/// use gateway_conformance::{ServerHarness, suite};
/// use gateway_std::StdServer;
///
/// let harness = ServerHarness::new("gateway-std", |errors| {
///     Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
/// });
/// let report = suite(&harness);
/// assert!(report.passed(), "{report}");
/// ```
pub fn suite(harness: &dyn Harness) -> Report {
    let outcomes = server_test::all().map(|rule| run(harness, rule)).collect();
    Report::new(harness.name(), outcomes)
}

/// Runs the rule with this id; `None` if there is no such rule of servers over the byte stream.
///
/// ```
/// use gateway_conformance::suite::Verdict;
/// use gateway_conformance::{ServerHarness, run_rule};
/// use gateway_std::StdServer;
///
/// let harness = ServerHarness::new("gateway-std", |errors| {
///     Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
/// });
/// let outcome = run_rule(&harness, "SRV-31").expect("there is such a rule");
/// assert_eq!(outcome.verdict, Verdict::Passed, "{outcome}");
/// ```
pub fn run_rule(harness: &dyn Harness, id: &str) -> Option<Outcome> {
    server_test::all().find(|rule| rule.rule.id == id).map(|rule| run(harness, rule))
}

/// Runs the rule with this [name as a test](ServerRule::test_name): what
/// [`server_suite!`](crate::server_suite) expands to.
///
/// # Panics
///
/// When the server breaks the rule, with what went over the wire; or there is no such rule.
pub fn assert_rule(harness: &dyn Harness, test_name: &str) {
    let rule = server_test::all().find(|rule| rule.test_name() == test_name);
    let Some(rule) = rule else { panic!("there is no rule {test_name}") };
    let outcome = run(harness, rule);
    if let Verdict::Failed(_) = outcome.verdict {
        panic!("{outcome}");
    }
}

fn run(harness: &dyn Harness, rule: &'static ServerRule) -> Outcome {
    Outcome { rule: &rule.rule, verdict: server_test::verdict(harness, rule) }
}
