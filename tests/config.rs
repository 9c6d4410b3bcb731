//! The config layer from outside: the example is complete, every mistake is told at once and told well, nothing panics.

#[path = "config/reference.rs"]
mod reference;

use std::{collections::BTreeSet, env, fs, path::Path, time::Duration};

use proptest::{prop_assert, proptest};
use unicode_width::UnicodeWidthStr;
use vpce_probe::{
    config::{
        Address, CloudWatch, Config, Credentials, Detail, Dns, Host, LoadError, Mtu, MtuMode, ResolverChoice, SECTIONS,
        Severity, Target, Textfile, Timeouts, Tls, load, parse, render,
    },
    model::{plan::Family, target::Expect},
};

const EXAMPLE: &str = include_str!("../config.example.toml");

/// The example with the keys that stand in comments.
fn uncommented() -> String {
    let is_key = |line: &str| {
        line.starts_with("[[")
            || line
                .split_once(" = ")
                .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c)))
    };
    let lines = EXAMPLE.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every key of a text as `section.key`, in its order.
fn keys(text: &str) -> Vec<String> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let line = line.split(" #").next().unwrap_or(line).trim_end();
        if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut section);
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys.push(format!("{section}.{}", key.trim()));
        }
    }
    keys
}

fn known() -> Vec<String> {
    SECTIONS.iter().flat_map(|section| section.keys.iter().map(|key| format!("{}.{key}", section.name))).collect()
}

fn errors(text: &str) -> String {
    render(&parse("config.toml", text).expect_err("has a mistake"))
}

#[test]
fn the_example_is_the_default() {
    let parsed = parse("config.example.toml", EXAMPLE).unwrap_or_else(|found| panic!("{}", render(&found)));
    assert_eq!(parsed.config, Config::default());
    assert_eq!(parsed.warnings, []);
    assert_eq!(parse("empty", "").map(|parsed| parsed.config), Ok(Config::default()));
}

#[test]
fn the_example_has_every_key() {
    assert_eq!(keys(&uncommented()), known());
    let optional = known().len() - keys(EXAMPLE).len();
    assert_eq!(optional, 22, "a key with a default stands uncommented");
}

#[test]
fn the_example_parses_when_uncommented() {
    let text = uncommented();
    let parsed = parse("config.example.toml", &text).unwrap_or_else(|found| panic!("{}", render(&found)));
    assert_eq!(render(&parsed.warnings), "");
    assert_eq!(parsed.config.targets.len(), 1);
    assert_eq!(parsed.config.region.as_deref(), Some("eu-west-1"));
}

#[test]
fn every_key_of_the_example_says_why() {
    for line in EXAMPLE.lines().filter(|line| line.contains(" = ")) {
        let rest = line.trim_start_matches("# ");
        let why = rest.split_once(" # ").map(|(_, why)| why.trim());
        assert!(why.is_some_and(|why| why.len() > 10), "{line}");
        assert!(line.width() <= 120, "{line}");
    }
}

#[test]
fn every_known_key_is_read() {
    for section in SECTIONS {
        for key in section.keys {
            let header = match section.name {
                "" => "# top".to_owned(),
                "target" => "[[target]]".to_owned(),
                name => format!("[{name}]"),
            };
            let found = parse("c", &format!("{header}\n{key} = 1979-05-27\n")).expect_err("a date fits no key");
            let told =
                found.iter().any(|found| found.line == 2 && found.what.starts_with(&format!("{key}: expected ")));
            assert!(told, "{}.{key}: {}", section.name, render(&found));
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "every key once")]
fn every_value_arrives() {
    let text = r#"
region = "us-gov-west-1"
interval = "2m"
round_deadline = "20s"
confirm = 3
family = "v6"
http = false
extra_ca_file = "/ca.pem"
default_targets = false
state_dir = "/s"
runtime_dir = "/r"
[timeouts]
resolve = "1s"
connect = "2s"
tls = "3s"
http = "3500ms"
mtu = "5s"
imds = "1s500ms"
[dns]
resolver = ["10.0.0.2", "fd00:ec2::253"]
attempts = 2
compare_with_vpc = false
[mtu]
mode = "passive"
repeat_every = 5
[tls]
post_quantum = false
expiry_warning = "7d"
expected_issuers = ["Corp", "Amazon"]
[address]
allowed_cidrs = ["10.99.0.0/16"]
s3_prefixes = ["52.216.0.0/15"]
[host]
instance_id = "i-0a"
vpc_id = "vpc-0b"
vpc_cidrs = ["10.0.0.0/16"]
subnet_id = "subnet-0c"
subnet_cidrs = ["10.0.1.0/24"]
availability_zone = "us-gov-west-1a"
availability_zone_id = "usgw1-az1"
[[target]]
service = "kms"
host = "kms.corp.example"
name = "keys"
port = 8443
expect = "own-vpc"
required = false
path = "/ping"
allowed_cidrs = ["fd00::/8"]
enabled = true
[[target]]
host = "Vault.corp.example."
[cloudwatch]
enabled = false
namespace = "Corp/Net"
flush_interval = "10m"
detail = "instance"
endpoint_url = "https://m.corp.example"
fips = false
dual_stack = false
credentials = "ecs"
fixed_dimensions = { Zeta = "1", Alpha = "2" }
extra_dimension_sets = [["Region", "Target"]]
monthly_warning_usd = 2.5
[cloudwatch.spool]
max_size = "1MiB"
[textfile]
path = "/t.prom"
"#;
    let net = |text: &str| text.parse().expect("is a network");
    let some = |text: &str| Some(text.to_owned());
    let expected = Config {
        region: some("us-gov-west-1"),
        interval: Duration::from_mins(2),
        round_deadline: Duration::from_secs(20),
        confirm: 3,
        family: Family::V6,
        http: false,
        extra_ca_file: Some("/ca.pem".into()),
        default_targets: false,
        state_dir: Some("/s".into()),
        runtime_dir: Some("/r".into()),
        timeouts: Timeouts {
            resolve: Duration::from_secs(1),
            connect: Duration::from_secs(2),
            tls: Duration::from_secs(3),
            http: Duration::from_millis(3500),
            mtu: Duration::from_secs(5),
            imds: Duration::from_millis(1500),
        },
        dns: Dns {
            resolver: ResolverChoice::Servers(vec![
                "10.0.0.2".parse().expect("is an address"),
                "fd00:ec2::253".parse().expect("is an address"),
            ]),
            attempts: 2,
            compare_with_vpc: false,
        },
        mtu: Mtu { mode: MtuMode::Passive, repeat_every: 5 },
        tls: Tls {
            post_quantum: false,
            expiry_warning: Duration::from_hours(7 * 24),
            expected_issuers: vec!["Corp".to_owned(), "Amazon".to_owned()],
        },
        address: Address { allowed_cidrs: vec![net("10.99.0.0/16")], s3_prefixes: vec![net("52.216.0.0/15")] },
        host: Host {
            instance_id: some("i-0a"),
            vpc_id: some("vpc-0b"),
            vpc_cidrs: Some(vec![net("10.0.0.0/16")]),
            subnet_id: some("subnet-0c"),
            subnet_cidrs: Some(vec![net("10.0.1.0/24")]),
            availability_zone: some("us-gov-west-1a"),
            availability_zone_id: some("usgw1-az1"),
        },
        targets: vec![
            Target {
                service: some("kms"),
                host: some("kms.corp.example"),
                name: some("keys"),
                port: Some(8443),
                expect: Some(Expect::OwnVpc),
                required: Some(false),
                path: some("/ping"),
                allowed_cidrs: vec![net("fd00::/8")],
                enabled: Some(true),
            },
            Target { host: some("vault.corp.example"), ..Target::default() },
        ],
        cloudwatch: CloudWatch {
            enabled: false,
            namespace: "Corp/Net".to_owned(),
            flush_interval: Duration::from_mins(10),
            detail: Detail::Instance,
            endpoint_url: some("https://m.corp.example"),
            fips: false,
            dual_stack: false,
            credentials: Credentials::Ecs,
            fixed_dimensions: vec![("Zeta".to_owned(), "1".to_owned()), ("Alpha".to_owned(), "2".to_owned())],
            extra_dimension_sets: vec![vec!["Region".to_owned(), "Target".to_owned()]],
            monthly_warning_usd: 2.5,
            spool_max_size: 1 << 20,
        },
        textfile: Textfile { path: Some("/t.prom".into()) },
    };
    let parsed = parse("c", text).unwrap_or_else(|found| panic!("{}", render(&found)));
    assert_eq!(parsed.config, expected);
    assert_eq!(render(&parsed.warnings), "");
}

#[test]
fn what_is_allowed_is_allowed() {
    let check = |text: &str| {
        let parsed = parse("c", text).unwrap_or_else(|found| panic!("{text}\n{}", render(&found)));
        assert_eq!(render(&parsed.warnings), "", "{text}");
    };
    check("region = \"eu-west-9\"");
    check("region = \"us-isob-east-1\"");
    check("[[target]]\nservice = \"ssm\"\nhost = \"vpce-0abc.ssm.eu-west-1.vpce.amazonaws.com\"");
    check("[[target]]\nname = \"ssm\"\nenabled = false");
    check("[[target]]\nservice = \"brand-new\"\nhost = \"brand-new.eu-west-1.amazonaws.com\"");
    check("default_targets = false\n[[target]]\nname = \"ssm\"\nhost = \"a.example\"");
    check("[timeouts]\nmtu = \"1m\"\n[mtu]\nmode = \"off\"");
    check("http = false\n[timeouts]\nhttp = \"1m\"");
    check("[host]\navailability_zone = \"us-west-2-lax-1a\"\navailability_zone_id = \"usw2-lax1-az1\"");
    check("[host]\ninstance_id = \"mi-0123456789abcdef0\"");
    check("[cloudwatch]\nendpoint_url = \"http://127.0.0.1:4566\"");
    check("[tls]\nexpiry_warning = \"0s\"\nexpected_issuers = []");
    check("dns.attempts = 3\ntimeouts = { resolve = \"3s\" }");
    check("target = [{ service = \"kms\" }, { host = \"a.example\" }]");
}

#[test]
fn a_warning_alone_does_not_stop() {
    let parsed = parse("c.toml", "region = \"mars-north-1\"\n").expect("only a warning");
    assert_eq!(parsed.config.region.as_deref(), Some("mars-north-1"));
    let severities: Vec<Severity> = parsed.warnings.iter().map(|found| found.severity).collect();
    assert_eq!(severities, [Severity::Warning]);
    assert!(render(&parsed.warnings).ends_with("\n1 warning\n"));
}

/// Each `tests/config/bad/x.toml` beside what an operator reads of it, `x.stderr`. `BLESS=1` writes the latter anew.
#[test]
fn bad_configs_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let bless = env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut seen = 0;
    let mut wrong = Vec::new();
    let mut expected_files = BTreeSet::new();
    for entry in fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("is readable").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        seen += 1;
        let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("is UTF-8");
        let out = errors_of(&name, &text);
        for line in out.lines() {
            assert!(line.width() <= 80, "{name}: longer than 80 columns: {line}");
            assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
        }
        let stderr = path.with_extension("stderr");
        if bless {
            fs::write(&stderr, &out).expect("is writable");
        } else if fs::read_to_string(&stderr).unwrap_or_default() != out {
            wrong.push(format!("{name} now says:\n{out}"));
        }
        expected_files.insert(stderr);
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 writes the files anew", wrong.join("\n"));
    assert!(seen >= 25, "only {seen} files");
    for entry in fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("is readable").path();
        let orphan = path.extension().is_some_and(|e| e == "stderr") && !expected_files.contains(&path);
        assert!(!orphan, "{} has no .toml", path.display());
    }
}

fn errors_of(name: &str, text: &str) -> String {
    render(&parse(name, text).expect_err(name))
}

#[test]
fn mistakes_are_told_in_the_order_of_the_file() {
    let found = parse("c", "[dns]\nx = 1\n[mtu]\ny = 1\n[dns.z]\n").expect_err("three mistakes");
    let lines: Vec<usize> = found.iter().map(|found| found.line).collect();
    assert_eq!(lines, [2, 4, 5]);
    assert!(errors("[dns]\nx = 1\n[mtu]\ny = 1\n").ends_with("\n2 errors\n"));
}

#[test]
fn a_file_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    let missing = load(&path).expect_err("is not there");
    assert!(matches!(missing, LoadError::Io { .. }), "{missing:?}");
    let check = |bytes: &[u8], expected: Option<&str>| {
        fs::write(&path, bytes).expect("is writable");
        match (load(&path), expected) {
            (Ok(_), None) => {}
            (Err(LoadError::Invalid(found)), Some(expected)) => {
                let out: Vec<String> =
                    found.iter().map(|found| format!("{}:{} {}", found.line, found.column, found.what)).collect();
                assert_eq!(out, [expected]);
            }
            (other, _) => panic!("{other:?}, not {expected:?}"),
        }
    };
    check(b"confirm = 3\n", None);
    check(b"confirm = 3\nregion = \"\xff\"\n", Some("2:11 a byte that is not UTF-8"));
    check(b"\xff\xfec\0", Some("1:1 the file is UTF-16"));
    check(&vec![b'\n'; (1 << 20) + 1], Some("1:1 the file is larger than 1 MiB"));
    check(&vec![b'\n'; 1 << 20], None);
}

#[test]
fn nothing_in_a_file_moves_the_cursor() {
    for text in
        ["A:{\0A", "[\t[[target]]\n", "a\u{1b}[2J = 1", "region = \"\u{9b}2J\"", "[host]\n\"\\u001b\" = 1", "x = \u{7}"]
    {
        let out = errors(text);
        assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{out:?}");
    }
}

#[test]
fn deep_and_long_documents_are_refused_quietly() {
    for text in [
        format!("{} = 1", "a.".repeat(100_000) + "a"),
        format!("[{}]", "a.".repeat(100_000) + "a"),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        "a\n".repeat(5_000),
        "a = 1\n".repeat(5_000),
        "[[target]]\n".repeat(5_000),
        "[[target]]\nhost = \"a\"\n".repeat(1_000),
    ] {
        let found = parse("c", &text).expect_err("is no config");
        assert!(!render(&found).is_empty());
    }
}

fn never_panics(text: &str) -> Result<(), proptest::test_runner::TestCaseError> {
    match parse("c.toml", text) {
        Ok(parsed) => prop_assert!(parsed.warnings.iter().all(|found| found.severity == Severity::Warning)),
        Err(found) => {
            prop_assert!(found.iter().any(|found| found.severity == Severity::Error));
            let out = render(&found);
            prop_assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{out:?}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(?s).{0,200}") {
        never_panics(&text)?;
    }

    #[test]
    fn anything_like_toml_is_read(text in "([a-z\\[\\]={}\"'#.,:\\\\ \n\t0-9é]|region|target|dns|true|\\[\\[target\\]\\]\n|= \"){0,60}") {
        never_panics(&text)?;
    }

    #[test]
    fn any_value_is_read(nth in 0_usize..60, value in "(\"\\PC{0,20}\"|[0-9]{1,25}|\\[\"\\PC{0,9}\"\\]|[a-z0-9./:-]{0,12}|-?[0-9]+\\.[0-9]+|\\{ a = 1 \\})") {
        let all: Vec<_> = SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| (section.name, key))).collect();
        let (section, key) = all[nth % all.len()];
        let header = match section { "" => String::new(), "target" => "[[target]]\n".to_owned(), name => format!("[{name}]\n") };
        never_panics(&format!("{header}{key} = {value}\n"))?;
    }

    #[test]
    fn the_example_may_be_damaged(cuts in proptest::collection::vec((0_usize..8000, 0_usize..40, "\\PC{0,3}|\n|\"|\\[|\\]|=|:|\u{0}"), 1..6)) {
        let mut text: Vec<char> = uncommented().chars().collect();
        for (at, length, new) in cuts {
            let at = at % text.len().max(1);
            let end = (at + length).min(text.len());
            text.splice(at..end, new.chars());
        }
        never_panics(&text.into_iter().collect::<String>())?;
    }
}
