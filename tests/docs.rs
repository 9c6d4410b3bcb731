//! The documents against the world: what they link to is there, what they tell one to type is taken, what they configure is valid.

#![expect(clippy::string_slice, reason = "every position comes from a search in the same text")]

#[path = "docs/markdown.rs"]
mod markdown;
#[path = "docs/shell.rs"]
mod shell;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use vpce_probe::model::cause::Cause;

use self::markdown::{Block, Document};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document that is kept, by its path from the root.
fn documents() -> BTreeMap<String, Document> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]).current_dir(root());
    let output = git.output().expect("git");
    assert!(output.status.success(), "{}", text(&output));
    let names = String::from_utf8(output.stdout).expect("UTF-8");
    let there = names.lines().filter(|name| root().join(name).exists());
    let read = |name: &str| markdown::read(&fs::read_to_string(root().join(name)).expect("a document"));
    let documents: BTreeMap<String, Document> = there.map(|name| (name.to_owned(), read(name))).collect();
    assert!(documents.len() > 15, "{:?}", documents.keys());
    documents
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Fails with all complaints at once.
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// `path` as seen from the folder of the document `from`.
fn beside(from: &str, path: &str) -> PathBuf {
    let mut there = PathBuf::from(from);
    there.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => assert!(there.pop(), "{from}: {path} leads out of the project"),
            _ => there.push(part),
        }
    }
    there
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    let mut complaints = Vec::new();
    for (name, document) in &documents {
        for (line, link) in &document.links {
            if ["https://", "http://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
                continue;
            }
            let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, it)| (path, Some(it)));
            let place = if path.is_empty() { PathBuf::from(name) } else { beside(name, path) };
            if !root().join(&place).exists() {
                complaints.push(format!("{name}:{line}: there is no {}", place.display()));
                continue;
            }
            let Some(anchor) = anchor else { continue };
            let target = documents.get(&*place.to_string_lossy());
            if !target.is_some_and(|target| target.anchors.contains(anchor)) {
                complaints.push(format!("{name}:{line}: {} has no #{anchor}", place.display()));
            }
        }
    }
    none(&complaints);
}

#[test]
fn every_document_is_in_the_index() {
    let documents = documents();
    let index = &documents["docs/README.md"];
    let listed: BTreeSet<&str> = index.links.iter().map(|(_, link)| link.as_str()).collect();
    let missing: Vec<&str> = documents
        .keys()
        .filter_map(|name| name.strip_prefix("docs/"))
        .filter(|name| *name != "README.md" && !listed.contains(name))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not list {missing:?}");
}

#[test]
fn every_path_that_is_named_exists() {
    const FOLDERS: &[&str] = &["packaging/", "systemd/", "docs/", "src/", "tests/", "examples/", "fuzz/", ".cargo/"];
    let mut complaints = Vec::new();
    for (name, document) in &documents() {
        for (line, span) in &document.spans {
            let word = span.split([' ', '#']).next().unwrap_or_default();
            let path = word.split("::").next().unwrap_or_default().trim_end_matches([',', '.', ':']);
            let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder));
            // NAME, F and the like are for the reader to fill in.
            let is_pattern = path.contains(['*', '<', '…', '$'])
                || path
                    .split(['/', '.', '-'])
                    .any(|part| part.len() > 1 && part.bytes().all(|b| b.is_ascii_uppercase()) && part != "README");
            // A program that cargo builds from a file elsewhere, as Cargo.toml says.
            let is_example = path.starts_with("examples/") && !path.contains('.');
            if !is_path || is_pattern || is_example {
                continue;
            }
            for one in spread(path).iter().filter(|one| !root().join(one).exists()) {
                complaints.push(format!("{name}:{line}: there is no {one}"));
            }
        }
    }
    none(&complaints);
}

/// `a/{b,c}.rs` as two.
fn spread(path: &str) -> Vec<String> {
    match (path.find('{'), path.find('}')) {
        (Some(open), Some(close)) if open < close => path[open + 1..close]
            .split(',')
            .map(|one| format!("{}{one}{}", &path[..open], &path[close + 1..]))
            .collect(),
        _ => vec![path.to_owned()],
    }
}

/// A claim of the threat model is worth as much as the test that it names.
#[test]
fn every_test_that_is_named_exists() {
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        add_sources(&root().join(folder), &mut sources);
    }
    // Keys of the config look like it.
    let keys = fs::read_to_string(root().join("config.example.toml")).expect("the example");
    let is_test = |word: &str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        plain && word.split('_').count() >= 3 && !keys.contains(word)
    };
    let (mut complaints, mut seen) = (Vec::new(), 0);
    for (name, document) in &documents() {
        if !["docs/threat-model.md", "ARCHITECTURE.md"].contains(&name.as_str()) {
            continue;
        }
        for (line, span) in &document.spans {
            let word = span.rsplit("::").next().unwrap_or_default();
            if is_test(word) {
                seen += 1;
                if !sources.contains(&format!("fn {word}(")) {
                    complaints.push(format!("{name}:{line}: there is no {word}"));
                }
            }
        }
    }
    none(&complaints);
    assert!(seen > 20, "{seen}");
}

fn add_sources(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            add_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// Every command in a document, with where it stands.
fn commands(documents: &BTreeMap<String, Document>) -> Vec<(String, Vec<String>)> {
    const SHELL: &[&str] = &["", "sh", "bash", "shell", "console"];
    let mut found = Vec::new();
    for (name, document) in documents {
        for block in document.blocks.iter().filter(|block| SHELL.contains(&block.language.as_str())) {
            let place = format!("{name}:{}", block.line);
            found.extend(shell::commands(&shell::typed(&block.text)).into_iter().map(|words| (place.clone(), words)));
        }
        for (line, span) in &document.spans {
            found.extend(shell::commands(span).into_iter().map(|words| (format!("{name}:{line}"), words)));
        }
    }
    found
}

/// The command line with what a reader fills in.
fn filled_in(words: &[String]) -> Vec<String> {
    let of = |word: &str| match word.trim_end_matches(['…', '.', ',']) {
        "CAUSE" => "tcp-timeout".to_owned(),
        "N" => "3".to_owned(),
        "F" | "FILE" | "PATH" | "config.toml" | "/etc/vpce-probe/config.toml" => "config.example.toml".to_owned(),
        "REGION" => "eu-west-1".to_owned(),
        "SERVICE" | "S" | "CODE" => "kms".to_owned(),
        "SHELL" => "bash".to_owned(),
        "DURATION" | "D" => "5s".to_owned(),
        word => word.to_owned(),
    };
    words.iter().map(|word| of(word)).filter(|word| !word.is_empty()).collect()
}

fn probe(arguments: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpce-probe"));
    command.args(arguments).env_clear().env("AWS_REGION", "eu-west-1").current_dir(root()).stdin(Stdio::null());
    command.output().expect("the binary runs")
}

/// What the binary says against a command line that a document shows.
fn refused(arguments: &[String]) -> Option<String> {
    const HARMLESS: &[&str] = &["explain", "targets", "check", "alarms", "completions", "man"];
    let harmless = arguments.first().is_some_and(|verb| HARMLESS.contains(&verb.as_str()));
    let mut all = arguments.to_vec();
    // All others would probe: the command line is read until this word, which ends it.
    if !harmless {
        all.push("--help".to_owned());
    }
    let output = probe(&all);
    (!output.status.success()).then(|| text(&output))
}

#[test]
fn every_command_of_ours_is_taken() {
    let documents = documents();
    let (mut complaints, mut seen) = (Vec::new(), BTreeSet::new());
    for (place, words) in commands(&documents) {
        let Some((program, arguments)) = words.split_first() else { continue };
        if program != "vpce-probe" && !program.ends_with("/vpce-probe") || arguments.is_empty() {
            continue;
        }
        // A word of another kind begins a sentence: `vpce-probe (8)`, `vpce-probe VERB`.
        let arguments = filled_in(arguments);
        if !seen.insert(arguments.clone()) {
            continue;
        }
        if let Some(said) = refused(&arguments) {
            complaints.push(format!("{place}: vpce-probe {}\n{said}", arguments.join(" ")));
        }
    }
    none(&complaints);
    assert!(seen.len() > 25, "{seen:?}");
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for wrong in [
        "once --explian",
        "status --format yaml",
        "explain tcp-timeuot",
        "targets --regoin x",
        "alarms --expected-hosts 0",
    ] {
        assert!(refused(&words(wrong)).is_some(), "{wrong} was taken");
    }
}

/// The checker in the venv of the tests that know AWS.
fn aws(commands: &[(String, Vec<String>)]) -> Output {
    let python = root().join("target/venv-cloud/bin/python");
    assert!(python.exists(), "{} is missing: make setup", python.display());
    let mut child = Command::new(python)
        .arg(root().join("tests/tools/aws-commands"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    child.stdin.take().expect("a pipe").write_all(json!(commands).to_string().as_bytes()).expect("written");
    child.wait_with_output().expect("it ends")
}

#[test]
fn every_command_of_aws_exists() {
    let mut shown: Vec<(String, Vec<String>)> = Vec::new();
    for (place, words) in commands(&documents()) {
        if words[0] == "aws" && words.len() > 1 {
            shown.push((place, words[1..].to_vec()));
        }
    }
    assert!(shown.len() > 60, "{}", shown.len());
    let output = aws(&shown);
    assert!(output.status.success(), "\n{}", text(&output));
    for wrong in [
        "ec2 describe-vpc-endpoint",
        "ec2 describe-vpc-endpoints --filter x",
        "ec2 describe-vpc-endpoints --filters Nmae=vpc-id,Values=x",
        "ec2 describe-vpc-endpoints --query VpcEndpoints[].Sate",
        "ssm start-session --document-name x",
        "cloudformation deploy --template x",
    ] {
        let words = wrong.split(' ').map(str::to_owned).collect();
        assert!(!aws(&[("here".to_owned(), words)]).status.success(), "{wrong} was taken");
    }
}

fn blocks<'a>(documents: &'a BTreeMap<String, Document>, language: &str) -> Vec<(String, &'a Block)> {
    let all = documents.iter().flat_map(|(name, document)| document.blocks.iter().map(move |block| (name, block)));
    all.filter(|(_, block)| block.language == language)
        .map(|(name, block)| (format!("{name}:{}", block.line), block))
        .collect()
}

#[test]
fn every_config_is_valid() {
    let documents = documents();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    let mut complaints = Vec::new();
    let shown = blocks(&documents, "toml");
    assert!(shown.len() > 10, "{}", shown.len());
    for (place, block) in shown {
        fs::write(&file, &block.text).expect("a file");
        let output = probe(&["check".to_owned(), "--config".to_owned(), file.display().to_string()]);
        if !output.status.success() {
            complaints.push(format!("{place}: {}", text(&output)));
        }
    }
    none(&complaints);
}

/// A policy in a document is that of the file, and nobody pastes an old one.
#[test]
fn every_json_parses_and_policies_are_those_of_the_files() {
    let documents = documents();
    let folder = root().join("packaging/iam");
    let files: Vec<Value> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| serde_json::from_str(&fs::read_to_string(path).expect("a policy")).expect("JSON"))
        .collect();
    let mut policies = 0;
    for (place, block) in blocks(&documents, "json") {
        let parsed: Result<Value, _> = serde_json::from_str(&block.text);
        let value = parsed.unwrap_or_else(|error| panic!("{place}: {error}"));
        if value.get("Statement").is_some() {
            policies += 1;
            assert!(files.contains(&value), "{place} is no policy of {}", folder.display());
        }
    }
    assert!(policies > 0, "no document shows a policy");
}

/// The alarms that a config gives, each with its description.
fn alarms() -> BTreeMap<String, String> {
    let output = probe(&["alarms".to_owned(), "--config".to_owned(), "/dev/null".to_owned()]);
    let template: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let resources = template["Resources"].as_object().expect("resources").values();
    let of = |resource: &Value, key: &str| resource.pointer(&format!("/Properties/{key}")).cloned();
    resources
        .filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm")
        .map(|resource| {
            let name = of(resource, "AlarmName/Fn::Sub").expect("a name");
            let about = of(resource, "AlarmDescription").expect("a description");
            let name = name.as_str().expect("a text").trim_start_matches("${AWS::StackName}-").to_owned();
            (name, about.as_str().expect("a text").to_owned())
        })
        .collect()
}

#[test]
fn every_alarm_has_its_section() {
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).expect("docs/runbook.md");
    let anchors = markdown::read(&runbook).anchors;
    let sections: BTreeMap<String, &str> = runbook
        .split("\n## ")
        .skip(1)
        .map(|section| (markdown::anchor(&format!(" {}", section.lines().next().unwrap_or_default())), section))
        .collect();
    let alarms = alarms();
    assert!(alarms.len() > 10, "{alarms:?}");
    for (name, about) in alarms {
        let (_, anchor) = about.split_once("docs/runbook.md#").unwrap_or_else(|| panic!("{name}: {about}"));
        assert!(anchors.contains(anchor), "{name}: docs/runbook.md has no #{anchor}");
        let stem = anchor.trim_end_matches("-target");
        assert!(name.starts_with(stem), "{name} points to {anchor}");
        let section = sections[anchor];
        for part in ["**Means.**", "**Affected.**", "**First three commands.**", "**Silence", "\n|---|", "```sh"] {
            assert!(section.contains(part), "docs/runbook.md#{anchor} has no {part}");
        }
    }
}

#[test]
fn every_cause_has_its_anchor() {
    let documents = documents();
    for cause in Cause::ALL {
        let anchor = cause.anchor();
        let (path, anchor) = anchor.split_once('#').expect("an anchor");
        assert!(documents[path].anchors.contains(anchor), "{path} has no #{anchor}");
    }
}
