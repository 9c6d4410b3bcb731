//! What waits to be written, bounded in count and in bytes.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::record::Record;

/// Between whoever logs and the thread that writes. Its lock is held for moments only, never over a write.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Record>,
    /// What `records` take.
    bytes: usize,
    /// Whether the thread has one in its hands.
    writing: bool,
    /// Since the process began.
    lost: u64,
    /// Those that no record has told of yet.
    untold: u64,
    stage: Stage,
}

/// How far the end of the log has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Records are taken.
    #[default]
    Open,
    /// No more are taken; the rest is being written.
    Closing,
    /// Nothing more is written.
    Closed,
}

/// What the thread does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Write this.
    Record(Record),
    /// Write that so many were lost: no record came that could have said it.
    Lost(u64),
    /// End.
    Nothing,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::default()), changed: Condvar::new() }
    }

    /// Takes the record, or counts it as lost.
    pub(super) fn push(&self, mut record: Record) {
        let size = record.size();
        let mut state = self.lock();
        if state.stage != Stage::Open || state.records.len() >= MOST_RECORDS || state.bytes + size > MOST_BYTES {
            state.lost += 1;
            state.untold += 1;
            return;
        }
        record.lost_before = std::mem::take(&mut state.untold);
        state.bytes += size;
        state.records.push_back(record);
        drop(state);
        self.changed.notify_all();
    }

    /// The next thing to write, as soon as there is one. What was given before counts as written.
    pub(super) fn next(&self) -> Next {
        let mut state = self.lock();
        state.writing = false;
        loop {
            if state.stage == Stage::Closed {
                return Next::Nothing;
            }
            if let Some(record) = state.records.pop_front() {
                state.bytes = state.bytes.saturating_sub(record.size());
                state.writing = true;
                return Next::Record(record);
            }
            if state.records.capacity() > USUAL_RECORDS {
                // The memory of a burst, or of a stall that is over.
                state.records.shrink_to(USUAL_RECORDS);
            }
            if state.untold > 0 {
                return Next::Lost(std::mem::take(&mut state.untold));
            }
            if state.stage == Stage::Closing {
                state.stage = Stage::Closed;
                self.changed.notify_all();
                return Next::Nothing;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// `records` that were taken could not be written, and `told` lost ones that they would have told of stay untold.
    pub(super) fn failed(&self, records: u64, told: u64) {
        let mut state = self.lock();
        if state.stage == Stage::Closed {
            // Whoever closed it has counted what was left.
            return;
        }
        state.lost += records;
        state.untold += records + told;
    }

    /// Lets time pass before the next try. Says whether there is to be one.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let ends = Instant::now() + time;
        let mut state = self.lock();
        while state.stage != Stage::Closed {
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Takes no more, and waits until all is written or it is too late. Yields how many were not written.
    pub(super) fn finish(&self, by: Instant) -> u64 {
        let mut state = self.lock();
        if state.stage == Stage::Open {
            state.stage = Stage::Closing;
            self.changed.notify_all();
        }
        while state.stage != Stage::Closed {
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let unwritten = u64::try_from(state.records.len()).unwrap_or(u64::MAX) + u64::from(state.writing);
        state.records.clear();
        state.bytes = 0;
        state.writing = false;
        state.lost += unwritten;
        state.stage = Stage::Closed;
        drop(state);
        self.changed.notify_all();
        unwritten
    }

    /// Nothing that holds the lock can panic; were it so, the log would still be worth having.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A round at debug level writes some dozen; this is many rounds.
const MOST_RECORDS: usize = 8192;
/// Counts where records are long.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Room that is kept while nothing waits.
const USUAL_RECORDS: usize = 64;

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use tokio::time::Instant;
    use tracing::{Metadata, callsite::Identifier, field::FieldSet, metadata::Kind, subscriber::Interest};

    use super::{MOST_BYTES, MOST_RECORDS, Next, Queue};
    use crate::{model::units::Timestamp, sink::journal::record::Record};

    #[test]
    fn what_does_not_fit_is_counted_and_the_next_one_tells() {
        let queue = Queue::new();
        for _ in 0..MOST_RECORDS + 7 {
            queue.push(record(1));
        }
        assert_eq!(queue.lost(), 7);
        assert_eq!(told(queue.next()), Some(0));
        queue.push(record(1));
        queue.push(record(1));
        assert_eq!(queue.lost(), 8, "one place was free");
        for _ in 1..MOST_RECORDS {
            assert_eq!(told(queue.next()), Some(0));
        }
        assert_eq!(told(queue.next()), Some(7));
        assert!(matches!(queue.next(), Next::Lost(1)), "no record came that could tell");
        assert_eq!(queue.finish(Instant::now()), 0);
    }

    #[test]
    fn long_records_fill_it_sooner() {
        let queue = Queue::new();
        for _ in 0..100 {
            queue.push(record(MOST_BYTES / 10));
        }
        assert_eq!(queue.lost(), 91);
    }

    #[test]
    fn what_is_left_at_the_end_is_counted() {
        let queue = Queue::new();
        for _ in 0..3 {
            queue.push(record(1));
        }
        assert_eq!(told(queue.next()), Some(0), "in the thread's hands");
        assert_eq!(queue.finish(Instant::now()), 3);
        queue.push(record(1));
        assert_eq!(queue.lost(), 4);
        queue.failed(1, 0);
        assert_eq!((queue.lost(), queue.finish(Instant::now())), (4, 0), "nothing counts twice");
        assert!(matches!(queue.next(), Next::Nothing));
        assert!(!queue.pause(Duration::from_hours(1)));
    }

    #[test]
    fn the_end_waits_for_what_is_written() {
        let queue = Arc::new(Queue::new());
        for _ in 0..100 {
            queue.push(record(1));
        }
        let other = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let mut written = 0;
            loop {
                match other.next() {
                    Next::Record(_) => written += 1,
                    Next::Lost(_) => {}
                    Next::Nothing => return written,
                }
            }
        });
        assert_eq!(queue.finish(Instant::now() + Duration::from_mins(1)), 0);
        assert_eq!((thread.join().expect("ends"), queue.lost()), (100, 0));
    }

    #[test]
    fn what_could_not_be_written_is_told_later() {
        let queue = Queue::new();
        queue.failed(1, 5);
        queue.push(record(1));
        assert_eq!((queue.lost(), told(queue.next())), (1, Some(6)));
    }

    fn told(next: Next) -> Option<u64> {
        match next {
            Next::Record(record) => Some(record.lost_before),
            Next::Lost(_) | Next::Nothing => None,
        }
    }

    fn record(length: usize) -> Record {
        struct Place;
        impl tracing::Callsite for Place {
            fn set_interest(&self, _: Interest) {}
            fn metadata(&self) -> &Metadata<'_> {
                &METADATA
            }
        }
        static PLACE: Place = Place;
        static METADATA: Metadata<'static> = Metadata::new(
            "test",
            "vpce_probe",
            tracing::Level::INFO,
            None,
            None,
            None,
            FieldSet::new(&[], Identifier(&PLACE)),
            Kind::EVENT,
        );
        Record {
            at: Timestamp::now(),
            metadata: &METADATA,
            message: "x".repeat(length),
            fields: Vec::new(),
            lost_before: 0,
        }
    }
}
