//! What became of each target over the rounds: since when its verdict is what it is, and which changes are to be announced.
//! Pure: the rounds bring the time with them.

use crate::model::{
    cause::{Cause, Stage},
    units::Timestamp,
    verdict::{RoundVerdict, Verdict},
};

/// What is compared from round to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The verdict.
    pub verdict: Verdict,
    /// The worst problem's cause.
    pub cause: Option<Cause>,
}

/// A change of one target's verdict or cause that was seen often enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The target's name.
    pub target: String,
    /// Its host name.
    pub host: String,
    /// What it was; `None` at the first announcement.
    pub previous: Option<Standing>,
    /// What it is.
    pub standing: Standing,
    /// Since when it is that: the first round that saw it.
    pub since: Timestamp,
    /// How long it was what it was before, in seconds; `None` without a previous standing.
    pub lasted_s: Option<f64>,
    /// The address that the worst problem is about.
    pub address: Option<std::net::IpAddr>,
    /// The layer.
    pub stage: Option<Stage>,
    /// One sentence.
    pub summary: String,
    /// What to do.
    pub advice: Vec<String>,
}

/// A change of the whole round's verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundChange {
    /// What it was; `None` at the first announcement.
    pub previous: Option<RoundVerdict>,
    /// What it is.
    pub verdict: RoundVerdict,
    /// How long it was what it was before, in seconds.
    pub lasted_s: Option<f64>,
}

/// What one round brought.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct News {
    /// Targets' changes to announce, in the plan's order.
    pub changes: Vec<Change>,
    /// The whole round's change to announce.
    pub round: Option<RoundChange>,
    /// Some target's result is not the announced one: look again soon.
    pub unsettled: bool,
    /// One of the first rounds after the start: reported, not announced.
    pub starting: bool,
}
