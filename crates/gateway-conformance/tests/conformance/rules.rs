//! The lists of rules.

use std::collections::HashSet;

use gateway_conformance::{APPLICATION, BOUNDARY, Level, rules};

use crate::{applications, servers};

#[test]
fn every_rule_of_the_lint_catches_something() {
    let caught: HashSet<&str> =
        applications::CAUGHT.iter().chain(servers::CAUGHT).copied().collect();
    let listed = APPLICATION.iter().chain(BOUNDARY).map(|rule| rule.id);
    let missing: Vec<&str> = listed.filter(|id| !caught.contains(id)).collect();
    assert!(missing.is_empty(), "nothing shows that these can fail: {missing:?}");
}

#[test]
fn ids_are_in_order_and_of_their_list() {
    for (list, prefix) in [(APPLICATION, "APP-"), (BOUNDARY, "SRV-")] {
        let ids: Vec<&str> = list.iter().map(|rule| rule.id).collect();
        assert!(ids.iter().all(|id| id.starts_with(prefix)), "{ids:?}");
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
    // What is above belongs to the suite.
    assert!(BOUNDARY.iter().all(|rule| rule.id < "SRV-30"));
}

#[test]
fn an_id_is_given_once() {
    let mut seen = HashSet::new();
    let twice: Vec<&str> = rules().map(|rule| rule.id).filter(|id| !seen.insert(*id)).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn a_text_says_its_level() {
    for rule in APPLICATION.iter().chain(BOUNDARY) {
        let (says, not) = match rule.level {
            Level::Must => ("MUST", "SHOULD"),
            Level::Should => ("SHOULD", "MUST"),
        };
        assert!(rule.text.contains(says) && !rule.text.contains(not), "{rule}");
        assert!(rule.text.ends_with('.'), "{rule}");
        assert!(!rule.mend.is_empty() && !rule.source.is_empty(), "{rule}");
    }
}

#[test]
fn the_document_names_rules_that_exist() {
    let document = include_str!("../../../../docs/lint.md");
    let ids: HashSet<&str> = rules().map(|rule| rule.id).collect();
    let named = document.match_indices("APP-").chain(document.match_indices("SRV-"));
    for (at, _) in named {
        assert!(ids.contains(&document[at..at + "APP-00".len()]), "{}", &document[at..at + 20]);
    }
}
