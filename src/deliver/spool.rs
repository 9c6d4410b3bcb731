//! A stand-in of the spool until the real one is merged: in memory only.

mod count;
mod mark;

use std::{collections::BTreeMap, path::Path};

pub use self::{
    count::{Counters, Tally},
    mark::{Loss, Parts, Seq, Weight},
};
use self::mark::{Change, Mark};
use crate::model::{sample::Sample, units::Timestamp};

/// Rounds that wait.
#[derive(Debug, Default)]
pub struct Spool {
    next: u64,
    rounds: BTreeMap<u64, (Mark, Sample)>,
    counters: Counters,
}

/// A round that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its name.
    pub seq: Seq,
    /// What is owed.
    pub owed: Parts,
    /// What of it is in doubt.
    pub doubt: Parts,
    /// The round.
    pub sample: Sample,
}

impl Spool {
    /// Opens it.
    #[must_use]
    pub fn open(_folder: Option<&Path>, _max: u64) -> Self {
        Self::default()
    }

    /// Adds a round.
    pub fn append(&mut self, sample: Sample, owed: Parts, weight: Weight) -> Seq {
        let seq = self.next;
        self.next += 1;
        let mark = Mark::new(sample.tick, owed, weight);
        self.counters.appended += Tally { rounds: 1, datums: u64::from(mark.datums()) };
        if mark.waits() {
            self.rounds.insert(seq, (mark, sample));
        } else {
            self.counters.finish(&mark);
        }
        Seq(seq)
    }

    /// Rounds, the newest first.
    pub fn newest(&self, most: usize, want: impl Fn(Timestamp, Parts, Parts) -> bool) -> Vec<Waiting> {
        let rounds = self.rounds.iter().rev();
        let waiting = rounds.filter(|(_, (mark, sample))| want(sample.tick, mark.owed, mark.doubt));
        let found = waiting.take(most).map(|(seq, (mark, sample))| Waiting {
            seq: Seq(*seq),
            owed: mark.owed,
            doubt: mark.doubt,
            sample: sample.clone(),
        });
        found.collect()
    }

    fn change(&mut self, rounds: &[(Seq, Parts)], change: Change) {
        for (seq, parts) in rounds {
            let Some((mark, _)) = self.rounds.get_mut(&seq.0) else { continue };
            let concerned = mark.apply(change, *parts);
            self.counters.note(change, concerned, mark);
            if !mark.waits() {
                self.rounds.remove(&seq.0);
            }
        }
    }

    /// No answer came.
    pub fn doubt(&mut self, rounds: &[(Seq, Parts)]) {
        self.change(rounds, Change::Doubt);
    }

    /// Delivered.
    pub fn settle(&mut self, rounds: &[(Seq, Parts)]) {
        self.change(rounds, Change::Settle);
    }

    /// Given up.
    pub fn discard(&mut self, rounds: &[(Seq, Parts)]) {
        self.change(rounds, Change::Lose(Loss::Discarded));
    }

    /// How many rounds and datums wait.
    #[must_use]
    pub fn waiting(&self) -> Tally {
        let datums = self.rounds.values().map(|(mark, _)| u64::from(mark.datums())).sum();
        Tally { rounds: self.rounds.len() as u64, datums }
    }

    /// The oldest tick that waits.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.rounds.values().map(|(_, sample)| sample.tick).min()
    }

    /// What became of the rounds.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}
