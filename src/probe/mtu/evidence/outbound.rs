//! The way out: what became of the segments that were sent.

use super::{AGREE, Comb, CombEnding, Sight, Way};

/// Reads all combs together.
pub(super) fn look(combs: &[Comb]) -> Way {
    let ok = combs.iter().filter_map(proven).max();
    let done = |comb: &&Comb| comb.ending == CombEnding::Done;
    let finished = combs.iter().filter(done).map(|comb| comb.widest).max();
    let floor = ok.max(finished).unwrap_or(0);
    let (above, below): (Vec<u32>, Vec<u32>) = combs.iter().filter_map(stuck).partition(|at| *at > floor);
    let mut way = Way {
        ok,
        fails: above.iter().copied().min(),
        failed: above.len(),
        contradicted: below.len(),
        sight: Sight::Fine,
    };
    let passes = combs.iter().filter(done).any(|comb| comb.natural) && way.failed == 0;
    way.sight = if way.failed >= AGREE || (way.failed > 0 && is_avoided(combs, way.fails)) {
        Sight::Hole
    } else if passes && way.contradicted < AGREE {
        Sight::Fine
    } else {
        Sight::Unclear(reason(combs, &way))
    };
    way
}

/// Whether later connections could not even try the size that failed: ICMP reaches the peer alone, its own packets taught
/// it the path's size, and it announces no more than that from then on. That is a second witness, and there is no other.
fn is_avoided(combs: &[Comb], fails: Option<u32>) -> bool {
    let Some(fails) = fails else { return false };
    let natural = || combs.iter().filter(|comb| comb.natural);
    natural().any(|comb| stuck(comb) == Some(fails))
        && natural().any(|comb| comb.ending == CombEnding::Done && comb.widest < fails)
}

/// The largest size that a comb proves: a finished one passed whole unless it says less.
fn proven(comb: &Comb) -> Option<u32> {
    match comb.ending {
        CombEnding::Done => comb.passed.or(Some(comb.widest)),
        CombEnding::Stuck { .. } | CombEnding::Broken(_) => comb.passed,
    }
}

/// Where a comb stuck while smaller packets passed.
fn stuck(comb: &Comb) -> Option<u32> {
    match comb.ending {
        CombEnding::Stuck { at, proof: true } => Some(at),
        CombEnding::Stuck { .. } | CombEnding::Done | CombEnding::Broken(_) => None,
    }
}

/// Why it cannot be told.
fn reason(combs: &[Comb], way: &Way) -> String {
    if way.contradicted >= AGREE {
        let from = combs.iter().filter_map(stuck).min().unwrap_or(0);
        let passed = combs.iter().filter(|comb| comb.ending == CombEnding::Done && comb.widest >= from).count();
        let (stuck, all) = (way.contradicted, way.contradicted + passed);
        return format!(
            "mixed: {stuck} of {all} connections lost sizes that passed: loss, or a hole on one of several paths"
        );
    }
    if let Some(fails) = way.fails {
        return format!("one connection lost every packet of {fails} bytes, and none has confirmed it");
    }
    if combs.iter().any(|comb| matches!(comb.ending, CombEnding::Stuck { proof: false, .. })) {
        return "what was sent is lost, and nothing shows that smaller packets passed meanwhile".to_owned();
    }
    let broken = combs.iter().find_map(|comb| match &comb.ending {
        CombEnding::Broken(why) => Some(why),
        CombEnding::Done | CombEnding::Stuck { .. } => None,
    });
    match broken {
        Some(why) => format!("no test of sizes was finished: {why}"),
        None if combs.is_empty() => "no connection could send large packets".to_owned(),
        None => "no packet of natural size was tried to the end".to_owned(),
    }
}
