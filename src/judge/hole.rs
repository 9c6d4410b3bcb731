//! A path-MTU black hole: its sizes in each direction, in words, what it explains, and whether two are the same one.

use super::{
    scene::{Judged, Seen},
    words::bytes,
};
use crate::model::{
    cause::Cause,
    observation::{AddressRecord, MtuOutcome, MtuRecord, Outcome},
};

/// What is known of one direction; sizes are IP packets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bracket {
    /// Whether large packets vanish this way.
    is_hole: bool,
    /// The largest size that was seen to pass.
    passes: Option<u32>,
    /// The smallest size that was seen to vanish.
    fails: Option<u32>,
    /// The largest size that was seen to pass on every path of these: `passes`, were they surely one.
    safe: Option<u32>,
}

impl Bracket {
    fn new(is_hole: bool, passes: Option<u32>, fails: Option<u32>) -> Self {
        let fails = fails.filter(|_| is_hole);
        // Whatever a mixed measurement says: a size does not both pass and vanish.
        let passes = passes.filter(|passes| fails.is_none_or(|fails| *passes < fails));
        Self { is_hole, passes, fails, safe: passes.filter(|_| is_hole) }
    }

    /// Both seen as one: the sizes that neither rules out.
    fn meet(self, other: Self) -> Self {
        Self {
            is_hole: self.is_hole || other.is_hole,
            passes: self.passes.max(other.passes),
            fails: [self.fails, other.fails].into_iter().flatten().min(),
            safe: [self.safe, other.safe].into_iter().flatten().min(),
        }
    }

    /// Whether one limit can be the reason of both. A direction without a hole says how far it was tried, and a small
    /// certificate chain does not reach far.
    fn overlaps(self, other: Self) -> bool {
        let Self { passes, fails, .. } = self.meet(other);
        passes.zip(fails).is_none_or(|(passes, fails)| passes < fails)
    }
}

/// A black hole on the way to one address, or the same one on the way to several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    out: Bracket,
    back: Bracket,
}

impl Hole {
    /// The hole that a measurement found.
    pub(super) fn of(record: &MtuRecord) -> Option<Self> {
        let (out, back) = match record.outcome {
            MtuOutcome::BlackholeOut => (true, false),
            MtuOutcome::BlackholeIn => (false, true),
            MtuOutcome::BlackholeBoth => (true, true),
            MtuOutcome::Ok
            | MtuOutcome::Clamped
            | MtuOutcome::ReliesOnIcmp
            | MtuOutcome::Inconclusive
            | MtuOutcome::NotTried => return None,
        };
        // What arrived counts as well as a rung of its own, as long as it is no larger than what vanishes.
        let arrived = record.in_seen.filter(|seen| record.in_fails.is_none_or(|fails| *seen < fails));
        Some(Self {
            out: Bracket::new(out, record.out_ok, record.out_fails),
            back: Bracket::new(back, record.in_ok.max(arrived), record.in_fails),
        })
    }

    /// The hole that broke this address, if one did.
    pub(super) fn of_dead(seen: &Seen<'_>) -> Option<Self> {
        let cause = seen.broken()?.cause;
        seen.record.mtu.as_ref().and_then(Self::of).filter(|hole| hole.cause() == cause)
    }

    /// The one hole on the way to a target; `None` where there is none, or where its addresses' sizes differ.
    pub(super) fn of_target(judged: &Judged<'_>) -> Option<Self> {
        Self::joint(judged.view.used().filter_map(Self::of_dead))
    }

    /// All of them as one; `None` where they cannot be one.
    pub(super) fn joint(mut holes: impl Iterator<Item = Self>) -> Option<Self> {
        let first = holes.next()?;
        holes.try_fold(first, |known, hole| known.is_like(&hole).then(|| known.meet(&hole)))
    }

    /// By direction.
    pub(super) const fn cause(&self) -> Cause {
        match (self.out.is_hole, self.back.is_hole) {
            (true, true) => Cause::MtuBlackholeBoth,
            (true, false) => Cause::MtuBlackholeOut,
            (false, _) => Cause::MtuBlackholeIn,
        }
    }

    /// Whether one hole can be the reason of both: they share a direction, and no size contradicts.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shared = self.out.is_hole && other.out.is_hole || self.back.is_hole && other.back.is_hole;
        shared && self.out.overlaps(other.out) && self.back.overlaps(other.back)
    }

    /// Both seen as one.
    pub(super) fn meet(&self, other: &Self) -> Self {
        Self { out: self.out.meet(other.out), back: self.back.meet(other.back) }
    }

    /// The largest size that is known to pass each way that has a hole, on every path that was seen as one.
    pub(super) fn size(&self) -> Option<u32> {
        let holes = || [self.out, self.back].into_iter().filter(|bracket| bracket.is_hole);
        let known = holes().all(|bracket| bracket.safe.is_some());
        holes().filter_map(|bracket| bracket.safe).min().filter(|_| known)
    }

    /// Whether packets from this host's peers vanish.
    pub(super) const fn is_inbound(&self) -> bool {
        self.back.is_hole
    }

    /// Whether a packet of `size` bytes may be the limit: smaller ones pass and larger ones vanish, as far as is known.
    pub(super) fn may_begin_above(&self, size: u32) -> bool {
        let fits = |bracket: Bracket| {
            bracket.passes.is_none_or(|passes| passes <= size) && bracket.fails.is_none_or(|fails| fails > size)
        };
        [self.out, self.back].into_iter().filter(|bracket| bracket.is_hole).all(fits)
    }

    /// Whether this measurement, which found no hole, saw a packet pass that would vanish in this one.
    pub(super) fn is_passed_by(&self, record: &MtuRecord) -> bool {
        let mut ways =
            [(self.out.fails, record.out_ok), (self.back.fails, record.in_seen.max(record.in_ok))].into_iter();
        Self::of(record).is_none() && ways.any(|(fails, passes)| fails.zip(passes).is_some_and(|(no, yes)| yes >= no))
    }

    /// Whether the handshake's end is the hole's doing: it hung, or whoever waited longest gave up. A certificate that
    /// is not trusted is a fault of its own, and so is a reset that comes at once.
    pub(super) fn explains_handshake(record: &AddressRecord) -> bool {
        if record.mtu.as_ref().and_then(Self::of).is_none() {
            return false;
        }
        record.tls.as_ref().is_none_or(|tls| match tls.outcome {
            Outcome::Failed(Cause::TlsTimeout | Cause::NotFinished) => true,
            Outcome::Failed(Cause::TlsClosed | Cause::TlsReset) => tls.elapsed_ms.as_f64() > PATIENCE_MS,
            Outcome::Failed(_) | Outcome::Ok => false,
        })
    }

    /// Whether a `ClientHello` of that many bytes, or the answer to it, may have vanished in the hole.
    pub(super) fn explains_hello(&self, hello: Option<u64>) -> bool {
        let fits = hello.zip(self.out.passes).is_some_and(|(hello, passes)| hello + HEADERS <= u64::from(passes));
        self.back.is_hole || !fits
    }

    /// e.g. `packets out up to 1,400 bytes pass, from 1,405 on they vanish`.
    pub(super) fn words(&self) -> String {
        let Self { out, back } = self;
        match (out.is_hole, back.is_hole) {
            (true, false) => one("out", *out),
            (false, _) => one("in", *back),
            (true, true) => both(*out, *back),
        }
    }

    /// The same, and that nobody says so: the sentence of an address by itself.
    pub(super) fn sentence(&self) -> String {
        format!("{}{SILENTLY}", self.words())
    }
}

fn one(way: &str, bracket: Bracket) -> String {
    match (bracket.passes, bracket.fails) {
        (Some(passes), Some(fails)) => {
            format!("packets {way} up to {} bytes pass, from {} on they vanish", bytes(passes), bytes(fails))
        }
        (Some(passes), None) => format!("packets {way} up to {} bytes pass, larger ones vanish", bytes(passes)),
        (None, Some(fails)) => format!("packets {way} of {} bytes and more vanish", bytes(fails)),
        (None, None) => format!("large packets {way} vanish"),
    }
}

fn both(out: Bracket, back: Bracket) -> String {
    match ((out.passes, back.passes), (out.fails, back.fails)) {
        // One limit can be the reason of both: one pair of numbers is read more easily than two.
        ((Some(out), Some(back)), (Some(no), Some(nor))) if out.max(back) < no.min(nor) => format!(
            "packets up to {} bytes pass, from {} on they vanish both ways",
            bytes(out.min(back)),
            bytes(no.max(nor))
        ),
        ((Some(out), Some(back)), (Some(no), Some(nor))) => format!(
            "packets up to {} bytes out and {} in pass, from {} and {} on they vanish",
            bytes(out),
            bytes(back),
            bytes(no),
            bytes(nor)
        ),
        ((Some(out), Some(back)), _) => {
            format!("packets up to {} bytes out and {} in pass, larger ones vanish", bytes(out), bytes(back))
        }
        ((None, None), (None, None)) => "large packets vanish both ways".to_owned(),
        _ => format!("{}; {}", one("out", out), one("in", back)),
    }
}

/// The end of [`Hole::sentence`], which a sentence with much before it leaves out.
pub(super) const SILENTLY: &str = ", and no ICMP says so";
/// IP, TCP with its options, and nothing else: the largest overhead of a segment.
const HEADERS: u64 = 100;
/// Longer than any peer needs to refuse a hello that it has read.
const PATIENCE_MS: f64 = 1000.0;

#[cfg(test)]
mod tests {
    use super::Hole;
    use crate::model::{
        observation::{MtuOutcome, MtuRecord},
        units::{Millis, Timestamp},
    };

    type Sizes = (Option<u32>, Option<u32>);

    fn hole(outcome: MtuOutcome, (out_ok, out_fails): Sizes, (in_ok, in_fails): Sizes, in_seen: Option<u32>) -> Hole {
        let record = MtuRecord {
            outcome,
            out_ok,
            out_fails,
            in_seen,
            in_ok,
            in_fails,
            link_mtu: Some(9001),
            elapsed_ms: Millis::default(),
            connections: 3,
            measured_at: Timestamp::new(time::OffsetDateTime::UNIX_EPOCH),
            detail: None,
        };
        Hole::of(&record).expect("a hole")
    }

    #[test]
    fn every_size_may_be_missing() {
        use MtuOutcome::{BlackholeBoth as Both, BlackholeIn as In, BlackholeOut as Out};
        let (none, all, pass, fail) = ((None, None), (Some(1400), Some(1405)), (Some(1400), None), (None, Some(1405)));
        for (hole, words, size) in [
            (hole(Out, all, none, None), "packets out up to 1,400 bytes pass, from 1,405 on they vanish", Some(1400)),
            (hole(Out, pass, none, None), "packets out up to 1,400 bytes pass, larger ones vanish", Some(1400)),
            (hole(Out, fail, none, None), "packets out of 1,405 bytes and more vanish", None),
            (hole(Out, none, none, Some(4148)), "large packets out vanish", None),
            (hole(In, pass, all, None), "packets in up to 1,400 bytes pass, from 1,405 on they vanish", Some(1400)),
            (hole(In, none, fail, Some(853)), "packets in up to 853 bytes pass, from 1,405 on they vanish", Some(853)),
            (
                hole(In, none, (Some(1280), Some(1405)), Some(4148)),
                "packets in up to 1,280 bytes pass, from 1,405 on they vanish",
                Some(1280),
            ),
            // What arrived before the path changed is no proof.
            (hole(In, none, fail, Some(4148)), "packets in of 1,405 bytes and more vanish", None),
            (
                hole(Both, all, all, None),
                "packets up to 1,400 bytes pass, from 1,405 on they vanish both ways",
                Some(1400),
            ),
            (
                hole(Both, (Some(1400), Some(1413)), (Some(1397), Some(1402)), None),
                "packets up to 1,397 bytes pass, from 1,413 on they vanish both ways",
                Some(1397),
            ),
            (
                hole(Both, all, (Some(4000), Some(4500)), None),
                "packets up to 1,400 bytes out and 4,000 in pass, from 1,405 and 4,500 on they vanish",
                Some(1400),
            ),
            (
                hole(Both, pass, (Some(1380), None), None),
                "packets up to 1,400 bytes out and 1,380 in pass, larger ones vanish",
                Some(1380),
            ),
            (
                hole(Both, fail, all, None),
                "packets out of 1,405 bytes and more vanish; packets in up to 1,400 bytes pass, from 1,405 on they vanish",
                None,
            ),
            (hole(Both, none, none, None), "large packets vanish both ways", None),
        ] {
            assert_eq!((hole.words().as_str(), hole.size()), (words, size));
        }
    }

    #[test]
    fn holes_are_alike_where_one_limit_can_be_the_reason() {
        use MtuOutcome::{BlackholeBoth as Both, BlackholeIn as In, BlackholeOut as Out};
        let none = (None, None);
        let out = |passes, fails| hole(Out, (Some(passes), Some(fails)), none, Some(853));
        let both = hole(Both, (Some(1400), Some(1405)), (Some(1397), Some(1402)), Some(1397));
        let into = hole(In, (Some(9001), None), (Some(1397), Some(1402)), Some(1397));
        for (one, other, alike) in [
            (out(1400, 1405), out(1380, 1403), true),
            (out(1400, 1405), out(1405, 1500), false),
            (out(1400, 1405), hole(Out, none, none, None), true),
            // A small chain does not reach the inbound hole; a large one that arrived rules it out.
            (out(1400, 1405), both, true),
            (hole(Out, (Some(1400), Some(1405)), none, Some(4148)), both, false),
            (out(1400, 1405), into, false),
            (into, both, false),
            // Nothing contradicts, and nothing is shared.
            (hole(Out, none, none, None), hole(In, none, none, None), false),
            (into, into, true),
        ] {
            assert_eq!(one.is_like(&other), alike, "{one:?} {other:?}");
            assert_eq!(other.is_like(&one), alike, "{other:?} {one:?}");
        }
        let met = out(1400, 1405).meet(&out(1380, 1403));
        assert_eq!(met.words(), out(1400, 1403).words());
        assert_eq!(met.size(), Some(1380), "what is typed must pass on both");
        assert_eq!(out(1400, 1405).meet(&both).size(), Some(1397), "853 bytes were no limit");
    }

    #[test]
    fn a_hello_that_fits_is_not_the_holes() {
        let none = (None, None);
        let out = hole(MtuOutcome::BlackholeOut, (Some(1580), Some(1600)), none, None);
        for (hello, explained) in [(Some(1495), true), (Some(1480), false), (None, true)] {
            assert_eq!(out.explains_hello(hello), explained, "{hello:?}");
        }
        let into = hole(MtuOutcome::BlackholeIn, (Some(9001), None), (Some(1280), Some(1290)), None);
        assert!(into.explains_hello(Some(1495)), "its answer is large too");
    }
}
