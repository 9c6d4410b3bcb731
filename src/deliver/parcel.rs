//! Datums on their way: the requests that a few rounds become, and what is left of them when CloudWatch does not take all.

use std::collections::VecDeque;

use super::{
    agenda::{Begun, Errand},
    spool::{Parts, Seq},
};
use crate::metric::{self, Datum};

/// Some rounds' datums, in pieces of one request each. Pieces that are delivered are gone from it, and are never sent
/// again with the others.
#[derive(Debug)]
pub(super) struct Parcel {
    /// For what it was made.
    pub(super) errand: Errand,
    /// The rounds, and which parts of each.
    pub(super) rounds: Vec<(Seq, Parts)>,
    /// Whether its datums are late.
    pub(super) timing: Timing,
    pieces: VecDeque<Vec<Datum>>,
    stage: Stage,
}

/// Whether datums come when they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// They do.
    Due,
    /// Something failed before, or they waited for something else.
    Late,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing of it is delivered or refused: the spool still says all there is to say.
    Whole,
    /// Its pieces are fewer than its rounds have datums.
    Begun,
    /// The same, and the answer to its first piece was lost.
    Doubtful,
}

/// What is left after a piece was refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Divided {
    /// Two halves of it.
    Halves,
    /// It was one datum: it is not sent again.
    Dropped(Datum),
}

impl Parcel {
    /// Everything of `datums`, in as few pieces as can be.
    pub(super) fn new(errand: Errand, rounds: Vec<(Seq, Parts)>, datums: Vec<Datum>, timing: Timing) -> Self {
        Self { errand, rounds, timing, pieces: metric::requests(datums).into(), stage: Stage::Whole }
    }

    /// The next request; `None`: all are answered.
    pub(super) fn next(&self) -> Option<&[Datum]> {
        self.pieces.front().map(Vec::as_slice)
    }

    /// The next request was taken.
    pub(super) fn delivered(&mut self) {
        self.pieces.pop_front();
        self.stage = Stage::Begun;
    }

    /// Some datum of the next request is not taken.
    pub(super) fn divide(&mut self) -> Option<Divided> {
        let mut first = self.pieces.pop_front()?;
        self.stage = Stage::Begun;
        let second = first.split_off(first.len() / 2);
        if !first.is_empty() {
            self.pieces.push_front(second);
            self.pieces.push_front(first);
            return Some(Divided::Halves);
        }
        second.into_iter().next().map(Divided::Dropped)
    }

    /// The answer to the next request was lost.
    pub(super) fn doubt(&mut self) {
        if self.is_begun() {
            self.stage = Stage::Doubtful;
        }
    }

    /// Whether the spool alone cannot tell any more what is left.
    pub(super) fn is_begun(&self) -> bool {
        self.stage != Stage::Whole
    }

    /// How it stands.
    pub(super) const fn standing(&self) -> Begun {
        match self.stage {
            Stage::Whole | Stage::Begun => Begun::Ready,
            Stage::Doubtful => Begun::Doubtful,
        }
    }

    /// The datums that are left.
    pub(super) fn left(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Divided, Errand, Parcel, Timing};
    use crate::{
        metric::{Datum, Finite, Name, Unit},
        model::units::Timestamp,
    };

    fn datum(number: u32) -> Datum {
        Datum {
            metric: Name::Healthy,
            dimensions: Vec::new(),
            at: Timestamp::from_unix_millis(0).expect("a moment"),
            values: vec![(Finite::from(number), 1)],
            unit: Unit::None,
        }
    }

    /// Sends a parcel to a peer that takes no request with one of `poison`; says what it took, what was dropped, and in
    /// how many requests.
    fn ship(count: u32, poison: &[u32]) -> (Vec<u32>, Vec<u32>, usize) {
        let number =
            |datum: &Datum| (0..count).find(|n| datum.values == vec![(Finite::from(*n), 1)]).expect("a number");
        let datums = (0..count).map(datum).collect();
        let mut parcel = Parcel::new(Errand::Flush, Vec::new(), datums, Timing::Due);
        let (mut taken, mut dropped, mut requests) = (Vec::new(), Vec::new(), 0);
        while let Some(piece) = parcel.next() {
            requests += 1;
            let numbers: Vec<u32> = piece.iter().map(number).collect();
            if numbers.iter().any(|number| poison.contains(number)) {
                if let Some(Divided::Dropped(datum)) = parcel.divide() {
                    dropped.push(number(&datum));
                }
            } else {
                taken.extend(numbers);
                parcel.delivered();
            }
        }
        assert_eq!(parcel.left(), 0);
        taken.sort_unstable();
        (taken, dropped, requests)
    }

    #[test]
    fn poison_is_found_and_nothing_else_is_lost_or_sent_twice() {
        let check = |count: u32, poison: &[u32], most: usize| {
            let (taken, dropped, requests) = ship(count, poison);
            let expected: Vec<u32> = (0..count).filter(|number| !poison.contains(number)).collect();
            assert_eq!((taken, dropped), (expected, poison.to_vec()));
            assert!(requests <= most, "{requests}");
        };
        check(1, &[], 1);
        check(1, &[0], 1);
        check(40, &[17], 13);
        check(1000, &[999], 21);
        check(1000, &[0, 500, 501], 55);
        check(5, &[0, 1, 2, 3, 4], 9);
        check(2300, &[2299], 23);
    }

    #[test]
    fn an_untouched_parcel_is_the_spools_own() {
        let mut parcel = Parcel::new(Errand::Flush, Vec::new(), vec![datum(1), datum(2)], Timing::Due);
        parcel.doubt();
        assert!(!parcel.is_begun());
        assert_eq!(parcel.divide(), Some(Divided::Halves));
        assert!(parcel.is_begun() && parcel.left() == 2);
    }
}
