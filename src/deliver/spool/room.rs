//! Keeping within the bound: what is delivered goes first, then the oldest.

use super::{
    Spool,
    folder::{Fault, Folder},
    mark::Loss,
    segment::Segment,
};

impl Spool {
    /// Writes acknowledgements, and deletes the segments of which nothing waits any more.
    pub(super) fn sweep(&mut self) {
        let Some(folder) = self.folder.clone() else { return };
        // While the disk fails, they wait for the next attempt, in memory.
        if self.trouble.is_none() {
            let outcome = self.sweep_to(&folder);
            self.judge(outcome);
        }
    }

    pub(super) fn sweep_to(&mut self, folder: &Folder) -> Result<(), Fault> {
        let last = self.segments.len().saturating_sub(1);
        let done = self.segments.iter().enumerate();
        let done = done.filter(|(index, segment)| {
            !segment.waits() && (*index < last || segment.sealed || segment.size >= LEAST_SEGMENT)
        });
        let done: Vec<u64> = done.map(|(_, segment)| segment.first).collect();
        self.retire(folder, &done)?;
        while self.ledger.gone.len() > MOST_HOLES && self.evict(folder)? {}
        let unflushed = self.segments.iter().map(Segment::unflushed).sum::<u64>();
        if unflushed > 0 {
            self.make_room(folder, unflushed)?;
        }
        for segment in &mut self.segments {
            segment.flush(folder)?;
        }
        Ok(())
    }

    /// Deletes segments until `bytes` more fit.
    pub(super) fn make_room(&mut self, folder: &Folder, bytes: u64) -> Result<(), Fault> {
        if self.used() + bytes > self.available() {
            let done = self.segments.iter().filter(|segment| !segment.waits());
            let done: Vec<u64> = done.map(|segment| segment.first).collect();
            self.retire(folder, &done)?;
        }
        while self.used() + bytes > self.available() && self.evict(folder)? {}
        if self.used() <= self.limit - self.limit / 8 {
            self.full = false;
        }
        Ok(())
    }

    /// Bytes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.used() + self.ledger_size
    }

    /// Bytes of all segments.
    pub(super) fn used(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size + segment.ack_size).sum()
    }

    /// What the segments may take: the ledger stands there twice while it is replaced.
    pub(super) fn available(&self) -> u64 {
        self.limit.saturating_sub(2 * self.ledger_size + LEDGER_GROWTH)
    }

    /// Where a segment ends. One is lost as a whole when the spool is full, so it is a small share; but not so small that
    /// there are many files.
    pub(super) fn segment_limit(&self) -> u64 {
        (self.limit / 16).clamp(LEAST_SEGMENT, super::MOST_SEGMENT).min(self.limit / 4)
    }

    /// Deletes the oldest segment, whatever waits in it. Whether there was one.
    fn evict(&mut self, folder: &Folder) -> Result<bool, Fault> {
        // Where the ledger cannot be saved, no segment could be deleted either, and what is in it can still be delivered.
        self.dirty = true;
        self.save_ledger(folder)?;
        let Some(oldest) = self.segments.first_mut() else { return Ok(false) };
        let first = oldest.first;
        let before = self.counters.evicted;
        oldest.abandon(Loss::Evicted, &mut self.counters);
        let rounds = self.counters.evicted.rounds - before.rounds;
        if rounds > 0 {
            tracing::debug!(rounds, "the spool is full: the oldest rounds are dropped");
            self.full = true;
        }
        self.retire(folder, &[first])?;
        Ok(true)
    }

    /// Deletes segments of which nothing waits.
    fn retire(&mut self, folder: &Folder, firsts: &[u64]) -> Result<(), Fault> {
        self.doomed.extend(firsts);
        if self.doomed.is_empty() {
            return Ok(());
        }
        let retired: Vec<Segment> = self.segments.extract_if(.., |segment| firsts.contains(&segment.first)).collect();
        for segment in &retired {
            self.account_for(segment);
        }
        // The ledger first: a gap that it does not know of counts as a loss. Where a full disk has no room for it, the
        // segments' is freed, and that is enough.
        let early = self.save_ledger(folder);
        let mut failed = Ok(());
        self.doomed.retain(|first| {
            let deleted = folder.remove(*first);
            let kept = deleted.is_err();
            failed = std::mem::replace(&mut failed, Ok(())).and(deleted);
            kept
        });
        if early.is_err() {
            self.save_ledger(folder)?;
        }
        failed?;
        folder.sync()
    }

    /// Takes a segment that goes into the ledger.
    pub(super) fn account_for(&mut self, segment: &Segment) {
        self.ledger.lost = self.ledger.lost.saturating_add(segment.lost);
        self.ledger.gone.add(segment.first..segment.end);
        self.dirty = true;
    }
}

/// The smallest segment, and what a delivered one must have to be worth a new file.
const LEAST_SEGMENT: u64 = 64_000;
/// Gaps that the ledger holds. More of them is a disk beyond help: whole segments go instead.
const MOST_HOLES: usize = 1000;
/// What a change can add to the ledger.
const LEDGER_GROWTH: u64 = 256;
