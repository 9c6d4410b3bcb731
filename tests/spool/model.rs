//! Random histories against a model that is as simple as can be.

use std::collections::BTreeMap;

use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy},
    prop_oneof, proptest,
};
use vpce_probe::deliver::spool::{Loss, Parts, Seq, Spool};

use crate::bed::{MEGABYTES_16, NOW, WEIGHT, all, at, balanced, bytes, healthy, small};

#[derive(Clone, Debug)]
enum Step {
    Append(Parts),
    Large(u8),
    Doubt(u8, u8, Parts),
    Settle(u8, u8, Parts),
    Discard(u8, Parts),
    Reopen,
}

fn parts() -> impl Strategy<Value = Parts> {
    prop_oneof![Just(Parts::URGENT), Just(Parts::SCHEDULED), Just(Parts::ALL)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => parts().prop_map(Step::Append),
        1 => (0_u8..40).prop_map(Step::Large),
        2 => (0_u8..30, 1_u8..5, parts()).prop_map(|(back, run, parts)| Step::Doubt(back, run, parts)),
        3 => (0_u8..30, 1_u8..9, parts()).prop_map(|(back, run, parts)| Step::Settle(back, run, parts)),
        1 => (0_u8..30, parts()).prop_map(|(back, parts)| Step::Discard(back, parts)),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn nothing_comes_back_and_nothing_goes_uncounted(steps in vec(step(), 1..80)) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
        // What is owed of each round, and what is in doubt.
        let mut model: BTreeMap<u64, (Parts, Parts)> = BTreeMap::new();
        let mut lost = 0;
        let mut next = 0_u64;
        for step in steps {
            let run = |back: u8, run: u8| {
                let start = next.saturating_sub(u64::from(back));
                start..(start + u64::from(run)).min(next)
            };
            match step {
                Step::Append(owed) => {
                    let seq = spool.append(&small(NOW + next.cast_signed()), owed, WEIGHT, at(NOW));
                    assert_eq!(seq, Seq(next));
                    model.insert(next, (owed, Parts::NONE));
                    next += 1;
                }
                Step::Large(count) => {
                    for _ in 0..count {
                        spool.append(&healthy(NOW + next.cast_signed()), Parts::ALL, WEIGHT, at(NOW));
                        model.insert(next, (Parts::ALL, Parts::NONE));
                        next += 1;
                    }
                }
                Step::Doubt(back, length, parts) => {
                    let rounds: Vec<_> = run(back, length).map(|seq| (Seq(seq), parts)).collect();
                    spool.doubt(&rounds);
                    for (Seq(seq), parts) in rounds {
                        if let Some((owed, doubt)) = model.get_mut(&seq) {
                            *doubt = *doubt | (*owed & parts);
                        }
                    }
                }
                Step::Settle(back, length, parts) => {
                    let rounds: Vec<_> = run(back, length).map(|seq| (Seq(seq), parts)).collect();
                    spool.settle(&rounds);
                    for (Seq(seq), parts) in rounds {
                        finish(&mut model, seq, parts);
                    }
                }
                Step::Discard(back, parts) => {
                    for seq in run(back, 1) {
                        spool.discard(&[(Seq(seq), parts)], Loss::Discarded);
                        lost += u64::from(finish(&mut model, seq, parts));
                    }
                }
                Step::Reopen => {
                    drop(spool);
                    spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
                }
            }
            balanced(&spool);
            assert_eq!(spool.unreported(), lost);
            assert_eq!(spool.state().bytes, bytes(folder.path()));
        }
        for _ in 0..2 {
            let found: Vec<_> = all(&mut spool, NOW).iter().map(|one| (one.seq.0, (one.owed, one.in_doubt), one.sample.tick)).collect();
            let expected: Vec<_> = model.iter().rev().map(|(seq, owed)| (*seq, *owed, at(NOW + seq.cast_signed()))).collect();
            assert_eq!(found, expected);
            spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
        }
    }
}

/// Takes `parts` off a round, and says how many datums that was.
fn finish(model: &mut BTreeMap<u64, (Parts, Parts)>, seq: u64, parts: Parts) -> u32 {
    let Some((owed, doubt)) = model.get_mut(&seq) else { return 0 };
    let concerned = *owed & parts;
    *owed = owed.without(concerned);
    *doubt = doubt.without(concerned);
    if owed.is_empty() {
        model.remove(&seq);
    }
    WEIGHT.of(concerned)
}
