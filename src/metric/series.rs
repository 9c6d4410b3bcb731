//! The series that a config makes: what `check` lists and prices.

use super::{
    METRICS, Metric, Name, Settings,
    dimensions::{Subject, sets},
    sample::is_counted,
};
use crate::model::{cause::Cause, sample::Origin, verdict::Severity};

/// Who has the series in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// All hosts of a VPC.
    Vpc,
    /// Those in one availability zone.
    Zone,
    /// Those in one subnet.
    Subnet,
    /// Nobody: it is one host's.
    Instance,
}

/// When the series has data; CloudWatch bills the hours in which it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// While hosts report, however well they are.
    Steady,
    /// While there is something to say: a cause, a note, a sick host, a loss.
    Trouble,
}

/// One series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The metric.
    pub metric: Name,
    /// Names and values, as in the datums.
    pub dimensions: Vec<(String, String)>,
    /// Who has it in common.
    pub owner: Owner,
    /// When it has data.
    pub presence: Presence,
}

/// Every series that hosts of this origin with these targets can make, in the order of METRICS; none is there twice. What
/// `encode` makes lies in it, whatever the round was.
#[must_use]
pub fn series(settings: &Settings, targets: &[&str], origin: &Origin) -> Vec<Series> {
    let mut found: Vec<Series> = Vec::new();
    for metric in METRICS {
        for subject in subjects(metric, targets) {
            for dimensions in sets(metric, subject, origin, settings) {
                let owner = owner(&dimensions);
                let series = Series { metric: metric.name, dimensions, owner, presence: presence(metric, subject) };
                if !found.contains(&series) {
                    found.push(series);
                }
            }
        }
    }
    found
}

/// All that values of the metric can be about.
fn subjects<'a>(metric: &Metric, targets: &[&'a str]) -> Vec<Subject<'a>> {
    match metric.name {
        Name::Healthy | Name::InstanceHealthy | Name::Heartbeat | Name::Delivered | Name::Lost => vec![Subject::Host],
        Name::Success
        | Name::AddressSuccess
        | Name::ResolveTime
        | Name::ConnectTime
        | Name::HandshakeTime
        | Name::PathMtuOut
        | Name::CertificateDaysLeft => targets.iter().map(|name| Subject::Target(name)).collect(),
        Name::Problems => [Severity::Failure, Severity::Warning, Severity::Note]
            .into_iter()
            .map(Subject::Severity)
            .chain(Cause::ALL.iter().copied().filter(|cause| is_counted(*cause)).map(Subject::Cause))
            .collect(),
    }
}

const fn presence(metric: &Metric, subject: Subject<'_>) -> Presence {
    match (metric.name, subject) {
        (Name::InstanceHealthy | Name::Delivered | Name::Lost, _)
        | (Name::Problems, Subject::Severity(Severity::Note) | Subject::Cause(_)) => Presence::Trouble,
        (
            Name::Healthy
            | Name::Success
            | Name::AddressSuccess
            | Name::ResolveTime
            | Name::ConnectTime
            | Name::HandshakeTime
            | Name::PathMtuOut
            | Name::CertificateDaysLeft
            | Name::Problems
            | Name::Heartbeat,
            _,
        ) => Presence::Steady,
    }
}

fn owner(dimensions: &[(String, String)]) -> Owner {
    let of = |name: &str| match name {
        "InstanceId" => Owner::Instance,
        "SubnetId" => Owner::Subnet,
        "AvailabilityZone" | "AvailabilityZoneId" => Owner::Zone,
        _ => Owner::Vpc,
    };
    dimensions.iter().map(|(name, _)| of(name)).max().unwrap_or(Owner::Vpc)
}
