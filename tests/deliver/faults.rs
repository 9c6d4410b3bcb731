//! Failures of CloudWatch and of the way to it: their names, and that nothing is lost by them.

use std::time::Duration;

use vpce_probe::{deliver::Delivery, model::sample::Condition};

use crate::{
    bed::{all_delivered, balance, beside, problems, sample, settings, start, until},
    fake::{Fake, Mode},
};

/// While CloudWatch is in `mode`, the report says `cause` with all of `words`; afterwards everything is delivered, once.
async fn check(mode: Mode, cause: &str, words: &[&str]) {
    let fake = Fake::start().await;
    fake.always(mode.clone());
    let delivery = beside(&fake);
    delivery.submit(sample(Duration::from_millis(400), Condition::Healthy));
    delivery.submit(sample(Duration::from_millis(200), Condition::Sick));
    until(&format!("{mode:?} fails"), || !delivery.shipping().problems.is_empty()).await;
    let shipping = delivery.shipping();
    let [(found, sentence)] = problems(&shipping).try_into().expect("one problem");
    assert_eq!(found, cause, "{sentence}");
    for word in words {
        assert!(sentence.contains(word), "{mode:?}: {sentence}");
    }
    assert_eq!((shipping.state.as_str(), shipping.lost), ("failing", 0));
    balance(&delivery);
    until("it is tried again", || fake.connections() >= 3).await;
    delivery.submit(sample(Duration::ZERO, Condition::Recovered));
    fake.always(Mode::Ok);
    all_delivered(&delivery, &fake, 3, 1).await;
    assert!(delivery.shipping().problems.is_empty());
    println!("{cause:20} {sentence}");
}

#[tokio::test]
async fn each_failure_has_its_name_and_loses_nothing() {
    let denied =
        "User: arn:aws:sts::1:assumed-role/r/i-1 is not authorized to perform: cloudwatch:PutMetricData because ";
    let phrase = |phrase: &str| -> &'static str { format!("{denied}{phrase}").leak() };
    let error = Mode::Error;
    tokio::join!(
        check(error(400, "Throttling", "Rate exceeded"), "publish-throttled", &["throttles", "400 Throttling"]),
        check(error(429, "", ""), "publish-throttled", &["429"]),
        check(error(500, "InternalServiceFault", "x"), "publish-failing", &["500 InternalServiceFault"]),
        check(error(503, "ServiceUnavailable", "x"), "publish-failing", &["503"]),
        check(
            error(403, "AccessDenied", phrase("no identity-based policy allows the cloudwatch:PutMetricData action")),
            "publish-denied",
            &["no policy of the role allows", "403 AccessDenied"],
        ),
        check(
            error(403, "AccessDeniedException", phrase("no VPC endpoint policy allows the action")),
            "publish-denied",
            &["the VPC endpoint's policy"],
        ),
        check(
            error(403, "AccessDenied", phrase("with an explicit deny in a service control policy")),
            "publish-denied",
            &["a service control policy"],
        ),
        check(error(403, "InvalidClientTokenId", "secret"), "publish-denied", &["does not know these credentials"]),
        check(error(403, "ExpiredToken", "x"), "credentials-expired", &["have expired"]),
        check(Mode::Portal(200), "publish-unreachable", &["answered 200 with text/html"]),
        check(Mode::Portal(403), "publish-unreachable", &["answered 403 with text/html"]),
    );
}

/// The same for failures that leave it open whether the data arrived. `often`: how often a datum is sent, and stored, at
/// the most.
async fn in_doubt(mode: Mode, words: &[&str], often: [u32; 2]) {
    let fake = Fake::start().await;
    fake.always(mode.clone());
    let delivery = beside(&fake);
    let mut rounds = 0;
    for _ in 0..4 {
        let (met, asked) = (fake.connections(), delivery.totals().requests);
        delivery.submit(sample(Duration::ZERO, Condition::Sick));
        rounds += 1;
        until(&format!("{mode:?} is met"), || fake.connections() > met).await;
        until("its end is noticed", || delivery.totals().requests > asked).await;
    }
    let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    assert_eq!(cause, "publish-unreachable");
    for word in words {
        assert!(sentence.contains(word), "{sentence}");
    }
    balance(&delivery);
    let most = |fake: &Fake| fake.sent().values().copied().max().unwrap_or(0);
    assert!(most(&fake) <= 1, "{mode:?}: nothing is sent again before an answer");
    fake.always(Mode::Ok);
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    all_delivered(&delivery, &fake, rounds + 1, often[1]).await;
    assert_eq!(most(&fake), often[0], "{mode:?}");
    println!("{cause:20} {sentence}");
}

#[tokio::test]
async fn what_may_have_arrived_is_sent_at_most_twice() {
    tokio::join!(
        in_doubt(Mode::LostReply, &["closed the connection before it answered"], [2, 2]),
        in_doubt(Mode::Hang, &["took the request and gave no answer within 1 s"], [2, 1]),
        in_doubt(Mode::Garbage, &["not CloudWatch"], [2, 1]),
        in_doubt(Mode::Portal(504), &["answered 504"], [2, 1]),
        // Whether the request was written before the peer's end was seen is chance.
        in_doubt(Mode::CloseAtOnce, &["closed the connection before it"], [1, 1]),
    );
}

#[tokio::test]
async fn a_slow_cloudwatch_is_not_asked_twice() {
    let fake = Fake::start().await;
    fake.always(Mode::Slow(Duration::from_millis(700)));
    let delivery = beside(&fake);
    delivery.submit(sample(Duration::ZERO, Condition::Healthy));
    all_delivered(&delivery, &fake, 1, 1).await;
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn poison_is_dropped_alone() {
    let fake = Fake::start().await;
    fake.always(Mode::Poison("logs"));
    let delivery = beside(&fake);
    let healthy = sample(Duration::ZERO, Condition::Healthy);
    let whole = crate::bed::datums(&healthy, &settings(""));
    delivery.submit(healthy);
    until("it is decided", || delivery.totals().produced.rounds == 1 && delivery.totals().waiting.rounds == 0).await;
    balance(&delivery);
    let totals = delivery.totals();
    let stored = fake.stored();
    assert!(stored.values().all(|times| *times == 1), "{stored:?}");
    assert!(stored.keys().all(|(_, dimensions, _)| !dimensions.contains("logs")));
    assert!(totals.lost.datums > 0 && totals.lost.datums + stored.len() as u64 == whole, "{totals:?}");
    assert_eq!(totals.delivered.datums, stored.len() as u64);
    assert_eq!(u64::from(delivery.counters().lost), totals.lost.datums);
    println!("{} of {whole} datums dropped, in {} requests", totals.lost.datums, totals.requests);
}

#[tokio::test]
async fn poison_is_not_looked_for_anew_in_every_flush() {
    let fake = Fake::start().await;
    fake.always(Mode::Poison("logs"));
    let delivery = beside(&fake);
    let decided = |rounds: u64| {
        let totals = delivery.totals();
        totals.produced.rounds == rounds && totals.waiting.rounds == 0
    };
    delivery.submit(sample(Duration::ZERO, Condition::Healthy));
    until("it is decided", || decided(1)).await;
    let (first, asked) = (delivery.totals().lost.datums, fake.requests().len());
    assert!(first > 0 && asked > 10, "{first} datums, {asked} requests");
    for rounds in 2..=4 {
        delivery.submit(sample(Duration::ZERO, Condition::Healthy));
        until("it is decided, too", || decided(rounds)).await;
        balance(&delivery);
        assert_eq!(delivery.totals().lost.datums, first * rounds);
    }
    let requests = fake.requests();
    assert_eq!(requests.len(), asked + 3, "one for each round");
    assert!(requests[asked..].iter().flat_map(|request| &request.datums).all(|(_, names, _)| !names.contains("logs")));
    assert!(fake.stored().values().all(|times| *times == 1));
    assert_eq!(u64::from(delivery.counters().lost), first * 4);
}

#[tokio::test]
async fn a_lost_reply_amid_halves_repeats_no_other_half() {
    let fake = Fake::start().await;
    fake.next([Mode::Poison("ssm"), Mode::Poison("ssm"), Mode::LostReply]);
    fake.always_then(Mode::Poison("ssm"));
    let delivery = beside(&fake);
    delivery.submit(sample(Duration::ZERO, Condition::Healthy));
    until("a reply is lost", || fake.requests().len() >= 3).await;
    // Another round is answered, and opens the way.
    delivery.submit(sample(Duration::ZERO, Condition::Recovered));
    until("all is decided", || delivery.totals().produced.rounds == 2 && delivery.totals().waiting.rounds == 0).await;
    balance(&delivery);
    let twice: Vec<_> = fake.stored().into_iter().filter(|(_, times)| *times > 1).collect();
    let third = fake.requests()[2].datums.clone();
    assert!(twice.iter().all(|(key, times)| *times == 2 && third.contains(key)), "{twice:?}");
}

#[tokio::test]
async fn a_wrong_clock_is_learnt_from_the_answer() {
    let fake = Fake::start().await;
    fake.always(Mode::ClockAhead(0));
    let delivery = beside(&fake);
    delivery.submit(sample(Duration::ZERO, Condition::Healthy));
    all_delivered(&delivery, &fake, 1, 1).await;
    assert_eq!(fake.requests().len(), 1);
    // A day ahead: the first signature is refused, the second is right, and nobody is alarmed.
    fake.always(Mode::ClockAhead(86_400));
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it is refused and mended", || fake.requests().len() == 3).await;
    until("it is delivered", || delivery.totals().delivered.datums > 0).await;
    assert!(delivery.shipping().problems.is_empty());
    // And back: as quickly.
    fake.always(Mode::ClockAhead(0));
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("all is delivered", || delivery.totals().waiting.rounds == 0).await;
    assert!(delivery.shipping().problems.is_empty());
    balance(&delivery);
}

fn unreachable(endpoint: &str) -> Delivery {
    let delivery = start(settings(endpoint));
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    delivery
}

#[tokio::test]
async fn the_way_to_cloudwatch_is_named_by_its_layer() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    for (endpoint, words) in [
        (format!("http://127.0.0.1:{port}"), ["tcp-refused", "127.0.0.1"]),
        ("https://cloudwatch.invalid".to_owned(), ["dns-unreachable", "cloudwatch.invalid"]),
    ] {
        let delivery = unreachable(&endpoint);
        until("it fails", || !delivery.shipping().problems.is_empty()).await;
        let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
        assert_eq!(cause, "publish-unreachable");
        assert!(words.iter().all(|word| sentence.contains(word)), "{sentence}");
        println!("{cause:20} {sentence}");
        balance(&delivery);
    }
}
