//! What became of a segment's rounds, beside it in a file of its own: records of one length, each with a checksum, only
//! ever appended. A torn record is passed over: at most something is delivered twice.

use super::{
    frame::checksum,
    mark::{Change, Loss, Parts},
};

/// One change of a run of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The first round, counted from the segment's first.
    pub delta: u32,
    /// How many rounds in a row.
    pub run: u16,
    pub change: Change,
    pub parts: Parts,
    /// Nothing more is owed of these rounds.
    pub done: bool,
    /// Datums lost by it.
    pub datums: u32,
}

impl Record {
    /// The record's bytes, for the segment of `first`.
    pub(super) fn encode(&self, first: u64) -> [u8; RECORD] {
        let kind = match self.change {
            Change::Doubt => DOUBT,
            Change::Settle => SETTLE,
            Change::Lose(why) => LOSE + why as u8,
        };
        let mut bytes = [0; RECORD];
        let fields = self.delta.to_le_bytes().into_iter();
        let fields = fields.chain(self.datums.to_le_bytes()).chain(self.run.to_le_bytes());
        let fields = fields.chain([kind, self.parts.bits() | if self.done { DONE } else { 0 }]);
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        if let Some((summed, sum)) = bytes.split_last_chunk_mut::<4>() {
            *sum = checksum(first, summed).to_le_bytes();
        }
        bytes
    }

    /// The records among `bytes`.
    pub(super) fn decode_all(first: u64, bytes: &[u8]) -> impl Iterator<Item = Self> {
        let (records, _torn) = bytes.as_chunks::<RECORD>();
        records.iter().filter_map(move |bytes| Self::decode(first, bytes))
    }

    fn decode(first: u64, bytes: &[u8; RECORD]) -> Option<Self> {
        let (summed, sum) = bytes.split_last_chunk::<4>()?;
        let [d0, d1, d2, d3, l0, l1, l2, l3, r0, r1, kind, parts] = *summed.first_chunk::<12>()?;
        let change = match kind {
            DOUBT => Change::Doubt,
            SETTLE => Change::Settle,
            other => Change::Lose(Loss::ALL.into_iter().find(|why| LOSE + *why as u8 == other)?),
        };
        let record = Self {
            delta: u32::from_le_bytes([d0, d1, d2, d3]),
            run: u16::from_le_bytes([r0, r1]),
            change,
            parts: Parts::from_bits(parts & !DONE)?,
            done: parts & DONE != 0,
            datums: u32::from_le_bytes([l0, l1, l2, l3]),
        };
        (checksum(first, summed) == u32::from_le_bytes(*sum)).then_some(record)
    }

    /// Takes `next` into this record, if it goes on where this one ends.
    pub(super) fn join(&mut self, next: &Self) -> bool {
        let goes_on = self.delta.checked_add(u32::from(self.run)) == Some(next.delta)
            && (self.change, self.parts, self.done) == (next.change, next.parts, next.done);
        let (Some(run), Some(datums)) = (self.run.checked_add(next.run), self.datums.checked_add(next.datums)) else {
            return false;
        };
        if goes_on {
            self.run = run;
            self.datums = datums;
        }
        goes_on
    }
}

/// The length of a record.
pub(super) const RECORD: usize = 16;
const DOUBT: u8 = 1;
const SETTLE: u8 = 2;
const LOSE: u8 = 16;
const DONE: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::{RECORD, Record};
    use crate::deliver::spool::mark::{Change, Loss, Parts};

    #[test]
    fn a_record_survives_its_bytes_and_no_other_reads_it() {
        for change in [Change::Doubt, Change::Settle].into_iter().chain(Loss::ALL.map(Change::Lose)) {
            let record = Record { delta: 70_000, run: 300, change, parts: Parts::URGENT, done: true, datums: 9 };
            let bytes = record.encode(7);
            assert_eq!(Record::decode_all(7, &bytes).collect::<Vec<_>>(), [record]);
            assert_eq!(Record::decode_all(8, &bytes).count(), 0, "another segment's");
            for at in 0..RECORD {
                let mut bad = bytes;
                bad[at] ^= 0x10;
                assert_eq!(Record::decode_all(7, &bad).count(), 0, "byte {at}");
            }
        }
    }
}
