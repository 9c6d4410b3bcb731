//! The judge over whole rounds: a table of worlds, each rule dropped in turn, laws that hold for any input, and the
//! document that is made from the table of causes.

#[path = "judge/cases.rs"]
mod cases;
#[path = "judge/laws.rs"]
mod laws;
#[path = "judge/world.rs"]
mod world;

use std::{fmt::Write as _, path::Path};

use vpce_probe::{
    judge::{Judgement, RULES, Rule, judge_with},
    model::{
        cause::{Cause, Scope},
        verdict::Severity,
    },
};

use cases::{CASES, Case};
use world::{World, moment};

fn run(case: &Case, rules: &[Rule]) -> Judgement {
    let mut world = World::healthy();
    (case.world)(&mut world);
    judge_with(rules, world.seen, world.host, &world.plan, moment())
}

/// All that differs from the case's expectation.
fn differences(case: &Case, judgement: &Judgement) -> Vec<String> {
    let mut wrong = Vec::new();
    if judgement.verdict != case.verdict {
        wrong.push(format!("round is {}, not {}", judgement.verdict, case.verdict));
    }
    for report in &judgement.targets {
        let name = report.target.name.as_str();
        let expected = case.targets.iter().find(|(other, ..)| *other == name);
        let wanted = expected.map_or(case.others, |(_, verdict, cause)| (*verdict, *cause));
        if (report.verdict, report.cause) != wanted {
            wrong.push(format!("{name} is {:?}, not {wanted:?}", (report.verdict, report.cause)));
        }
    }
    let findings: Vec<_> = judgement.findings.iter().map(|finding| (finding.cause, finding.severity)).collect();
    if findings != case.findings {
        wrong.push(format!("findings are {findings:?}, not {:?}", case.findings));
    }
    for note in case.notes {
        let has = judgement.targets.iter().any(|target| target.problems.iter().any(|problem| problem.cause == *note))
            || judgement.host.problems.iter().any(|problem| problem.cause == *note);
        if !has {
            wrong.push(format!("{note} is missing"));
        }
    }
    let told: String = judgement
        .findings
        .iter()
        .flat_map(|finding| std::iter::once(&finding.summary).chain(&finding.advice))
        .fold(String::new(), |all, text| all + text + "\n");
    for part in case.says {
        if !told.contains(part) {
            wrong.push(format!("nobody says {part:?} in:\n{told}"));
        }
    }
    wrong
}

#[test]
fn every_world_is_judged_as_it_should() {
    let wrong: Vec<String> = CASES
        .iter()
        .flat_map(|case| differences(case, &run(case, RULES)).into_iter().map(|what| format!("{}: {what}", case.name)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_needed_by_some_world() {
    let needed = |dropped: &Rule| {
        let others: Vec<Rule> = RULES.iter().filter(|rule| rule.name != dropped.name).copied().collect();
        CASES.iter().any(|case| !differences(case, &run(case, &others)).is_empty())
    };
    let idle: Vec<&str> = RULES.iter().filter(|rule| !needed(rule)).map(|rule| rule.name).collect();
    assert!(idle.is_empty(), "no world fails without {idle:?}");
}

#[test]
fn rules_have_names_of_their_own() {
    for (at, rule) in RULES.iter().enumerate() {
        assert!(!RULES[..at].iter().any(|other| other.name == rule.name), "{} twice", rule.name);
    }
}

#[test]
fn what_is_said_fits_a_screen_and_helps() {
    for case in CASES {
        let judgement = run(case, RULES);
        for finding in &judgement.findings {
            assert!(finding.summary.chars().count() <= 160, "{}: {}", case.name, finding.summary);
            assert!(!finding.summary.is_empty());
            assert!(!finding.advice.is_empty() || finding.severity == Severity::Note, "{}: {finding:?}", case.name);
            assert!(finding.advice.iter().all(|step| !step.is_empty() && !step.contains('\n')), "{}", case.name);
        }
        let order: Vec<_> = judgement.findings.iter().map(|finding| finding.severity).collect();
        assert!(order.is_sorted_by(|a, b| a >= b), "{}: {order:?}", case.name);
        for target in &judgement.targets {
            assert!(!target.summary.is_empty() && target.summary.chars().count() <= 160, "{}: {target:?}", case.name);
            let order: Vec<_> = target.problems.iter().map(|problem| problem.severity).collect();
            assert!(order.is_sorted_by(|a, b| a >= b), "{}: {order:?}", case.name);
        }
    }
}

#[test]
fn the_document_of_causes_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/causes.md");
    let made = causes_document();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("has a parent")).expect("docs");
        std::fs::write(&path, &made).expect("docs/causes.md");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/causes.md is stale: BLESS=1 cargo test --test judge");
}

/// What `explain`, the findings' `doc` and scripts point to is a heading of the document, and only one.
#[test]
fn every_cause_has_its_anchor_in_the_document() {
    for cause in Cause::ALL {
        let place = cause.place();
        let (file, anchor) = place.split_once('#').expect("an anchor");
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file);
        let headings =
            text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
        assert_eq!(headings.filter(|heading| anchor_of(heading) == anchor).count(), 1, "{place}");
    }
}

/// As GitHub, and what renders Markdown like it, makes it of a heading.
fn anchor_of(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

fn causes_document() -> String {
    let mut out = String::from(
        "# Causes\n\nEvery reason that vpce-probe gives. Made from the table in the code (`BLESS=1 cargo test --test \
         judge`); `vpce-probe explain CAUSE` prints the same.\n\nCommands that begin with `aws` need AWS access, which a \
         host in a private subnet may not have: run them where you have it. Words in capitals are to be filled in.\n",
    );
    let mut scope = None;
    for cause in Cause::ALL {
        if scope != Some(cause.scope()) {
            scope = Some(cause.scope());
            let title = match cause.scope() {
                Scope::Stage(stage) => format!("Stage {stage}"),
                Scope::Target => "Whole targets".to_owned(),
                Scope::Across => "Several targets".to_owned(),
                Scope::Host => "This host".to_owned(),
                Scope::Shipping => "Shipping metrics".to_owned(),
            };
            let _ = writeln!(out, "\n## {title}");
        }
        let text = cause.text();
        let _ = write!(out, "\n### {cause}\n\n*{}*, for {}.\n\n{}\n\n", cause.severity(), text.owner, text.meaning);
        let _ = write!(
            out,
            "How it shows: {}\n\nConfirm:\n\n```\n{}\n```\n\nMend:\n\n",
            text.symptom,
            text.confirm.join("\n")
        );
        for (at, step) in text.mend.iter().enumerate() {
            let _ = writeln!(out, "{}. {step}", at + 1);
        }
    }
    out
}
