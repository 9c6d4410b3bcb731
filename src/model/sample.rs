//! One round as the metrics need it: small enough that a week of rounds can wait on disk for CloudWatch.

use serde::{Deserialize, Serialize};

use super::{
    cause::Cause,
    units::{Millis, Timestamp},
    verdict::{RoundVerdict, Severity},
};

/// Where a round was made: the values of the dimensions. Whatever is not known leaves its dimension out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[expect(missing_docs, reason = "each is the dimension of that name")]
pub struct Origin {
    pub instance_id: Option<String>,
    pub region: Option<String>,
    pub vpc_id: Option<String>,
    pub subnet_id: Option<String>,
    pub availability_zone: Option<String>,
    pub availability_zone_id: Option<String>,
}

/// An elapsed time in hundredths of a millisecond, so that it takes two or three bytes where a float takes eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hundredths(pub u32);

impl From<Millis> for Hundredths {
    fn from(elapsed: Millis) -> Self {
        let hundredths = (elapsed.as_f64() * 100.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, at 11 hours, and no elapsed time is negative"
        )]
        Self(hundredths as u32)
    }
}

/// How this host stands: decides `InstanceHealthy`, and whether the round is in a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub enum Condition {
    /// Healthy, and has been so for a while.
    #[default]
    Healthy,
    /// Not healthy.
    Sick,
    /// The first healthy round after a sick one.
    Recovered,
    /// Healthy again, but not for long.
    Recovering,
}

impl Condition {
    /// The value of `InstanceHealthy`; `None`: it is not sent.
    #[must_use]
    pub const fn instance_healthy(self) -> Option<bool> {
        match self {
            Self::Healthy => None,
            Self::Sick => Some(false),
            Self::Recovered | Self::Recovering => Some(true),
        }
    }

    /// Whether [`Part::Urgent`] goes out at once: there is trouble, or it has just ended.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        match self {
            Self::Sick | Self::Recovered => true,
            Self::Healthy | Self::Recovering => false,
        }
    }
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSample {
    /// Whether it did all that was asked of it; `None` where it was not judged (a skipped target).
    pub success: Option<bool>,
    /// Until the connection was open; `None` unless that succeeded.
    pub connect: Option<Hundredths>,
    /// Until the handshake was complete and verified; `None` unless that succeeded.
    pub handshake: Option<Hundredths>,
    /// The largest size proven outwards, in bytes of the IP packet; `None` unless this very round measured it.
    pub mtu_out: Option<u32>,
    /// Whole days until the certificate ends; negative once that is past.
    pub days_left: Option<i32>,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSample {
    /// Its name, as in the report.
    pub name: String,
    /// Whether it did not fail; `None` where it was skipped.
    pub success: Option<bool>,
    /// Until its name was answered; `None` unless that succeeded.
    pub resolve: Option<Hundredths>,
    /// Its addresses.
    pub addresses: Vec<AddressSample>,
}

/// So many problems of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemCount {
    /// The kind, by name: a number would mean another cause after an update.
    #[serde(with = "by_name")]
    pub cause: Cause,
    /// How bad.
    pub severity: Severity,
    /// How many.
    pub count: u32,
}

/// One round, in short. It stands alone: whatever else is lost, it can still be shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The round's scheduled moment, by AWS's clock where this host's is known to be wrong.
    #[serde(with = "as_millis")]
    pub tick: Timestamp,
    /// Where it was made.
    pub origin: Origin,
    /// The round's verdict.
    pub verdict: RoundVerdict,
    /// How the host stands.
    pub condition: Condition,
    /// Targets, in the plan's order.
    pub targets: Vec<TargetSample>,
    /// Problems by kind, notes included: each problem of a target, and each finding that no target has as its own.
    pub problems: Vec<ProblemCount>,
    /// Datums that were delivered late since the last sample.
    pub delivered_late: u32,
    /// Datums that were lost since the last sample.
    pub lost: u32,
}

/// The datums of a round go out in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// At once: what names the trouble of a host that is not healthy. Empty for a sample that is not urgent, whose
    /// counts wait for the schedule with the rest: every datum is in exactly one part.
    Urgent,
    /// On the fixed schedule, so that no host weighs more than another in an average.
    Scheduled,
}

mod by_name {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Cause;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
    pub(super) fn serialize<S: Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(cause.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cause, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

mod as_millis {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Timestamp;

    pub(super) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(moment.unix_millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let millis = i64::deserialize(deserializer)?;
        Timestamp::from_unix_millis(millis).ok_or_else(|| de::Error::custom("no such moment"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Condition, Hundredths, Origin, ProblemCount, Sample};
    use crate::model::{
        cause::Cause,
        units::{Millis, Timestamp},
        verdict::{RoundVerdict, Severity},
    };

    #[test]
    fn a_sample_survives_its_compact_form() {
        let sample = Sample {
            tick: Timestamp::from_unix_millis(1_795_000_000_123).expect("a moment"),
            origin: Origin { vpc_id: Some("vpc-1".to_owned()), ..Origin::default() },
            verdict: RoundVerdict::Failed,
            condition: Condition::Sick,
            targets: Vec::new(),
            problems: vec![ProblemCount { cause: Cause::TcpTimeout, severity: Severity::Failure, count: 2 }],
            delivered_late: 0,
            lost: 7,
        };
        let bytes = postcard::to_stdvec(&sample).expect("encodes");
        assert_eq!(postcard::from_bytes::<Sample>(&bytes).expect("decodes"), sample);
    }

    #[test]
    fn an_elapsed_time_keeps_its_hundredths() {
        fn check(micros: u64, expected: u32) {
            assert_eq!(Hundredths::from(Millis::from(Duration::from_micros(micros))), Hundredths(expected), "{micros}");
        }
        check(0, 0);
        check(41_237, 4_124);
        check(290, 29);
        check(u64::from(u32::MAX) * 20, u32::MAX);
    }
}
