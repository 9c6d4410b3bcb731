//! What the journal is told: one record for each change, one summary a round, and nothing twice while nothing changes.

use std::time::Duration;

use crate::{
    config::duration,
    history::{Change, News, RoundChange, Standing},
    model::{
        event::{Entry, Event, Field, Level},
        round::Round,
        verdict::{RoundVerdict, Verdict},
    },
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

/// `ssm failed: 10.0.1.10: no answer … (tcp-timeout at connect); it was healthy for 2h5m. Next: vpce-probe status`
fn sentence(change: &Change) -> String {
    let Change { target, standing, previous, summary, stage, .. } = change;
    let before = match (previous, change.lasted_s) {
        (Some(Standing { verdict, cause: Some(cause) }), Some(lasted)) => {
            format!("it was {verdict} ({cause}) for {}", span(lasted))
        }
        (Some(Standing { verdict, cause: None }), Some(lasted)) => format!("it was {verdict} for {}", span(lasted)),
        (Some(Standing { verdict, .. }), None) => format!("it was {verdict}"),
        (None, _) => "the first verdict since the start".to_owned(),
    };
    let at = stage.map_or_else(String::new, |stage| format!(" at {stage}"));
    match standing {
        Standing { verdict: Verdict::Healthy, .. } => format!("{target} is healthy again; {before}"),
        Standing { verdict, cause: Some(cause) } => {
            format!("{target} is {verdict}: {summary} ({cause}{at}); {before}. Next: vpce-probe status")
        }
        Standing { verdict, cause: None } => format!("{target} is {verdict}: {summary}; {before}"),
    }
}

fn round_change(round: &Round, change: RoundChange) {
    let before = match (change.previous, change.lasted_s) {
        (Some(previous), Some(lasted)) => format!("was {previous} for {}", span(lasted)),
        (Some(previous), None) => format!("was {previous}"),
        (None, _) => "the first verdict since the start".to_owned(),
    };
    let level = match change.verdict {
        RoundVerdict::Failed => Level::Error,
        RoundVerdict::Degraded => Level::Warning,
        RoundVerdict::Healthy => Level::Info,
    };
    let mut entry = Entry::new(Event::RoundChanged, format!("this host is {} ({before})", change.verdict))
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

fn span(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.max(0.0)).map_or(0, |span| span.as_secs());
    duration::show(Duration::from_secs(whole))
}
