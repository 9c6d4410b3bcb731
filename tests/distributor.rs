//! The SSM Distributor package: its scripts on throw-away hosts, its checker on spoilt folders, its documents in moto's AWS.
//! Root, and what `make setup` brings: dpkg, rpm, shellcheck, `target/roots`, `target/venv-cloud`. Missing ones fail.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source(name: &str) -> PathBuf {
    root().join("packaging/ssm-distributor").join(name)
}

/// A program, found on the path or at one, with nothing of this session's AWS.
fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).env_remove("AWS_PROFILE").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A program of the venv.
fn tool(name: &str) -> Command {
    let path = root().join("target/venv-cloud/bin").join(name);
    assert!(path.exists(), "{} is missing: make setup", path.display());
    program(path)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    (output.status.success(), text(&output))
}

/// Runs it, and gives back what it prints; a failure shows all of that.
fn succeed(command: &mut Command) -> String {
    let (good, said) = run(command);
    assert!(good, "{command:?}\n{said}");
    said
}

/// A folder like `dist/` with both kinds of tiny packages for both architectures.
fn dist() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    succeed(program("python3").arg(source("tiny.py")).arg(folder.path()));
    folder
}

fn pack(dist: &Path) -> Command {
    let mut command = program(source("pack"));
    command.arg(dist);
    command
}

fn check(dist: &Path) -> Command {
    let mut command = program(source("check"));
    command.arg(dist.join("distributor"));
    command
}

/// The bytes of every file that `pack` made, by its name.
fn packed(dist: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries =
        fs::read_dir(dist.join("distributor")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(path).expect("a file")))
        .collect()
}

#[test]
fn the_checker_finds_every_way_to_spoil_a_folder() {
    let said = succeed(program(source("check")).arg("--self-test"));
    assert!(said.contains("a good folder passes; 41 spoilt ones are each found"), "{said}");
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let dist = dist();
    succeed(&mut pack(dist.path()));
    let first = packed(dist.path());
    assert_eq!(first.len(), 5, "{:?}", first.keys());
    for file in fs::read_dir(dist.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
    {
        // Another day: the time of a file is not in its zip.
        succeed(program("touch").args(["--date", "2031-05-06"]).arg(file));
    }
    succeed(&mut pack(dist.path()));
    assert!(first == packed(dist.path()), "another packing of the same packages gave other bytes");
    let said = succeed(check(dist.path()).args(["--version-name", "0.1.0"]));
    assert!(said.contains("4 files, 10 platforms: no mistake found"), "{said}");
}

#[test]
fn a_missing_architecture_is_an_error_unless_one_is_asked_for() {
    let dist = dist();
    fs::remove_file(dist.path().join("vpce-probe-0.1.0-1.aarch64.rpm")).expect("removed");
    let (good, said) = run(&mut pack(dist.path()));
    assert!(!good && said.contains("lacks a .rpm for arm64"), "{said}");
    succeed(pack(dist.path()).args(["--arch", "x86_64"]));
    succeed(&mut check(dist.path()));
    // Two versions are no package.
    fs::rename(dist.path().join("vpce-probe_0.1.0-1_arm64.deb"), dist.path().join("other.deb")).expect("renamed");
    fs::copy(dist.path().join("other.deb"), dist.path().join("again.deb")).expect("copied");
    let (good, said) = run(&mut pack(dist.path()));
    assert!(!good && said.contains("are both a .deb for arm64"), "{said}");
}

/// Twelve scenes with dpkg and with rpm, with dash and with bash for sh, without a network.
#[test]
fn the_scripts_do_on_hosts_what_the_agent_needs() {
    let place = TempDir::new().expect("a folder");
    let said = succeed(
        program("unshare").args(["--mount", "--net"]).arg(root().join("tests/distributor/hosts.py")).arg(place.path()),
    );
    assert!(said.contains("48 of 48 scenes are as they should be"), "{said}");
}

#[test]
fn shellcheck_finds_nothing() {
    let scripts = fs::read_dir(source("")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let scripts: Vec<PathBuf> = scripts.filter(|path| path.extension().is_some_and(|end| end == "sh")).collect();
    assert_eq!(scripts.len(), 5);
    let said =
        succeed(program("shellcheck").args(["--shell", "sh", "--external-sources"]).current_dir(root()).args(&scripts));
    assert_eq!(said, "");
}

#[test]
fn the_template_is_clean_and_cfn_lint_would_say_so() {
    let template = root().join("packaging/rollout/rollout.yaml");
    let regions = ["--regions", "eu-west-1", "us-gov-west-1", "cn-north-1", "--"];
    assert_eq!(succeed(tool("cfn-lint").args(regions).arg(&template)).trim(), "");
    let folder = TempDir::new().expect("a folder");
    let broken = folder.path().join("broken.yaml");
    let text = fs::read_to_string(template).expect("a template").replace("ScheduleExpression:", "ScheduleExpresion:");
    fs::write(&broken, text).expect("a file");
    let (good, said) = run(tool("cfn-lint").args(regions).arg(&broken));
    assert!(!good && said.contains("ScheduleExpresion"), "{said}");
}

#[test]
fn the_package_is_published_and_rolled_out_in_moto() {
    let dist = dist();
    succeed(&mut pack(dist.path()));
    let said = succeed(
        tool("python")
            .arg(root().join("tests/distributor/cloud.py"))
            .arg(dist.path().join("distributor"))
            .arg(root().join("packaging/cloudwatch/default-alarms.json")),
    );
    assert!(
        said.contains("published, upgraded and rolled back; rolled out bare, and with role, two endpoints"),
        "{said}"
    );
}

/// What a person looks up at night: each code, each platform, each parameter.
#[test]
fn the_guide_names_every_code_platform_and_parameter() {
    let guide = fs::read_to_string(root().join("docs/distributor.md")).expect("docs/distributor.md");
    let codes = fs::read_to_string(source("common.sh")).expect("common.sh");
    let codes: Vec<&str> =
        codes.lines().filter_map(|line| line.strip_prefix("EX_")?.split_once('=')).map(|(_, rest)| rest).collect();
    assert_eq!(codes.len(), 12);
    for code in codes.iter().filter_map(|rest| rest.split_whitespace().next()) {
        assert!(guide.contains(&format!("| {code} |")), "exit code {code} is not in docs/distributor.md");
    }
    let platforms = fs::read_to_string(source("platforms.json")).expect("platforms.json");
    let platforms: serde_json::Value = serde_json::from_str(&platforms).expect("JSON");
    let template = fs::read_to_string(root().join("packaging/rollout/rollout.yaml")).expect("a template");
    let (_, parameters) = template.split_once("\nParameters:\n").expect("parameters");
    let (parameters, _) = parameters.split_once("\n\nRules:").expect("rules after them");
    let parameters =
        parameters.lines().filter(|line| !line.starts_with("    ")).map(|line| line.trim().trim_end_matches(':'));
    let platforms = platforms["ours"].as_object().expect("platforms").keys().map(String::as_str);
    for word in platforms.chain(parameters) {
        assert!(guide.contains(&format!("`{word}`")), "{word} is not in docs/distributor.md");
    }
}
