//! The network lab: the real binary, real DNS, TCP, TLS and HTTP in network namespaces, one scenario for every fault.
//!
//! Needs root and the tools that `tests/lab/setup` installs; without them these tests fail, they never skip.

#[path = "lab/replay.rs"]
mod replay;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::LazyLock,
    thread,
};

use serde_json::Value;
use vpce_probe::{
    judge::{RULES, Rule},
    model::cause::{Cause, Scope},
    render::json,
};

use replay::Recorded;

#[test]
fn every_scenario_is_told_truly() {
    let status = PLAYED.status;
    assert!(status.success(), "a scenario failed, left something behind, or the lab could not be raised: see above");
}

#[test]
fn every_report_obeys_the_published_schema() {
    let schema = folder().join("../../docs/schema/round.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).expect("the schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema without outside references");
    for path in reports() {
        let report: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a report")).expect("JSON");
        let errors: Vec<String> =
            validator.iter_errors(&report).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
}

/// Each rule is left out in turn, and every recorded round judged again: some scenario must notice.
#[test]
fn every_judging_rule_is_needed() {
    let rounds: Vec<Recorded> =
        reports().iter().map(|path| Recorded::read(path, &folder().join("scenarios"))).collect();
    for recorded in &rounds {
        recorded.assert_true();
    }
    let without = PLAYED.folder.join("without");
    let mut unnoticed: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    for rule in &unnoticed {
        let rules: Vec<Rule> = RULES.iter().copied().filter(|other| other.name != *rule).collect();
        fs::create_dir_all(without.join(rule)).expect("a folder for the rounds without the rule");
        for recorded in &rounds {
            let round = recorded.judged_by(&rules);
            // What says the same as before is as expected as before.
            if round != recorded.round {
                let path = without.join(rule).join(&recorded.name).with_extension("json");
                fs::write(path, json::render(&round)).expect("a writable folder");
            }
        }
    }
    let differences = compare(unnoticed.iter().map(|rule| without.join(rule)));
    for line in differences.lines() {
        let (path, _) = line.split_once('\t').expect("DIR, NAME and the difference");
        let rule = Path::new(path).file_name().and_then(|name| name.to_str()).expect("a rule's folder");
        unnoticed.remove(rule);
    }
    // Otherwise a difference might be one that every replay has.
    assert_eq!(compare([PLAYED.folder.clone()]), "", "a scenario failed with all rules");
    assert!(unnoticed.is_empty(), "no scenario fails without these rules: {unnoticed:?}");
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
    // A single `once` ships nothing: tests/daemon.rs holds that the daemon's bench plays these. `address-changed` compares with the round before, which a single `once` does not have:
    // src/history/tests.rs plays it.
    matches!(cause.scope(), Scope::Shipping) || cause == Cause::AddressChanged
}

/// What the lab gave: all tests of this file look at the same round of it.
struct Played {
    status: ExitStatus,
    /// NAME.json for every scenario that ends with a report.
    folder: PathBuf,
}

static PLAYED: LazyLock<Played> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab-reports");
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the last run's reports can be removed");
    }
    let jobs = thread::available_parallelism().map_or(2, |cores| 2 * cores.get()).min(8);
    let status = lab()
        .args(["test", "--bin", env!("CARGO_BIN_EXE_vpce-probe"), "--jobs", &jobs.to_string(), "--reports"])
        .arg(&folder)
        .stdin(Stdio::null())
        .status()
        .expect("tests/lab/lab cannot be started: python3 is needed, run tests/lab/setup");
    Played { status, folder }
});

fn reports() -> Vec<PathBuf> {
    let folder = fs::read_dir(&PLAYED.folder).expect("the lab's reports");
    let paths = folder.map(|entry| entry.expect("a readable entry").path());
    let mut reports: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    reports.sort();
    assert!(reports.len() >= 50, "{reports:?}");
    reports
}

/// What `lab compare` says of these folders of reports.
fn compare(folders: impl IntoIterator<Item = PathBuf>) -> String {
    let output = lab().arg("compare").args(folders).output().expect("tests/lab/lab compare runs");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the differences are UTF-8")
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
