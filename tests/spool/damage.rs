//! Bytes that are missing or not what they were.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use vpce_probe::deliver::spool::{Parts, Spool, Tally};

use crate::bed::{MEGABYTES_16, NOW, WEIGHT, at, balanced, bytes, copy, numbers, segments, small};

const ROUNDS: u64 = 8;

/// Eight rounds of which the third is delivered and the fifth half so.
fn prepare(folder: &Path) {
    let mut spool = Spool::open(Some(folder), MEGABYTES_16, at(NOW));
    for n in 0..ROUNDS {
        spool.append(&small(NOW + n.cast_signed()), Parts::ALL, WEIGHT, at(NOW));
    }
    spool.settle(&[(vpce_probe::deliver::spool::Seq(2), Parts::ALL)]);
    spool.settle(&[(vpce_probe::deliver::spool::Seq(4), Parts::URGENT)]);
}

/// Opens what was damaged, twice: whatever was lost is counted the first time and only then, and the spool goes on.
fn survives(folder: &Path, what: &str) -> (Vec<u64>, u64) {
    let spool = &mut Spool::open(Some(folder), MEGABYTES_16, at(NOW));
    let waiting = numbers(spool, NOW);
    balanced(spool);
    let lost = spool.counters().lost().rounds;
    let total = spool.unreported();
    let again = &mut Spool::open(Some(folder), MEGABYTES_16, at(NOW));
    assert_eq!(numbers(again, NOW), waiting, "{what}");
    assert_eq!(again.counters().lost(), Tally::default(), "{what}: counted twice");
    assert_eq!(again.unreported(), total, "{what}");
    let new = again.append(&small(NOW + 99), Parts::ALL, WEIGHT, at(NOW)).0;
    assert!(waiting.iter().all(|old| *old < new), "{what}");
    let third = &mut Spool::open(Some(folder), MEGABYTES_16, at(NOW));
    let expected: Vec<u64> = [new].into_iter().chain(waiting.iter().copied()).collect();
    assert_eq!(numbers(third, NOW), expected, "{what}");
    assert_eq!(third.counters().lost(), Tally::default(), "{what}: counted late");
    (waiting, lost)
}

#[test]
fn a_tail_torn_at_any_byte_costs_what_is_torn_and_is_counted() {
    let (whole, torn) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    prepare(whole.path());
    let file = segments(whole.path()).pop().expect("a segment");
    let length = fs::metadata(&file).expect("it is there").len();
    let each = (length - 20) / ROUNDS;
    for cut in 0..length {
        copy(whole.path(), torn.path());
        let file = segments(torn.path()).pop().expect("a segment");
        fs::OpenOptions::new().write(true).open(file).expect("opened").set_len(cut).expect("cut");
        let (waiting, lost) = survives(torn.path(), &format!("cut at {cut}"));
        let kept = cut.saturating_sub(20) / each;
        let expected: Vec<u64> = (0..kept).rev().filter(|n| *n != 2).collect();
        assert_eq!(waiting, expected, "cut at {cut}");
        // A torn frame is a round, and so is one that was acknowledged; other than these, what vanished without a trace
        // was never written.
        let torn = cut < 20 || (cut - 20) % each > 0 || kept == 0;
        let known = (kept + u64::from(torn)).max(5);
        assert_eq!(lost, (kept..known).filter(|n| *n != 2).count() as u64, "cut at {cut}");
    }
    eprintln!("torn tails: {length} lengths");
}

#[test]
fn one_flipped_byte_costs_one_round_at_most() {
    let (whole, bad) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    prepare(whole.path());
    let mut flips = 0;
    for name in fs::read_dir(whole.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()) {
        let good = fs::read(whole.path().join(&name)).expect("read");
        for at in 0..good.len() {
            for mask in [0x01, 0x80, 0xFF] {
                copy(whole.path(), bad.path());
                let mut bytes = good.clone();
                bytes[at] ^= mask;
                fs::write(bad.path().join(&name), bytes).expect("written");
                let what = format!("{} at {at} ^ {mask:#x}", name.display());
                let (waiting, lost) = survives(bad.path(), &what);
                let missing: Vec<u64> = (0..ROUNDS).filter(|n| *n != 2 && !waiting.contains(n)).collect();
                assert!(missing.len() <= 1, "{what}: {missing:?}");
                assert_eq!(lost, missing.len() as u64, "{what}");
                if name.to_string_lossy().ends_with(".seg") {
                    assert!(!waiting.contains(&2), "{what}: a delivered round came back");
                    assert_eq!(
                        missing.is_empty(),
                        at < 20 || (at - 20) as u64 / ((good.len() as u64 - 20) / ROUNDS) == 2
                    );
                }
                flips += 1;
            }
        }
    }
    eprintln!("flipped bytes: {flips}");
}

#[test]
fn a_file_that_is_gone_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(Some(folder.path()), 200_000, at(NOW));
    let mut n = 0;
    while segments(folder.path()).len() < 3 {
        spool.append(&crate::bed::healthy(NOW + n), Parts::SCHEDULED, WEIGHT, at(NOW));
        n += 1;
    }
    let before = spool.state().waiting.rounds;
    drop(spool);
    fs::remove_file(&segments(folder.path())[1]).expect("deleted");
    let mut spool = Spool::open(Some(folder.path()), 200_000, at(NOW));
    balanced(&spool);
    let lost = spool.counters().damaged;
    assert!(lost.rounds > 50 && lost.datums == lost.rounds * 23, "{lost:?}");
    assert_eq!(spool.state().waiting.rounds + lost.rounds, before);
    // While the daemon runs, too.
    for path in segments(folder.path()) {
        fs::remove_file(path).expect("deleted");
    }
    assert_eq!(numbers(&mut spool, NOW), [] as [u64; 0]);
    balanced(&spool);
    let seq = spool.append(&small(NOW), Parts::ALL, WEIGHT, at(NOW));
    assert_eq!(numbers(&mut spool, NOW), [seq.0]);
    assert_eq!(segments(folder.path()).len(), 1);
}

#[test]
fn a_newer_format_is_counted_and_removed_and_foreign_files_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path());
    let file = segments(folder.path()).pop().expect("a segment");
    let mut bytes = fs::read(&file).expect("read");
    bytes[6] = 9;
    let sum = crc32(&bytes[..16]);
    bytes[16..20].copy_from_slice(&sum.to_le_bytes());
    fs::write(&file, bytes).expect("written");
    for foreign in ["notes.txt", "1.seg", "00000000000000000042.seg.bak"] {
        fs::write(folder.path().join(foreign), b"mine").expect("written");
    }
    fs::create_dir(folder.path().join("00000000000000000077.seg")).expect("a folder");
    let spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    balanced(&spool);
    assert_eq!(spool.state().waiting, Tally::default());
    let lost = spool.counters().unreadable.rounds;
    assert!(lost >= 1, "{lost}");
    assert!(!file.exists());
    for foreign in ["notes.txt", "1.seg", "00000000000000000042.seg.bak", "00000000000000000077.seg"] {
        assert!(folder.path().join(foreign).exists(), "{foreign}");
    }
}

#[test]
fn a_segment_under_another_name_stays_and_its_number_is_not_given() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    prepare(folder.path());
    prepare(other.path());
    for kind in ["seg", "ack"] {
        let name = |first: u64| format!("{first:020}.{kind}");
        fs::copy(other.path().join(name(0)), folder.path().join(name(20))).expect("copied");
    }
    let (waiting, lost) = survives(folder.path(), "a copy under another name");
    assert_eq!((waiting.len(), lost), (7, 0));
    assert_eq!(numbers(&mut Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW)), NOW)[0], 21);
    let copied = fs::read(folder.path().join(format!("{:020}.seg", 20))).expect("it stays");
    assert_eq!(copied, fs::read(&segments(other.path())[0]).expect("read"));
}

/// CRC32 as in IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[test]
fn garbage_in_place_of_files_is_survived() {
    let folder = tempfile::tempdir().expect("a folder");
    for length in [0_usize, 1, 19, 20, 21, 4096, 3_000_000] {
        let noise: Vec<u8> = (0..length).map(|n| ((n * 7919) >> 3).to_le_bytes()[0]).collect();
        for name in ["00000000000000000000.seg", "18446744073709551615.seg", "00000000000000000000.ack", "ledger"] {
            fs::write(folder.path().join(name), &noise).expect("written");
        }
        let mut spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
        spool.append(&small(NOW), Parts::ALL, WEIGHT, at(NOW));
        balanced(&spool);
        assert!(bytes(folder.path()) < MEGABYTES_16);
    }
}

#[test]
fn what_cannot_be_read_now_waits_and_is_told_of_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = &mut Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
    for n in 0..ROUNDS {
        spool.append(&small(NOW + n.cast_signed()), Parts::ALL, WEIGHT, at(NOW));
    }
    let segment = segments(folder.path()).into_iter().next().expect("a segment");
    let aside = folder.path().join("aside");
    fs::rename(&segment, &aside).expect("renamed");
    fs::create_dir(&segment).expect("a folder in its place");
    let told = Warnings::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(told.clone()), || {
        for _ in 0..20 {
            assert_eq!(numbers(spool, NOW), Vec::<u64>::new());
        }
    });
    assert_eq!(told.0.load(Ordering::Relaxed), 1);
    fs::remove_dir(&segment).expect("removed");
    fs::rename(&aside, &segment).expect("back");
    assert_eq!(numbers(spool, NOW).len() as u64, ROUNDS);
}

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicU32>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
