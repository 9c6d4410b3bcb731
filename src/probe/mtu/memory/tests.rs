//! Rounds are played by hand, and in `fleet` by hosts that ask the memory as the prober does.

mod fleet;

use std::{net::IpAddr, ops::Range, time::Duration};

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use time::OffsetDateTime;

use super::{Due, Facts, FanOut, KEPT, Key, MOST_ADDRESSES, MOST_FAN_OUTS, Memory, Suspicion, turn_after};
use crate::model::{
    observation::{
        LargeHello,
        MtuOutcome::{self, BlackholeBoth, BlackholeIn, BlackholeOut, Clamped, Inconclusive, Ok, ReliesOnIcmp},
        MtuRecord,
    },
    plan::{MtuMode, MtuPlan},
    units::{Millis, Timestamp},
};
use Suspicion::{CombStuck, HandshakeStalled};

fn key(last: u8) -> Key {
    Key { target: "ssm".to_owned(), address: IpAddr::from([10, 0, 0, last]) }
}

fn facts() -> Facts {
    Facts {
        local: Some(IpAddr::from([10, 0, 1, 1])),
        widest_out: 8_500,
        widest_in: 9_001,
        link_mtu: Some(9_001),
        learnt: None,
    }
}

fn narrower() -> Facts {
    Facts { widest_out: 1_500, ..facts() }
}

fn plan(repeat_every: u32, spread: u64) -> MtuPlan {
    MtuPlan { mode: MtuMode::Full, repeat_every, spread }
}

/// A cycle of ten rounds in which `key(1)` has its turns in the rounds 10, 20 and so on.
fn tens() -> MtuPlan {
    let suits = |spread: &u64| turn_after(0, &key(1), &plan(10, *spread)) == 10;
    plan(10, (0..1_000).find(suits).expect("a tenth of all numbers does"))
}

/// A measurement that was made in `round`.
fn record(outcome: MtuOutcome, round: u64) -> MtuRecord {
    let moment = OffsetDateTime::UNIX_EPOCH + Duration::from_mins(round);
    MtuRecord {
        outcome,
        out_ok: Some(8_500),
        out_fails: None,
        in_seen: Some(4_148),
        in_ok: None,
        in_fails: None,
        link_mtu: Some(9_001),
        elapsed_ms: Millis::from(Duration::from_millis(round)),
        connections: 0,
        measured_at: Timestamp::new(moment),
        detail: None,
    }
}

/// A memory in round 0 that was told of one measurement.
fn told(suspicion: Option<Suspicion>, outcome: MtuOutcome) -> Memory {
    let mut memory = Memory::default();
    memory.store(&key(1), &facts(), suspicion, record(outcome, 0));
    memory
}

/// Lets `rounds` pass in which the address is asked for and nothing is suspected.
fn pass(memory: &mut Memory, rounds: u64) {
    for _ in 0..rounds {
        memory.end_of_round();
        let _ = memory.due(&key(1), &facts(), &tens());
    }
}

#[test]
fn a_first_round_measures_and_the_next_ones_carry_until_the_turn() {
    let mut memory = Memory::default();
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure);
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure, "asking is not measuring");
    memory.store(&key(1), &facts(), None, record(Clamped, 0));
    for round in 1..10 {
        memory.end_of_round();
        assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Carry(record(Clamped, 0)), "{round}");
        // As a caller might: it is not a new measurement.
        memory.store(&key(1), &facts(), None, record(Clamped, 0));
    }
    pass(&mut memory, 1);
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure, "its turn");
    pass(&mut memory, 2);
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure, "a turn that was missed stays due");
    memory.store(&key(1), &facts(), None, record(Ok, 12));
    pass(&mut memory, 7);
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Carry(record(Ok, 12)));
    pass(&mut memory, 1);
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure, "and does not move the next one");
}

#[test]
fn a_change_of_route_or_link_makes_both_due() {
    let check = |now: Facts, changed: bool| {
        let mut healthy = told(None, Ok);
        let mut faulty = told(Some(CombStuck), BlackholeOut);
        healthy.end_of_round();
        faulty.end_of_round();
        assert_eq!(healthy.due(&key(1), &now, &tens()) == Due::Measure, changed, "{now:?}");
        let fan_out = faulty.may_fan_out(&key(1), &now, CombStuck, &tens());
        assert_eq!(fan_out == FanOut::Due, changed, "{now:?}");
    };
    check(facts(), false);
    check(Facts { local: None, ..facts() }, true);
    check(Facts { local: Some(IpAddr::from([10, 0, 1, 2])), ..facts() }, true);
    check(Facts { widest_out: 8_499, ..facts() }, true);
    check(Facts { widest_in: 9_000, ..facts() }, true);
    check(Facts { link_mtu: Some(1_500), ..facts() }, true);
    check(Facts { link_mtu: None, ..facts() }, true);
    check(Facts { learnt: Some(8_500), ..facts() }, true);
}

#[test]
fn each_target_and_address_has_a_memory_of_its_own() {
    let mut memory = told(None, Ok);
    let other = Key { target: "kms".to_owned(), ..key(1) };
    assert_eq!(memory.due(&other, &facts(), &tens()), Due::Measure);
    assert_eq!(memory.due(&key(2), &facts(), &tens()), Due::Measure);
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Carry(record(Ok, 0)));
}

#[test]
fn the_comb_is_left_out_only_where_the_last_verdict_is_healthy() {
    let check = |outcome: MtuOutcome, left_out: bool| {
        let mut memory = told(None, outcome);
        memory.end_of_round();
        let due = memory.due(&key(1), &facts(), &tens());
        assert_eq!(due, if left_out { Due::Carry(record(outcome, 0)) } else { Due::Measure }, "{outcome:?}");
    };
    check(Ok, true);
    check(Clamped, true);
    check(ReliesOnIcmp, true);
    check(BlackholeOut, false);
    check(BlackholeIn, false);
    check(BlackholeBoth, false);
    check(Inconclusive, false);
    check(MtuOutcome::NotTried, false);
}

#[test]
fn a_measurement_that_was_not_made_replaces_none() {
    let mut memory = told(None, Ok);
    memory.end_of_round();
    memory.store(&key(1), &narrower(), Some(CombStuck), record(MtuOutcome::NotTried, 1));
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Carry(record(Ok, 0)));
    assert_eq!(memory.may_fan_out(&key(1), &facts(), CombStuck, &tens()), FanOut::Due);
}

#[test]
fn a_fault_is_followed_up_once_and_then_on_its_turns() {
    for suspicion in [HandshakeStalled, CombStuck] {
        let mut memory = Memory::default();
        let mut made = Vec::new();
        for round in 0..35 {
            match memory.may_fan_out(&key(1), &facts(), suspicion, &tens()) {
                FanOut::Due => {
                    made.push(round);
                    memory.store(&key(1), &facts(), Some(suspicion), record(BlackholeOut, round));
                }
                FanOut::Carry(known) => {
                    assert_eq!(Some(&known), made.last().map(|round| record(BlackholeOut, *round)).as_ref());
                    // As a caller might: what is carried does not begin the cycle anew.
                    memory.store(&key(1), &facts(), Some(suspicion), known);
                }
            }
            memory.end_of_round();
        }
        assert_eq!(made, [0, 10, 20, 30], "{suspicion:?}");
    }
}

#[test]
fn another_suspicion_is_followed_up() {
    for (first, then) in [(HandshakeStalled, CombStuck), (CombStuck, HandshakeStalled)] {
        let mut memory = told(Some(first), BlackholeOut);
        memory.end_of_round();
        assert_eq!(memory.may_fan_out(&key(1), &facts(), then, &tens()), FanOut::Due);
        memory.end_of_round();
        assert_eq!(memory.may_fan_out(&key(1), &facts(), then, &tens()), FanOut::Due, "the last one was cut");
        memory.store(&key(1), &facts(), Some(then), record(BlackholeBoth, 2));
        memory.end_of_round();
        let known = memory.may_fan_out(&key(1), &facts(), then, &tens());
        assert_eq!(known, FanOut::Carry(record(BlackholeBoth, 2)));
    }
}

#[test]
fn what_could_not_be_told_is_tried_twice_more_at_once() {
    let play = |healthy: Range<u64>| {
        let mut memory = Memory::default();
        let mut made = Vec::new();
        for round in 0..45 {
            if healthy.contains(&round) {
                memory.store(&key(1), &facts(), None, record(Ok, round));
            } else if memory.may_fan_out(&key(1), &facts(), HandshakeStalled, &tens()) == FanOut::Due {
                made.push(round);
                memory.store(&key(1), &facts(), Some(HandshakeStalled), record(Inconclusive, round));
            }
            memory.end_of_round();
        }
        made
    };
    assert_eq!(play(0..0), [0, 1, 2, 10, 20, 30, 40]);
    assert_eq!(play(5..23), [0, 1, 2, 23, 24, 25, 30, 40], "a mend makes it a new matter");

    let mut memory = told(Some(CombStuck), Inconclusive);
    memory.end_of_round();
    assert_eq!(memory.may_fan_out(&key(1), &facts(), CombStuck, &tens()), FanOut::Due);
    memory.store(&key(1), &facts(), Some(CombStuck), record(BlackholeOut, 1));
    memory.end_of_round();
    let known = memory.may_fan_out(&key(1), &facts(), CombStuck, &tens());
    assert_eq!(known, FanOut::Carry(record(BlackholeOut, 1)), "it was told the second time");
}

#[test]
fn a_mend_replaces_the_fault_at_once_and_a_relapse_is_a_first_suspicion() {
    for fault in [BlackholeBoth, Inconclusive] {
        let mut memory = told(Some(CombStuck), fault);
        memory.end_of_round();
        assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure);
        memory.store(&key(1), &facts(), None, record(Ok, 1));
        memory.end_of_round();
        assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Carry(record(Ok, 1)), "{fault:?}");
        for _ in 0..3 {
            let again = memory.may_fan_out(&key(1), &facts(), CombStuck, &tens());
            assert_eq!(again, FanOut::Due, "{fault:?}, and once more where it was cut");
            memory.end_of_round();
        }
    }
}

#[test]
fn a_slow_server_that_is_healthy_is_not_suspected_anew_in_every_round() {
    let mut memory = told(Some(HandshakeStalled), Ok);
    for round in 1..9 {
        memory.end_of_round();
        let known = memory.may_fan_out(&key(1), &facts(), HandshakeStalled, &tens());
        assert_eq!(known, FanOut::Carry(record(Ok, 0)), "{round}");
        assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Carry(record(Ok, 0)), "{round}");
    }
    memory.forget(&key(1));
    memory.end_of_round();
    assert_eq!(memory.may_fan_out(&key(1), &facts(), HandshakeStalled, &tens()), FanOut::Due);
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure);

    let mut memory = told(Some(HandshakeStalled), Ok);
    pass(&mut memory, 2);
    let later = memory.may_fan_out(&key(1), &facts(), HandshakeStalled, &tens());
    assert_eq!(later, FanOut::Due, "a round without the suspicion lay between");
}

#[test]
fn nothing_that_alternates_costs_a_fan_out_in_every_round() {
    let check =
        |what: &str, suspicion: fn(u64) -> Suspicion, facts: fn(u64) -> Facts, outcome: fn(u64) -> MtuOutcome| {
            let mut memory = Memory::default();
            let mut made = Vec::new();
            for round in 0..100 {
                let (facts, suspicion, finds) = (facts(round), suspicion(round), outcome(round));
                if finds == Ok {
                    memory.store(&key(1), &facts, None, record(Ok, round));
                } else if let FanOut::Carry(known) = memory.may_fan_out(&key(1), &facts, suspicion, &tens()) {
                    assert_eq!(known.outcome, finds, "{what}");
                    assert_eq!(memory.due(&key(1), &facts, &tens()), Due::Measure, "{what}: the mend is looked for");
                } else {
                    made.push(round);
                    memory.store(&key(1), &facts, Some(suspicion), record(finds, round));
                }
                memory.end_of_round();
            }
            let most = (0..90).map(|from| made.iter().filter(|round| (from..from + 10).contains(*round)).count()).max();
            assert_eq!(most, Some(MOST_FAN_OUTS), "{what}: {made:?}");
        };
    let parted = |round: u64| if round.is_multiple_of(2) { CombStuck } else { HandshakeStalled };
    let moved = |round: u64| if round.is_multiple_of(2) { facts() } else { narrower() };
    check("suspicions", parted, |_| facts(), |_| BlackholeBoth);
    check("facts", |_| CombStuck, moved, |_| BlackholeOut);
    check("the path", |_| CombStuck, |_| facts(), |round: u64| if round.is_multiple_of(2) { BlackholeOut } else { Ok });
}

#[test]
fn a_blocked_large_hello_is_proven_once_and_then_on_its_turns() {
    let mut memory = Memory::default();
    let mut proven = Vec::new();
    for round in 0..25 {
        if !memory.remembers_blocked(&key(1), &facts(), &tens()) {
            proven.push(round);
        }
        // Told each time, whether it was proven or carried.
        memory.store_hello(&key(1), &facts(), LargeHello::Blocked);
        memory.end_of_round();
    }
    assert_eq!(proven, [0, 10, 20]);
    assert!(!memory.remembers_blocked(&key(1), &narrower(), &tens()), "another path");
    assert!(!memory.remembers_blocked(&key(2), &facts(), &tens()), "another address");
    memory.store_hello(&key(1), &facts(), LargeHello::NotTried);
    assert!(memory.remembers_blocked(&key(1), &facts(), &tens()), "nothing was learnt");
    memory.store_hello(&key(1), &facts(), LargeHello::Ok);
    assert!(!memory.remembers_blocked(&key(1), &facts(), &tens()), "it passed");
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure, "and says nothing of sizes");
}

#[test]
fn every_round_measures_with_a_cycle_of_one() {
    let each = plan(1, 7);
    let mut memory = Memory::default();
    for round in 0..20 {
        assert_eq!(memory.due(&key(1), &facts(), &each), Due::Measure, "{round}");
        assert_eq!(memory.may_fan_out(&key(1), &facts(), CombStuck, &each), FanOut::Due, "{round}");
        assert!(!memory.remembers_blocked(&key(1), &facts(), &each), "{round}");
        memory.store(&key(1), &facts(), Some(CombStuck), record(BlackholeOut, round));
        memory.store_hello(&key(1), &facts(), LargeHello::Blocked);
        memory.end_of_round();
    }
}

#[test]
fn addresses_that_went_away_make_room() {
    let many =
        |target: &str, number: usize| Key { target: format!("{target}{number}"), address: IpAddr::from([10, 0, 0, 1]) };
    let mut memory = told(None, Ok);
    for number in 0..MOST_ADDRESSES {
        memory.store(&many("old", number), &facts(), None, record(Ok, 0));
    }
    assert_eq!(memory.entries.len(), MOST_ADDRESSES);
    let late = many("old", MOST_ADDRESSES - 1);
    assert_eq!(memory.due(&late, &facts(), &tens()), Due::Measure, "there was no room for the last one");
    memory.store(&key(1), &facts(), Some(CombStuck), record(BlackholeOut, 1));
    assert_eq!(memory.due(&key(1), &facts(), &tens()), Due::Measure, "what is in is kept up to date");

    pass(&mut memory, KEPT);
    assert_eq!(memory.entries.len(), MOST_ADDRESSES, "an address may come back for a while");
    pass(&mut memory, 1);
    assert_eq!(memory.entries.len(), 1, "only one was asked for since");
    memory.store(&late, &facts(), None, record(Ok, KEPT + 1));
    assert!(matches!(memory.due(&late, &facts(), &plan(1_000, 0)), Due::Carry(_)));
}

#[test]
fn the_addresses_of_one_host_do_not_measure_in_step() {
    let mut turns = [0; 10];
    for last in 0..=255 {
        let turn = turn_after(0, &key(last), &plan(10, 0));
        turns[usize::try_from(turn - 1).expect("one of ten")] += 1;
    }
    assert!(turns.iter().all(|count| (5..=50).contains(count)), "25.6 each: {turns:?}");
}

proptest! {
    #[test]
    fn turns_come_evenly(round in 0_u64..1_000_000, every in 0_u32..1_000, spread in any::<u64>(), last in any::<u8>()) {
        let plan = plan(every, spread);
        let cycle = u64::from(every.max(1));
        let turn = turn_after(round, &key(last), &plan);
        prop_assert!((1..=cycle).contains(&(turn - round)));
        prop_assert_eq!(turn_after(turn, &key(last), &plan), turn + cycle);
        prop_assert_eq!(turn_after(turn - 1, &key(last), &plan), turn);
    }
}
