//! The lists of rules.

pub(crate) mod application;
pub(crate) mod boundary;
pub(crate) mod server;

use crate::Rule;

/// Every rule, in the order of the lists.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let lint = application::APPLICATION.iter().chain(boundary::BOUNDARY).copied();
    let suite = server::SERVER.iter().copied().flatten().map(|rule| &rule.rule);
    lint.chain(suite)
}
