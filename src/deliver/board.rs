//! What is told of the delivery: in the report, in the samples, and in the log once for each change.

use std::time::Duration;

use tokio::time::Instant;

use super::{Settings, client::Cost, fault::Trouble, log::Log, parcel::Timing, spool::Tally, store::Summary};
use crate::{
    metric,
    model::{cause::Cause, round::Shipping, units::Timestamp, verdict::Problem},
};

/// The delivery's state.
#[derive(Debug, Default)]
pub(super) struct Board {
    log: Log,
    /// When the next request is made, after one that failed.
    next_attempt: Option<Timestamp>,
    last_ok: Option<Timestamp>,
    trouble: Option<Trouble>,
    outage: Option<Outage>,
    /// Datums that were delivered, and those of them that were late.
    delivered: u64,
    late: u64,
    /// Datums that CloudWatch does not take, of rounds that it took otherwise.
    poison: u64,
    /// Datums that were late and that samples were told of.
    told: u64,
    /// Requests that were made.
    requests: u64,
    bytes: (u64, u64),
    ready: bool,
    /// Rounds in a row without a region.
    regionless: u32,
}

/// A time in which nothing was delivered, until all that waited is.
#[derive(Debug)]
struct Outage {
    since: Instant,
    /// Rounds delivered since it was over, and datums lost before it began.
    late_rounds: u64,
    lost_before: u64,
    over: bool,
}

/// Numbers of the delivery since it began. Always `produced = delivered + waiting + lost`, in datums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Rounds and datums that were handed over, or were found in the spool.
    pub produced: Tally,
    /// Those that CloudWatch has confirmed.
    pub delivered: Tally,
    /// Those that wait.
    pub waiting: Tally,
    /// Those that will never be delivered.
    pub lost: Tally,
    /// Datums of `delivered` that were late.
    pub late: u64,
    /// Requests made.
    pub requests: u64,
    /// Bytes written and read above TLS, in these requests.
    pub bytes: (u64, u64),
}

impl Board {
    /// Nothing was delivered yet.
    pub(super) fn new(settings: &Settings) -> Self {
        let folder = settings.spool.as_ref().map(|folder| folder.display().to_string());
        Self { log: Log::new(folder), ..Self::default() }
    }

    /// There is a region: deliveries may begin.
    pub(super) fn ready(&mut self) {
        self.ready = true;
        if std::mem::take(&mut self.regionless) >= MOST_REGIONLESS {
            self.trouble = None;
        }
    }

    /// Another round came, and there is no region. It is trouble when that goes on: IMDS may be late at a start.
    pub(super) fn without_region(&mut self, now: Timestamp, summary: &Summary) {
        self.regionless = self.regionless.saturating_add(1);
        if self.regionless == MOST_REGIONLESS {
            let trouble = Trouble::new(Cause::PublishUnreachable, NO_REGION.to_owned());
            self.failed(&trouble, now, Duration::ZERO, summary);
            self.next_attempt = None;
        }
    }

    /// Requests were made.
    pub(super) fn asked(&mut self, cost: Cost) {
        self.requests += u64::from(cost.requests);
        self.bytes = (self.bytes.0 + cost.bytes.0, self.bytes.1 + cost.bytes.1);
    }

    /// CloudWatch took `datums`, `late` of them late.
    pub(super) fn delivered(&mut self, datums: usize, late: usize, now: Timestamp, waiting: u64) {
        self.last_ok = Some(now);
        self.trouble = None;
        self.delivered += datums as u64;
        self.late += late as u64;
        self.next_attempt = None;
        self.log.delivered(waiting);
        if let Some(outage) = &mut self.outage {
            outage.over = true;
        }
    }

    /// How the spool stands.
    pub(super) fn observe(&mut self, summary: &Summary) {
        self.log.spool(summary);
    }

    /// So many rounds are done for good.
    pub(super) fn settled(&mut self, rounds: usize, timing: Timing) {
        if let (Some(outage), Timing::Late) = (self.outage.as_mut().filter(|outage| outage.over), timing) {
            outage.late_rounds += rounds as u64;
        }
    }

    /// Nothing that is late waits any more.
    pub(super) fn caught_up(&mut self, summary: &Summary) {
        let lost = self.lost(summary).datums;
        if let Some(outage) = self.outage.take_if(|outage| outage.over) {
            let (late, lost) = (outage.late_rounds, lost.saturating_sub(outage.lost_before));
            self.log.caught_up(outage.since, late, lost);
        }
    }

    /// A request failed.
    pub(super) fn failed(&mut self, trouble: &Trouble, now: Timestamp, retry_in: Duration, summary: &Summary) {
        let lost_before = self.lost(summary).datums;
        let millis = i64::try_from(retry_in.as_millis()).unwrap_or(i64::MAX);
        self.next_attempt = Timestamp::from_unix_millis(now.unix_millis().saturating_add(millis));
        let begun = || Outage { since: Instant::now(), late_rounds: 0, lost_before, over: false };
        let outage = self.outage.get_or_insert_with(begun);
        outage.over = false;
        self.trouble = Some(trouble.clone());
        self.log.failed(trouble, summary.waiting.rounds);
    }

    /// A datum is not taken.
    pub(super) fn poisoned(&mut self, datum: &metric::Datum, trouble: &Trouble) {
        self.poison += 1;
        self.log.rejected(datum, trouble);
    }

    /// Datums are not sent at all, since their series are not taken.
    pub(super) fn left_out(&mut self, datums: &[metric::Datum]) {
        self.poison += datums.len() as u64;
        for datum in datums {
            self.log.left_out(datum);
        }
    }

    /// What the next sample tells: datums delivered late since the last time this was asked, and those that were lost and
    /// that no sample has told of.
    pub(super) fn counters(&mut self, summary: &Summary) -> metric::Counters {
        let short = |datums: u64| u32::try_from(datums).unwrap_or(u32::MAX);
        let late = self.late.saturating_sub(std::mem::replace(&mut self.told, self.late));
        metric::Counters { delivered_late: short(late), lost: short(summary.unreported) }
    }

    /// Numbers since the start.
    pub(super) fn totals(&self, summary: &Summary) -> Totals {
        let counters = &summary.counters;
        Totals {
            produced: counters.found + counters.appended + summary.overflown,
            delivered: Tally {
                rounds: counters.settled.rounds,
                datums: counters.settled.datums.saturating_sub(self.poison),
            },
            waiting: summary.waiting,
            lost: self.lost(summary),
            late: self.late,
            requests: self.requests,
            bytes: self.bytes,
        }
    }

    /// The report's part.
    pub(super) fn shipping(&self, summary: &Summary) -> Shipping {
        let state = match (&self.trouble, self.ready, self.last_ok) {
            (Some(_), ..) => "failing",
            (None, false, _) => "waiting",
            (None, true, None) => "idle",
            (None, true, Some(_)) if self.outage.is_some() => "catching-up",
            (None, true, Some(_)) => "ok",
        };
        Shipping {
            state: state.to_owned(),
            last_ok: self.last_ok,
            spooled: summary.waiting.rounds,
            oldest: summary.oldest,
            lost: self.lost(summary).datums,
            problems: self.trouble.iter().map(Trouble::problem).chain(of_spool(summary)).collect(),
            delivered: Some(self.delivered),
            next_attempt: self.next_attempt,
        }
    }

    fn lost(&self, summary: &Summary) -> Tally {
        summary.counters.lost() + summary.overflown + Tally { rounds: 0, datums: self.poison }
    }
}

/// What is wrong with the spool.
fn of_spool(summary: &Summary) -> impl Iterator<Item = Problem> {
    let degraded = summary.degraded.as_ref().map(|reason| {
        Trouble::new(
            Cause::SpoolDegraded,
            format!("rounds that wait are kept in memory only, a restart loses them: {reason}"),
        )
        .problem()
    });
    let full = summary.full.then(|| {
        let dropped = summary.counters.evicted.rounds;
        Trouble::new(Cause::SpoolFull, format!("the spool is full: {dropped} rounds were dropped, the oldest first"))
            .problem()
    });
    degraded.into_iter().chain(full)
}

/// A region may be missing for so many rounds, without the last of them, before that is trouble.
const MOST_REGIONLESS: u32 = 3;
const NO_REGION: &str = "the region is not known, so CloudWatch's endpoint has no name: set region in the config";
