//! The daemon against real things: labs with a CloudWatch that keeps books, an IMDS whose credentials end, and a booted
//! Debian with systemd and journald.
//!
//! Needs root and the tools that `tests/lab/setup` installs; without them these tests fail, they never skip.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use vpce_probe::model::cause::{Cause, Scope};

/// Each scene's books must close: what was due has arrived, is still there, or is counted as lost.
#[test]
fn every_scene_ends_with_closed_books() {
    assert!(succeeds(&["test", "--bin", DAEMON]), "a scene failed, or left something behind: see above");
}

#[test]
fn the_unit_keeps_its_promises_on_a_booted_machine() {
    assert!(succeeds(&["boot", "--bin", DAEMON]), "a scene failed, or left something behind: see above");
}

/// A bench that takes everything proves nothing: its CloudWatch refuses what AWS refuses, its books see gaps and doubles.
#[test]
fn the_bench_itself_is_strict() {
    assert!(succeeds(&["selftest"]), "the bench lets something pass: see above");
}

/// A daemon as there are many, which drops its batch at the first error, must not pass.
#[test]
fn a_daemon_that_drops_its_batch_is_found_out() {
    let stand_in = folder().join("standin");
    let output = cloud(&["test", "--bin", &stand_in.to_string_lossy(), "errors-500"]).output().expect(NOT_STARTED);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("not within 60 s: all rounds at CloudWatch"), "it failed for another reason: {said}");
}

#[test]
fn every_cause_of_undelivered_metrics_is_played() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deliver");
    let files = fs::read_dir(folder).expect("tests/deliver").map(|entry| entry.expect("an entry").path());
    let played: String = files.map(|path| fs::read_to_string(path).expect("a text")).collect::<String>()
        + &read("tests/cloud/cloudkit/scenes.py");
    for cause in Cause::ALL.iter().filter(|cause| cause.scope() == Scope::Shipping) {
        let names = [cause.as_str().to_owned(), format!("Cause::{cause:?}")];
        assert!(names.iter().any(|name| played.contains(name)), "no scene and no test of the delivery plays {cause}");
    }
}

fn cloud(arguments: &[&str]) -> Command {
    let mut command = Command::new(folder().join("cloud"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn succeeds(arguments: &[&str]) -> bool {
    cloud(arguments).status().expect(NOT_STARTED).success()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cloud")
}

const DAEMON: &str = env!("CARGO_BIN_EXE_vpce-probe");
const NOT_STARTED: &str = "tests/cloud/cloud cannot be started: python3 is needed, run tests/lab/setup";
