//! A round in short.

use std::collections::BTreeMap;

use crate::model::{
    cause::{Cause, Scope},
    host::HostFacts,
    observation::{AddressRecord, MtuOutcome},
    round::{AddressReport, Round, TargetReport},
    sample::{AddressSample, Condition, Hundredths, Origin, ProblemCount, Sample, TargetSample},
    units::Timestamp,
    verdict::{RoundVerdict, Severity, Verdict},
};

/// What became of datums since the last sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Delivered, but late.
    pub delivered_late: u32,
    /// Lost.
    pub lost: u32,
}

/// The sample of a scheduled round: `tick` is its scheduled moment, by AWS's clock where this host's is known to be wrong.
#[must_use]
pub fn sample(round: &Round, tick: Timestamp, condition: Condition, counters: Counters) -> Sample {
    sample_since(round, tick, condition, counters, round.started_at)
}

/// As [`sample`], with what was measured from `since` on: rounds between two ticks have no sample of their own, and what
/// one of them measured would else be told by none.
#[must_use]
pub fn sample_since(
    round: &Round,
    tick: Timestamp,
    condition: Condition,
    counters: Counters,
    since: Timestamp,
) -> Sample {
    Sample {
        tick,
        origin: origin(&round.host),
        verdict: round.verdict,
        condition,
        targets: round.targets.iter().map(|report| target(report, since.min(round.started_at))).collect(),
        problems: problems(round),
        delivered_late: counters.delivered_late,
        lost: counters.lost,
    }
}

/// Where this host is, as far as it is known.
#[must_use]
pub fn origin(host: &HostFacts) -> Origin {
    Origin {
        instance_id: host.instance_id.clone(),
        region: host.region.clone(),
        vpc_id: host.vpc_id.clone(),
        subnet_id: host.subnet_id.clone(),
        availability_zone: host.availability_zone.clone(),
        availability_zone_id: host.availability_zone_id.clone(),
    }
}

/// Whether `Healthy` is 1: the hosts of a VPC where no required target fails.
pub(super) const fn is_up(verdict: RoundVerdict) -> bool {
    match verdict {
        RoundVerdict::Healthy | RoundVerdict::Degraded => true,
        RoundVerdict::Failed => false,
    }
}

/// Whether a problem of this cause counts: the host's and the delivery's own stand outside the verdict, and so outside the
/// count.
pub(super) const fn is_counted(cause: Cause) -> bool {
    match cause.scope() {
        Scope::Stage(_) | Scope::Target | Scope::Across => true,
        Scope::Host | Scope::Shipping => false,
    }
}

fn target(report: &TargetReport, started_at: Timestamp) -> TargetSample {
    TargetSample {
        name: report.target.name.clone(),
        success: success(report.verdict),
        resolve: report.resolve.outcome.is_ok().then(|| report.resolve.elapsed_ms.into()),
        addresses: report.addresses.iter().map(|address| self::address(address, report.verdict, started_at)).collect(),
    }
}

fn address(report: &AddressReport, target: Verdict, started_at: Timestamp) -> AddressSample {
    let record = &report.record;
    let connect = record.connect.as_ref().filter(|connect| connect.outcome.is_ok());
    let handshake = record.tls.as_ref().filter(|tls| tls.outcome.is_ok());
    AddressSample {
        // What is no endpoint's has no share in the endpoint's live interfaces.
        success: success(target).and(success(report.verdict)),
        connect: connect.map(|connect| Hundredths::from(connect.elapsed_ms)),
        handshake: handshake.map(|tls| Hundredths::from(tls.elapsed_ms)),
        mtu_out: mtu_out(record, started_at),
        days_left: record.tls.as_ref().and_then(|tls| tls.days_left).map(saturated),
    }
}

const fn success(verdict: Verdict) -> Option<bool> {
    match verdict {
        Verdict::Skipped => None,
        Verdict::Healthy | Verdict::Degraded => Some(true),
        Verdict::Failed => Some(false),
    }
}

/// The size that this very round proved: a carried one would look like ten measurements.
fn mtu_out(record: &AddressRecord, started_at: Timestamp) -> Option<u32> {
    let mtu = record.mtu.as_ref()?;
    match mtu.outcome {
        MtuOutcome::Ok
        | MtuOutcome::Clamped
        | MtuOutcome::ReliesOnIcmp
        | MtuOutcome::BlackholeOut
        | MtuOutcome::BlackholeIn
        | MtuOutcome::BlackholeBoth => mtu.out_ok.filter(|_| mtu.measured_at >= started_at),
        // What passed by chance before the doubt began says nothing about the path.
        MtuOutcome::Inconclusive | MtuOutcome::NotTried => None,
    }
}

fn saturated(days: i64) -> i32 {
    i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
}

/// Each problem of a target counts, and each finding whose cause no target has: a conclusion over several targets. A
/// finding that merely repeats its target's problem does not count twice.
fn problems(round: &Round) -> Vec<ProblemCount> {
    let mut counts: BTreeMap<(Cause, Severity), u32> = BTreeMap::new();
    let of_targets = || round.targets.iter().flat_map(|target| &target.problems);
    let own = of_targets().map(|problem| (problem.cause, problem.severity));
    let across = round.findings.iter().map(|finding| (finding.cause, finding.severity));
    let across = across.filter(|(cause, _)| of_targets().all(|problem| problem.cause != *cause));
    for (cause, severity) in own.chain(across).filter(|(cause, _)| is_counted(*cause)) {
        *counts.entry((cause, severity)).or_default() += 1;
    }
    counts.into_iter().map(|((cause, severity), count)| ProblemCount { cause, severity, count }).collect()
}
