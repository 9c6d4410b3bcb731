//! Every metric there is: one table, from which the datums, the docs, the series list, its price, the alarms and the
//! dashboard are made.

use super::{Detail, Unit};
use crate::model::sample::Part;

/// A dimension that vpce-probe sets itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// `VpcId`, or `Region` where the VPC is not known.
    Vpc,
    /// `Target`: a target's name.
    Target,
    /// `Severity`: `failure`, `warning` or `note`.
    Severity,
    /// `Cause`: a cause's name.
    Cause,
    /// `InstanceId`.
    Instance,
}

impl Dimension {
    /// The name in CloudWatch; of [`Dimension::Vpc`] where the VPC is known.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vpc => "VpcId",
            Self::Target => "Target",
            Self::Severity => "Severity",
            Self::Cause => "Cause",
            Self::Instance => "InstanceId",
        }
    }
}

/// A metric's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "METRICS says what each is")]
pub enum Name {
    Healthy,
    Success,
    AddressSuccess,
    ResolveTime,
    ConnectTime,
    HandshakeTime,
    PathMtuOut,
    CertificateDaysLeft,
    Problems,
    InstanceHealthy,
    Heartbeat,
    Delivered,
    Lost,
}

/// One set of dimensions of a metric, and which detail it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// The dimensions, in the order in which they are sent.
    pub dimensions: &'static [Dimension],
    /// The coarsest detail that has the set.
    pub from: Detail,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Which.
    pub name: Name,
    /// Its unit.
    pub unit: Unit,
    /// Its sets of dimensions.
    pub sets: &'static [Set],
    /// When it goes out.
    pub part: Part,
    /// What its value is, and when it is sent, in one sentence.
    pub meaning: &'static str,
}

impl Name {
    /// The name in CloudWatch.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Success => "Success",
            Self::AddressSuccess => "AddressSuccess",
            Self::ResolveTime => "ResolveTime",
            Self::ConnectTime => "ConnectTime",
            Self::HandshakeTime => "HandshakeTime",
            Self::PathMtuOut => "PathMtuOut",
            Self::CertificateDaysLeft => "CertificateDaysLeft",
            Self::Problems => "Problems",
            Self::InstanceHealthy => "InstanceHealthy",
            Self::Heartbeat => "Heartbeat",
            Self::Delivered => "Delivered",
            Self::Lost => "Lost",
        }
    }

    /// All that is known of it.
    #[must_use]
    pub fn metric(self) -> &'static Metric {
        METRICS.iter().find(|metric| metric.name == self).unwrap_or(&METRICS[0])
    }
}

const fn fleet(dimensions: &'static [Dimension]) -> Set {
    Set { dimensions, from: Detail::Fleet }
}

const VPC: &[Set] = &[fleet(&[Dimension::Vpc])];
const VPC_TARGET: &[Set] = &[fleet(&[Dimension::Vpc, Dimension::Target])];

const fn of_target(name: Name, unit: Unit, meaning: &'static str) -> Metric {
    Metric { name, unit, sets: VPC_TARGET, part: Part::Scheduled, meaning }
}

/// Every metric, in the order of the docs.
pub const METRICS: &[Metric] = &[
    Metric {
        name: Name::Healthy,
        unit: Unit::None,
        sets: VPC,
        part: Part::Scheduled,
        meaning: "1 unless the round failed; SampleCount is the number of rounds, so of hosts that report",
    },
    Metric {
        name: Name::Success,
        unit: Unit::None,
        sets: &[
            fleet(&[Dimension::Vpc, Dimension::Target]),
            Set { dimensions: &[Dimension::Instance, Dimension::Target], from: Detail::Instance },
        ],
        part: Part::Scheduled,
        meaning: "1 unless the target failed; a skipped target sends none",
    },
    of_target(
        Name::AddressSuccess,
        Unit::None,
        "1 or 0 for each address of a target; the average is the share of live endpoint interfaces",
    ),
    of_target(Name::ResolveTime, Unit::Milliseconds, "until the name was answered; successes only"),
    of_target(Name::ConnectTime, Unit::Milliseconds, "until the TCP connection was open; successes only"),
    of_target(Name::HandshakeTime, Unit::Milliseconds, "until TLS was complete and verified; successes only"),
    of_target(
        Name::PathMtuOut,
        Unit::Bytes,
        "the largest packet proven to reach the endpoint; only in rounds that measured it",
    ),
    of_target(Name::CertificateDaysLeft, Unit::Count, "whole days until the endpoint's certificate ends"),
    Metric {
        name: Name::Problems,
        unit: Unit::Count,
        sets: &[fleet(&[Dimension::Vpc, Dimension::Severity]), fleet(&[Dimension::Vpc, Dimension::Cause])],
        part: Part::Urgent,
        meaning: "problems of one round, by severity and by cause; failures and warnings also where there are none",
    },
    Metric {
        name: Name::InstanceHealthy,
        unit: Unit::None,
        sets: &[fleet(&[Dimension::Instance])],
        part: Part::Urgent,
        meaning: "0 while the host is not healthy, 1 for 15 minutes after; a healthy host has no such series",
    },
    Metric {
        name: Name::Heartbeat,
        unit: Unit::None,
        sets: &[Set { dimensions: &[Dimension::Instance], from: Detail::Heartbeat }],
        part: Part::Scheduled,
        meaning: "1 in every round",
    },
    Metric {
        name: Name::Delivered,
        unit: Unit::Count,
        sets: VPC,
        part: Part::Scheduled,
        meaning: "datums of earlier rounds that were delivered late; only where there are some",
    },
    Metric {
        name: Name::Lost,
        unit: Unit::Count,
        sets: VPC,
        part: Part::Scheduled,
        meaning: "datums that will never be delivered; only where there are some",
    },
];
