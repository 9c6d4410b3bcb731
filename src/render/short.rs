//! Only what is wrong, a line each, for `grep` and for pagers. Silence means healthy.

use super::{Style, figures, page::mark, text};
use crate::model::{
    cause::{Cause, Stage},
    round::{Round, TargetReport},
    verdict::{Severity, Verdict},
};

/// One line for each failure and warning: mark, target, address, stage, cause, and a sentence after two spaces; `-`
/// where a problem has no address or no stage. Conclusions over several targets come first, their targets joined by
/// commas. Empty when there is nothing but notes.
#[must_use]
pub fn render(round: &Round, style: &Style) -> String {
    let mut lines = Vec::new();
    for finding in round.findings.iter().filter(|finding| finding.severity != Severity::Note) {
        let is_told = |report: &TargetReport| {
            !finding.targets.contains(&report.target.name)
                || report.problems.iter().any(|problem| problem.cause == finding.cause)
        };
        if !finding.targets.is_empty() && round.targets.iter().all(is_told) {
            continue;
        }
        let whose = if finding.targets.is_empty() { "-".to_owned() } else { finding.targets.join(",") };
        let verdict = verdict(finding.severity);
        lines.push(line(verdict, &whose, None, finding.cause.stage(), finding.cause, &finding.summary, style));
    }
    for report in &round.targets {
        let name = report.target.name.as_str();
        let before = lines.len();
        for problem in report.problems.iter().filter(|problem| problem.severity != Severity::Note) {
            let verdict = if report.verdict == Verdict::Skipped { Verdict::Skipped } else { verdict(problem.severity) };
            let address = problem.address.map(|address| address.to_string());
            lines.push(line(verdict, name, address, problem.stage, problem.cause, &problem.summary, style));
        }
        // A verdict without a problem of its own still must not be silent.
        if let Some(cause) = report.cause.filter(|_| before == lines.len() && figures::is_wrong(report)) {
            lines.push(line(report.verdict, name, None, report.stage, cause, &report.summary, style));
        }
    }
    lines.concat()
}

const fn verdict(severity: Severity) -> Verdict {
    match severity {
        Severity::Note => Verdict::Healthy,
        Severity::Warning => Verdict::Degraded,
        Severity::Failure => Verdict::Failed,
    }
}

fn line(
    verdict: Verdict,
    target: &str,
    address: Option<String>,
    stage: Option<Stage>,
    cause: Cause,
    summary: &str,
    style: &Style,
) -> String {
    // A name with a space in it would shift the columns.
    let target = text::clean(target, style.glyphs).replace(' ', "_");
    let address = address.unwrap_or_else(|| "-".to_owned());
    let stage = stage.map_or("-", Stage::as_str);
    let summary = text::clean(summary, style.glyphs);
    format!("{} {target} {address} {stage} {cause}  {summary}\n", mark(verdict, super::Glyphs::Ascii))
}
