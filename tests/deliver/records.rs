//! What the log is told of a delivery over real sockets.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Mutex,
    thread::{ThreadId, current},
    time::Duration,
};

use tracing::{Subscriber, field::Visit, subscriber::set_global_default};
use tracing_subscriber::{Layer, layer::Context, prelude::*};
use vpce_probe::model::{event::Event, sample::Condition};

use crate::{
    bed::{all_delivered, beside, sample, until},
    fake::{Fake, Mode},
};

type Record = BTreeMap<String, String>;

/// The fields of each record that is worth more than a debugger's look, and the thread that made it: a test's own.
///
/// One for the whole process: `tracing` takes a place in the code that first speaks on a thread without a subscriber to be
/// of no interest to anybody.
struct Kept;

static KEPT: Mutex<Vec<(ThreadId, Record)>> = Mutex::new(Vec::new());

impl Kept {
    fn start() {
        set_global_default(tracing_subscriber::registry().with(Self)).expect("the only one");
    }

    /// The records of this test.
    fn own() -> Vec<Record> {
        let all = KEPT.lock().expect("not poisoned").clone();
        all.into_iter().filter(|(thread, _)| *thread == current().id()).map(|(_, record)| record).collect()
    }
}

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut reader = Reader::default();
        event.record(&mut reader);
        let told = *event.metadata().level() <= tracing::Level::INFO;
        if told && event.metadata().target().starts_with("vpce_probe") {
            KEPT.lock().expect("not poisoned").push((current().id(), reader.0));
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

#[tokio::test]
async fn an_outage_is_three_records_however_many_attempts() {
    Kept::start();
    let fake = Fake::start().await;
    fake.always(Mode::Error(503, "ServiceUnavailable", "later"));
    let delivery = beside(&fake);
    for attempts in 1..=4 {
        delivery.submit(sample(Duration::ZERO, Condition::Sick));
        until("it is tried", || delivery.totals().requests >= attempts).await;
    }
    until("all have come", || delivery.totals().waiting.rounds == 4).await;
    fake.always(Mode::Ok);
    all_delivered(&delivery, &fake, 4, 1).await;
    until("that is told", || delivery.shipping().state == "ok").await;
    let told = Kept::own();
    let ids: Vec<&str> = told.iter().filter_map(|record| record.get("message_id")).map(String::as_str).collect();
    let expected = [Event::ShippingTrouble, Event::ShippingRecovered, Event::ShippingCaughtUp].map(Event::id);
    assert_eq!(ids, expected, "{told:#?}");
    assert_eq!(told.len(), 3, "and nothing else: {told:#?}");
    assert!(told[0]["vpce_error"].contains("503 ServiceUnavailable"), "{:?}", told[0]);
    assert!(told[0]["vpce_advice"].ends_with("vpce-probe explain publish-failing"), "{:?}", told[0]);
    assert_eq!((told[1]["vpce_previous"].as_str(), told[2]["vpce_lost"].as_str()), ("publish-failing", "0"));
    for record in &told {
        println!("{}", record["message"]);
    }
}
