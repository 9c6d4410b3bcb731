//! The reference of the config: it knows every key, its defaults, bounds and examples are those that the readers have, and
//! docs/configuration.md is made from it.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, ops::RangeInclusive, path::Path, time::Duration};

use vpce_probe::{
    config::{
        Config, DEFAULT_TARGETS, Diagnostic, SECTIONS,
        duration::show,
        parse,
        reference::{Key, Kind, TABLES, Table, Takes},
        render,
    },
    plan::{Choice, targets},
};

use super::{EXAMPLE, keys, uncommented};

fn all() -> impl Iterator<Item = (&'static Table, &'static Key)> {
    TABLES.iter().flat_map(|table| table.keys.iter().map(move |key| (table, key)))
}

fn full_name(table: &Table, key: &Key) -> String {
    if table.name.is_empty() { key.name.to_owned() } else { format!("{}.{}", table.name, key.name) }
}

/// A file with this one value; what else it needs to be a config stands behind it.
fn file(table: &Table, key: &Key, value: &str) -> String {
    let mut text = format!("{}\n{} = {value}\n", table.header(), key.name);
    match (table.name, key.name) {
        ("", "default_targets") => text.push_str("[[target]]\nhost = \"a.example\"\n"),
        ("target", "host" | "service") => {}
        ("target", _) => text.push_str("host = \"a.example\"\n"),
        ("host", "subnet_cidrs") => text.push_str("vpc_cidrs = [\"10.0.0.0/8\", \"fd00::/16\"]\n"),
        (_, _) => {}
    }
    text
}

fn mistakes(text: &str) -> Vec<Diagnostic> {
    parse("c", text).err().unwrap_or_default()
}

#[test]
fn every_known_key_is_in_the_reference_and_no_other() {
    let told: Vec<(&str, Vec<&str>)> =
        TABLES.iter().map(|table| (table.name, table.keys.iter().map(|key| key.name).collect())).collect();
    let known: Vec<(&str, Vec<&str>)> = SECTIONS.iter().map(|section| (section.name, section.keys.to_vec())).collect();
    assert_eq!(told, known);
}

#[test]
fn what_is_told_is_told_in_sentences() {
    for (table, key) in all() {
        let name = full_name(table, key);
        for words in [table.about, key.meaning, key.wrong] {
            assert!(words.len() > 20 && words.ends_with('.') && words.is_ascii(), "{name}: {words}");
            assert!(!words.contains("  ") && words.matches('`').count() % 2 == 0, "{name}: {words}");
        }
        let default = key.default_words();
        assert!(
            !default.is_empty() && !default.ends_with('.') && default.matches('`').count() % 2 == 0,
            "{name}: {default}"
        );
    }
}

/// The table's way to a default leads to the right field: written into a file it changes nothing, and the example, written
/// into a file, is found again by the same way.
#[test]
fn defaults_and_examples_are_those_of_the_readers() {
    for (table, key) in all() {
        let name = full_name(table, key);
        let parsed = |value: &str| {
            let text = file(table, key, value);
            parse("c", &text).unwrap_or_else(|found| panic!("{name}:\n{}", render(&found)))
        };
        if let Some(default) = (key.held)(&Config::default()) {
            assert_eq!(parsed(&default).config, with_companions(Config::default(), table, key), "{name} = {default}");
            assert_ne!(default, key.example, "{name}: the example shows nothing");
        } else {
            assert!(!(key.otherwise)().is_empty(), "{name}: nobody says what holds without it");
        }
        let example = parsed(key.example);
        assert_eq!(render(&example.warnings), "", "{name}");
        assert_eq!((key.held)(&example.config).as_deref(), Some(key.example), "{name}");
    }
}

/// What [`file`] adds.
fn with_companions(mut config: Config, table: &Table, key: &Key) -> Config {
    if (table.name, key.name) == ("", "default_targets") {
        let host = Some("a.example".to_owned());
        config.targets.push(vpce_probe::config::Target { host, ..Default::default() });
    }
    config
}

#[test]
fn config_example_toml_shows_every_key_with_the_same_default() {
    let known: Vec<String> = all().map(|(table, key)| format!("{}.{}", table.name, key.name)).collect();
    assert_eq!(keys(&uncommented()), known);
    let mut section = String::new();
    let mut shown = BTreeMap::new();
    for line in EXAMPLE.lines().filter(|line| !line.starts_with('#')) {
        let line = line.split(" #").next().unwrap_or(line).trim_end();
        if let Some(header) = line.trim_end().strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.split_once(" = ") {
            shown.insert(format!("{section}.{}", key.trim()), value.trim().to_owned());
        }
    }
    for (table, key) in all() {
        let default = (key.held)(&Config::default());
        assert_eq!(shown.get(&format!("{}.{}", table.name, key.name)), default.as_ref(), "{}", full_name(table, key));
    }
}

/// The bounds that are printed are those that values are refused by.
#[test]
fn bounds_are_those_of_the_readers() {
    for (table, key) in all() {
        let name = full_name(table, key);
        let refused = |value: String, words: &[&str]| {
            let found = mistakes(&file(table, key, &value));
            found.iter().any(|found| {
                found.what.starts_with(&format!("{}: ", key.name)) && words.iter().any(|word| found.what.contains(word))
            })
        };
        match &key.kind {
            Kind::Duration(bounds) => {
                let out = ["too short", "too long"];
                let milli = Duration::from_millis(1);
                for inside in [*bounds.start(), *bounds.end()] {
                    assert!(!refused(format!("\"{}\"", show(inside)), &out), "{name}: {inside:?}");
                }
                let outside = [bounds.start().checked_sub(milli), Some(*bounds.end() + milli)];
                for outside in outside.into_iter().flatten() {
                    assert!(refused(format!("\"{}\"", show(outside)), &out), "{name}: {outside:?}");
                }
            }
            Kind::Whole(bounds, _) => {
                for inside in ends(bounds) {
                    assert!(!refused(inside.to_string(), &["out of range"]), "{name}: {inside}");
                }
                for outside in [bounds.start() - 1, bounds.end() + 1] {
                    assert!(refused(outside.to_string(), &["out of range"]), "{name}: {outside}");
                }
            }
            Kind::Number(bounds, _) => {
                for inside in ends(bounds) {
                    assert!(!refused(inside.to_string(), &["out of range"]), "{name}: {inside}");
                }
                for outside in [bounds.start() - 0.5, bounds.end() + 0.5] {
                    assert!(refused(outside.to_string(), &["out of range"]), "{name}: {outside}");
                }
            }
            Kind::Size(bounds) => {
                for inside in ends(bounds) {
                    assert!(!refused(format!("\"{inside}B\""), &["out of range"]), "{name}: {inside}");
                }
                for outside in [bounds.start() - 1, bounds.end() + 1] {
                    assert!(refused(format!("\"{outside}B\""), &["out of range"]), "{name}: {outside}");
                }
            }
            Kind::Word(words) => {
                for word in words() {
                    assert!(!refused(format!("\"{word}\""), &["not one of its values"]), "{name}: {word}");
                }
                let found = mistakes(&file(table, key, "\"another\""));
                let hint = found.iter().find_map(|found| found.instead.clone()).unwrap_or_default();
                let list: Vec<String> = words().iter().map(|word| format!("\"{word}\"")).collect();
                assert!(list.iter().all(|word| hint.contains(word)), "{name}: {hint}");
                assert_eq!(hint.matches('"').count(), 2 * list.len(), "{name}: {hint}");
            }
            Kind::Resolver => {
                let many =
                    |count: usize| format!("{:?}", (1..=count).map(|n| format!("10.0.0.{n}")).collect::<Vec<_>>());
                let most = (1..20).take_while(|count| mistakes(&file(table, key, &many(*count))).is_empty()).count();
                assert!(key.kind.words().contains(&format!("1 to {most} addresses")), "{}", key.kind.words());
            }
            Kind::Dimensions => {
                let many = |count: usize| {
                    let pairs: Vec<String> = (1..=count).map(|n| format!("N{n} = \"v\"")).collect();
                    format!("{{ {} }}", pairs.join(", "))
                };
                let most = (1..40).take_while(|count| mistakes(&file(table, key, &many(*count))).is_empty()).count();
                assert!(key.kind.words().contains(&format!("at most {most} names")), "{}", key.kind.words());
            }
            Kind::Flag | Kind::Text(_) | Kind::Path(_) | Kind::Texts(_) | Kind::Networks | Kind::DimensionSets => {}
        }
    }
}

fn ends<T: Copy>(bounds: &RangeInclusive<T>) -> [T; 2] {
    [*bounds.start(), *bounds.end()]
}

/// What is said of targets in prose is what the plan makes of them.
#[test]
fn targets_are_those_of_the_plan() {
    let named = parse("c", "[[target]]\nhost = \"a.example\"\n").expect("a config").config;
    let key = |table: &str, name: &str| all().find(|(t, k)| (t.name, k.name) == (table, name)).expect("a key").1;
    for code in DEFAULT_TARGETS {
        assert!(key("", "default_targets").meaning.contains(&format!("`{code}`")), "{code}");
    }
    let (planned, _) = targets(&Config::default(), &Choice::default(), Some("eu-west-1"), None).expect("a plan");
    let (with_host, _) = targets(&named, &Choice::default(), Some("eu-west-1"), None).expect("a plan");
    let target = with_host.iter().find(|target| target.host == "a.example").expect("the target");
    for (name, value) in [
        ("port", target.port.to_string()),
        ("expect", format!("\"{}\"", target.expect)),
        ("required", target.required.to_string()),
        ("path", target.path.clone()),
    ] {
        let words = key("target", name).default_words();
        assert!(words.starts_with(&format!("`{value}`")), "{name}: {words}");
    }
    let required = key("target", "required").default_words();
    for target in planned {
        assert_eq!(required.contains(&format!("`{}`", target.name)), target.required, "{}: {required}", target.name);
    }
}

/// What a running daemon does not take on is named in one place of its code, and here.
#[test]
fn keys_that_take_a_restart_are_those_that_the_daemon_keeps() {
    let source = fs::read_to_string(root().join("src/daemon/rounds.rs")).expect("the daemon's source");
    let body = source.split("fn stay(").nth(1).and_then(|rest| rest.split("\n    }\n").next()).expect("the function");
    let mut kept: Vec<&str> =
        body.split("(\"").skip(1).filter_map(|rest| rest.split_once("\", ")).map(|(name, _)| name).collect();
    let names: Vec<String> =
        all().filter(|(_, key)| key.takes == Takes::Restart).map(|(table, key)| full_name(table, key)).collect();
    kept.sort_unstable();
    let mut told: Vec<&str> = names.iter().map(String::as_str).collect();
    told.sort_unstable();
    assert_eq!(told, kept);
}

#[test]
fn causes_and_keys_that_are_named_exist() {
    let causes: Vec<&str> = vpce_probe::model::cause::Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    let names: Vec<String> = all().map(|(table, key)| full_name(table, key)).collect();
    let events: Vec<&str> = vpce_probe::model::event::Event::ALL.iter().map(|event| event.as_str()).collect();
    let alarms = fs::read_to_string(root().join("docs/alarms.md")).expect("docs/alarms.md");
    for (table, key) in all() {
        let words = format!("{} {} {}", table.about, key.meaning, key.wrong);
        for (_, literal) in words.split('`').enumerate().filter(|(nth, _)| nth % 2 == 1) {
            let kebab = literal.contains('-') && literal.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            if kebab && !literal.starts_with('-') {
                let alarm = alarms.contains(&format!("| `{literal}` |"));
                let command = ["own-vpc", "vpce-probe"].contains(&literal);
                assert!(
                    causes.contains(&literal) || events.contains(&literal) || alarm || command,
                    "{}: what is {literal}?",
                    full_name(table, key)
                );
            }
            let dotted = |table: &Table| !table.name.is_empty() && literal.starts_with(&format!("{}.", table.name));
            if TABLES.iter().any(dotted) && !literal.contains(' ') {
                assert!(names.iter().any(|name| name == literal), "{}: no key {literal}", full_name(table, key));
            }
        }
    }
}

#[test]
fn the_document_of_keys_is_the_table() {
    let path = root().join("docs/configuration.md");
    let made = document();
    if env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &made).expect("docs/configuration.md");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/configuration.md is stale: BLESS=1 cargo test --test config");
    for line in made.lines().filter(|line| !line.starts_with('|')) {
        assert!(line.chars().count() <= 130, "{line}");
    }
}

fn document() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n| table | keys |\n|---|---|\n");
    for table in TABLES {
        let links: Vec<String> =
            table.keys.iter().map(|key| format!("[{}](#{})", key.name, anchor(&full_name(table, key)))).collect();
        let _ = writeln!(out, "| {} | {} |", title(table), links.join(", "));
    }
    for table in TABLES {
        let _ = write!(out, "\n## {}\n\n{}\n", title(table), filled(table.about, ""));
        for key in table.keys {
            let _ = write!(out, "\n### {}\n\n{}\n\n", full_name(table, key), filled(key.meaning, ""));
            let mut item = |words: String| {
                let _ = writeln!(out, "- {}", filled(&words, "  "));
            };
            item(format!("**Value**: {}", key.kind.words()));
            item(format!("**Default**: {}", key.default_words()));
            item(format!("**Example**: `{} = {}`", key.name, key.example));
            item(format!("**Another value takes** {}", key.takes.words()));
            item(format!("**If it is wrong**: {}", key.wrong));
        }
    }
    out
}

/// Causes and keys that are named elsewhere lead there.
fn linked(words: &str) -> String {
    let literal = |part: &str| {
        let is_cause = vpce_probe::model::cause::Cause::ALL.iter().any(|cause| cause.as_str() == part);
        let is_key = part.contains('.') && all().any(|(table, key)| full_name(table, key) == part);
        match (is_cause, is_key) {
            (true, _) => format!("[`{part}`](causes.md#{part})"),
            (false, true) => format!("[`{part}`](#{})", anchor(part)),
            (false, false) => format!("`{part}`"),
        }
    };
    let parts = words.split('`').enumerate();
    parts.map(|(nth, part)| if nth % 2 == 0 { part.to_owned() } else { literal(part) }).collect()
}

fn title(table: &Table) -> String {
    if table.name.is_empty() { "Top level".to_owned() } else { format!("`{}`", table.header()) }
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
}

/// Words in lines of 120 columns.
fn filled(words: &str, margin: &str) -> String {
    let mut lines = vec![String::new()];
    for word in linked(words).split(' ') {
        let last = lines.last_mut().expect("there is one");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > 118 {
            lines.push(word.to_owned());
        } else {
            let gap = if last.is_empty() { "" } else { " " };
            *last = format!("{last}{gap}{word}");
        }
    }
    lines.join(&format!("\n{margin}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const HEAD: &str = "\
# Configuration

Every key of `/etc/vpce-probe/config.toml`. Made from the table in the code (`BLESS=1 cargo test --test config`); the manual page
vpce-probe.toml(5) is made from the same, and [config.example.toml](../config.example.toml) shows all keys at once.

Every key is optional, and without a file all of the defaults hold. An unknown key is an error, so that a slip of the pen does
not go unnoticed.

    vpce-probe check                                  # every mistake at once, each with what to write instead
    systemctl reload vpce-probe                       # a bad config is refused as a whole, and the old one stays
    journalctl -t vpce-probe -n 5                     # says which of the two it was

Durations are whole numbers with their units, the larger first: `\"250ms\"`, `\"5s\"`, `\"1m30s\"`, `\"1h\"`, `\"14d\"`. Sizes are a
whole number and a unit: `kB`, `MB`, `GB` (powers of 1000), `KiB`, `MiB`, `GiB` (powers of 1024). Networks are an address and a
prefix: `\"10.0.0.0/16\"`, `\"fd00::/8\"`.
";
