//! The report of one round: the JSON of `once`, `status` and `last.json`.

use serde::{Deserialize, Serialize};

use super::{
    cause::{Cause, Stage},
    host::HostFacts,
    observation::{AddressRecord, ProxyRecord, ResolveRecord},
    target::Target,
    units::{Millis, RoundId, Timestamp},
    verdict::{Finding, Problem, RoundVerdict, Verdict},
};

/// The version of the report's shape. A name changes only together with it; additions do not.
pub const SCHEMA_VERSION: u32 = 1;

/// One address, seen and judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddressReport {
    /// What was seen.
    #[serde(flatten)]
    pub record: AddressRecord,
    /// The verdict over this address alone.
    pub verdict: Verdict,
    /// The first broken layer's cause.
    pub cause: Option<Cause>,
    /// That layer.
    pub stage: Option<Stage>,
}

/// One target, seen and judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// What was probed.
    #[serde(flatten)]
    pub target: Target,
    /// The verdict over the target.
    pub verdict: Verdict,
    /// The worst problem's cause.
    pub cause: Option<Cause>,
    /// The layer at which that shows.
    pub stage: Option<Stage>,
    /// One sentence.
    pub summary: String,
    /// What to do about it; empty when healthy.
    pub advice: Vec<String>,
    /// Since when verdict and cause are what they are (a healthy target's notes do not count); `None` in `once`, which
    /// has no history.
    pub since: Option<Timestamp>,
    /// All problems, worst first.
    pub problems: Vec<Problem>,
    /// The answer that was used.
    pub resolve: ResolveRecord,
    /// Every name server's answer.
    pub resolvers: Vec<ResolveRecord>,
    /// Every address.
    pub addresses: Vec<AddressReport>,
    /// The try through a proxy, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyRecord>,
}

/// The state of metric delivery. `None` in a round that ships nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
pub struct Shipping {
    /// One word, e.g. `idle`, `ok`, `failing`.
    pub state: String,
    /// The last delivery that worked.
    pub last_ok: Option<Timestamp>,
    /// Rounds that wait.
    pub spooled: u64,
    /// The oldest round that waits.
    pub oldest: Option<Timestamp>,
    /// Datums lost so far.
    pub lost: u64,
    /// What is wrong with the delivery.
    pub problems: Vec<Problem>,
    /// Datums that CloudWatch confirmed since the daemon started; only in a daemon's report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u64>,
    /// When it is tried again, where deliveries fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
}

/// What failed last, in short; the round itself where something fails in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When the last round started in which a target failed.
    pub started_at: Timestamp,
    /// Every target that ever failed, as it was when it failed last; in the plan's order.
    pub targets: Vec<FailedTarget>,
}

/// A target as it was when it failed last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedTarget {
    /// When that round started.
    pub failed_at: Timestamp,
    /// What was seen then; its `since` is when that failure began.
    #[serde(flatten)]
    pub report: TargetReport,
}

/// What was announced last, so that a restart neither repeats nor swallows a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
pub struct Announced {
    /// Of the whole round; `None` before the first announcement.
    pub round: Option<AnnouncedRound>,
    /// Of targets; one that is missing has not been announced yet.
    pub targets: Vec<AnnouncedTarget>,
}

/// The round's verdict that was announced last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedRound {
    /// The verdict.
    pub verdict: RoundVerdict,
    /// Since when it was that.
    pub since: Timestamp,
}

/// What was announced last of one target; for one that was healthy from the start, what was silently taken for granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedTarget {
    /// Its name.
    pub name: String,
    /// Its host name.
    pub host: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The cause, where it was not healthy.
    pub cause: Option<Cause>,
    /// Since when it was that.
    pub since: Timestamp,
}

/// One round, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of vpce-probe that made it.
    pub version: String,
    /// The round's name.
    pub round: RoundId,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it took, host facts included.
    pub elapsed_ms: Millis,
    /// The verdict.
    pub verdict: RoundVerdict,
    /// The host.
    pub host: HostFacts,
    /// Conclusions, worst first.
    pub findings: Vec<Finding>,
    /// Targets, in the plan's order.
    pub targets: Vec<TargetReport>,
    /// The delivery.
    pub shipping: Option<Shipping>,
    /// The last failure, in a daemon's report.
    pub last_failure: Option<LastFailure>,
    /// Seconds from one round to the next, in a daemon's report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<f64>,
    /// One of the first rounds after the daemon's start: nothing is announced yet.
    #[serde(default, skip_serializing_if = "is_false")]
    pub starting: bool,
    /// What was announced last, in a daemon's report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<Announced>,
    /// Seconds since the round started; only in `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
