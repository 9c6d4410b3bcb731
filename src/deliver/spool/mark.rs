//! What is known of one round that waits, and what may become of it.

use std::{fmt, ops};

use crate::model::{sample::Part, units::Timestamp};

/// Names a round of this spool: rounds are numbered in the order of [`append`](super::Spool::append).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of [`Part`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Parts(u8);

impl Parts {
    /// No part.
    pub const NONE: Self = Self(0);
    /// [`Part::Urgent`] alone.
    pub const URGENT: Self = Self(1);
    /// [`Part::Scheduled`] alone.
    pub const SCHEDULED: Self = Self(2);
    /// Every part.
    pub const ALL: Self = Self(3);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `part` is one of them.
    #[must_use]
    pub fn contains(self, part: Part) -> bool {
        !(self & part.into()).is_empty()
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        (bits <= Self::ALL.0).then_some(Self(bits))
    }
}

impl From<Part> for Parts {
    fn from(part: Part) -> Self {
        match part {
            Part::Urgent => Self::URGENT,
            Part::Scheduled => Self::SCHEDULED,
        }
    }
}

impl ops::BitAnd for Parts {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl ops::BitOr for Parts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [Part::Urgent, Part::Scheduled].into_iter().filter(|part| self.contains(*part));
        f.debug_set().entries(named).finish()
    }
}

/// How many datums each part of a round has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Weight {
    /// Of [`Part::Urgent`].
    pub urgent: u16,
    /// Of [`Part::Scheduled`].
    pub scheduled: u16,
}

impl Weight {
    /// The datums of `parts`.
    #[must_use]
    pub fn of(self, parts: Parts) -> u32 {
        let of = |part, datums| if parts.contains(part) { u32::from(datums) } else { 0 };
        of(Part::Urgent, self.urgent) + of(Part::Scheduled, self.scheduled)
    }
}

/// Why datums will never be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Loss {
    /// The spool was full: the oldest went.
    Evicted = 1,
    /// Older than CloudWatch takes.
    Expired = 2,
    /// The disk did not keep them: a torn or damaged frame, a file that is gone.
    Damaged = 3,
    /// Whole, but of a format that this version does not know.
    Unreadable = 4,
    /// Whoever delivers gave them up: CloudWatch will not take them.
    Discarded = 5,
}

impl Loss {
    /// Every value.
    pub const ALL: [Self; 5] = [Self::Evicted, Self::Expired, Self::Damaged, Self::Unreadable, Self::Discarded];

    /// The name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What becomes of parts of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Sent, and no answer came.
    Doubt,
    /// Delivered.
    Settle,
    /// Never to be delivered.
    Lose(Loss),
}

/// What the index keeps of a round: as little as can be, since a full spool has tens of thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its tick, in whole seconds since 1970 began.
    pub tick: u32,
    pub weight: Weight,
    pub owed: Parts,
    pub doubt: Parts,
    /// Why some part of it was lost, if one was.
    pub spoilt: Option<Loss>,
}

impl Mark {
    pub(super) fn new(tick: Timestamp, owed: Parts, weight: Weight) -> Self {
        Self { tick: seconds(tick), weight, owed, doubt: Parts::NONE, spoilt: None }
    }

    /// Makes the change where it still means something, and says to which parts.
    pub(super) fn apply(&mut self, change: Change, parts: Parts) -> Parts {
        let concerned = match change {
            Change::Doubt => (self.owed & parts).without(self.doubt),
            Change::Settle | Change::Lose(_) => self.owed & parts,
        };
        match change {
            Change::Doubt => self.doubt = self.doubt | concerned,
            Change::Settle | Change::Lose(_) => {
                self.owed = self.owed.without(concerned);
                self.doubt = self.doubt.without(concerned);
            }
        }
        if let Change::Lose(why) = change
            && !concerned.is_empty()
        {
            self.spoilt = self.spoilt.or(Some(why));
        }
        concerned
    }

    pub(super) const fn waits(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The datums that are still owed.
    pub(super) fn datums(&self) -> u32 {
        self.weight.of(self.owed)
    }
}

/// A moment as the index keeps it. What lies outside stands at the edge, which is just as old, or as far away.
pub(super) fn seconds(moment: Timestamp) -> u32 {
    u32::try_from(moment.unix_millis().max(0) / 1000).unwrap_or(u32::MAX)
}
