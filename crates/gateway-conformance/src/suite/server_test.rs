//! A rule of servers with its checks.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gateway_core::panic_message;

use super::claims::Feature;
use super::harness::Harness;
use super::report::Verdict;
use super::scene::{Checked, Scene};
use crate::rule::{Check, Level, Rule, Topic};

/// A rule that the suite checks over a byte stream, with its cases.
#[non_exhaustive]
pub struct ServerRule {
    /// The rule.
    pub rule: Rule,
    /// Its name as a test: `head_is_held_until_data`.
    pub name: &'static str,
    /// What a server must claim for the rule to apply.
    pub needs: &'static [Feature],
    pub(super) cases: &'static [Case],
}

/// One case of a rule: an application, what a client does, and what must come of it.
pub(super) struct Case {
    name: &'static str,
    /// The test of another project that it is a port of.
    port_of: Option<&'static str>,
    check: fn(&Scene<'_>) -> Checked,
}

impl ServerRule {
    /// Its name as a test, with its id: `srv_30_head_is_held_until_data`.
    pub fn test_name(&self) -> String {
        format!("{}_{}", self.rule.id.to_ascii_lowercase().replace('-', "_"), self.name)
    }

    /// The names of its cases, and which test of another project each is a port of.
    pub fn cases(&self) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
        self.cases.iter().map(|case| (case.name, case.port_of))
    }
}

impl fmt::Debug for ServerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerRule")
            .field("rule", &self.rule)
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

/// All rules, group by group; each group in the order of its ids.
pub(crate) const GROUPS: &[&[ServerRule]] = &[
    super::framing::RULES,
    super::fields::RULES,
    super::errors::RULES,
    super::bodies::RULES,
    super::contract::RULES,
    super::inputs::RULES,
    super::connections::RULES,
    super::upgrades::RULES,
    super::replies::RULES,
    super::departures::RULES,
    super::environs::RULES,
    super::paths::RULES,
    super::lifecycle::RULES,
];

pub(super) fn all() -> impl Iterator<Item = &'static ServerRule> {
    GROUPS.iter().copied().flatten()
}

/// Runs the cases in order, up to the first that fails.
pub(super) fn verdict(harness: &dyn Harness, rule: &ServerRule) -> Verdict {
    let claims = harness.claims();
    if let Some(missing) = rule.needs.iter().find(|feature| !claims.has(**feature)) {
        return Verdict::NotApplicable(*missing);
    }
    for case in rule.cases {
        let scene = Scene::new(harness);
        let checked = catch_unwind(AssertUnwindSafe(|| (case.check)(&scene)));
        let trouble = match checked {
            Ok(Ok(())) => None,
            Ok(Err(trouble)) => Some(trouble.to_string()),
            Err(panic) => Some(format!("the check panicked: {}", panic_message(&*panic))),
        };
        let trouble = match (trouble, scene.findings()) {
            (Some(trouble), Some(found)) => Some(format!("{trouble}\n{found}")),
            (trouble, found) => trouble.or(found),
        };
        if let Some(trouble) = trouble {
            let seen = scene.transcripts();
            return Verdict::Failed(format!("{}: {trouble}\n{seen}", case.name));
        }
    }
    Verdict::Passed
}

/// A rule that must be kept.
pub(super) const fn must(
    id: &'static str,
    topic: Topic,
    text: &'static str,
    source: &'static str,
    mend: &'static str,
) -> Rule {
    Rule { id, level: Level::Must, topic, text, source, mend, check: Check::Suite }
}

/// A rule that there may be a good reason to break.
pub(super) const fn should(
    id: &'static str,
    topic: Topic,
    text: &'static str,
    source: &'static str,
    mend: &'static str,
) -> Rule {
    Rule { id, level: Level::Should, topic, text, source, mend, check: Check::Suite }
}

/// A case of our own.
pub(super) const fn case(name: &'static str, check: fn(&Scene<'_>) -> Checked) -> Case {
    Case { name, port_of: None, check }
}

/// A case that `source` has, too.
pub(super) const fn port(
    name: &'static str,
    source: &'static str,
    check: fn(&Scene<'_>) -> Checked,
) -> Case {
    Case { name, port_of: Some(source), check }
}
