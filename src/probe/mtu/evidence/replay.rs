//! Every path that was measured by hand, as evidence: what it must be read as.

use super::{Arrival, Comb, CombEnding, Ending, Evidence, Missing, Sight, read};
use crate::model::observation::MtuOutcome;

fn arrival(allowed: u32, natural: bool, ending: Ending, seen: impl Into<Option<u32>>) -> Arrival {
    Arrival { allowed, natural, ending, seen: seen.into() }
}

/// The control and rungs up to `ok` are answered, the rungs in `stalled` and two natural handshakes stall.
fn hole_in(natural: u32, ok: u32, stalled: &[u32]) -> Vec<Arrival> {
    let done = [576, ok].map(|size| arrival(size, false, Ending::Done, size));
    let rungs = stalled.iter().map(|size| arrival(*size, false, Ending::StalledIn, None));
    let naturals = (0..2).map(|_| arrival(natural, true, Ending::StalledIn, None));
    done.into_iter().chain(rungs).chain(naturals).collect()
}

/// One natural handshake that is completed, with its largest packet.
fn fine_in(natural: u32, seen: u32) -> Vec<Arrival> {
    vec![arrival(natural, true, Ending::Done, seen)]
}

/// A natural comb that passes.
fn fine_out(widest: u32) -> Vec<Comb> {
    vec![Comb { widest, natural: true, passed: Some(widest), ending: CombEnding::Done }]
}

fn stuck(widest: u32, passed: impl Into<Option<u32>>, at: u32, proof: bool) -> Comb {
    Comb { widest, natural: true, passed: passed.into(), ending: CombEnding::Stuck { at, proof } }
}

/// The natural comb and two more get stuck; the last one has the finer sizes.
fn hole_out(widest: u32, ok: u32, fails: u32) -> Vec<Comb> {
    vec![stuck(widest, 452, widest, true), stuck(widest, 576, fails, true), stuck(fails, ok, fails, true)]
}

fn evidence(link: u32, arrivals: Vec<Arrival>, combs: Vec<Comb>) -> Evidence {
    Evidence { link_mtu: Some(link), learnt: None, arrivals, combs }
}

#[track_caller]
fn check(
    evidence: &Evidence,
    outcome: MtuOutcome,
    out: (Option<u32>, Option<u32>),
    seen: Option<u32>,
    inwards: Option<(u32, u32)>,
) {
    let reading = read(evidence);
    let got = (reading.outcome, (reading.out_ok, reading.out_fails), reading.in_seen);
    assert_eq!(got, (outcome, out, seen), "{reading:?}");
    assert_eq!(reading.in_ok.zip(reading.in_fails), inwards, "{reading:?}");
    assert_eq!(reading.detail.is_some(), outcome == MtuOutcome::Inconclusive || outcome == MtuOutcome::ReliesOnIcmp);
}

#[test]
fn healthy_paths() {
    let fine = |link, out, seen, outcome| {
        check(&evidence(link, fine_in(out, seen), fine_out(out)), outcome, (Some(out), None), Some(seen), None);
    };
    fine(9_001, 9_001, 4_148, MtuOutcome::Ok); // clean, IPv4
    fine(9_001, 9_001, 4_168, MtuOutcome::Ok); // IPv6
    fine(9_001, 9_001, 853, MtuOutcome::Ok); // a small ECDSA chain
    fine(1_500, 1_500, 1_500, MtuOutcome::Ok);
    fine(9_001, 8_500, 4_148, MtuOutcome::Clamped); // PrivateLink
    fine(9_001, 1_380, 1_380, MtuOutcome::Clamped); // a VPN that clamps, IPv4
    fine(9_001, 1_400, 1_400, MtuOutcome::Clamped); // and IPv6
    fine(65_536, 32_820, 4_148, MtuOutcome::Ok); // half the window on loopback
    let unknown = Evidence { link_mtu: None, ..evidence(0, fine_in(1_500, 1_500), fine_out(1_500)) };
    check(&unknown, MtuOutcome::Ok, (Some(1_500), None), Some(1_500), None);
}

#[test]
fn icmp_at_work() {
    for (mtu, widest, passed) in [(1_400, 9_001, 1_400), (1_280, 1_280, 1_280), (1_400, 9_001, 9_001)] {
        let mut seen = evidence(9_001, fine_in(9_001, mtu), fine_out(widest));
        seen.combs[0].passed = Some(passed);
        seen.learnt = Some(mtu);
        check(&seen, MtuOutcome::ReliesOnIcmp, (Some(mtu), None), Some(mtu), None);
    }
    let mut smaller_link = evidence(1_500, fine_in(1_500, 1_500), fine_out(1_500));
    smaller_link.learnt = Some(1_500);
    assert_eq!(read(&smaller_link).outcome, MtuOutcome::Ok);
}

#[test]
fn holes() {
    let row = |arrivals, combs, outcome, out, seen, inwards| {
        check(&evidence(9_001, arrivals, combs), outcome, out, Some(seen), inwards);
    };
    for (natural, out, ins) in [
        (9_001, (1_400, 1_405), (1_397, 1_402)), // ICMP dropped at 1,400
        (9_001, (1_280, 1_290), (1_280, 1_291)),
        (9_001, (1_400, 1_405), (4_000, 4_500)), // 1,400 out, 4,000 in
        (9_001, (1_500, 1_812), (1_500, 1_777)), // links that disagree
        (1_500, (1_400, 1_405), (1_397, 1_402)), // a VPN that clamps too high
        (9_001, (1_400, 1_440), (1_397, 1_402)), // neither SACK nor timestamps
    ] {
        let both = hole_in(natural, ins.0, &[ins.1, natural - 1]);
        let out_seen = (Some(out.0), Some(out.1));
        row(both, hole_out(natural, out.0, out.1), MtuOutcome::BlackholeBoth, out_seen, ins.0, Some(ins));
    }
    for (ins, out) in [((1_397, 1_402), 9_001), ((2_888, 3_166), 9_001), ((1_397, 1_402), 1_380)] {
        let arrivals = hole_in(9_001, ins.0, &[ins.1, 8_500]);
        row(arrivals, fine_out(out), MtuOutcome::BlackholeIn, (Some(out), None), ins.0, Some(ins));
    }
    for (out, seen) in [((1_400, 1_405), 4_148), ((8_500, 9_001), 4_148), ((1_400, 1_405), 1_380)] {
        let combs = hole_out(9_001, out.0, out.1);
        row(fine_in(9_001, seen), combs, MtuOutcome::BlackholeOut, (Some(out.0), Some(out.1)), seen, None);
    }
}

#[test]
fn a_hole_below_the_small_packets_leaves_the_way_out_unknown() {
    let mut seen = evidence(9_001, hole_in(9_001, 576, &[628, 654, 1_280]), Vec::new());
    seen.arrivals.push(arrival(628, false, Ending::StalledOut, None));
    let reading = read(&seen);
    assert_eq!(reading.outcome, MtuOutcome::BlackholeIn);
    assert_eq!(
        (reading.in_ok, reading.in_fails, reading.out_ok, reading.out_fails),
        (Some(576), Some(628), None, None)
    );
    assert!(reading.detail.is_some_and(|detail| detail.starts_with("outwards: ")));
}

#[test]
fn a_peer_that_icmp_taught_bears_witness_to_the_way_out() {
    // ICMP reaches the peer alone: after the first comb it announces 1,400 bytes, and nothing larger can be tried.
    let combs = [vec![stuck(9_001, 1_400, 1_492, true)], fine_out(1_400)].concat();
    let hole = MtuOutcome::BlackholeOut;
    check(&evidence(9_001, fine_in(1_400, 1_400), combs), hole, (Some(1_400), Some(1_492)), Some(1_400), None);
}

#[test]
fn what_icmp_taught_this_side_bears_witness_to_the_way_in() {
    // ICMP reaches this side alone: its own hello teaches it 1,400 bytes, and it announces no more from then on.
    let stalled = arrival(9_001, true, Ending::StalledIn, None);
    let arrivals = [vec![stalled], fine_in(1_400, 1_400)].concat();
    let told = Evidence { learnt: Some(1_400), ..evidence(9_001, arrivals, fine_out(1_400)) };
    let reading = read(&told);
    assert_eq!((reading.outcome, reading.in_ok), (MtuOutcome::BlackholeIn, Some(1_400)), "{reading:?}");
}

#[test]
fn the_kernels_own_mtu_probing_fools_nobody() {
    let mut rescued = evidence(9_001, hole_in(9_001, 1_397, &[1_402]), fine_out(9_001));
    rescued.arrivals.push(arrival(9_001, true, Ending::DoneLate, 1_064));
    check(&rescued, MtuOutcome::BlackholeIn, (Some(9_001), None), Some(1_397), Some((1_397, 1_402)));
}

#[test]
fn what_is_not_about_size() {
    let says = |arrivals: Vec<Arrival>, combs, words: &str| {
        let reading = read(&evidence(9_001, arrivals, combs));
        assert_eq!(reading.outcome, MtuOutcome::Inconclusive, "{reading:?}");
        assert!(reading.detail.as_ref().is_some_and(|detail| detail.contains(words)), "{words}: {reading:?}");
    };
    for ending in [Ending::StalledIn, Ending::StalledOut] {
        let silent = [(9_001, true), (9_001, true), (1_280, false), (576, false)];
        let silent = silent.map(|(allowed, natural)| arrival(allowed, natural, ending.clone(), None));
        says(silent.to_vec(), Vec::new(), "the server is mute: 4 handshakes stalled, even with packets of at most 576");
    }
    for why in ["reset", "closed", "refused", "no answer"] {
        says(vec![arrival(9_001, true, Ending::Other(why.to_owned()), None)], Vec::new(), why);
    }
    says(Vec::new(), Vec::new(), "no handshake was tried");
    says(fine_in(9_001, 4_148), Vec::new(), "outwards: no connection could send");
    says(fine_in(9_001, 4_148), vec![stuck(9_001, None, 452, false); 3], "nothing shows that smaller");
    let broken = Comb { ending: CombEnding::Broken("reset".to_owned()), ..stuck(9_001, None, 1, false) };
    says(fine_in(9_001, 4_148), vec![broken], "outwards: no test of sizes was finished: reset");
    says(fine_in(9_001, 4_148), vec![stuck(9_001, 1_400, 1_405, true)], "none has confirmed");
    let paths = [fine_out(9_001), hole_out(9_001, 1_400, 1_440)].concat();
    says(fine_in(9_001, 4_148), paths, "outwards: mixed: 3 of 4 connections");
    let paths = [fine_in(9_001, 4_148), hole_in(9_001, 1_280, &[4_500])].concat();
    says(paths, fine_out(9_001), "inwards: mixed: 3 of 4 handshakes");
    // A server that has no more than 853 bytes to say: its packets passed, whatever stalled besides.
    let mut small = hole_in(9_001, 576, &[1_500]);
    small.push(arrival(1_280, false, Ending::Done, 853));
    says(small, fine_out(9_001), "inwards: mixed");
    // One of two targets behind a balancer is mute: half the connections stall, whatever their sizes.
    let mut half = hole_in(1_500, 1_492, &[1_300, 1_402, 1_446]);
    says(half.clone(), fine_out(1_500), "inwards: mixed: 3 of 4 handshakes");
    // A hole close to the link's MTU, and one handshake that met with loss.
    half.truncate(3);
    half.extend(hole_in(1_500, 1_492, &[]));
    assert_eq!(read(&evidence(1_500, half, fine_out(1_500))).outcome, MtuOutcome::BlackholeIn);
    let mut slow = hole_in(9_001, 576, &[4_000]);
    slow.iter_mut().filter(|one| one.ending == Ending::Done).for_each(|one| one.ending = Ending::DoneLate);
    says(slow, fine_out(9_001), "the server is slow");
}

#[test]
fn loss_and_slowness_are_healthy() {
    let ok = |arrivals, combs| assert_eq!(read(&evidence(1_500, arrivals, combs)).outcome, MtuOutcome::Ok);
    ok(vec![arrival(1_500, true, Ending::DoneLate, 1_500)], fine_out(1_500));
    let late = [arrival(1_500, true, Ending::DoneLate, 1_500), arrival(1_400, false, Ending::StalledIn, None)];
    ok(late.to_vec(), fine_out(1_500));
    ok(fine_in(1_500, 1_500), [fine_out(1_500), vec![stuck(1_500, 1_280, 1_400, true)]].concat());
}

#[test]
fn what_is_missing_settles_it() {
    let mut seen = evidence(9_001, vec![arrival(9_001, true, Ending::StalledIn, None)], Vec::new());
    assert_eq!(seen.missing(), [Missing::Control, Missing::Natural]);
    assert_eq!(seen.inbound_bracket(), None);
    seen.arrivals.push(arrival(576, false, Ending::Done, 576));
    assert_eq!(seen.inbound_bracket(), Some((576, 9_001)));
    assert_eq!(seen.missing(), [Missing::Natural, Missing::Comb]);
    seen.arrivals.push(arrival(9_001, true, Ending::StalledIn, None));
    assert_eq!((seen.inbound().sight, seen.missing()), (Sight::Hole, vec![Missing::Comb]));
    seen.combs.push(stuck(9_001, None, 1_280, true));
    assert_eq!((seen.outbound_bracket(), seen.missing()), (Some((None, 1_280)), vec![Missing::Comb]));
    seen.combs.push(stuck(1_280, 576, 1_280, true));
    assert_eq!((read(&seen).outcome, seen.missing()), (MtuOutcome::BlackholeBoth, Vec::new()));
}
