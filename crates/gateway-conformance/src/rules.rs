//! The lists of rules.

pub(crate) mod server;

use crate::Rule;

/// Every rule, in the order of the lists.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    server::SERVER.iter().copied().flatten().map(|rule| &rule.rule)
}
