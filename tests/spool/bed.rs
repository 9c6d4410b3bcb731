//! Rounds to put into a spool, and what must be true of it at all times.

use std::{fs, path::Path};

use vpce_probe::{
    deliver::spool::{Doubt, Parts, Spool, Waiting, Weight},
    model::{
        cause::Cause,
        sample::{AddressSample, Condition, Hundredths, Origin, ProblemCount, Sample, TargetSample},
        units::Timestamp,
        verdict::{RoundVerdict, Severity},
    },
};

/// A moment in 2026.
pub(crate) const NOW: i64 = 1_795_000_000_000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const DAY: i64 = 24 * 60 * MINUTE;
pub(crate) const MEGABYTES_16: u64 = 16_000_000;

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis).expect("a moment")
}

/// What a healthy round of six targets with two addresses each leaves.
pub(crate) fn healthy(tick: i64) -> Sample {
    let vary = |base: u32, spread: u32| Hundredths(base + u32::try_from(tick / 7 % i64::from(spread)).expect("small"));
    let address = AddressSample {
        success: Some(true),
        connect: Some(vary(60, 90)),
        handshake: Some(vary(350, 700)),
        mtu_out: None,
        days_left: Some(213),
    };
    let targets = ["ssm", "ssmmessages", "s3", "ec2messages", "logs", "monitoring"].map(|name| TargetSample {
        name: name.to_owned(),
        success: Some(true),
        resolve: Some(vary(120, 300)),
        addresses: vec![address.clone(), address.clone()],
    });
    Sample {
        tick: at(tick),
        origin: Origin {
            instance_id: Some("i-0123456789abcdef0".to_owned()),
            region: Some("eu-west-1".to_owned()),
            vpc_id: Some("vpc-0123456789abcdef0".to_owned()),
            subnet_id: Some("subnet-0123456789abcdef0".to_owned()),
            availability_zone: Some("eu-west-1a".to_owned()),
            availability_zone_id: Some("euw1-az1".to_owned()),
        },
        verdict: RoundVerdict::Healthy,
        condition: Condition::Healthy,
        targets: targets.to_vec(),
        problems: Vec::new(),
        delivered_late: 0,
        lost: 0,
    }
}

/// A short round that is told from others by its tick.
pub(crate) fn small(tick: i64) -> Sample {
    let problem = ProblemCount { cause: Cause::TcpTimeout, severity: Severity::Failure, count: 1 };
    Sample { origin: Origin::default(), targets: Vec::new(), problems: vec![problem], ..healthy(tick) }
}

/// Three datums at once, twenty with the schedule.
pub(crate) const WEIGHT: Weight = Weight { urgent: 3, scheduled: 20 };

/// Everything that waits, doubted or not, newest first.
pub(crate) fn all(spool: &mut Spool, now: i64) -> Vec<Waiting> {
    let mut waiting = spool.newest(Parts::ALL, Doubt::Undoubted, u32::MAX, at(now));
    for doubted in spool.newest(Parts::ALL, Doubt::Doubted, u32::MAX, at(now)) {
        if waiting.iter().all(|other| other.seq != doubted.seq) {
            waiting.push(doubted);
        }
    }
    waiting.sort_by_key(|waiting| std::cmp::Reverse(waiting.seq));
    waiting
}

/// The numbers of what waits, newest first.
pub(crate) fn numbers(spool: &mut Spool, now: i64) -> Vec<u64> {
    all(spool, now).iter().map(|waiting| waiting.seq.0).collect()
}

/// Nothing vanishes uncounted.
pub(crate) fn balanced(spool: &Spool) {
    let (counters, state) = (spool.counters(), spool.state());
    let came = counters.found + counters.appended;
    let went = counters.settled + state.waiting + counters.lost();
    assert_eq!(came, went, "{counters:?} {state:?}");
}

/// Bytes of all files in a folder.
pub(crate) fn bytes(folder: &Path) -> u64 {
    fs::read_dir(folder).map_or(0, |entries| {
        entries.map(|entry| entry.expect("an entry").metadata().map_or(0, |metadata| metadata.len())).sum()
    })
}

/// The segments in a folder, ascending.
pub(crate) fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "seg")).collect();
    found.sort();
    found
}

/// Copies a folder's files.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}
