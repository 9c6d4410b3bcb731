//! How fast data go to CloudWatch when not everything can go at once. Pure: chance is a value.
//!
//! The quota (500 `PutMetricData` a second) belongs to the account, so the fleet has to stay below it without a word
//! between its hosts: `examples/fleet.rs` shows that 10,000 of them do, after an hour without CloudWatch too.

use std::time::Duration;

/// The waits between requests. All follow from the flush interval; one above 300 s counts as 300 s, so that a long one
/// does not make recovery slow, and a short one (a test's) makes everything fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    unit: Duration,
}

/// Why a request did not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Nothing arrived: no credentials, no name, no connection. Costs CloudWatch nothing.
    Failed,
    /// It arrived, or may have: an answer that speaks of trouble there, or none at all.
    Erring,
    /// An answer that says: less. `retry_after` is what its header says, if it does.
    Throttled {
        /// At least so long.
        retry_after: Option<Duration>,
    },
}

impl Pace {
    /// The waits for this flush interval.
    #[must_use]
    pub fn new(flush_interval: Duration) -> Self {
        Self { unit: flush_interval.min(LONGEST) }
    }

    /// How long to wait after the `failures`th request in a row (the first is 1) that did not deliver. Nothing is sent
    /// meanwhile, whatever is new.
    ///
    /// Where nothing arrives, any time up to 5 s, then 10 s, 20 s … 300 s ("full jitter": the hosts that failed together
    /// do not come back together). Where CloudWatch has trouble, at least 60 s: up to 120 s, then 180 s, then
    /// 300 s; else 10,000 sick hosts would ask it 800 times a second just then. After throttling 150 s to 300 s at once,
    /// since a fleet that asks again soon is what the quota is there to stop; longer where the answer says so, up to 300 s
    /// and the same chance on top.
    #[must_use]
    pub fn retry(&self, setback: Setback, failures: u32, chance: &mut Chance) -> Duration {
        match setback {
            Setback::Failed => chance.below(doubled(self.unit / FIRST, failures).min(self.unit)),
            Setback::Erring => {
                let least = self.unit / 5;
                least + chance.below(doubled(least, failures).min(self.unit * 4 / 5))
            }
            Setback::Throttled { retry_after } => {
                let least = retry_after.unwrap_or_default().clamp(self.unit / 2, self.unit);
                least + chance.below(self.unit / 2)
            }
        }
    }

    /// From one half of a request to the next, where some datum of it is not taken: 10 s to 30 s. To find one in 1,000 takes
    /// some twenty requests, and the whole fleet may have the same to look for.
    #[must_use]
    pub fn half(&self, chance: &mut Chance) -> Duration {
        self.unit / 30 + chance.below(self.unit / 15)
    }

    /// From one request of backfill to the next: 90 s, ±50 %. For a host that sends nothing urgent.
    #[must_use]
    pub fn backfill(&self, chance: &mut Chance) -> Duration {
        let spacing = self.unit * 3 / 10;
        spacing / 2 + chance.below(spacing)
    }

    /// The same while urgent data go out with every round: 30 min, ±50 %, because a fleet that is sick needs most of what
    /// it may send for that. Not never: a host may be sick for longer than CloudWatch takes old data. To be drawn anew,
    /// by [`Pace::backfill`], once the host has recovered.
    #[must_use]
    pub fn backfill_beside_urgent(&self, chance: &mut Chance) -> Duration {
        let spacing = self.unit * 6;
        spacing / 2 + chance.below(spacing)
    }
}

fn doubled(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
}

/// A source of chance (Steele, Lea, Flood: `SplitMix64`). Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of this seed. Hosts need different ones: [`spread`](crate::schedule::spread) of the host's name.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any time from zero up to `bound`.
    fn below(&mut self, bound: Duration) -> Duration {
        let share = u128::from(self.draw());
        // Bounds are some hundred seconds: the product has room, and the quotient is below the bound.
        let nanos = bound.as_nanos().saturating_mul(share) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The default flush interval: what all waits are parts of.
const LONGEST: Duration = Duration::from_mins(5);
/// The first bound of a retry is this part of the last one.
const FIRST: u32 = 60;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Chance, Pace, Setback};

    const FLUSH: Duration = Duration::from_mins(5);
    const THROTTLED: Setback = Setback::Throttled { retry_after: None };

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The shortest, the mean and the longest of many.
    fn extent(mut draw: impl FnMut(&mut Chance) -> Duration) -> (f64, f64, f64) {
        let mut chance = Chance::new(7);
        let draws: Vec<f64> = (0..4_000).map(|_| draw(&mut chance).as_secs_f64()).collect();
        let mean = draws.iter().sum::<f64>() / 4_000.0;
        (draws.iter().copied().fold(f64::INFINITY, f64::min), mean, draws.iter().copied().fold(0.0, f64::max))
    }

    fn check(measured: (f64, f64, f64), low: f64, high: f64) {
        let (least, mean, most) = measured;
        let slack = (high - low) * 0.03;
        assert!((low..low + slack).contains(&least), "{measured:?} for {low} to {high}");
        assert!((high - slack..=high).contains(&most), "{measured:?} for {low} to {high}");
        assert!((mean - f64::midpoint(low, high)).abs() < slack, "{measured:?} for {low} to {high}");
    }

    #[test]
    fn retries_are_spread_over_bounds_that_double_up_to_the_flush_interval() {
        let pace = Pace::new(FLUSH);
        for (failures, bound) in [(0, 5.0), (1, 5.0), (2, 10.0), (3, 20.0), (6, 160.0), (7, 300.0), (u32::MAX, 300.0)] {
            check(extent(|chance| pace.retry(Setback::Failed, failures, chance)), 0.0, bound);
        }
    }

    #[test]
    fn a_service_in_trouble_is_left_alone_for_a_minute() {
        let pace = Pace::new(FLUSH);
        for (failures, bound) in [(0, 120.0), (1, 120.0), (2, 180.0), (3, 300.0), (u32::MAX, 300.0)] {
            check(extent(|chance| pace.retry(Setback::Erring, failures, chance)), 60.0, bound);
        }
    }

    #[test]
    fn throttling_is_obeyed_at_once_and_within_bounds() {
        let pace = Pace::new(FLUSH);
        let after = |seconds| Setback::Throttled { retry_after: Some(secs(seconds)) };
        for (setback, low) in [(THROTTLED, 150.0), (after(1), 150.0), (after(200), 200.0), (after(86_400), 300.0)] {
            check(extent(|chance| pace.retry(setback, 1, chance)), low, low + 150.0);
        }
        assert!(
            pace.retry(Setback::Throttled { retry_after: Some(Duration::MAX) }, 1, &mut Chance::new(1)) <= secs(450)
        );
    }

    #[test]
    fn backfill_and_halves_are_spaced_with_jitter() {
        check(extent(|chance| Pace::new(FLUSH).half(chance)), 10.0, 30.0);
        check(extent(|chance| Pace::new(FLUSH).backfill(chance)), 45.0, 135.0);
        check(extent(|chance| Pace::new(FLUSH).backfill_beside_urgent(chance)), 900.0, 2_700.0);
    }

    #[test]
    fn a_short_flush_interval_makes_everything_fast_and_a_long_one_nothing_slow() {
        let short = Pace::new(secs(3));
        check(extent(|chance| short.retry(Setback::Failed, 1, chance)), 0.0, 0.05);
        check(extent(|chance| short.retry(Setback::Failed, 20, chance)), 0.0, 3.0);
        check(extent(|chance| short.retry(THROTTLED, 1, chance)), 1.5, 3.0);
        check(extent(|chance| short.backfill(chance)), 0.45, 1.35);
        assert_eq!(Pace::new(secs(3_600)), Pace::new(FLUSH));
        let none = Pace::new(Duration::ZERO);
        assert_eq!(none.retry(Setback::Failed, 9, &mut Chance::new(1)), Duration::ZERO);
        assert_eq!(none.backfill(&mut Chance::new(1)), Duration::ZERO);
    }

    #[test]
    fn the_same_seed_gives_the_same_waits_and_another_one_others() {
        let waits = |seed| {
            let mut chance = Chance::new(seed);
            (0..20).map(|_| Pace::new(FLUSH).backfill(&mut chance)).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
