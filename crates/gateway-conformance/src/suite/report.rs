//! What a run of the suite came to.

use std::fmt::{self, Write};

use super::claims::Feature;
use crate::rule::{Level, Rule};

/// What became of one rule.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The rule.
    pub rule: &'static Rule,
    /// What became of it.
    pub verdict: Verdict,
}

/// Pass, fail, or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// All its cases passed.
    Passed,
    /// A case failed: which, why, and what went over the wire.
    Failed(String),
    /// The server does not claim this.
    NotApplicable(Feature),
}

/// What became of all rules, on one server. It displays as a table, with what failed below.
#[derive(Debug, Clone)]
pub struct Report {
    server: String,
    outcomes: Vec<Outcome>,
}

impl Report {
    pub(super) fn new(server: String, outcomes: Vec<Outcome>) -> Report {
        Report { server, outcomes }
    }

    /// The server's name.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What became of each rule, in the rules' order.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// What became of the rule with this id.
    pub fn outcome(&self, id: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.rule.id == id)
    }

    /// Whether no rule failed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Those that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Failed(_)))
    }

    fn count(&self, wanted: fn(&Verdict) -> bool) -> usize {
        self.outcomes.iter().filter(|outcome| wanted(&outcome.verdict)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.outcomes {
            let verdict = match outcome.verdict {
                Verdict::Passed => "pass",
                Verdict::Failed(_) => "FAIL",
                Verdict::NotApplicable(_) => "n/a",
            };
            write!(f, "{:<8}{verdict:<6}{}", outcome.rule.id, outcome.rule.text)?;
            if let Verdict::NotApplicable(feature) = outcome.verdict {
                write!(f, " ({feature}: not claimed)")?;
            }
            writeln!(f)?;
        }
        let passed = self.count(|verdict| matches!(verdict, Verdict::Passed));
        let failed = self.count(|verdict| matches!(verdict, Verdict::Failed(_)));
        let rest = self.outcomes.len() - passed - failed;
        writeln!(f, "{}: {passed} passed, {failed} failed, {rest} not applicable", self.server)?;
        self.failures().try_for_each(|failure| write!(f, "\n{failure}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Passed => writeln!(f, "{}\npassed", self.rule),
            Verdict::NotApplicable(feature) => {
                writeln!(f, "{}\nnot applicable: {feature} not claimed", self.rule)
            }
            Verdict::Failed(why) => {
                writeln!(f, "{}\nmend: {}\n{why}", self.rule, self.rule.mend)
            }
        }
    }
}

/// Rules × servers as a table in Markdown. A rule that a report has nothing of stays empty.
///
/// ```
/// use gateway_conformance::{Report, table};
///
/// let none: [Report; 0] = [];
/// assert_eq!(table(&none), "| rule |  |\n|---|---|\n");
/// ```
pub fn table<'a>(reports: impl IntoIterator<Item = &'a Report>) -> String {
    let reports: Vec<&Report> = reports.into_iter().collect();
    let mut table = String::from("| rule |  |");
    for report in &reports {
        // Writing to a string does not fail.
        let _ = write!(table, " {} |", report.server);
    }
    table.push_str("\n|---|---|");
    table.push_str(&"---|".repeat(reports.len()));
    table.push('\n');
    let mut rules: Vec<&Rule> = Vec::new();
    for outcome in reports.iter().flat_map(|report| &report.outcomes) {
        if !rules.iter().any(|rule| rule.id == outcome.rule.id) {
            rules.push(outcome.rule);
        }
    }
    for rule in rules {
        let level = if rule.level == Level::Should { " (SHOULD)" } else { "" };
        let _ = write!(table, "| {}{level} | {} |", rule.id, rule.text);
        for report in &reports {
            let mark = match report.outcome(rule.id).map(|outcome| &outcome.verdict) {
                Some(Verdict::Passed) => "pass",
                Some(Verdict::Failed(_)) => "**fail**",
                Some(Verdict::NotApplicable(_)) => "n/a",
                None => "",
            };
            let _ = write!(table, " {mark} |");
        }
        table.push('\n');
    }
    table
}
