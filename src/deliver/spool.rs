//! Where rounds wait until CloudWatch has confirmed them: on the disk, or in memory where there is none to be had. See
//! docs/spool.md for the format, and for what is lost when. Everything here may wait for the disk: it belongs on the disk
//! thread.

mod ack;
mod count;
mod disk;
mod folder;
mod frame;
mod gather;
mod ledger;
mod mark;
mod memory;
mod ranges;
mod recover;
mod room;
mod segment;

use std::path::Path;

pub use self::{
    count::{Counters, Tally},
    gather::{Doubt, Waiting},
    mark::{Loss, Parts, Seq, Weight},
};
use self::{
    disk::Trouble,
    folder::Folder,
    ledger::Ledger,
    mark::{Change, Mark},
    memory::{Held, Memory},
    segment::Segment,
};
use crate::model::{sample::Sample, units::Timestamp};

/// The rounds that wait.
#[derive(Debug)]
pub struct Spool {
    /// `None`: memory only, as was asked for.
    folder: Option<Folder>,
    /// Bytes on the disk.
    limit: u64,
    /// Ascending.
    segments: Vec<Segment>,
    /// Segments whose files are still to be deleted, by their first rounds.
    doomed: Vec<u64>,
    /// All above those in `segments`.
    memory: Memory,
    ledger: Ledger,
    /// The ledger's length on the disk.
    ledger_size: u64,
    /// The ledger on the disk is not the one here.
    dirty: bool,
    /// What is in the folder is known here.
    loaded: bool,
    /// Why the disk is not used now.
    trouble: Option<Trouble>,
    next: u64,
    full: bool,
    counters: Counters,
}

/// How the spool stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What waits.
    pub waiting: Tally,
    /// Rounds of these that are in memory alone: a restart loses them.
    pub in_memory: u64,
    /// Rounds of which some part was sent and never answered.
    pub in_doubt: u64,
    /// The earliest tick that waits, to the second.
    pub oldest: Option<Timestamp>,
    /// Bytes on the disk.
    pub bytes: u64,
    /// The bound of `bytes`.
    pub max_size: u64,
    /// Why the disk is not used, though it should be.
    pub degraded: Option<String>,
    /// Old rounds were dropped for want of room, and there is still little.
    pub full: bool,
}

impl Spool {
    /// Opens the spool in `folder` (`None`: memory only), of at most `max_size` bytes. Never fails: where the disk cannot
    /// be used, rounds are kept in memory and the disk is tried again later. One process at a time.
    #[must_use]
    pub fn open(folder: Option<&Path>, max_size: u64, now: Timestamp) -> Self {
        let mut spool = Self {
            folder: folder.map(Folder::new),
            limit: max_size,
            segments: Vec::new(),
            doomed: Vec::new(),
            memory: Memory::default(),
            ledger: Ledger::default(),
            ledger_size: 0,
            dirty: false,
            loaded: folder.is_none(),
            trouble: None,
            next: 0,
            full: false,
            counters: Counters::default(),
        };
        spool.start(now);
        spool
    }

    /// Takes a round of which `owed` is to be delivered, and names it. Never fails: when this returns, the round is on the
    /// disk, or in memory where there is no disk.
    pub fn append(&mut self, sample: &Sample, owed: Parts, weight: Weight, now: Timestamp) -> Seq {
        let seq = self.next;
        self.next = self.next.saturating_add(1);
        self.ledger.reported = self.ledger.reported.saturating_add(u64::from(sample.lost));
        let mark = Mark::new(sample.tick, owed, weight);
        self.counters.appended += Tally { rounds: 1, datums: u64::from(mark.datums()) };
        match Held::new(seq, sample, mark, self.ledger.reported) {
            Ok(held) if held.payload.len() <= frame::MOST_PAYLOAD => {
                if !mark.waits() {
                    self.counters.finish(&mark);
                }
                self.memory.push(held);
            }
            Ok(_) | Err(_) => {
                tracing::debug!(seq, "a round is too large for the spool and is lost");
                self.lose_unkept(seq, mark, Loss::Discarded);
            }
        }
        self.expire(now);
        self.sweep_memory();
        self.write_out();
        self.bound_memory();
        Seq(seq)
    }

    /// Rounds of which parts of `wanted` wait, newest first: as many as have at most `most_datums` datums in those parts,
    /// but one at least. What lies in the future by CloudWatch's measure is left where it is, what is too old is given up.
    pub fn newest(&mut self, wanted: Parts, doubt: Doubt, most_datums: u32, now: Timestamp) -> Vec<Waiting> {
        self.gather(u64::MAX, wanted, doubt, most_datums, now)
    }

    /// Like [`Self::newest`], among the rounds before `seq`.
    pub fn before(&mut self, seq: Seq, wanted: Parts, doubt: Doubt, most_datums: u32, now: Timestamp) -> Vec<Waiting> {
        self.gather(seq.0, wanted, doubt, most_datums, now)
    }

    /// These parts were sent, and no answer came: they may have been taken. Survives a restart.
    pub fn doubt(&mut self, rounds: &[(Seq, Parts)]) {
        self.change(rounds, Change::Doubt);
    }

    /// These parts were delivered.
    pub fn settle(&mut self, rounds: &[(Seq, Parts)]) {
        self.change(rounds, Change::Settle);
    }

    /// These parts will never be delivered.
    pub fn discard(&mut self, rounds: &[(Seq, Parts)], why: Loss) {
        self.change(rounds, Change::Lose(why));
    }

    /// How the spool stands.
    #[must_use]
    pub fn state(&self) -> State {
        let (mut waiting, mut in_doubt, mut oldest) = (Tally::default(), 0, None::<u32>);
        let in_memory = self.memory.iter().map(|held| held.mark).filter(Mark::waits);
        for mark in self.segments.iter().flat_map(Segment::waiting).map(|(_, mark)| mark).chain(in_memory.clone()) {
            waiting += Tally { rounds: 1, datums: u64::from(mark.datums()) };
            in_doubt += u64::from(!mark.doubt.is_empty());
            oldest = Some(oldest.map_or(mark.tick, |tick| tick.min(mark.tick)));
        }
        State {
            waiting,
            in_memory: in_memory.count() as u64,
            in_doubt,
            oldest: oldest.and_then(|tick| Timestamp::from_unix_millis(i64::from(tick) * 1000)),
            bytes: self.bytes(),
            max_size: self.limit,
            degraded: self.trouble.as_ref().map(|trouble| trouble.reason.clone()),
            full: self.full,
        }
    }

    /// What became of the rounds since the spool was opened.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Datums that were lost, by this process or an earlier one, and that no sample has reported yet: the next sample's
    /// `lost`. Appending that sample makes them reported.
    #[must_use]
    pub fn unreported(&self) -> u64 {
        let lost = self.segments.iter().fold(self.ledger.lost, |sum, segment| sum.saturating_add(segment.lost));
        lost.saturating_sub(self.ledger.reported)
    }

    /// Datums that were lost otherwise: refused, though the rest of their round was taken, or never handed over here. The
    /// next sample tells of them; [`Self::counters`] do not.
    pub fn note_lost(&mut self, datums: u64) {
        self.ledger.lost = self.ledger.lost.saturating_add(datums);
        self.dirty = true;
    }

    fn change(&mut self, rounds: &[(Seq, Parts)], change: Change) {
        let mut sorted = rounds.to_vec();
        // In order, runs of rounds become one record.
        sorted.sort_unstable_by_key(|(seq, _)| *seq);
        for (Seq(seq), parts) in sorted {
            let behind = self.segments.partition_point(|segment| segment.first <= seq);
            if let Some(segment) = behind.checked_sub(1).and_then(|index| self.segments.get_mut(index)) {
                segment.change(seq, parts, change, &mut self.counters);
            }
            let lost = self.memory.change(seq, parts, change, &mut self.counters);
            self.ledger.lost = self.ledger.lost.saturating_add(lost);
        }
        self.sweep_memory();
        self.sweep();
    }
}

/// The largest segment: what is read at once when the spool is opened.
const MOST_SEGMENT: u64 = 1 << 20;
