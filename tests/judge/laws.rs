//! Laws that hold for any round, whatever was recorded.

use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest},
    sample::select,
};
use vpce_probe::{
    judge::judge,
    model::{
        cause::{Cause, Stage},
        observation::{AddressRecord, LargeHello, MtuOutcome, MtuRecord, Observation, Outcome, ResolverRole},
        target::Expect,
        verdict::{RoundVerdict, Severity, Verdict},
    },
};

use crate::world::{World, answer, fails_http, fails_tls, fails_to_connect, ip, live, moment, mtu, nets, target};

/// What is done to an address.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Connect(Cause),
    Tls(Cause),
    Http(Cause),
    Hello,
    Hole(MtuOutcome, Option<u32>, bool),
    Cut(u8),
}

/// The causes that a stage can end with.
fn endings(stage: Stage) -> Vec<Cause> {
    let ends = |cause: &Cause| cause.stage() == Some(stage) && cause.severity() == Severity::Failure;
    Cause::ALL.iter().copied().filter(ends).chain([Cause::NotFinished]).collect()
}

fn fault() -> impl Strategy<Value = Fault> {
    let cause = |stage| select(endings(stage));
    proptest::prop_oneof![
        3 => Just(Fault::None),
        2 => Just(Fault::Connect(Cause::TcpTimeout)),
        1 => cause(Stage::Connect).prop_map(Fault::Connect),
        1 => cause(Stage::Tls).prop_map(Fault::Tls),
        1 => cause(Stage::Http).prop_map(Fault::Http),
        1 => Just(Fault::Hello),
        2 => (select(MTU_OUTCOMES), option::of(1_u32..9_001), any::<bool>()).prop_map(|(outcome, size, stalls)| {
            Fault::Hole(outcome, size, stalls)
        }),
        1 => (0_u8..3).prop_map(Fault::Cut),
    ]
}

fn spoil(record: &mut AddressRecord, fault: Fault) {
    match fault {
        Fault::None => {}
        Fault::Connect(cause) => fails_to_connect(record, cause),
        Fault::Tls(cause) => fails_tls(record, cause),
        Fault::Http(cause) => fails_http(record, cause),
        Fault::Hello => {
            if let Some(tls) = &mut record.tls {
                tls.large_hello = LargeHello::Blocked;
            }
        }
        Fault::Hole(outcome, size, stalls) => {
            if stalls {
                fails_tls(record, Cause::TlsTimeout);
            }
            let fails = size.map(|size| size + 5);
            record.mtu =
                Some(MtuRecord { out_ok: size, out_fails: fails, in_ok: size, in_fails: fails, ..mtu(outcome) });
        }
        Fault::Cut(stages) => {
            record.http = None;
            if stages < 2 {
                record.tls = None;
            }
            if stages < 1 {
                record.connect = None;
            }
        }
    }
}

const HOLES: &[MtuOutcome] = &[MtuOutcome::BlackholeOut, MtuOutcome::BlackholeIn, MtuOutcome::BlackholeBoth];
const MTU_OUTCOMES: &[MtuOutcome] = &[
    MtuOutcome::Ok,
    MtuOutcome::Clamped,
    MtuOutcome::ReliesOnIcmp,
    MtuOutcome::Inconclusive,
    MtuOutcome::BlackholeOut,
    MtuOutcome::BlackholeIn,
    MtuOutcome::BlackholeBoth,
];

const POOL: &[&str] = &[
    "10.0.1.10",
    "10.0.2.10",
    "10.50.0.9",
    "52.46.0.10",
    "0.0.0.0",
    "2600:1f18:1234:1a00::10",
    "2a05::1",
    "64:ff9b::a00:10a",
];

type Seed = (bool, usize, Vec<(&'static str, Fault)>, Option<Cause>, Option<f64>, bool);

fn seeds() -> impl Strategy<Value = Vec<Seed>> {
    let one = (
        any::<bool>(),
        0..Expect::ALL.len(),
        vec((select(POOL), fault()), 0..4),
        option::weighted(0.15, select(endings(Stage::Resolve))),
        option::weighted(0.2, -9000.0..9000.0),
        proptest::bool::weighted(0.05),
    );
    vec(one, 0..6)
}

fn world(seeds: &[Seed], six: bool) -> World {
    let mut world = World::healthy();
    world.seen.clear();
    if six {
        world.host.addresses = nets(&["10.0.1.23/24", "2600:1f18:1234:1a00::23/64"]);
    }
    for (at, (required, expect, addresses, failed, skew, exhausted)) in seeds.iter().enumerate() {
        let name = ["ssm", "ssmmessages", "s3", "logs", "kms", "sts"][at];
        let target = target(name, Expect::ALL[*expect], *required);
        let mut records: Vec<AddressRecord> = Vec::new();
        for (text, fault) in addresses {
            if records.iter().all(|record| record.address != ip(text)) {
                let mut record = live(ip(text), &target, &world.plan.addresses);
                if let Some(http) = &mut record.http {
                    http.clock_skew_s = skew.or(http.clock_skew_s);
                }
                spoil(&mut record, *fault);
                records.push(record);
            }
        }
        let texts: Vec<String> = records.iter().map(|record| record.address.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let outcome = failed.map_or(Outcome::Ok, Outcome::Failed);
        let resolve = answer("10.0.0.2", ResolverRole::System, outcome, if failed.is_some() { &[] } else { &texts });
        world.seen.push(Observation {
            target,
            resolvers: vec![resolve.clone()],
            resolve,
            addresses: if failed.is_some() { Vec::new() } else { records },
            proxy: None,
            exhausted: exhausted.then(|| "EMFILE".to_owned()),
        });
    }
    world
}

fn verdict_of(world: World) -> RoundVerdict {
    judge(world.seen, world.host, &world.plan, moment()).verdict
}

proptest! {
    #[test]
    fn any_round_is_judged_consistently(seeds in seeds(), six: bool) {
        let world = world(&seeds, six);
        let plan = world.plan.clone();
        let judgement = judge(world.seen, world.host, &plan, moment());
        prop_assert_eq!(judgement.targets.len(), seeds.len());
        let failed: Vec<_> = judgement.targets.iter().filter(|t| t.verdict == Verdict::Failed).collect();
        for target in &failed {
            let name = &target.target.name;
            prop_assert!(judgement.verdict != RoundVerdict::Healthy);
            prop_assert!(!target.target.required || judgement.verdict == RoundVerdict::Failed);
            let told = judgement.findings.iter().filter(|f| f.severity == Severity::Failure && f.targets.contains(name));
            prop_assert!(told.count() >= 1, "{} is failed and nobody says why", name);
            prop_assert!(!target.advice.is_empty(), "{} has no advice", name);
        }
        if judgement.verdict == RoundVerdict::Healthy {
            prop_assert!(judgement.findings.iter().all(|f| f.severity == Severity::Note));
            prop_assert!(judgement.targets.iter().any(|t| t.verdict == Verdict::Healthy));
        }
        for finding in &judgement.findings {
            let mut names = finding.targets.clone();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), finding.targets.len(), "a target twice in {:?}", finding);
            prop_assert!(finding.summary.chars().count() <= 160);
        }
        for target in &judgement.targets {
            prop_assert_eq!(target.cause, target.problems.first().map(|p| p.cause));
            prop_assert_eq!(target.stage, target.problems.first().and_then(|p| p.stage));
            prop_assert!(target.problems.iter().all(|p| p.address.is_none_or(|_| !p.summary.is_empty())));
        }
    }

    #[test]
    fn nothing_seen_is_never_healthy(required: bool, expect in 0..Expect::ALL.len(), count in 0_usize..3) {
        let seeds: Vec<Seed> = vec![(required, expect, Vec::new(), None, None, false); count];
        let world = world(&seeds, false);
        // A name that must not answer, and has no address, is the one answer that is as it should be.
        if Expect::ALL[expect] != Expect::Absent || count == 0 {
            prop_assert!(verdict_of(world) != RoundVerdict::Healthy);
        }
    }

    #[test]
    fn worse_input_never_gives_a_better_verdict(
        seeds in seeds(), target in any::<proptest::sample::Index>(), address in any::<proptest::sample::Index>(),
        worse in 0..5_u8, hole in select(HOLES),
    ) {
        // `absent` turns better and worse around; a limit of our own says nothing of the network; a wrong clock is told
        // by the very answers that the fault takes away.
        let seeds: Vec<Seed> = seeds
            .into_iter()
            .map(|(required, expect, addresses, failed, _, _)| {
                let expect = if Expect::ALL[expect] == Expect::Absent { 1 } else { expect };
                let of_time = [Cause::TlsExpired, Cause::TlsNotYetValid];
                let addresses = addresses
                    .into_iter()
                    .filter(|(_, fault)| !matches!(fault, Fault::Tls(cause) if of_time.contains(cause)))
                    .collect();
                (required, expect, addresses, failed, None, false)
            })
            .collect();
        let before = world(&seeds, true);
        let mut after = world(&seeds, true);
        if after.seen.is_empty() {
            return Ok(());
        }
        let at = target.index(after.seen.len());
        let seen = &mut after.seen[at];
        if seen.addresses.is_empty() {
            return Ok(());
        }
        let one = address.index(seen.addresses.len());
        let record = &mut seen.addresses[one];
        match worse {
            0 => fails_to_connect(record, Cause::TcpTimeout),
            1 if record.tls.as_ref().is_some_and(|tls| tls.outcome.is_ok()) => fails_tls(record, Cause::TlsReset),
            2 => record.http = None,
            3 => record.mtu = Some(mtu(hole)),
            _ => (record.connect, record.tls, record.http) = (None, None, None),
        }
        prop_assert!(verdict_of(after) >= verdict_of(before));
    }
}
