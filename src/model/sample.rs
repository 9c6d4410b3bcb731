//! One round as the metrics need it: small enough that a week of rounds can wait on disk for CloudWatch.

use serde::{Deserialize, Serialize};

use super::{
    cause::Cause,
    units::Timestamp,
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
    /// The value of `InstanceHealthy`; `None` where the host is healthy and has been so for a while.
    pub instance_healthy: Option<bool>,
    /// Targets, in the plan's order.
    pub targets: Vec<TargetSample>,
    /// Problems of targets and findings by kind, notes included.
    pub problems: Vec<ProblemCount>,
    /// Datums that were delivered late since the last sample.
    pub delivered_late: u32,
    /// Datums that were lost since the last sample.
    pub lost: u32,
}

/// The datums of a round go out in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// At once: what names the trouble of a host that is not healthy.
    Urgent,
    /// On the fixed schedule, so that no host weighs more than another in an average.
    Scheduled,
}

mod by_name {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Cause;

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
    use super::{Origin, ProblemCount, Sample};
    use crate::model::{
        cause::Cause,
        units::Timestamp,
        verdict::{RoundVerdict, Severity},
    };

    #[test]
    fn a_sample_survives_its_compact_form() {
        let sample = Sample {
            tick: Timestamp::from_unix_millis(1_795_000_000_123).expect("a moment"),
            origin: Origin { vpc_id: Some("vpc-1".to_owned()), ..Origin::default() },
            verdict: RoundVerdict::Failed,
            instance_healthy: Some(false),
            targets: Vec::new(),
            problems: vec![ProblemCount { cause: Cause::TcpTimeout, severity: Severity::Failure, count: 2 }],
            delivered_late: 0,
            lost: 7,
        };
        let bytes = postcard::to_stdvec(&sample).expect("encodes");
        assert_eq!(postcard::from_bytes::<Sample>(&bytes).expect("decodes"), sample);
    }
}
