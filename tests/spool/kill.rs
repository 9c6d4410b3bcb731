//! Ends at any moment: a child appends and settles as fast as it can, and is killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use vpce_probe::deliver::spool::{Doubt, Parts, Spool, Tally};

use crate::bed::{MEGABYTES_16, NOW, WEIGHT, at, balanced, healthy, numbers};

const KILLS: u32 = 200;
const FOLDER: &str = "VPCE_PROBE_TEST_SPOOL";

#[test]
fn two_hundred_kills_lose_nothing_that_was_confirmed() {
    let folder = tempfile::tempdir().expect("a folder");
    // What the child said of each round: appended, then settled.
    let mut known: BTreeMap<u64, bool> = BTreeMap::new();
    let (mut appended, mut settled, mut unconfirmed) = (0_u64, 0_u64, 0_u64);
    let mut noise = 0x2545_F491_u64;
    for kill in 0..KILLS {
        let mut child = Command::new(env::current_exe().expect("this test's own file"))
            .args(["--exact", "kill::append_until_killed", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut said = Vec::new();
        // Wait for the first word, so that the moment lies in the work and not in the start.
        while lines.read_until(b'\n', &mut said).expect("read") > 0 && !said.ends_with(b"+\n") && said.len() < 1000 {}
        thread::sleep(Duration::from_micros(noise % 20_000));
        child.kill().expect("killed");
        child.wait().expect("gone");
        lines.read_to_end(&mut said).expect("read");
        let mut asked = BTreeSet::new();
        for line in String::from_utf8_lossy(&said).lines() {
            let mut words = line.split(' ');
            let (Some(Ok(seq)), Some(verb)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
            match verb {
                "+" => {
                    assert_eq!(known.insert(seq, false), None, "{seq} was given twice");
                    appended += 1;
                }
                "?" => {
                    asked.insert(seq);
                }
                "-" => {
                    known.insert(seq, true);
                    settled += 1;
                }
                _ => {}
            }
        }
        let mut spool = Spool::open(Some(folder.path()), MEGABYTES_16, at(NOW));
        balanced(&spool);
        assert_eq!(spool.state().degraded, None);
        let waiting = numbers(&mut spool, NOW);
        for (seq, done) in &known {
            match done {
                true => assert!(!waiting.contains(seq), "kill {kill}: {seq} was settled and came back"),
                false => assert!(
                    waiting.contains(seq) || asked.contains(seq),
                    "kill {kill}: {seq} was confirmed and is gone"
                ),
            }
        }
        // The round whose confirmation was cut off is there or counted.
        for seq in &waiting {
            if known.insert(*seq, false).is_none() {
                unconfirmed += 1;
            }
        }
        // A settlement that was asked for may have been done: from here on it is.
        for seq in asked.iter().filter(|seq| !waiting.contains(seq)) {
            known.insert(*seq, true);
        }
        assert!(spool.counters().lost().rounds <= 1, "kill {kill}: {:?}", spool.counters());
        if spool.counters().lost() != Tally::default() {
            unconfirmed += 1;
        }
    }
    eprintln!(
        "{KILLS} kills: {appended} appends confirmed, {settled} settled, {unconfirmed} cut off before they were confirmed"
    );
    assert!(appended > u64::from(KILLS) && settled > u64::from(KILLS), "the child hardly worked");
}

#[test]
#[ignore = "only as a child of the test above"]
fn append_until_killed() {
    let folder = env::var(FOLDER).expect("set by the parent");
    let mut spool = Spool::open(Some(Path::new(&folder)), MEGABYTES_16, at(NOW));
    let mut out = std::io::stdout().lock();
    let mut say = |text: String| out.write_all(text.as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
    say("\n".to_owned());
    for n in 0_u64.. {
        let seq = spool.append(&healthy(NOW), Parts::SCHEDULED, WEIGHT, at(NOW));
        say(format!("{seq} +\n"));
        if n % 3 == 2 {
            let batch = spool.newest(Parts::SCHEDULED, Doubt::Undoubted, 50, at(NOW));
            let rounds: Vec<_> = batch.iter().map(|one| (one.seq, one.parts)).collect();
            for (seq, _) in &rounds {
                say(format!("{seq} ?\n"));
            }
            spool.settle(&rounds);
            for (seq, _) in &rounds {
                say(format!("{seq} -\n"));
            }
        }
    }
}
