//! What is sent next. Pure: given what waits, what failed and the time, one step. `examples/fleet.rs` lets 10,000 of these
//! loose on one quota.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::{Chance, Pace, Setback};

/// The rules and the little that they remember.
#[derive(Clone, Debug)]
pub struct Agenda {
    pace: Pace,
    chance: Chance,
    /// Requests in a row that did not deliver.
    failures: u32,
    /// Nothing is sent before then.
    not_before: Option<Instant>,
    /// Nor before then, whatever changes here: CloudWatch has asked for less.
    throttled_until: Option<Instant>,
    /// No piece of what was begun before then: some datum of it is not taken, and is looked for.
    pieces_from: Option<Instant>,
    /// No backfill before then.
    backfill_from: Option<Instant>,
    doubt: Doubt,
    mood: Mood,
}

/// What the host's rounds ask for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mood {
    /// They go with the schedule.
    #[default]
    Calm,
    /// The newest has urgent parts, so each of the next may have some.
    Urgent,
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
pub struct Stock {
    /// A batch that was begun: some of it is delivered, or it was found that not all of it is taken.
    pub begun: Begun,
    /// Urgent parts of fresh rounds.
    pub urgent: bool,
    /// Scheduled parts of fresh rounds, and their time has come.
    pub flush: bool,
    /// Rounds that are not fresh any more.
    pub backlog: bool,
    /// Rounds whose answer was lost.
    pub doubtful: bool,
}

/// How a batch stands that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Begun {
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
pub enum Step {
    /// One request of this kind.
    Send(Errand),
    /// Nothing before then, unless something new comes; `None`: nothing at all.
    Wait(Option<Instant>),
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// What was begun.
    Rest,
    /// Urgent parts of fresh rounds.
    Urgent,
    /// All parts of fresh rounds: what is urgent just then is not worth a request of its own.
    Flush,
    /// Older rounds, the newest first.
    Backfill,
    /// Rounds whose answer was lost.
    Doubtful,
}

impl Agenda {
    /// Nothing has happened yet. After a start, data in doubt wait for an answer as always.
    #[must_use]
    pub const fn new(pace: Pace, chance: Chance) -> Self {
        Self {
            pace,
            chance,
            failures: 0,
            not_before: None,
            throttled_until: None,
            pieces_from: None,
            backfill_from: None,
            doubt: Doubt::Locked,
            mood: Mood::Calm,
        }
    }

    /// Another flush interval.
    pub const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Another config, or another way: what failed may work at once. What was throttled would not, and asking is what the
    /// quota is there to stop.
    pub const fn try_again(&mut self) {
        self.not_before = self.throttled_until;
    }

    /// A round came in this mood. Where it is another one, backfill that is planned is planned anew: a fleet that falls
    /// sick needs most of what it may send for that, and one that has recovered need not wait any longer.
    pub fn heed(&mut self, mood: Mood, now: Instant) {
        if std::mem::replace(&mut self.mood, mood) == mood {
            return;
        }
        if let Some(planned) = self.backfill_from {
            let anew = now + self.spacing();
            self.backfill_from = Some(match mood {
                Mood::Calm => planned.min(anew),
                Mood::Urgent => planned.max(anew),
            });
        }
    }

    /// The next step: what is due, with what is urgent; what is urgent alone; and only then what is late.
    #[must_use]
    pub fn decide(&self, now: Instant, stock: Stock) -> Step {
        if let Some(until) = self.not_before.filter(|until| now < *until) {
            return Step::Wait(Some(until));
        }
        let piece = self.pieces_from.filter(|from| now < *from);
        if stock.begun == Begun::Ready && piece.is_none() {
            return Step::Send(Errand::Rest);
        }
        if stock.flush {
            return Step::Send(Errand::Flush);
        }
        if stock.urgent {
            return Step::Send(Errand::Urgent);
        }
        let open = self.doubt == Doubt::Open;
        let late = match stock.begun {
            Begun::Ready => return Step::Wait(piece),
            Begun::Doubtful if open => Errand::Rest,
            _ if stock.backlog => Errand::Backfill,
            // What was begun holds rounds that are in doubt: they go first.
            Begun::None if stock.doubtful && open => Errand::Doubtful,
            Begun::None | Begun::Doubtful => return Step::Wait(None),
        };
        match self.backfill_from.filter(|from| now < *from) {
            Some(from) => Step::Wait(Some(from)),
            None => Step::Send(late),
        }
    }

    /// Whether data that are sent now are late: something failed before, or they waited for something else.
    #[must_use]
    pub const fn is_late(&self, errand: Errand) -> bool {
        match errand {
            Errand::Backfill | Errand::Doubtful => true,
            Errand::Rest | Errand::Urgent | Errand::Flush => self.failures > 0,
        }
    }

    /// Requests in a row that did not deliver.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Nothing is sent before then.
    #[must_use]
    pub const fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// The request was answered well.
    pub fn delivered(&mut self, errand: Errand, now: Instant) {
        self.failures = 0;
        (self.not_before, self.throttled_until) = (None, None);
        self.doubt = Doubt::Open;
        match errand {
            Errand::Backfill | Errand::Doubtful | Errand::Rest => self.space_backfill(now),
            // The first answer after a start or an outage says nothing of the whole fleet's load: backfill begins at a
            // moment of the host's own.
            Errand::Urgent | Errand::Flush if self.backfill_from.is_none() => self.space_backfill(now),
            Errand::Urgent | Errand::Flush => {}
        }
    }

    /// The request was answered: some datum of it is not taken. The pieces follow, but not in a burst, and what is due or
    /// urgent goes before them.
    pub fn divided(&mut self, now: Instant) {
        self.doubt = Doubt::Open;
        self.pieces_from = Some(now + self.pace.half(&mut self.chance));
    }

    /// A piece of what was begun was taken; more are left.
    pub fn taken(&mut self, now: Instant) {
        if self.pieces_from.is_some() {
            self.pieces_from = Some(now + self.pace.half(&mut self.chance));
        }
    }

    /// Nothing is left of what was begun, or the end is near: pieces do not wait for each other.
    pub const fn finished(&mut self) {
        self.pieces_from = None;
    }

    /// The request failed.
    pub fn failed(&mut self, setback: Setback, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + self.pace.retry(setback, self.failures, &mut self.chance));
        self.throttled_until = match setback {
            Setback::Throttled { .. } => self.not_before,
            Setback::Failed | Setback::Erring => None,
        };
        // After an outage the whole fleet has a backlog.
        self.backfill_from = None;
    }

    /// A request's answer was lost.
    pub const fn doubt(&mut self) {
        self.doubt = Doubt::Locked;
    }

    fn space_backfill(&mut self, now: Instant) {
        self.backfill_from = Some(now + self.spacing());
    }

    fn spacing(&mut self) -> Duration {
        match self.mood {
            Mood::Calm => self.pace.backfill(&mut self.chance),
            Mood::Urgent => self.pace.backfill_beside_urgent(&mut self.chance),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_oneof, proptest};
    use tokio::time::Instant;

    use super::{Agenda, Begun, Chance, Errand, Mood, Pace, Setback, Step, Stock};

    const FLUSH: Duration = Duration::from_mins(5);

    fn agenda() -> Agenda {
        Agenda::new(Pace::new(FLUSH), Chance::new(3))
    }

    fn lost(agenda: &mut Agenda, now: Instant) {
        agenda.failed(Setback::Erring, now);
        agenda.doubt();
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
        // One request takes both.
        assert_eq!(agenda.decide(now, stock), Step::Send(Errand::Flush));
        agenda.delivered(Errand::Flush, now);
        stock.flush = false;
        assert_eq!(agenda.decide(now, stock), Step::Send(Errand::Urgent));
        stock.urgent = false;
        // Not in the same moment: the whole fleet has a backlog when CloudWatch comes back.
        assert!(matches!(agenda.decide(now, stock), Step::Wait(Some(from)) if from > now && from < far));
        assert_eq!(agenda.decide(far, stock), Step::Send(Errand::Backfill));
        stock.backlog = false;
        assert_eq!(agenda.decide(far, stock), Step::Send(Errand::Doubtful));
        stock.doubtful = false;
        assert_eq!(agenda.decide(far, stock), Step::Wait(None));
    }

    #[tokio::test]
    async fn halves_are_spaced_and_hold_nothing_up_but_what_is_late() {
        let (mut agenda, now) = (agenda(), Instant::now());
        agenda.taken(now);
        let begun = Stock { begun: Begun::Ready, ..Stock::default() };
        assert_eq!(
            agenda.decide(now, begun),
            Step::Send(Errand::Rest),
            "requests of a batch that is taken follow at once"
        );
        agenda.divided(now);
        let spaced = |agenda: &Agenda, stock| match agenda.decide(now, stock) {
            Step::Wait(Some(from)) => (10..30).contains(&from.duration_since(now).as_secs()),
            Step::Send(_) | Step::Wait(None) => false,
        };
        assert!(spaced(&agenda, begun));
        assert_eq!(agenda.decide(now, Stock { urgent: true, ..begun }), Step::Send(Errand::Urgent));
        assert_eq!(agenda.decide(now, Stock { flush: true, ..begun }), Step::Send(Errand::Flush));
        assert!(spaced(&agenda, Stock { backlog: true, doubtful: true, ..begun }));
        assert_eq!(agenda.decide(now + FLUSH, all()), Step::Send(Errand::Rest));
        agenda.taken(now);
        assert!(spaced(&agenda, begun));
        agenda.finished();
        assert_eq!(agenda.decide(now, begun), Step::Send(Errand::Rest));
    }

    #[tokio::test]
    async fn what_is_in_doubt_waits_for_an_answer() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let far = now + 3 * FLUSH;
        for stock in
            [Stock { doubtful: true, ..Stock::default() }, Stock { begun: Begun::Doubtful, ..Stock::default() }]
        {
            lost(&mut agenda, now);
            assert_eq!(agenda.decide(far, stock), Step::Wait(None));
            // A failure that is no lost answer opens nothing.
            agenda.failed(Setback::Failed, now);
            assert_eq!(agenda.decide(far, stock), Step::Wait(None));
            agenda.delivered(Errand::Urgent, now);
            assert!(matches!(agenda.decide(far, stock), Step::Send(Errand::Doubtful | Errand::Rest)));
        }
        // What was begun holds rounds in doubt that must not go beside it.
        lost(&mut agenda, now);
        let stock = Stock { begun: Begun::Doubtful, doubtful: true, ..Stock::default() };
        assert_eq!(agenda.decide(far, stock), Step::Wait(None));
    }

    #[tokio::test]
    async fn nothing_new_breaks_a_wait_and_a_success_ends_it() {
        let (mut agenda, now) = (agenda(), Instant::now());
        agenda.failed(Setback::Throttled { retry_after: Some(Duration::from_secs(200)) }, now);
        let until = agenda.not_before().expect("a wait");
        assert!(until >= now + Duration::from_secs(200));
        assert_eq!(agenda.decide(now, all()), Step::Wait(Some(until)));
        assert!(agenda.is_late(Errand::Urgent));
        // Nor does another config, however often it is read.
        agenda.try_again();
        agenda.try_again();
        assert_eq!(agenda.decide(now, all()), Step::Wait(Some(until)));
        assert_eq!(agenda.decide(until, all()), Step::Send(Errand::Rest));
        agenda.delivered(Errand::Rest, until);
        assert_eq!((agenda.failures(), agenda.is_late(Errand::Urgent)), (0, false));
        assert!(agenda.is_late(Errand::Backfill) && agenda.is_late(Errand::Doubtful));
        assert_eq!(agenda.decide(until, all()), Step::Send(Errand::Rest));
        agenda.failed(Setback::Failed, until);
        agenda.try_again();
        assert_eq!(agenda.decide(until, all()), Step::Send(Errand::Rest));
    }

    #[tokio::test]
    async fn backfill_is_rare_beside_what_is_urgent_and_comes_soon_after_it() {
        let (mut agenda, now) = (agenda(), Instant::now());
        let stock = Stock { backlog: true, ..Stock::default() };
        let planned = |agenda: &Agenda, now| match agenda.decide(now, stock) {
            Step::Wait(Some(from)) => from.duration_since(now).as_secs(),
            step @ (Step::Send(_) | Step::Wait(None)) => panic!("{step:?}"),
        };
        agenda.delivered(Errand::Flush, now);
        assert!((45..135).contains(&planned(&agenda, now)));
        // Falls sick: what was planned is put off, once.
        agenda.heed(Mood::Urgent, now);
        let put_off = planned(&agenda, now);
        assert!((900..2_700).contains(&put_off));
        agenda.heed(Mood::Urgent, now);
        agenda.delivered(Errand::Urgent, now);
        assert_eq!(planned(&agenda, now), put_off);
        let then = now + Duration::from_secs(put_off + 1);
        assert_eq!(agenda.decide(then, stock), Step::Send(Errand::Backfill));
        agenda.delivered(Errand::Backfill, then);
        assert!((900..2_700).contains(&planned(&agenda, then)));
        agenda.heed(Mood::Calm, then);
        assert!((45..135).contains(&planned(&agenda, then)));
        // What is about to go is not put off by a recovery.
        let soon = then + Duration::from_secs(planned(&agenda, then));
        agenda.heed(Mood::Calm, soon);
        assert_eq!(planned(&agenda, soon), 0);
        // After an outage it is planned by the first answer.
        agenda.heed(Mood::Urgent, soon);
        agenda.failed(Setback::Erring, soon);
        agenda.delivered(Errand::Urgent, soon);
        assert!((900..2_700).contains(&planned(&agenda, soon)));
    }

    #[tokio::test]
    async fn a_service_in_trouble_and_one_out_of_reach_are_told_apart() {
        let now = Instant::now();
        let first = |setback| {
            let mut agenda = agenda();
            agenda.failed(setback, now);
            agenda.not_before().expect("a wait").duration_since(now).as_secs()
        };
        assert!(first(Setback::Failed) < 5);
        assert!((60..120).contains(&first(Setback::Erring)));
        assert!((150..300).contains(&first(Setback::Throttled { retry_after: None })));
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
                    1 => { lost(&mut agenda, now); open = false; }
                    _ => agenda.failed(Setback::Throttled { retry_after: None }, now),
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
