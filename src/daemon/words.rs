//! The one line that `systemctl status` shows.

use std::fmt::Write as _;

use crate::model::{
    round::{Round, Shipping, TargetReport},
    units::Timestamp,
    verdict::{RoundVerdict, Verdict},
};

/// The state after a round, in words. `starting`: nothing is announced yet.
pub(super) fn status(round: &Round, starting: bool) -> String {
    let mut parts = vec![verdict(round)];
    if starting {
        parts.push("starting, nothing announced yet".to_owned());
    }
    parts.push(format!("last round {} ({} ms)", moment(round.started_at), round.elapsed_ms.as_f64().round()));
    parts.extend(round.shipping.as_ref().map(shipping));
    parts.join("; ")
}

fn verdict(round: &Round) -> String {
    let judged: Vec<&TargetReport> =
        round.targets.iter().filter(|report| report.verdict != Verdict::Skipped).collect();
    let well = judged.iter().filter(|report| report.verdict == Verdict::Healthy).count();
    let counts = format!("{well} of {} targets healthy", judged.len());
    if round.verdict == RoundVerdict::Healthy {
        return format!("{}: {counts}", round.verdict);
    }
    let mut ill: Vec<&TargetReport> = judged.into_iter().filter(|report| report.verdict != Verdict::Healthy).collect();
    // Whatever failed comes before what is degraded; the plan's order is kept within.
    ill.sort_by_key(|report| report.verdict != Verdict::Failed);
    let since = ill.iter().filter_map(|report| report.since).min();
    let mut names: Vec<String> = ill.iter().take(MOST_NAMED).map(|report| named(report)).collect();
    let more = ill.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    if names.is_empty() {
        names.extend(round.findings.first().map(|finding| finding.cause.to_string()));
    }
    let since = since.map_or_else(String::new, |since| format!(" since {}", moment(since)));
    format!("{}{since}: {} ({counts})", round.verdict, names.join(", "))
}

fn named(report: &TargetReport) -> String {
    match report.cause {
        Some(cause) => format!("{} {cause}", report.target.name),
        None => format!("{} {}", report.target.name, report.verdict),
    }
}

fn shipping(shipping: &Shipping) -> String {
    let mut words = match shipping.problems.first() {
        Some(problem) => format!("metrics: {}", problem.cause),
        None => format!("metrics {}", shipping.state),
    };
    // Writing into a text cannot fail.
    if let Some(last) = shipping.last_ok {
        let _ = write!(words, ", last delivered {}", moment(last));
    }
    // Between two flushes some always wait: worth a word only where they wait for something else.
    if shipping.spooled > 0 && (shipping.state != "ok" || !shipping.problems.is_empty()) {
        let _ = match shipping.spooled {
            1 => write!(words, ", 1 round waits"),
            many => write!(words, ", {many} rounds wait"),
        };
    }
    if shipping.lost > 0 {
        let _ = write!(words, ", {} datums lost", shipping.lost);
    }
    words
}

/// `03:04:05Z`: systemd shows the date beside it.
pub(super) fn moment(at: Timestamp) -> String {
    let time = at.moment().time();
    format!("{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

/// Targets that are named; `vpce-probe status` names them all.
const MOST_NAMED: usize = 3;
