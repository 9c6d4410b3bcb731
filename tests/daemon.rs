//! The daemon against real things: labs with a CloudWatch that keeps books, an IMDS whose credentials end, and a booted
//! Debian with systemd and journald.
//!
//! Needs root and the tools that `tests/lab/setup` installs; without them these tests fail, they never skip.

#![expect(clippy::print_stdout, reason = "what a scene says is for whoever reads of its failure")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Each scene's books must close: what was due has arrived, is still there, or is counted as lost.
#[test]
fn every_scene_ends_with_closed_books() {
    let output = cloud(&["test", "--bin", DAEMON]);
    assert!(output.status.success(), "a scene failed, or left something behind: see above");
}

#[test]
fn the_unit_keeps_its_promises_on_a_booted_machine() {
    let output = cloud(&["boot", "--bin", DAEMON]);
    assert!(output.status.success(), "a scene failed, or left something behind: see above");
}

/// A bench that takes everything proves nothing: its CloudWatch refuses what AWS refuses, its books see gaps and doubles.
#[test]
fn the_bench_itself_is_strict() {
    let output = cloud(&["selftest"]);
    assert!(output.status.success(), "the bench lets something pass: see above");
}

/// A daemon as there are many, which drops its batch at the first error, must not pass.
#[test]
fn a_daemon_that_drops_its_batch_is_found_out() {
    let stand_in = folder().join("standin");
    let output = cloud(&["test", "--bin", &stand_in.to_string_lossy(), "errors-500"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("not within 60 s: all rounds at CloudWatch"), "it failed for another reason: {said}");
}

fn cloud(arguments: &[&str]) -> Output {
    let output = Command::new(folder().join("cloud"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("tests/cloud/cloud cannot be started: python3 is needed, run tests/lab/setup");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cloud")
}

const DAEMON: &str = env!("CARGO_BIN_EXE_vpce-probe");
