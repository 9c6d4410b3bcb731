//! When which round is due: ticks on the host's own grid, and a few rounds between them that are wanted sooner.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::clock::Reading;
use crate::{history::News, model::units::Timestamp, schedule::Cadence};

/// Why a round is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The settings are new: the result is wanted now.
    New,
    /// It is on the grid, and goes into the metrics.
    Tick,
    /// A result is to be confirmed.
    Recheck,
}

/// A round that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// Why it is made.
    pub(super) reason: Reason,
    /// The tick under which it is stored, where it is one.
    pub(super) stands_for: Option<Timestamp>,
    /// Ticks since the one before that had no round.
    pub(super) missed: u64,
}

/// When which round is due.
pub(super) struct Timetable {
    cadence: Cadence,
    key: String,
    /// The next tick.
    tick: Instant,
    last: Option<Tick>,
    rechecks: VecDeque<Instant>,
    new: bool,
}

#[derive(Clone, Copy)]
struct Tick {
    began: Instant,
    stands_for: Timestamp,
}

impl Timetable {
    /// The first round is due at once, the first tick on the grid of the host that `key` names.
    pub(super) fn new(interval: Duration, key: String, reading: Reading) -> Self {
        let cadence = Cadence::new(interval, &key, PURPOSE);
        let wait = cadence.next(reading.true_time(), None).wait;
        Self { cadence, key, tick: Instant::now() + wait, last: None, rechecks: VecDeque::new(), new: true }
    }

    /// What spreads this host among others.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// When the next round is due.
    pub(super) fn due(&self) -> Instant {
        if self.new {
            return Instant::now();
        }
        self.rechecks.front().copied().unwrap_or(self.tick).min(self.tick)
    }

    /// A round begins: why, and what it stands for. The next tick is chosen now, so that a round's length moves nothing.
    pub(super) fn begin(&mut self, now: Instant, reading: Reading) -> Begun {
        if self.tick <= now {
            self.new = false;
            let stands_for = self.cadence.nearest(reading.true_time());
            let missed = self.last.map_or(0, |last| self.cadence.missed(last.stands_for, stands_for));
            self.last = Some(Tick { began: now, stands_for });
            self.choose(now, reading);
            return Begun { reason: Reason::Tick, stands_for: Some(stands_for), missed };
        }
        let reason = if std::mem::take(&mut self.new) {
            Reason::New
        } else {
            self.rechecks.pop_front();
            Reason::Recheck
        };
        Begun { reason, stands_for: None, missed: 0 }
    }

    /// A round ended. A tick that went by meanwhile is not made up for.
    pub(super) fn end(&mut self, now: Instant, reading: Reading) {
        if self.tick <= now {
            self.choose(now, reading);
        }
    }

    fn choose(&mut self, now: Instant, reading: Reading) {
        let since = self.last.map(|last| now.saturating_duration_since(last.began));
        self.tick = now + self.cadence.next(reading.true_time(), since).wait;
    }

    /// Looks again soon while a result is not settled: 5 s and 15 s after the round that brought it, unless the next tick
    /// comes before such a round could end.
    pub(super) fn recheck(&mut self, news: &News, reason: Reason, longest: Duration) {
        if !news.unsettled {
            self.rechecks.clear();
        } else if reason != Reason::Recheck {
            let now = Instant::now();
            self.rechecks = RECHECKS.iter().map(|after| now + *after).collect();
        }
        self.rechecks.retain(|at| *at + longest <= self.tick);
    }

    /// There was nothing to look at: again after this, unless a tick comes before.
    pub(super) fn again(&mut self, after: Duration) {
        let at = Instant::now() + after;
        self.rechecks = (at < self.tick).then_some(at).into_iter().collect();
    }

    /// The host's name among others is known now.
    pub(super) fn spread(&mut self, key: String, reading: Reading) {
        self.key = key;
        self.set_cadence(self.cadence.interval(), reading);
    }

    /// Another interval; a round is due at once.
    pub(super) fn take_on(&mut self, interval: Duration, reading: Reading) {
        self.new = true;
        self.rechecks.clear();
        if interval != self.cadence.interval() {
            self.set_cadence(interval, reading);
        }
    }

    fn set_cadence(&mut self, interval: Duration, reading: Reading) {
        self.cadence = Cadence::new(interval, &self.key, PURPOSE);
        self.choose(Instant::now(), reading);
    }
}

const PURPOSE: &str = "rounds";

/// After these times a changed result is looked at again.
const RECHECKS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(15)];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{Begun, Reason, Timetable};
    use crate::{daemon::clock::Reading, history::News, model::units::Timestamp};

    /// A wall clock that goes with tokio's, `ahead` by so much.
    struct Wall {
        start: Instant,
        ahead: i64,
    }

    impl Wall {
        fn read(&self) -> Reading {
            let elapsed = i64::try_from(self.start.elapsed().as_millis()).expect("a short test");
            let wall = Timestamp::from_unix_millis(1_795_000_000_000 + self.ahead + elapsed).expect("a moment");
            Reading { wall, error_s: None, known: false }
        }
    }

    const MINUTE: Duration = Duration::from_mins(1);
    const DEADLINE: Duration = Duration::from_secs(10);

    /// Waits for the next round, which takes so long.
    async fn round(table: &mut Timetable, wall: &Wall, takes: Duration, unsettled: bool) -> (Begun, Instant) {
        advance(table.due().saturating_duration_since(Instant::now())).await;
        let began = Instant::now();
        let round = table.begin(began, wall.read());
        advance(takes).await;
        table.recheck(&News { unsettled, ..News::default() }, round.reason, DEADLINE);
        table.end(Instant::now(), wall.read());
        (round, began)
    }

    fn table(wall: &Wall) -> Timetable {
        Timetable::new(MINUTE, "i-0123456789abcdef0".to_owned(), wall.read())
    }

    #[tokio::test(start_paused = true)]
    async fn no_round_moves_a_tick() {
        let wall = Wall { start: Instant::now(), ahead: 0 };
        let mut table = table(&wall);
        let second = Duration::from_secs(1);
        let (first, began) = round(&mut table, &wall, second, false).await;
        assert_eq!((first.reason, began), (Reason::New, wall.start));
        let (tick, mut last) = round(&mut table, &wall, second, false).await;
        let mut stands_for = tick.stands_for.expect("a tick").unix_millis();
        for takes in [1, 59, 30, 2] {
            let (tick, began) = round(&mut table, &wall, takes * second, false).await;
            assert_eq!(began - last, MINUTE);
            assert_eq!(tick.stands_for.map(Timestamp::unix_millis), Some(stands_for + 60_000));
            (last, stands_for) = (began, stands_for + 60_000);
        }
        // One that takes longer than the interval costs the next its place, and is not made up for.
        round(&mut table, &wall, 70 * second, false).await;
        let (late, began) = round(&mut table, &wall, second, false).await;
        assert_eq!((late.missed, began - last), (1, 3 * MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_looked_at_again_after_5_and_15_seconds() {
        let wall = Wall { start: Instant::now(), ahead: 0 };
        let mut table = table(&wall);
        round(&mut table, &wall, Duration::ZERO, false).await;
        let (tick, began) = round(&mut table, &wall, Duration::from_secs(4), true).await;
        assert_eq!(tick.reason, Reason::Tick);
        let (again, at) = round(&mut table, &wall, Duration::from_secs(1), true).await;
        assert_eq!((again.reason, at - began), (Reason::Recheck, Duration::from_secs(9)));
        let (again, at) = round(&mut table, &wall, Duration::from_secs(1), true).await;
        assert_eq!((again.reason, at - began), (Reason::Recheck, Duration::from_secs(19)));
        let (tick, at) = round(&mut table, &wall, Duration::from_secs(1), true).await;
        assert_eq!((tick.reason, at - began), (Reason::Tick, MINUTE));
        // Settled by the first look: no second one.
        let (again, _) = round(&mut table, &wall, Duration::ZERO, false).await;
        assert_eq!(again.reason, Reason::Recheck);
        let (tick, at) = round(&mut table, &wall, Duration::ZERO, false).await;
        assert_eq!((tick.reason, at - began), (Reason::Tick, 2 * MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_was_nothing_to_look_at_it_is_tried_again_soon_and_moves_no_tick() {
        let wall = Wall { start: Instant::now(), ahead: 0 };
        let mut table = table(&wall);
        round(&mut table, &wall, Duration::ZERO, false).await;
        let (_, tick) = round(&mut table, &wall, Duration::ZERO, false).await;
        for n in 1..=3 {
            table.again(Duration::from_secs(15));
            let (again, at) = round(&mut table, &wall, Duration::ZERO, false).await;
            assert_eq!((again.reason, at - tick), (Reason::Recheck, n * Duration::from_secs(15)));
        }
        table.again(Duration::from_secs(15));
        let (next, at) = round(&mut table, &wall, Duration::ZERO, false).await;
        assert_eq!((next.reason, at - tick), (Reason::Tick, MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_could_reach_into_the_next_tick_is_left_out() {
        let wall = Wall { start: Instant::now(), ahead: 0 };
        let mut table = table(&wall);
        round(&mut table, &wall, Duration::ZERO, false).await;
        round(&mut table, &wall, Duration::from_secs(46), true).await;
        assert_eq!(round(&mut table, &wall, Duration::ZERO, false).await.0.reason, Reason::Tick);
        // Fifty seconds are left: both looks fit; forty-five after the second would not.
        round(&mut table, &wall, Duration::from_secs(36), true).await;
        assert_eq!(round(&mut table, &wall, Duration::ZERO, true).await.0.reason, Reason::Recheck);
        assert_eq!(round(&mut table, &wall, Duration::ZERO, false).await.0.reason, Reason::Tick);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_stacks_nothing() {
        for jump in [86_400_000, -86_400_000, 17_000, -17_000] {
            let mut wall = Wall { start: Instant::now(), ahead: 0 };
            let mut table = table(&wall);
            round(&mut table, &wall, Duration::ZERO, false).await;
            let (_, mut last) = round(&mut table, &wall, Duration::from_secs(1), false).await;
            wall.ahead += jump;
            for _ in 0..4 {
                let (tick, began) = round(&mut table, &wall, Duration::from_secs(1), false).await;
                assert_eq!(tick.reason, Reason::Tick);
                assert!((MINUTE / 2..=3 * MINUTE / 2).contains(&(began - last)), "{jump}: {:?}", began - last);
                last = began;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_interval_is_in_force_at_once() {
        let wall = Wall { start: Instant::now(), ahead: 0 };
        let mut table = table(&wall);
        round(&mut table, &wall, Duration::ZERO, false).await;
        round(&mut table, &wall, Duration::ZERO, false).await;
        table.take_on(Duration::from_hours(24), wall.read());
        let (new, at) = round(&mut table, &wall, Duration::ZERO, false).await;
        assert_eq!((new.reason, at), (Reason::New, Instant::now()));
        table.take_on(Duration::from_secs(10), wall.read());
        round(&mut table, &wall, Duration::ZERO, false).await;
        let (tick, at) = round(&mut table, &wall, Duration::ZERO, false).await;
        assert_eq!(tick.reason, Reason::Tick);
        assert!(at.elapsed() < Duration::from_secs(16));
    }
}
