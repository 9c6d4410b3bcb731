//! Sets of round numbers, kept as ranges.

use std::ops::Range;

/// Numbers, as ranges in ascending order that neither touch nor overlap.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub(super) fn add(&mut self, mut new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        let from = self.0.partition_point(|range| range.end < new.start);
        let to = self.0.partition_point(|range| range.start <= new.end);
        if let Some(joined) = self.0.get(from..to) {
            for range in joined {
                new.start = new.start.min(range.start);
                new.end = new.end.max(range.end);
            }
        }
        self.0.splice(from..to.max(from), [new]);
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.0.get(self.0.partition_point(|range| range.end <= number)).is_some_and(|range| range.start <= number)
    }

    /// What of `whole` is not in here.
    pub(super) fn gaps(&self, whole: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut start = whole.start;
        for range in self.0.iter().skip(self.0.partition_point(|range| range.end <= whole.start)) {
            if range.start >= whole.end {
                break;
            }
            if start < range.start {
                gaps.push(start..range.start);
            }
            start = range.end;
        }
        if start < whole.end {
            gaps.push(start..whole.end);
        }
        gaps
    }

    /// Forgets what lies below `floor`.
    pub(super) fn forget_below(&mut self, floor: u64) {
        self.0.retain_mut(|range| {
            range.start = range.start.max(floor);
            !range.is_empty()
        });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest};

    use super::Ranges;

    proptest! {
        #[test]
        fn ranges_are_sets(added in vec((0_u64..60, 0_u64..8), 0..30), floor in 0_u64..20, cut in any::<bool>()) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for (start, length) in added {
                ranges.add(start..start + length);
                model.extend(start..start + length);
            }
            if cut {
                ranges.forget_below(floor);
                model.retain(|number| *number >= floor);
            }
            for number in 0..70 {
                prop_assert_eq!(ranges.contains(number), model.contains(&number));
            }
            let gaps: Vec<u64> = ranges.gaps(5..65).into_iter().flatten().collect();
            let expected: Vec<u64> = (5..65).filter(|number| !model.contains(number)).collect();
            prop_assert_eq!(gaps, expected);
            prop_assert_eq!(ranges.iter().map(|range| range.end - range.start).sum::<u64>(), model.len() as u64);
            let apart = ranges.0.windows(2).all(|two| two[0].end < two[1].start);
            prop_assert_eq!(apart, true);
        }
    }
}
