//! One segment: an index in memory of the rounds that a file holds, and what became of them.

use std::{cell::Cell, fs::File, io::ErrorKind, ops::Range, os::unix::fs::FileExt};

use super::{
    ack::{RECORD, Record},
    count::Counters,
    folder::{Fault, Folder, Kind, Unwritten},
    frame::{self, Content, FRAME_HEADER, Frame, Header, MOST_ROUNDS, SEGMENT_HEADER},
    mark::{Change, Loss, Mark, Parts, Seq},
    memory::Held,
    ranges::Ranges,
};

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its first round, which names its files.
    pub first: u64,
    /// The number behind its last round, damaged ones included.
    pub end: u64,
    /// Its bytes on the disk.
    pub size: u64,
    /// Those of its acknowledgements.
    pub ack_size: u64,
    /// Datums of its rounds that were lost.
    pub lost: u64,
    /// Nothing may be appended any more.
    pub sealed: bool,
    /// Why its rounds that are missing are.
    pub missing: Loss,
    /// The most that its rounds say of losses reported.
    pub reported: u64,
    entries: Vec<Entry>,
    /// Acknowledgements not yet on the disk.
    pending: Vec<Record>,
    /// No round that waits has a tick before this.
    oldest: u32,
    /// It was said that it cannot be read.
    told: Cell<bool>,
}

/// Where a round stands in the file, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    delta: u32,
    at: u32,
    mark: Mark,
}

/// A segment that was found on the disk.
#[derive(Debug)]
pub(super) struct Found {
    pub segment: Segment,
    /// Rounds whose headers are legible and whose payloads are not.
    pub broken: Vec<u64>,
    /// Rounds that are done, whether or not their frames are still legible.
    pub done: Ranges,
}

/// Why a round could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// Not now; perhaps later.
    Fault(Fault),
    /// Never.
    Lost(Loss),
}

impl Segment {
    /// A segment that has no file yet.
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            end: first,
            size: 0,
            ack_size: 0,
            lost: 0,
            sealed: false,
            missing: Loss::Damaged,
            reported: 0,
            entries: Vec::new(),
            pending: Vec::new(),
            oldest: u32::MAX,
            told: Cell::new(false),
        }
    }

    /// Says that its file cannot be read now: once, however often that is tried.
    pub(super) fn tell(&self, fault: &Fault) {
        if !self.told.replace(true) {
            tracing::warn!(%fault, vpce_error = %fault.error, "a segment of the spool cannot be read now");
        }
    }

    /// Reads the segment that begins with `first`; `None` where the file is another's.
    /// `buffer` is what it is read into: one for all segments, so that none leaves a hole in the heap.
    pub(super) fn load(folder: &Folder, first: u64, buffer: &mut Vec<u8>) -> Result<Option<Found>, Fault> {
        let size = folder.read(first, Kind::Segment, MOST_BYTES, buffer)?;
        let mut segment = Self { size, ..Self::new(first) };
        let mut broken = Vec::new();
        let mut broken_end = false;
        let content = frame::scan(first, buffer, |found| {
            segment.enter(&found);
            broken_end = !found.whole;
            if !found.whole {
                broken.push(found.header.seq);
            }
        });
        match content {
            Content::Foreign => return Ok(None),
            Content::Unknown { version } => {
                tracing::warn!(version, first, "a segment of the spool has a format that this version does not know");
                segment.sealed = true;
                segment.missing = Loss::Unreadable;
                segment.end = first.saturating_add(1);
            }
            Content::Frames { tail } => {
                segment.sealed = tail || broken_end || size != buffer.len() as u64;
                segment.end = segment.end.saturating_add(u64::from(tail));
            }
        }
        segment.entries.shrink_to_fit();
        let mut done = Ranges::default();
        match folder.read(first, Kind::Acks, MOST_BYTES, buffer) {
            Ok(size) => {
                segment.ack_size = size - size % RECORD as u64;
                for record in Record::decode_all(first, buffer) {
                    segment.replay(&record, &mut done);
                }
            }
            Err(fault) if fault.is_absence() => {}
            Err(fault) => return Err(fault),
        }
        Ok(Some(Found { segment, broken, done }))
    }

    /// Writes rounds behind the others. When this returns, they are on the disk.
    pub(super) fn append<'a>(
        &mut self,
        folder: &Folder,
        rounds: impl Iterator<Item = &'a Held> + Clone,
    ) -> Result<(), Fault> {
        let mut bytes = if self.size == 0 { frame::segment_header(self.first).to_vec() } else { Vec::new() };
        let mut frames = Vec::new();
        for held in rounds.clone() {
            let header = held.header();
            let at = u32::try_from(self.size + bytes.len() as u64).unwrap_or(u32::MAX);
            bytes.extend(frame::encode(self.first, &header, &held.payload));
            frames.push(Frame { header, at, whole: true });
        }
        if let Err(Unwritten { fault, restored }) = folder.write(self.first, Kind::Segment, self.size, &bytes) {
            self.sealed |= !restored;
            return Err(fault);
        }
        self.size += bytes.len() as u64;
        for (found, held) in frames.iter().zip(rounds) {
            self.enter(found);
            if let Some(entry) = self.entries.last_mut() {
                // In memory it may have been doubted already.
                entry.mark = held.mark;
                if !held.mark.doubt.is_empty() {
                    let (delta, doubt) = (entry.delta, held.mark.doubt);
                    self.note(Record { delta, run: 1, change: Change::Doubt, parts: doubt, done: false, datums: 0 });
                }
            }
        }
        Ok(())
    }

    /// Makes a change where it still means something, counts it, and notes it to be written.
    pub(super) fn change(&mut self, seq: u64, parts: Parts, change: Change, counters: &mut Counters) {
        let Some(entry) = self.find(seq) else { return };
        let concerned = entry.mark.apply(change, parts);
        if concerned.is_empty() {
            return;
        }
        let (delta, mark) = (entry.delta, entry.mark);
        counters.note(change, concerned, &mark);
        let datums = match change {
            Change::Doubt | Change::Settle => 0,
            Change::Lose(_) => mark.weight.of(concerned),
        };
        self.lost += u64::from(datums);
        self.note(Record { delta, run: 1, change, parts: concerned, done: !mark.waits(), datums });
    }

    /// Gives up all that waits; the ledger will say so, not the acknowledgements.
    pub(super) fn abandon(&mut self, why: Loss, counters: &mut Counters) {
        for entry in &mut self.entries {
            let concerned = entry.mark.apply(Change::Lose(why), Parts::ALL);
            counters.note(Change::Lose(why), concerned, &entry.mark);
            self.lost += u64::from(entry.mark.weight.of(concerned));
        }
        self.pending.clear();
    }

    /// Gives up what is older than `cutoff`.
    pub(super) fn expire(&mut self, cutoff: u32, counters: &mut Counters) {
        if self.oldest >= cutoff {
            return;
        }
        let old = |(_, mark): &(u64, Mark)| mark.tick < cutoff;
        for seq in self.waiting().filter(old).map(|(seq, _)| seq).collect::<Vec<_>>() {
            self.change(seq, Parts::ALL, Change::Lose(Loss::Expired), counters);
        }
        self.oldest = self.waiting().map(|(_, mark)| mark.tick).min().unwrap_or(u32::MAX);
    }

    /// The rounds that wait, newest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (u64, Mark)> {
        self.entries.iter().rev().filter(|entry| entry.mark.waits()).map(|entry| (self.seq_of(entry), entry.mark))
    }

    pub(super) fn waits(&self) -> bool {
        self.waiting().next().is_some()
    }

    /// Opens the file for [`Self::read`].
    pub(super) fn file(&self, folder: &Folder) -> Result<File, Fault> {
        folder.open(self.first, Kind::Segment)
    }

    /// The payload of a round.
    pub(super) fn read(&self, file: &File, folder: &Folder, seq: u64) -> Result<Vec<u8>, Unread> {
        let damaged = Unread::Lost(Loss::Damaged);
        let Some(at) = self.index(seq).and_then(|index| self.entries.get(index)).map(|entry| u64::from(entry.at))
        else {
            return Err(damaged);
        };
        let unread = |error: std::io::Error| {
            if error.kind() == ErrorKind::UnexpectedEof {
                Unread::Lost(Loss::Damaged)
            } else {
                Unread::Fault(folder.unread(self.first, error))
            }
        };
        let mut bytes = vec![0; FRAME_HEADER];
        file.read_exact_at(&mut bytes, at).map_err(unread)?;
        let length = match frame::parse(self.first, &bytes) {
            Some((Header { seq: found, .. }, length)) if found == seq => length,
            Some(_) | None => return Err(damaged),
        };
        bytes.resize(FRAME_HEADER + length, 0);
        file.read_exact_at(bytes.get_mut(FRAME_HEADER..).unwrap_or_default(), at + FRAME_HEADER as u64)
            .map_err(unread)?;
        if frame::payload(self.first, &bytes).is_none() {
            return Err(damaged);
        }
        Ok(bytes.split_off(FRAME_HEADER))
    }

    /// How many bytes [`Self::flush`] will write.
    pub(super) fn unflushed(&self) -> u64 {
        (self.pending.len() * RECORD) as u64
    }

    /// Writes the acknowledgements. When this returns, they are on the disk.
    pub(super) fn flush(&mut self, folder: &Folder) -> Result<(), Fault> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = self.pending.iter().flat_map(|record| record.encode(self.first)).collect();
        // What a failed attempt left there is overwritten: only whole attempts count.
        folder.write(self.first, Kind::Acks, self.ack_size, &bytes).map_err(|unwritten| unwritten.fault)?;
        self.ack_size += bytes.len() as u64;
        self.pending.clear();
        self.pending.shrink_to_fit();
        Ok(())
    }

    /// Every number that has an entry, ascending, with the datums of that round.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (u64, u32)> {
        self.entries.iter().map(|entry| (self.seq_of(entry), entry.mark.weight.of(Parts::ALL)))
    }

    /// Drops the entries that `keep` does not name: rounds that are accounted for elsewhere.
    pub(super) fn retain(&mut self, keep: impl Fn(Seq) -> bool) {
        let first = self.first;
        self.entries.retain(|entry| keep(Seq(first.saturating_add(u64::from(entry.delta)))));
    }

    /// Where further rounds go.
    pub(super) fn takes(&self, seq: u64, length: u64, limit: u64) -> bool {
        let near = seq.saturating_sub(self.first) < MOST_ROUNDS / 2;
        !self.sealed && near && (self.size == 0 || self.size + length <= limit)
    }

    fn enter(&mut self, found: &Frame) {
        let Header { seq, tick, owed, weight, reported } = found.header;
        let Ok(delta) = u32::try_from(seq.saturating_sub(self.first)) else { return };
        let tick = u32::try_from(tick.max(0) / 1000).unwrap_or(u32::MAX);
        let mark = Mark { tick, weight, owed, doubt: Parts::NONE, spoilt: None };
        self.entries.push(Entry { delta, at: found.at, mark });
        self.end = seq.saturating_add(1);
        self.oldest = self.oldest.min(tick);
        self.reported = self.reported.max(reported);
    }

    fn replay(&mut self, record: &Record, done: &mut Ranges) {
        self.lost = self.lost.saturating_add(u64::from(record.datums));
        let start = self.first.saturating_add(u64::from(record.delta));
        let run: Range<u64> = start..start.saturating_add(u64::from(record.run));
        // Whatever was acknowledged was there, and its number is taken, even if its frame is not there any more.
        self.end = self.end.max(run.end);
        let from = self.entries.partition_point(|entry| entry.delta < record.delta);
        let first = self.first;
        for entry in self.entries.iter_mut().skip(from) {
            if first.saturating_add(u64::from(entry.delta)) >= run.end {
                break;
            }
            entry.mark.apply(record.change, record.parts);
        }
        if record.done {
            done.add(run);
        }
    }

    fn note(&mut self, record: Record) {
        if !self.pending.last_mut().is_some_and(|last| last.join(&record)) {
            self.pending.push(record);
        }
    }

    fn find(&mut self, seq: u64) -> Option<&mut Entry> {
        let index = self.index(seq)?;
        self.entries.get_mut(index)
    }

    fn index(&self, seq: u64) -> Option<usize> {
        let delta = u32::try_from(seq.checked_sub(self.first)?).ok()?;
        self.entries.binary_search_by_key(&delta, |entry| entry.delta).ok()
    }

    fn seq_of(&self, entry: &Entry) -> u64 {
        self.first.saturating_add(u64::from(entry.delta))
    }
}

/// No file of ours is longer: whatever stands behind is not read.
const MOST_BYTES: u64 = super::MOST_SEGMENT + (SEGMENT_HEADER + FRAME_HEADER + frame::MOST_PAYLOAD) as u64;
