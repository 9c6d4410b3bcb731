//! Disks that stall, are full or cannot be written: the delivery says so, counts, and waits for nothing.

use std::{
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use tokio::time::Instant;
use vpce_probe::{
    deliver::{Delivery, Settings},
    disk::Disk,
    model::sample::Condition,
};

use crate::{
    bed::{all_delivered, balance, datums, dialer, problems, sample, settings, surroundings, until},
    fake::{Fake, Mode},
};

/// Work that hangs until it is told otherwise.
fn hang(disk: &Disk) -> Sender<()> {
    let (release, wait) = channel::<()>();
    let stuck = disk.run(move || wait.recv().is_ok());
    assert!(stuck.is_ok());
    release
}

fn on(disk: &Disk, settings: Settings) -> Delivery {
    Delivery::start(settings, dialer(true, None), disk.clone(), surroundings(Vec::new()))
}

fn spooled(fake: &Fake) -> (tempfile::TempDir, Settings) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(&format!("http://{}", fake.address));
    settings.spool = Some(folder.path().join("spool"));
    (folder, settings)
}

#[tokio::test]
async fn a_stalled_disk_holds_rounds_up_and_nothing_else() {
    let fake = Fake::start().await;
    let (_folder, settings) = spooled(&fake);
    let each = datums(&sample(Duration::ZERO, Condition::Sick), &settings);
    let disk = Disk::start().expect("a thread");
    let delivery = on(&disk, settings);
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    all_delivered(&delivery, &fake, 1, 1).await;
    let release = hang(&disk);
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    for count in 1..=100_u64 {
        let before = Instant::now();
        // Rounds of their own each: a millisecond apart.
        delivery.submit(sample(Duration::from_millis(200 - count), Condition::Sick));
        longest = longest.max(before.elapsed());
        balance(&delivery);
        let totals = delivery.totals();
        assert_eq!(totals.produced.rounds, count + 1);
        assert_eq!(totals.waiting.rounds, count.min(64), "a bounded queue");
        assert_eq!(
            (totals.lost.rounds, totals.lost.datums),
            (count.saturating_sub(64), count.saturating_sub(64) * each)
        );
    }
    assert!(longest < Duration::from_millis(100), "{longest:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    assert_eq!(cause, "spool-degraded");
    assert!(sentence.contains("the disk is stalled: 64 rounds wait for it"), "{sentence}");
    println!("{cause:20} {sentence}; a round was handed over in {longest:?} at most");
    // Longer than an answer of CloudWatch's may take: nothing is sent that cannot be noted, and nothing is lost by that.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fake.requests().len(), delivery.totals().requests as usize);
    assert!(fake.stored().values().all(|times| *times == 1));
    balance(&delivery);
    release.send(()).expect("the thread waits");
    until("all is decided", || delivery.totals().waiting.rounds == 0).await;
    balance(&delivery);
    let totals = delivery.totals();
    assert_eq!((totals.delivered.rounds, totals.lost.rounds), (65, 36));
    assert_eq!(totals.delivered.datums, fake.stored().len() as u64);
    assert!(fake.stored().values().all(|times| *times == 1));
    assert!(delivery.shipping().problems.is_empty());
    assert_eq!(delivery.shipping().lost, 36 * each);
    // The next sample tells of them.
    assert_eq!(u64::from(delivery.counters().lost), 36 * each);
}

#[tokio::test]
async fn a_delivery_that_the_disk_cannot_note_is_noted_later_and_not_repeated() {
    let fake = Fake::start().await;
    let (_folder, settings) = spooled(&fake);
    fake.always(Mode::Slow(Duration::from_millis(500)));
    let disk = Disk::start().expect("a thread");
    let delivery = on(&disk, settings);
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it is on its way", || fake.requests().len() == 1).await;
    // The disk stalls, and so much waits for it that it takes nothing any more.
    let release = hang(&disk);
    while disk.run(|| ()).is_ok() {}
    until("it is answered", || delivery.totals().requests == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(fake.requests().len(), 1);
    balance(&delivery);
    release.send(()).expect("the thread waits");
    all_delivered(&delivery, &fake, 1, 1).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_stalled_disk() {
    let fake = Fake::start().await;
    let (_folder, settings) = spooled(&fake);
    let disk = Disk::start().expect("a thread");
    let delivery = on(&disk, settings);
    delivery.submit(sample(Duration::ZERO, Condition::Healthy));
    all_delivered(&delivery, &fake, 1, 1).await;
    let _release = hang(&disk);
    delivery.submit(sample(Duration::ZERO, Condition::Healthy));
    let begun = Instant::now();
    let left = delivery.stop(begun + Duration::from_secs(1)).await;
    assert_eq!(left, 1);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_spool_that_a_stalled_disk_could_not_open_is_opened_later() {
    let fake = Fake::start().await;
    let (folder, settings) = spooled(&fake);
    let disk = Disk::start().expect("a thread");
    let release = hang(&disk);
    while disk.run(|| ()).is_ok() {}
    let delivery = on(&disk, settings);
    delivery.submit(sample(Duration::ZERO, Condition::Healthy));
    assert!(!folder.path().join("spool").exists());
    release.send(()).expect("the thread waits");
    all_delivered(&delivery, &fake, 1, 1).await;
    assert!(folder.path().join("spool").is_dir());
    assert!(delivery.shipping().problems.is_empty());
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_is_said_and_nothing_is_lost() {
    let fake = Fake::start().await;
    let (folder, mut settings) = spooled(&fake);
    // A file where the folder should be.
    std::fs::write(folder.path().join("file"), "").expect("written");
    settings.spool = Some(folder.path().join("file/spool"));
    let delivery = on(&Disk::start().expect("a thread"), settings);
    until("it is said", || !delivery.shipping().problems.is_empty()).await;
    let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    assert_eq!(cause, "spool-degraded");
    assert!(sentence.contains("in memory only") && sentence.contains("Not a directory"), "{sentence}");
    println!("{cause:20} {sentence}");
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    all_delivered(&delivery, &fake, 1, 1).await;
}

#[tokio::test]
async fn a_full_spool_is_said_beside_what_keeps_it_full() {
    let fake = Fake::start().await;
    fake.always(Mode::Error(500, "InternalServiceFault", "x"));
    let (_folder, settings) = spooled(&fake);
    let delivery = on(&Disk::start().expect("a thread"), settings);
    let mut count = 0_u64;
    // A mebibyte, of rounds of some kilobytes.
    until("it is full", || {
        count += 1;
        let mut round = sample(Duration::from_millis(count), Condition::Sick);
        round.targets = std::iter::repeat_n(round.targets, 40).flatten().collect();
        delivery.submit(round);
        problems(&delivery.shipping()).iter().any(|(cause, _)| *cause == "spool-full")
    })
    .await;
    until("it fails", || problems(&delivery.shipping()).len() == 2).await;
    until("the disk has them", || delivery.totals().produced.rounds == count).await;
    let shipping = delivery.shipping();
    let [(first, _), (second, sentence)] = problems(&shipping).try_into().expect("two problems");
    assert_eq!((first, second), ("publish-failing", "spool-full"));
    assert!(sentence.contains("rounds were dropped, the oldest first"), "{sentence}");
    println!("{second:20} {sentence}");
    assert!(shipping.lost > 0 && shipping.next_attempt.is_some());
    balance(&delivery);
}
