//! What a report tells.

use gateway_conformance::suite::Verdict;
use gateway_conformance::{Claims, Feature, Report, SERVER, run_rule, suite, table};

use crate::broken::{Broken, Fault};

/// A server that claims next to nothing.
struct Humble;

impl gateway_conformance::Harness for Humble {
    fn name(&self) -> String {
        "humble".to_owned()
    }

    fn claims(&self) -> Claims {
        Claims::least()
    }

    fn start(
        &self,
        _: Box<dyn gateway_core::Application>,
    ) -> Result<Box<dyn gateway_conformance::Running>, gateway_core::BoxError> {
        Err("it does not start".into())
    }
}

fn humble() -> Report {
    suite(&Humble)
}

#[test]
fn it_has_every_rule_and_tells_why_each_is_as_it_is() {
    let report = humble();
    let rules = SERVER.iter().copied().flatten().count();
    assert_eq!(report.outcomes().len(), rules);
    assert!(!report.passed());
    let upgrade = &report.outcome("SRV-89").expect("it is there").verdict;
    assert_eq!(*upgrade, Verdict::NotApplicable(Feature::Upgrade));
    let shown = report.to_string();
    assert!(shown.contains("(upgrades: not claimed)"), "{shown}");
    assert!(shown.contains("the server does not start: it does not start"), "{shown}");
}

#[test]
fn a_table_has_a_row_for_each_rule() {
    let reports = [humble(), humble()];
    let table = table(&reports);
    assert!(table.starts_with("| rule |  | humble | humble |\n|---|---|---|---|\n"), "{table}");
    assert_eq!(table.lines().count(), 2 + reports[0].outcomes().len());
    assert!(
        table.lines().any(|line| line.starts_with("| SRV-89 |") && line.ends_with("| n/a | n/a |"))
    );
}

#[test]
fn a_failure_shows_what_went_over_the_wire() {
    let broken = Broken::new(Fault::Sends(|| Box::new(crate::wire::DropField("Date: "))));
    let outcome = run_rule(&broken, "SRV-40").expect("there is such a rule");
    let shown = outcome.to_string();
    for part in ["SRV-40: ", "mend: ", "> GET / HTTP/1.1␍␊\n", "< HTTP/1.1 200 OK␍␊\n"] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn there_is_no_outcome_of_a_rule_that_is_not_there() {
    assert!(run_rule(&Broken::new(Fault::None), "SRV-00").is_none());
}
