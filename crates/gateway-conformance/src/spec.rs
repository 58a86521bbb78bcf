//! The specification, rendered from the rules.

use std::fmt::Write;

use crate::suite::{Report, table};
use crate::{Check, Level, Rule, Topic, rules};

const OPENING: &str = include_str!("spec/opening.md");
const CLOSING: &str = include_str!("spec/closing.md");

/// The chapters in their order, with what introduces the rules of each.
const CHAPTERS: [(Topic, &str, &str); 9] = [
    (Topic::Environ, "The environ", include_str!("spec/environ.md")),
    (Topic::Paths, "Paths and mounting", include_str!("spec/paths.md")),
    (Topic::StartResponse, "Beginning a response", include_str!("spec/start_response.md")),
    (Topic::Body, "The body", include_str!("spec/body.md")),
    (Topic::Input, "The input", include_str!("spec/input.md")),
    (Topic::Errors, "Errors", include_str!("spec/errors.md")),
    (Topic::Cancellation, "Departure and the end", include_str!("spec/cancellation.md")),
    (Topic::Connection, "The connection", include_str!("spec/connection.md")),
    (Topic::Lifecycle, "Starting and stopping", include_str!("spec/lifecycle.md")),
];

/// The specification as Markdown: every rule in its chapter, and which server keeps which.
///
/// `docs/spec.md` is this for the two servers of the project; a test fails when it is stale.
///
/// ```
/// let none: [gateway_conformance::Report; 0] = [];
/// let spec = gateway_conformance::spec(&none);
/// assert!(spec.contains("**APP-01**") && spec.contains("**SRV-30**"));
/// ```
pub fn spec<'a>(reports: impl IntoIterator<Item = &'a Report>) -> String {
    let mut spec = OPENING.to_owned();
    for (topic, title, text) in CHAPTERS {
        // Writing to a string does not fail.
        let _ = write!(spec, "\n## {title}\n\n{text}");
        for rule in rules().filter(|rule| rule.topic == topic) {
            push(&mut spec, rule);
        }
    }
    let _ = write!(spec, "\n{CLOSING}\n{}", table(reports));
    spec
}

fn push(spec: &mut String, rule: &Rule) {
    let level = match rule.level {
        Level::Must => "MUST",
        Level::Should => "SHOULD",
    };
    let check = match rule.check {
        Check::Lint => "the lint",
        Check::Suite => "the suite",
    };
    let Rule { id, text, source, .. } = rule;
    let _ = write!(spec, "\n- **{id}** ({level}, by {check}) {text}\n  *{source}*\n");
}
