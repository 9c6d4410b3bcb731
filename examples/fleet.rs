//! A simulation of 10,000 hosts that share one account's quota of 500 `PutMetricData` a second (CloudWatch service quotas),
//! by the daemon's own [`Cadence`] and [`Agenda`]: none of the cases may come above half of it in any second.
//!
//! ```text
//! cargo run --release --example fleet
//! ```
//!
//! What a host has to send: at each flush (300 s, a phase of its own) what the rounds brought; while it is sick, something
//! urgent with each round (60 s, a phase of its own) besides. After the outage the rest waits: 60 rounds of 55 datums are
//! four requests of up to 1,000 datums. When which of it goes is what the agenda says, which is the real one.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::{fmt, ops::Range, process::ExitCode, thread, time::Duration};

use tokio::time::Instant;
use vpce_probe::{
    deliver::{
        agenda::{Agenda, Errand, Mood, Step, Stock},
        pace::{Chance, Pace, Setback},
    },
    model::units::Timestamp,
    schedule::{Cadence, spread},
};

fn main() -> ExitCode {
    let outcomes = outcomes();
    println!("{HOSTS} hosts of one account: requests a second in the busiest second (and on average)");
    println!("{:34} {:>10} {:>10} {:>10} {:>10} {:>10}", "", "before", "trouble", "next 15'", "the rest", "caught up");
    for outcome in &outcomes {
        println!("{outcome}");
    }
    let worst = outcomes.iter().map(Outcome::peak).max().unwrap_or(0);
    println!("the busiest second of all: {worst} requests, {} % of the {QUOTA} that are allowed", worst * 100 / QUOTA);
    if worst <= QUOTA / 2 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn outcomes() -> Vec<Outcome> {
    thread::scope(|scope| {
        let played: Vec<_> = CASES.iter().map(|case| scope.spawn(|| play(case))).collect();
        played.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// One story: ten minutes before, an hour of trouble, an hour after.
struct Case {
    title: &'static str,
    /// What a request meets during the hour of trouble.
    cloudwatch: Weather,
    /// When all hosts are sick, so that each round is urgent.
    sick: Sick,
}

/// What CloudWatch does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// It answers.
    Fine,
    /// Nobody reaches it: a request costs it nothing.
    Unreachable,
    /// It answers with errors.
    Erring,
    /// It throttles everybody.
    Throttling,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sick {
    Never,
    /// During the hour of trouble; one round more, the first recovered one, goes at once as well.
    InTrouble,
    /// From the trouble on, to the end.
    FromThenOn,
}

const CASES: [Case; 10] = [
    Case { title: "all well", cloudwatch: Weather::Fine, sick: Sick::Never },
    Case { title: "SSM down", cloudwatch: Weather::Fine, sick: Sick::InTrouble },
    Case { title: "CloudWatch away, hosts well", cloudwatch: Weather::Unreachable, sick: Sick::Never },
    Case { title: "CloudWatch away, so hosts sick", cloudwatch: Weather::Unreachable, sick: Sick::InTrouble },
    Case { title: "CloudWatch away, SSM stays down", cloudwatch: Weather::Unreachable, sick: Sick::FromThenOn },
    Case { title: "CloudWatch errs, hosts well", cloudwatch: Weather::Erring, sick: Sick::Never },
    Case { title: "CloudWatch errs, SSM down", cloudwatch: Weather::Erring, sick: Sick::InTrouble },
    Case { title: "CloudWatch errs, SSM stays down", cloudwatch: Weather::Erring, sick: Sick::FromThenOn },
    Case { title: "CloudWatch throttles, hosts well", cloudwatch: Weather::Throttling, sick: Sick::Never },
    Case { title: "CloudWatch throttles, SSM down", cloudwatch: Weather::Throttling, sick: Sick::InTrouble },
];

const HOSTS: u64 = 10_000;
const QUOTA: u32 = 500;
const INTERVAL: Duration = Duration::from_mins(1);
const FLUSH: Duration = Duration::from_mins(5);
/// Datums of a round with six targets, and of a request.
const DATUMS: u32 = 55;
const REQUEST: u32 = 1_000;
/// By the simulation's clock, in milliseconds.
const TROUBLE: Range<i64> = 600_000..4_200_000;
const END: i64 = 7_800_000;
const PARTS: [Range<i64>; 4] =
    [0..TROUBLE.start, TROUBLE, TROUBLE.end..TROUBLE.end + 900_000, TROUBLE.end + 900_000..END];
/// Where the simulation's clock starts by the wall: any moment will do.
const EPOCH: i64 = 1_795_000_000_000;

/// What happened.
struct Outcome {
    title: &'static str,
    /// The busiest second and the average in each of [`PARTS`].
    parts: Vec<(u32, f64)>,
    /// From the end of the trouble until the last host had nothing late left; `None` if one still has.
    caught_up: Option<Duration>,
}

impl Outcome {
    fn peak(&self) -> u32 {
        self.parts.iter().map(|(peak, _)| *peak).max().unwrap_or(0)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:34}", self.title)?;
        for (peak, mean) in &self.parts {
            write!(f, " {:>10}", format!("{peak} ({mean:.0})"))?;
        }
        match self.caught_up {
            Some(after) => write!(f, " {:>8} s", after.as_secs()),
            None => write!(f, " {:>10}", "not yet"),
        }
    }
}

fn play(case: &Case) -> Outcome {
    let mut seconds = vec![0_u32; usize::try_from(END / 1_000).unwrap_or(0)];
    let mut caught_up = Some(TROUBLE.end);
    for n in 0..HOSTS {
        let mut host = Host::new(n);
        host.live(case, &mut |at| {
            if let Some(count) = usize::try_from(at / 1_000).ok().and_then(|second| seconds.get_mut(second)) {
                *count += 1;
            }
        });
        caught_up = caught_up.filter(|_| host.late == 0).map(|last| last.max(host.caught_up));
    }
    let part = |part: &Range<i64>| {
        let second = |at: i64| usize::try_from(at / 1_000).unwrap_or(0);
        let counts = seconds.get(second(part.start)..second(part.end)).unwrap_or_default();
        let peak = counts.iter().copied().max().unwrap_or(0);
        (
            peak,
            f64::from(counts.iter().sum::<u32>()) * 1_000.0
                / f64::from(i32::try_from(part.end - part.start).unwrap_or(1)),
        )
    };
    let after = |at: i64| Duration::from_millis(u64::try_from(at - TROUBLE.end).unwrap_or(0));
    Outcome { title: case.title, parts: PARTS.iter().map(part).collect(), caught_up: caught_up.map(after) }
}

/// One host; all times in milliseconds of the simulation's clock.
struct Host {
    /// The next round and the next flush.
    round: i64,
    flush: i64,
    /// The simulation's beginning, by the agenda's clock.
    start: Instant,
    agenda: Agenda,
    /// Something urgent waits.
    urgent: bool,
    /// A flush was not answered yet.
    is_due: bool,
    /// Datums that no flush takes any more: their time has passed without an answer.
    late: u32,
    /// When the latest flush was answered, or given up.
    flushed: i64,
    caught_up: i64,
}

impl Host {
    fn new(n: u64) -> Self {
        let id = format!("i-{:017x}", spread(&n.to_string(), "instance"));
        Self {
            round: first(&Cadence::new(INTERVAL, &id, "round")),
            flush: first(&Cadence::new(FLUSH, &id, "flush")),
            start: Instant::now(),
            agenda: Agenda::new(Pace::new(FLUSH), Chance::new(spread(&id, "pace"))),
            urgent: false,
            is_due: false,
            late: 0,
            flushed: 0,
            caught_up: 0,
        }
    }

    fn live(&mut self, case: &Case, count: &mut dyn FnMut(i64)) {
        let mut now = 0;
        loop {
            let stock = Stock { urgent: self.urgent, flush: self.is_due, backlog: self.late > 0, ..Stock::default() };
            let until = match self.agenda.decide(self.moment(now), stock) {
                Step::Send(errand) => {
                    self.send(errand, case, now, count);
                    continue;
                }
                Step::Wait(until) => until.map_or(i64::MAX, |until| self.millis_at(until)),
            };
            now = self.round.min(self.flush).min(until);
            if now >= END {
                return;
            }
            if now == self.round {
                self.round += millis(INTERVAL);
                let is_sick = case.sick.at(now);
                self.urgent |= is_sick;
                let mood = if is_sick { Mood::Urgent } else { Mood::Calm };
                self.agenda.heed(mood, self.moment(now));
            }
            if now == self.flush {
                self.flush += millis(FLUSH);
                // What one flush did not deliver is late by the next.
                if self.is_due {
                    self.late += datums(now - millis(FLUSH) - self.flushed);
                    self.flushed = now - millis(FLUSH);
                }
                self.is_due = true;
            }
        }
    }

    /// One request, and what CloudWatch says to it.
    fn send(&mut self, errand: Errand, case: &Case, now: i64, count: &mut dyn FnMut(i64)) {
        let weather = if TROUBLE.contains(&now) { case.cloudwatch } else { Weather::Fine };
        if weather != Weather::Unreachable {
            count(now);
        }
        let setback = match weather {
            Weather::Fine => {
                self.agenda.delivered(errand, self.moment(now));
                self.settle(errand, now);
                return;
            }
            Weather::Unreachable => Setback::Failed,
            Weather::Erring => Setback::Erring,
            Weather::Throttling => Setback::Throttled { retry_after: None },
        };
        self.agenda.failed(setback, self.moment(now));
    }

    /// What does not wait any more.
    fn settle(&mut self, errand: Errand, now: i64) {
        match errand {
            Errand::Flush => {
                // One request takes both.
                self.urgent = false;
                self.is_due = false;
                self.flushed = now;
            }
            Errand::Urgent => self.urgent = false,
            Errand::Backfill => {
                self.late = self.late.saturating_sub(REQUEST);
                self.caught_up = now;
            }
            // Nothing here is refused in part, and no answer is lost.
            Errand::Rest | Errand::Doubtful => {}
        }
    }

    fn moment(&self, millis: i64) -> Instant {
        self.start + Duration::from_millis(millis.unsigned_abs())
    }

    /// The first whole millisecond that is not before `moment`.
    fn millis_at(&self, moment: Instant) -> i64 {
        let since = moment.saturating_duration_since(self.start);
        millis(since + Duration::from_nanos(999_999))
    }
}

impl Sick {
    fn at(self, now: i64) -> bool {
        match self {
            Self::Never => false,
            Self::InTrouble => (TROUBLE.start..TROUBLE.end + millis(INTERVAL)).contains(&now),
            Self::FromThenOn => now >= TROUBLE.start,
        }
    }
}

/// The datums of so long a time.
fn datums(time: i64) -> u32 {
    u32::try_from(time / millis(INTERVAL)).unwrap_or(0) * DATUMS
}

/// The first tick. With a steady clock the others follow an interval apart, as the schedule's own tests hold.
fn first(cadence: &Cadence) -> i64 {
    Timestamp::from_unix_millis(EPOCH).map_or(0, |start| millis(cadence.next(start, None).wait))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{CASES, HOSTS, QUOTA, outcomes};

    #[test]
    fn no_story_takes_more_than_half_the_quota() {
        let outcomes = outcomes();
        assert_eq!(outcomes.len(), CASES.len());
        for outcome in outcomes {
            assert!(outcome.peak() <= QUOTA / 2, "{outcome}");
            // The simulation counts: the whole fleet's flushes, at least.
            let (_, mean) = outcome.parts[0];
            assert!((mean - f64::from(u32::try_from(HOSTS).expect("some")) / 300.0).abs() < 0.5, "{outcome}");
        }
    }
}
