//! The one task of the delivery: it carries out what the agenda says.

mod aftermath;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::yield_now,
    time::{Instant, sleep_until},
};

use super::{
    Settings, Surroundings,
    agenda::{Agenda, Errand, Step, Stock},
    board::Board,
    client::{Client, Clock, Cost},
    connector::Connector,
    fault::{Arrival, Remedy, Trouble},
    pace::{Chance, Pace},
    parcel::{Parcel, Round, Timing},
    refused::{Fate, Refused},
    spool::{Parts, Seq, Waiting},
    store::{Fresh, Store},
};
use crate::{
    metric::{self, Datum},
    model::{cause::Cause, sample::Part, units::Timestamp},
    probe::Dialer,
    schedule::{Cadence, spread},
};

/// What the task is told from outside.
#[derive(Clone)]
pub(super) struct Orders {
    pub(super) settings: watch::Receiver<(Settings, Dialer)>,
    pub(super) surroundings: watch::Receiver<Surroundings>,
    /// End by then.
    pub(super) stop: watch::Receiver<Option<Instant>>,
}

/// The task.
pub(super) struct Courier {
    orders: Orders,
    store: Store,
    board: Arc<Mutex<Board>>,
    agenda: Agenda,
    clock: Clock,
    settings: Settings,
    cadence: Cadence,
    flush: Flush,
    client: Option<(String, Client)>,
    parcel: Option<Parcel>,
    refused: Refused,
    /// What the spool must know before anything else is sent: a stalled disk did not take it yet.
    notes: Vec<(Note, Vec<(Seq, Parts)>)>,
}

/// What became of rounds.
#[derive(Clone, Copy, Debug)]
enum Note {
    Settled,
    Doubted,
}

/// The schedule of what is not urgent.
#[derive(Clone, Copy, Debug)]
struct Flush {
    /// It is due, and was not delivered yet.
    due: bool,
    /// The next time.
    at: Instant,
    /// The last one.
    last: Option<Instant>,
}

/// How a request ended.
enum Ended {
    Answered(Result<(), Trouble>),
    /// The time was over first.
    Cut,
}

impl Courier {
    pub(super) fn new(orders: Orders, store: Store, board: Arc<Mutex<Board>>, clock: Clock) -> Self {
        let settings = orders.settings.borrow().0.clone();
        let pace = Pace::new(settings.metrics.flush_interval);
        // The seed is of this start, too: hosts that restart in a circle must not repeat the same waits.
        let seed = spread(&settings.host, "delivery") ^ Timestamp::now().unix_millis().unsigned_abs();
        let cadence = cadence(&settings);
        let now = Instant::now();
        let mut courier = Self {
            orders,
            store,
            board,
            agenda: Agenda::new(pace, Chance::new(seed)),
            clock,
            settings,
            cadence,
            flush: Flush { due: false, at: now, last: None },
            client: None,
            parcel: None,
            refused: Refused::default(),
            notes: Vec::new(),
        };
        courier.schedule();
        courier
    }

    /// Delivers until it is told to stop.
    pub(super) async fn run(mut self) {
        loop {
            self.heed();
            let stop = *self.orders.stop.borrow();
            if let Some(by) = stop {
                self.end(by).await;
                return;
            }
            if Instant::now() >= self.flush.at {
                self.flush.due = true;
                self.flush.last = Some(self.flush.at);
                self.schedule();
            }
            match self.step().await {
                Step::Send(errand) => self.carry(errand).await,
                Step::Wait(until) => self.wait(until).await,
            }
        }
    }

    async fn step(&mut self) -> Step {
        let summary = self.store.summary();
        self.board().observe(&summary);
        if self.region().is_none() {
            return Step::Wait(None);
        }
        if !self.write_down().await {
            return Step::Wait(Some(Instant::now() + STALLED));
        }
        let Some(stock) = self.stock().await else {
            return Step::Wait(Some(Instant::now() + STALLED));
        };
        let mood = self.store.summary().mood;
        self.agenda.heed(mood, Instant::now());
        // All that was due is sent, be it in several requests, or nothing was.
        self.flush.due &= stock.flush;
        if !(stock.backlog || stock.doubtful || self.parcel.is_some()) {
            let summary = self.store.summary();
            self.board().caught_up(&summary);
        }
        self.agenda.decide(Instant::now(), stock)
    }

    async fn stock(&self) -> Option<Stock> {
        let stock = self.store.stock(self.fresh()).await?;
        let begun = self.parcel.as_ref().map(Parcel::standing).unwrap_or_default();
        Some(Stock { begun, flush: stock.flush && self.flush.due, ..stock })
    }

    /// What was told from outside since the last time.
    fn heed(&mut self) {
        if self.orders.settings.has_changed().is_ok_and(|changed| changed) {
            let settings = self.orders.settings.borrow_and_update().0.clone();
            self.agenda.set_pace(Pace::new(settings.metrics.flush_interval));
            self.agenda.try_again();
            self.client = None;
            let cadence = cadence(&settings);
            self.settings = settings;
            if cadence != self.cadence {
                self.cadence = cadence;
                self.schedule();
            }
        }
        if self.orders.surroundings.has_changed().is_ok_and(|changed| changed) {
            let known = self.orders.surroundings.borrow_and_update().region.is_some();
            if known {
                self.board().ready();
            }
        }
    }

    fn region(&self) -> Option<String> {
        self.orders.surroundings.borrow().region.clone()
    }

    fn schedule(&mut self) {
        let since = self.flush.last.map(|last| last.elapsed());
        self.flush.at = Instant::now() + self.cadence.next(Timestamp::now(), since).wait;
    }

    async fn wait(&mut self, until: Option<Instant>) {
        let until = until.map_or(self.flush.at, |until| until.min(self.flush.at));
        let Orders { settings, surroundings, stop } = &mut self.orders;
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.store.news() => {}
            // A sender that is gone has told everybody to stop.
            _ = settings.changed() => settings.mark_changed(),
            _ = surroundings.changed() => surroundings.mark_changed(),
            _ = stop.changed() => {}
        }
    }

    /// Samples from this tick on are fresh: those that a flush in time would take.
    fn fresh(&self) -> Fresh {
        let metrics = &self.settings.metrics;
        let age = metrics.flush_interval + 2 * metrics.interval;
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Fresh(
            Timestamp::from_unix_millis(self.clock.timestamp().unix_millis().saturating_sub(age))
                .unwrap_or_else(Timestamp::now),
        )
    }

    /// One request.
    async fn carry(&mut self, errand: Errand) {
        let parcel = match self.parcel.take() {
            Some(parcel) if errand == Errand::Rest => Some(parcel),
            other => {
                self.parcel = other;
                self.pack(errand).await
            }
        };
        let Some(mut parcel) = parcel else { return };
        let Some(datums) = parcel.next().map(<[Datum]>::to_vec) else {
            self.go_on(parcel).await;
            return;
        };
        self.store.under_way(parcel.rounds());
        let mut cost = Cost::default();
        let ended = self.put(&datums, &mut cost).await;
        self.board().asked(cost);
        let now = Instant::now();
        match ended {
            Ended::Answered(Ok(())) => {
                self.agenda.delivered(parcel.errand, now);
                let late = if parcel.timing == Timing::Late { datums.len() } else { 0 };
                let summary = self.store.summary();
                self.board().delivered(datums.len(), late, Timestamp::now(), summary.waiting.rounds);
                self.refused.forget(&datums);
                let whole = !parcel.is_begun();
                parcel.delivered();
                if whole && parcel.next().is_some() {
                    // If this process ends before the rest is answered, nobody knows what was delivered.
                    self.note(Note::Doubted, parcel.rounds()).await;
                }
                self.agenda.taken(now);
                self.go_on(parcel).await;
            }
            Ended::Answered(Err(trouble)) if trouble.remedy == Remedy::Halve => {
                self.divide(parcel, &trouble).await;
            }
            Ended::Answered(Err(trouble)) => self.failed(parcel, &trouble).await,
            Ended::Cut => {
                let arrival = self.client.as_ref().map_or(Arrival::No, |(_, client)| client.arrival());
                let trouble = Trouble { arrival, ..Trouble::new(Cause::PublishUnreachable, STOPPED.to_owned()) };
                self.leave(parcel, &trouble).await;
            }
        }
        self.store.under_way(Vec::new());
    }

    /// Tells the spool what became of rounds, now or as soon as the disk takes it: else they would be sent again.
    async fn note(&mut self, note: Note, rounds: Vec<(Seq, Parts)>) {
        self.notes.push((note, rounds));
        self.write_down().await;
    }

    /// Whether the spool knows everything.
    async fn write_down(&mut self) -> bool {
        while let Some((note, rounds)) = self.notes.first() {
            let taken = match note {
                Note::Settled => self.store.settle(rounds.clone()).await,
                Note::Doubted => self.store.doubt(rounds.clone()).await,
            };
            if taken.is_none() {
                return false;
            }
            self.notes.remove(0);
        }
        true
    }

    async fn put(&mut self, datums: &[Datum], cost: &mut Cost) -> Ended {
        let Some(region) = self.region() else { return Ended::Cut };
        if self.client.as_ref().is_none_or(|(of, _)| *of != region) {
            let dialer = self.orders.settings.borrow().1.clone();
            let seed = spread(&self.settings.host, "addresses");
            let connector = Connector::new(dialer, self.orders.surroundings.clone(), seed, budget(&self.settings));
            let client = Client::new(&self.settings, &region, connector, &self.clock);
            self.client = Some((region, client));
        }
        let Some((_, client)) = &mut self.client else { return Ended::Cut };
        let around = self.orders.surroundings.borrow().clone();
        let mut stop = self.orders.stop.clone();
        let put = client.put(datums, &around, cost);
        tokio::select! {
            biased;
            result = put => Ended::Answered(result),
            () = over(&mut stop) => Ended::Cut,
        }
    }

    /// What an errand sends: the newest rounds, as many as fit into a request.
    async fn pack(&mut self, errand: Errand) -> Option<Parcel> {
        let picked = self.store.pick(errand, self.fresh(), MOST_DATUMS).await?;
        let timing = if self.agenda.is_late(errand) { Timing::Late } else { Timing::Due };
        let (mut rounds, mut datums, mut trial) = (Vec::new(), Vec::new(), None);
        let now = Instant::now();
        for (count, Waiting { seq, parts, sample, .. }) in picked.into_iter().enumerate() {
            let mut own = Vec::new();
            for part in [Part::Urgent, Part::Scheduled] {
                if parts.contains(part) {
                    own.extend(metric::encode(&sample, part, &self.settings.metrics));
                }
            }
            if !datums.is_empty() && datums.len() + own.len() > MOST_DATUMS as usize {
                break;
            }
            let mut left_out = Vec::new();
            for datum in own {
                match self.refused.fate(&datum, now) {
                    Fate::Send => datums.push(datum),
                    Fate::Try if trial.is_none() => trial = Some(datum),
                    Fate::Try | Fate::LeaveOut => left_out.push(datum),
                }
            }
            rounds.push(Round { seq, parts, tick: sample.tick, left_out });
            if count % SLICE == SLICE - 1 {
                // A round may be measuring: it gets its turn.
                yield_now().await;
            }
        }
        if rounds.is_empty() {
            return None;
        }
        let parcel = Parcel::new(errand, rounds, datums, timing);
        Some(match trial {
            Some(datum) => parcel.with_trial(datum),
            None => parcel,
        })
    }

    /// The last deliveries: what is fresh, whether or not its time has come. The rest waits for the next start.
    async fn end(&mut self, by: Instant) {
        self.agenda.try_again();
        self.agenda.finished();
        self.flush.due = true;
        let failures = self.agenda.failures();
        while Instant::now() < by && self.agenda.failures() == failures {
            match self.step().await {
                Step::Send(errand @ (Errand::Urgent | Errand::Flush | Errand::Rest)) => self.carry(errand).await,
                Step::Send(Errand::Backfill | Errand::Doubtful) | Step::Wait(_) => return,
            }
            if !self.flush.due && self.parcel.is_none() {
                return;
            }
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when the task's last moment has come.
async fn over(stop: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let by = *stop.borrow_and_update();
        match by {
            Some(by) => return sleep_until(by).await,
            None => {
                if stop.changed().await.is_err() {
                    // Nobody is left to tell: at once.
                    return;
                }
            }
        }
    }
}

fn cadence(settings: &Settings) -> Cadence {
    Cadence::new(settings.metrics.flush_interval, &settings.host, "flush")
}

/// One attempt with all that belongs to it: long enough for a lost packet in every step, short beside the flush interval.
pub(super) fn budget(settings: &Settings) -> Duration {
    settings.metrics.flush_interval.clamp(LEAST_BUDGET, MOST_BUDGET)
}

const MOST_BUDGET: Duration = Duration::from_secs(20);
const LEAST_BUDGET: Duration = Duration::from_secs(1);
/// A stalled disk is asked again after this.
const STALLED: Duration = Duration::from_secs(1);
/// Datums of one errand: one request's.
const MOST_DATUMS: u32 = 1_000;
/// Rounds that are encoded in one go.
const SLICE: usize = 16;
const STOPPED: &str = "this program was stopped while a request was on its way";
