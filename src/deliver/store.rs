//! The spool as the delivery uses it: on the disk's thread, and never waited for by a round.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{
    Settings,
    agenda::{Errand, Stock},
    spool::{Counters, Parts, Seq, Spool, Tally, Waiting, Weight},
};
use crate::{
    disk::Disk,
    metric,
    model::{
        sample::{Part, Sample},
        units::Timestamp,
    },
};

/// The way to the spool.
#[derive(Clone)]
pub(super) struct Store {
    disk: Disk,
    shelf: Arc<Shelf>,
}

struct Shelf {
    /// Locked by the disk's thread alone, but for the moment of its making.
    spool: Mutex<Option<Spool>>,
    summary: Mutex<Summary>,
    /// Something new waits.
    news: Notify,
}

/// What the spool said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    /// What became of its rounds.
    pub(super) counters: Counters,
    /// What waits in it.
    pub(super) waiting: Tally,
    /// The oldest tick that waits.
    pub(super) oldest: Option<Timestamp>,
    /// Rounds that the disk did not take yet.
    queue: VecDeque<Entry>,
    /// One of them, while the spool takes it.
    in_hand: Option<Entry>,
    /// Lost since the disk was stalled for too long.
    pub(super) overflown: Tally,
}

#[derive(Clone, Debug)]
struct Entry {
    sample: Sample,
    owed: Parts,
    weight: Weight,
}

/// Which rounds are fresh: from this tick on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh(pub(super) Timestamp);

impl Store {
    /// Opens the spool, in the background.
    pub(super) fn open(settings: &Settings, disk: Disk) -> Self {
        let shelf = Shelf { spool: Mutex::new(None), summary: Mutex::default(), news: Notify::new() };
        let store = Self { disk, shelf: Arc::new(shelf) };
        let (folder, size, shelf) = (settings.spool.clone(), settings.spool_max_size, Arc::clone(&store.shelf));
        // A disk that is stalled from the start opens it with the first round.
        let opening = move || {
            let spool = Spool::open(folder.as_deref(), size);
            shelf.summarise(&spool);
            *lock(&shelf.spool) = Some(spool);
            shelf.news.notify_one();
        };
        if store.disk.run(opening).is_err() {
            tracing::warn!("the disk is stalled: the spool cannot be opened");
        }
        store
    }

    /// Keeps a round. Never waits.
    pub(super) fn keep(&self, sample: Sample, settings: &metric::Settings) {
        let count = |part: Part| u16::try_from(metric::encode(&sample, part, settings).len()).unwrap_or(u16::MAX);
        let weight = Weight { urgent: count(Part::Urgent), scheduled: count(Part::Scheduled) };
        let mut owed = Parts::NONE;
        for (part, datums) in [(Part::Urgent, weight.urgent), (Part::Scheduled, weight.scheduled)] {
            if datums > 0 {
                owed = owed | part.into();
            }
        }
        {
            let mut summary = lock(&self.shelf.summary);
            summary.queue.push_back(Entry { sample, owed, weight });
            if summary.queue.len() > MOST_QUEUED
                && let Some(lost) = summary.queue.pop_front()
            {
                summary.overflown += Tally { rounds: 1, datums: u64::from(lost.weight.of(lost.owed)) };
            }
        }
        self.put_down();
    }

    /// Hands queued rounds to the disk's thread; a stalled one gets them later.
    fn put_down(&self) {
        let shelf = Arc::clone(&self.shelf);
        let _ = self.disk.run(move || {
            let mut spool = lock(&shelf.spool);
            let Some(spool) = spool.as_mut() else { return };
            while let Some(entry) = shelf.first_queued() {
                spool.append(entry.sample, entry.owed, entry.weight);
                shelf.summarise_taken(spool);
            }
            shelf.news.notify_one();
        });
    }

    /// What the spool said last.
    pub(super) fn summary(&self) -> Summary {
        let mut summary = lock(&self.shelf.summary).clone();
        let queue = std::mem::take(&mut summary.queue);
        for entry in summary.in_hand.take().into_iter().chain(queue) {
            let tally = Tally { rounds: 1, datums: u64::from(entry.weight.of(entry.owed)) };
            summary.waiting += tally;
            summary.counters.appended += tally;
            summary.oldest = Some(summary.oldest.map_or(entry.sample.tick, |oldest| oldest.min(entry.sample.tick)));
        }
        summary
    }

    /// Something new waits.
    pub(super) async fn news(&self) {
        self.shelf.news.notified().await;
    }

    /// What waits, but for what the caller has in hand; `None`: the disk is stalled.
    pub(super) async fn stock(&self, fresh: Fresh) -> Option<Stock> {
        self.put_down_queued();
        self.ask(move |spool| {
            let any = |errand: Errand| !spool.newest(1, wanted(errand, fresh)).is_empty();
            Stock {
                urgent: any(Errand::Urgent),
                flush: any(Errand::Flush),
                backlog: any(Errand::Backfill),
                doubtful: any(Errand::Doubtful),
                ..Stock::default()
            }
        })
        .await
    }

    /// Rounds for an errand, the newest first.
    pub(super) async fn pick(&self, errand: Errand, fresh: Fresh) -> Option<Vec<Waiting>> {
        self.ask(move |spool| spool.newest(MOST_PICKED, wanted(errand, fresh))).await
    }

    /// The rounds' parts were delivered.
    pub(super) async fn settle(&self, rounds: Vec<(Seq, Parts)>) -> Option<()> {
        self.ask(move |spool| spool.settle(&rounds)).await
    }

    /// The rounds' parts were sent, and no answer came.
    pub(super) async fn doubt(&self, rounds: Vec<(Seq, Parts)>) -> Option<()> {
        self.ask(move |spool| spool.doubt(&rounds)).await
    }

    /// CloudWatch will never take the rounds' parts.
    pub(super) async fn discard(&self, rounds: Vec<(Seq, Parts)>) -> Option<()> {
        self.ask(move |spool| spool.discard(&rounds)).await
    }

    fn put_down_queued(&self) {
        if !lock(&self.shelf.summary).queue.is_empty() {
            self.put_down();
        }
    }

    async fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut Spool) -> T + Send + 'static) -> Option<T> {
        let shelf = Arc::clone(&self.shelf);
        let answer = self.disk.run(move || {
            let mut spool = lock(&shelf.spool);
            let spool = spool.as_mut()?;
            let answer = work(spool);
            shelf.summarise(spool);
            Some(answer)
        });
        answer.ok()?.await.ok()?
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Shelf {
    fn first_queued(&self) -> Option<Entry> {
        let mut summary = lock(&self.summary);
        summary.in_hand = summary.queue.pop_front();
        summary.in_hand.clone()
    }

    fn summarise(&self, spool: &Spool) {
        lock(&self.summary).take(spool);
    }

    fn summarise_taken(&self, spool: &Spool) {
        let mut summary = lock(&self.summary);
        summary.in_hand = None;
        summary.take(spool);
    }
}

impl Summary {
    fn take(&mut self, spool: &Spool) {
        self.counters = spool.counters();
        self.waiting = spool.waiting();
        self.oldest = spool.oldest();
    }
}

/// Which parts of a round an errand takes.
pub(super) fn parts_of(errand: Errand, owed: Parts, doubt: Parts) -> Parts {
    match errand {
        Errand::Urgent => (owed & Parts::URGENT).without(doubt),
        Errand::Flush => (owed & Parts::SCHEDULED).without(doubt),
        Errand::Backfill => owed.without(doubt),
        Errand::Doubtful => owed & doubt,
        // What was begun is not the spool's to say.
        Errand::Rest => Parts::NONE,
    }
}

fn wanted(errand: Errand, Fresh(fresh): Fresh) -> impl Fn(Timestamp, Parts, Parts) -> bool {
    move |tick, owed, doubt| {
        let of_age = match errand {
            Errand::Urgent | Errand::Flush => tick >= fresh,
            Errand::Backfill => tick < fresh,
            Errand::Doubtful | Errand::Rest => true,
        };
        of_age && !parts_of(errand, owed, doubt).is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere cannot leave these half-written: every change is one assignment or one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rounds that wait for a stalled disk: an hour's.
const MOST_QUEUED: usize = 64;
/// Rounds that are looked at for one request; they are small, and it is full long before.
const MOST_PICKED: usize = 400;
