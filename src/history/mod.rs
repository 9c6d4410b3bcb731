//! What became of each target over the rounds: since when its verdict is what it is, and which changes are to be announced.
//! Pure: the rounds bring the time with them.

mod addresses;
mod course;

use std::{collections::BTreeMap, mem, net::IpAddr};

use self::course::{Course, Terms};
use crate::model::{
    cause::{Cause, Stage},
    round::{Announced, AnnouncedRound, AnnouncedTarget, FailedTarget, LastFailure, Round, TargetReport},
    units::Timestamp,
    verdict::{RoundVerdict, Severity, Verdict},
};

/// The rounds so far, as far as they matter.
///
/// A result that differs from the announced one is announced once `confirm` rounds in a row agree on it: on whether the
/// target is well at all, or else on its verdict, or else on the cause. So a target that is ill from changing causes is
/// announced, once, and one whose cause merely alternates is not announced over and over.
#[derive(Clone, Debug)]
pub struct History {
    confirm: u32,
    /// Rounds since the start, as far as that matters.
    rounds: u32,
    round: Course,
    targets: BTreeMap<Key, Past>,
}

/// A target by its name and host: another host is another target.
type Key = (String, String);

/// What is kept of one target.
#[derive(Clone, Debug, Default)]
struct Past {
    course: Course,
    failure: Option<FailedTarget>,
    /// The last good answer for its name.
    addresses: Option<Vec<IpAddr>>,
}

impl History {
    /// Nothing has happened yet; `confirm` equal results announce a change, one at least.
    #[must_use]
    pub fn new(confirm: u32) -> Self {
        Self { confirm: confirm.max(1), rounds: 0, round: Course::default(), targets: BTreeMap::new() }
    }

    /// Goes on after `last`, the last round before a restart: since when, what was announced and what failed are kept.
    /// The first rounds are starting ones all the same.
    #[must_use]
    pub fn resume(confirm: u32, last: &Round) -> Self {
        let announced = last.announced.clone().unwrap_or_default();
        let failures = last.last_failure.iter().flat_map(|failure| &failure.targets);
        let mut failures: BTreeMap<Key, FailedTarget> =
            failures.map(|failed| (key(&failed.report), failed.clone())).collect();
        let targets = last.targets.iter().map(|report| {
            let key = key(report);
            let told = announced.targets.iter().find(|told| (&told.name, &told.host) == (&key.0, &key.1));
            let told = told.map(|told| (Standing { verdict: told.verdict, cause: told.cause }, told.since));
            let since = report.since.unwrap_or(last.started_at);
            let past = Past {
                course: Course::resume(Standing::of(report), since, told),
                failure: failures.remove(&key).or_else(|| failed(report, last.started_at)),
                addresses: addresses::answered(report),
            };
            (key, past)
        });
        let told = announced.round.map(|told| (Standing::whole(told.verdict), told.since));
        Self {
            round: Course::resume(Standing::whole(last.verdict), last.started_at, told),
            targets: targets.collect(),
            ..Self::new(confirm)
        }
    }

    /// From now on so many equal results announce a change.
    pub fn confirm(&mut self, confirm: u32) {
        self.confirm = confirm.max(1);
    }

    /// The wall clock was set by so much: what began before began as long ago as before.
    pub fn clock_was_set(&mut self, by: time::Duration) {
        self.round.shift(by);
        for past in self.targets.values_mut() {
            past.course.shift(by);
        }
    }

    /// Takes a round in, scheduled or a second look, and writes into it what only the rounds before it tell: `since`,
    /// `last_failure`, `starting`, `announced`, and the note `address-changed`.
    pub fn observe(&mut self, round: &mut Round) -> News {
        self.rounds = self.rounds.saturating_add(1);
        let starting = self.rounds <= STARTING;
        let terms = Terms { at: round.started_at, confirm: self.confirm, starting };
        let mut news = News { starting, ..News::default() };
        // Whoever is not in this round is forgotten: a reload took it out.
        let mut before = mem::take(&mut self.targets);
        for report in &mut round.targets {
            let key = key(report);
            let mut past = before.remove(&key).unwrap_or_default();
            past.observe(report, terms, &mut news);
            self.targets.insert(key, past);
        }
        self.observe_whole(round, terms, &mut news);
        round.starting = starting;
        round.announced = Some(self.announced(round));
        round.last_failure = self.last_failure(round);
        news
    }

    fn observe_whole(&mut self, round: &Round, terms: Terms, news: &mut News) {
        self.round.follow(Standing::whole(round.verdict), terms.at);
        // Unlike a target's, a healthy start is news: it says that the start is over.
        if let Some(turn) = self.round.turn(terms, |_| false) {
            let previous = turn.previous.and_then(Standing::of_whole);
            news.round = Some(RoundChange { previous, verdict: round.verdict, lasted_s: turn.lasted_s });
        }
        news.unsettled |= self.round.is_unsettled(terms);
    }

    fn announced(&self, round: &Round) -> Announced {
        let whole = self.round.announced();
        let whole = whole.and_then(|(standing, since)| Some(AnnouncedRound { verdict: standing.of_whole()?, since }));
        let targets = round.targets.iter().filter_map(|report| {
            let key = key(report);
            let (standing, since) = self.targets.get(&key)?.course.announced()?;
            let (name, host) = key;
            Some(AnnouncedTarget { name, host, verdict: standing.verdict, cause: standing.cause, since })
        });
        Announced { round: whole, targets: targets.collect() }
    }

    fn last_failure(&self, round: &Round) -> Option<LastFailure> {
        let of = |report: &TargetReport| self.targets.get(&key(report))?.failure.clone();
        let targets: Vec<FailedTarget> = round.targets.iter().filter_map(of).collect();
        let started_at = targets.iter().map(|failed| failed.failed_at).max()?;
        Some(LastFailure { started_at, targets })
    }
}

impl Past {
    fn observe(&mut self, report: &mut TargetReport, terms: Terms, news: &mut News) {
        addresses::note_change(report, &mut self.addresses);
        let standing = Standing::of(report);
        report.since = Some(self.course.follow(standing, terms.at));
        if let Some(turn) = self.course.turn(terms, Standing::is_ordinary) {
            let worst = report.problems.iter().find(|problem| Some(problem.cause) == standing.cause);
            news.changes.push(Change {
                target: report.target.name.clone(),
                host: report.target.host.clone(),
                previous: turn.previous,
                standing,
                since: turn.since,
                lasted_s: turn.lasted_s,
                address: worst.and_then(|problem| problem.address),
                stage: standing.cause.and(report.stage),
                summary: report.summary.clone(),
                advice: report.advice.clone(),
            });
        }
        news.unsettled |= self.course.is_unsettled(terms);
        if let Some(failed) = failed(report, terms.at) {
            self.failure = Some(failed);
        }
    }
}

fn key(report: &TargetReport) -> Key {
    (report.target.name.clone(), report.target.host.clone())
}

fn failed(report: &TargetReport, failed_at: Timestamp) -> Option<FailedTarget> {
    (report.verdict == Verdict::Failed).then(|| FailedTarget { failed_at, report: report.clone() })
}

/// What is compared from round to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The verdict.
    pub verdict: Verdict,
    /// The worst problem's cause; `None` while healthy, whatever notes there are.
    pub cause: Option<Cause>,
}

impl Standing {
    /// A target's.
    #[must_use]
    pub fn of(report: &TargetReport) -> Self {
        Self { verdict: report.verdict, cause: report.cause.filter(|_| report.verdict != Verdict::Healthy) }
    }

    const fn whole(verdict: RoundVerdict) -> Self {
        let verdict = match verdict {
            RoundVerdict::Healthy => Verdict::Healthy,
            RoundVerdict::Degraded => Verdict::Degraded,
            RoundVerdict::Failed => Verdict::Failed,
        };
        Self { verdict, cause: None }
    }

    const fn of_whole(self) -> Option<RoundVerdict> {
        match self.verdict {
            Verdict::Healthy => Some(RoundVerdict::Healthy),
            Verdict::Degraded => Some(RoundVerdict::Degraded),
            Verdict::Failed => Some(RoundVerdict::Failed),
            Verdict::Skipped => None,
        }
    }

    /// Whether a target may begin so without a word: healthy, or skipped for a reason that is a mere note (an optional
    /// service without an endpoint).
    fn is_ordinary(self) -> bool {
        match self.verdict {
            Verdict::Healthy => true,
            Verdict::Skipped => self.cause.is_none_or(|cause| cause.severity() == Severity::Note),
            Verdict::Degraded | Verdict::Failed => false,
        }
    }
}

/// A change of one target's verdict or cause that was seen often enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The target's name.
    pub target: String,
    /// Its host name.
    pub host: String,
    /// What it was; `None` at the first announcement.
    pub previous: Option<Standing>,
    /// What it is.
    pub standing: Standing,
    /// Since when it is that: the first round that saw it.
    pub since: Timestamp,
    /// How long it was what it was before, in seconds; `None` without a previous standing.
    pub lasted_s: Option<f64>,
    /// The address that the worst problem is about.
    pub address: Option<IpAddr>,
    /// The layer.
    pub stage: Option<Stage>,
    /// One sentence.
    pub summary: String,
    /// What to do.
    pub advice: Vec<String>,
}

/// A change of the whole round's verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundChange {
    /// What it was; `None` at the first announcement.
    pub previous: Option<RoundVerdict>,
    /// What it is.
    pub verdict: RoundVerdict,
    /// How long it was what it was before, in seconds.
    pub lasted_s: Option<f64>,
}

/// What one round brought.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct News {
    /// Targets' changes to announce, in the plan's order.
    pub changes: Vec<Change>,
    /// The whole round's change to announce.
    pub round: Option<RoundChange>,
    /// Some target's result is not the announced one: look again soon.
    pub unsettled: bool,
    /// One of the first rounds after the start: reported, not announced.
    pub starting: bool,
}

/// Rounds after the start that are reported and not announced: a network that comes up with this program is no fault.
const STARTING: u32 = 2;

#[cfg(test)]
mod tests;
