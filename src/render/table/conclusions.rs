//! What is wrong, as sentences, and what to do, as steps.

use std::net::IpAddr;

use super::lasting;
use crate::{
    model::{
        cause::{Cause, Scope, Stage},
        round::{Round, TargetReport},
        units::Timestamp,
        verdict::{Finding, Severity, Verdict},
    },
    render::{
        figures,
        page::{Page, Paint, mark_width, sign},
        text,
    },
};

/// One conclusion, from a finding or from a target that no finding explains.
struct Conclusion<'r> {
    cause: Cause,
    severity: Severity,
    targets: Vec<&'r str>,
    stage: Option<Stage>,
    addresses: Vec<IpAddr>,
    since: Option<Timestamp>,
    now: Timestamp,
    summary: &'r str,
    advice: &'r [String],
}

/// Whether a finding is told here: every failure, every warning, and such notes as ask for something to be done (the
/// network is fine, the agent is not).
pub(super) fn is_told(finding: &Finding) -> bool {
    finding.severity != Severity::Note || !finding.advice.is_empty()
}

/// Writes what is told here, worst first.
pub(super) fn write(page: &mut Page<'_>, round: &Round) {
    let mut conclusions: Vec<Conclusion<'_>> = round
        .findings
        .iter()
        .filter(|finding| is_told(finding))
        .map(|finding| {
            let concerned = |report: &&TargetReport| finding.targets.contains(&report.target.name);
            let reports: Vec<&TargetReport> = round.targets.iter().filter(concerned).collect();
            Conclusion {
                cause: finding.cause,
                severity: finding.severity,
                targets: finding.targets.iter().map(String::as_str).collect(),
                stage: layer(finding.cause, &reports),
                addresses: addresses(finding.cause, &reports),
                since: since(finding.cause, &reports),
                now: round.started_at,
                summary: &finding.summary,
                advice: &finding.advice,
            }
        })
        .collect();
    let unexplained =
        round.targets.iter().filter(|report| figures::is_wrong(report) && !figures::is_explained(report, round));
    conclusions.extend(unexplained.map(|report| Conclusion {
        cause: report.cause.unwrap_or(Cause::NotFinished),
        severity: match report.verdict {
            Verdict::Failed => Severity::Failure,
            Verdict::Degraded | Verdict::Skipped | Verdict::Healthy => Severity::Warning,
        },
        targets: vec![&report.target.name],
        stage: report.stage,
        addresses: report.cause.map(|cause| addresses(cause, &[report])).unwrap_or_default(),
        since: report.since,
        now: round.started_at,
        summary: &report.summary,
        advice: &report.advice,
    }));
    conclusions.sort_by_key(|conclusion| std::cmp::Reverse(conclusion.severity));
    while !conclusions.is_empty() {
        // The same fault on several targets: each is named, and the steps are written once.
        let key = conclusions.first().map(|first| (first.cause, first.severity));
        let (alike, rest) =
            conclusions.into_iter().partition(|conclusion| Some((conclusion.cause, conclusion.severity)) == key);
        conclusions = rest;
        page.gap();
        write_alike(page, &alike);
    }
}

fn write_alike(page: &mut Page<'_>, alike: &[Conclusion<'_>]) {
    let Some(first) = alike.first() else { return };
    let hang = mark_width(page.glyphs()) + 1;
    let look = Paint::from(first.severity);
    let lead = text::left(sign(first.severity, page.glyphs()), hang);
    page.flow(&look.span(lead), hang, &look.span(headline(first, alike)));
    let mut say = |words: &str| page.flow(&Paint::Plain.span(MARGIN), MARGIN.len(), &Paint::Plain.span(words));
    match alike {
        [only] => say(only.sentence()),
        several => {
            for conclusion in several {
                say(conclusion.summary);
            }
            if !first.advice.is_empty() {
                say(&format!("For {}, and for the others alike:", first.whose()));
            }
        }
    }
    for (at, advice) in first.advice.iter().enumerate() {
        page.step(&format!("{MARGIN}{}. ", at + 1), advice);
    }
    page.line(&[Paint::Faint.span(format!("{MARGIN}More: vpce-probe explain {}", first.cause))]);
}

impl Conclusion<'_> {
    fn whose(&self) -> String {
        if self.targets.is_empty() { "this host".to_owned() } else { self.targets.join(", ") }
    }

    /// The summary without the target's name, which the headline has already.
    fn sentence(&self) -> &str {
        let [target] = self.targets.as_slice() else { return self.summary };
        self.summary.strip_prefix(target).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(self.summary)
    }

    /// The addresses that the summary does not name.
    fn unnamed(&self) -> Vec<String> {
        let said: Vec<&str> =
            self.summary.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == ':')).collect();
        let is_said = |address: &String| said.iter().any(|word| word.trim_end_matches([':', '.']) == address);
        self.addresses.iter().map(IpAddr::to_string).filter(|address| !is_said(address)).collect()
    }
}

/// Which services, which reason, at which layer, on which addresses, since when.
fn headline(first: &Conclusion<'_>, alike: &[Conclusion<'_>]) -> String {
    let whose: Vec<String> = alike.iter().map(Conclusion::whose).collect();
    let mut words = vec![format!("{}: {}", whose.join(", "), first.cause)];
    words.extend(first.stage.map(|stage| format!(" at {stage}")));
    if let [only] = alike {
        let unnamed = only.unnamed();
        // A summary that names some of them, and counts the rest, is enough.
        if !unnamed.is_empty() && unnamed.len() == only.addresses.len() {
            let shown: Vec<&str> = unnamed.iter().take(ADDRESSES).map(String::as_str).collect();
            words.push(format!(", {}", shown.join(", ")));
            if unnamed.len() > ADDRESSES {
                words.push(format!(" and {} more", unnamed.len() - ADDRESSES));
            }
        }
    }
    let since = alike.iter().filter_map(|conclusion| conclusion.since).min();
    words.extend(since.map(|since| format!(", {}", lasting(since, first.now))));
    words.concat()
}

/// A target's `since` is that of its verdict: it dates the finding only if that is what the verdict comes from.
fn since(cause: Cause, reports: &[&TargetReport]) -> Option<Timestamp> {
    let dates = |report: &&&TargetReport| cause.scope() == Scope::Across || report.cause == Some(cause);
    reports.iter().filter(dates).filter_map(|report| report.since).min()
}

/// The layer of the cause itself; for a conclusion over several, the layer on which its targets agree.
fn layer(cause: Cause, reports: &[&TargetReport]) -> Option<Stage> {
    cause.stage().or_else(|| {
        let first = reports.first()?.stage?;
        reports.iter().all(|report| report.stage == Some(first)).then_some(first)
    })
}

/// The addresses that the cause is about: those that its problems name, else the failed ones. A conclusion over several
/// targets leaves them to the table and the transcript.
fn addresses(cause: Cause, reports: &[&TargetReport]) -> Vec<IpAddr> {
    let [report] = reports else { return Vec::new() };
    let named: Vec<IpAddr> =
        report.problems.iter().filter(|problem| problem.cause == cause).filter_map(|problem| problem.address).collect();
    if !named.is_empty() {
        return named;
    }
    match cause.scope() {
        Scope::Stage(Stage::Resolve) | Scope::Host | Scope::Shipping => Vec::new(),
        Scope::Stage(_) | Scope::Target | Scope::Across => report
            .addresses
            .iter()
            .filter(|address| address.verdict == Verdict::Failed)
            .map(|address| address.record.address)
            .collect(),
    }
}

const MARGIN: &str = "  ";
/// More of them would bury the sentence.
const ADDRESSES: usize = 4;
