//! `docs/spec.md` is what the rules and the servers say now.

use std::collections::BTreeSet;
use std::{env, fs};

use gateway_conformance::{Report, ServerHarness, Topic, rules, spec, suite};
use gateway_std::StdServer;
use gateway_tokio::TokioServer;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec.md");

fn reports() -> [Report; 2] {
    let std = ServerHarness::new("gateway-std", |errors| {
        Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
    });
    let tokio = ServerHarness::new("gateway-tokio", |errors| {
        Ok(TokioServer::bind("127.0.0.1:0")?.error_stream(errors))
    });
    [suite(&std), suite(&tokio)]
}

/// With `RENDER_SPEC=1` it writes the file.
#[test]
fn the_specification_is_not_stale() {
    let reports = reports();
    for report in &reports {
        assert!(report.passed(), "{report}");
    }
    let rendered = spec(&reports);
    if env::var_os("RENDER_SPEC").is_some() {
        fs::write(FILE, &rendered).expect("docs can be written");
    }
    let written = fs::read_to_string(FILE).expect("docs/spec.md is there");
    assert!(
        written == rendered,
        "docs/spec.md is stale; render it by RENDER_SPEC=1 cargo test -p gateway-conformance spec"
    );
}

#[test]
fn every_rule_stands_in_it_once() {
    let none: [Report; 0] = [];
    let rendered = spec(&none);
    for rule in rules() {
        assert_eq!(rendered.matches(&format!("**{}**", rule.id)).count(), 1, "{}", rule.id);
    }
    let topics: BTreeSet<Topic> = rules().map(|rule| rule.topic).collect();
    assert_eq!(rendered.matches("\n## ").count(), topics.len() + 2, "a chapter for each topic");
}
