//! What becomes of a round in CloudWatch: samples, datums, series, their size on the wire, a fleet over hours, and the
//! document that is made from the table of metrics.

#[path = "metric/docs.rs"]
mod docs;
#[path = "metric/fleet.rs"]
mod fleet;
#[path = "metric/rounds.rs"]
mod rounds;
#[path = "metric/wire.rs"]
mod wire;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use proptest::prelude::*;
use vpce_probe::{
    config::{Config, DIMENSIONS},
    metric::{Counters, Datum, Detail, METRICS, Name, Presence, Settings, cost, encode, sample, series},
    model::{
        cause::{Cause, Scope},
        observation::MtuOutcome,
        sample::{AddressSample, Condition, Hundredths, Origin, Part, ProblemCount, Sample, TargetSample},
        units::Timestamp,
        verdict::{RoundVerdict, Severity, Verdict},
    },
    plan,
};

use rounds::{all, named, tick};

const COUNTERS: Counters = Counters { delivered_late: 0, lost: 0 };

fn defaults() -> Settings {
    plan::metrics(&Config::default())
}

/// Everything that a config can add.
fn everything() -> Settings {
    let all = DIMENSIONS.iter().map(|name| vec![(*name).to_owned()]);
    let with_target = DIMENSIONS.iter().map(|name| vec![(*name).to_owned(), "Target".to_owned()]);
    Settings {
        detail: Detail::Instance,
        fixed_dimensions: vec![("Team".to_owned(), "core".to_owned())],
        extra_dimension_sets: all.chain(with_target).collect(),
        ..defaults()
    }
}

fn whole(sample: &Sample, settings: &Settings) -> Vec<Datum> {
    [Part::Urgent, Part::Scheduled].into_iter().flat_map(|part| encode(sample, part, settings)).collect()
}

fn shown(datums: &[Datum]) -> String {
    datums.iter().fold(String::new(), |mut out, datum| {
        let _ = write!(out, "{:20}", datum.metric.as_str());
        for (name, value) in &datum.dimensions {
            let _ = write!(out, "{name}={value} ");
        }
        for (value, count) in &datum.values {
            let _ = write!(out, "{value}x{count} ");
        }
        let _ = writeln!(out, "{}", datum.unit.as_str());
        out
    })
}

#[test]
fn datums_are_as_reviewed() {
    let check = |name: &str, round: &str, condition: Condition, counters: Counters, settings: &Settings| {
        let sample = sample(&named(round), tick(0), condition, counters);
        let (urgent, scheduled) = (encode(&sample, Part::Urgent, settings), encode(&sample, Part::Scheduled, settings));
        assert!(urgent.iter().chain(&scheduled).all(|datum| datum.at == tick(0)));
        insta::assert_snapshot!(name, format!("AT ONCE\n{}\nSCHEDULED\n{}", shown(&urgent), shown(&scheduled)));
    };
    let late = Counters { delivered_late: 390, lost: 0 };
    check("datums@healthy", "healthy", Condition::Healthy, COUNTERS, &defaults());
    check("datums@failing", "closed-security-group", Condition::Sick, COUNTERS, &defaults());
    check("datums@recovered", "healthy", Condition::Recovered, late, &defaults());
    check(
        "datums@recovering",
        "healthy",
        Condition::Recovering,
        COUNTERS,
        &Settings {
            detail: Detail::Instance,
            fixed_dimensions: vec![("Team".to_owned(), "core".to_owned())],
            extra_dimension_sets: vec![vec!["AvailabilityZoneId".to_owned()]],
            ..defaults()
        },
    );
}

#[test]
fn what_is_skipped_has_no_success_and_no_share_in_live_addresses() {
    let mut round = named("healthy");
    let [skipped, odd, failed, ..] = round.targets.as_mut_slice() else { panic!("six targets") };
    skipped.verdict = Verdict::Skipped;
    odd.addresses[0].verdict = Verdict::Skipped;
    odd.addresses[1].verdict = Verdict::Degraded;
    failed.verdict = Verdict::Failed;
    failed.addresses[1].verdict = Verdict::Failed;
    let sample = sample(&round, tick(0), Condition::Healthy, COUNTERS);
    let seen: Vec<_> = sample
        .targets
        .iter()
        .take(3)
        .map(|target| (target.success, target.addresses.iter().map(|one| one.success).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        seen,
        [(None, vec![None, None]), (Some(true), vec![None, Some(true)]), (Some(false), vec![Some(true), Some(false)])]
    );
}

#[test]
fn only_successes_have_times() {
    let sample = sample(&named("closed-security-group"), tick(0), Condition::Sick, COUNTERS);
    for target in &sample.targets {
        for address in &target.addresses {
            assert_eq!(address.connect.is_some(), address.success == Some(true), "{target:?}");
            assert_eq!(address.handshake.is_some(), address.success == Some(true), "{target:?}");
        }
    }
    assert!(sample.targets.iter().flat_map(|target| &target.addresses).any(|address| address.connect.is_none()));
    let down = self::sample(&named("resolver-down"), tick(0), Condition::Sick, COUNTERS);
    assert!(down.targets.iter().all(|target| target.resolve.is_none()));
}

#[test]
fn a_size_is_told_by_the_round_that_proved_it() {
    let check = |outcome: MtuOutcome, out_ok: Option<u32>, age_s: i64, expected: Option<u32>| {
        let mut round = named("healthy");
        let at = round.started_at.unix_millis() - age_s * 1000;
        let mtu = round.targets[0].addresses[0].record.mtu.as_mut().expect("a measurement");
        mtu.outcome = outcome;
        mtu.out_ok = out_ok;
        mtu.measured_at = Timestamp::from_unix_millis(at).expect("a moment");
        let sample = sample(&round, tick(0), Condition::Healthy, COUNTERS);
        assert_eq!(sample.targets[0].addresses[0].mtu_out, expected, "{outcome:?} {out_ok:?} {age_s}");
    };
    check(MtuOutcome::Ok, Some(1500), 0, Some(1500));
    check(MtuOutcome::BlackholeOut, Some(1400), -1, Some(1400));
    check(MtuOutcome::BlackholeIn, Some(8500), 0, Some(8500));
    check(MtuOutcome::Clamped, None, 0, None);
    // Carried over from an earlier round.
    check(MtuOutcome::Ok, Some(1500), 60, None);
    check(MtuOutcome::Inconclusive, Some(600), 0, None);
    check(MtuOutcome::NotTried, Some(1500), 0, None);
}

#[test]
fn a_finding_counts_where_no_target_has_its_cause() {
    let counts = |round: &str| sample(&named(round), tick(0), Condition::Sick, COUNTERS).problems;
    let of = |counts: &[ProblemCount], cause: Cause| {
        counts.iter().filter(|count| count.cause == cause).map(|count| count.count).sum::<u32>()
    };
    for name in ["resolver-down", "closed-security-group", "private-dns-off", "dead-eni", "host-problems"] {
        let round = named(name);
        let counts = counts(name);
        let of_targets = || round.targets.iter().flat_map(|target| &target.problems);
        for problem in of_targets() {
            let there = of_targets().filter(|other| other.cause == problem.cause).count();
            assert_eq!(of(&counts, problem.cause), u32::try_from(there).expect("few"), "{name}: {}", problem.cause);
        }
        let is_hosts = |cause: Cause| matches!(cause.scope(), Scope::Host | Scope::Shipping);
        for finding in &round.findings {
            assert_eq!(of(&counts, finding.cause) > 0, !is_hosts(finding.cause), "{name}: {}", finding.cause);
        }
        assert!(counts.iter().all(|count| !is_hosts(count.cause)), "{name}: {counts:?}");
    }
    assert!(!named("host-problems").findings.is_empty() && counts("host-problems").is_empty());
    assert_eq!(of(&counts("resolver-down"), Cause::ResolverDown), 1);
}

/// A sample with everything in it.
fn rich() -> Sample {
    let address = |nth: u32| AddressSample {
        success: Some(nth.is_multiple_of(2)),
        connect: Some(Hundredths(nth * 7)),
        handshake: Some(Hundredths(nth * 13)),
        mtu_out: Some(1500),
        days_left: Some(-3),
    };
    let target = |name: &str| TargetSample {
        name: name.to_owned(),
        success: Some(true),
        resolve: Some(Hundredths(120)),
        addresses: (0..3).map(address).collect(),
    };
    let counted = |cause: &&Cause| !matches!(cause.scope(), Scope::Host | Scope::Shipping);
    let severities = [Severity::Failure, Severity::Warning, Severity::Note];
    let problem = |(cause, severity)| ProblemCount { cause, severity, count: 2 };
    Sample {
        tick: tick(0),
        origin: origin(),
        verdict: RoundVerdict::Failed,
        condition: Condition::Sick,
        targets: ["ssm", "s3", "vault.corp.example"].into_iter().map(target).collect(),
        problems: Cause::ALL.iter().filter(counted).copied().zip(severities.into_iter().cycle()).map(problem).collect(),
        delivered_late: 1,
        lost: 1,
    }
}

fn origin() -> Origin {
    let known = |text: &str| Some(text.to_owned());
    Origin {
        instance_id: known("i-1"),
        region: known("eu-west-1"),
        vpc_id: known("vpc-1"),
        subnet_id: known("subnet-1"),
        availability_zone: known("eu-west-1a"),
        availability_zone_id: known("euw1-az1"),
    }
}

type Key = (Name, BTreeSet<(String, String)>);

fn made(sample: &Sample, settings: &Settings) -> BTreeSet<Key> {
    let keys = whole(sample, settings).into_iter().map(|datum| (datum.metric, datum.dimensions.into_iter().collect()));
    keys.collect()
}

fn listed(settings: &Settings, origin: &Origin, presence: &[Presence]) -> BTreeSet<Key> {
    let all = series(settings, &["ssm", "s3", "vault.corp.example"], origin);
    let count = all.len();
    let keys: BTreeSet<Key> = all.iter().map(|one| (one.metric, one.dimensions.iter().cloned().collect())).collect();
    assert_eq!(keys.len(), count, "a series is listed twice");
    let wanted = |key: &Key| {
        let mut found = all.iter().filter(|one| one.dimensions.iter().cloned().collect::<BTreeSet<_>>() == key.1);
        found.any(|one| one.metric == key.0 && presence.contains(&one.presence))
    };
    keys.into_iter().filter(wanted).collect()
}

#[test]
fn the_list_of_series_is_what_rounds_really_make() {
    let no_vpc = Origin { vpc_id: None, ..origin() };
    let no_instance = Origin { instance_id: None, subnet_id: None, ..origin() };
    for settings in [defaults(), Settings { detail: Detail::Heartbeat, ..defaults() }, everything()] {
        for origin in [origin(), no_vpc.clone(), no_instance.clone(), Origin::default()] {
            let sick = Sample { origin: origin.clone(), ..rich() };
            assert_eq!(made(&sick, &settings), listed(&settings, &origin, &[Presence::Steady, Presence::Trouble]));
            let well = Sample {
                verdict: RoundVerdict::Healthy,
                condition: Condition::Healthy,
                problems: Vec::new(),
                delivered_late: 0,
                lost: 0,
                ..sick
            };
            assert_eq!(made(&well, &settings), listed(&settings, &origin, &[Presence::Steady]));
        }
    }
    // Every metric, and every dimension that the config knows, is really in it.
    let all = made(&rich(), &everything());
    for metric in METRICS {
        assert!(all.iter().any(|(name, _)| *name == metric.name), "{}", metric.name.as_str());
    }
    for dimension in DIMENSIONS {
        let alone = |set: &BTreeSet<(String, String)>| set.len() == 2 && set.iter().any(|(name, _)| name == dimension);
        assert!(all.iter().any(|(_, set)| alone(set)), "{dimension}");
    }
}

#[test]
fn no_judged_round_makes_a_series_that_is_not_listed() {
    let rounds = all();
    assert!(rounds.len() >= 10);
    for (name, round) in rounds {
        let sample = sample(&round, tick(0), Condition::Sick, Counters { delivered_late: 1, lost: 1 });
        let targets: Vec<&str> = sample.targets.iter().map(|target| target.name.as_str()).collect();
        let listed: BTreeSet<Key> = series(&everything(), &targets, &sample.origin)
            .into_iter()
            .map(|one| (one.metric, one.dimensions.into_iter().collect()))
            .collect();
        let made = made(&sample, &everything());
        assert!(!made.is_empty() && made.is_subset(&listed), "{name}: {:?}", made.difference(&listed));
    }
}

#[test]
fn more_values_than_a_datum_holds_go_into_several() {
    let mut sample = rich();
    let address = sample.targets[0].addresses[0].clone();
    sample.targets[0].addresses =
        (0..400).map(|nth| AddressSample { connect: Some(Hundredths(nth)), ..address.clone() }).collect();
    let datums = encode(&sample, Part::Scheduled, &defaults());
    let of = |name: Name| -> Vec<&Datum> {
        let ssm = |datum: &&Datum| datum.dimensions.iter().any(|(_, value)| value == "ssm");
        datums.iter().filter(|datum| datum.metric == name).filter(ssm).collect()
    };
    assert_eq!(of(Name::ConnectTime).iter().map(|datum| datum.values.len()).collect::<Vec<_>>(), [150, 150, 100]);
    // Equal values are one, counted.
    assert_eq!(of(Name::HandshakeTime).iter().map(|datum| datum.values.clone()).collect::<Vec<_>>().concat().len(), 1);
    assert_eq!(of(Name::HandshakeTime)[0].values[0].1, 400);
}

#[test]
fn names_that_cloudwatch_cannot_tell_apart_share_a_datum() {
    let mut sample = rich();
    sample.targets[0].name = "k\u{e4}se".to_owned();
    sample.targets[1].name = "k\u{f6}se".to_owned();
    let datums = encode(&sample, Part::Scheduled, &defaults());
    let both: Vec<_> = datums
        .iter()
        .filter(|datum| datum.metric == Name::Success && datum.dimensions.iter().any(|(_, value)| value == "k_se"))
        .collect();
    assert_eq!(both.len(), 1);
    assert_eq!(both[0].values.iter().map(|(_, count)| count).sum::<u32>(), 2);
}

fn conditions() -> impl Strategy<Value = Condition> {
    prop::sample::select(vec![Condition::Healthy, Condition::Sick, Condition::Recovered, Condition::Recovering])
}

prop_compose! {
    fn address()(
        success in any::<Option<bool>>(),
        times in any::<(Option<u32>, Option<u32>)>(),
        mtu_out in any::<Option<u32>>(),
        days_left in any::<Option<i32>>(),
    ) -> AddressSample {
        let (connect, handshake) = (times.0.map(Hundredths), times.1.map(Hundredths));
        AddressSample { success, connect, handshake, mtu_out, days_left }
    }
}

prop_compose! {
    fn target()(
        name in ".{0,8}|[a-z]{1,3}",
        success in any::<Option<bool>>(),
        resolve in any::<Option<u32>>(),
        addresses in prop::collection::vec(address(), 0..4),
    ) -> TargetSample {
        TargetSample { name, success, resolve: resolve.map(Hundredths), addresses }
    }
}

prop_compose! {
    fn problem()(
        cause in prop::sample::select(Cause::ALL),
        severity in prop::sample::select(vec![Severity::Failure, Severity::Warning, Severity::Note]),
        count in any::<u32>(),
    ) -> ProblemCount {
        ProblemCount { cause, severity, count }
    }
}

prop_compose! {
    fn any_sample()(
        ids in prop::array::uniform6(prop::option::of(".{0,6}")),
        verdict in prop::sample::select(vec![RoundVerdict::Healthy, RoundVerdict::Degraded, RoundVerdict::Failed]),
        condition in conditions(),
        targets in prop::collection::vec(target(), 0..4),
        problems in prop::collection::vec(problem(), 0..4),
        counters in any::<(u32, u32)>(),
    ) -> Sample {
        let [instance_id, region, vpc_id, subnet_id, availability_zone, availability_zone_id] = ids;
        Sample {
            tick: tick(0),
            origin: Origin { instance_id, region, vpc_id, subnet_id, availability_zone, availability_zone_id },
            verdict,
            condition,
            targets,
            problems,
            delivered_late: counters.0,
            lost: counters.1,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a round was: CloudWatch takes it, every datum is in one part, nothing is twice, no reading is lost.
    #[test]
    fn any_sample_makes_datums_that_cloudwatch_takes(sample in any_sample()) {
        for settings in [defaults(), everything()] {
            let urgent = encode(&sample, Part::Urgent, &settings);
            let all = whole(&sample, &settings);
            prop_assert!(sample.condition.is_urgent() || urgent.is_empty());
            for datum in &urgent {
                prop_assert_eq!(datum.metric.metric().part, Part::Urgent);
            }
            let keys = made(&sample, &settings);
            let mut told = BTreeSet::new();
            for datum in &all {
                let set: BTreeSet<_> = datum.dimensions.iter().cloned().collect();
                let name = (datum.metric, set.clone(), datum.values[0].0.to_string());
                prop_assert!(told.insert(name), "twice: {:?}", datum);
                prop_assert!(set.len() <= 30 && set.len() == datum.dimensions.len());
                prop_assert!((1..=150).contains(&datum.values.len()));
                prop_assert!(datum.values.iter().all(|(value, count)| value.as_f64().is_finite() && *count > 0));
                for (name, value) in &set {
                    let clean = |text: &str| text.trim() == text && text.bytes().all(|b| (0x20..0x7f).contains(&b));
                    prop_assert!(clean(name) && clean(value) && !name.starts_with(':'), "{name:?}={value:?}");
                    prop_assert!((1..=255).contains(&name.len()) && (1..=1024).contains(&value.len()));
                }
            }
            // The same datums, whichever the condition, but for the sick host's own: no host gives more than one sample.
            let well = Sample { condition: Condition::Healthy, ..sample.clone() };
            let others: BTreeSet<Key> =
                keys.into_iter().filter(|(name, _)| *name != Name::InstanceHealthy).collect();
            prop_assert_eq!(others, made(&well, &settings));
        }
    }
}

#[test]
fn five_thousand_healthy_hosts_cost_in_series_what_one_vpc_costs() {
    let settings = defaults();
    let names = ["ssm", "ssmmessages", "s3", "ec2messages", "logs", "monitoring"];
    let all = series(&settings, &names, &origin());
    let (one, many) = (cost::fleet(&settings, &all, 1), cost::fleet(&settings, &all, 5000));
    // Healthy, six targets with seven metrics each, failures and warnings.
    assert_eq!((one.series, many.series), (45, 45));
    assert!((one.series_usd - 13.5).abs() < 1e-9 && (many.series_usd - one.series_usd).abs() < 1e-9);
    assert!((many.requests - 5000.0 * 8640.0).abs() < 1e-6 && (many.requests_usd - 432.0).abs() < 1e-6);
    assert_eq!(cost::instance(&settings, &all).series, 0);
    assert!(cost::instance(&settings, &all).total_usd() < 0.10, "{:?}", cost::instance(&settings, &all));

    let fine = Settings { detail: Detail::Instance, ..settings };
    let all = series(&fine, &names, &origin());
    assert_eq!(cost::instance(&fine, &all).series, 7);
    let many = cost::fleet(&fine, &all, 5000);
    assert_eq!(many.series, 35_045);
    assert!((many.series_usd - (3000.0 + 2504.5)).abs() < 1e-6, "{many:?}");
}

#[test]
fn the_schedule_and_the_volume_decide_the_requests() {
    let check = |interval_s: u64, flush_s: u64, targets: usize, requests: f64| {
        let settings = Settings {
            interval: Duration::from_secs(interval_s),
            flush_interval: Duration::from_secs(flush_s),
            ..defaults()
        };
        let names: Vec<String> = (0..targets).map(|nth| format!("t{nth}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = series(&settings, &names, &origin());
        let bill = cost::fleet(&settings, &all, 1);
        assert!((bill.requests - requests).abs() < 1e-6, "{interval_s} {flush_s} {targets}: {bill:?}");
    };
    check(60, 300, 6, 8640.0);
    check(60, 60, 6, 43_200.0);
    // 30 rounds of 45 datums are more than a thousand.
    check(10, 300, 6, 2.0 * 8640.0);
    check(60, 3600, 1, 720.0);
}

#[test]
fn a_series_by_zone_is_priced_for_each_zone() {
    let sets = vec![vec!["AvailabilityZoneId".to_owned()], vec!["InstanceId".to_owned()]];
    let settings = Settings { extra_dimension_sets: sets, ..defaults() };
    let all = series(&settings, &[], &origin());
    let count = |instances: u32| cost::fleet(&settings, &all, instances).series;
    // Healthy by VPC, zone and instance; failures and warnings.
    assert_eq!((count(1), count(2), count(100)), (5, 7, 106));
}

#[test]
fn check_lists_and_prices_the_series_and_warns_of_a_dear_host() {
    let check = |config: &str, arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vpce-probe"))
            .args(["check", "--config", "-"])
            .args(arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("vpce-probe starts");
        // One that refuses its command line may be gone before it reads.
        let _ = child.stdin.take().expect("a pipe").write_all(config.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let region = "region = \"eu-west-1\"\n";
    let (code, stdout, stderr) = check(region, &["--instances", "5000"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("45 series") && stdout.contains("5,000 hosts of one VPC"), "{stdout}");
    let dear = format!("{region}[cloudwatch]\ndetail = \"instance\"\nmonthly_warning_usd = 2\n");
    let (code, stdout, stderr) = check(&dear, &[]);
    assert!(code == Some(0) && stdout.contains("one host and its VPC"), "{stdout}");
    assert!(stderr.contains("warning: metrics of each host would cost $2.19 a month"), "{stderr}");
    assert_eq!(check(region, &["--instances", "0"]).0, Some(64));
}
