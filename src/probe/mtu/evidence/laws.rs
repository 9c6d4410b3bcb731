//! Laws that hold for any evidence, however contradictory.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{Arrival, Comb, CombEnding, Ending, Evidence, read};
use crate::{
    model::observation::MtuOutcome,
    probe::mtu::ladder::{first_comb, first_rungs, is_narrow, refine},
};

fn size() -> impl Strategy<Value = u32> {
    select(vec![400, 576, 853, 1_280, 1_300, 1_400, 1_405, 1_500, 3_000, 4_148, 8_500, 9_001])
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let endings = vec![
        Ending::Done,
        Ending::DoneLate,
        Ending::StalledIn,
        Ending::StalledIn,
        Ending::StalledOut,
        Ending::Other("reset".to_owned()),
    ];
    (size(), any::<bool>(), select(endings), option::of(size())).prop_map(|(allowed, natural, ending, seen)| Arrival {
        allowed,
        natural,
        ending,
        seen,
    })
}

fn comb() -> impl Strategy<Value = Comb> {
    let ending = prop_oneof![
        Just(CombEnding::Done),
        (size(), any::<bool>()).prop_map(|(at, proof)| CombEnding::Stuck { at, proof }),
        Just(CombEnding::Broken("closed".to_owned())),
    ];
    (size(), any::<bool>(), option::of(size()), ending).prop_map(|(widest, natural, passed, ending)| Comb {
        widest,
        natural,
        passed,
        ending,
    })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    (option::of(size()), option::of(size()), vec(arrival(), 0..7), vec(comb(), 0..5))
        .prop_map(|(link_mtu, learnt, arrivals, combs)| Evidence { link_mtu, learnt, arrivals, combs })
}

/// How bad an outcome is.
fn badness(outcome: MtuOutcome) -> u8 {
    match outcome {
        MtuOutcome::Ok | MtuOutcome::Clamped | MtuOutcome::ReliesOnIcmp => 0,
        MtuOutcome::Inconclusive | MtuOutcome::NotTried => 1,
        MtuOutcome::BlackholeIn | MtuOutcome::BlackholeOut => 2,
        MtuOutcome::BlackholeBoth => 3,
    }
}

/// A handshake on a path that lets `limit` bytes in, from a server whose largest packet would be `flight`.
fn arrives(limit: u32, flight: u32, allowed: u32, natural: bool) -> Arrival {
    let packet = allowed.min(flight);
    let passes = packet <= limit;
    let ending = if passes { Ending::Done } else { Ending::StalledIn };
    Arrival { allowed, natural, ending, seen: passes.then_some(packet) }
}

/// A comb on a path that lets `limit` bytes out.
fn combed(limit: u32, sizes: &[u32], natural: bool) -> Comb {
    let at = sizes.iter().copied().find(|size| *size > limit);
    Comb {
        widest: sizes.last().copied().unwrap_or(0),
        natural,
        passed: sizes.iter().copied().filter(|size| *size <= limit).max(),
        ending: at.map_or(CombEnding::Done, |at| CombEnding::Stuck { at, proof: true }),
    }
}

proptest! {
    #[test]
    fn a_path_without_loss_is_measured_right(
        link in select(vec![1_500_u32, 9_001]), into in 576_u32..9_100, out in 576_u32..9_100, flight in 700_u32..9_001,
    ) {
        let mut seen = Evidence { link_mtu: Some(link), ..Evidence::default() };
        seen.arrivals = vec![arrives(into, flight, link, true), arrives(into, flight, link, true)];
        seen.arrivals.extend([576].into_iter().chain(first_rungs(link)).map(|size| arrives(into, flight, size, false)));
        seen.combs = vec![combed(out, &[452, link], true), combed(out, &first_comb(link), true)];
        for _ in 0..2 {
            if let Some((ok, fails)) = seen.inbound_bracket() {
                seen.arrivals.extend(refine(ok, fails, 8).into_iter().map(|size| arrives(into, flight, size, false)));
            }
            if let Some((ok, fails)) = seen.outbound_bracket() {
                let sizes = refine(ok.unwrap_or(576), fails, 8);
                seen.combs.push(combed(out, &[sizes, vec![fails]].concat(), false));
            }
        }
        let reading = read(&seen);
        let holes = match (link.min(flight) > into, link > out) {
            (true, true) => MtuOutcome::BlackholeBoth,
            (true, false) => MtuOutcome::BlackholeIn,
            (false, true) => MtuOutcome::BlackholeOut,
            (false, false) => MtuOutcome::Ok,
        };
        prop_assert_eq!(reading.outcome, holes);
        prop_assert!(seen.missing().is_empty());
        for (limit, ok, fails) in [(into, reading.in_ok, reading.in_fails), (out, reading.out_ok, reading.out_fails)] {
            if let Some(fails) = fails {
                let ok = ok.unwrap_or(0);
                prop_assert!(ok <= limit && limit < fails && is_narrow(ok, fails), "{} in [{}, {}]", limit, ok, fails);
            }
        }
    }

    #[test]
    fn a_reading_is_whole(evidence in evidence()) {
        let reading = read(&evidence);
        let (inwards, outwards) = match reading.outcome {
            MtuOutcome::BlackholeBoth => (true, true),
            MtuOutcome::BlackholeIn => (true, false),
            MtuOutcome::BlackholeOut => (false, true),
            MtuOutcome::Ok
            | MtuOutcome::Clamped
            | MtuOutcome::ReliesOnIcmp
            | MtuOutcome::Inconclusive
            | MtuOutcome::NotTried => (false, false),
        };
        prop_assert_eq!((reading.in_fails.is_some(), reading.out_fails.is_some()), (inwards, outwards));
        prop_assert!(reading.in_ok.zip(reading.in_fails).is_none_or(|(ok, fails)| ok < fails));
        prop_assert!(reading.out_ok.zip(reading.out_fails).is_none_or(|(ok, fails)| ok < fails));
        prop_assert_eq!(reading.in_seen, evidence.arrivals.iter().filter_map(|one| one.seen).max());
        prop_assert!(badness(reading.outcome) != 0 || reading.out_ok.is_some());
        prop_assert!(badness(reading.outcome) != 1 || reading.detail.is_some());
        prop_assert!(badness(reading.outcome) != 0 || evidence.missing().is_empty());
    }

    #[test]
    fn a_hole_needs_two_that_agree_and_a_control(evidence in evidence()) {
        let reading = read(&evidence);
        if let Some(fails) = reading.in_fails {
            let stalls: Vec<_> = evidence.arrivals.iter()
                .filter(|one| one.ending == Ending::StalledIn && one.allowed >= fails).collect();
            let avoided = evidence.arrivals.iter().any(|one| one.natural && one.ending == Ending::Done);
            prop_assert!(stalls.len() >= 2 || (stalls.len() == 1 && avoided));
            prop_assert!(stalls.iter().any(|one| one.natural));
            prop_assert!(evidence.arrivals.iter().any(|one| one.ending == Ending::Done && one.allowed < fails));
            prop_assert!(!evidence.arrivals.iter().any(|one| one.ending == Ending::Done && one.allowed >= fails));
        }
        if let Some(fails) = reading.out_fails {
            let agree = evidence.combs.iter()
                .filter(|one| matches!(one.ending, CombEnding::Stuck { at, proof: true } if at >= fails)).count();
            let avoided = evidence.combs.iter().any(|one| one.natural && one.ending == CombEnding::Done);
            prop_assert!(agree >= 2 || (agree == 1 && avoided));
            prop_assert!(!evidence.combs.iter().any(|one| one.ending == CombEnding::Done && one.widest >= fails));
        }
    }

    #[test]
    fn forgetting_a_failure_makes_nothing_worse(evidence in evidence(), index: prop::sample::Index) {
        let before = badness(read(&evidence).outcome);
        let mut without = evidence.clone();
        let stalls = without.arrivals.iter_mut().filter(|one| one.ending == Ending::StalledIn);
        let mut stalls: Vec<_> = stalls.collect();
        if !stalls.is_empty() {
            // What it saw arrive stays known.
            index.get_mut(&mut stalls).ending = Ending::Other("forgotten".to_owned());
            // Two at sizes that pass may be what speaks against a hole.
            let mixed = evidence.inbound().contradicted >= 2;
            prop_assert!(mixed || badness(read(&without).outcome) <= before);
        }
        let mut without = evidence;
        let stuck = without.combs.iter_mut().filter(|one| matches!(one.ending, CombEnding::Stuck { .. }));
        let mut stuck: Vec<_> = stuck.collect();
        if !stuck.is_empty() {
            index.get_mut(&mut stuck).ending = CombEnding::Broken("forgotten".to_owned());
            prop_assert!(badness(read(&without).outcome) <= before);
        }
    }

    #[test]
    fn a_packet_that_got_through_widens_no_bracket(evidence in evidence(), through in size()) {
        let mut more = evidence.clone();
        more.arrivals.push(Arrival {
            allowed: through, natural: false, ending: Ending::Other("reset".to_owned()), seen: Some(through),
        });
        more.combs.push(Comb {
            widest: through, natural: false, passed: Some(through), ending: CombEnding::Broken("closed".to_owned()),
        });
        prop_assert!(more.inbound().ok >= evidence.inbound().ok && more.outbound().ok >= evidence.outbound().ok);
        // One at or above the smallest failure says that the failure was none: the bracket moves.
        if let Some((_, fails)) = evidence.inbound_bracket().filter(|(_, fails)| through < *fails) {
            prop_assert!(more.inbound_bracket().is_none_or(|(_, now)| now <= fails));
        }
        if let Some((_, fails)) = evidence.outbound_bracket().filter(|(_, fails)| through < *fails) {
            prop_assert!(more.outbound_bracket().is_some_and(|(_, now)| now <= fails));
        }
    }

    #[test]
    fn the_order_does_not_matter(evidence in evidence()) {
        let mut turned = evidence.clone();
        turned.arrivals.reverse();
        turned.combs.reverse();
        let (mut one, mut other) = (read(&evidence), read(&turned));
        // Of several reasons the first is told.
        (one.detail, other.detail) = (None, None);
        prop_assert_eq!(one, other);
    }
}
