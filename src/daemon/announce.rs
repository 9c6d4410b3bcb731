//! What the journal is told: one record for each change, one summary a round, and nothing twice while nothing changes.

use crate::{
    history::{Change, News, RoundChange, Standing},
    model::{
        event::{Entry, Event, Field, Level},
        round::Round,
        verdict::{RoundVerdict, Verdict},
    },
    render,
    sink::journal::say,
};

/// Tells the changes that a round brought.
pub(super) fn news(round: &Round, news: &News) {
    for change in &news.changes {
        self::change(round, change);
    }
    if let Some(change) = news.round {
        round_change(round, change);
    }
}

fn change(round: &Round, change: &Change) {
    let standing = change.standing;
    let level = match (standing.verdict, is_required(round, &change.target)) {
        (Verdict::Failed, true) => Level::Error,
        (Verdict::Failed | Verdict::Degraded, _) => Level::Warning,
        (Verdict::Healthy | Verdict::Skipped, _) => Level::Info,
    };
    let mut entry = Entry::new(Event::VerdictChanged, sentence(change))
        .at(level)
        .with(Field::Round, &round.round)
        .with(Field::Target, &change.target)
        .with(Field::Host, &change.host)
        .with(Field::Verdict, standing.verdict);
    if let Some(address) = change.address {
        entry = entry.with(Field::Address, address);
    }
    if let Some(stage) = change.stage {
        entry = entry.with(Field::Stage, stage);
    }
    if let Some(cause) = standing.cause {
        entry = entry.with(Field::Cause, cause).with(Field::Severity, cause.severity());
    }
    if let Some(previous) = change.previous {
        entry = entry.with(Field::Previous, previous.verdict);
    }
    if let Some(lasted) = change.lasted_s {
        entry = entry.with(Field::LastedS, lasted.round());
    }
    if !change.advice.is_empty() {
        entry = entry.with(Field::Advice, change.advice.join("\n"));
    }
    say(&entry);
}

fn is_required(round: &Round, target: &str) -> bool {
    round.targets.iter().any(|report| report.target.name == target && report.target.required)
}

/// `ssm has failed: 10.0.1.10: no answer … (tcp-timeout at connect); it was healthy for 2 h 5 min. Next: vpce-probe status`
fn sentence(change: &Change) -> String {
    let Change { target, standing, previous, summary, stage, .. } = change;
    let before = match previous {
        Some(Standing { verdict, cause }) => {
            let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
            format!("it {}{cause}{}", past(*verdict), lasting(change.lasted_s))
        }
        None => FIRST.to_owned(),
    };
    let at = stage.map_or_else(String::new, |stage| format!(" at {stage}"));
    let is = present(standing.verdict);
    match standing {
        Standing { verdict: Verdict::Healthy, .. } => format!("{target} is healthy again; {before}"),
        Standing { cause: Some(cause), .. } => {
            format!("{target} {is}: {summary} ({cause}{at}); {before}. Next: vpce-probe status")
        }
        Standing { cause: None, .. } => format!("{target} {is}: {summary}; {before}"),
    }
}

const fn present(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Failed => "has failed",
        Verdict::Degraded => "is degraded",
        Verdict::Healthy => "is healthy",
        Verdict::Skipped => "is skipped",
    }
}

const fn past(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Failed => "had failed",
        Verdict::Degraded => "was degraded",
        Verdict::Healthy => "was healthy",
        Verdict::Skipped => "was skipped",
    }
}

const fn of_host(verdict: RoundVerdict) -> Verdict {
    match verdict {
        RoundVerdict::Failed => Verdict::Failed,
        RoundVerdict::Degraded => Verdict::Degraded,
        RoundVerdict::Healthy => Verdict::Healthy,
    }
}

fn lasting(seconds: Option<f64>) -> String {
    seconds.map_or_else(String::new, |seconds| format!(" for {}", render::span(seconds)))
}

/// What stands for the state before the first one that is told.
const FIRST: &str = "the first verdict since the start";

fn round_change(round: &Round, change: RoundChange) {
    let before = match change.previous {
        Some(previous) => format!("it {}{}", past(of_host(previous)), lasting(change.lasted_s)),
        None => FIRST.to_owned(),
    };
    let level = match change.verdict {
        RoundVerdict::Failed => Level::Error,
        RoundVerdict::Degraded => Level::Warning,
        RoundVerdict::Healthy => Level::Info,
    };
    let mut entry = Entry::new(Event::RoundChanged, format!("this host {}; {before}", present(of_host(change.verdict))))
        .at(level)
        .with(Field::Round, &round.round)
        .with(Field::Verdict, change.verdict)
        .with(Field::ElapsedMs, round.elapsed_ms);
    if let Some(finding) = round.findings.first() {
        entry = entry.with(Field::Cause, finding.cause).with(Field::Severity, finding.severity);
    }
    if let Some(previous) = change.previous {
        entry = entry.with(Field::Previous, previous);
    }
    if let Some(lasted) = change.lasted_s {
        entry = entry.with(Field::LastedS, lasted.round());
    }
    say(&entry);
}

/// One line on the whole round; `status` is what systemd is told.
pub(super) fn summary(round: &Round, status: &str, level: Level) {
    let mut entry = Entry::new(Event::RoundSummary, status)
        .at(level)
        .with(Field::Round, &round.round)
        .with(Field::Verdict, round.verdict)
        .with(Field::ElapsedMs, round.elapsed_ms);
    if let Some(finding) = round.findings.first() {
        entry = entry.with(Field::Cause, finding.cause);
    }
    say(&entry);
}
