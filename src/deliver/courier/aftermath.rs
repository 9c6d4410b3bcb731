//! What becomes of a parcel once its request has ended: answered, refused, divided, held, left to the spool.

use std::time::Duration;

use tokio::time::Instant;

use super::{Courier, Note};
use crate::{
    deliver::{
        fault::{Arrival, Remedy, Trouble},
        parcel::{Divided, Parcel},
        refused::Fate,
    },
    model::units::Timestamp,
};

impl Courier {
    pub(super) async fn failed(&mut self, parcel: Parcel, trouble: &Trouble) {
        let now = Instant::now();
        self.agenda.failed(trouble.setback(), now);
        if trouble.arrival == Arrival::InDoubt {
            self.agenda.doubt();
        }
        let wait = self.agenda.not_before().map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let summary = self.store.summary();
        self.board().failed(trouble, Timestamp::now(), wait, &summary);
        self.leave(parcel, trouble).await;
    }

    /// Puts a parcel aside whose request was not answered well: the spool has it still, unless it was begun.
    pub(super) async fn leave(&mut self, mut parcel: Parcel, trouble: &Trouble) {
        match trouble.arrival {
            Arrival::No | Arrival::Refused => {}
            Arrival::InDoubt if parcel.is_begun() => parcel.doubt(),
            Arrival::InDoubt => {
                self.note(Note::Doubted, parcel.rounds()).await;
            }
        }
        if parcel.is_begun() {
            self.hold(parcel);
        }
    }

    pub(super) async fn divide(&mut self, mut parcel: Parcel, trouble: &Trouble) {
        let now = Instant::now();
        if self.parcel.as_ref().is_some_and(|held| held.left() + parcel.left() > MOST_HELD) {
            // Too much is refused to be looked through at this pace: it waits in the spool.
            let trouble = Trouble { remedy: Remedy::Later, ..trouble.clone() };
            self.failed(parcel, &trouble).await;
            return;
        }
        self.agenda.divided(now);
        if !parcel.is_begun() {
            // If this process dies meanwhile, nobody knows which halves were delivered.
            self.note(Note::Doubted, parcel.rounds()).await;
        }
        match parcel.divide() {
            Some(Divided::Dropped(datum)) => {
                self.board().poisoned(&datum, trouble);
                self.store.note_lost(1);
                // A moment that is not taken says nothing of the series' other datums.
                if !trouble.summary.contains("Timestamp") {
                    self.refused.note(&datum, now);
                    let refused = &self.refused;
                    parcel.leave_out(|datum| refused.fate(datum, now) == Fate::LeaveOut);
                }
            }
            Some(Divided::Halves) => tracing::debug!(left = parcel.left(), "halves: {}", trouble.summary),
            None => {}
        }
        self.go_on(parcel).await;
    }

    /// What is answered of a parcel is done; the rest is held.
    pub(super) async fn go_on(&mut self, mut parcel: Parcel) {
        let (answered, timing) = (parcel.answered(), parcel.timing);
        if parcel.next().is_some() {
            self.hold(parcel);
        } else if self.parcel.is_none() {
            self.agenda.finished();
        }
        if answered.is_empty() {
            return;
        }
        let mut left_out = 0;
        for round in &answered {
            left_out += round.left_out.len() as u64;
            self.board().left_out(&round.left_out);
        }
        if left_out > 0 {
            self.store.note_lost(left_out);
        }
        let rounds = answered.len();
        self.note(Note::Settled, answered.into_iter().map(|round| (round.seq, round.parts)).collect()).await;
        self.board().settled(rounds, timing);
    }

    /// Keeps what was begun, after whatever else was: the rounds of both are in doubt for the spool.
    fn hold(&mut self, parcel: Parcel) {
        match &mut self.parcel {
            Some(held) => held.absorb(parcel),
            None => self.parcel = Some(parcel),
        }
    }
}

/// Datums that are held while some of them are looked for that are not taken.
const MOST_HELD: usize = 3_000;
