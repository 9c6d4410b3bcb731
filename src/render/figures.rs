//! The numbers of a report that more than one format shows, computed in one place so that the formats agree.

use crate::model::{
    cause::Stage,
    observation::{AddressRecord, Outcome},
    round::{Round, TargetReport},
    units::Millis,
    verdict::{Severity, Verdict},
};

/// How many targets have which verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) healthy: usize,
    pub(super) degraded: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl Tally {
    /// Counts a round's targets.
    pub(super) fn of(round: &Round) -> Self {
        let mut tally = Self::default();
        for target in &round.targets {
            match target.verdict {
                Verdict::Skipped => tally.skipped += 1,
                Verdict::Healthy => tally.healthy += 1,
                Verdict::Degraded => tally.degraded += 1,
                Verdict::Failed => tally.failed += 1,
            }
        }
        tally
    }

    /// All targets.
    pub(super) const fn all(self) -> usize {
        self.healthy + self.degraded + self.failed + self.skipped
    }
}

/// Whether the address carried the probe to its end.
pub(super) const fn is_live(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Healthy | Verdict::Degraded => true,
        Verdict::Skipped | Verdict::Failed => false,
    }
}

/// Whether the target needs an explanation: it is broken, or was not judged for a reason that is no mere note.
pub(super) fn is_wrong(report: &TargetReport) -> bool {
    match report.verdict {
        Verdict::Failed | Verdict::Degraded => true,
        Verdict::Skipped => report.cause.is_some_and(|cause| cause.severity() != Severity::Note),
        Verdict::Healthy => false,
    }
}

/// Whether a finding that is no mere note names the target.
pub(super) fn is_explained(report: &TargetReport, round: &Round) -> bool {
    round
        .findings
        .iter()
        .any(|finding| finding.severity != Severity::Note && finding.targets.contains(&report.target.name))
}

/// Live addresses of those that were judged; `None` when none was. Skipped ones (IPv6 answers on a host without IPv6)
/// do not count: they are no fault.
pub(super) fn live(target: &TargetReport) -> Option<(usize, usize)> {
    let judged = target.addresses.iter().filter(|address| address.verdict != Verdict::Skipped).count();
    let live = target.addresses.iter().filter(|address| is_live(address.verdict)).count();
    (judged > 0).then_some((live, judged))
}

/// One stage of one address: how it ended and when. `None` when it was not reached. Path-MTU has outcomes of its own.
pub(super) fn stage(record: &AddressRecord, stage: Stage) -> Option<(Outcome, Millis)> {
    match stage {
        Stage::Connect => record.connect.as_ref().map(|record| (record.outcome, record.elapsed_ms)),
        Stage::Tls => record.tls.as_ref().map(|record| (record.outcome, record.elapsed_ms)),
        Stage::Http => record.http.as_ref().map(|record| (record.outcome, record.elapsed_ms)),
        Stage::Resolve | Stage::Classify | Stage::Mtu => None,
    }
}

/// The stages that [`stage`] knows, in the order of a probe.
pub(super) const TIMED: [Stage; 3] = [Stage::Connect, Stage::Tls, Stage::Http];

/// The slowest address's time at a stage, and whether any address failed there; `None` when none reached it.
pub(super) fn slowest(target: &TargetReport, at: Stage) -> Option<(Outcome, Millis)> {
    if at == Stage::Resolve {
        return Some((target.resolve.outcome, target.resolve.elapsed_ms));
    }
    let reached = || target.addresses.iter().filter_map(|address| stage(&address.record, at));
    let (_, slowest) = reached().max_by(|(_, a), (_, b)| a.as_f64().total_cmp(&b.as_f64()))?;
    let outcome = reached().map(|(outcome, _)| outcome).find(|outcome| !outcome.is_ok()).unwrap_or(Outcome::Ok);
    Some((outcome, slowest))
}

/// From the question to the last answer by way of the slowest live address, in milliseconds; `None` when no address is
/// live: the time of a failure is the length of our patience, not the network's.
pub(super) fn total_ms(target: &TargetReport) -> Option<f64> {
    let slowest = target
        .addresses
        .iter()
        .filter(|address| is_live(address.verdict))
        .map(|address| TIMED.iter().filter_map(|at| stage(&address.record, *at)).map(|(_, ms)| ms.as_f64()).sum())
        .max_by(f64::total_cmp)?;
    Some(target.resolve.elapsed_ms.as_f64() + slowest)
}

/// The largest packet that passes, in bytes, on the way to or from that address which passes least: what is proven
/// outwards, and beside a hole inwards what is proven there too. `None` when none was measured.
pub(super) fn path_mtu(target: &TargetReport) -> Option<u32> {
    let records = target.addresses.iter().filter_map(|address| address.record.mtu.as_ref());
    records.flat_map(|mtu| [mtu.out_ok, mtu.in_ok]).flatten().min()
}

/// Milliseconds as a bare number with the digits that matter: `0.41`, `41.2`, `412`.
pub(super) fn bare_ms(ms: f64) -> String {
    if ms < 9.995 {
        format!("{ms:.2}")
    } else if ms < 99.95 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

/// A time with its unit: `0.41 ms`, `412 ms`, `4.02 s`.
pub(super) fn elapsed(ms: Millis) -> String {
    let ms = ms.as_f64();
    if ms < 999.5 { format!("{} ms", bare_ms(ms)) } else { format!("{:.2} s", ms / 1000.0) }
}

/// A span of time in the two units that matter: `45 s`, `6 min`, `3 h 20 min`, `2 d 4 h`.
pub(super) fn span(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float-to-integer cast saturates, and NaN gives 0"
    )]
    let seconds = seconds.abs().round() as u64;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        172_800.. => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bare_ms, elapsed, span};

    #[test]
    fn three_digits_are_enough() {
        for (ms, expected) in [
            (0.0, "0.00"),
            (0.414, "0.41"),
            (9.994, "9.99"),
            (9.996, "10.0"),
            (41.237, "41.2"),
            (99.96, "100"),
            (4001.7, "4002"),
        ] {
            assert_eq!(bare_ms(ms), expected);
        }
        assert_eq!(elapsed(Duration::from_micros(999_600).into()), "1.00 s");
        assert_eq!(elapsed(Duration::from_micros(412_300).into()), "412 ms");
    }

    #[test]
    fn a_span_has_at_most_two_units() {
        for (seconds, expected) in [
            (0.4, "0 s"),
            (119.0, "119 s"),
            (432.0, "7 min"),
            (12_000.0, "3 h 20 min"),
            (187_200.0, "2 d 4 h"),
            (-432.0, "7 min"),
            (f64::NAN, "0 s"),
            (f64::INFINITY, "213503982334601 d 7 h"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }
}
