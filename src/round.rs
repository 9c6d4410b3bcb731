//! One round from the host's facts to the judged report: the path that `once`, the daemon and the tests share.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    config::Config,
    host::{self, Query},
    judge,
    model::{
        host::HostFacts,
        plan::Plan,
        round::{Round, SCHEMA_VERSION},
        units::{Millis, RoundId, Timestamp},
    },
    plan::{self, Choice, PlanError, Planned},
    probe::Prober,
};

/// How far a round is, for a progress line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The host's facts are being read.
    Discovering,
    /// So many targets are done.
    Probing {
        /// Finished so far.
        done: usize,
        /// All of them.
        targets: usize,
    },
}

/// A finished round, and what is odd about its plan, one sentence each.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The report.
    pub round: Round,
    /// What it was made by.
    pub plan: Plan,
    /// Warnings for stderr or the journal.
    pub warnings: Vec<String>,
}

/// The whole of one round on a host that nothing is known of yet, its report included; it ends within the round's
/// deadline, counted from `clock`.
///
/// # Errors
/// Where it is not known what to probe.
pub async fn run(
    config: &Config,
    choice: &Choice,
    prober: &Prober,
    query: &Query,
    clock: Clock,
    progress: &dyn Fn(Progress),
) -> Result<Finished, PlanError> {
    progress(Progress::Discovering);
    let timeout = query.timeout.min(deadline(config, choice) / 2);
    let facts = host::discover(&Query { timeout, ..query.clone() }).await;
    let done = |done, targets| progress(Progress::Probing { done, targets });
    of_facts(config, choice, prober, facts, clock, &done).await
}

/// When a round began, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// By the monotonic one: the deadline counts from here.
    pub start: Instant,
    /// By the wall.
    pub started: Timestamp,
}

/// The rest of a round on a host that is known already: plan, probe, judge. `done` is told how many targets of how many
/// have finished.
///
/// # Errors
/// Where it is not known what to probe.
pub async fn of_facts(
    config: &Config,
    choice: &Choice,
    prober: &Prober,
    facts: HostFacts,
    clock: Clock,
    done: &dyn Fn(usize, usize),
) -> Result<Finished, PlanError> {
    tracing::debug!(imds = ?facts.imds, region = ?facts.region, ms = %facts.elapsed_ms, "facts about this host");
    let budget = deadline(config, choice);
    let Planned { plan, warnings } = plan::plan(config, choice, &facts)?;
    let targets = plan.targets.len();
    done(0, targets);
    let end = clock.start + budget.saturating_sub(budget / RESERVE);
    let observations = prober.round(&plan, &facts.proxies, end, &|finished| done(finished, targets)).await;
    let judgement = judge::judge(observations, facts, &plan, clock.started);
    let round = Round {
        schema_version: SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        round: RoundId::new(clock.started, std::process::id()),
        started_at: clock.started,
        elapsed_ms: Millis::from(clock.start.elapsed()),
        verdict: judgement.verdict,
        host: judgement.host,
        findings: judgement.findings,
        targets: judgement.targets,
        shipping: None,
        last_failure: None,
        interval_s: None,
        starting: false,
        announced: None,
        age_s: None,
    };
    Ok(Finished { round, plan, warnings })
}

/// The part of a round's time that is kept for judging and writing the report, so that these end in time as well.
const RESERVE: u32 = 100;

/// How long the whole round may take.
#[must_use]
pub fn deadline(config: &Config, choice: &Choice) -> Duration {
    choice.round_deadline.unwrap_or(config.round_deadline)
}
