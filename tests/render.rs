//! What people and programs see, over whole rounds: `tests/fixtures/rounds/*.json`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proptest::prelude::*;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;
use vpce_probe::{
    model::{
        cause::Cause,
        round::Round,
        verdict::{RoundVerdict, Verdict},
    },
    render::{
        Color, Glyphs, Style, explain, json, nagios, openmetrics, short,
        table::{self, Detail},
    },
};

const UNICODE: Style = Style { color: Color::Plain, glyphs: Glyphs::Unicode, width: 80 };
const ASCII: Style = Style { color: Color::Plain, glyphs: Glyphs::Ascii, width: 80 };

/// A fixture: its name, its text, the round in it.
struct Fixture {
    name: String,
    text: String,
    round: Round,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(path: &Path) -> Fixture {
    let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
    let text = fs::read_to_string(path).expect("a readable fixture");
    let round = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    Fixture { name, text, round }
}

fn named(name: &str) -> Fixture {
    fixture(&root().join("tests/fixtures/rounds").join(name).with_extension("json"))
}

fn fixtures() -> Vec<Fixture> {
    let folder = fs::read_dir(root().join("tests/fixtures/rounds")).expect("the fixtures' folder");
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "{paths:?}");
    paths.iter().map(|path| fixture(path)).collect()
}

#[test]
fn screens_are_as_reviewed() {
    for Fixture { name, round, .. } in fixtures() {
        let lines = format!("{}----\n{}", short::render(&round, &UNICODE), nagios::render(&round));
        insta::assert_snapshot!(format!("table@{name}"), table::render(&round, &UNICODE, Detail::Summary));
        insta::assert_snapshot!(format!("ascii@{name}"), table::render(&round, &ASCII, Detail::Summary));
        insta::assert_snapshot!(format!("transcript@{name}"), table::render(&round, &UNICODE, Detail::Transcript));
        insta::assert_snapshot!(format!("lines@{name}"), lines);
        insta::assert_snapshot!(format!("openmetrics@{name}"), openmetrics::render(&round));
    }
}

/// The fixtures are the snapshots of this format. After an addition to the model, `UPDATE_FIXTURES=1` writes them anew.
#[test]
fn json_gives_every_fixture_back_byte_for_byte() {
    for Fixture { name, text, round } in fixtures() {
        let rendered = json::render(&round);
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            let path = root().join("tests/fixtures/rounds").join(&name).with_extension("json");
            fs::write(path, &rendered).expect("a writable fixture");
        } else {
            assert_eq!(rendered, text, "{name}: UPDATE_FIXTURES=1 cargo test --test render, and review the change");
        }
    }
}

#[test]
fn a_healthy_screen_is_short() {
    let screen = table::render(&named("healthy").round, &UNICODE, Detail::Summary);
    assert!(screen.lines().count() <= 12, "{screen}");
    assert_eq!(short::render(&named("healthy").round, &UNICODE), "");
    assert_eq!(short::render(&named("host-problems").round, &UNICODE), "");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for Fixture { name, round, .. } in fixtures() {
        for style in [UNICODE, ASCII] {
            for width in [72, 80, 100] {
                let screen = table::render(&round, &Style { width, ..style }, Detail::Transcript);
                for line in screen.lines() {
                    assert!(line.width() <= width, "{name}, {width} columns: {line}");
                    assert!(!line.ends_with(' '), "{name}: {line:?}");
                }
            }
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    for Fixture { name, round, .. } in fixtures() {
        let plain = table::render(&round, &UNICODE, Detail::Transcript);
        let colour = table::render(&round, &Style { color: Color::Ansi, ..UNICODE }, Detail::Transcript);
        assert!(!plain.contains('\u{1b}'), "{name}");
        assert!(colour.contains("\u{1b}["), "{name}");
        assert_eq!(without_colour(&colour), plain, "{name}");
        for line in colour.lines() {
            assert_eq!(line.matches('\u{1b}').count() % 2, 0, "{name}: a colour runs on: {line:?}");
        }
    }
}

fn without_colour(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().expect("split gives at least one part").to_owned();
    for part in parts {
        let (_, rest) = part.split_once('m').expect("a colour sequence ends with m");
        out.push_str(rest);
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// What a format says of a target.
#[derive(Clone, Debug, PartialEq, Default)]
struct Said {
    verdict: String,
    cause: Option<String>,
    /// Milliseconds: resolve, then the slowest address's connect, tls, http.
    times: [Option<f64>; 4],
    /// The least of the sizes that pass, in bytes.
    mtu: Option<f64>,
}

/// Of an address's path MTU, what passes outwards.
fn outwards(mtu: &Value) -> Option<f64> {
    mtu["out_ok"].as_f64()
}

/// The same, or what passes back where larger packets vanish on the way back.
fn either_way(mtu: &Value) -> Option<f64> {
    let back = mtu["in_ok"].as_f64().filter(|_| mtu["in_fails"].is_number());
    [outwards(mtu), back].into_iter().flatten().min_by(f64::total_cmp)
}

/// The truth of [`Said`], read from the JSON and not from the model; `passes` is what counts of a path MTU.
fn said_by_json(report: &Value, passes: fn(&Value) -> Option<f64>) -> BTreeMap<String, Said> {
    let slowest = |target: &Value, stage: &str| {
        let times = target["addresses"].as_array().expect("addresses").iter();
        times.filter_map(|address| address[stage]["elapsed_ms"].as_f64()).max_by(f64::total_cmp)
    };
    let narrowest = |target: &Value| {
        let sizes = target["addresses"].as_array().expect("addresses").iter();
        sizes.filter_map(|address| passes(&address["mtu"])).min_by(f64::total_cmp)
    };
    let targets = report["targets"].as_array().expect("targets").iter();
    targets
        .map(|target| {
            let said = Said {
                verdict: target["verdict"].as_str().expect("a verdict").to_owned(),
                cause: target["cause"].as_str().map(str::to_owned),
                times: [
                    target["resolve"]["elapsed_ms"].as_f64(),
                    slowest(target, "connect"),
                    slowest(target, "tls"),
                    slowest(target, "http"),
                ],
                mtu: narrowest(target),
            };
            (target["name"].as_str().expect("a name").to_owned(), said)
        })
        .collect()
}

fn said_by_table(screen: &str) -> BTreeMap<String, Said> {
    let mut rows = screen.lines().skip_while(|line| !line.trim_start().starts_with("target "));
    // The column is there only where something was measured.
    let at_mtu = rows.next().and_then(|titles| titles.split_whitespace().skip(1).position(|title| title == "mtu"));
    let first = if at_mtu.is_some() { 4 } else { 3 };
    rows.take_while(|line| !line.is_empty())
        .map(|line| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let verdict = match cells[0] {
                "OK" => "healthy",
                "WARN" => "degraded",
                "FAIL" => "failed",
                "SKIP" => "skipped",
                other => panic!("{other}"),
            };
            let number = |at: usize| (cells[at] != "-").then(|| cells[at].parse().expect("a number"));
            let said = Said {
                verdict: verdict.to_owned(),
                cause: cells.get(first + 4).map(|&cause| cause.to_owned()),
                times: [number(first), number(first + 1), number(first + 2), number(first + 3)],
                mtu: at_mtu.and_then(|at| number(at + 2)),
            };
            (cells[1].to_owned(), said)
        })
        .collect()
}

/// A healthy target's line is not spoilt by a note: that stands below.
fn on_a_line(mut said: BTreeMap<String, Said>) -> BTreeMap<String, Said> {
    for said in said.values_mut().filter(|said| said.verdict == "healthy") {
        said.cause = None;
    }
    said
}

fn said_by_openmetrics(samples: &[Value]) -> BTreeMap<String, Said> {
    let mut said: BTreeMap<String, Said> = BTreeMap::new();
    for sample in samples {
        let Some(target) = sample["labels"]["target"].as_str() else { continue };
        let said = said.entry(target.to_owned()).or_default();
        let value = sample["value"].as_f64().expect("a number");
        let label = |name: &str| sample["labels"][name].as_str().unwrap_or_default();
        match sample["name"].as_str().expect("a name") {
            "vpce_probe_target_verdict" if value > 0.5 => label("verdict").clone_into(&mut said.verdict),
            "vpce_probe_target_cause" => said.cause = Some(label("cause").to_owned()),
            "vpce_probe_resolve_duration_seconds" => said.times[0] = Some(value * 1000.0),
            "vpce_probe_path_mtu_out_bytes" => said.mtu = Some(said.mtu.map_or(value, |known| known.min(value))),
            "vpce_probe_stage_duration_seconds" => {
                let at = ["connect", "tls", "http"].iter().position(|stage| *stage == label("stage"));
                let slot = &mut said.times[1 + at.expect("a stage")];
                *slot = Some(slot.unwrap_or(0.0).max(value * 1000.0));
            }
            _ => {}
        }
    }
    said
}

/// As many digits as the table has.
fn rounded(ms: f64) -> f64 {
    let digits = if ms < 9.995 {
        100.0
    } else if ms < 99.95 {
        10.0
    } else {
        1.0
    };
    (ms * digits).round() / digits
}

fn assert_alike(name: &str, format: &str, is: &BTreeMap<String, Said>, should: &BTreeMap<String, Said>, slack: f64) {
    assert_eq!(is.keys().collect::<Vec<_>>(), should.keys().collect::<Vec<_>>(), "{name}, {format}");
    for (target, should) in should {
        let is = &is[target];
        assert_eq!((&is.verdict, &is.cause), (&should.verdict, &should.cause), "{name}, {format}, {target}");
        assert_eq!(is.mtu, should.mtu, "{name}, {format}, {target}");
        for (is, should) in is.times.iter().zip(should.times) {
            let close = match (is, should) {
                (None, None) => true,
                (Some(is), Some(should)) => (is - rounded(should)).abs() <= slack.max(f64::EPSILON * should),
                (None, Some(_)) | (Some(_), None) => false,
            };
            assert!(close, "{name}, {format}, {target}: {is:?} for {should:?}");
        }
    }
}

#[test]
fn the_formats_agree() {
    for Fixture { name, round, .. } in fixtures() {
        let report: Value = serde_json::from_str(&json::render(&round)).expect("JSON");
        let truth = said_by_json(&report, outwards);

        let screen = table::render(&round, &ASCII, Detail::Summary);
        assert_alike(&name, "table", &said_by_table(&screen), &on_a_line(said_by_json(&report, either_way)), 0.0);
        let verdict = report["verdict"].as_str().expect("a verdict");
        assert!(screen.starts_with(&verdict.to_uppercase()), "{name}: {screen}");

        let exposition = openmetrics::render(&round);
        let samples = parse_openmetrics(&exposition);
        // Seconds keep five digits, the table three: compare where both are exact enough.
        assert_alike(&name, "openmetrics", &said_by_openmetrics(&samples), &truth, 0.5);
        let is_exact =
            |sample: &Value, ms: f64| (sample["value"].as_f64().expect("a number") * 1000.0 - ms).abs() < 1e-6;
        let resolves = samples.iter().filter(|sample| sample["name"] == "vpce_probe_resolve_duration_seconds");
        for sample in resolves {
            let target = sample["labels"]["target"].as_str().expect("a target");
            assert!(is_exact(sample, truth[target].times[0].expect("always measured")), "{name}: {sample}");
        }

        agree_on_problems(&name, &short::render(&round, &ASCII), &report);
        agree_on_state(&name, &nagios::render(&round), &round);
    }
}

/// `short` has a line for each problem that is no note, and beyond these only conclusions over several targets.
fn agree_on_problems(name: &str, short: &str, report: &Value) {
    let mut lines: Vec<String> = short
        .lines()
        .map(|line| line.split_whitespace().take(5).collect::<Vec<_>>().join(" "))
        .filter(|line| !line.contains(','))
        .collect();
    let mut expected = Vec::new();
    for target in report["targets"].as_array().expect("targets") {
        for problem in target["problems"].as_array().expect("problems") {
            let mark = match (target["verdict"].as_str(), problem["severity"].as_str()) {
                (_, Some("note")) => continue,
                (Some("skipped"), _) => "SKIP",
                (_, Some("warning")) => "WARN",
                (_, Some("failure")) => "FAIL",
                other => panic!("{other:?}"),
            };
            let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            expected.push(format!(
                "{mark} {} {} {} {}",
                word(&target["name"]),
                word(&problem["address"]),
                word(&problem["stage"]),
                word(&problem["cause"])
            ));
        }
    }
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected, "{name}");
}

/// `nagios` has the state of the exit code, the counts, a time for each target, and names what is wrong.
fn agree_on_state(name: &str, line: &str, round: &Round) {
    let (words, data) = line.trim_end().split_once(" | ").expect("perfdata");
    let state = ["OK", "WARNING", "CRITICAL"][usize::from(round.verdict.exit_code())];
    assert!(words.starts_with(&format!("VPCE {state} - ")), "{name}: {words}");
    let data: BTreeMap<String, String> = data
        .split(' ')
        .map(|item| {
            let (label, value) = item.split_once('=').expect("label=value");
            let label = label.strip_prefix('\'').and_then(|label| label.strip_suffix('\'')).expect("a quoted label");
            (label.to_owned(), value.split(';').next().expect("a value").to_owned())
        })
        .collect();
    let count = |verdict: Verdict| round.targets.iter().filter(|report| report.verdict == verdict).count().to_string();
    assert_eq!(data["failed"], count(Verdict::Failed), "{name}");
    assert_eq!(data["degraded"], count(Verdict::Degraded), "{name}");
    assert_eq!(data["skipped"], count(Verdict::Skipped), "{name}");
    assert_eq!(data["round"], format!("{:.2}ms", round.elapsed_ms.as_f64()), "{name}");
    for report in &round.targets {
        let answering = report.addresses.iter().filter(|address| {
            let is_live = address.verdict == Verdict::Healthy || address.verdict == Verdict::Degraded;
            is_live && address.record.http.is_some()
        });
        let through = answering.map(|address| {
            let record = &address.record;
            let stages = [
                record.connect.as_ref().map(|stage| stage.elapsed_ms),
                record.tls.as_ref().map(|stage| stage.elapsed_ms),
                record.http.as_ref().map(|stage| stage.elapsed_ms),
            ];
            stages.into_iter().flatten().map(vpce_probe::model::units::Millis::as_f64).sum::<f64>()
        });
        let expected = through
            .max_by(f64::total_cmp)
            .map_or_else(|| "U".to_owned(), |ms| format!("{:.2}ms", ms + report.resolve.elapsed_ms.as_f64()));
        assert_eq!(data[&report.target.name], expected, "{name}, {}", report.target.name);
        let is_wrong = report.verdict == Verdict::Failed || report.verdict == Verdict::Degraded;
        if let Some(cause) = report.cause.filter(|_| is_wrong) {
            assert!(words.contains(&format!("{} {cause}", report.target.name)), "{name}: {words}");
        }
    }
}

/// Parses with `prometheus_client`'s own parser, in a venv that the script makes once.
fn parse_openmetrics(exposition: &str) -> Vec<Value> {
    let mut checker = Command::new(root().join("tests/tools/openmetrics-check"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/tools/openmetrics-check starts");
    let mut stdin = checker.stdin.take().expect("a pipe");
    stdin.write_all(exposition.as_bytes()).expect("the checker reads");
    drop(stdin);
    let output = checker.wait_with_output().expect("the checker ends");
    assert!(output.status.success(), "the parser refuses it, or could not be set up:\n{exposition}");
    let samples: Vec<Value> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    let mut keys: Vec<String> =
        samples.iter().map(|sample| format!("{}{}", sample["name"], sample["labels"])).collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all, "duplicates in\n{exposition}");
    assert!(exposition.ends_with("# EOF\n"));
    samples
}

#[test]
fn openmetrics_stay_valid_with_hostile_names() {
    let hostile = "a\"b\\c\nd{e=\"f\"} 1\n# EOF\u{1b}[31m\u{202e} é";
    let mut round = named("status").round;
    hostile.clone_into(&mut round.version);
    round.host.instance_id = Some(hostile.to_owned());
    for report in &mut round.targets {
        report.target.host = format!("{}{hostile}", report.target.host);
        report.target.name = format!("{}{hostile}", report.target.name);
    }
    // The same name server twice, the same target twice: still no duplicate series.
    let mut again = round.targets[0].clone();
    again.resolvers.extend(again.resolvers.clone());
    round.targets.push(again);
    let samples = parse_openmetrics(&openmetrics::render(&round));
    let host = samples.iter().find(|sample| sample["name"] == "vpce_probe_host_info").expect("the host's series");
    assert_eq!(host["labels"]["instance_id"], "a\"b\\c d{e=\"f\"} 1 # EOF\\x1b[31m\\u{202e} é");
}

#[test]
fn every_report_obeys_the_published_schema() {
    let schema = fs::read_to_string(root().join("docs/schema/round.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    assert!(jsonschema::meta::is_valid(&schema), "not a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema without outside references");
    let mut optional = BTreeSet::new();
    for Fixture { name, round, .. } in fixtures() {
        let report: Value = serde_json::from_str(&json::render(&round)).expect("JSON");
        let errors: Vec<String> =
            validator.iter_errors(&report).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        // A schema that takes anything would pass as well.
        let is_optional = |key: &&String| ["age_s", "interval_s", "starting", "announced"].contains(&key.as_str());
        for key in report.as_object().expect("an object").keys().filter(|key| !is_optional(key)) {
            let mut less = report.clone();
            less.as_object_mut().expect("an object").remove(key);
            assert!(!validator.is_valid(&less), "{name} without {key}");
        }
        for (pointer, wrong) in [
            ("/verdict", "fine"),
            ("/elapsed_ms", "41"),
            ("/targets/0/expect", "perhaps"),
            ("/targets/0/resolve/outcome", "Not A Cause"),
            ("/targets/0/verdict", "ok"),
            ("/host/imds", "great"),
            ("/started_at", "yesterday"),
        ] {
            let mut twisted = report.clone();
            *twisted.pointer_mut(pointer).expect(pointer) = Value::from(wrong);
            assert!(!validator.is_valid(&twisted), "{name} with {pointer} = {wrong}");
        }
        // What may be absent is described all the same.
        for pointer in ["/shipping/delivered", "/shipping/next_attempt", "/findings/0/doc"] {
            let mut twisted = report.clone();
            if let Some(value) = twisted.pointer_mut(pointer) {
                optional.insert(pointer);
                *value = Value::from("many, and soon");
                assert!(!validator.is_valid(&twisted), "{name} with another {pointer}");
            }
        }
    }
    assert_eq!(optional.len(), 3, "a fixture has them: {optional:?}");
}

/// The contract's keys, object by object.
const CONTRACT: &[(&str, &str)] = &[
    ("", "schema_version version round started_at elapsed_ms verdict host findings targets shipping last_failure"),
    (
        "host",
        "instance_id region partition availability_zone availability_zone_id vpc_id subnet_id subnet_cidrs vpc_cidrs \
         source imds link resolvers problems",
    ),
    ("finding", "cause severity targets summary advice"),
    ("problem", "cause severity stage address summary"),
    (
        "target",
        "name service host port required expect verdict cause stage summary advice since problems resolve resolvers \
         addresses",
    ),
    ("resolve", "outcome elapsed_ms resolver transport cnames addresses ttl_s"),
    ("address_report", "address place subnet verdict cause stage connect tls mtu http"),
    ("connect", "outcome elapsed_ms local errno"),
    (
        "tls",
        "outcome elapsed_ms version cipher key_exchange issuer not_after days_left chain_bytes hello_bytes large_hello",
    ),
    ("mtu", "outcome out_ok out_fails in_seen in_ok in_fails link_mtu elapsed_ms connections measured_at"),
    ("http", "outcome elapsed_ms status aws clock_skew_s"),
    ("shipping", "state last_ok spooled oldest lost problems"),
    ("last_failure", "started_at targets"),
    ("failed_target", "failed_at"),
    ("announced", "round targets"),
    ("announced_round", "verdict since"),
    ("announced_target", "name host verdict cause since"),
];

#[test]
fn every_finding_says_where_the_documents_tell_of_it() {
    let mut seen = 0;
    for Fixture { name, round, .. } in fixtures() {
        for text in [json::render(&round), json::compact(&round)] {
            let report: Value = serde_json::from_str(&text).expect("JSON");
            for finding in report["findings"].as_array().expect("findings") {
                let place = format!("docs/causes.md#{}", finding["cause"].as_str().expect("a cause"));
                assert_eq!(finding["doc"], Value::from(place), "{name}");
                seen += 1;
            }
            // It is not read: one that somebody else wrote changes nothing.
            let again: vpce_probe::model::round::Round = serde_json::from_str(&text).expect("a round");
            assert_eq!(again.findings, round.findings, "{name}");
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn the_schema_requires_the_contracts_keys_and_no_others() {
    let schema = fs::read_to_string(root().join("docs/schema/round.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    for (object, keys) in CONTRACT {
        let place = if object.is_empty() { &schema } else { &schema["$defs"][object] };
        let required: Vec<&str> =
            place["required"].as_array().expect("required").iter().filter_map(Value::as_str).collect();
        assert_eq!(required, keys.split_whitespace().collect::<Vec<_>>(), "{object}");
    }
    assert!(!schema.to_string().contains("additionalProperties"), "additions are free");
}

#[test]
fn explain_fits_the_terminal_and_names_every_cause() {
    for style in [UNICODE, ASCII] {
        let index = explain::index(&style);
        for cause in Cause::ALL {
            let row = index.lines().find(|line| line.split_whitespace().nth(1) == Some(cause.as_str()));
            let row = row.unwrap_or_else(|| panic!("{cause} is not in the index"));
            assert!(row.trim_start().starts_with(cause.severity().as_str()), "{row}");
            let told = explain::cause(*cause, &style);
            assert!(told.starts_with(cause.as_str()), "{told}");
            let place = format!("Document: /usr/share/doc/vpce-probe/{}", cause.place());
            assert_eq!(told.lines().last(), Some(place.as_str()));
            for line in index.lines().chain(told.lines()) {
                assert!(line.width() <= 80, "{cause}: {line}");
                assert!(style.glyphs == Glyphs::Unicode || line.is_ascii(), "{cause}: {line}");
            }
        }
    }
}

#[test]
fn a_broken_target_is_never_silent() {
    // Even one that the judge gave no finding and no problem.
    let mut round = named("closed-security-group").round;
    round.findings.clear();
    for report in &mut round.targets {
        report.problems.clear();
    }
    for text in [table::render(&round, &ASCII, Detail::Summary), short::render(&round, &ASCII), nagios::render(&round)]
    {
        assert!(text.contains("tcp-timeout"), "{text}");
    }
    let screen = table::render(&round, &ASCII, Detail::Summary);
    assert!(screen.contains("security group of this one endpoint"), "{screen}");
}

#[test]
fn the_path_mtu_has_a_column_where_names_leave_room() {
    let mut round = named("healthy").round;
    let titles = |round: &Round, width| {
        let screen = table::render(round, &Style { width, ..ASCII }, Detail::Summary);
        screen.lines().find(|line| line.trim_start().starts_with("target ")).expect("titles").to_owned()
    };
    assert!(titles(&round, 80).contains("live   mtu  resolve"));
    assert!(!titles(&round, 72).contains("mtu"), "the names need the room");
    for address in round.targets.iter_mut().flat_map(|report| &mut report.addresses) {
        address.record.mtu = None;
    }
    assert!(!titles(&round, 80).contains("mtu"), "nothing was measured");
}

#[test]
fn the_transcript_says_what_was_proven_and_what_was_not() {
    let transcript = |name: &str| {
        let screen = table::render(&named(name).round, &ASCII, Detail::Transcript);
        screen.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (name, parts) in [
        (
            "healthy",
            &["clamped by MSS in 0.42 ms, out up to 8500 bytes pass, inbound proven to 4148 bytes only, link 9001"][..],
        ),
        (
            "blackhole-out",
            &[
                "black hole outwards in 1.52 s, out up to 1400 bytes pass and 1405 do not, inbound proven to 4148 bytes only, \
             link 9001, 4 more connections, measured 2026-11-21 03:04:05Z",
                "inconclusive in 8.00 s, mixed: 1 of 3 connections passed 1500 bytes,",
                "relies on ICMP in 44.1 ms, a route exception of 1400 bytes that expires,",
            ],
        ),
        (
            "blackhole-both",
            &["out up to 1400 bytes pass and 1405 do not, in up to 1397 bytes pass and 1402 do not, link 9001"],
        ),
        ("large-hello-blocked", &["a large hello of 1537 bytes does not pass, a small one of 240 bytes does"]),
    ] {
        let said = transcript(name);
        for part in parts {
            assert!(said.contains(part), "{name}: {part}\n{said}");
        }
    }
}

#[test]
fn an_empty_round_renders() {
    let mut round = named("healthy").round;
    round.targets.clear();
    round.verdict = RoundVerdict::Failed;
    assert!(table::render(&round, &ASCII, Detail::Transcript).starts_with("FAILED  0 of 0 targets healthy"));
    assert!(nagios::render(&round).starts_with("VPCE CRITICAL - 0 of 0 targets healthy | 'round'="));
    parse_openmetrics(&openmetrics::render(&round));
}

/// Text as a hostile or broken peer, resolver or metadata service may send it.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x1f\\x7f-\\u{9f}\u{202e}\u{200b}\u{301} a-z|'\"=\\\\{}…—×é证\u{1f600}]{0,300}",
        "[a-z]{0,2000}",
    ]
}

/// Puts `words` wherever a report holds free text.
fn poison(value: &mut Value, words: &[String], at: &mut usize) {
    const FREE: &[&str] = &[
        "summary",
        "detail",
        "issuer",
        "chain_root",
        "cipher",
        "version",
        "key_exchange",
        "server",
        "bucket_region",
        "instance_id",
        "region",
        "availability_zone",
        "vpc_id",
        "subnet_id",
        "partition",
        "domain",
        "name",
        "host",
        "errno",
        "url",
        "origin",
        "variable",
        "unit",
    ];
    const LISTS: &[&str] = &["cnames", "names", "no_proxy"];
    let next = |at: &mut usize| {
        *at += 1;
        Value::from(words[*at % words.len()].clone())
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if FREE.contains(&key.as_str()) && value.is_string() {
                    *value = next(at);
                } else if key == "advice" {
                    // A sentence. A command may be wider than the screen: its words are not broken, so that it can be pasted.
                    let sentence = |word: Value| format!("Do {}", word.as_str().unwrap_or_default().replace(": ", ":"));
                    *value = Value::from(vec![sentence(next(at)), sentence(next(at))]);
                } else if LISTS.contains(&key.as_str()) {
                    *value = Value::from(vec![next(at), next(at)]);
                } else {
                    poison(value, words, at);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| poison(value, words, at)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_hostile_reaches_a_terminal_or_a_parser(words in prop::collection::vec(hostile(), 1..6)) {
        let mut report: Value = serde_json::from_str(&named("status").text).expect("JSON");
        poison(&mut report, &words, &mut 0);
        let round: Round = serde_json::from_value(report).expect("still a report");
        for style in [ASCII, UNICODE] {
            let screen = table::render(&round, &style, Detail::Transcript);
            for line in screen.lines() {
                prop_assert!(line.width() <= 80, "{:?}", line);
            }
            let short = short::render(&round, &style);
            let is_line = |line: &str| ["FAIL ", "WARN ", "SKIP "].iter().any(|mark| line.starts_with(mark));
            prop_assert!(short.lines().all(is_line), "{:?}", short);
            prop_assert!(short.lines().count() <= 8, "{:?}", short);
            for text in [screen, short] {
                prop_assert!(!text.chars().any(|c| c != '\n' && c.is_control()));
                let obeyed = ['\u{202e}', '\u{200b}'];
                prop_assert!(!text.contains(obeyed));
                prop_assert!(style.glyphs == Glyphs::Unicode || text.is_ascii());
            }
        }
        let line = nagios::render(&round);
        prop_assert!(line.is_ascii());
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert_eq!(line.matches('|').count(), 1);
        let text = json::render(&round);
        prop_assert!(!text.chars().any(|c| c != '\n' && c.is_control()));
        let again: Round = serde_json::from_str(&text).expect("JSON");
        prop_assert_eq!(again, round.clone());
        let exposition = openmetrics::render(&round);
        prop_assert!(!exposition.chars().any(|c| c != '\n' && c.is_control()));
        prop_assert!(exposition.lines().all(|line| line.starts_with("# ") || line.starts_with("vpce_probe_")));
    }
}
