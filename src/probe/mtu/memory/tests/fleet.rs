//! Hosts that ask the memory as the prober does, for a hundred rounds.

use std::collections::BTreeSet;

use super::*;

/// What the network does to one address.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Path {
    Open,
    /// Large packets in vanish: the handshake stalls.
    NoWayIn,
    /// Large packets out vanish, but not the hello: only the comb shows it.
    NoWayOut,
}

/// What one round did and said.
#[derive(Debug)]
struct Round {
    comb: bool,
    fan_out: bool,
    record: MtuRecord,
}

/// A prober with one address.
struct Host {
    memory: Memory,
    plan: MtuPlan,
    round: u64,
}

impl Host {
    fn new(plan: MtuPlan) -> Self {
        Self { memory: Memory::default(), plan, round: 0 }
    }

    fn round(&mut self, path: Path) -> Round {
        let seen = if path == Path::NoWayIn {
            self.suspect(HandshakeStalled, BlackholeIn)
        } else {
            match self.memory.due(&key(1), &facts(), &self.plan) {
                Due::Carry(record) => Round { comb: false, fan_out: false, record },
                Due::Measure if path == Path::NoWayOut => Round { comb: true, ..self.suspect(CombStuck, BlackholeOut) },
                Due::Measure => {
                    let record = record(Ok, self.round);
                    self.memory.store(&key(1), &facts(), None, record.clone());
                    Round { comb: true, fan_out: false, record }
                }
            }
        };
        self.memory.end_of_round();
        self.round += 1;
        seen
    }

    fn suspect(&mut self, suspicion: Suspicion, finds: MtuOutcome) -> Round {
        match self.memory.may_fan_out(&key(1), &facts(), suspicion, &self.plan) {
            FanOut::Carry(record) => Round { comb: false, fan_out: false, record },
            FanOut::Due => {
                let record = record(finds, self.round);
                self.memory.store(&key(1), &facts(), Some(suspicion), record.clone());
                Round { comb: false, fan_out: true, record }
            }
        }
    }

    /// A hundred rounds with a hole from the 30th on, until before the 60th.
    fn hundred(plan: MtuPlan, hole: Path) -> Vec<Round> {
        let mut host = Self::new(plan);
        (0..100).map(|round| host.round(if (30..60).contains(&round) { hole } else { Path::Open })).collect()
    }
}

fn rounds(played: &[Round], wanted: impl Fn(&Round) -> bool) -> Vec<usize> {
    played.iter().enumerate().filter(|(_, round)| wanted(round)).map(|(index, _)| index).collect()
}

#[test]
fn a_healthy_address_is_measured_every_tenth_round() {
    for spread in 0..50 {
        let played = Host::hundred(plan(10, spread), Path::Open);
        assert!(played.iter().all(|round| !round.fan_out && round.record.outcome == Ok));
        let combs = rounds(&played, |round| round.comb);
        assert!(combs.first() == Some(&0) && combs.get(1).is_some_and(|second| (1..=10).contains(second)), "{combs:?}");
        assert!(combs.iter().skip(1).zip(combs.iter().skip(2)).all(|(one, next)| next - one == 10), "{combs:?}");
        let ages: Vec<_> = played.iter().map(|round| round.record.measured_at).collect();
        assert_eq!(ages.iter().collect::<BTreeSet<_>>().len(), combs.len(), "carried results keep their moment");
    }
}

#[test]
fn a_hole_is_reported_while_it_lasts_and_costs_a_fan_out_in_ten_rounds() {
    for spread in 0..50 {
        for hole in [Path::NoWayIn, Path::NoWayOut] {
            let played = Host::hundred(plan(10, spread), hole);
            let reported = rounds(&played, |round| round.record.outcome != Ok);
            let first = *reported.first().expect("it was noticed");
            // What only the comb shows is noticed on the address's turn.
            assert!(if hole == Path::NoWayIn { first == 30 } else { (30..40).contains(&first) }, "{hole:?} {first}");
            assert_eq!(reported, (first..60).collect::<Vec<_>>(), "it does not flap, and ends with the hole");
            let made = rounds(&played, |round| round.fan_out);
            assert_eq!(made.first(), Some(&first));
            assert!((3..=4).contains(&made.len()), "{hole:?} {made:?}");
            assert!(made.iter().skip(1).zip(made.iter().skip(2)).all(|(one, next)| next - one == 10), "{made:?}");
            let combs = rounds(&played, |round| round.comb);
            assert!(combs.contains(&60), "the mend is measured at once: {combs:?}");
            if hole == Path::NoWayOut {
                assert!((first..60).all(|round| combs.contains(&round)), "and looked for in every round: {combs:?}");
            }
        }
    }
}

#[test]
fn a_fleet_does_not_fan_out_in_step() {
    let mut made = vec![0; 100];
    for host in 0_u64..1_000 {
        for round in rounds(&Host::hundred(plan(10, host), Path::NoWayIn), |round| round.fan_out) {
            made[round] += 1;
        }
    }
    assert_eq!(made[30], 1_000, "the first suspicion is everyone's own");
    // A tenth each: 100, with a standard deviation of 9.5; five of them either way.
    assert!(made[31..60].iter().all(|count| (53..=147).contains(count)), "{made:?}");
    assert_eq!(made[..30].iter().chain(&made[60..]).sum::<i32>(), 0);
}
