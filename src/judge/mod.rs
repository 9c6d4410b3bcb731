//! Pure: from observations to verdicts, causes and advice; first for each address, then each target, then across them.

use crate::model::{
    host::HostFacts,
    observation::Observation,
    plan::Plan,
    round::TargetReport,
    units::Timestamp,
    verdict::{Finding, RoundVerdict},
};

/// What the judge says of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Over the round.
    pub verdict: RoundVerdict,
    /// Conclusions, worst first.
    pub findings: Vec<Finding>,
    /// Each target, in the plan's order.
    pub targets: Vec<TargetReport>,
    /// The host facts with the problems that only the round could show (drops by allowance beside time-outs, a stale agent).
    pub host: HostFacts,
}

/// Judges one round's observations. `now` is the wall clock at the round's start.
#[must_use]
pub fn judge(observations: Vec<Observation>, host: HostFacts, plan: &Plan, now: Timestamp) -> Judgement {
    let _ = (observations, plan, now);
    Judgement { verdict: RoundVerdict::Failed, findings: Vec::new(), targets: Vec::new(), host }
}
