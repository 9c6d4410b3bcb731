//! The host's facts over many rounds: files are read anew each time, IMDS's answer is kept and refreshed beside the rounds.

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};

use super::{Kept, Query, Scene, facts, files::Root, imds, local};
use crate::model::host::{HostFacts, ImdsState};

/// What outlives a round of what is known about the host.
///
/// Only the first round waits for IMDS. Later ones use what it said last, so that an IMDS that went silent costs no round
/// its time; asked again it is every hour (a VPC can get another CIDR), sooner after a failure.
#[derive(Debug, Default)]
pub struct Watch {
    said: Option<Said>,
    asking: Option<JoinHandle<imds::Answer>>,
    /// Answers in a row that did not tell all.
    failures: u32,
    doubted: bool,
    kept: Kept,
}

#[derive(Debug)]
struct Said {
    answer: imds::Answer,
    at: Instant,
}

impl Watch {
    /// The facts as of now. Returns within `query.timeout` the first time, at once later.
    pub async fn facts(&mut self, query: &Query) -> HostFacts {
        let start = Instant::now();
        let scene = Scene::look(query);
        self.collect().await;
        let answer = match (&self.said, &scene.question) {
            (_, None) => imds::Answer::default(),
            (None, Some(question)) => {
                let answer = imds::ask(question).await;
                self.keep(answer)
            }
            (Some(said), Some(question)) => {
                if self.asking.is_none() && self.is_due(said) {
                    let question = question.clone();
                    self.asking = Some(tokio::spawn(async move { imds::ask(&question).await }));
                }
                said.answer.clone()
            }
        };
        let local = local(query, Root::new(&query.root), &mut self.kept);
        facts(query, scene, local, answer, start)
    }

    /// A round failed: perhaps by what is no longer true of the host.
    pub const fn doubt(&mut self) {
        self.doubted = true;
    }

    /// The agent was found without its connection: that is over as soon as it has one.
    pub const fn doubt_agent(&mut self) {
        self.kept.connections.doubt();
    }

    /// Other questions are asked from now on.
    pub fn forget(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.abort();
        }
        *self = Self::default();
    }

    /// Takes the answer of a question that has been answered meanwhile.
    async fn collect(&mut self) {
        let Some(asking) = self.asking.take_if(|asking| asking.is_finished()) else { return };
        match asking.await {
            Ok(answer) => drop(self.keep(answer)),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => {}
        }
    }

    /// Joins the answer with what was said before: what is not told now is still what it was.
    fn keep(&mut self, answer: imds::Answer) -> imds::Answer {
        self.failures = if is_good(answer.state) { 0 } else { self.failures.saturating_add(1) };
        self.doubted = false;
        let before = self.said.take().map(|said| said.answer.metadata);
        let metadata = match (answer.state, before) {
            // All was told: what is not set any more is gone.
            (ImdsState::Ok, _) | (_, None) => answer.metadata,
            (_, Some(before)) => answer.metadata.or(before),
        };
        let answer = imds::Answer { state: answer.state, metadata };
        self.said = Some(Said { answer: answer.clone(), at: Instant::now() });
        answer
    }

    fn is_due(&self, said: &Said) -> bool {
        let patience = if self.failures > 0 {
            // A minute, two, four … and an hour in the end: an IMDS that is turned off stays so.
            REFRESH.min(RETRY * 2_u32.saturating_pow(self.failures - 1))
        } else if self.doubted {
            DOUBT
        } else {
            REFRESH
        };
        said.at.elapsed() >= patience
    }
}

const fn is_good(state: ImdsState) -> bool {
    match state {
        ImdsState::Ok | ImdsState::NotAsked => true,
        ImdsState::Slow
        | ImdsState::Off
        | ImdsState::Unreachable
        | ImdsState::HopLimit
        | ImdsState::Forbidden
        | ImdsState::V1Only
        | ImdsState::Garbage => false,
    }
}

/// A VPC's networks change a few times in its life.
const REFRESH: Duration = Duration::from_hours(1);
/// After an answer that did not tell all. Shorter than a round's usual interval, so that the next round asks.
const RETRY: Duration = Duration::from_secs(30);
/// While rounds fail.
const DOUBT: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::{REFRESH, Said, Watch};
    use crate::{
        host::imds::{Answer, Metadata},
        model::host::ImdsState,
    };

    fn answer(state: ImdsState, region: Option<&str>) -> Answer {
        Answer { state, metadata: Metadata { region: region.map(str::to_owned), ..Metadata::default() } }
    }

    fn asks(watch: &Watch) -> bool {
        watch.said.as_ref().is_some_and(|said: &Said| watch.is_due(said))
    }

    #[tokio::test(start_paused = true)]
    async fn imds_is_asked_hourly_and_sooner_after_failures() {
        let mut watch = Watch::default();
        watch.keep(answer(ImdsState::Ok, Some("eu-west-1")));
        advance(REFRESH.saturating_sub(Duration::from_secs(1))).await;
        assert!(!asks(&watch));
        advance(Duration::from_secs(1)).await;
        assert!(asks(&watch));
        for pause in [30, 60, 120, 240] {
            watch.keep(answer(ImdsState::Unreachable, None));
            advance(Duration::from_secs(pause - 1)).await;
            assert!(!asks(&watch), "{pause}");
            advance(Duration::from_secs(1)).await;
            assert!(asks(&watch), "{pause}");
        }
        watch.keep(answer(ImdsState::Ok, Some("eu-west-1")));
        advance(Duration::from_mins(5)).await;
        assert!(!asks(&watch));
        watch.doubt();
        assert!(asks(&watch));
    }

    #[tokio::test]
    async fn what_was_known_outlives_a_silence() {
        let mut watch = Watch::default();
        watch.keep(answer(ImdsState::Ok, Some("eu-west-1")));
        let silent = watch.keep(answer(ImdsState::Unreachable, None));
        assert_eq!(silent, answer(ImdsState::Unreachable, Some("eu-west-1")));
        // A full answer is the truth, also where it tells less.
        assert_eq!(watch.keep(answer(ImdsState::Ok, None)), answer(ImdsState::Ok, None));
    }
}
