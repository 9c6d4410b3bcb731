use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, advance};
use tracing::{Subscriber, field::Visit, subscriber::set_default};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use super::{Cause, Log, Summary, Trouble};
use crate::{
    deliver::{board::Board, spool::Tally},
    metric::{Datum, Finite, Name, Unit},
    model::{event::Event, units::Timestamp},
};

type Record = BTreeMap<String, String>;

/// Keeps the records that are worth more than a debugger's look.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Record>>>);

impl Kept {
    /// The records since the last look.
    fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }

    /// The one record since the last look, which is of this kind.
    fn one(&self, event: Event) -> Record {
        let [record] = self.take().try_into().expect("one record");
        assert_eq!((record["vpce_event"].as_str(), record["message_id"].as_str()), (event.as_str(), event.id()));
        record
    }
}

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut reader = Reader::default();
        event.record(&mut reader);
        reader.0.insert("level".to_owned(), event.metadata().level().to_string());
        if *event.metadata().level() <= tracing::Level::INFO {
            self.0.lock().expect("not poisoned").push(reader.0);
        }
    }
}

#[derive(Default)]
struct Reader(Record);

impl Visit for Reader {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

fn trouble(cause: Cause) -> Trouble {
    Trouble::new(cause, "it is so".to_owned())
}

async fn minutes(minutes: u64) {
    advance(Duration::from_mins(minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_two_records_however_many_attempts() {
    let kept = Kept::default();
    let _guard = set_default(tracing_subscriber::registry().with(kept.clone()));
    let mut log = Log::new(None);
    let begun = Instant::now();
    for waiting in 1..=40 {
        log.failed(&trouble(Cause::PublishDenied), waiting);
        minutes(1).await;
    }
    let told = kept.one(Event::ShippingTrouble);
    assert_eq!((told["vpce_cause"].as_str(), told["vpce_spooled"].as_str()), ("publish-denied", "1"));
    assert_eq!((told["level"].as_str(), told["vpce_severity"].as_str()), ("WARN", "note"));
    assert_eq!(told["vpce_error"], "it is so");
    assert_eq!(told["vpce_advice"].lines().last(), Some("vpce-probe explain publish-denied"));
    assert!(told["message"].contains("it is so (publish-denied)"), "{told:?}");
    // Another cause is news; the first one again is none so soon.
    log.failed(&trouble(Cause::PublishFailing), 41);
    assert_eq!(kept.one(Event::ShippingTrouble)["vpce_cause"], "publish-failing");
    log.failed(&trouble(Cause::PublishFailing), 42);
    minutes(1).await;
    log.delivered(42);
    let told = kept.one(Event::ShippingRecovered);
    assert_eq!((told["vpce_previous"].as_str(), told["level"].as_str()), ("publish-failing", "INFO"));
    assert_eq!((told["vpce_lasted_s"].as_str(), told["vpce_spooled"].as_str()), ("2460", "42"));
    log.delivered(30);
    assert!(kept.take().is_empty());
    log.caught_up(begun, 42, 3);
    let told = kept.one(Event::ShippingCaughtUp);
    assert_eq!((told["vpce_count"].as_str(), told["vpce_lost"].as_str()), ("42", "3"));
}

#[tokio::test(start_paused = true)]
async fn by_turns_is_not_told_by_turns() {
    let kept = Kept::default();
    let _guard = set_default(tracing_subscriber::registry().with(kept.clone()));
    let mut log = Log::new(None);
    let mut records = 0;
    for _ in 0..60 {
        let begun = Instant::now();
        for cause in [Cause::PublishThrottled, Cause::PublishFailing] {
            log.failed(&trouble(cause), 1);
        }
        log.delivered(0);
        log.caught_up(begun, 1, 0);
        minutes(1).await;
        records += kept.take().len();
    }
    // In an hour, six times what a minute has at the most: two causes, the end, and that all is delivered.
    assert!((18..=24).contains(&records), "{records}");
    // What stays is told, at the latest after ten minutes.
    let mut told = Vec::new();
    for _ in 0..11 {
        log.failed(&trouble(Cause::PublishThrottled), 1);
        minutes(1).await;
        told.extend(kept.take());
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_spool_off_the_disk_is_told_and_so_is_its_return() {
    let kept = Kept::default();
    let _guard = set_default(tracing_subscriber::registry().with(kept.clone()));
    let mut log = Log::new(Some("/spool".to_owned()));
    let mut summary = Summary::default();
    log.spool(&summary);
    for reason in ["no space left", "the disk is stalled: 4 rounds wait for it", "the disk is stalled: 5 rounds"] {
        summary.degraded = Some(reason.to_owned());
        log.spool(&summary);
        minutes(1).await;
    }
    let told = kept.one(Event::SpoolDegraded);
    assert_eq!((told["vpce_file"].as_str(), told["vpce_cause"].as_str()), ("/spool", "spool-degraded"));
    assert_eq!(told["vpce_error"], "no space left");
    assert!(told["vpce_advice"].ends_with("vpce-probe explain spool-degraded"));
    summary.degraded = None;
    log.spool(&summary);
    log.spool(&summary);
    assert_eq!(kept.one(Event::SpoolRecovered)["vpce_lasted_s"], "180");
}

#[tokio::test(start_paused = true)]
async fn losses_are_told_by_reason_and_by_the_hour() {
    let kept = Kept::default();
    let _guard = set_default(tracing_subscriber::registry().with(kept.clone()));
    let mut log = Log::new(None);
    let mut summary = Summary::default();
    for minute in 1..=120 {
        summary.counters.evicted = Tally { rounds: minute, datums: 10 * minute };
        log.spool(&summary);
        minutes(1).await;
    }
    let told = kept.take();
    let lost: Vec<&str> = told.iter().map(|record| record["vpce_lost"].as_str()).collect();
    assert_eq!(lost, ["10", "600"]);
    assert!(told.iter().all(|record| record["vpce_event"] == "spool-lost" && record["vpce_cause"] == "spool-full"));
    summary.counters.expired = Tally { rounds: 1, datums: 2 };
    summary.overflown = Tally { rounds: 3, datums: 4 };
    minutes(60).await;
    log.spool(&summary);
    let told = kept.take();
    let lost: Vec<&str> = told.iter().map(|record| record["vpce_lost"].as_str()).collect();
    assert_eq!(lost, ["590", "2", "4"]);
    assert!(told[1]["message"].contains("two weeks") && told[2]["message"].contains("stalled"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_region_that_stays_unknown_is_told_once() {
    let kept = Kept::default();
    let _guard = set_default(tracing_subscriber::registry().with(kept.clone()));
    let mut board = Board::default();
    for _ in 0..100 {
        board.without_region(Timestamp::now(), &Summary::default());
        minutes(1).await;
    }
    let told = kept.one(Event::ShippingTrouble);
    assert_eq!(told["vpce_cause"], "publish-unreachable");
    assert!(told["vpce_error"].contains("the region is not known"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_of_a_refused_series_is_counted_by_its_next_record() {
    let kept = Kept::default();
    let _guard = set_default(tracing_subscriber::registry().with(kept.clone()));
    let mut log = Log::new(None);
    let datum = Datum {
        metric: Name::Healthy,
        dimensions: Vec::new(),
        at: Timestamp::from_unix_millis(0).expect("a moment"),
        values: Vec::new(),
        unit: Unit::None,
    };
    log.rejected(&datum, &trouble(Cause::PublishFailing));
    assert_eq!(kept.one(Event::DatumRejected)["vpce_lost"], "1");
    for _ in 0..60 {
        minutes(1).await;
        log.left_out(&datum);
    }
    assert!(kept.take().is_empty());
    log.rejected(&datum, &trouble(Cause::PublishFailing));
    assert_eq!(kept.one(Event::DatumRejected)["vpce_lost"], "61");
}

#[tokio::test(start_paused = true)]
async fn a_refused_series_is_told_once_an_hour() {
    let kept = Kept::default();
    let _guard = set_default(tracing_subscriber::registry().with(kept.clone()));
    let mut log = Log::new(None);
    let datum = |target: &str| Datum {
        metric: Name::Healthy,
        dimensions: vec![("Target".to_owned(), target.to_owned())],
        at: Timestamp::from_unix_millis(0).expect("a moment"),
        values: vec![(Finite::from(1), 1)],
        unit: Unit::None,
    };
    for _ in 0..=60 {
        log.rejected(&datum("ssm"), &trouble(Cause::PublishFailing));
        minutes(1).await;
    }
    let told = kept.take();
    let lost: Vec<&str> = told.iter().map(|record| record["vpce_lost"].as_str()).collect();
    assert_eq!(lost, ["1", "60"]);
    assert!(told[0]["message"].contains("Healthy {Target=ssm}") && told[0]["vpce_error"].contains("it is so"));
    // However many there are, memory and the log are bounded.
    for n in 0..1_000 {
        log.rejected(&datum(&n.to_string()), &trouble(Cause::PublishFailing));
    }
    assert_eq!(kept.take().len(), super::MOST_SERIES - 1);
    minutes(60).await;
    log.rejected(&datum("another"), &trouble(Cause::PublishFailing));
    let unsaid = 1_000 - (super::MOST_SERIES - 1) + 1;
    assert_eq!(kept.one(Event::DatumRejected)["vpce_lost"], unsaid.to_string());
}
