//! Datums on their way: the requests that a few rounds become, and what is left of them when CloudWatch does not take all.

use std::collections::VecDeque;

use super::{
    agenda::{Begun, Errand},
    spool::{Parts, Seq},
};
use crate::{
    metric::{self, Datum},
    model::units::Timestamp,
};

/// Some rounds' datums, in pieces of one request each. Pieces that are delivered are gone from it, and are never sent
/// again with the others.
#[derive(Debug)]
pub(super) struct Parcel {
    /// For what it was made.
    pub(super) errand: Errand,
    rounds: Vec<Round>,
    /// Whether its datums are late.
    pub(super) timing: Timing,
    pieces: VecDeque<Vec<Datum>>,
    stage: Stage,
}

/// A round in a parcel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Round {
    /// Its name.
    pub(super) seq: Seq,
    /// Which parts of it.
    pub(super) parts: Parts,
    /// Its tick: its datums are known by it.
    pub(super) tick: Timestamp,
    /// Datums of it that are not sent, since their series are not taken.
    pub(super) left_out: Vec<Datum>,
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
    pub(super) fn new(errand: Errand, rounds: Vec<Round>, datums: Vec<Datum>, timing: Timing) -> Self {
        Self { errand, rounds, timing, pieces: metric::requests(datums).into(), stage: Stage::Whole }
    }

    /// And one more datum, in a request of its own: it may be refused.
    pub(super) fn with_trial(mut self, datum: Datum) -> Self {
        self.pieces.push_back(vec![datum]);
        self
    }

    /// The rounds of which something is still to be answered, and which parts of each.
    pub(super) fn rounds(&self) -> Vec<(Seq, Parts)> {
        self.rounds.iter().map(|round| (round.seq, round.parts)).collect()
    }

    /// The rounds of which nothing is left: they are no longer in it.
    pub(super) fn answered(&mut self) -> Vec<Round> {
        let pieces = &self.pieces;
        let waits = |round: &Round| pieces.iter().flatten().any(|datum| datum.at == round.tick);
        let (left, answered) = std::mem::take(&mut self.rounds).into_iter().partition(waits);
        self.rounds = left;
        answered
    }

    /// Takes out what is of no use to send.
    pub(super) fn leave_out(&mut self, useless: impl Fn(&Datum) -> bool) {
        for datum in self.pieces.iter_mut().flat_map(|piece| piece.extract_if(.., |datum| useless(datum))) {
            if let Some(round) = self.rounds.iter_mut().find(|round| round.tick == datum.at) {
                round.left_out.push(datum);
            }
        }
        self.pieces.retain(|piece| !piece.is_empty());
    }

    /// What is left of another parcel that was begun comes after what is left of this one.
    pub(super) fn absorb(&mut self, other: Self) {
        self.rounds.extend(other.rounds);
        self.pieces.extend(other.pieces);
        if other.timing == Timing::Late {
            self.timing = Timing::Late;
        }
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
    use super::{Divided, Errand, Parcel, Round, Seq, Timing};
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
    fn rounds_are_answered_one_by_one_and_a_second_parcel_follows_the_first() {
        let at = |millis| Timestamp::from_unix_millis(millis).expect("a moment");
        let round =
            |seq, tick| Round { seq, parts: crate::deliver::spool::Parts::ALL, tick: at(tick), left_out: Vec::new() };
        let of = |number, tick| Datum { at: at(tick), ..datum(number) };
        let datums = vec![of(1, 1), of(2, 1), of(3, 2), of(4, 2)];
        let mut parcel = Parcel::new(Errand::Flush, vec![round(Seq(1), 1), round(Seq(2), 2)], datums, Timing::Due);
        assert_eq!(parcel.divide(), Some(Divided::Halves));
        assert!(parcel.answered().is_empty());
        parcel.delivered();
        assert_eq!(parcel.answered(), [round(Seq(1), 1)]);
        let late = vec![of(3, 3), of(5, 3)];
        parcel.absorb(Parcel::new(Errand::Flush, vec![round(Seq(3), 3)], late, Timing::Late).with_trial(of(6, 3)));
        assert_eq!((parcel.left(), parcel.timing), (5, Timing::Late));
        parcel.leave_out(|datum| datum.values == vec![(Finite::from(3), 1)]);
        assert_eq!(parcel.left(), 3);
        parcel.delivered();
        let left_out = vec![of(3, 2)];
        assert_eq!(parcel.answered(), [Round { left_out, ..round(Seq(2), 2) }]);
        assert_eq!(parcel.next(), Some([of(5, 3)].as_slice()));
        parcel.delivered();
        assert_eq!((parcel.next(), parcel.rounds().len()), (Some([of(6, 3)].as_slice()), 1), "the trial goes alone");
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
