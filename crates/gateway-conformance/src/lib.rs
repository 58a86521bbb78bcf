//! The interface between applications and servers as checks.
//!
//! A rule of the interface is a [`Rule`]: a sentence, where it comes from, and the check that tells
//! whether it is kept. `docs/spec.md` is rendered from the same list.
//!
//! | who | takes |
//! |---|---|
//! | an application's or a framework's author | the [`Lint`], the [`TestClient`] |
//! | a server's author | the [`suite`](mod@suite) |
//!
//! | feature | adds to the test client |
//! |---|---|
//! | `cookies` | `TestClient::keep_cookies` |
//! | `form` | `TestRequest::form` |
//! | `json` | `TestRequest::json`, `TestResponse::json` |

mod client;
mod lint;
mod rule;
mod rules;
mod spec;
pub mod suite;

pub use client::{TestClient, TestRequest, TestResponse};
pub use lint::{Lint, Violation, Violations};
pub use rule::{Check, Level, Rule, Topic};
pub use rules::{application::APPLICATION, boundary::BOUNDARY, rules, server::SERVER};
pub use spec::spec;
pub use suite::{Claims, Dialled, Feature, Harness, Report, Running, ServerHarness};
pub use suite::{assert_rule, run_rule, suite, table};

#[cfg(doctest)]
mod guides;
