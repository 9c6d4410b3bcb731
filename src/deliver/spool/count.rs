//! What became of the rounds, in numbers.

use std::ops;

use super::mark::{Change, Loss, Mark, Parts};

/// So many rounds, and so many datums of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Rounds.
    pub rounds: u64,
    /// Datums.
    pub datums: u64,
}

impl ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.rounds = self.rounds.saturating_add(other.rounds);
        self.datums = self.datums.saturating_add(other.datums);
    }
}

impl ops::Add for Tally {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// What became of the rounds since the spool was opened. Always `found + appended = settled + waiting + lost`, in rounds
/// and in datums; a round of which any part was lost counts as lost, as soon as nothing of it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Were there when the spool was opened, those that turned out to be lost included.
    pub found: Tally,
    /// Came since.
    pub appended: Tally,
    /// Were delivered.
    pub settled: Tally,
    /// Lost: the spool was full.
    pub evicted: Tally,
    /// Lost: older than CloudWatch takes.
    pub expired: Tally,
    /// Lost: the disk did not keep them. Where not even a frame's header is legible, its datums are taken to be as many
    /// as its neighbour's.
    pub damaged: Tally,
    /// Lost: of a format that this version does not know.
    pub unreadable: Tally,
    /// Lost: given up by whoever delivers.
    pub discarded: Tally,
}

impl Counters {
    /// All that is lost, for whatever reason.
    #[must_use]
    pub fn lost(&self) -> Tally {
        Loss::ALL.into_iter().fold(Tally::default(), |sum, why| sum + self.of(why))
    }

    /// What is lost for this reason.
    #[must_use]
    pub const fn of(&self, why: Loss) -> Tally {
        match why {
            Loss::Evicted => self.evicted,
            Loss::Expired => self.expired,
            Loss::Damaged => self.damaged,
            Loss::Unreadable => self.unreadable,
            Loss::Discarded => self.discarded,
        }
    }

    pub(super) const fn of_mut(&mut self, why: Loss) -> &mut Tally {
        match why {
            Loss::Evicted => &mut self.evicted,
            Loss::Expired => &mut self.expired,
            Loss::Damaged => &mut self.damaged,
            Loss::Unreadable => &mut self.unreadable,
            Loss::Discarded => &mut self.discarded,
        }
    }

    /// Counts a change that `mark` has just undergone in `concerned`.
    pub(super) fn note(&mut self, change: Change, concerned: Parts, mark: &Mark) {
        let datums = u64::from(mark.weight.of(concerned));
        match change {
            Change::Doubt => return,
            Change::Settle => self.settled.datums += datums,
            Change::Lose(why) => self.of_mut(why).datums += datums,
        }
        if !concerned.is_empty() && !mark.waits() {
            self.finish(mark);
        }
    }

    /// Counts a round of which nothing waits any more.
    pub(super) fn finish(&mut self, mark: &Mark) {
        match mark.spoilt {
            Some(why) => self.of_mut(why).rounds += 1,
            None => self.settled.rounds += 1,
        }
    }
}
