//! The datums of one sample.

use std::collections::BTreeMap;

use super::{
    Datum, Finite, Metric, Name, Settings,
    datum::MOST_VALUES,
    dimensions::{Dimensions, Subject, sets},
    sample::is_up,
};
use crate::model::{
    cause::Cause,
    sample::{AddressSample, Hundredths, Part, Sample, TargetSample},
    verdict::Severity,
};

/// The datums of one part of a sample, in the order of METRICS. Every datum of a sample is in exactly one of its parts;
/// the urgent part of a sample that is not urgent is empty.
#[must_use]
pub fn encode(sample: &Sample, part: Part, settings: &Settings) -> Vec<Datum> {
    if part == Part::Urgent && !sample.condition.is_urgent() {
        return Vec::new();
    }
    let mut found: BTreeMap<(Name, Dimensions), Vec<Finite>> = BTreeMap::new();
    for reading in readings(sample) {
        let metric = reading.name.metric();
        if reading.values.is_empty() || part_of(metric, sample) != part {
            continue;
        }
        for dimensions in sets(metric, reading.subject, &sample.origin, settings) {
            // Two names of targets may be one name to CloudWatch: their values are then one datum's.
            found.entry((reading.name, dimensions)).or_default().extend(&reading.values);
        }
    }
    let mut datums = Vec::new();
    for ((name, dimensions), values) in found {
        for values in tally(values).chunks(MOST_VALUES) {
            datums.push(Datum {
                metric: name,
                dimensions: dimensions.clone(),
                at: sample.tick,
                values: values.to_vec(),
                unit: name.metric().unit,
            });
        }
    }
    datums
}

/// Some values of one metric, all about the same.
struct Reading<'a> {
    name: Name,
    subject: Subject<'a>,
    values: Vec<Finite>,
}

fn part_of(metric: &Metric, sample: &Sample) -> Part {
    if sample.condition.is_urgent() { metric.part } else { Part::Scheduled }
}

fn readings(sample: &Sample) -> Vec<Reading<'_>> {
    let host = |name: Name, values: Option<Finite>| Reading {
        name,
        subject: Subject::Host,
        values: values.into_iter().collect(),
    };
    // A zero that is always there would be a series that is always paid for.
    let some = |count: u32| (count > 0).then(|| Finite::from(count));
    let mut found = vec![
        host(Name::Healthy, Some(Finite::truth(is_up(sample.verdict)))),
        host(Name::InstanceHealthy, sample.condition.instance_healthy().map(Finite::truth)),
        host(Name::Heartbeat, Some(Finite::truth(true))),
        host(Name::Delivered, some(sample.delivered_late)),
        host(Name::Lost, some(sample.lost)),
    ];
    found.extend(sample.targets.iter().flat_map(of_target));
    found.extend(by_severity(sample));
    found.extend(by_cause(sample));
    found
}

fn of_target(target: &TargetSample) -> [Reading<'_>; 7] {
    let reading = |name: Name, values: Vec<Finite>| Reading { name, subject: Subject::Target(&target.name), values };
    let each = |name: Name, value: &dyn Fn(&AddressSample) -> Option<Finite>| {
        reading(name, target.addresses.iter().filter_map(value).collect())
    };
    [
        reading(Name::Success, target.success.map(Finite::truth).into_iter().collect()),
        each(Name::AddressSuccess, &|address| address.success.map(Finite::truth)),
        reading(Name::ResolveTime, target.resolve.and_then(millis).into_iter().collect()),
        each(Name::ConnectTime, &|address| address.connect.and_then(millis)),
        each(Name::HandshakeTime, &|address| address.handshake.and_then(millis)),
        each(Name::PathMtuOut, &|address| address.mtu_out.map(Finite::from)),
        each(Name::CertificateDaysLeft, &|address| address.days_left.map(Finite::from)),
    ]
}

fn millis(hundredths: Hundredths) -> Option<Finite> {
    Finite::new(f64::from(hundredths.0) / 100.0)
}

/// Failures and warnings also where there are none, for alarms that would otherwise not know; notes wake nobody, so that
/// a steady zero of theirs would be paid for nothing.
fn by_severity(sample: &Sample) -> impl Iterator<Item = Reading<'_>> {
    [Severity::Failure, Severity::Warning, Severity::Note].into_iter().filter_map(|severity| {
        let of_it = sample.problems.iter().filter(|problem| problem.severity == severity);
        let count = of_it.fold(0u32, |sum, problem| sum.saturating_add(problem.count));
        let reading =
            Reading { name: Name::Problems, subject: Subject::Severity(severity), values: vec![Finite::from(count)] };
        (count > 0 || severity != Severity::Note).then_some(reading)
    })
}

fn by_cause(sample: &Sample) -> impl Iterator<Item = Reading<'_>> {
    let mut counts: BTreeMap<Cause, u32> = BTreeMap::new();
    for problem in &sample.problems {
        let count = counts.entry(problem.cause).or_default();
        *count = count.saturating_add(problem.count);
    }
    counts.into_iter().map(|(cause, count)| Reading {
        name: Name::Problems,
        subject: Subject::Cause(cause),
        values: vec![Finite::from(count)],
    })
}

/// Distinct values in rising order, with how often each is there.
fn tally(mut values: Vec<Finite>) -> Vec<(Finite, u32)> {
    values.sort_by(|one, other| one.as_f64().total_cmp(&other.as_f64()));
    let mut found: Vec<(Finite, u32)> = Vec::new();
    for value in values {
        match found.last_mut() {
            Some((last, count)) if *last == value => *count = count.saturating_add(1),
            Some(_) | None => found.push((value, 1)),
        }
    }
    found
}
