//! The spool as the delivery uses it: on the disk's thread, and never waited for by a round.

use std::{
    collections::VecDeque,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{
    Settings,
    agenda::{Errand, Mood, Stock},
    client::Clock,
    spool::{Counters, Doubt, Parts, Seq, Spool, State, Tally, Waiting, Weight},
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
    clock: Clock,
    shelf: Arc<Shelf>,
}

struct Shelf {
    place: Place,
    /// `None` until the disk first takes any work. Locked by the disk's thread alone, but for the moment of its making.
    spool: Mutex<Option<Spool>>,
    summary: Mutex<Summary>,
    /// Rounds of the request that is on its way.
    under_way: Mutex<Vec<(Seq, Parts)>>,
    /// Something new waits.
    news: Notify,
}

/// Where the spool is, and how large it may be.
struct Place {
    folder: Option<PathBuf>,
    size: u64,
}

/// What the spool said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    /// What became of its rounds.
    pub(super) counters: Counters,
    /// What waits, in it or for it.
    pub(super) waiting: Tally,
    /// The oldest tick that waits.
    pub(super) oldest: Option<Timestamp>,
    /// Datums that were lost and that no sample has told of.
    pub(super) unreported: u64,
    /// Why the disk is not used.
    pub(super) degraded: Option<String>,
    /// Old rounds are dropped for want of room.
    pub(super) full: bool,
    /// What the newest round asks for.
    pub(super) mood: Mood,
    /// Rounds that the disk did not take yet.
    queue: VecDeque<Entry>,
    /// One of them, while the spool takes it.
    in_hand: Option<Entry>,
    /// Lost since the disk was stalled for too long.
    pub(super) overflown: Tally,
    /// Datums lost beside the spool that it was not told of yet.
    untold: u64,
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
    pub(super) fn open(settings: &Settings, disk: Disk, clock: Clock) -> Self {
        let shelf = Shelf {
            place: Place { folder: settings.spool.clone(), size: settings.spool_max_size },
            spool: Mutex::new(None),
            summary: Mutex::default(),
            under_way: Mutex::default(),
            news: Notify::new(),
        };
        let store = Self { disk, clock, shelf: Arc::new(shelf) };
        // Where the disk is stalled, whatever comes next opens it.
        store.put_down();
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
            summary.mood = if sample.condition.is_urgent() { Mood::Urgent } else { Mood::Calm };
            summary.queue.push_back(Entry { sample, owed, weight });
            if summary.queue.len() > MOST_QUEUED
                && let Some(lost) = summary.queue.pop_front()
            {
                summary.overflown += lost.tally();
                summary.untold += lost.tally().datums;
            }
        }
        self.put_down();
    }

    /// Hands queued rounds to the disk's thread; a stalled one gets them later.
    fn put_down(&self) {
        let (shared, now) = (Arc::clone(&self.shelf), self.clock.timestamp());
        let _ = self.disk.run(move || {
            let mut spool = lock(&shared.spool);
            let spool = shared.opened(&mut spool, now);
            while let Some(entry) = shared.first_queued() {
                spool.append(&entry.sample, entry.owed, entry.weight, now);
                shared.summarise_taken(spool);
            }
            shared.tell_losses(spool);
            shared.news.notify_one();
        });
    }

    /// What the spool said last.
    pub(super) fn summary(&self) -> Summary {
        let mut summary = lock(&self.shelf.summary).clone();
        summary.unreported += summary.untold;
        let queue = std::mem::take(&mut summary.queue);
        if queue.len() > MOST_BRIEFLY && summary.degraded.is_none() {
            summary.degraded = Some(format!("the disk is stalled: {} rounds wait for it", queue.len()));
        }
        for entry in summary.in_hand.take().into_iter().chain(queue) {
            summary.waiting += entry.tally();
            summary.counters.appended += entry.tally();
            // It tells of them, as soon as it is in the spool.
            summary.unreported = summary.unreported.saturating_sub(u64::from(entry.sample.lost));
            summary.oldest = Some(summary.oldest.map_or(entry.sample.tick, |oldest| oldest.min(entry.sample.tick)));
        }
        summary
    }

    /// Something new waits.
    pub(super) async fn news(&self) {
        self.shelf.news.notified().await;
    }

    /// Datums of rounds that were delivered otherwise were refused.
    pub(super) fn note_lost(&self, datums: u64) {
        lock(&self.shelf.summary).untold += datums;
        self.put_down();
    }

    /// What waits, but for what the caller has in hand; `None`: the disk is stalled.
    pub(super) async fn stock(&self, fresh: Fresh) -> Option<Stock> {
        self.put_down_queued();
        let now = self.clock.timestamp();
        self.ask(move |spool| {
            let mut any = |errand: Errand, parts: Parts| !gather(spool, (errand, parts), fresh, 1, now).is_empty();
            Stock {
                urgent: any(Errand::Urgent, Parts::URGENT),
                // Those in a flush that are urgent alone do not make one.
                flush: any(Errand::Flush, Parts::SCHEDULED),
                backlog: any(Errand::Backfill, Parts::ALL),
                doubtful: any(Errand::Doubtful, Parts::ALL),
                ..Stock::default()
            }
        })
        .await
    }

    /// Rounds for an errand, the newest first: as many as have `most_datums`, but one at least.
    pub(super) async fn pick(&self, errand: Errand, fresh: Fresh, most_datums: u32) -> Option<Vec<Waiting>> {
        let now = self.clock.timestamp();
        self.ask(move |spool| gather(spool, (errand, parts_of(errand)), fresh, most_datums, now)).await
    }

    /// The rounds' parts were delivered.
    pub(super) async fn settle(&self, rounds: Vec<(Seq, Parts)>) -> Option<()> {
        self.ask(move |spool| spool.settle(&rounds)).await
    }

    /// The rounds' parts were sent, and no answer came.
    pub(super) async fn doubt(&self, rounds: Vec<(Seq, Parts)>) -> Option<()> {
        self.ask(move |spool| spool.doubt(&rounds)).await
    }

    /// These are on their way: empty as soon as the spool is told what became of them.
    pub(super) fn under_way(&self, rounds: Vec<(Seq, Parts)>) {
        *lock(&self.shelf.under_way) = rounds;
    }

    /// Nobody waits any more for the answer to what is on its way. Never waits.
    pub(super) fn abandon(&self) {
        let rounds = std::mem::take(&mut *lock(&self.shelf.under_way));
        if rounds.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shelf);
        let _ = self.disk.run(move || {
            if let Some(spool) = lock(&shared.spool).as_mut() {
                spool.doubt(&rounds);
            }
        });
    }

    fn put_down_queued(&self) {
        if !lock(&self.shelf.summary).queue.is_empty() {
            self.put_down();
        }
    }

    async fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut Spool) -> T + Send + 'static) -> Option<T> {
        let (shared, now) = (Arc::clone(&self.shelf), self.clock.timestamp());
        let answer = self.disk.run(move || {
            let mut spool = lock(&shared.spool);
            let spool = shared.opened(&mut spool, now);
            let answer = work(spool);
            shared.summarise(spool);
            answer
        });
        answer.ok()?.await.ok()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Entry {
    fn tally(&self) -> Tally {
        Tally { rounds: 1, datums: u64::from(self.weight.of(self.owed)) }
    }
}

impl Shelf {
    fn opened<'a>(&self, spool: &'a mut Option<Spool>, now: Timestamp) -> &'a mut Spool {
        spool.get_or_insert_with(|| {
            let Place { folder, size } = &self.place;
            let spool = Spool::open(folder.as_deref(), *size, now);
            self.summarise(&spool);
            spool
        })
    }

    fn tell_losses(&self, spool: &mut Spool) {
        let mut summary = lock(&self.summary);
        let untold = std::mem::take(&mut summary.untold);
        if untold > 0 {
            spool.note_lost(untold);
            summary.take(spool);
        }
    }

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
        let State { waiting, oldest, degraded, full, .. } = spool.state();
        self.counters = spool.counters();
        self.unreported = spool.unreported();
        (self.waiting, self.oldest, self.degraded, self.full) = (waiting, oldest, degraded, full);
    }
}

/// The parts that an errand takes.
const fn parts_of(errand: Errand) -> Parts {
    match errand {
        Errand::Urgent => Parts::URGENT,
        Errand::Flush | Errand::Backfill | Errand::Doubtful => Parts::ALL,
        // What was begun is not the spool's to say.
        Errand::Rest => Parts::NONE,
    }
}

/// The rounds of an errand that have some of these parts, page by page: a page of the spool knows nothing of freshness.
fn gather(
    spool: &mut Spool,
    (errand, parts): (Errand, Parts),
    Fresh(fresh): Fresh,
    most_datums: u32,
    now: Timestamp,
) -> Vec<Waiting> {
    let doubt = if errand == Errand::Doubtful { Doubt::Doubted } else { Doubt::Undoubted };
    let of_age = |tick: Timestamp| match errand {
        Errand::Urgent | Errand::Flush => tick >= fresh,
        Errand::Backfill => tick < fresh,
        Errand::Doubtful | Errand::Rest => true,
    };
    let mut found = Vec::new();
    let mut page = spool.newest(parts, doubt, PAGE, now);
    for _ in 0..MOST_PAGES {
        let Some(last) = page.last().map(|waiting| waiting.seq) else { break };
        let before = found.len();
        for waiting in page {
            if found.len() >= MOST_PICKED || (most_datums == 1 && !found.is_empty()) {
                return found;
            }
            if of_age(waiting.sample.tick) {
                found.push(waiting);
            }
        }
        let fruitless = found.len() == before;
        match errand {
            // Whatever is older than a page without one that is fresh is not fresh either, but for a clock that was set.
            Errand::Urgent | Errand::Flush if fruitless => break,
            Errand::Urgent | Errand::Flush | Errand::Backfill | Errand::Doubtful | Errand::Rest => {}
        }
        page = spool.before(last, parts, doubt, PAGE, now);
    }
    found
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere cannot leave these half-written: every change is one assignment or one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rounds that may wait for the disk without a word.
const MOST_BRIEFLY: usize = 3;
/// Rounds that wait for a stalled disk: an hour's.
const MOST_QUEUED: usize = 64;
/// Rounds that are looked at for one request; they are small, and it is full long before.
const MOST_PICKED: usize = 400;
/// Datums of one look into the spool.
const PAGE: u32 = 250;
/// Looks for one errand.
const MOST_PAGES: usize = 64;
