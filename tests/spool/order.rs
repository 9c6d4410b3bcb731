//! What is offered, and when.

use std::{cmp::Reverse, env, fs, path::Path, process::Command};

use vpce_probe::deliver::spool::{Doubt, Loss, Parts, Seq, Spool, State, Tally};

use crate::bed::{DAY, MEGABYTES_16, MINUTE, NOW, WEIGHT, all, at, balanced, bytes, healthy, numbers, segments, small};

/// A bound that six thousand rounds exceed.
const LIMIT: u64 = 1_000_000;
const FULL: &str = "VPCE_PROBE_TEST_FULL_SPOOL";
const ROUNDS: u32 = 2000;

#[test]
fn the_newest_comes_first_and_backfill_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    for place in [Some(folder.path()), None] {
        let mut spool = Spool::open(place, MEGABYTES_16, at(NOW));
        for n in 0..10 {
            let seq = spool.append(&small(NOW + n), Parts::SCHEDULED, WEIGHT, at(NOW));
            assert_eq!(seq, Seq(u64::try_from(n).expect("small")));
        }
        // Twenty datums a round.
        let first = spool.newest(Parts::ALL, Doubt::Undoubted, 65, at(NOW));
        assert_eq!(first.iter().map(|waiting| waiting.seq.0).collect::<Vec<_>>(), [9, 8, 7]);
        assert_eq!(first[0].sample, small(NOW + 9));
        assert_eq!(
            (first[0].parts, first[0].owed, first[0].in_doubt),
            (Parts::SCHEDULED, Parts::SCHEDULED, Parts::NONE)
        );
        let next = spool.before(Seq(7), Parts::SCHEDULED, Doubt::Undoubted, 1, at(NOW));
        assert_eq!(next.iter().map(|waiting| waiting.seq.0).collect::<Vec<_>>(), [6], "one at least");
        assert_eq!(spool.newest(Parts::URGENT, Doubt::Undoubted, 1000, at(NOW)), []);
        spool.settle(&[(Seq(9), Parts::ALL), (Seq(3), Parts::SCHEDULED)]);
        assert_eq!(numbers(&mut spool, NOW), [8, 7, 6, 5, 4, 2, 1, 0]);
        balanced(&spool);
    }
}

#[test]
fn parts_go_their_own_ways_and_doubt_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    let seq = spool.append(&small(NOW), Parts::ALL, WEIGHT, at(NOW));
    spool.doubt(&[(seq, Parts::URGENT)]);
    for _ in 0..2 {
        let sure = spool.newest(Parts::ALL, Doubt::Undoubted, 1000, at(NOW));
        assert_eq!(
            sure.iter().map(|one| (one.parts, one.owed, one.in_doubt)).collect::<Vec<_>>(),
            [(Parts::SCHEDULED, Parts::ALL, Parts::URGENT)]
        );
        let unsure = spool.newest(Parts::ALL, Doubt::Doubted, 1000, at(NOW));
        assert_eq!(unsure.iter().map(|one| one.parts).collect::<Vec<_>>(), [Parts::URGENT]);
        assert_eq!(spool.state().in_doubt, 1);
        drop(spool);
        spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    }
    spool.settle(&[(seq, Parts::URGENT)]);
    assert_eq!(spool.state().waiting, Tally { rounds: 1, datums: 20 });
    spool.discard(&[(seq, Parts::SCHEDULED)], Loss::Discarded);
    assert_eq!(spool.counters().discarded, Tally { rounds: 1, datums: 20 });
    assert_eq!(spool.counters().settled, Tally { rounds: 0, datums: 3 });
    balanced(&spool);
    drop(spool);
    let mut spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    assert_eq!(all(&mut spool, NOW), []);
    assert_eq!(spool.counters().found, Tally::default());
}

#[test]
fn losses_are_reported_once_whatever_restarts_between() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    let mut spool = open();
    let seq = spool.append(&small(NOW), Parts::ALL, WEIGHT, at(NOW));
    spool.append(&small(NOW), Parts::ALL, WEIGHT, at(NOW));
    spool.discard(&[(seq, Parts::SCHEDULED)], Loss::Discarded);
    assert_eq!(spool.unreported(), 20);
    drop(spool);
    let mut spool = open();
    assert_eq!(spool.unreported(), 20);
    let mut report = small(NOW);
    report.lost = 20;
    spool.append(&report, Parts::ALL, WEIGHT, at(NOW));
    assert_eq!(spool.unreported(), 0);
    drop(spool);
    let mut spool = open();
    assert_eq!(spool.unreported(), 0);
    let everything: Vec<_> = (0..3).map(|n| (Seq(n), Parts::ALL)).collect();
    spool.settle(&everything);
    drop(spool);
    assert_eq!(open().unreported(), 0);
}

#[test]
fn two_weeks_are_the_limit_and_the_future_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    for place in [Some(folder.path()), None] {
        let mut spool = Spool::open(place, MEGABYTES_16, at(NOW));
        for tick in [NOW - 15 * DAY, NOW - 13 * DAY, NOW, NOW + 3 * 60 * MINUTE] {
            spool.append(&small(tick), Parts::SCHEDULED, WEIGHT, at(NOW));
        }
        assert_eq!(numbers(&mut spool, NOW), [2, 1]);
        assert_eq!(spool.counters().expired, Tally { rounds: 1, datums: 20 });
        balanced(&spool);
        assert_eq!(numbers(&mut spool, NOW + 2 * 60 * MINUTE), [3, 2, 1], "the future has come near");
        assert_eq!(numbers(&mut spool, NOW + DAY), [3, 2]);
        assert_eq!(spool.counters().expired, Tally { rounds: 2, datums: 40 });
        balanced(&spool);
        spool.append(&small(NOW), Parts::SCHEDULED, WEIGHT, at(NOW + 30 * DAY));
        assert_eq!(spool.state().waiting, Tally::default());
        assert_eq!(spool.counters().expired.rounds, 5);
        balanced(&spool);
    }
}

#[test]
fn the_bound_holds_and_the_oldest_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(Some(folder.path()), LIMIT, at(NOW));
    let mut settled = Vec::new();
    for n in 0..6000_u64 {
        let tick = NOW + i64::try_from(n).expect("small") * MINUTE;
        let seq = spool.append(&healthy(tick), Parts::ALL, WEIGHT, at(tick));
        if n % 7 == 0 {
            spool.doubt(&[(seq, Parts::URGENT)]);
            spool.settle(&[(seq, Parts::SCHEDULED)]);
        }
        if n % 11 == 0 {
            spool.settle(&[(seq, Parts::ALL)]);
            settled.push(n);
        }
        let on_disk = bytes(folder.path());
        assert!(on_disk <= LIMIT, "{on_disk} after {n}");
        assert_eq!(on_disk, spool.state().bytes);
    }
    balanced(&spool);
    let state = spool.state();
    assert!(state.full && state.bytes > LIMIT * 8 / 10, "{state:?}");
    let now = NOW + 6000 * MINUTE;
    let mut waiting = Vec::new();
    let mut last = Seq(u64::MAX);
    loop {
        let found = spool.before(last, Parts::ALL, Doubt::Undoubted, u32::MAX, at(now));
        let Some(oldest) = found.last() else { break };
        last = oldest.seq;
        waiting.extend(found.iter().map(|one| one.seq.0));
    }
    assert!(waiting.is_sorted_by_key(|seq| Reverse(*seq)));
    let oldest = *waiting.last().expect("some wait");
    let expected: Vec<u64> = (oldest..6000).rev().filter(|n| n % 7 > 0 && !settled.contains(n)).collect();
    assert!(waiting == expected, "none but the oldest went");
    assert_eq!(spool.counters().evicted.rounds + spool.counters().settled.rounds, 6000 - state.waiting.rounds);
}

#[test]
fn a_week_fits() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    for n in (0..ROUNDS).map(i64::from) {
        spool.append(&healthy(NOW + n * MINUTE), Parts::SCHEDULED, WEIGHT, at(NOW + n * MINUTE));
    }
    let each = spool.state().bytes.div_ceil(u64::from(ROUNDS));
    // One sixteenth may just have been dropped.
    let days = (MEGABYTES_16 - MEGABYTES_16 / 16) / each / (24 * 60);
    eprintln!("a healthy round takes {each} bytes; {days} days of them fit 16 MB at 60 s");
    assert!(days >= 7, "{days}");
    assert!(each < 450, "{each}");
}

#[test]
fn delivered_rounds_leave_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    // The durability is tested elsewhere: here the disk would take minutes.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap_or(folder);
    let mut spool = Spool::open(Some(memory.path()), MEGABYTES_16, at(NOW));
    let (mut most_files, mut most_bytes, mut early) = (0, 0, 0);
    let mut flush = Vec::new();
    for n in 0..50_000_i64 {
        let now = NOW + n * MINUTE;
        flush.push((spool.append(&healthy(now), Parts::SCHEDULED, WEIGHT, at(now)), Parts::SCHEDULED));
        if n % 5 == 4 {
            assert_eq!(spool.newest(Parts::SCHEDULED, Doubt::Undoubted, 1000, at(now)).len(), 5);
            spool.settle(&flush);
            flush.clear();
        }
        if n % 100 == 99 {
            most_files = most_files.max(fs::read_dir(memory.path()).expect("a folder").count());
            most_bytes = most_bytes.max(bytes(memory.path()));
        }
        if n == 5_000 {
            early = resident();
        }
    }
    let late = resident();
    eprintln!(
        "50,000 rounds: at most {most_files} files, {most_bytes} bytes; resident {early} kB after 5,000, {late} kB at the end"
    );
    assert!(most_files <= 4 && most_bytes < 150_000);
    assert!(late < early + 512, "memory grows: {early} kB, then {late} kB");
    balanced(&spool);
    assert_eq!(spool.state().waiting, Tally::default());
    assert!(segments(memory.path()).len() <= 1);
}

/// The test below runs in a process of its own: what is in memory counts for a whole process, and is not given back at once.
#[test]
fn the_index_of_a_full_spool_is_small() {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let mut spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    for n in 0..60_000 {
        spool.append(&healthy(NOW + n), Parts::SCHEDULED, WEIGHT, at(NOW));
        if spool.counters().evicted.rounds > 0 {
            break;
        }
    }
    let output = Command::new(env::current_exe().expect("this test's own file"))
        .args(["--exact", "order::alone_with_a_full_spool", "--ignored", "--nocapture"])
        .env(FULL, folder.path())
        .output()
        .expect("a child");
    let said = String::from_utf8_lossy(&output.stdout);
    let more = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{more}");
    eprint!("{more}");
}

#[test]
#[ignore = "only as a child of the test above"]
fn alone_with_a_full_spool() {
    let folder = env::var(FULL).expect("set by the parent");
    let before = resident();
    let spool = Spool::open(Some(Path::new(&folder)), MEGABYTES_16, at(NOW));
    let grown = resident().saturating_sub(before);
    let State { waiting, bytes, .. } = spool.state();
    eprintln!("a full spool, {bytes} bytes, {} rounds: {grown} kB of memory", waiting.rounds);
    assert!(waiting.rounds > 35_000 && (700..1024).contains(&grown), "{waiting:?}, {grown} kB");
}

/// What of this process is in memory and its own, in kB. Other tests run beside: the test above runs alone if they matter.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("its line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}
