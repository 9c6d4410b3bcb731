//! The one place that times, bounds and records a stage, and that stops an address's chain at its first failure.

use std::{future::Future, io, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::words::span;
use crate::model::{
    cause::Cause,
    observation::{Failure, Outcome},
    units::Millis,
};

/// What one address (or one proxy) went through so far.
pub(super) struct Trail {
    deadline: Instant,
    exhausted: Option<String>,
}

/// Why a stage did not reach its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// What the network did.
    Network(Failure),
    /// A limit of this process or host (descriptors, ports, buffers): never the target's fault.
    Ours {
        /// What was being done and what was short.
        detail: String,
        /// The kernel's error number, where there was one.
        errno: Option<i32>,
    },
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Network(failure)
    }
}

/// How a stage ended, as every record tells it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    /// `ok`, or why not.
    pub(super) outcome: Outcome,
    /// From the stage's first action to its end.
    pub(super) elapsed_ms: Millis,
    /// What was seen, for a person.
    pub(super) detail: Option<String>,
    /// The kernel's error number, where there was one.
    pub(super) errno: Option<i32>,
}

/// What a stage learns on its way. It outlives the stage's future, so that a stage that was cut still tells what it saw.
pub(super) trait Notes {
    /// The stage's part of the report.
    type Record;

    /// What the network did when the stage's own `budget` ran out.
    fn timed_out(&self, budget: Duration) -> Failure;

    /// Everything that was learnt, as a record.
    fn record(self, ended: Ended) -> Self::Record;
}

impl Trail {
    /// A trail that ends by the round's `deadline`.
    pub(super) const fn new(deadline: Instant) -> Self {
        Self { deadline, exhausted: None }
    }

    /// Does one stage within `budget` and the round's deadline, and puts its record into `slot`. `None`: the chain
    /// stops here. Ending by the budget is the network's doing, ending by the deadline is not.
    pub(super) async fn step<N: Notes, T>(
        &mut self,
        slot: &mut Option<N::Record>,
        budget: Duration,
        mut notes: N,
        work: impl AsyncFnOnce(&mut N) -> Result<T, Stop>,
    ) -> Option<T> {
        let start = Instant::now();
        let own_end = start + budget;
        let cut = if start >= self.deadline {
            Some(Err(Failure::new(Cause::NotFinished, "the round's deadline came before this stage began").into()))
        } else {
            before(own_end.min(self.deadline), work(&mut notes)).await
        };
        let elapsed = start.elapsed();
        let result = cut.unwrap_or_else(|| {
            Err(Stop::Network(if own_end <= self.deadline {
                notes.timed_out(budget)
            } else {
                Failure::new(Cause::NotFinished, format!("the round's deadline came after {}", span(elapsed)))
            }))
        });
        let (outcome, detail, errno, output) = match result {
            Ok(output) => (Outcome::Ok, None, None, Some(output)),
            Err(Stop::Network(failure)) => (Outcome::Failed(failure.cause), Some(failure.detail), failure.errno, None),
            Err(Stop::Ours { detail, errno }) => {
                self.exhausted.get_or_insert_with(|| detail.clone());
                (Outcome::Failed(Cause::NotFinished), Some(detail), errno, None)
            }
        };
        *slot = Some(notes.record(Ended { outcome, elapsed_ms: elapsed.into(), detail, errno }));
        output
    }

    /// Waits for `turn`, but not beyond the round's deadline: the step that follows then says so.
    pub(super) async fn wait<T>(&self, turn: impl Future<Output = T>) -> Option<T> {
        before(self.deadline, turn).await
    }

    /// A limit of our own was met beside the stages.
    pub(super) fn exhaust(&mut self, detail: String) {
        self.exhausted.get_or_insert(detail);
    }

    /// The limit of our own that this trail ran into, if any.
    pub(super) fn into_exhausted(self) -> Option<String> {
        self.exhausted
    }
}

/// `work`'s result, or `None` when `end` comes first.
pub(super) async fn before<T>(end: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = work => Some(result),
        () = sleep_until(end) => None,
    }
}

/// The kernel's error number inside `error`, also where a library wrapped it.
pub(super) fn errno(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| error.get_ref()?.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{Ended, Notes, Stop, Trail};
    use crate::model::{
        cause::Cause,
        observation::{Failure, Outcome},
    };

    struct Seen(&'static str);

    impl Notes for Seen {
        type Record = (&'static str, Ended);

        fn timed_out(&self, _budget: Duration) -> Failure {
            Failure::new(Cause::TlsTimeout, format!("timed out after {}", self.0))
        }

        fn record(self, ended: Ended) -> Self::Record {
            (self.0, ended)
        }
    }

    async fn check(takes: u64, budget: u64, deadline: u64, expected: Outcome, elapsed: f64) {
        let mut trail = Trail::new(Instant::now() + Duration::from_millis(deadline));
        let mut slot = None;
        let output = trail
            .step(&mut slot, Duration::from_millis(budget), Seen("nothing"), async |notes: &mut Seen| {
                notes.0 = "hello";
                sleep(Duration::from_millis(takes)).await;
                Ok(7)
            })
            .await;
        let (seen, ended) = slot.expect("every step leaves a record");
        assert_eq!(seen, if deadline == 0 { "nothing" } else { "hello" }, "notes survive the cut");
        assert_eq!(ended.outcome, expected);
        assert_eq!(output.is_some(), expected.is_ok());
        assert!((ended.elapsed_ms.as_f64() - elapsed).abs() < 2.0, "{ended:?} took about {elapsed} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_blames_the_network_and_the_deadline_does_not() {
        check(10, 100, 1_000, Outcome::Ok, 10.0).await;
        check(200, 100, 1_000, Outcome::Failed(Cause::TlsTimeout), 100.0).await;
        check(200, 100, 100, Outcome::Failed(Cause::TlsTimeout), 100.0).await;
        check(200, 100, 50, Outcome::Failed(Cause::NotFinished), 50.0).await;
        check(10, 100, 0, Outcome::Failed(Cause::NotFinished), 0.0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_limits_are_kept_apart() {
        let mut trail = Trail::new(Instant::now() + Duration::from_secs(1));
        let mut slot = None;
        let none: Option<()> = trail
            .step(&mut slot, Duration::from_secs(1), Seen(""), async |_: &mut Seen| {
                Err(Stop::Ours { detail: "EMFILE".to_owned(), errno: Some(24) })
            })
            .await;
        assert!(none.is_none());
        let (_, ended) = slot.expect("a record");
        assert_eq!((ended.outcome, ended.errno), (Outcome::Failed(Cause::NotFinished), Some(24)));
        assert_eq!(trail.into_exhausted().as_deref(), Some("EMFILE"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_not_awaited_beyond_the_deadline() {
        let trail = Trail::new(Instant::now() + Duration::from_millis(30));
        assert_eq!(trail.wait(std::future::pending::<()>()).await, None);
        assert_eq!(trail.wait(async { 1 }).await, Some(1));
    }
}
