//! The binary as a person or a script drives it: exit codes, what goes to which stream, and what is refused.

#[path = "cli/man.rs"]
mod man;

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

const HOST_ONLY: &str = r#"
region = "eu-west-1"
default_targets = false
[dns]
resolver = ["127.0.0.1"]
[[target]]
host = "vault.example"
required = true
"#;

/// A command with nothing of this machine's environment in it, and no metadata service.
fn probe(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpce-probe"));
    command.args(arguments).env_clear().env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    read(command.output().expect("the binary runs"))
}

fn read(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code, not a signal"), text(output.stdout), text(output.stderr))
}

fn with_input(command: &mut Command, input: &str) -> (i32, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the binary reads");
    read(child.wait_with_output().expect("the binary ends"))
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file in a temporary folder");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_wrong_command_line_never_looks_like_a_verdict() {
    fn check(arguments: &[&str], expected: i32, word: &str) {
        let (code, stdout, stderr) = run(&mut probe(arguments));
        assert_eq!((code, stdout.as_str()), (expected, ""), "{arguments:?}");
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    }
    check(&["once", "--bogus"], 3, "--bogus");
    check(&["once", "--format", "tabel"], 3, "table");
    check(&["once", "--timeout", "5 sec"], 3, "5s");
    check(&["once", "--timeout", "0s"], 3, "100ms");
    check(&["once", "-4", "-6"], 3, "cannot be used with");
    check(&["once", "-q", "-v"], 3, "cannot be used with");
    check(&["once", "extra"], 3, "extra");
    check(&["status", "--bogus"], 3, "--bogus");
    check(&["targets", "--bogus"], 64, "--bogus");
    check(&["check", "--bogus"], 64, "--bogus");
    check(&["explain", "tcp-timeot"], 64, "tcp-timeout");
    check(&["explain", "no-such-thing-at-all"], 64, "lists every cause");
    check(&["completions", "cmd"], 64, "bash");
    check(&["onec"], 64, "once");
    check(&[], 64, "Usage");
}

#[test]
fn help_and_version_are_results() {
    for arguments in [&["--help"][..], &["-h"], &["once", "--help"], &["help", "targets"], &["--version"]] {
        let (code, stdout, stderr) = run(&mut probe(arguments));
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(!stdout.is_empty() && !stdout.contains('\u{1b}'), "{arguments:?}");
    }
    let (_, stdout, _) = run(&mut probe(&["--help"]));
    assert!(stdout.contains("0 healthy, 1 degraded, 2 failed, 3 could not judge"), "{stdout}");
}

#[test]
fn once_without_a_verdict_ends_with_3_and_says_why() {
    fn check(arguments: &[&str], config: Option<&str>, word: &str) {
        let mut command = probe(arguments);
        let (code, stdout, stderr) = match config {
            Some(config) => with_input(command.args(["--config", "-"]), config),
            None => run(&mut command),
        };
        assert_eq!((code, stdout.as_str()), (3, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
    check(&["once", "--region", "EU"], Some(""), "is not a region name");
    check(&["once", "--region", "eu-west-1", "--service", "smm"], Some(""), "did you mean \"ssm\"?");
    check(&["once", "--region", "eu-west-1", "--service", "ecr.dkr"], Some(""), "ACCOUNT.dkr.ecr");
    check(&["once"], Some("regin = \"x\""), "<stdin>:1:1: unknown key \"regin\"");
    check(&["once", "--config", "/nonexistent/vpce.toml"], None, "cannot read /nonexistent/vpce.toml");
    check(&["once", "--config", "/"], None, "cannot read /");
}

#[test]
fn an_empty_trust_store_is_our_error_and_no_verdict() {
    let mut command = probe(&["once", "--config", "-"]);
    command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/nonexistent");
    let (code, stdout, stderr) = with_input(&mut command, HOST_ONLY);
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert!(stderr.contains("no trusted certificate authority"), "{stderr}");
}

#[test]
fn once_judges_what_it_finds_in_every_form() {
    let folder = TempDir::new().expect("a folder");
    let config = write(&folder, "c.toml", HOST_ONLY);
    for format in ["table", "json", "short", "nagios", "openmetrics"] {
        let (code, stdout, stderr) = run(&mut probe(&["once", "--config", &config, "--format", format]));
        assert_eq!((code, stderr.as_str()), (2, ""), "{format}");
        assert!(stdout.contains("vault.example") && stdout.ends_with('\n'), "{format}: {stdout}");
        assert!(stdout.is_ascii() && !stdout.contains('\u{1b}'), "{format}: no locale, no terminal: {stdout}");
    }
    let (code, stdout, stderr) = run(&mut probe(&["once", "--config", &config, "-q"]));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (2, "", ""));
}

#[test]
fn verbose_logs_each_stage_to_stderr_and_leaves_the_report_alone() {
    let folder = TempDir::new().expect("a folder");
    let config = write(&folder, "c.toml", HOST_ONLY);
    let (code, stdout, stderr) = run(&mut probe(&["once", "--config", &config, "--format", "short", "-v"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("facts about this host") && stderr.contains("vault.example resolve"), "{stderr}");
    assert!(stdout.starts_with("FAIL ") && !stdout.contains("DEBUG"), "{stdout}");
}

#[test]
fn an_extra_ca_file_that_cannot_be_used_is_named_by_its_key() {
    let config = format!("extra_ca_file = \"/nonexistent/ca.pem\"\n{HOST_ONLY}");
    let (code, _, stderr) = with_input(&mut probe(&["once", "--config", "-"]), &config);
    assert!(code == 3 && stderr.contains("extra_ca_file cannot be used: /nonexistent/ca.pem"), "{code} {stderr}");
}

#[test]
fn colour_and_glyphs_follow_flag_and_locale() {
    let folder = TempDir::new().expect("a folder");
    let config = write(&folder, "c.toml", HOST_ONLY);
    let screen = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = probe(&["once", "--config", &config]);
        command.args(arguments).envs(variables.iter().copied());
        run(&mut command).1
    };
    assert!(screen(&["--color", "always"], &[("NO_COLOR", "1")]).contains('\u{1b}'), "the flag is stronger");
    assert!(!screen(&["--color", "never"], &[]).contains('\u{1b}'));
    assert!(!screen(&[], &[("TERM", "xterm-256color")]).contains('\u{1b}'), "a pipe is no terminal");
    assert!(!screen(&[], &[("LANG", "en_US.UTF-8")]).is_ascii());
    assert!(screen(&[], &[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]).is_ascii());
}

#[test]
fn a_reader_that_leaves_changes_nothing() {
    let folder = TempDir::new().expect("a folder");
    let config = write(&folder, "c.toml", HOST_ONLY);
    let cases: [(&[&str], i32); 4] = [
        (&["once", "--config", &config], 2),
        (&["targets", "--region", "eu-west-1"], 0),
        (&["explain"], 0),
        (&["man"], 0),
    ];
    for (arguments, expected) in cases {
        let mut child = probe(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("UTF-8");
        let code = child.wait().expect("it ends").code();
        assert_eq!((code, stderr.as_str()), (Some(expected), ""), "{arguments:?}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_no_verdict() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let folder = TempDir::new().expect("a folder");
    let config = write(&folder, "c.toml", HOST_ONLY);
    let (code, _, stderr) = run(probe(&["once", "--config", &config]).stdout(full()));
    assert!(code == 3 && stderr.contains("cannot write the report"), "{code} {stderr}");
    let (code, _, stderr) = run(probe(&["targets", "--region", "eu-west-1"]).stdout(full()));
    assert!(code == 1 && stderr.contains("cannot write the list"), "{code} {stderr}");
}

/// A metadata service that takes connections and never answers.
fn hanging_metadata() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

fn slow(arguments: &[&str], url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpce-probe"));
    command.args(arguments).env_clear().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url).stdin(Stdio::null());
    command
}

#[test]
fn the_round_deadline_bounds_all_of_once() {
    let (_listener, url) = hanging_metadata();
    let folder = TempDir::new().expect("a folder");
    let config = write(&folder, "c.toml", HOST_ONLY);
    let (code, stdout, stderr) =
        run(&mut slow(&["once", "--config", &config, "--timeout", "600ms", "--format", "json"], &url));
    assert_eq!(code, 2, "{stderr}");
    let round: Value = serde_json::from_str(&stdout).expect("JSON");
    let elapsed = round.get("elapsed_ms").and_then(Value::as_f64).expect("a number");
    assert!((200.0..700.0).contains(&elapsed), "{elapsed}");
}

#[test]
fn ctrl_c_ends_it_at_once_with_130() {
    let (listener, url) = hanging_metadata();
    let folder = TempDir::new().expect("a folder");
    let config = write(&folder, "c.toml", HOST_ONLY);
    let child = slow(&["once", "--config", &config], &url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // It has asked: so it is in the middle of the round.
    let _asked = listener.accept().expect("a connection");
    thread::sleep(Duration::from_millis(100));
    let killed = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().expect("a shell");
    assert!(killed.success());
    let (code, stdout, stderr) = read(child.wait_with_output().expect("it ends"));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (130, "", ""));
}

#[test]
fn targets_lists_the_hosts_of_every_partition() {
    fn check(arguments: &[&str], first: &str) {
        let mut all = vec!["targets", "--format", "json"];
        all.extend(arguments);
        let (code, stdout, stderr) = run(&mut probe(&all));
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        let rows: Value = serde_json::from_str(&stdout).expect("JSON");
        let row = rows.get(0).and_then(Value::as_object).expect("a row");
        let keys: Vec<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(keys, ["expect", "host", "name", "port", "required", "service"]);
        assert_eq!(row.get("host").and_then(Value::as_str), Some(first));
    }
    check(&["--region", "eu-west-1"], "ssm.eu-west-1.amazonaws.com");
    check(&["--region", "cn-north-1"], "ssm.cn-north-1.amazonaws.com.cn");
    check(&["--region", "us-gov-west-1"], "ssm.us-gov-west-1.amazonaws.com");
    check(&["--region", "us-iso-east-1"], "ssm.us-iso-east-1.c2s.ic.gov");
    check(&["--region", "us-isob-east-1"], "ssm.us-isob-east-1.sc2s.sgov.gov");
    check(&["--region", "eu-isoe-west-1"], "ssm.eu-isoe-west-1.cloud.adc-e.uk");
    check(&["--region", "us-isof-south-1"], "ssm.us-isof-south-1.csp.hci.ic.gov");
    check(&["--region", "eusc-de-east-1"], "ssm.eusc-de-east-1.amazonaws.eu");
    check(&["--region", "us-east-1", "--fips"], "ssm-fips.us-east-1.amazonaws.com");
    check(&["--region", "us-east-1", "--service", "ecr.api"], "api.ecr.us-east-1.amazonaws.com");
    check(&["--region", "us-east-1", "--service", "s3", "--dual-stack"], "s3.dualstack.us-east-1.amazonaws.com");
}

#[test]
fn targets_takes_the_region_from_the_environment_and_names_the_flag_without_one() {
    let (code, stdout, _) = run(probe(&["targets"]).env("AWS_REGION", "eu-north-1"));
    assert!(code == 0 && stdout.contains("ssm.eu-north-1.amazonaws.com"), "{code} {stdout}");
    let (code, stdout, _) = run(probe(&["targets", "--region", "eu-west-3"]).env("AWS_REGION", "eu-north-1"));
    assert!(code == 0 && stdout.contains("ssm.eu-west-3.amazonaws.com"), "{code} {stdout}");
    // On an EC2 instance the search domain of resolv.conf would name the region.
    let resolv = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if !resolv.contains(".internal") {
        let (code, _, stderr) = run(&mut probe(&["targets"]));
        assert!(code == 64 && stderr.contains("--region eu-west-1"), "{code} {stderr}");
    }
    let (code, _, stderr) = run(&mut probe(&["targets", "--region", "mars"]));
    assert!(code == 0 && stderr.contains("no partition knows region mars"), "{code} {stderr}");
    let (code, _, stderr) = run(&mut probe(&["targets", "--region", "eu_west_1"]));
    assert!(code == 64 && stderr.contains("is not a region name"), "{code} {stderr}");
    let (code, _, _) = run(&mut probe(&["targets", "--region", "eu-west-1", "--service", "smm"]));
    assert_eq!(code, 64);
}

#[test]
fn check_shows_what_would_be_probed_or_every_mistake() {
    let (code, stdout, stderr) = with_input(&mut probe(&["check", "--config", "-"]), HOST_ONLY);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("vault.example") && stdout.contains("the whole round 10s"), "{stdout}");
    let wrong = "regin = \"x\"\ninterval = \"1s\"\n";
    let (code, stdout, stderr) = with_input(&mut probe(&["check", "--config", "-"]), wrong);
    assert_eq!((code, stdout.as_str()), (78, ""));
    assert!(stderr.contains("<stdin>:1:1") && stderr.contains("<stdin>:2:"), "{stderr}");
    let (code, stdout, _) = with_input(&mut probe(&["check", "--config", "-"]), "");
    assert!(code == 0 && stdout.contains("amazonaws.com"), "{stdout}");
}

/// A state file as the daemon leaves it, with some keys replaced.
fn state(folder: &TempDir, changes: &[(&str, Value)]) -> String {
    let (_, stdout, _) = with_input(&mut probe(&["once", "--config", "-", "--format", "json"]), HOST_ONLY);
    let mut round: Value = serde_json::from_str(&stdout).expect("JSON");
    for (key, value) in changes {
        round.as_object_mut().expect("an object").insert((*key).to_owned(), value.clone());
    }
    write(folder, "last.json", &round.to_string());
    folder.path().to_str().expect("UTF-8").to_owned()
}

fn status(runtime_dir: &str, arguments: &[&str]) -> (i32, String, String) {
    run(probe(&["status"]).args(arguments).env("RUNTIME_DIRECTORY", runtime_dir))
}

#[test]
fn status_shows_the_daemons_last_round_with_its_age() {
    let folder = TempDir::new().expect("a folder");
    let runtime_dir = state(&folder, &[]);
    let (code, stdout, stderr) = status(&runtime_dir, &["--format", "json"]);
    assert_eq!((code, stderr.as_str()), (2, ""));
    let round: Value = serde_json::from_str(&stdout).expect("JSON");
    let age = round.get("age_s").and_then(Value::as_f64).expect("an age");
    assert!((0.0..60.0).contains(&age), "{age}");
    let (code, stdout, _) = status(&runtime_dir, &[]);
    assert!(code == 2 && stdout.contains("vault.example"), "{stdout}");
    // Three minutes are too old for the default interval, and not for the daemon's own.
    let then = vpce_probe::model::units::Timestamp::now().unix_millis() - 190_000;
    let then = vpce_probe::model::units::Timestamp::from_unix_millis(then).expect("a moment");
    for (interval_s, expected) in [(300.0, 2), (60.0, 3), (-1.0, 3), (1e300, 3)] {
        let changes = [("started_at", Value::from(then.to_string())), ("interval_s", Value::from(interval_s))];
        assert_eq!(status(&state(&folder, &changes), &[]).0, expected, "{interval_s}");
    }
    // What a later version adds is accepted.
    let runtime_dir = state(&folder, &[("added_later", Value::from(1))]);
    assert_eq!(status(&runtime_dir, &[]).0, 2);
}

#[test]
fn status_without_a_fresh_round_ends_with_3_and_a_sentence() {
    fn check(runtime_dir: &str, word: &str) {
        let (code, stdout, stderr) = status(runtime_dir, &[]);
        assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
        assert!(stderr.contains(word) && stderr.lines().count() == 1, "{stderr}");
        let (code, stdout, _) = status(runtime_dir, &["--format", "nagios"]);
        assert!(code == 3 && stdout.starts_with("VPCE UNKNOWN - "), "{stdout}");
    }
    let folder = TempDir::new().expect("a folder");
    let empty = folder.path().join("none");
    check(empty.to_str().expect("UTF-8"), "the daemon is not running");
    check(
        &state(&folder, &[("started_at", Value::from("2020-01-01T00:00:00.000Z"))]),
        "old, and one was due every 60s",
    );
    // The daemon's own interval counts, not that of whatever config this command reads.
    check(
        &state(&folder, &[("started_at", Value::from("2020-01-01T00:00:00.000Z")), ("interval_s", Value::from(300.0))]),
        "old, and one was due every 300s",
    );
    check(&state(&folder, &[("started_at", Value::from("2190-01-01T00:00:00.000Z"))]), "from the future");
    check(&state(&folder, &[("schema_version", Value::from(9))]), "schema version 9");
    check(&state(&folder, &[("targets", Value::from("none"))]), "is not a report");
    write(&folder, "last.json", "{\"schema_ver");
    check(folder.path().to_str().expect("UTF-8"), "is not a report");
}

#[test]
fn every_cause_is_explained() {
    let (code, index, _) = run(&mut probe(&["explain"]));
    assert_eq!(code, 0);
    for cause in vpce_probe::model::cause::Cause::ALL {
        assert!(index.contains(cause.as_str()), "{cause} is missing from the index");
        let (code, stdout, stderr) = run(&mut probe(&["explain", cause.as_str()]));
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(stdout.contains(cause.as_str()), "{stdout}");
    }
}

#[test]
fn completions_are_scripts_of_their_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, stdout, _) = run(&mut probe(&["completions", shell]));
        assert!(code == 0 && stdout.contains("vpce-probe") && stdout.contains("dual-stack"), "{shell}");
    }
    let (_, script, _) = run(&mut probe(&["completions", "bash"]));
    assert!(script.contains("tcp-timeout"), "causes can be completed");
    let (code, _, stderr) = with_input(Command::new("bash").arg("-n"), &script);
    assert_eq!((code, stderr.as_str()), (0, ""));
    // As bash calls the function: the program, the word to complete, the word before it.
    let asked = script
        + "COMP_WORDS=(vpce-probe explain tcp-t); COMP_CWORD=2; _vpce__probe vpce-probe tcp-t explain; echo ${COMPREPLY[*]}\n\
           COMP_WORDS=(vpce-probe once --format n); COMP_CWORD=3; _vpce__probe vpce-probe n --format; echo ${COMPREPLY[*]}\n";
    let (_, stdout, stderr) = with_input(&mut Command::new("bash"), &asked);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("tcp-timeout\nnagios\n", ""));
    let (_, script, _) = run(&mut probe(&["completions", "fish"]));
    assert!(script.contains("-a \"tcp-timeout\""), "causes can be completed");
}
