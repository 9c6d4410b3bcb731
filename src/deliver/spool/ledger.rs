//! What must outlive the segments: which rounds are gone for good, and how many datums were lost. A small file, replaced by
//! rename; it is written before a segment is deleted, so that a gap between files has either been accounted for or is a loss.

use serde::{Deserialize, Serialize};

use super::{folder::MOST_NUMBER, ranges::Ranges};

/// The ledger.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Ledger {
    /// The next round's number, at least.
    pub next: u64,
    /// Whatever is below is gone.
    pub floor: u64,
    /// What else is gone, between rounds that are not.
    pub gone: Ranges,
    /// Datums lost whose segments are gone; those of a segment that is still there stand in its acknowledgements.
    pub lost: u64,
    /// Datums reported as lost in samples.
    pub reported: u64,
}

impl Ledger {
    /// The ledger as a file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            next: self.next,
            floor: self.floor,
            gone: self.gone.iter().map(|range| (range.start, range.end)).collect(),
            lost: self.lost,
            reported: self.reported,
        };
        let mut bytes = MAGIC.to_vec();
        // Only a type that refuses to be serialised could fail, and this one does not.
        bytes.extend(postcard::to_stdvec(&stored).unwrap_or_default());
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The ledger in a file; `None` where it is damaged, or of another version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (summed, sum) = bytes.split_last_chunk::<4>()?;
        let body = summed.strip_prefix(&MAGIC)?;
        if crc32fast::hash(summed) != u32::from_le_bytes(*sum) {
            return None;
        }
        let stored: Stored = postcard::from_bytes(body).ok()?;
        let mut gone = Ranges::default();
        for (start, end) in stored.gone {
            gone.add(start..end);
        }
        // No round that is yet to come can be gone, and no number is as high as files' names do not go.
        let ends = gone.iter().last().map_or(0, |range| range.end).max(stored.floor);
        if ends > stored.next || stored.next >= MOST_NUMBER {
            return None;
        }
        Some(Self { next: stored.next, floor: stored.floor, gone, lost: stored.lost, reported: stored.reported })
    }

    /// Nothing below `floor` is there any more.
    pub(super) fn raise(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        self.gone.forget_below(self.floor);
    }

    pub(super) fn is_gone(&self, seq: u64) -> bool {
        seq < self.floor || self.gone.contains(seq)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    next: u64,
    floor: u64,
    gone: Vec<(u64, u64)>,
    lost: u64,
    reported: u64,
}

/// The last two bytes are the version.
const MAGIC: [u8; 8] = *b"vpceSL\x01\x00";

#[cfg(test)]
mod tests {
    use super::Ledger;

    #[test]
    fn a_ledger_survives_its_bytes_and_no_damage_passes() {
        let mut ledger = Ledger { next: 900, floor: 3, lost: 17, reported: 9, ..Ledger::default() };
        ledger.gone.add(10..20);
        ledger.gone.add(30..300);
        let bytes = ledger.encode();
        assert_eq!(Ledger::decode(&bytes), Some(ledger));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Ledger::decode(&bad), None, "byte {at}");
            assert_eq!(Ledger::decode(&bytes[..at]), None, "cut at {at}");
        }
        let mut contradictory = Ledger { next: 900, ..Ledger::default() };
        contradictory.gone.add(899..901);
        assert_eq!(Ledger::decode(&contradictory.encode()), None, "a round that is yet to come is not gone");
    }
}
