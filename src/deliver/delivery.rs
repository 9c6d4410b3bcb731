//! The delivery as the rest of the program sees it: nothing here waits, nothing fails.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    Settings, Surroundings,
    board::{Board, Totals},
    client::{Client, Clock, Cost},
    connector::Connector,
    courier::{Courier, Orders, budget},
    store::Store,
};
use crate::{
    disk::Disk,
    metric,
    model::{
        round::Shipping,
        sample::{Part, Sample},
        units::Timestamp,
        verdict::Problem,
    },
    probe::Dialer,
    schedule::spread,
};

/// A running delivery. Dropping it ends it at once; what waits stays in the spool, and a request that is on its way leaves
/// its rounds in doubt there.
pub struct Delivery {
    settings: watch::Sender<(Settings, Dialer)>,
    surroundings: watch::Sender<Surroundings>,
    stop: watch::Sender<Option<Instant>>,
    store: Store,
    clock: Clock,
    board: Arc<Mutex<Board>>,
    task: JoinHandle<()>,
}

/// What was delivered in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Datums that CloudWatch took.
    pub datums: usize,
    /// Requests made.
    pub requests: u32,
    /// Bytes written and read above TLS.
    pub bytes: (u64, u64),
}

impl Delivery {
    /// Starts the delivery: one task on the current runtime. Nothing is asked before a region is known and something
    /// waits.
    #[must_use]
    pub fn start(settings: Settings, dialer: Dialer, disk: Disk, surroundings: Surroundings) -> Self {
        let clock = Clock::default();
        let store = Store::open(&settings, disk, clock.clone());
        let board = Arc::new(Mutex::new(Board::new(&settings)));
        let (settings, of_settings) = watch::channel((settings, dialer));
        let (surroundings, of_surroundings) = watch::channel(surroundings);
        let (stop, of_stop) = watch::channel(None);
        let mut orders = Orders { settings: of_settings, surroundings: of_surroundings, stop: of_stop };
        // The first ones are news, too.
        orders.surroundings.mark_changed();
        let task = tokio::spawn(Courier::new(orders, store.clone(), Arc::clone(&board), clock.clone()).run());
        Self { settings, surroundings, stop, store, clock, board, task }
    }

    /// Takes a sample. It waits in the spool until CloudWatch has confirmed it.
    pub fn submit(&self, sample: Sample) {
        self.store.keep(sample, &self.settings.borrow().0.metrics);
        // The task may be waiting for the disk just then.
        let summary = self.store.summary();
        self.board().observe(&summary);
        if self.surroundings.borrow().region.is_none() {
            self.board().without_region(Timestamp::now(), &summary);
        }
    }

    /// What the latest round knows.
    pub fn surroundings(&self, surroundings: Surroundings) {
        self.surroundings.send_if_modified(|known| {
            let new = *known != surroundings;
            if new {
                // At once: the next sample is judged by it, and the measurement is of now.
                if let Some(error) = surroundings.clock_error_s {
                    self.clock.set_error(error);
                }
                *known = surroundings;
            }
            new
        });
    }

    /// Another config, or another trust store. The spool stays where it is.
    pub fn reconfigure(&self, settings: Settings, dialer: Dialer) {
        self.settings.send_replace((settings, dialer));
    }

    /// How it stands, for the report.
    #[must_use]
    pub fn shipping(&self) -> Shipping {
        self.board().shipping(&self.store.summary())
    }

    /// What became of datums since the last sample, for the next one, which is to be submitted.
    #[must_use]
    pub fn counters(&self) -> metric::Counters {
        self.board().counters(&self.store.summary())
    }

    /// Numbers since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.board().totals(&self.store.summary())
    }

    /// Delivers what is fresh and ends by `by`; says how many rounds are left in the spool.
    pub async fn stop(mut self, by: Instant) -> u64 {
        self.stop.send_replace(Some(by));
        tokio::select! {
            biased;
            _ended = &mut self.task => {}
            () = sleep_until(by + GRACE) => {}
        }
        self.store.summary().waiting.rounds
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.task.abort();
        self.store.abandon();
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

/// Delivers one sample at once and without a spool, by `by`.
///
/// # Errors
/// What CloudWatch, the way to it or the credentials have against it.
pub async fn publish_once(
    settings: &Settings,
    dialer: Dialer,
    surroundings: Surroundings,
    sample: &Sample,
    by: Instant,
) -> Result<Receipt, Problem> {
    use super::fault::Trouble;
    let fail = |summary: &str| Trouble::new(crate::model::cause::Cause::PublishFailing, summary.to_owned()).problem();
    let Some(region) = surroundings.region.clone() else {
        return Err(fail("the region is not known: there is no CloudWatch to deliver to"));
    };
    let mut datums = Vec::new();
    for part in [Part::Urgent, Part::Scheduled] {
        datums.extend(metric::encode(sample, part, &settings.metrics));
    }
    let clock = Clock::default();
    if let Some(error) = surroundings.clock_error_s {
        clock.set_error(error);
    }
    let (_keep, around) = watch::channel(surroundings.clone());
    let left = by.saturating_duration_since(Instant::now());
    let budget = budget(settings).min(left);
    let connector = Connector::new(dialer, around, spread(&settings.host, "addresses"), budget);
    let mut client = Client::new(settings, &region, connector, &clock);
    let mut cost = Cost::default();
    let mut taken = 0;
    for request in metric::requests(datums) {
        let put = client.put(&request, &surroundings, &mut cost);
        tokio::select! {
            biased;
            result = put => result.map_err(|trouble| trouble.problem())?,
            () = sleep_until(by) => return Err(fail("the time was over before CloudWatch had answered")),
        }
        taken += request.len();
    }
    Ok(Receipt { datums: taken, requests: cost.requests, bytes: cost.bytes })
}

/// The task ends by itself; this is for a disk that stalls at that moment.
const GRACE: std::time::Duration = std::time::Duration::from_millis(250);
