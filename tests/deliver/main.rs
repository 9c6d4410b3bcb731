//! The delivery against a CloudWatch on real sockets that fails in every way: nothing is lost, nothing goes twice that
//! need not, and each failure has its own name.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "figures for whoever asks with --nocapture; small numbers"
)]

mod bed;
mod cbor;
mod disk;
mod fake;
mod faults;
mod keys;
mod records;
mod way;

use std::time::Duration;

use tokio::time::Instant;
use vpce_probe::{
    deliver::{Receipt, publish_once},
    model::sample::Condition,
};

use self::{
    bed::{all_delivered, balance, beside, datums, dialer, sample, settings, start, surroundings, until},
    fake::{Fake, Mode},
};

const NOW: Duration = Duration::ZERO;

#[tokio::test]
async fn a_flush_takes_what_is_fresh_in_one_request() {
    let fake = Fake::start().await;
    let delivery = beside(&fake);
    assert_eq!(delivery.shipping().state, "waiting");
    for age in [900, 600, 300] {
        delivery.submit(sample(Duration::from_millis(age), Condition::Healthy));
    }
    all_delivered(&delivery, &fake, 3, 1).await;
    let requests = fake.requests();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(fake.connections(), 1);
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    assert_eq!(header("connection"), Some("close"));
    assert_eq!(header("expect"), None);
    assert_eq!(header("amz-sdk-request"), Some("attempt=1; max=1"), "the SDK's own retries are off");
    assert_eq!(header("host"), Some(fake.address.to_string().as_str()));
    assert!(
        header("user-agent").is_some_and(|agent| agent.contains("vpce-probe"))
            || header("x-amz-user-agent").is_some_and(|agent| agent.contains("vpce-probe"))
    );
    assert!(header("authorization").is_some_and(|words| words.contains("/eu-west-1/monitoring/aws4_request")));
    let totals = delivery.totals();
    assert_eq!((totals.requests, totals.late, totals.bytes.0), (1, 0, request.bytes as u64));
    println!(
        "a flush of 3 rounds, {} datums: {} bytes of body, {} sent",
        request.datums.len(),
        request.body,
        request.bytes
    );
    let shipping = delivery.shipping();
    assert_eq!((shipping.state.as_str(), shipping.spooled, shipping.lost), ("ok", 0, 0));
    assert!(shipping.last_ok.is_some() && shipping.problems.is_empty());
}

#[tokio::test]
async fn a_flush_of_the_default_targets_is_a_few_kilobytes() {
    let fake = Fake::start().await;
    let delivery = beside(&fake);
    for age in 0..5 {
        let mut round = sample(Duration::from_millis(100 * age), Condition::Healthy);
        let like = round.targets[0].clone();
        round.targets = ["ssm", "ssmmessages", "s3", "ec2messages", "logs", "monitoring"]
            .map(|name| vpce_probe::model::sample::TargetSample { name: name.to_owned(), ..like.clone() })
            .to_vec();
        delivery.submit(round);
    }
    all_delivered(&delivery, &fake, 5, 1).await;
    let datums: usize = fake.requests().iter().map(|request| request.datums.len()).sum();
    let totals = delivery.totals();
    println!("a flush of 5 rounds, 6 targets, {datums} datums: {:?} bytes, {} requests", totals.bytes, totals.requests);
    assert!(totals.requests <= 2 && totals.bytes.0 < 6_000, "{totals:?}");
}

#[tokio::test]
async fn what_is_urgent_does_not_wait_for_the_flush() {
    let fake = Fake::start().await;
    let mut settings = settings(&format!("http://{}", fake.address));
    settings.metrics.flush_interval = Duration::from_mins(50);
    let delivery = start(settings);
    let begun = Instant::now();
    delivery.submit(sample(NOW, Condition::Sick));
    until("the urgent part", || !fake.stored().is_empty()).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let names: Vec<String> = fake.stored().keys().map(|(metric, ..)| metric.clone()).collect();
    assert!(names.iter().all(|name| name == "Problems" || name == "InstanceHealthy"), "{names:?}");
    assert!(names.iter().any(|name| name == "InstanceHealthy"));
    until("the rest waits", || delivery.totals().delivered.datums == names.len() as u64).await;
    assert_eq!(delivery.totals().waiting.rounds, 1);
    balance(&delivery);
    // What is fresh goes with the end, whatever the schedule says.
    let left = delivery.stop(Instant::now() + Duration::from_secs(3)).await;
    assert_eq!(left, 0);
    assert!(fake.stored().keys().any(|(metric, ..)| metric == "Healthy"));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn nothing_is_asked_before_the_region_is_known() {
    let fake = Fake::start().await;
    let settings = settings(&format!("http://{}", fake.address));
    let mut around = surroundings(Vec::new());
    around.region = None;
    let disk = vpce_probe::disk::Disk::start().expect("a thread");
    let delivery = vpce_probe::deliver::Delivery::start(settings, dialer(true, None), disk, around);
    delivery.submit(sample(NOW, Condition::Sick));
    until("it is in the spool", || delivery.totals().waiting.rounds == 1).await;
    delivery.surroundings(surroundings(Vec::new()));
    all_delivered(&delivery, &fake, 1, 1).await;
}

#[tokio::test]
async fn a_flush_takes_what_is_urgent_as_well() {
    let fake = Fake::start().await;
    let settings = settings(&format!("http://{}", fake.address));
    let flush = settings.metrics.flush_interval;
    let mut around = surroundings(Vec::new());
    around.region = None;
    let disk = vpce_probe::disk::Disk::start().expect("a thread");
    let delivery = vpce_probe::deliver::Delivery::start(settings, dialer(true, None), disk, around);
    let round = sample(NOW, Condition::Sick);
    delivery.submit(round);
    // Nothing can go yet; a flush becomes due, whatever the host's phase.
    tokio::time::sleep(flush + Duration::from_millis(100)).await;
    delivery.surroundings(surroundings(Vec::new()));
    all_delivered(&delivery, &fake, 1, 1).await;
    assert_eq!(fake.requests().len(), 1);
    let names: std::collections::BTreeSet<String> = fake.stored().into_keys().map(|(metric, ..)| metric).collect();
    assert!(names.contains("InstanceHealthy") && names.contains("Healthy"), "{names:?}");
}

#[tokio::test]
async fn an_end_keeps_its_time_and_what_is_left() {
    let fake = Fake::start().await;
    fake.always(Mode::Hang);
    let mut settings = settings(&format!("http://{}", fake.address));
    settings.metrics.flush_interval = Duration::from_mins(50);
    let delivery = start(settings);
    delivery.submit(sample(NOW, Condition::Sick));
    until("it hangs", || fake.requests().len() == 1).await;
    let begun = Instant::now();
    let left = delivery.stop(begun + Duration::from_secs(1)).await;
    assert_eq!(left, 1);
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn rounds_of_an_impossible_time_are_not_sent() {
    let fake = Fake::start().await;
    let delivery = beside(&fake);
    let days = |days: u64| Duration::from_hours(days * 24);
    let old = sample(days(15), Condition::Healthy);
    let lost = datums(&old, &settings(""));
    delivery.submit(old);
    delivery.submit(sample(days(13), Condition::Healthy));
    delivery.submit(sample(NOW, Condition::Healthy));
    let mut future = sample(NOW, Condition::Healthy);
    future.tick = vpce_probe::model::units::Timestamp::from_unix_millis(future.tick.unix_millis() + 3 * 3_600_000)
        .expect("a moment");
    delivery.submit(future);
    until("all is decided", || {
        let totals = delivery.totals();
        totals.produced.rounds == 4 && totals.waiting.rounds == 1
    })
    .await;
    balance(&delivery);
    let totals = delivery.totals();
    assert_eq!((totals.lost.rounds, totals.lost.datums), (1, lost), "too old");
    assert_eq!((totals.delivered.rounds, totals.waiting.rounds), (2, 1), "the one that is ahead waits for its time");
    // The next sample carries the loss, once.
    let counters = delivery.counters();
    assert_eq!(u64::from(counters.lost), lost);
    assert_eq!(u64::from(counters.delivered_late), lost, "the one of 13 days ago");
    let mut next = sample(NOW, Condition::Healthy);
    (next.lost, next.delivered_late) = (counters.lost, counters.delivered_late);
    delivery.submit(next);
    assert_eq!(delivery.counters(), vpce_probe::metric::Counters::default());
    until("it is delivered", || delivery.totals().delivered.rounds == 3).await;
    assert_eq!(delivery.counters(), vpce_probe::metric::Counters::default());
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start().await;
    let mut settings = settings(&format!("http://{}", fake.address));
    settings.spool = Some(folder.path().join("spool"));
    // The first request's answer is lost; nothing is answered afterwards.
    fake.next([Mode::LostReply]);
    fake.always_then(Mode::Error(503, "ServiceUnavailable", "later"));
    let delivery = start(settings.clone());
    delivery.submit(sample(Duration::from_millis(400), Condition::Sick));
    until("an answer is lost", || !fake.stored().is_empty()).await;
    until("another request is refused", || fake.requests().len() >= 2).await;
    delivery.submit(sample(Duration::from_millis(200), Condition::Healthy));
    until("both are in the spool", || delivery.totals().waiting.rounds == 2).await;
    balance(&delivery);
    drop(delivery);
    fake.always(Mode::Ok);
    let delivery = start(settings);
    delivery.submit(sample(NOW, Condition::Healthy));
    all_delivered(&delivery, &fake, 3, 2).await;
    let twice = fake.stored().into_iter().filter(|(_, times)| *times == 2).count();
    let lost = fake.requests()[0].datums.len();
    assert_eq!(twice, lost, "what was in doubt, and nothing else");
}

#[tokio::test]
async fn a_stop_amid_several_requests_repeats_none_more_than_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start().await;
    let mut settings = settings(&format!("http://{}", fake.address));
    settings.spool = Some(folder.path().join("spool"));
    // Of the requests of one large round the first is answered, the second never.
    fake.next([Mode::Ok]);
    fake.always_then(Mode::Hang);
    let delivery = start(settings.clone());
    let mut large = sample(NOW, Condition::Healthy);
    let like = large.targets[0].clone();
    let target = |number| vpce_probe::model::sample::TargetSample { name: format!("target-{number}"), ..like.clone() };
    large.targets = (0..400).map(target).collect();
    let whole = datums(&large, &settings);
    delivery.submit(large);
    until("the second request", || fake.requests().len() == 2).await;
    let first = fake.stored().len();
    assert!(first > 0 && (first as u64) < whole, "{first} of {whole}");
    let left = delivery.stop(Instant::now() + Duration::from_millis(200)).await;
    assert_eq!(left, 1);
    fake.always(Mode::Ok);
    let delivery = start(settings);
    // It is in doubt: it waits for an answer, which the next round has.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(fake.requests().len(), 2);
    delivery.submit(sample(NOW, Condition::Healthy));
    all_delivered(&delivery, &fake, 2, 2).await;
    assert_eq!(fake.stored().values().filter(|times| **times == 2).count(), first);
}

#[tokio::test]
async fn a_delivery_that_is_dropped_in_mid_request_leaves_doubt() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start().await;
    let mut settings = settings(&format!("http://{}", fake.address));
    settings.spool = Some(folder.path().join("spool"));
    fake.always(Mode::Hang);
    let disk = vpce_probe::disk::Disk::start().expect("a thread");
    let again = || {
        vpce_probe::deliver::Delivery::start(
            settings.clone(),
            dialer(true, None),
            disk.clone(),
            surroundings(Vec::new()),
        )
    };
    let delivery = again();
    delivery.submit(sample(NOW, Condition::Sick));
    until("it is on its way", || fake.requests().len() == 1).await;
    let sent = fake.requests()[0].datums.clone();
    let begun = Instant::now();
    drop(delivery);
    assert!(begun.elapsed() < Duration::from_millis(100), "nothing waits: {:?}", begun.elapsed());
    // Switched on again at once: nothing of that request goes before another one was answered.
    let delivery = again();
    delivery.submit(sample(NOW, Condition::Sick));
    until("another request", || fake.requests().len() >= 2).await;
    let repeated = |request: &fake::Request| request.datums.iter().any(|datum| sent.contains(datum));
    assert!(!fake.requests().iter().skip(1).any(repeated));
    fake.always(Mode::Ok);
    delivery.submit(sample(NOW, Condition::Sick));
    until("all is delivered", || {
        let totals = delivery.totals();
        totals.waiting.rounds == 0 && totals.delivered.rounds == 3
    })
    .await;
    balance(&delivery);
    assert!(fake.sent().values().all(|times| *times <= 2));
}

#[tokio::test]
async fn a_region_that_stays_unknown_is_said() {
    let fake = Fake::start().await;
    let settings = settings(&format!("http://{}", fake.address));
    let mut around = surroundings(Vec::new());
    around.region = None;
    let disk = vpce_probe::disk::Disk::start().expect("a thread");
    let delivery = vpce_probe::deliver::Delivery::start(settings, dialer(true, None), disk, around);
    for age in [900, 600] {
        delivery.submit(sample(Duration::from_millis(age), Condition::Healthy));
        assert_eq!((delivery.shipping().state.as_str(), delivery.shipping().problems.len()), ("waiting", 0));
    }
    delivery.submit(sample(NOW, Condition::Healthy));
    let shipping = delivery.shipping();
    let [(cause, sentence)] = bed::problems(&shipping).try_into().expect("one problem");
    assert_eq!((cause, shipping.state.as_str(), shipping.next_attempt), ("publish-unreachable", "failing", None));
    assert!(
        sentence.contains("the region is not known") && sentence.contains("set region in the config"),
        "{sentence}"
    );
    delivery.surroundings(surroundings(Vec::new()));
    until("that is over", || delivery.shipping().problems.is_empty()).await;
    all_delivered(&delivery, &fake, 3, 1).await;
}

#[tokio::test]
async fn once_says_what_it_delivered_or_why_not() {
    let fake = Fake::start().await;
    let settings = settings(&format!("http://{}", fake.address));
    let sample = sample(NOW, Condition::Healthy);
    let by = || Instant::now() + Duration::from_secs(5);
    let once = async || publish_once(&settings, dialer(true, None), surroundings(Vec::new()), &sample, by()).await;
    let Receipt { datums: taken, requests, bytes } = once().await.expect("delivered");
    assert_eq!((taken as u64, requests), (datums(&sample, &settings), 1));
    assert_eq!(bytes.0, fake.requests()[0].bytes as u64);
    fake.always(Mode::Error(500, "InternalServiceFault", "sorry"));
    let problem = once().await.expect_err("refused");
    assert_eq!(problem.cause.as_str(), "publish-failing");
    assert_eq!(fake.requests().len(), 2, "no second attempt");
}
