//! The course of one thing's results: since when it is what it is, and what of that was announced.

use super::Standing;
use crate::model::{units::Timestamp, verdict::Verdict};

/// The results of one target, or of the round as a whole, so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// By level, coarse to fine; empty before the first result.
    runs: Option<[Run; LEVELS.len()]>,
    announced: Option<(Standing, Timestamp)>,
    /// Looks in a row that found something else than what was announced.
    looks: u32,
}

/// Equal results in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    result: Standing,
    since: Timestamp,
    count: u32,
}

/// By what it is decided whether a result is announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The round's start.
    pub(super) at: Timestamp,
    /// Equal results that it takes; one at least.
    pub(super) confirm: u32,
    /// Nothing is announced yet.
    pub(super) starting: bool,
}

/// An announcement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) previous: Option<Standing>,
    pub(super) since: Timestamp,
    pub(super) lasted_s: Option<f64>,
}

impl Course {
    /// One whose last result before a restart was `result`, since `since`, when `announced` had been announced.
    pub(super) fn resume(result: Standing, since: Timestamp, announced: Option<(Standing, Timestamp)>) -> Self {
        let run = |level: Level| Run { result: level(result), since, count: 1 };
        Self { runs: Some(LEVELS.map(run)), announced, looks: 0 }
    }

    /// Moves every moment by so much.
    pub(super) fn shift(&mut self, by: time::Duration) {
        let moved = |at: Timestamp| at.moment().checked_add(by).map_or(at, Timestamp::new);
        for run in self.runs.iter_mut().flatten() {
            run.since = moved(run.since);
        }
        if let Some((_, since)) = &mut self.announced {
            *since = moved(*since);
        }
    }

    /// Takes the result of the round that began at `at`; returns since when it is that.
    pub(super) fn follow(&mut self, result: Standing, at: Timestamp) -> Timestamp {
        let fresh = LEVELS.map(|level| Run { result: level(result), since: at, count: 1 });
        let mut runs = self.runs.unwrap_or(fresh);
        if self.runs.is_some() {
            for (run, fresh) in runs.iter_mut().zip(fresh) {
                let count = run.count.saturating_add(1);
                *run = if run.result == fresh.result { Run { count, ..*run } } else { fresh };
            }
        }
        self.runs = Some(runs);
        let [.., finest] = runs;
        // A clock that was set back must not date the present into the future.
        finest.since.min(at)
    }

    /// The announcement that is due, if one is. `is_ordinary`: what may be first without a word.
    pub(super) fn turn(&mut self, terms: Terms, is_ordinary: fn(Standing) -> bool) -> Option<Turn> {
        let [.., finest] = self.runs?;
        let run = self.differing()?;
        let silent = self.announced.is_none() && is_ordinary(finest.result);
        if run.count < terms.confirm || (terms.starting && !silent) {
            return None;
        }
        let since = run.since.min(terms.at);
        let previous = self.announced.replace((finest.result, since));
        if silent {
            return None;
        }
        let lasted_s = previous.map(|(_, began)| (since.moment() - began.moment()).as_seconds_f64().max(0.0));
        Some(Turn { previous: previous.map(|(standing, _)| standing), since, lasted_s })
    }

    /// Whether another look soon would help: the last result is not the announced one, and that is not for ever so.
    pub(super) fn is_unsettled(&mut self, terms: Terms) -> bool {
        let fine = self.runs.map(|[.., finest]| finest.result);
        let is_first = self.announced.is_none() && fine.is_some_and(Standing::is_ordinary);
        if self.differing().is_none() || is_first {
            self.looks = 0;
            return false;
        }
        if terms.starting {
            return false;
        }
        self.looks = self.looks.saturating_add(1);
        self.looks <= LOOKS.max(terms.confirm)
    }

    /// What was announced last, and since when it was that.
    pub(super) const fn announced(&self) -> Option<(Standing, Timestamp)> {
        self.announced
    }

    /// The run at the coarsest level on which the last result and the announced one differ.
    fn differing(&self) -> Option<Run> {
        let told = self.announced.map(|(told, _)| told);
        let differs = |(level, run): &(Level, Run)| told.map(*level) != Some(run.result);
        LEVELS.into_iter().zip(self.runs?).find(differs).map(|(_, run)| run)
    }
}

/// What counts of a result.
type Level = fn(Standing) -> Standing;

/// Whether it is well; its verdict; its cause as well.
const LEVELS: [Level; 3] = [wellness, verdict, whole];

const fn wellness(standing: Standing) -> Standing {
    let verdict = match standing.verdict {
        Verdict::Skipped => Verdict::Skipped,
        Verdict::Healthy => Verdict::Healthy,
        Verdict::Degraded | Verdict::Failed => Verdict::Failed,
    };
    Standing { verdict, cause: None }
}

const fn verdict(standing: Standing) -> Standing {
    Standing { cause: None, ..standing }
}

const fn whole(standing: Standing) -> Standing {
    standing
}

/// So many looks in a row without a decision are enough: what flaps for ever is not probed thrice as often for ever.
const LOOKS: u32 = 6;
