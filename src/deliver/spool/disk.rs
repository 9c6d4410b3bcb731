//! Getting rounds from memory to the disk, and what is done where that fails.

use super::{
    Spool,
    folder::{Fault, Folder},
    frame::FRAME_HEADER,
    mark::{Change, Loss, Mark, Parts},
    memory::Held,
    segment::Segment,
};

/// Why the disk is not used.
#[derive(Debug)]
pub(super) struct Trouble {
    /// In words.
    pub reason: String,
    /// Rounds that came since the last attempt.
    waited: u32,
}

impl Spool {
    /// Writes what is in memory to the disk. Where that does not go, it is said once and tried again some rounds later.
    pub(super) fn write_out(&mut self) {
        let Some(folder) = self.folder.clone() else { return };
        if let Some(trouble) = &mut self.trouble {
            trouble.waited += 1;
            if trouble.waited < PATIENCE {
                return;
            }
        }
        let outcome = self.try_write(&folder);
        self.judge(outcome);
    }

    /// Draws the conclusion from an attempt to write.
    pub(super) fn judge(&mut self, outcome: Result<(), Fault>) {
        match (outcome, &mut self.trouble) {
            (Ok(()), None) => {}
            (Ok(()), Some(_)) => {
                self.trouble = None;
                tracing::debug!("the spool is on the disk again, with all that was kept in memory");
            }
            (Err(fault), Some(trouble)) => *trouble = Trouble::of(&fault),
            (Err(fault), None) => {
                let trouble = Trouble::of(&fault);
                // `State::degraded` has it, and whoever owns the spool tells it.
                tracing::debug!(reason = trouble.reason, "the spool cannot be written: rounds are kept in memory only");
                self.trouble = Some(trouble);
            }
        }
    }

    fn try_write(&mut self, folder: &Folder) -> Result<(), Fault> {
        if !self.loaded {
            self.load_late(folder)?;
        }
        if self.trouble.is_some() {
            folder.prepare()?;
        }
        // On a full disk, deleting comes before anything that takes room.
        self.sweep_to(folder)?;
        // Whatever leaves a gap in the numbers must be accounted for before the rounds behind the gap are written.
        self.save_ledger(folder)?;
        while let Some((first, length)) = self.memory.first().map(|held| (held.seq, frame_bytes(held))) {
            if self.available() < length + NEW_SEGMENT {
                // More than an empty spool holds.
                self.evict_from_memory();
                continue;
            }
            self.make_room(folder, length + NEW_SEGMENT)?;
            let limit = self.segment_limit();
            if !self.segments.last().is_some_and(|segment| segment.takes(first, length, limit)) {
                self.segments.push(Segment::new(first));
            }
            let room = self.available().saturating_sub(self.used() + NEW_SEGMENT);
            let Some(segment) = self.segments.last_mut() else { return Ok(()) };
            let mut bytes = 0;
            let fitting = self.memory.iter().take_while(|held| {
                bytes += frame_bytes(held);
                bytes == length || (segment.takes(held.seq, bytes, limit) && bytes <= room.min(limit))
            });
            let count = fitting.count();
            let fresh = segment.size == 0;
            match segment.append(folder, self.memory.iter().take(count)) {
                Err(fault) if fault.is_absence() && !fresh => {
                    self.forget_deleted();
                    continue;
                }
                Err(fault) => {
                    if fresh {
                        self.segments.pop();
                    }
                    return Err(fault);
                }
                Ok(()) => {}
            }
            for _ in 0..count {
                self.memory.pop();
            }
        }
        Ok(())
    }

    /// The last segment's file is gone: what waited in it is lost, and another is begun.
    fn forget_deleted(&mut self) {
        if let Some(mut segment) = self.segments.pop() {
            tracing::warn!(first = segment.first, "a segment of the spool was deleted by another hand");
            segment.abandon(Loss::Damaged, &mut self.counters);
            self.account_for(&segment);
        }
    }

    /// Saves the ledger, if there is anything new in it.
    pub(super) fn save_ledger(&mut self, folder: &Folder) -> Result<(), Fault> {
        if !self.dirty {
            return Ok(());
        }
        self.ledger.next = self.next;
        let first = self.segments.first().map(|segment| segment.first);
        let floor = first.or_else(|| self.memory.first().map(|held| held.seq)).unwrap_or(self.next);
        self.ledger.raise(floor);
        let bytes = self.ledger.encode();
        folder.write_ledger(&bytes)?;
        self.ledger_size = bytes.len() as u64;
        self.dirty = false;
        Ok(())
    }

    /// Keeps what is in memory below its bound: the oldest goes.
    pub(super) fn bound_memory(&mut self) {
        let bound = self.limit.min(MOST_MEMORY);
        while self.memory.bytes() > bound {
            self.evict_from_memory();
        }
    }

    /// Drops from memory what does not wait any more.
    pub(super) fn sweep_memory(&mut self) {
        for seq in self.memory.drop_done() {
            self.ledger.gone.add(seq..seq.saturating_add(1));
            self.dirty = true;
        }
    }

    /// Counts a round that was not even kept in memory.
    pub(super) fn lose_unkept(&mut self, seq: u64, mut mark: Mark, why: Loss) {
        let concerned = mark.apply(Change::Lose(why), Parts::ALL);
        self.counters.note(Change::Lose(why), concerned, &mark);
        self.ledger.lost = self.ledger.lost.saturating_add(u64::from(mark.weight.of(concerned)));
        self.ledger.gone.add(seq..seq.saturating_add(1));
        self.dirty = true;
    }

    fn evict_from_memory(&mut self) {
        if let Some(held) = self.memory.pop() {
            self.lose_unkept(held.seq, held.mark, Loss::Evicted);
            self.full = true;
        }
    }
}

impl Trouble {
    fn of(fault: &Fault) -> Self {
        Self { reason: format!("{fault}: {}", fault.error), waited: 0 }
    }
}

fn frame_bytes(held: &Held) -> u64 {
    (FRAME_HEADER + held.payload.len()) as u64
}

/// Rounds between two attempts to use a disk that failed: ten minutes' worth.
const PATIENCE: u32 = 10;
/// What is kept in memory at most, where there is no disk.
const MOST_MEMORY: u64 = 1_000_000;
/// What a segment takes beside its rounds.
const NEW_SEGMENT: u64 = super::frame::SEGMENT_HEADER as u64;
