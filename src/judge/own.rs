//! What one target is told of itself: its summary, and findings of its own where nothing across targets explains it.

use std::net::IpAddr;

use super::{
    across::Conclusion,
    advice,
    hole::Hole,
    scene::{Judged, Scene, Seen, Sight},
    words::{list, sentence, shown},
};
use crate::model::verdict::{Finding, Problem, Severity, Verdict};

/// One finding for each target's unexplained failures, one for each of its other unexplained warnings.
pub(super) fn findings(scene: &Scene<'_>, conclusions: &[Conclusion]) -> Vec<Finding> {
    scene.targets.iter().flat_map(|judged| of_target(scene, judged, conclusions)).collect()
}

fn of_target(scene: &Scene<'_>, judged: &Judged<'_>, conclusions: &[Conclusion]) -> Vec<Finding> {
    let explained = |problem: &Problem| conclusions.iter().any(|conclusion| conclusion.explains(judged, problem));
    let open = judged.problems.iter().filter(|problem| problem.severity > Severity::Note && !explained(problem));
    let mut findings: Vec<Finding> = Vec::new();
    for problem in open {
        // The worst failure speaks for all of a target's failures; each warning speaks for its cause.
        let said = findings.iter().any(|finding| {
            finding.cause == problem.cause
                || finding.severity == Severity::Failure && problem.severity == Severity::Failure
        });
        if !said {
            findings.push(Finding {
                cause: problem.cause,
                severity: problem.severity,
                targets: vec![judged.name().to_owned()],
                summary: sentence(&named(judged.name(), &of_problem(judged, problem))),
                advice: advice::of_problem(scene, judged, problem),
            });
        }
    }
    findings
}

/// `ssm: 10.0.1.10 is ...`; a target that is called by its host name may be named by the text already.
fn named(name: &str, text: &str) -> String {
    let says_it = text.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    if says_it { text.to_owned() } else { format!("{name}: {text}") }
}

/// One sentence over the whole target.
pub(super) fn summary(judged: &Judged<'_>) -> String {
    let worst = judged.problems.first();
    let text = match (judged.verdict, worst) {
        (Verdict::Healthy, _) | (_, None) => healthy(judged),
        (Verdict::Skipped | Verdict::Degraded | Verdict::Failed, Some(problem)) => of_problem(judged, problem),
    };
    sentence(&text)
}

fn healthy(judged: &Judged<'_>) -> String {
    let live: Vec<IpAddr> =
        judged.view.used().filter(|seen| seen.is_live() && seen.answers()).map(|seen| shown(seen.address())).collect();
    match live.as_slice() {
        [] => "does not answer, as expected".to_owned(),
        [one] => format!("{one} answers"),
        many => format!("{} answer", list(many)),
    }
}

/// The problem's sentence; where several addresses show the same, all of them in one.
fn of_problem(judged: &Judged<'_>, problem: &Problem) -> String {
    let broken: Vec<(&Seen<'_>, &Sight)> = judged
        .view
        .used()
        .filter_map(|seen| Some((seen, seen.dead()?)))
        .filter(|(_, sight)| sight.cause == problem.cause)
        .collect();
    if broken.len() > 1 && broken.iter().all(|(seen, _)| Hole::of_dead(seen).is_some()) {
        return of_holes(&broken);
    }
    match broken.as_slice() {
        [(_, first), _, ..] => {
            let addresses: Vec<IpAddr> = broken.iter().map(|(seen, _)| shown(seen.address())).collect();
            let detail =
                first.detail.strip_prefix("is ").map_or_else(|| first.detail.clone(), |rest| format!("are {rest}"));
            let detail = if detail.starts_with("are ") { format!(" {detail}") } else { format!(": {detail}") };
            format!("{}{detail}", list(&addresses))
        }
        [] | [_] => problem.summary.clone(),
    }
}

/// One sentence over several addresses behind black holes: their own sizes are those of one hole, or the narrowest of
/// several is told.
fn of_holes(broken: &[(&Seen<'_>, &Sight)]) -> String {
    if let Some(hole) = Hole::joint(broken.iter().filter_map(|(seen, _)| Hole::of_dead(seen))) {
        let addresses: Vec<IpAddr> = broken.iter().map(|(seen, _)| shown(seen.address())).collect();
        return format!("{}: {}", list(&addresses), hole.sentence());
    }
    let size = |seen: &Seen<'_>| Hole::of_dead(seen).and_then(|hole| hole.size()).unwrap_or(u32::MAX);
    let narrowest = broken.iter().min_by_key(|(seen, _)| size(seen));
    narrowest.map_or_else(String::new, |(seen, _)| {
        let words = Hole::of_dead(seen).map_or_else(String::new, |hole| hole.words());
        format!("{}: {words}; other sizes elsewhere", shown(seen.address()))
    })
}
