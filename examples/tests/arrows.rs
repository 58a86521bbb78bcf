//! The crates see one another only as docs/architecture.md draws it: arrows down.
//!
//! It stands here because `examples` stands above all others, so nothing is missed by a test run
//! that builds this package. A binary of its own, since it asks cargo and not a server.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

/// Which of our crates a crate may depend on. Tests may see more: development dependencies do not
/// count.
const ARROWS: &[(&str, &[&str])] = &[
    ("gateway-core", &[]),
    ("gateway-http1", &[]),
    ("gateway-handler", &["gateway-core"]),
    ("gateway-connection", &["gateway-core", "gateway-handler", "gateway-http1"]),
    // Servers see the connection, and what stands in its interface.
    ("gateway-std", &["gateway-connection", "gateway-core", "gateway-http1"]),
    ("gateway-tokio", &["gateway-connection", "gateway-core", "gateway-http1"]),
    // Applications, middleware and framework adapters. What two of them read of a request is read in
    // gateway-request.
    ("gateway-request", &["gateway-core"]),
    ("gateway-middleware", &["gateway-core", "gateway-request"]),
    ("gateway-static", &["gateway-core", "gateway-request"]),
    ("gateway-ws", &["gateway-core"]),
    // What plays the server also sees the handler.
    ("gateway-cgi", &["gateway-core", "gateway-handler"]),
    ("gateway-tower", &["gateway-core", "gateway-handler"]),
    ("gateway-conformance", &["gateway-core", "gateway-handler"]),
];

/// These see whatever they like, and nobody sees them.
const ROOF: &[&str] = &["gateway", "examples"];

/// Foreign crates that only some of ours, and the roof, may have anywhere below them.
const FOREIGN: &[(&str, &[&str])] = &[
    // An adapter to a runtime's world needs the runtime; gateway-ws has its traits alone.
    ("tokio", &["gateway-tokio", "gateway-tower", "gateway-ws"]),
    ("mio", &["gateway-tokio"]),
    ("hyper", &["gateway-tower"]),
    ("tower", &["gateway-tower"]),
    ("tower-layer", &["gateway-tower"]),
    ("tower-service", &["gateway-tower"]),
];

#[test]
fn every_arrow_points_down() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata is JSON");
    assert_eq!(wrong_arrows(&metadata), Vec::<String>::new());
}

#[test]
fn no_runtime_stands_below_the_engine_and_the_interface() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata is JSON");
    let mut wrong = Vec::new();
    for (name, _) in packages(&metadata) {
        if ROOF.contains(&name) {
            continue;
        }
        wrong.extend(wrong_foreigners(name, below(name).iter().map(String::as_str)));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// So middleware and static files lose nothing by it.
#[test]
fn reading_a_request_costs_no_foreign_crate_without_features() {
    let mut allowed = below("gateway-core");
    allowed.insert("gateway-request".to_owned());
    assert_eq!(below("gateway-request"), allowed);
}

#[test]
fn a_wrong_arrow_is_named() {
    let dependency = |name: &str, kind: Value| json!({"name": name, "kind": kind});
    let package =
        |name: &str, dependencies: &[Value]| json!({"name": name, "dependencies": dependencies});
    let metadata = json!({"packages": [
        package("gateway-core", &[dependency("bytes", Value::Null)]),
        package("gateway-http1", &[dependency("gateway-core", Value::Null)]),
        package("gateway-std", &[
            dependency("gateway-connection", Value::Null),
            dependency("gateway-tokio", Value::Null),
            dependency("tokio", "build".into()),
            dependency("gateway-handler", "dev".into()),
        ]),
        package("gateway-tokio", &[dependency("tokio", Value::Null)]),
        package("gateway-novel", &[]),
        package("examples", &[dependency("gateway-std", Value::Null)]),
    ]});
    assert_eq!(
        wrong_arrows(&metadata),
        [
            "gateway-http1 must not depend on gateway-core; it may on none of ours",
            "gateway-std must not depend on gateway-tokio; it may on gateway-connection, \
             gateway-core, gateway-http1",
            "gateway-std must not have tokio below it; only gateway-tokio, gateway-tower, \
             gateway-ws may",
            "gateway-novel has no place in the house yet: give it one in ARROWS here and in \
             docs/architecture.md",
        ]
    );
    let below = ["gateway-core", "bytes", "tokio", "tokio"];
    assert_eq!(
        wrong_foreigners("gateway-core", below.into_iter()),
        ["gateway-core must not have tokio below it; only gateway-tokio, gateway-tower, \
          gateway-ws may"]
    );
}

/// Each arrow between packages of the workspace that is not drawn, as a sentence.
fn wrong_arrows(metadata: &Value) -> Vec<String> {
    let ours: Vec<&str> = packages(metadata).map(|(name, _)| name).collect();
    let mut wrong = Vec::new();
    for (name, dependencies) in packages(metadata) {
        if ROOF.contains(&name) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!(
                "{name} has no place in the house yet: give it one in ARROWS here and in \
                 docs/architecture.md"
            ));
            continue;
        };
        for dependency in &dependencies {
            if ours.contains(dependency) && !allowed.contains(dependency) {
                let allowed = match allowed {
                    [] => "none of ours".to_owned(),
                    allowed => allowed.join(", "),
                };
                wrong.push(format!("{name} must not depend on {dependency}; it may on {allowed}"));
            }
        }
        wrong.extend(wrong_foreigners(name, dependencies.into_iter()));
    }
    wrong
}

/// Each of the crates `below` that `name` must not have there, as a sentence.
fn wrong_foreigners<'a>(name: &str, below: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut wrong: Vec<String> = below
        .filter_map(|below| FOREIGN.iter().find(|(foreign, _)| *foreign == below))
        .filter(|(_, allowed)| !allowed.contains(&name))
        .map(|(foreign, allowed)| {
            let allowed = allowed.join(", ");
            format!("{name} must not have {foreign} below it; only {allowed} may")
        })
        .collect();
    wrong.dedup();
    wrong
}

/// The workspace's packages, each with what it depends on outside of its tests.
fn packages(metadata: &Value) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let packages = metadata["packages"].as_array().expect("cargo lists packages");
    packages.iter().map(|package| {
        let dependencies = package["dependencies"].as_array().expect("cargo lists dependencies");
        let name = package["name"].as_str().expect("a package has a name");
        let dependencies = dependencies
            .iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| dependency["name"].as_str().expect("a dependency has a name"))
            .collect();
        (name, dependencies)
    })
}

/// The package and all that it is built of, with its default features.
fn below(package: &str) -> BTreeSet<String> {
    let tree =
        cargo(&["tree", "--package", package, "--edges", "normal,build", "--prefix", "none"]);
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// What cargo prints; it changes no lock file and asks no network.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}
