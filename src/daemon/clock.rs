//! What time it is, by AWS's clock where this host's is known to be wrong.
//!
//! The `Date` of an AWS answer fixes AWS's time to a clock that nobody sets. From then on a step of the wall clock, however far,
//! changes neither the ticks nor the moments under which metrics are stored.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::model::{round::Round, units::Timestamp};

/// This host's clock minus AWS's as one round saw it, in seconds, where that is more than the measurement's own error.
#[must_use]
pub fn clock_error(round: &Round) -> Option<f64> {
    skew(round).filter(|error| error.abs() >= NOTICEABLE)
}

/// Both clocks, and what is known of the difference to AWS's.
#[derive(Debug)]
pub(super) struct Clock {
    /// AWS's time when this host was started, by the clock that counts sleep as well.
    aws: Option<OffsetDateTime>,
    /// Both clocks at the last look for a step.
    last: Option<(Timestamp, Duration)>,
}

/// The clocks read at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    /// The wall clock.
    pub(super) wall: Timestamp,
    /// The wall clock minus AWS's, in seconds, where that is more than the measurement's own error.
    pub(super) error_s: Option<f64>,
    /// Whether AWS's time is known at all.
    pub(super) known: bool,
}

impl Reading {
    /// AWS's time, as far as it is known.
    pub(super) fn true_time(self) -> Timestamp {
        let error = time::Duration::saturating_seconds_f64(self.correction_s().unwrap_or(0.0));
        self.wall.moment().checked_sub(error).map_or(self.wall, Timestamp::new)
    }

    /// What is to be taken off the wall clock, in seconds: nothing where it is right; `None` where nobody knows.
    pub(super) fn correction_s(self) -> Option<f64> {
        self.known.then(|| self.error_s.unwrap_or(0.0))
    }
}

impl Clock {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self { aws: None, last: None }
    }

    /// Reads both clocks.
    pub(super) fn read(&self) -> Reading {
        self.reading(Timestamp::now(), since_boot())
    }

    /// Learns from the answers of a round that began at `start`.
    pub(super) fn learn(&mut self, round: &Round, start: Instant) {
        if let Some(skew) = skew(round) {
            let wall = round.started_at.moment();
            let began = time::Duration::try_from(since_boot().saturating_sub(start.elapsed())).ok();
            let skew = time::Duration::saturating_seconds_f64(skew);
            // A `Date` at the end of the calendar is nobody's time.
            self.aws = began.and_then(|began| wall.checked_sub(skew)?.checked_sub(began)).or(self.aws);
        }
    }

    /// By how much the wall clock was set since the last call.
    pub(super) fn step(&mut self) -> Option<time::Duration> {
        let (now, boot) = (Timestamp::now(), since_boot());
        let (wall, earlier) = self.last.replace((now, boot))?;
        let passed = time::Duration::try_from(boot.saturating_sub(earlier)).ok()?;
        let step = (now.moment() - wall.moment()).checked_sub(passed)?;
        (step.abs() >= STEP).then_some(step)
    }

    fn reading(&self, wall: Timestamp, elapsed: Duration) -> Reading {
        let elapsed = time::Duration::try_from(elapsed).ok();
        let aws = self.aws.and_then(|aws| aws.checked_add(elapsed?));
        let error = aws.map(|aws| (wall.moment() - aws).as_seconds_f64());
        Reading { wall, error_s: error.filter(|error| error.abs() >= NOTICEABLE), known: error.is_some() }
    }
}

/// Since this host was started, sleep included.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// This host's clock minus AWS's, in seconds: the median over the answers that are marked as AWS's.
fn skew(round: &Round) -> Option<f64> {
    let records =
        round.targets.iter().flat_map(|target| &target.addresses).filter_map(|seen| seen.record.http.as_ref());
    let mut skews: Vec<f64> =
        records.filter(|http| http.aws == Some(true)).filter_map(|http| http.clock_skew_s).collect();
    skews.sort_by(f64::total_cmp);
    skews.get(skews.len() / 2).copied()
}

/// `Date` has whole seconds, and travels for some: below this an error cannot be told from the measurement's own, and no
/// signature and no period of a metric notices it.
const NOTICEABLE: f64 = 5.0;

/// Between two rounds no clock drifts so far.
const STEP: time::Duration = time::Duration::seconds(2);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::OffsetDateTime;

    use super::{Clock, Reading};
    use crate::model::units::Timestamp;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(1_795_000_000_000 + seconds * 1000).expect("a moment")
    }

    fn check(aws: Option<i64>, wall: i64, elapsed: u64, expected: Option<f64>, told: i64) {
        let clock = Clock { aws: aws.map(|seconds| at(seconds).moment()), last: None };
        let reading = clock.reading(at(wall), Duration::from_secs(elapsed));
        assert_eq!(reading, Reading { wall: at(wall), error_s: expected, known: aws.is_some() });
        assert_eq!(reading.correction_s(), aws.map(|_| expected.unwrap_or(0.0)));
        assert_eq!(reading.true_time(), at(told));
    }

    #[test]
    fn the_end_of_the_calendar_is_no_panic() {
        let last = OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT);
        let clock = Clock { aws: Some(last), last: None };
        let reading = clock.reading(at(0), Duration::from_hours(48));
        assert_eq!((reading.known, reading.true_time()), (false, at(0)));
        let far = clock.reading(at(0), Duration::ZERO);
        assert_eq!(far.true_time().moment().date(), time::Date::MAX);
    }

    #[test]
    fn a_step_of_the_wall_clock_is_seen_against_the_monotonic_one() {
        check(None, 60, 60, None, 60);
        // In step, and within the measurement's error.
        check(Some(0), 60, 60, None, 60);
        check(Some(0), 64, 60, None, 64);
        // Wrong from the start, or set forward and back by a day on the way.
        check(Some(-600), 60, 60, Some(600.0), -540);
        check(Some(0), 86_460, 60, Some(86_400.0), 60);
        check(Some(0), -86_340, 60, Some(-86_400.0), 60);
    }
}
