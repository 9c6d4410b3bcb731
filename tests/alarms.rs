//! `vpce-probe alarms` against real readers: cfn-lint, moto's `CloudFormation`, CloudWatch's rules over recorded data.
//! They live in `target/venv-cloud`, which `make setup` makes; without it these tests fail.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use vpce_probe::{
    catalog::bucket,
    config::{self, Config},
    metric::{Detail, Dimension, METRICS},
    model::verdict::Severity,
    plan::{self, Choice},
};

const REGION: &str = "eu-west-1";
const VPC: &str = "vpc-0123456789abcdef0";
const INSTANCE: &str = "i-0123456789abcdef0";

/// What stands before the table in docs/alarms.md.
const MARK: &str = "<!-- the rest is written by tests/alarms.rs -->\n\n";

const FIXED: &str = r#"
interval = "45s"
[[target]]
service = "kms"
[[target]]
host = "vault.corp.example"
name = "ecr.api"
[[target]]
host = "vault-2.corp.example"
name = "ecr-api"
[[target]]
host = "gone.corp.example"
expect = "absent"
[host]
vpc_id = "vpc-0123456789abcdef0"
[cloudwatch]
namespace = "VpceProbe"
detail = "instance"
flush_interval = "90s"
fixed_dimensions = { Team = "core", "Cost Center" = "7 ${x}" }
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the venv.
fn tool(name: &str) -> Command {
    let path = root().join("target/venv-cloud/bin").join(name);
    assert!(path.exists(), "{} is missing: make setup", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).env_remove("AWS_PROFILE").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn checker(arguments: &[&str]) -> Command {
    let mut command = tool("python");
    command.arg(root().join("tests/cloud/alarms/alarms.py")).args(arguments);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs it, and gives back what it prints; a failure shows all of that.
fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}\n{}", text(&output));
    text(&output)
}

/// What the binary prints for a config, as (exit code, stdout, stderr).
fn probe(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpce-probe"));
    command.arg("alarms").args(arguments).env_clear().stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

/// A config with its template, each in a file.
struct Case {
    config: Config,
    template: PathBuf,
}

fn case(folder: &TempDir, name: &str, toml: &str, arguments: &[&str]) -> Case {
    let path = folder.path().join(format!("{name}.toml"));
    fs::write(&path, toml).expect("a file");
    let config = config::parse(name, toml).expect("a good config").config;
    let file = path.to_str().expect("UTF-8");
    let (code, stdout, stderr) = probe(&[&["--config", file, "--region", REGION], arguments].concat());
    assert_eq!(code, 0, "{stderr}");
    let template = folder.path().join(format!("{name}.json"));
    fs::write(&template, stdout).expect("a file");
    Case { config, template }
}

fn cases(folder: &TempDir) -> Vec<(&'static str, Case)> {
    let vpc = format!("[host]\nvpc_id = \"{VPC}\"\n");
    let many: Vec<String> = (0..60).map(|n| format!("[[target]]\nhost = \"vault-{n}.corp.example\"\n")).collect();
    vec![
        ("default", case(folder, "default", &vpc, &["--expected-hosts", "10"])),
        ("fixed", case(folder, "fixed", FIXED, &[])),
        ("no-vpc", case(folder, "no-vpc", "", &["--expected-hosts", "10"])),
        ("many", case(folder, "many", &many.concat(), &[])),
        ("groups", case(folder, "groups", &vpc, &["--auto-scaling-group", "web", "--auto-scaling-group", "batch"])),
    ]
}

/// Every series that hosts of a config put, by the table.
fn series(config: &Config) -> Vec<Value> {
    let (targets, _) = plan::targets(config, &Choice::default(), Some(REGION), None).expect("targets");
    let detail = match config.cloudwatch.detail {
        config::Detail::Fleet => Detail::Fleet,
        config::Detail::Heartbeat => Detail::Heartbeat,
        config::Detail::Instance => Detail::Instance,
    };
    let mut series = Vec::new();
    for metric in METRICS {
        for set in metric.sets.iter().filter(|set| set.from <= detail) {
            let mut all = vec![serde_json::Map::new()];
            for dimension in set.dimensions {
                let values: Vec<(&str, &str)> = match dimension {
                    Dimension::Vpc => match &config.host.vpc_id {
                        Some(vpc) => vec![("VpcId", vpc)],
                        None => vec![("Region", REGION)],
                    },
                    Dimension::Target => targets.iter().map(|target| ("Target", target.name.as_str())).collect(),
                    Dimension::Severity => [Severity::Failure, Severity::Warning, Severity::Note]
                        .map(|severity| ("Severity", severity.as_str()))
                        .to_vec(),
                    Dimension::Cause => vec![("Cause", "tcp-timeout")],
                    Dimension::Instance => vec![("InstanceId", INSTANCE)],
                };
                all = all
                    .iter()
                    .flat_map(|before| {
                        values.iter().map(|(name, value)| {
                            let mut with = before.clone();
                            with.insert((*name).to_owned(), (*value).into());
                            with
                        })
                    })
                    .collect();
            }
            for mut dimensions in all {
                let fixed = config.cloudwatch.fixed_dimensions.iter();
                dimensions.extend(fixed.map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
                let namespace = &config.cloudwatch.namespace;
                series
                    .push(json!({ "namespace": namespace, "metric": metric.name.as_str(), "dimensions": dimensions }));
            }
        }
    }
    series
}

#[test]
fn cfn_lint_finds_nothing() {
    let folder = TempDir::new().expect("a folder");
    let cases = cases(&folder);
    let said =
        succeed(tool("cfn-lint").args(["--regions", REGION, "--"]).args(cases.iter().map(|(_, case)| &case.template)));
    assert_eq!(said.trim(), "");
    // And it would find something.
    let path = &cases[0].1.template;
    let broken = fs::read_to_string(path).expect("a template").replace("\"breaching\"", "\"braching\"");
    fs::write(path, broken).expect("a file");
    let output = tool("cfn-lint").arg("--").arg(path).output().expect("it runs");
    assert!(!output.status.success() && text(&output).contains("braching"), "{}", text(&output));
}

#[test]
fn every_alarm_reads_what_the_hosts_put() {
    let folder = TempDir::new().expect("a folder");
    for (name, case) in cases(&folder) {
        let put = folder.path().join("put.json");
        let all = series(&case.config);
        fs::write(&put, json!(all).to_string()).expect("a file");
        let check = || {
            let mut command = checker(&["series", "--put", put.to_str().expect("UTF-8")]);
            // Conditions that are off would hide an alarm from the comparison.
            command.args(["--parameter", "AlarmOnWarnings=yes"]).arg(&case.template);
            command
        };
        let said = succeed(&mut check());
        let targets = plan::targets(&case.config, &Choice::default(), Some(REGION), None).expect("targets").0;
        let watched = targets.iter().filter(|target| target.name != "gone.corp.example").count();
        // One of the two silent-hosts alarms, share, failures, warnings, lost data, sick hosts; two for each target.
        let alarms = 6 + 2 * watched;
        assert!(said.starts_with(&format!("CREATE_COMPLETE: {alarms} alarms ")), "{name}: {said}");
        if name == "default" {
            // The comparison can fail: without the first series nothing counts the hosts.
            fs::write(&put, json!(all[1..]).to_string()).expect("a file");
            let output = check().output().expect("it runs");
            assert!(!output.status.success() && text(&output).contains("Healthy"), "{}", text(&output));
        }
    }
}

#[test]
fn the_evaluator_obeys_the_guide() {
    assert_eq!(succeed(&mut checker(&["rules"])).trim(), "104 cells of the guide's tables agree");
}

/// Every seed is fixed, so the table in docs/alarms.md is the same every time.
#[test]
fn alarms_fire_when_they_should_and_never_else() {
    let folder = TempDir::new().expect("a folder");
    let vpc = format!("[host]\nvpc_id = \"{VPC}\"\n");
    let case = case(&folder, "played", &vpc, &["--expected-hosts", "10"]);
    let table = succeed(checker(&["play", "--seeds", "2"]).arg(&case.template));
    assert_eq!(table.lines().filter(|line| line.contains("| none |")).count(), 5, "{table}");
    let path = root().join("docs/alarms.md");
    let guide = fs::read_to_string(&path).expect("docs/alarms.md");
    let (words, kept) = guide.split_once(MARK).expect("the mark of the table");
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, format!("{words}{MARK}{table}")).expect("a file");
        return;
    }
    assert!(kept == table, "docs/alarms.md is stale: BLESS=1 cargo test --test alarms\n{table}");
}

#[test]
fn the_example_is_what_the_default_config_gives() {
    let (code, made, stderr) = probe(&["--config", "/dev/null", "--region", REGION]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("--expected-hosts"), "{stderr}");
    let path = root().join("packaging/cloudwatch/default-alarms.json");
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &made).expect("a file");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{} is stale: BLESS=1 cargo test --test alarms", path.display());
    assert!(kept.len() < 51_200, "the example must go without S3: {} bytes", kept.len());
}

#[test]
fn the_guide_names_every_parameter_and_alarm() {
    let guide = fs::read_to_string(root().join("docs/alarms.md")).expect("docs/alarms.md");
    let (_, template, _) = probe(&["--config", "/dev/null", "--region", REGION]);
    let template: Value = serde_json::from_str(&template).expect("JSON");
    let parameters = template["Parameters"].as_object().expect("parameters").keys().map(String::as_str);
    let resources = template["Resources"].as_object().expect("resources").values();
    let names = resources.filter_map(|resource| resource.pointer("/Properties/AlarmName/Fn::Sub")?.as_str());
    let names: BTreeSet<&str> = names.filter_map(|name| name.strip_prefix("${AWS::StackName}-")).collect();
    let names = names.into_iter().map(|name| name.strip_suffix("-ssm").map_or(name, |kind| kind));
    for word in parameters.chain(names.filter(|name| !name.contains("certificate-") && !name.contains("interfaces-"))) {
        assert!(
            guide.contains(&format!("`{word}`")) || guide.contains(&format!("`{word}-")),
            "{word} is not in docs/alarms.md"
        );
    }
}

#[test]
fn wrong_arguments_are_refused() {
    fn check(arguments: &[&str], expected: i32, word: &str) {
        let (code, stdout, stderr) = probe(arguments);
        assert_eq!((code, stdout.as_str()), (expected, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    }
    check(&["--region", REGION, "--expected-hosts", "0"], 64, "0");
    check(&["--region", REGION, "--expected-hosts", "3", "--auto-scaling-group", "web"], 64, "cannot be used with");
    check(&["--region", "EU WEST"], 64, "not a region name");
    check(&["--region", REGION, "--format", "terraform"], 64, "cloudformation");
    let groups: Vec<&str> = ["--auto-scaling-group", "web"].repeat(9);
    check(&[&["--region", REGION], groups.as_slice()].concat(), 64, "too many");
}

fn policy(name: &str) -> Value {
    let path = root().join("packaging/iam").join(name);
    serde_json::from_str(&fs::read_to_string(path).expect("a policy")).expect("JSON")
}

/// The only statement of a policy.
fn statement(name: &str) -> Value {
    let policy = policy(name);
    assert_eq!(policy["Version"], "2012-10-17");
    assert_eq!(policy["Statement"].as_array().expect("statements").len(), 1, "{name}");
    assert_eq!(policy["Statement"][0]["Effect"], "Allow");
    policy["Statement"][0].clone()
}

#[test]
fn policies_allow_what_is_needed_and_no_more() {
    let role = statement("instance-policy.json");
    assert_eq!((&role["Action"], &role["Resource"]), (&json!("cloudwatch:PutMetricData"), &json!("*")));
    let namespace = Config::default().cloudwatch.namespace;
    assert_eq!(role["Condition"], json!({ "StringEquals": { "cloudwatch:namespace": namespace } }));
    let monitoring = statement("monitoring-endpoint-policy.json");
    assert_eq!(monitoring["Action"], "cloudwatch:PutMetricData");
    assert_eq!(monitoring["Principal"], "*");
    let s3 = statement("s3-endpoint-policy.json");
    assert_eq!((&s3["Action"], &s3["Principal"]), (&json!("s3:GetObject"), &json!("*")));
    // The agent asks unsigned: any condition on who asks would refuse it.
    assert_eq!(s3.get("Condition"), None);
}

#[test]
fn the_s3_policy_covers_every_bucket_of_every_region() {
    let s3 = statement("s3-endpoint-policy.json");
    let resources: Vec<&str> = s3["Resource"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for (_, region) in vpce_probe::catalog::partition::regions() {
        for bucket in bucket::buckets(region) {
            let covered = resources.iter().any(|resource| {
                let pattern = resource.strip_prefix("arn:aws:s3:::").and_then(|rest| rest.strip_suffix("/*"));
                let pattern = pattern.expect("objects of a bucket").replace("REGION", region);
                match pattern.strip_suffix('*') {
                    Some(beginning) => bucket.starts_with(beginning),
                    None => bucket == pattern,
                }
            });
            assert!(covered, "{bucket} is not in the policy");
        }
    }
}
