//! Finding what is to be sent: the newest first.

use super::{
    Spool,
    mark::{Change, Loss, Mark, Parts, Seq, seconds},
    segment::{Segment, Unread},
};
use crate::model::{sample::Sample, units::Timestamp};

/// Which of the parts that wait are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Those that certainly were not delivered.
    Undoubted,
    /// Those that were sent, and whose answer never came.
    Doubted,
}

/// A round that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its number.
    pub seq: Seq,
    /// The parts for which it was found.
    pub parts: Parts,
    /// All of its parts that wait.
    pub owed: Parts,
    /// Those of `owed` that were sent, and whose answer never came.
    pub in_doubt: Parts,
    /// The round.
    pub sample: Sample,
}

/// What is looked for, and what was found.
struct Search {
    below: u64,
    wanted: Parts,
    doubt: Doubt,
    /// Ticks from here on are left where they are.
    future: u32,
    room: u32,
    full: bool,
    found: Vec<Waiting>,
}

impl Spool {
    pub(super) fn gather(
        &mut self,
        below: u64,
        wanted: Parts,
        doubt: Doubt,
        most_datums: u32,
        now: Timestamp,
    ) -> Vec<Waiting> {
        self.expire(now);
        let future = seconds(now).saturating_add(MOST_AHEAD);
        let mut search = Search { below, wanted, doubt, future, room: most_datums, full: false, found: Vec::new() };
        let mut lost = Vec::new();
        for held in self.memory.iter().rev() {
            if let Some(parts) = search.next(held.seq, &held.mark) {
                lost.extend(search.take(held.seq, &held.mark, parts, &held.payload));
            }
        }
        for segment in self.segments.iter().rev() {
            if search.full {
                break;
            }
            if segment.first < below {
                lost.extend(self.gather_from(segment, &mut search));
            }
        }
        for why in Loss::ALL {
            let rounds: Vec<_> =
                lost.iter().filter(|(_, found)| *found == why).map(|(seq, _)| (*seq, Parts::ALL)).collect();
            if !rounds.is_empty() {
                tracing::debug!(rounds = rounds.len(), reason = %why, "rounds of the spool cannot be read and are lost");
                self.discard(&rounds, why);
            }
        }
        search.found
    }

    /// Takes from one segment, and says what of it is lost.
    fn gather_from(&self, segment: &Segment, search: &mut Search) -> Vec<(Seq, Loss)> {
        let mut lost = Vec::new();
        let Some(folder) = &self.folder else { return lost };
        let mut file = None;
        for (seq, mark) in segment.waiting() {
            let Some(parts) = search.next(seq, &mark) else { continue };
            if file.is_none() {
                match segment.file(folder) {
                    Ok(opened) => file = Some(opened),
                    Err(fault) if fault.is_absence() => {
                        // All that it held is lost, whether or not it was looked for.
                        return segment.waiting().map(|(seq, _)| (Seq(seq), Loss::Damaged)).collect();
                    }
                    Err(fault) => {
                        segment.tell(&fault);
                        return lost;
                    }
                }
            }
            let Some(file) = &file else { return lost };
            match segment.read(file, folder, seq) {
                Ok(payload) => lost.extend(search.take(seq, &mark, parts, &payload)),
                Err(Unread::Lost(why)) => lost.push((Seq(seq), why)),
                Err(Unread::Fault(fault)) => {
                    segment.tell(&fault);
                    return lost;
                }
            }
            if search.full {
                break;
            }
        }
        lost
    }

    /// Gives up what CloudWatch would not take any more.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let cutoff = seconds(now).saturating_sub(MOST_AGE);
        for segment in &mut self.segments {
            segment.expire(cutoff, &mut self.counters);
        }
        for seq in self.memory.older(cutoff) {
            let lost = self.memory.change(seq, Parts::ALL, Change::Lose(Loss::Expired), &mut self.counters);
            self.ledger.lost = self.ledger.lost.saturating_add(lost);
        }
    }
}

impl Search {
    /// The parts for which this round is to be taken, if it is.
    fn next(&mut self, seq: u64, mark: &Mark) -> Option<Parts> {
        let certain = match self.doubt {
            Doubt::Undoubted => mark.owed.without(mark.doubt),
            Doubt::Doubted => mark.owed & mark.doubt,
        };
        let parts = certain & self.wanted;
        if self.full || seq >= self.below || parts.is_empty() || mark.tick >= self.future {
            return None;
        }
        let fits = mark.weight.of(parts) <= self.room || self.found.is_empty();
        self.full = !fits || self.found.len() >= MOST_ROUNDS;
        (!self.full).then_some(parts)
    }

    /// Takes the round, or says why that cannot be.
    fn take(&mut self, seq: u64, mark: &Mark, parts: Parts, payload: &[u8]) -> Option<(Seq, Loss)> {
        let Ok(sample) = postcard::from_bytes(payload) else { return Some((Seq(seq), Loss::Unreadable)) };
        self.room = self.room.saturating_sub(mark.weight.of(parts));
        self.found.push(Waiting { seq: Seq(seq), parts, owed: mark.owed, in_doubt: mark.doubt, sample });
        None
    }
}

/// In seconds: CloudWatch takes what is at most two weeks old, and sending takes its time too.
const MOST_AGE: u32 = 14 * 86_400 - 3600;
/// In seconds: CloudWatch takes what is at most two hours ahead, by its own clock.
const MOST_AHEAD: u32 = 2 * 3600 - 300;
/// Rounds at once, however little they weigh.
const MOST_ROUNDS: usize = 1000;
