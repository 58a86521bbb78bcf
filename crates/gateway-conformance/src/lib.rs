//! The interface between applications and servers as checks.
//!
//! A rule of the interface is a [`Rule`]: a sentence, where it comes from, and the check that tells
//! whether it is kept. `docs/spec.md` is rendered from the same list.
//!
//! | who | takes |
//! |---|---|
//! | an application's or a framework's author | the lint, the test client |
//! | a server's author | the suite |

mod rule;
mod rules;
pub mod suite;

pub use rule::{Check, Level, Rule, Topic};
pub use rules::{rules, server::SERVER};
pub use suite::{Claims, Dialled, Feature, Harness, Report, Running, ServerHarness};
pub use suite::{assert_rule, run_rule, suite, table};

#[cfg(doctest)]
mod guides;
