//! Which periods fit the schedule on which the data arrive.

use std::time::Duration;

/// Periods in seconds, each a multiple of 60.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// Of an alarm over what goes out at once: every period holds a round of every host.
    pub(super) urgent: u64,
    /// Of an alarm over what goes out on the schedule: twice the flush, so that only the newest period is incomplete.
    pub(super) scheduled: u64,
    /// Of the count of hosts: likewise, and a whole number of rounds.
    pub(super) counting: u64,
    /// Rounds that each host makes in `counting`.
    pub(super) rounds: u64,
    /// Whether `counting` holds exactly as many; else one more now and then.
    pub(super) exact: bool,
}

impl Rhythm {
    pub(super) fn of(interval: Duration, flush: Duration) -> Self {
        let scheduled = whole_minutes(flush * 2);
        let least = scheduled.max(SHORTEST_COUNT);
        let interval_ms = interval.as_millis().max(1);
        let holds_whole_rounds = |period: &u64| (u128::from(*period) * 1000).is_multiple_of(interval_ms);
        let fitting = (least..=least + FARTHEST).step_by(60).find(holds_whole_rounds);
        let counting = fitting.unwrap_or(least);
        // Rounded down: a host never makes fewer, so the count never invents a silent one.
        let rounds = u64::try_from(u128::from(counting) * 1000 / interval_ms).unwrap_or(u64::MAX).max(1);
        Self { urgent: whole_minutes(interval), scheduled, counting, rounds, exact: fitting.is_some() }
    }
}

fn whole_minutes(duration: Duration) -> u64 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    seconds.div_ceil(60).max(1) * 60
}

/// A host that reboots is away for up to half of this, which is not yet silence.
const SHORTEST_COUNT: u64 = 600;
/// How much longer a period may become for the sake of whole rounds.
const FARTHEST: u64 = 3600;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rhythm;

    #[test]
    fn every_period_fits_its_schedule() {
        fn check(interval: u64, flush: u64, (urgent, scheduled, counting, rounds, exact): (u64, u64, u64, u64, bool)) {
            let rhythm = Rhythm::of(Duration::from_secs(interval), Duration::from_secs(flush));
            assert_eq!(rhythm, Rhythm { urgent, scheduled, counting, rounds, exact }, "{interval} {flush}");
            assert!(rhythm.scheduled >= 2 * flush && rhythm.counting >= 2 * flush && rhythm.urgent >= interval);
        }
        check(60, 300, (60, 600, 600, 10, true));
        check(10, 10, (60, 60, 600, 60, true));
        check(45, 300, (60, 600, 720, 16, true));
        check(90, 300, (120, 600, 720, 8, true));
        check(61, 300, (120, 600, 3660, 60, true));
        check(127, 300, (180, 600, 600, 4, false));
        check(3600, 3600, (3600, 7200, 7200, 2, true));
    }

    #[test]
    fn a_part_of_a_second_counts_as_one() {
        let rhythm = Rhythm::of(Duration::from_millis(60_500), Duration::from_millis(300_500));
        assert_eq!((rhythm.urgent, rhythm.scheduled), (120, 660));
    }
}
