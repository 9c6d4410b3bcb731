//! What the journal is told: one record for each change, one summary a round, and nothing twice while nothing changes.

use std::time::Duration;

use tracing::field::display;

use crate::{
    config::duration,
    history::{Change, News, RoundChange, Standing},
    model::{
        event::Event,
        round::{Round, TargetReport},
        verdict::{RoundVerdict, Verdict},
    },
};

/// Whether a round's summary is for everybody, or for whoever reads at debug level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volume {
    /// Hourly, and on change.
    Info,
    /// Every round.
    Debug,
}

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
    let message = sentence(change);
    let advice = change.advice.join("\n");
    macro_rules! tell {
        ($level:ident) => {
            tracing::$level!(
                message_id = Event::VerdictChanged.id(),
                vpce_round = %round.round,
                vpce_target = change.target,
                vpce_host = change.host,
                vpce_address = change.address.map(display),
                vpce_stage = change.stage.map(display),
                vpce_cause = change.standing.cause.map(display),
                vpce_severity = change.standing.cause.map(|cause| cause.severity().as_str()),
                vpce_verdict = %change.standing.verdict,
                vpce_previous = change.previous.map(|previous| display(previous.verdict)),
                vpce_elapsed_ms = round.elapsed_ms.as_f64(),
                vpce_advice = (!advice.is_empty()).then_some(advice.as_str()),
                "{message}"
            )
        };
    }
    match (change.standing.verdict, is_required(round, &change.target)) {
        (Verdict::Failed, true) => tell!(error),
        (Verdict::Failed | Verdict::Degraded, _) => tell!(warn),
        (Verdict::Healthy | Verdict::Skipped, _) => tell!(info),
    }
}

fn is_required(round: &Round, target: &str) -> bool {
    round.targets.iter().any(|report: &TargetReport| report.target.name == target && report.target.required)
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
        (None, _) => "as it was found at the start".to_owned(),
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
        (None, _) => "as it was found at the start".to_owned(),
    };
    let message = format!("this host is {} ({before})", change.verdict);
    macro_rules! tell {
        ($level:ident) => {
            tracing::$level!(
                message_id = Event::RoundChanged.id(),
                vpce_round = %round.round,
                vpce_verdict = %change.verdict,
                vpce_previous = change.previous.map(display),
                vpce_elapsed_ms = round.elapsed_ms.as_f64(),
                "{message}"
            )
        };
    }
    match change.verdict {
        RoundVerdict::Failed => tell!(error),
        RoundVerdict::Degraded => tell!(warn),
        RoundVerdict::Healthy => tell!(info),
    }
}

/// One line on the whole round; `status` is what systemd is told.
pub(super) fn summary(round: &Round, status: &str, volume: Volume) {
    macro_rules! tell {
        ($level:ident) => {
            tracing::$level!(
                message_id = Event::RoundSummary.id(),
                vpce_round = %round.round,
                vpce_verdict = %round.verdict,
                vpce_elapsed_ms = round.elapsed_ms.as_f64(),
                "{status}"
            )
        };
    }
    match volume {
        Volume::Info => tell!(info),
        Volume::Debug => tell!(debug),
    }
}

fn span(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.max(0.0)).map_or(0, |span| span.as_secs());
    duration::show(Duration::from_secs(whole))
}
