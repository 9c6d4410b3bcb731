//! What is sent next. Pure: given what waits, what failed and the time, one step.

use tokio::time::Instant;

use super::{
    fault::{Arrival, Remedy, Trouble},
    pace::{Chance, Pace, Setback},
};

/// The rules and the little that they remember.
#[derive(Clone, Debug)]
pub(super) struct Agenda {
    pace: Pace,
    chance: Chance,
    /// Requests in a row that did not deliver.
    failures: u32,
    /// Nothing is sent before then.
    not_before: Option<Instant>,
    /// No backfill before then.
    backfill_from: Option<Instant>,
    doubt: Doubt,
}

/// Whether data whose answer was lost may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// No request was answered since: they would be sent again and again for one outage.
    Locked,
    /// One was.
    Open,
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each kind waits or does not, whatever the others do")]
pub(super) struct Stock {
    /// A batch that was begun: some of it is delivered, or it was found that not all of it is taken.
    pub(super) begun: Begun,
    /// Urgent parts of fresh rounds.
    pub(super) urgent: bool,
    /// Scheduled parts of fresh rounds, and their time has come.
    pub(super) flush: bool,
    /// Rounds that are not fresh any more.
    pub(super) backlog: bool,
    /// Rounds whose answer was lost.
    pub(super) doubtful: bool,
}

/// How a batch stands that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Begun {
    /// There is none.
    #[default]
    None,
    /// It goes on as soon as anything does.
    Ready,
    /// The answer to its latest piece was lost.
    Doubtful,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One request of this kind.
    Send(Errand),
    /// Nothing before then, unless something new comes; `None`: nothing at all.
    Wait(Option<Instant>),
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// What was begun.
    Rest,
    /// Urgent parts of fresh rounds.
    Urgent,
    /// Scheduled parts of fresh rounds.
    Flush,
    /// Older rounds, the newest first.
    Backfill,
    /// Rounds whose answer was lost.
    Doubtful,
}

impl Agenda {
    /// Nothing has happened yet. After a start, data in doubt wait for an answer as always.
    pub(super) const fn new(pace: Pace, chance: Chance) -> Self {
        Self { pace, chance, failures: 0, not_before: None, backfill_from: None, doubt: Doubt::Locked }
    }

    /// Another flush interval.
    pub(super) const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Another config, or another way: what failed may work at once.
    pub(super) const fn try_again(&mut self) {
        self.not_before = None;
    }

    /// The next step: what is urgent, what is due, and only then what is late.
    pub(super) fn decide(&self, now: Instant, stock: Stock) -> Step {
        if let Some(until) = self.not_before.filter(|until| now < *until) {
            return Step::Wait(Some(until));
        }
        if stock.begun == Begun::Ready {
            return Step::Send(Errand::Rest);
        }
        if stock.urgent {
            return Step::Send(Errand::Urgent);
        }
        if stock.flush {
            return Step::Send(Errand::Flush);
        }
        let open = self.doubt == Doubt::Open;
        let late = match stock.begun {
            Begun::Doubtful if open => Errand::Rest,
            _ if stock.backlog => Errand::Backfill,
            // What was begun holds rounds that are in doubt: they go first.
            Begun::None if stock.doubtful && open => Errand::Doubtful,
            Begun::None | Begun::Ready | Begun::Doubtful => return Step::Wait(None),
        };
        match self.backfill_from.filter(|from| now < *from) {
            Some(from) => Step::Wait(Some(from)),
            None => Step::Send(late),
        }
    }

    /// Whether data that are sent now are late: something failed before, or they waited for something else.
    pub(super) const fn is_late(&self, errand: Errand) -> bool {
        match errand {
            Errand::Backfill | Errand::Doubtful => true,
            Errand::Rest | Errand::Urgent | Errand::Flush => self.failures > 0,
        }
    }

    /// Requests in a row that did not deliver.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Nothing is sent before then.
    pub(super) const fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// The request was answered well.
    pub(super) fn delivered(&mut self, errand: Errand, now: Instant) {
        self.failures = 0;
        self.not_before = None;
        self.doubt = Doubt::Open;
        match errand {
            Errand::Backfill | Errand::Doubtful | Errand::Rest => self.space_backfill(now),
            // The first answer after a start or an outage says nothing of the whole fleet's load: backfill begins at a
            // moment of the host's own.
            Errand::Urgent | Errand::Flush if self.backfill_from.is_none() => self.space_backfill(now),
            Errand::Urgent | Errand::Flush => {}
        }
    }

    /// The request was answered: some datum of it is not taken. The pieces follow, but not in a burst.
    pub(super) fn divided(&mut self, now: Instant) {
        self.not_before = Some(now + self.pace.retry(Setback::Failed, 1, &mut self.chance));
    }

    /// The request failed.
    pub(super) fn failed(&mut self, trouble: &Trouble, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let setback = match trouble.remedy {
            Remedy::Throttled(retry_after) => Setback::Throttled { retry_after },
            Remedy::Later | Remedy::Renew | Remedy::SetClock(_) | Remedy::Halve => Setback::Failed,
        };
        self.not_before = Some(now + self.pace.retry(setback, self.failures, &mut self.chance));
        // After an outage the whole fleet has a backlog.
        self.backfill_from = None;
        match trouble.arrival {
            Arrival::InDoubt => self.doubt = Doubt::Locked,
            Arrival::No => {}
        }
    }

    fn space_backfill(&mut self, now: Instant) {
        self.backfill_from = Some(now + self.pace.backfill(&mut self.chance));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_oneof, proptest};
    use tokio::time::Instant;

    use super::{Agenda, Arrival, Begun, Chance, Errand, Pace, Remedy, Step, Stock, Trouble};
    use crate::model::cause::Cause;

    const FLUSH: Duration = Duration::from_mins(5);

    fn agenda() -> Agenda {
        Agenda::new(Pace::new(FLUSH), Chance::new(3))
    }

    fn trouble(remedy: Remedy, arrival: Arrival) -> Trouble {
        Trouble { remedy, arrival, ..Trouble::new(Cause::PublishFailing, "so".to_owned()) }
    }

    fn all() -> Stock {
        Stock { begun: Begun::Ready, urgent: true, flush: true, backlog: true, doubtful: true }
    }

    #[tokio::test]
    async fn newest_first_then_what_is_late_then_what_is_in_doubt() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let far = now + FLUSH;
        let mut stock = all();
        assert_eq!(agenda.decide(now, stock), Step::Send(Errand::Rest));
        stock.begun = Begun::None;
        assert_eq!(agenda.decide(now, stock), Step::Send(Errand::Urgent));
        stock.urgent = false;
        assert_eq!(agenda.decide(now, stock), Step::Send(Errand::Flush));
        agenda.delivered(Errand::Flush, now);
        stock.flush = false;
        // Not in the same moment: the whole fleet has a backlog when CloudWatch comes back.
        assert!(matches!(agenda.decide(now, stock), Step::Wait(Some(from)) if from > now && from < far));
        assert_eq!(agenda.decide(far, stock), Step::Send(Errand::Backfill));
        stock.backlog = false;
        assert_eq!(agenda.decide(far, stock), Step::Send(Errand::Doubtful));
        stock.doubtful = false;
        assert_eq!(agenda.decide(far, stock), Step::Wait(None));
    }

    #[tokio::test]
    async fn what_is_in_doubt_waits_for_an_answer() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let far = now + 3 * FLUSH;
        for stock in
            [Stock { doubtful: true, ..Stock::default() }, Stock { begun: Begun::Doubtful, ..Stock::default() }]
        {
            agenda.failed(&trouble(Remedy::Later, Arrival::InDoubt), now);
            assert_eq!(agenda.decide(far, stock), Step::Wait(None));
            // A failure that is no lost answer opens nothing.
            agenda.failed(&trouble(Remedy::Later, Arrival::No), now);
            assert_eq!(agenda.decide(far, stock), Step::Wait(None));
            agenda.delivered(Errand::Urgent, now);
            assert!(matches!(agenda.decide(far, stock), Step::Send(Errand::Doubtful | Errand::Rest)));
        }
        // What was begun holds rounds in doubt that must not go beside it.
        agenda.failed(&trouble(Remedy::Later, Arrival::InDoubt), now);
        let stock = Stock { begun: Begun::Doubtful, doubtful: true, ..Stock::default() };
        assert_eq!(agenda.decide(far, stock), Step::Wait(None));
    }

    #[tokio::test]
    async fn nothing_new_breaks_a_wait_and_a_success_ends_it() {
        let (mut agenda, now) = (agenda(), Instant::now());
        agenda.failed(&trouble(Remedy::Throttled(Some(Duration::from_secs(200))), Arrival::No), now);
        let until = agenda.not_before().expect("a wait");
        assert!(until >= now + Duration::from_secs(200));
        assert_eq!(agenda.decide(now, all()), Step::Wait(Some(until)));
        assert!(agenda.is_late(Errand::Urgent));
        assert_eq!(agenda.decide(until, all()), Step::Send(Errand::Rest));
        agenda.delivered(Errand::Rest, until);
        assert_eq!((agenda.failures(), agenda.is_late(Errand::Urgent)), (0, false));
        assert!(agenda.is_late(Errand::Backfill) && agenda.is_late(Errand::Doubtful));
        assert_eq!(agenda.decide(until, all()), Step::Send(Errand::Rest));
        agenda.failed(&trouble(Remedy::Later, Arrival::No), until);
        agenda.try_again();
        assert_eq!(agenda.decide(until, all()), Step::Send(Errand::Rest));
    }

    fn event() -> impl Strategy<Value = (u8, Duration)> {
        (prop_oneof![Just(0_u8), Just(1), Just(2), any::<u8>()], (0_u64..400).prop_map(Duration::from_secs))
    }

    proptest! {
        #[test]
        fn it_never_stands_still_with_work_that_may_be_done(events in proptest::collection::vec(event(), 0..40)) {
            let mut agenda = agenda();
            let mut now = Instant::now();
            let mut open = false;
            for (what, passes) in events {
                match what % 3 {
                    0 => { agenda.delivered(Errand::Flush, now); open = true; }
                    1 => { agenda.failed(&trouble(Remedy::Later, Arrival::InDoubt), now); open = false; }
                    _ => agenda.failed(&trouble(Remedy::Throttled(None), Arrival::No), now),
                }
                now += passes;
                let stock = Stock { doubtful: true, ..Stock::default() };
                match agenda.decide(now, stock) {
                    Step::Send(errand) => prop_assert!(open && errand == Errand::Doubtful),
                    Step::Wait(Some(until)) => prop_assert!(until > now && until <= now + FLUSH * 2),
                    Step::Wait(None) => prop_assert!(!open),
                }
                let late = now + FLUSH * 3;
                let backlog = Stock { backlog: true, ..stock };
                prop_assert!(agenda.decide(late, backlog) == Step::Send(Errand::Backfill));
            }
        }
    }
}
