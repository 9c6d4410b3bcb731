//! Rules over all targets: one conclusion where several targets show the same fault.

pub(super) mod names;
pub(super) mod proxy;
pub(super) mod reach;
pub(super) mod trust;

use super::{
    scene::{Judged, Scene},
    words::sentence,
};
use crate::model::{
    cause::Cause,
    verdict::{Finding, Problem, Severity},
};

/// A finding, and what it leaves nobody else to explain.
pub(super) struct Conclusion {
    pub(super) finding: Finding,
    /// Causes, beside the finding's own and (for a failure) every failure, that it explains in its targets.
    pub(super) also: &'static [Cause],
    scope: Scope,
}

/// How much of its targets' trouble a conclusion explains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Every failure.
    Failures,
    /// Its own cause only: the targets are named, and fail (or not) by something else.
    Itself,
}

impl Conclusion {
    /// A conclusion over `targets`, as bad as `severity`.
    pub(super) fn new(
        cause: Cause,
        severity: Severity,
        targets: &[&Judged<'_>],
        summary: &str,
        advice: Vec<String>,
    ) -> Self {
        let targets = targets.iter().map(|judged| judged.name().to_owned()).collect();
        let scope = if severity == Severity::Failure { Scope::Failures } else { Scope::Itself };
        Self { finding: Finding { cause, severity, targets, summary: sentence(summary), advice }, also: &[], scope }
    }

    /// The same, explaining `also` too.
    pub(super) fn with(mut self, also: &'static [Cause]) -> Self {
        self.also = also;
        self
    }

    /// The same, leaving its targets' failures to others.
    pub(super) fn of_itself(mut self) -> Self {
        self.scope = Scope::Itself;
        self
    }

    /// Whether it explains this problem of this target.
    pub(super) fn explains(&self, judged: &Judged<'_>, problem: &Problem) -> bool {
        let failure = self.scope == Scope::Failures
            && problem.severity == Severity::Failure
            && problem.cause != Cause::NotFinished;
        let named = problem.cause == self.finding.cause || self.also.contains(&problem.cause);
        (failure || named) && self.finding.targets.iter().any(|name| name == judged.name())
    }
}

/// The failed targets that no conclusion explains yet.
pub(super) fn open<'s, 'a>(scene: &'s Scene<'a>, drawn: &[Conclusion]) -> Vec<&'s Judged<'a>> {
    let explained = |judged: &Judged<'a>| {
        drawn.iter().any(|conclusion| {
            conclusion.scope == Scope::Failures
                && judged.problems.iter().any(|problem| conclusion.explains(judged, problem))
        })
    };
    scene.targets.iter().filter(|judged| judged.failed() && !explained(judged)).collect()
}

/// The names of `targets`.
pub(super) fn names<'a>(targets: &[&Judged<'a>]) -> Vec<&'a str> {
    targets.iter().map(|judged| judged.name()).collect()
}
