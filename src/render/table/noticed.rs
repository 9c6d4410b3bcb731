//! What changes no verdict and is still worth a line: notes, the host's own problems, the delivery of metrics.

use super::moment;
use crate::{
    model::{
        cause::Cause,
        round::{Round, Shipping},
        verdict::{Severity, Verdict},
    },
    render::page::{Page, Paint},
};

/// Writes the block; nothing when there is nothing to say.
pub(super) fn write(page: &mut Page<'_>, round: &Round) {
    let lines = lines(round);
    if lines.is_empty() {
        return;
    }
    page.gap();
    page.line(&[Paint::Strong.span("Also noticed")]);
    for line in lines.iter().take(LINES) {
        page.step("  - ", line);
    }
    if lines.len() > LINES {
        page.line(&[Paint::Faint.span(format!("  and {} more, shown by --explain", lines.len() - LINES))]);
    }
}

fn lines(round: &Round) -> Vec<String> {
    let mut lines: Vec<String> =
        round.host.problems.iter().map(|problem| format!("host: {} ({})", problem.summary, problem.cause)).collect();
    let mut told: Vec<(Cause, &str)> = Vec::new();
    for finding in round.findings.iter().filter(|finding| finding.severity == Severity::Note) {
        let whose = if finding.targets.is_empty() { "host".to_owned() } else { finding.targets.join(", ") };
        lines.push(format!("{whose}: {} ({})", finding.summary, finding.cause));
        lines.extend(finding.advice.first().map(|advice| format!("{whose}: {advice}")));
        told.extend(finding.targets.iter().map(|target| (finding.cause, target.as_str())));
    }
    for report in &round.targets {
        for problem in report.problems.iter().filter(|problem| problem.severity == Severity::Note) {
            // The line of a skipped target says `endpoint-absent` already, and nobody asked for that endpoint.
            let is_shown = report.verdict == Verdict::Skipped && report.cause == Some(problem.cause);
            let key = (problem.cause, report.target.name.as_str());
            if is_shown || told.contains(&key) {
                continue;
            }
            told.push(key);
            lines.push(format!("{}: {} ({})", report.target.name, problem.summary, problem.cause));
        }
    }
    lines.extend(round.shipping.iter().flat_map(shipping));
    if let Some(last) = &round.last_failure {
        let names: Vec<&str> = last.targets.iter().map(|report| report.target.name.as_str()).collect();
        lines.push(format!("last failure: {}, {}", moment(last.started_at), names.join(", ")));
    }
    lines
}

/// Delivery that works is no news.
fn shipping(shipping: &Shipping) -> Vec<String> {
    let mut lines: Vec<String> =
        shipping.problems.iter().map(|problem| format!("metrics: {} ({})", problem.summary, problem.cause)).collect();
    if shipping.spooled > 0 {
        let oldest = shipping.oldest.map(|oldest| format!(", the oldest of {}", moment(oldest))).unwrap_or_default();
        lines.push(format!("metrics: {} rounds wait for delivery{oldest}", shipping.spooled));
    }
    if shipping.lost > 0 {
        lines.push(format!("metrics: {} datums lost", shipping.lost));
    }
    lines
}

/// A block that is longer is not read.
const LINES: usize = 8;
