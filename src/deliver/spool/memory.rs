//! The rounds that are not on the disk: all of them where there is none to be had, else only the one that is just being
//! written.

use std::collections::VecDeque;

use crate::model::sample::Sample;

use super::{
    count::Counters,
    frame::Header,
    mark::{Change, Mark, Parts},
};

/// A round in memory.
#[derive(Debug)]
pub(super) struct Held {
    pub seq: u64,
    pub mark: Mark,
    pub payload: Vec<u8>,
    /// In milliseconds since 1970 began.
    tick: i64,
    reported: u64,
}

impl Held {
    pub(super) fn new(seq: u64, sample: &Sample, mark: Mark, reported: u64) -> Result<Self, postcard::Error> {
        let payload = postcard::to_stdvec(sample)?;
        Ok(Self { seq, mark, payload, tick: sample.tick.unix_millis(), reported })
    }

    /// The header of its frame.
    pub(super) fn header(&self) -> Header {
        let Mark { owed, weight, .. } = self.mark;
        Header { seq: self.seq, tick: self.tick, owed, weight, reported: self.reported }
    }

    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        (self.payload.len() + size_of::<Self>()) as u64
    }
}

/// Rounds in memory, ascending, all above those on the disk.
#[derive(Debug, Default)]
pub(super) struct Memory {
    rounds: VecDeque<Held>,
    bytes: u64,
}

impl Memory {
    pub(super) fn push(&mut self, held: Held) {
        self.bytes += held.bytes();
        self.rounds.push_back(held);
    }

    pub(super) fn pop(&mut self) -> Option<Held> {
        let held = self.rounds.pop_front()?;
        self.bytes = self.bytes.saturating_sub(held.bytes());
        if self.rounds.is_empty() {
            self.rounds.shrink_to_fit();
        }
        Some(held)
    }

    /// The oldest.
    pub(super) fn first(&self) -> Option<&Held> {
        self.rounds.front()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Held> + Clone {
        self.rounds.iter()
    }

    /// Makes a change where it still means something, and counts it. The datums that it lost.
    pub(super) fn change(&mut self, seq: u64, parts: Parts, change: Change, counters: &mut Counters) -> u64 {
        let Ok(index) = self.rounds.binary_search_by_key(&seq, |held| held.seq) else { return 0 };
        let Some(held) = self.rounds.get_mut(index) else { return 0 };
        let concerned = held.mark.apply(change, parts);
        counters.note(change, concerned, &held.mark);
        match change {
            Change::Doubt | Change::Settle => 0,
            Change::Lose(_) => u64::from(held.mark.weight.of(concerned)),
        }
    }

    /// Those that wait and are older than `cutoff`.
    pub(super) fn older(&self, cutoff: u32) -> Vec<u64> {
        let old = |held: &&Held| held.mark.waits() && held.mark.tick < cutoff;
        self.rounds.iter().filter(old).map(|held| held.seq).collect()
    }

    /// Drops what does not wait any more, and says which that was.
    pub(super) fn drop_done(&mut self) -> Vec<u64> {
        let mut done = Vec::new();
        self.rounds.retain(|held| {
            if !held.mark.waits() {
                done.push(held.seq);
            }
            held.mark.waits()
        });
        self.bytes = self.rounds.iter().map(Held::bytes).sum();
        done
    }
}
