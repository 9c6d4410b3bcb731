//! Ten hosts of one VPC over two hours, one of them sick: what CloudWatch's average says, and what somebody reads who does
//! not wait for all of it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use vpce_probe::{
    metric::{Datum, Name, Tail, encode, sample},
    model::{round::Round, sample::Part},
};

use crate::{
    COUNTERS, defaults,
    rounds::{named, tick},
};

const HOSTS: usize = 10;
const INTERVAL: i64 = 60_000;
const FLUSH: i64 = 300_000;
const HOURS: i64 = 2 * 3_600_000;

/// One value of `Healthy`: when it was measured, and when CloudWatch has it.
#[derive(Clone, Copy)]
struct Point {
    at: i64,
    delivered: i64,
    value: f64,
}

/// When the averages of the sick host go out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// With its own schedule, like everybody's.
    Scheduled,
    /// At once.
    AtOnce,
}

fn id(host: usize) -> String {
    format!("i-0{host:016x}")
}

/// A host's own phase within a period.
fn phase(host: usize, salt: &str, period: i64) -> i64 {
    let mut hasher = DefaultHasher::new();
    (id(host), salt).hash(&mut hasher);
    i64::try_from(hasher.finish() % period.unsigned_abs()).expect("less than the period")
}

/// The next moment of a schedule, at or after `from`.
fn next(from: i64, period: i64, phase: i64) -> i64 {
    from + (phase - from).rem_euclid(period)
}

/// All that a host says in two hours: `Healthy` of each round.
fn points(host: usize, sick: &Round, well: &Round, is_sick: impl Fn(i64) -> bool, way: Way) -> Vec<Point> {
    let settings = defaults();
    let (own, flush) = (phase(host, "round", INTERVAL), phase(host, "flush", FLUSH));
    let mut tail = Tail::default();
    let mut found = Vec::new();
    for nth in 0..HOURS / INTERVAL {
        let at = nth * INTERVAL + own;
        let mut round = if is_sick(at) { sick.clone() } else { well.clone() };
        round.host.instance_id = Some(id(host));
        let condition = tail.follow(round.verdict, tick(at));
        let sample = sample(&round, tick(at), condition, COUNTERS);
        let urgent = encode(&sample, Part::Urgent, &settings);
        assert!(urgent.iter().all(|datum| [Name::Problems, Name::InstanceHealthy].contains(&datum.metric)));
        assert_eq!(urgent.is_empty(), !is_sick(at));
        let delivered = if way == Way::AtOnce && is_sick(at) { at } else { next(at, FLUSH, flush) };
        let scheduled = encode(&sample, Part::Scheduled, &settings);
        let healthy: Vec<&Datum> = scheduled.iter().filter(|datum| datum.metric == Name::Healthy).collect();
        let [datum] = healthy.as_slice() else { panic!("one sample a tick: {healthy:?}") };
        assert_eq!(datum.dimensions, [("VpcId".to_owned(), "vpc-0123456789abcdef0".to_owned())]);
        let [(value, 1)] = datum.values.as_slice() else { panic!("one value a tick: {datum:?}") };
        found.push(Point { at, delivered, value: value.as_f64() });
    }
    found
}

/// CloudWatch's `Average` of a period, of what had arrived by then.
fn average(points: &[Point], from: i64, period: i64, by: i64) -> Option<f64> {
    let seen = |point: &&Point| (from..from + period).contains(&point.at) && point.delivered <= by;
    let (sum, count) =
        points.iter().filter(seen).fold((0.0, 0.0), |(sum, count), point| (sum + point.value, count + 1.0));
    (count > 0.0).then_some(sum / count)
}

/// Each host's points for two hours of being well, and of being sick.
struct Fleet {
    well: Vec<Vec<Point>>,
    sick: Vec<Vec<Point>>,
}

impl Fleet {
    fn new(way: Way) -> Self {
        let (bad, good) = (named("closed-security-group"), named("healthy"));
        assert_eq!(bad.host.vpc_id, good.host.vpc_id);
        let all = |is_sick: bool| (0..HOSTS).map(|host| points(host, &bad, &good, |_| is_sick, way)).collect();
        Self { well: all(false), sick: all(true) }
    }

    /// Everybody's points where one host is sick.
    fn with_sick(&self, sick: usize) -> Vec<Point> {
        let of = |host: usize| if host == sick { &self.sick } else { &self.well };
        (0..HOSTS).flat_map(|host| of(host)[host].iter().copied()).collect()
    }
}

#[test]
fn ten_hosts_with_one_sick_read_nine_tenths_in_every_period() {
    let points = Fleet::new(Way::Scheduled).with_sick(3);
    for period in [60_000, 300_000, 600_000] {
        for nth in 0..HOURS / period {
            let read = average(&points, nth * period, period, i64::MAX).expect("hosts report");
            assert!((read - 0.9).abs() < 1e-9, "period {nth} of {period} ms: {read}");
            // One flush after its end the period is whole.
            let end = (nth + 1) * period;
            let then = average(&points, nth * period, period, end + FLUSH).expect("hosts report");
            assert!((then - 0.9).abs() < 1e-9, "period {nth} of {period} ms, a flush later: {then}");
        }
    }
}

/// What a reader sees who looks at each minute at the period that ends then: least, mean and greatest average, and how often
/// there is nothing to see. Over every choice of the sick host, so that no host's phase decides.
fn looks(fleet: &Fleet, period: i64) -> (f64, f64, f64, usize) {
    let (mut least, mut greatest, mut sum, mut seen, mut blank) = (f64::MAX, f64::MIN, 0.0, 0.0, 0);
    for sick in 0..HOSTS {
        let points = fleet.with_sick(sick);
        for minute in 20..HOURS / 60_000 {
            let now = minute * 60_000;
            let Some(read) = average(&points, now - period, period, now) else {
                blank += 1;
                continue;
            };
            (least, greatest) = (least.min(read), greatest.max(read));
            (sum, seen) = (sum + read, seen + 1.0);
        }
    }
    (least, sum / seen, greatest, blank)
}

/// `cargo test --test metric fleet -- --nocapture` prints the table.
#[test]
#[expect(clippy::print_stdout, reason = "a table for a person who asks for it")]
fn what_a_sick_host_ships_at_once_weighs_more_until_the_others_have_flushed() {
    println!("period  averages of the sick host    least   mean  greatest  blank");
    let fleets = [Way::Scheduled, Way::AtOnce].map(|way| (way, Fleet::new(way)));
    let table: Vec<_> = [60_000, 300_000, 600_000, 900_000]
        .into_iter()
        .map(|period| {
            let row = fleets.each_ref().map(|(way, fleet)| {
                let (least, mean, greatest, blank) = looks(fleet, period);
                let words = if *way == Way::Scheduled { "with the schedule" } else { "at once" };
                println!("{:>4} s  {words:27}  {least:.3}  {mean:.3}  {greatest:8.3}  {blank:5}", period / 1000);
                (least, mean, greatest)
            });
            (period, row)
        })
        .collect();
    for (period, [(scheduled_least, scheduled, _), (_, at_once, at_once_most)]) in table {
        // In the mean a reader is told the truth, and never by the other way.
        assert!((scheduled - 0.9).abs() < 0.01, "{period}: {scheduled}");
        assert!(at_once < scheduled - 0.02, "{period}: {at_once} {scheduled}");
        assert!(at_once_most <= 0.9 + 1e-9, "{period}: {at_once_most}");
        if period >= 2 * FLUSH {
            // Hence the rule for alarms: no period shorter than two flushes.
            assert!(scheduled_least > 0.8, "{period}: {scheduled_least}");
        }
    }
}

#[test]
fn a_fault_of_some_minutes_reads_nine_tenths_in_just_those() {
    let (bad, good) = (named("closed-security-group"), named("healthy"));
    let ill = |at: i64| (1_800_000..2_400_000).contains(&at);
    let points: Vec<Point> = (0..HOSTS)
        .flat_map(|host| {
            let (own, flush) = (phase(host, "round", INTERVAL), phase(host, "flush", FLUSH));
            assert!((0..INTERVAL).contains(&own) && (0..FLUSH).contains(&flush));
            let mut found = Vec::new();
            let mut tail = Tail::default();
            for nth in 0..HOURS / INTERVAL {
                let at = nth * INTERVAL + own;
                let round = if host == 7 && ill(at) { &bad } else { &good };
                let condition = tail.follow(round.verdict, tick(at));
                let sample = sample(round, tick(at), condition, COUNTERS);
                let datums = encode(&sample, Part::Scheduled, &defaults());
                let healthy = datums.iter().find(|datum| datum.metric == Name::Healthy).expect("in every sample");
                found.push(Point { at, delivered: next(at, FLUSH, flush), value: healthy.values[0].0.as_f64() });
            }
            found
        })
        .collect();
    for minute in 0..HOURS / 60_000 {
        let read = average(&points, minute * 60_000, 60_000, i64::MAX).expect("hosts report");
        let expected = if ill(minute * 60_000) { 0.9 } else { 1.0 };
        assert!((read - expected).abs() < 1e-9, "minute {minute}: {read}");
    }
}
