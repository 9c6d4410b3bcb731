//! The schedule against clocks that run, jump, stand still and lag.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::{Cadence, Due, spread};
use crate::model::units::Timestamp;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR_MS: i64 = 3_600_000;
const START_MS: i64 = 1_795_000_000_123;

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis).expect("within the calendar")
}

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    Duration::from_millis(one.unix_millis().abs_diff(other.unix_millis()))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("short")
}

/// A machine with its two clocks, in milliseconds.
struct Machine {
    wall: i64,
    monotonic: i64,
}

impl Machine {
    fn passes(&mut self, time: i64) {
        self.wall += time;
        self.monotonic += time;
    }

    fn now(&self) -> Timestamp {
        moment(self.wall)
    }
}

#[test]
fn the_numbers_are_the_same_in_every_release() {
    // Computed by another program. Another number here moves every host's ticks with an update.
    assert_eq!(spread("i-0123456789abcdef0", "round"), 0x255a_06d5_599d_a78a);
    assert_eq!(spread("", ""), 0xb903_4ad3_7056_f5fb);
    assert_ne!(spread("ab", "c"), spread("a", "bc"));
}

#[test]
fn ticks_lie_on_the_grid_of_the_host() {
    let cadence = Cadence::new(MINUTE, "i-0123456789abcdef0", "round");
    let due = cadence.next(moment(START_MS), None);
    assert_eq!(due.at.unix_millis() - START_MS, millis(due.wait));
    assert!(due.wait <= MINUTE);
    let phase = due.at.unix_millis().rem_euclid(60_000);
    for later in [1, 7, 50_000, 24 * HOUR_MS + 5] {
        assert_eq!(cadence.next(moment(START_MS + later), None).at.unix_millis().rem_euclid(60_000), phase);
    }
    let other = Cadence::new(MINUTE, "i-0123456789abcdef0", "flush").next(moment(START_MS), None);
    assert_ne!(other.at.unix_millis().rem_euclid(60_000), phase, "each purpose has a phase of its own");
}

#[test]
fn a_tick_that_was_just_begun_is_not_repeated() {
    let cadence = Cadence::new(MINUTE, "a", "round");
    let Due { at, .. } = cadence.next(moment(START_MS), None);
    // The clock was slewed: the timer ends some milliseconds before the moment.
    for early in [0, 1, 20, 29_999] {
        let now = moment(at.unix_millis() - early);
        assert_eq!(cadence.nearest(now), at);
        let next = cadence.next(now, Some(Duration::ZERO));
        assert_eq!(next.at.unix_millis(), at.unix_millis() + 60_000, "{early} ms early");
    }
}

#[test]
fn passed_over_ticks_are_counted() {
    let cadence = Cadence::new(MINUTE, "a", "round");
    let last = cadence.nearest(moment(START_MS)).unix_millis();
    let check = |after: i64, expected: u64| {
        assert_eq!(cadence.missed(moment(last), moment(last + after)), expected, "{after} ms later");
    };
    check(60_000, 0);
    check(120_000, 1);
    check(HOUR_MS, 59);
    check(0, 0);
    check(-HOUR_MS, 0);
}

#[test]
fn the_ends_of_the_calendar_are_no_trouble() {
    let last = moment(253_402_300_799_999);
    let first = moment(-377_705_116_800_000);
    for interval in [Duration::ZERO, Duration::from_nanos(1), MINUTE, Duration::MAX] {
        let cadence = Cadence::new(interval, "a", "round");
        for now in [first, last] {
            for since in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
                assert!(cadence.next(now, since).wait <= cadence.interval() * 3 / 2 + Duration::from_millis(1));
            }
            assert!(apart(cadence.nearest(now), now) <= cadence.interval());
            assert_eq!(cadence.missed(last, first), 0);
            assert!(cadence.missed(first, last) < 700_000_000_000_000);
        }
    }
}

/// The statistic of Pearson's test for 100 equal bins; 99 degrees of freedom.
fn chi_square(phases: impl Iterator<Item = i64>, range: i64, count: f64) -> f64 {
    let mut bins = [0.0_f64; 100];
    for phase in phases {
        bins[usize::try_from(phase * 100 / range).expect("a bin")] += 1.0;
    }
    let expected = count / 100.0;
    bins.iter().map(|bin| (bin - expected).powi(2) / expected).sum()
}

#[test]
fn a_fleet_spreads_evenly() {
    let random = |n: u64| format!("i-{:017x}", spread(&n.to_string(), "id"));
    let counted = |n: u64| format!("i-{n:017x}");
    let named = |n: u64| format!("ip-10-0-{}-{}.eu-west-1.compute.internal", n / 256, n % 256);
    let kinds: [(&str, &dyn Fn(u64) -> String); 3] = [("random", &random), ("counted", &counted), ("named", &named)];
    for (kind, id) in kinds {
        for (purpose, interval) in [("round", 60_000_i64), ("flush", 300_000), ("backfill", 10_000)] {
            let every = Duration::from_millis(interval.unsigned_abs());
            let phases = (0..10_000).map(|n| Cadence::new(every, &id(n), purpose).phase_ms);
            // 99 degrees of freedom: one in a hundred thousand of truly random spreads is above 170, or below 48.
            let statistic = chi_square(phases, interval, 10_000.0);
            assert!((48.0..170.0).contains(&statistic), "{kind} ids, {purpose}: {statistic}");
        }
    }
}

#[test]
fn the_evenness_test_can_fail() {
    let lumpy = (0..10_000_i64).map(|n| (n % 7) * 8_000);
    assert!(chi_square(lumpy, 60_000, 10_000.0) > 170.0);
}

/// What happens between two ticks.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The work takes so long, in milliseconds.
    Works(i64),
    /// The clock is set while work is done.
    JumpsAtWork(i64),
    /// The clock is set during the wait.
    JumpsInWait(i64),
    /// The machine sleeps during the wait: the monotonic clock stands still.
    Sleeps(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let day = 24 * HOUR_MS;
    prop_oneof![
        4 => (0..200_i64).prop_map(Event::Works),
        2 => (0..300_000_i64).prop_map(Event::Works),
        1 => (-day..day).prop_map(Event::JumpsAtWork),
        1 => (-day..day).prop_map(Event::JumpsInWait),
        1 => (-40_000..40_000_i64).prop_map(Event::JumpsInWait),
        1 => Just(Event::Sleeps(HOUR_MS)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_steady_clock_gives_even_ticks(
        interval in 1_000..3_600_000_i64,
        start in 0..4_000_000_000_000_i64,
        key in "[a-z0-9-]{1,20}",
        work in prop::collection::vec(0.0..0.99_f64, 1..50),
    ) {
        let cadence = Cadence::new(Duration::from_millis(interval.unsigned_abs()), &key, "round");
        let mut machine = Machine { wall: start, monotonic: 0 };
        machine.passes(millis(cadence.next(machine.now(), None).wait));
        for share in work {
            let (begun, at) = (machine.monotonic, cadence.nearest(machine.now()));
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "an hour at most")]
            machine.passes((share * interval as f64) as i64);
            let since = Duration::from_millis((machine.monotonic - begun).unsigned_abs());
            let due = cadence.next(machine.now(), Some(since));
            machine.passes(millis(due.wait));
            prop_assert_eq!(machine.monotonic - begun, interval);
            prop_assert_eq!(due.at.unix_millis() - at.unix_millis(), interval);
            prop_assert_eq!(cadence.nearest(machine.now()), due.at);
            prop_assert_eq!(cadence.missed(at, due.at), 0);
        }
    }

    #[test]
    fn no_clock_stacks_or_doubles_ticks(events in prop::collection::vec(event(), 1..60), key in "[a-z0-9-]{1,20}") {
        let interval = 60_000;
        let cadence = Cadence::new(MINUTE, &key, "round");
        let mut machine = Machine { wall: START_MS, monotonic: 0 };
        let mut stood_for = BTreeSet::new();
        let mut is_set_back = false;
        for event in events {
            let begun = machine.monotonic;
            let at = cadence.nearest(machine.now());
            prop_assert_eq!((at.unix_millis() - cadence.phase_ms).rem_euclid(interval), 0);
            prop_assert!(at.unix_millis().abs_diff(machine.wall) <= 30_000);
            prop_assert!(stood_for.insert(at) || is_set_back, "{} twice", at);
            match event {
                Event::Works(time) => machine.passes(time),
                Event::JumpsAtWork(by) => {
                    machine.wall += by;
                    is_set_back |= by < 0;
                }
                Event::JumpsInWait(_) | Event::Sleeps(_) => {}
            }
            let ended = machine.monotonic;
            let since = Duration::from_millis((ended - begun).unsigned_abs());
            let due = cadence.next(machine.now(), Some(since));
            prop_assert!(due.at > machine.now());
            match event {
                Event::JumpsInWait(by) => {
                    machine.wall += by;
                    is_set_back |= by < 0;
                }
                Event::Sleeps(time) => machine.wall += time,
                Event::Works(_) | Event::JumpsAtWork(_) => {}
            }
            machine.passes(millis(due.wait));
            let (from_tick, from_end) = (machine.monotonic - begun, machine.monotonic - ended);
            prop_assert!(from_tick >= interval / 2, "{} ms after the last", from_tick);
            prop_assert!(from_end <= interval * 3 / 2, "{} ms after the work", from_end);
            prop_assert!(from_end >= interval / 2 || ended - begun > 0);
        }
    }
}
