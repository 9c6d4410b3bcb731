//! What changes no verdict and is still worth a line: notes, and the host's own problems.

use super::conclusions::is_told;
use crate::{
    model::{
        cause::Cause,
        round::Round,
        verdict::{Problem, Severity, Verdict},
    },
    render::{
        page::{Page, Paint},
        text,
    },
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
        line.write(page);
    }
    if lines.len() > LINES {
        page.line(&[Paint::Faint.span(format!("  and {} more, shown by --explain", lines.len() - LINES))]);
    }
}

/// One remark.
struct Line {
    whose: String,
    words: String,
}

impl Line {
    fn new(whose: impl Into<String>, words: impl Into<String>) -> Self {
        Self { whose: whose.into(), words: words.into() }
    }

    fn about(whose: &str, problem: &Problem) -> Self {
        Self::new(format!("{whose} ({})", problem.cause), &problem.summary)
    }

    fn write(&self, page: &mut Page<'_>) {
        let words = text::clean(&self.words, page.glyphs());
        let step = text::step(&words);
        // A remark is a sentence, even one that begins with a program's name; only its end may be a command.
        let (prose, command) = match step.command {
            Some(command) if !step.prose.is_empty() => (step.prose, Some(command)),
            Some(_) | None => (words.as_str(), None),
        };
        let body = format!("{}: {prose}", self.whose);
        page.flow(&Paint::Plain.span("  - "), 4, &Paint::Plain.span(body));
        if let Some(command) = command {
            page.command("      ", command);
        }
    }
}

fn lines(round: &Round) -> Vec<Line> {
    let concluded = |problem: &&Problem| round.findings.iter().any(|finding| finding.cause == problem.cause);
    let open = round.host.problems.iter().filter(|problem| !concluded(problem));
    let mut lines: Vec<Line> = open.map(|problem| Line::about("host", problem)).collect();
    let mut told: Vec<(Cause, &str)> = Vec::new();
    for finding in round.findings.iter().filter(|finding| !is_told(finding)) {
        let whose = if finding.targets.is_empty() { "host".to_owned() } else { finding.targets.join(", ") };
        lines.push(Line::new(format!("{whose} ({})", finding.cause), &finding.summary));
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
            lines.push(Line::about(&report.target.name, problem));
        }
    }
    lines
}

/// A block that is longer is not read.
const LINES: usize = 8;
