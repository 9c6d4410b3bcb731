//! Any bytes as the spool's files, with their checksums put right where the input asks for that: whatever they say, the
//! spool opens, counts, goes on, and opens again to the same.
#![no_main]

use std::{fs, path::PathBuf};

use vpce_probe::{
    deliver::spool::{Doubt, Parts, Spool, Tally, Weight},
    model::{
        sample::{Condition, Origin, Sample},
        units::Timestamp,
        verdict::RoundVerdict,
    },
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [mend, first, a, b, c, d, rest @ ..] = input else { return };
    let (segment, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*a, *b]))));
    let (acks, ledger) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*c, *d]))));
    let (mut segment, mut acks, mut ledger) = (segment.to_vec(), acks.to_vec(), ledger.to_vec());
    let first = u64::from(*first);
    if mend & 1 > 0 {
        mend_segment(first, &mut segment);
    }
    if mend & 2 > 0 {
        for record in acks.chunks_exact_mut(16) {
            put(record, 12, crc(&[&first.to_le_bytes(), &record[..12]]));
        }
    }
    if mend & 4 > 0 && ledger.len() > 4 {
        let end = ledger.len() - 4;
        let sum = crc(&[&ledger[..end]]);
        put(&mut ledger, end, sum);
    }
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(format!("{first:020}.seg")), &segment).expect("written");
    fs::write(folder.join(format!("{first:020}.ack")), &acks).expect("written");
    if mend & 8 > 0 {
        fs::write(folder.join("ledger"), &ledger).expect("written");
    }
    // A second segment, of the same bytes under another number: nothing in it fits.
    if mend & 16 > 0 {
        fs::write(folder.join(format!("{:020}.seg", first + 3)), &segment).expect("written");
    }

    let open = || Spool::open(Some(&folder), 100_000, now());
    let mut spool = open();
    balanced(&spool);
    let found = spool.newest(Parts::ALL, Doubt::Undoubted, 1000, now());
    balanced(&spool);
    let seq = spool.append(&sample(), Parts::ALL, Weight { urgent: 1, scheduled: 2 }, now());
    assert!(found.iter().all(|one| one.seq < seq), "a number was given twice");
    balanced(&spool);
    let state = spool.state();
    assert_eq!(state.degraded, None);
    drop(spool);
    let mut spool = open();
    assert_eq!(spool.counters().lost(), Tally::default(), "{seq} came, then {:?}", spool.counters());
    assert_eq!(spool.state().waiting, state.waiting);
    let newest = spool.newest(Parts::ALL, Doubt::Undoubted, 1, now());
    assert_eq!(newest.first().map(|one| one.seq), Some(seq));
    assert_eq!(newest.first().map(|one| &one.sample), Some(&sample()));
});

fn balanced(spool: &Spool) {
    let (counters, state) = (spool.counters(), spool.state());
    assert_eq!(counters.found + counters.appended, counters.settled + state.waiting + counters.lost());
}

fn sample() -> Sample {
    Sample {
        tick: now(),
        origin: Origin::default(),
        verdict: RoundVerdict::Healthy,
        condition: Condition::Healthy,
        targets: Vec::new(),
        problems: Vec::new(),
        delivered_late: 0,
        lost: 0,
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix_millis(1_795_000_000_000).expect("a moment")
}

/// In memory: the spool syncs after every step.
fn folder() -> PathBuf {
    PathBuf::from(format!("/dev/shm/vpce-probe-fuzz-{}", std::process::id()))
}

/// Puts the checksums of a segment right: of its header, and of whatever has a frame's marker. See docs/spool.md.
fn mend_segment(first: u64, bytes: &mut [u8]) {
    if bytes.len() >= 20 {
        put(bytes, 16, crc(&[&bytes[..16]]));
    }
    let mut at = 20;
    while at + 45 <= bytes.len() {
        if !bytes[at..].starts_with(&[0xF5, b'r', b'n', b'd']) {
            at += 1;
            continue;
        }
        let length = u32::from_le_bytes([bytes[at + 28], bytes[at + 29], bytes[at + 30], bytes[at + 31]]) as usize;
        let end = at.saturating_add(45).saturating_add(length);
        if let Some(payload) = bytes.get(at + 45..end) {
            let sum = crc(&[&first.to_le_bytes(), payload]);
            put(bytes, at + 32, sum);
        }
        let sum = crc(&[&first.to_le_bytes(), &bytes[at..at + 41]]);
        put(bytes, at + 41, sum);
        at = end.max(at + 45);
    }
}

fn put(bytes: &mut [u8], at: usize, sum: u32) {
    bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
}

/// CRC32 as in IEEE 802.3, bit by bit.
fn crc(parts: &[&[u8]]) -> u32 {
    !parts.iter().flat_map(|part| part.iter()).fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}
