//! Disks that are full, read-only, or not there. Needs root and mount(8).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use vpce_probe::deliver::spool::{Loss, Parts, Seq, Spool, Tally};

use crate::bed::{MEGABYTES_16, MINUTE, NOW, WEIGHT, at, balanced, bytes, healthy, numbers, segments, small};

/// A small disk, gone with the value.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, options: &str) -> Self {
        run(&["mount", "-t", "tmpfs", "-o", options, "tmpfs"], at);
        Self(at.to_owned())
    }

    fn remount(&self, options: &str) {
        run(&["mount", "-o", &format!("remount,{options}")], &self.0);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(&["umount"], &self.0);
    }
}

fn run(command: &[&str], path: &Path) {
    let status = Command::new(command[0]).args(&command[1..]).arg(path).status().expect("mount(8) of util-linux");
    assert!(status.success(), "{command:?} {}: are you root?", path.display());
}

#[test]
fn a_full_disk_degrades_to_memory_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::mount(folder.path(), "size=200k");
    let place = folder.path().join("spool");
    let mut spool = Spool::open(Some(&place), MEGABYTES_16, at(NOW));
    let mut count = 0;
    while spool.state().degraded.is_none() {
        spool.append(&healthy(NOW + count), Parts::SCHEDULED, WEIGHT, at(NOW));
        balanced(&spool);
        count += 1;
        assert!(count < 2000, "200 kB are never full");
    }
    let reason = spool.state().degraded.expect("it is");
    assert!(reason.contains("No space left"), "{reason}");
    for _ in 0..35 {
        spool.append(&healthy(NOW + count), Parts::SCHEDULED, WEIGHT, at(NOW));
        count += 1;
    }
    let state = spool.state();
    assert_eq!((state.in_memory, state.waiting.rounds), (36, count.cast_unsigned()), "nothing is lost yet");
    assert_eq!(numbers(&mut spool, NOW).len(), usize::try_from(count).expect("small"));
    // What is on the disk is whole: nothing half-written stands at its end.
    let mut seen = Spool::open(Some(&place), MEGABYTES_16, at(NOW));
    assert_eq!(seen.counters().lost(), Tally::default());
    assert_eq!(numbers(&mut seen, NOW).len() as u64, state.waiting.rounds - 36);
    drop(seen);
    // Delivered from the memory, and in doubt there.
    spool.settle(&[(Seq(count.cast_unsigned() - 1), Parts::ALL)]);
    spool.doubt(&[(Seq(count.cast_unsigned() - 2), Parts::ALL)]);
    disk.remount("size=2m");
    for _ in 0..10 {
        spool.append(&healthy(NOW + count), Parts::SCHEDULED, WEIGHT, at(NOW));
        count += 1;
    }
    balanced(&spool);
    let state = spool.state();
    assert_eq!((state.degraded, state.in_memory, state.in_doubt), (None, 0, 1));
    drop(spool);
    let mut spool = Spool::open(Some(&place), MEGABYTES_16, at(NOW));
    assert_eq!(spool.counters().lost(), Tally::default());
    assert_eq!((spool.state().waiting.rounds, spool.state().in_doubt), (count.cast_unsigned() - 1, 1));
    let expected: Vec<u64> = (0..count.cast_unsigned()).rev().filter(|n| *n != count.cast_unsigned() - 11).collect();
    assert_eq!(numbers(&mut spool, NOW), expected);
}

#[test]
fn on_a_full_disk_delivery_makes_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let _disk = Disk::mount(folder.path(), "size=200k");
    let mut spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    let mut rounds = Vec::new();
    while spool.state().degraded.is_none() {
        rounds.push((spool.append(&healthy(NOW), Parts::SCHEDULED, WEIGHT, at(NOW)), Parts::ALL));
    }
    spool.settle(&rounds);
    for _ in 0..20 {
        spool.append(&healthy(NOW), Parts::SCHEDULED, WEIGHT, at(NOW));
    }
    assert_eq!(spool.state().degraded, None);
    balanced(&spool);
    drop(spool);
    let spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    assert_eq!((spool.state().waiting.rounds, spool.counters().lost()), (20, Tally::default()));
}

#[test]
fn a_read_only_disk_is_still_delivered_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::mount(folder.path(), "size=2m");
    let place = folder.path().join("spool");
    let mut spool = Spool::open(Some(&place), MEGABYTES_16, at(NOW));
    for n in 0..5 {
        spool.append(&small(NOW + n), Parts::SCHEDULED, WEIGHT, at(NOW));
    }
    drop(spool);
    disk.remount("ro");
    let mut spool = Spool::open(Some(&place), MEGABYTES_16, at(NOW));
    let reason = spool.state().degraded.expect("it cannot be written");
    assert!(reason.contains("Read-only"), "{reason}");
    assert_eq!(numbers(&mut spool, NOW), [4, 3, 2, 1, 0]);
    spool.settle(&[(Seq(4), Parts::ALL), (Seq(0), Parts::ALL)]);
    assert_eq!(spool.append(&small(NOW), Parts::SCHEDULED, WEIGHT, at(NOW)), Seq(5));
    spool.discard(&[(Seq(1), Parts::ALL)], Loss::Discarded);
    assert_eq!(numbers(&mut spool, NOW), [5, 3, 2]);
    balanced(&spool);
    disk.remount("rw");
    for _ in 0..10 {
        spool.append(&small(NOW), Parts::SCHEDULED, WEIGHT, at(NOW));
    }
    assert_eq!((spool.state().degraded, spool.state().in_memory), (None, 0));
    drop(spool);
    let mut spool = Spool::open(Some(&place), MEGABYTES_16, at(NOW));
    assert_eq!(spool.counters().lost(), Tally::default());
    assert_eq!(spool.unreported(), 20);
    assert_eq!(numbers(&mut spool, NOW), [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 3, 2]);
}

#[test]
fn memory_is_bounded_where_there_is_no_disk() {
    let mut spool = Spool::open(Some(Path::new("/proc/nowhere/vpce-probe/spool")), MEGABYTES_16, at(NOW));
    let reason = spool.state().degraded.expect("nothing can be made there");
    assert!(reason.contains("/proc/nowhere"), "{reason}");
    for n in 0..10_000 {
        spool.append(&healthy(NOW + n), Parts::SCHEDULED, WEIGHT, at(NOW));
    }
    balanced(&spool);
    let state = spool.state();
    assert!(state.full && (1500..3000).contains(&state.in_memory), "{state:?}");
    assert_eq!(spool.counters().evicted.rounds, 10_000 - state.in_memory);
    assert_eq!(spool.unreported(), spool.counters().evicted.datums);
    let newest = numbers(&mut spool, NOW);
    assert_eq!(newest.len(), 1000, "so many at once");
    assert!(newest.windows(2).all(|two| two[0] == two[1] + 1));
}

#[test]
fn a_disk_that_comes_late_is_taken_over_with_what_is_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("state/spool");
    // Two folders are made; a third is somebody else's.
    let mut spool = Spool::open(Some(&place), MEGABYTES_16, at(NOW));
    assert_eq!(spool.state().degraded, None);
    let old: Vec<u64> = (0..3).map(|n| spool.append(&small(NOW + n), Parts::ALL, WEIGHT, at(NOW)).0).collect();
    drop(spool);
    fs::rename(folder.path().join("state"), folder.path().join("away")).expect("renamed");
    fs::write(folder.path().join("state"), b"in the way").expect("written");
    let mut spool = Spool::open(Some(&place), MEGABYTES_16, at(NOW + MINUTE));
    assert!(spool.state().degraded.is_some());
    let mut new: Vec<u64> = (0..9).map(|n| spool.append(&small(NOW + n), Parts::ALL, WEIGHT, at(NOW)).0).collect();
    fs::remove_file(folder.path().join("state")).expect("deleted");
    fs::rename(folder.path().join("away"), folder.path().join("state")).expect("renamed");
    new.push(spool.append(&small(NOW), Parts::ALL, WEIGHT, at(NOW)).0);
    assert_eq!(spool.state().degraded, None);
    balanced(&spool);
    let expected: Vec<u64> = new.iter().rev().chain(old.iter().rev()).copied().collect();
    assert_eq!(numbers(&mut spool, NOW), expected);
    drop(spool);
    let mut spool = Spool::open(Some(&place), MEGABYTES_16, at(NOW + MINUTE));
    assert_eq!(numbers(&mut spool, NOW), expected);
    assert_eq!(spool.counters().lost(), Tally::default());
    assert!(bytes(&place) == spool.state().bytes && segments(&place).len() <= 2);
}
