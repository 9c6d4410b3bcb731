//! Opening a spool that an earlier process left, however it ended.

use std::ops::Range;

use rustix::io::Errno;

use super::{
    Spool, Tally,
    folder::{Fault, Folder},
    ledger::Ledger,
    mark::{Change, Loss, Parts},
    ranges::Ranges,
    segment::{Found, Segment},
};
use crate::model::units::Timestamp;

impl Spool {
    /// Takes over what is in the folder, and sees whether it can be written.
    pub(super) fn start(&mut self, now: Timestamp) {
        let Some(folder) = self.folder.clone() else { return };
        let prepared = folder.prepare();
        if let Err(fault) = self.load(&folder) {
            // What is there may yet become readable: the rounds of until then must be told from it. Rounds are further
            // apart than a millisecond, so no number that was given can be as high.
            self.next = u64::try_from(now.unix_millis()).unwrap_or(0);
            self.ledger.raise(self.next);
            self.judge(prepared.and(Err(fault)));
            return;
        }
        self.expire(now);
        let outcome = prepared.and_then(|()| self.settle_in(&folder));
        self.judge(outcome);
    }

    fn settle_in(&mut self, folder: &Folder) -> Result<(), Fault> {
        self.save_ledger(folder)?;
        self.sweep_to(folder)?;
        // The bound may have been lowered.
        self.make_room(folder, 0)
    }

    /// Takes over what is in a folder that could not be read when the spool was opened.
    pub(super) fn load_late(&mut self, folder: &Folder) -> Result<(), Fault> {
        folder.prepare()?;
        let (next, earlier) = (self.next, self.ledger.clone());
        self.next = 0;
        self.ledger = Ledger::default();
        let loaded = self.load(folder);
        let disk_next = self.next;
        self.next = next;
        if let Err(fault) = loaded {
            self.ledger = earlier;
            return Err(fault);
        }
        // Between the last round on the disk and the first in memory there never was any.
        let first = earlier.floor;
        self.ledger.gone.add(disk_next..first);
        for gap in earlier.gone.iter() {
            self.ledger.gone.add(gap.clone());
        }
        self.ledger.lost = self.ledger.lost.saturating_add(earlier.lost);
        self.ledger.reported = self.ledger.reported.saturating_add(earlier.reported);
        if disk_next > first {
            // Only with a clock that was set back by years. Nothing may have one number twice.
            tracing::warn!("the rounds that were found on the disk are numbered like newer ones and are left out");
            self.drop_overlap(first);
        }
        Ok(())
    }

    /// Reads everything, applies the acknowledgements, and counts what should be there and is not.
    fn load(&mut self, folder: &Folder) -> Result<(), Fault> {
        let listing = folder.list()?;
        let stored = folder.read_ledger(MOST_LEDGER)?;
        let known = stored.as_deref().and_then(Ledger::decode);
        if known.is_none() && stored.is_some() {
            tracing::warn!("the spool's ledger is damaged: losses until now are forgotten");
        }
        let (mut found, mut buffer) = (Vec::new(), Vec::new());
        let mut taken = 0;
        for first in listing.segments {
            match load_segment(folder, first, &mut buffer)? {
                Some(one) => found.push(one),
                // Another's file stays, and no round gets its number.
                None => taken = first.saturating_add(1),
            }
        }
        for first in listing.orphans {
            // Left by a deletion that was cut short.
            let _ = folder.remove(first);
        }
        self.ledger = known.clone().unwrap_or_default();
        if known.is_none() {
            // Without the ledger nobody knows what stood before the first segment, and between them.
            self.ledger.raise(found.first().map_or(0, |found| found.segment.first));
            for (one, next) in found.iter().zip(found.iter().skip(1)) {
                self.ledger.gone.add(one.segment.end..next.segment.first);
            }
        }
        self.adopt(found);
        if self.next < taken {
            self.ledger.gone.add(self.next..taken);
            self.next = taken;
        }
        self.loaded = true;
        self.dirty = true;
        Ok(())
    }

    fn adopt(&mut self, found: Vec<Found>) {
        let mut done = Ranges::default();
        let mut broken = Vec::new();
        let mut cursor = self.ledger.floor;
        let mut found = found.into_iter().peekable();
        let mut holes = Vec::new();
        let mut typical = 0;
        while let Some(mut one) = found.next() {
            let limit = found.peek().map_or(u64::MAX, |next| next.segment.first);
            let segment = &mut one.segment;
            // A ledger that was saved before the segment was deleted has all of its rounds, and its losses too.
            if self.ledger.gone.gaps(segment.first.max(self.ledger.floor)..segment.end.min(limit)).is_empty() {
                segment.lost = 0;
            }
            // A round that stands in the next segment as well was moved there after a write that failed.
            segment.retain(|seq| seq.0 < limit && !self.ledger.is_gone(seq.0));
            if segment.missing == Loss::Unreadable {
                segment.end = if limit == u64::MAX { self.ledger.next.max(segment.end) } else { limit };
            }
            holes.push((cursor..segment.first, typical, Loss::Damaged));
            cursor = cursor.max(segment.first);
            for (seq, datums) in segment.numbers() {
                if cursor < seq {
                    holes.push((cursor..seq, if typical == 0 { datums } else { typical }, segment.missing));
                }
                cursor = cursor.max(seq.saturating_add(1));
                typical = datums;
            }
            // What is acknowledged here of numbers that are another segment's must never come to mean rounds of this one.
            segment.sealed |= segment.end > limit;
            segment.end = segment.end.min(limit);
            holes.push((cursor..segment.end, typical, segment.missing));
            cursor = cursor.max(segment.end);
            for range in one.done.iter() {
                done.add(range.clone());
            }
            broken.extend(one.broken);
            self.ledger.reported = self.ledger.reported.max(segment.reported);
            self.segments.push(one.segment);
        }
        holes.push((cursor..self.ledger.next, typical, Loss::Damaged));
        self.next = cursor.max(self.ledger.next);
        for (hole, datums, why) in holes {
            for gap in done.gaps(hole) {
                self.miss(&gap, if datums == 0 { typical } else { datums }, why);
            }
        }
        for (_, mark) in self.segments.iter().flat_map(Segment::waiting) {
            self.counters.found += Tally { rounds: 1, datums: u64::from(mark.datums()) };
        }
        for seq in broken {
            for segment in &mut self.segments {
                segment.change(seq, Parts::ALL, Change::Lose(Loss::Damaged), &mut self.counters);
            }
        }
        let lost = self.counters.lost();
        if lost != Tally::default() {
            tracing::debug!(
                rounds = lost.rounds,
                datums = lost.datums,
                "the disk did not keep all of the spool: these rounds are lost",
            );
        }
    }

    /// Counts rounds that should be there, unless that is known already.
    fn miss(&mut self, gap: &Range<u64>, datums: u32, why: Loss) {
        let start = gap.start.max(self.ledger.floor);
        for missing in self.ledger.gone.gaps(start..gap.end) {
            let rounds = missing.end - missing.start;
            self.ledger.gone.add(missing);
            if rounds > MOST_MISSING {
                tracing::warn!(rounds, "the spool's files are numbered as if they were of several spools");
                continue;
            }
            let lost = Tally { rounds, datums: rounds.saturating_mul(u64::from(datums)) };
            self.counters.found += lost;
            *self.counters.of_mut(why) += lost;
            self.ledger.lost = self.ledger.lost.saturating_add(lost.datums);
        }
    }

    /// Gives up rounds on the disk whose numbers are those of rounds in memory.
    fn drop_overlap(&mut self, first: u64) {
        for segment in &mut self.segments {
            for seq in segment.waiting().map(|(seq, _)| seq).filter(|seq| *seq >= first).collect::<Vec<_>>() {
                segment.change(seq, Parts::ALL, Change::Lose(Loss::Unreadable), &mut self.counters);
            }
        }
    }
}

fn load_segment(folder: &Folder, first: u64, buffer: &mut Vec<u8>) -> Result<Option<Found>, Fault> {
    match Segment::load(folder, first, buffer) {
        Err(fault) if fault.is_absence() => Ok(None),
        // A bad place on the disk takes one segment with it, not the whole spool.
        Err(fault) if fault.error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
            tracing::warn!(%fault, reason = %fault.error, "a segment of the spool cannot be read");
            let mut segment = Segment::new(first);
            segment.sealed = true;
            Ok(Some(Found { segment, broken: Vec::new(), done: Ranges::default() }))
        }
        other => other,
    }
}

/// What is read of the ledger.
const MOST_LEDGER: u64 = 1 << 20;
/// More numbers in a row than any spool holds in two weeks are no loss, but a mix-up of files.
const MOST_MISSING: u64 = 1 << 20;
