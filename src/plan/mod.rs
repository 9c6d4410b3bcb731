//! Joins the config and the host's facts into a [`Plan`].

use std::time::Duration;

use crate::{
    config::Config,
    model::{
        host::HostFacts,
        plan::{Family, Plan},
        target::Target,
    },
};

/// What the command line adds to the config.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Choice {
    /// `--service`: only these; a code that is no target yet becomes a required one.
    pub services: Vec<String>,
    /// `-4`, `-6`.
    pub family: Option<Family>,
    /// `--timeout`: in place of `round_deadline`.
    pub round_deadline: Option<Duration>,
    /// `--fips`: FIPS host names.
    pub fips: bool,
    /// `--dual-stack`: dual-stack host names.
    pub dual_stack: bool,
}

/// Why no plan can be made. The program's own error: exit 3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nobody said the region.
    #[error("the region is not known: give --region, e.g. --region eu-west-1")]
    NoRegion,
    /// The region has characters that no region has.
    #[error("region {0:?} is not a region name: only a-z, 0-9 and '-' are allowed, e.g. eu-west-1")]
    BadRegion(String),
    /// A service that has no known host.
    #[error("service {code:?} has no known host name{}", .suggestion.as_ref().map(|s| format!("; did you mean {s:?}?")).unwrap_or_default())]
    UnknownService {
        /// The code as it was given.
        code: String,
        /// A code that looks like it.
        suggestion: Option<String>,
    },
    /// Everything was taken out.
    #[error("no target is left to probe")]
    NoTargets,
}

/// A plan, and what is odd about it, one sentence each (e.g. a region that no partition knows).
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Warnings for stderr.
    pub warnings: Vec<String>,
}

/// The targets of a region, without any host fact (`vpce-probe targets`).
///
/// # Errors
/// See [`PlanError`].
pub fn targets(
    config: &Config,
    choice: &Choice,
    region: Option<&str>,
    domain: Option<&str>,
) -> Result<(Vec<Target>, Vec<String>), PlanError> {
    let _ = (config, choice, region, domain);
    Err(PlanError::NoRegion)
}

/// The whole plan.
///
/// # Errors
/// See [`PlanError`].
pub fn plan(config: &Config, choice: &Choice, facts: &HostFacts) -> Result<Planned, PlanError> {
    let _ = (config, choice, facts);
    Err(PlanError::NoRegion)
}
