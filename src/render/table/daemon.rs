//! What only a daemon's report has: its start, the delivery of metrics, what failed before.

use super::{lasting, seconds, when};
use crate::{
    model::{
        round::{FailedTarget, Round, Shipping},
        units::Timestamp,
        verdict::{Problem, Severity, Verdict},
    },
    render::{
        figures,
        page::{Page, Paint, mark_width, sign},
        text,
    },
};

/// Since when the round's verdict is what it is, where that was announced.
pub(super) fn since(round: &Round) -> Option<String> {
    let told = round.announced.as_ref()?.round.filter(|told| told.verdict == round.verdict)?;
    Some(lasting(told.since, round.started_at))
}

/// Lines below the heading.
pub(super) fn heading(page: &mut Page<'_>, round: &Round) {
    if round.starting {
        page.line(&[Paint::Doubtful.span("starting: reported, not announced yet")]);
    }
    let Some(shipping) = &round.shipping else { return };
    let look = if has_trouble(shipping) { Paint::Doubtful } else { Paint::Faint };
    page.flow(&look.span("metrics "), 2, &look.span(delivery(shipping, now(round))));
}

/// The delivery in one line.
pub(super) fn delivery(shipping: &Shipping, now: Timestamp) -> String {
    let mut parts = vec![shipping.state.clone()];
    parts.push(match shipping.last_ok {
        Some(at) => format!("last delivered {} ({} ago)", when(at, now), figures::span(seconds(at, now))),
        None => "nothing delivered yet".to_owned(),
    });
    let oldest = shipping.oldest.map(|oldest| format!(" since {}", when(oldest, now))).unwrap_or_default();
    match shipping.spooled {
        0 => {}
        1 => parts.push(format!("1 round waits{oldest}")),
        many => parts.push(format!("{many} rounds wait{oldest}")),
    }
    match shipping.lost {
        0 => {}
        1 => parts.push("1 datum lost".to_owned()),
        many => parts.push(format!("{many} datums lost")),
    }
    // One that should have been made by now is not worth a word: this report is older than its outcome.
    parts.extend(shipping.next_attempt.filter(|next| *next > now).map(|next| {
        let left = figures::span(seconds(now, next));
        format!("next try in {left}")
    }));
    parts.join(", ")
}

/// The delivery's problems, each with what to do.
pub(super) fn troubles(page: &mut Page<'_>, round: &Round) {
    for problem in round.shipping.iter().flat_map(|shipping| &shipping.problems) {
        page.gap();
        trouble(page, problem);
    }
}

fn trouble(page: &mut Page<'_>, problem: &Problem) {
    let hang = mark_width(page.glyphs()) + 1;
    let look = Paint::Doubtful;
    let lead = text::left(sign(Severity::Note, page.glyphs()), hang);
    page.flow(&look.span(lead), hang, &look.span(format!("metrics: {}", problem.cause)));
    page.flow(&Paint::Plain.span(MARGIN), MARGIN.len(), &Paint::Plain.span(&problem.summary));
    for (at, step) in problem.cause.text().mend.iter().enumerate() {
        page.step(&format!("{MARGIN}{}. ", at + 1), step);
    }
    page.line(&[Paint::Faint.span(format!("{MARGIN}More: vpce-probe explain {}", problem.cause))]);
}

/// What failed before and does not fail now, the latest first.
pub(super) fn failed_before(page: &mut Page<'_>, round: &Round) {
    let Some(last) = &round.last_failure else { return };
    let mut over: Vec<&FailedTarget> =
        last.targets.iter().filter(|failed| failed.failed_at != round.started_at).collect();
    if over.is_empty() {
        return;
    }
    over.sort_by_key(|failed| std::cmp::Reverse(failed.failed_at));
    page.gap();
    page.line(&[Paint::Strong.span("Failed before")]);
    for failed in over.iter().take(LINES) {
        page.flow(&Paint::Plain.span("  - "), 4, &Paint::Plain.span(past(failed, now(round))));
    }
    if over.len() > LINES {
        page.line(&[Paint::Faint.span(format!("  and {} more, shown by --format json", over.len() - LINES))]);
    }
}

/// `ssm: tcp-timeout at connect, 10.0.1.10, 02:58:05Z to 03:00:05Z (2 min)`
fn past(failed: &FailedTarget, now: Timestamp) -> String {
    let report = &failed.report;
    let mut words = vec![format!("{}: ", report.target.name)];
    words.push(report.cause.map_or_else(|| report.verdict.to_string(), |cause| cause.to_string()));
    words.extend(report.stage.map(|stage| format!(" at {stage}")));
    let dead = report.addresses.iter().filter(|address| address.verdict == Verdict::Failed);
    words.extend(dead.take(ADDRESSES).map(|address| format!(", {}", address.record.address)));
    let end = when(failed.failed_at, now);
    words.push(match report.since.filter(|since| *since < failed.failed_at) {
        Some(since) => {
            let lasted = figures::span(seconds(since, failed.failed_at));
            format!(", {} to {end} ({lasted})", when(since, now))
        }
        None => format!(", at {end}"),
    });
    words.concat()
}

fn has_trouble(shipping: &Shipping) -> bool {
    !shipping.problems.is_empty() || shipping.lost > 0
}

/// The moment at which the reader reads.
pub(super) fn now(round: &Round) -> Timestamp {
    let age = std::time::Duration::try_from_secs_f64(round.age_s.unwrap_or(0.0)).unwrap_or_default();
    round.started_at.moment().checked_add(age.try_into().unwrap_or_default()).map_or(round.started_at, Timestamp::new)
}

const MARGIN: &str = "  ";
/// More are not read.
const LINES: usize = 4;
/// More of them would bury the time.
const ADDRESSES: usize = 4;
