//! What the log is told of the delivery: one record for each change, however many attempts there are.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    fault::Trouble,
    spool::{Loss, Tally},
    store::Summary,
};
use crate::{
    metric::Datum,
    model::{
        cause::Cause,
        event::{Entry, Event, Field, Level},
    },
    tell::say,
};

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The spool's folder.
    folder: Option<String>,
    /// The trouble that was told last, and no recovery from it.
    announced: Option<Cause>,
    /// When each cause was told last.
    causes: Vec<(Cause, Instant)>,
    /// Since when nothing is delivered.
    failing: Option<Instant>,
    /// Since when the spool is not on the disk.
    degraded: Option<Instant>,
    losses: Vec<LossTold>,
    rejected: Vec<Rejected>,
    /// Datums dropped without a word, of series that are not in `rejected`.
    silent: u64,
}

/// Losses for one reason.
#[derive(Debug)]
struct LossTold {
    why: Reason,
    told: Tally,
    at: Instant,
}

/// Why rounds were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Spool(Loss),
    /// The disk was stalled for so long that they did not even get to the spool.
    Stalled,
}

/// A series that CloudWatch does not take.
#[derive(Debug)]
struct Rejected {
    series: String,
    at: Instant,
    /// Dropped since, without a word.
    silent: u64,
}

impl Log {
    /// Nothing was told yet. `folder` is the spool's.
    pub(super) fn new(folder: Option<String>) -> Self {
        Self { folder, ..Self::default() }
    }

    /// A request failed. A cause is told when it is another one than before, and not again soon.
    pub(super) fn failed(&mut self, trouble: &Trouble, waiting: u64) {
        let now = Instant::now();
        self.failing.get_or_insert(now);
        let cause = trouble.cause;
        let recent = self.causes.iter().any(|(known, at)| *known == cause && now.duration_since(*at) < QUIET);
        if self.announced == Some(cause) || recent {
            tracing::debug!(vpce_cause = cause.as_str(), "still: {}", trouble.summary);
            return;
        }
        self.causes.retain(|(known, _)| *known != cause);
        self.causes.push((cause, now));
        self.announced = Some(cause);
        let message = format!(
            "metrics do not reach CloudWatch, and wait: {} ({cause}). Next: vpce-probe explain {cause}",
            trouble.summary
        );
        let entry = Entry::new(Event::ShippingTrouble, message)
            .with(Field::Cause, cause)
            .with(Field::Severity, cause.severity())
            .with(Field::Spooled, waiting)
            .with(Field::Error, &trouble.summary)
            .with(Field::Advice, advice(cause));
        say(&match trouble.address {
            Some(address) => entry.with(Field::Address, address),
            None => entry,
        });
    }

    /// A request was answered well.
    pub(super) fn delivered(&mut self, waiting: u64) {
        let lasted = self.failing.take().map(|since| since.elapsed().as_secs());
        let (Some(cause), Some(lasted)) = (self.announced.take(), lasted) else { return };
        let rest = match waiting {
            0 => "nothing is left behind".to_owned(),
            1 => "1 round waits and follows".to_owned(),
            many => format!("{many} rounds wait and follow"),
        };
        let entry =
            Entry::new(Event::ShippingRecovered, format!("metrics reach CloudWatch again after {lasted} s; {rest}"));
        say(&entry.with(Field::Previous, cause).with(Field::LastedS, lasted).with(Field::Spooled, waiting));
    }

    /// All that waited in an outage is delivered, or lost.
    pub(super) fn caught_up(&self, since: Instant, late_rounds: u64, lost: u64) {
        let message =
            format!("all that waited for CloudWatch is delivered: {late_rounds} rounds late, {lost} datums lost");
        let entry = Entry::new(Event::ShippingCaughtUp, message)
            .with(Field::LastedS, since.elapsed().as_secs())
            .with(Field::Count, late_rounds)
            .with(Field::Lost, lost);
        // Trouble that was not told needs no end either.
        let was_told = self.causes.iter().any(|(_, at)| *at >= since);
        say(&if was_told { entry } else { entry.at(Level::Debug) });
    }

    /// CloudWatch does not take a datum. That is told once an hour of a series, and of some series only.
    pub(super) fn rejected(&mut self, datum: &Datum, trouble: &Trouble) {
        let now = Instant::now();
        let series = series(datum);
        let known = self.rejected.iter().position(|known| known.series == series);
        let mut lost = 1;
        if let Some(known) = known.and_then(|index| self.rejected.get_mut(index)) {
            if now.duration_since(known.at) < HOUR {
                known.silent += 1;
                return;
            }
            lost += std::mem::take(&mut known.silent);
            known.at = now;
        } else {
            self.rejected.retain(|known| now.duration_since(known.at) < HOUR);
            if self.rejected.len() >= MOST_SERIES {
                self.silent += 1;
                return;
            }
            lost += std::mem::take(&mut self.silent);
            self.rejected.push(Rejected { series: series.clone(), at: now, silent: 0 });
        }
        let message = format!("a datum is dropped: {series} of {}: {}", datum.at, trouble.summary);
        say(&Entry::new(Event::DatumRejected, message)
            .with(Field::Lost, lost)
            .with(Field::Error, format!("{series}: {}", trouble.summary)));
    }

    /// A datum of a series that was refused is not sent: the next record of the series counts it.
    pub(super) fn left_out(&mut self, datum: &Datum) {
        let series = series(datum);
        match self.rejected.iter_mut().find(|known| known.series == series) {
            Some(known) => known.silent += 1,
            None => self.silent += 1,
        }
    }

    /// How the spool stands.
    pub(super) fn spool(&mut self, summary: &Summary) {
        let now = Instant::now();
        match (&summary.degraded, self.degraded) {
            (Some(reason), None) => {
                self.degraded = Some(now);
                let cause = Cause::SpoolDegraded;
                let message = format!(
                    "the spool cannot be written, rounds are kept in memory only: {reason}. Next: vpce-probe explain {cause}"
                );
                let entry = self.about(Event::SpoolDegraded, message).with(Field::Cause, cause);
                let entry = entry.with(Field::Error, reason).with(Field::Spooled, summary.waiting.rounds);
                say(&entry.with(Field::Advice, advice(cause)));
            }
            (None, Some(since)) => {
                self.degraded = None;
                let lasted = now.duration_since(since).as_secs();
                let message =
                    format!("the spool is on the disk again after {lasted} s, with all that was kept in memory");
                say(&self.about(Event::SpoolRecovered, message).with(Field::LastedS, lasted));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        for why in Loss::ALL {
            self.lost(Reason::Spool(why), summary.counters.of(why), summary, now);
        }
        self.lost(Reason::Stalled, summary.overflown, summary, now);
    }

    /// Tells a loss when it begins, and once an hour how it goes on.
    fn lost(&mut self, why: Reason, lost: Tally, summary: &Summary, now: Instant) {
        let known = self.losses.iter().position(|known| known.why == why);
        let told = match known.and_then(|index| self.losses.get_mut(index)) {
            None if lost == Tally::default() => return,
            None => {
                self.losses.push(LossTold { why, told: lost, at: now });
                Tally::default()
            }
            Some(known) if known.told == lost || now.duration_since(known.at) < HOUR => return,
            Some(known) => {
                known.at = now;
                std::mem::replace(&mut known.told, lost)
            }
        };
        let (rounds, datums) = (lost.rounds.saturating_sub(told.rounds), lost.datums.saturating_sub(told.datums));
        let words = match why {
            Reason::Spool(Loss::Evicted) => {
                "the spool is full, the oldest go first. Next: vpce-probe explain spool-full"
            }
            Reason::Spool(Loss::Expired) => "they are older than the two weeks that CloudWatch takes",
            Reason::Spool(Loss::Damaged) => "the disk did not keep them",
            Reason::Spool(Loss::Unreadable) => "they are of another version's format",
            Reason::Spool(Loss::Discarded) => "they are too large for the spool",
            Reason::Stalled => "the disk was stalled for too long. Next: vpce-probe explain spool-degraded",
        };
        let message = format!("{rounds} rounds ({datums} datums) were lost before delivery: {words}");
        let entry = self
            .about(Event::SpoolLost, message)
            .with(Field::Lost, datums)
            .with(Field::Spooled, summary.waiting.rounds);
        say(&match why {
            Reason::Spool(Loss::Evicted) => {
                entry.with(Field::Cause, Cause::SpoolFull).with(Field::Advice, advice(Cause::SpoolFull))
            }
            Reason::Stalled => {
                entry.with(Field::Cause, Cause::SpoolDegraded).with(Field::Advice, advice(Cause::SpoolDegraded))
            }
            Reason::Spool(Loss::Expired | Loss::Damaged | Loss::Unreadable | Loss::Discarded) => entry,
        });
    }

    fn about(&self, event: Event, message: String) -> Entry {
        let entry = Entry::new(event, message);
        match &self.folder {
            Some(folder) => entry.with(Field::File, folder),
            None => entry,
        }
    }
}

fn series(datum: &Datum) -> String {
    let dimensions: Vec<String> = datum.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {{{}}}", datum.metric.as_str(), dimensions.join(", "))
}

/// What to do, one step a line; the last one is a command.
fn advice(cause: Cause) -> String {
    let mut steps: Vec<String> = cause.text().mend.iter().map(|step| (*step).to_owned()).collect();
    steps.push(format!("vpce-probe explain {cause}"));
    steps.join("\n")
}

/// A cause is not told again before then, where deliveries fail and work by turns.
const QUIET: Duration = Duration::from_mins(10);
/// What goes on being lost is told as often as this.
const HOUR: Duration = Duration::from_hours(1);
/// Series that are told as refused in an hour.
const MOST_SERIES: usize = 16;

#[cfg(test)]
mod tests;
