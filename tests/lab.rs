//! The network lab: the real binary, real DNS, TCP, TLS and HTTP in network namespaces, one scenario for every fault.
//!
//! Needs root and the tools that `tests/lab/setup` installs; without them these tests fail, they never skip.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use vpce_probe::model::cause::{Cause, Scope, Stage};

#[test]
fn every_scenario_is_told_truly() {
    let jobs = thread::available_parallelism().map_or(2, |cores| 2 * cores.get()).min(8);
    let status = lab()
        .args(["test", "--bin", env!("CARGO_BIN_EXE_vpce-probe"), "--jobs", &jobs.to_string()])
        .stdin(Stdio::null())
        .status()
        .expect("tests/lab/lab cannot be started: python3 is needed, run tests/lab/setup");
    assert!(status.success(), "a scenario failed, left something behind, or the lab could not be raised: see above");
}

#[test]
fn every_cause_has_a_scenario() {
    let table = causes_table();
    let played: BTreeSet<&str> = table.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
    let missing: Vec<&str> = Cause::ALL
        .iter()
        .filter(|cause| !is_exempt(**cause))
        .map(|cause| cause.as_str())
        .filter(|name| !played.contains(name))
        .collect();
    assert!(missing.is_empty(), "no scenario demands these causes: {missing:?}");
}

#[test]
fn the_readme_lists_what_the_scenarios_play() {
    let readme = fs::read_to_string(folder().join("README.md")).expect("tests/lab/README.md is readable");
    assert!(readme.contains(&causes_table()), "put the output of `tests/lab/lab causes` into tests/lab/README.md");
}

/// What the lab cannot play yet, and why.
fn is_exempt(cause: Cause) -> bool {
    // Path MTU, the large ClientHello and shipping are not built yet; `address-changed` compares with the round before, which a
    // single `once` does not have.
    matches!(cause.scope(), Scope::Shipping | Scope::Stage(Stage::Mtu))
        || matches!(cause, Cause::PathMtu | Cause::LargeHelloBlocked | Cause::AddressChanged)
}

fn causes_table() -> String {
    let output = lab().arg("causes").output().expect("tests/lab/lab causes runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the table is UTF-8")
}

fn lab() -> Command {
    Command::new(folder().join("lab"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab")
}
