//! Carries samples to CloudWatch: they wait in the spool until CloudWatch has confirmed them, however long that takes.

pub mod agenda;
mod board;
mod client;
mod connector;
mod courier;
mod credentials;
mod delivery;
mod fault;
mod log;
pub mod pace;
mod parcel;
mod refused;
pub mod spool;
mod store;

use std::{collections::BTreeMap, path::PathBuf};

pub use self::{
    board::Totals,
    delivery::{Delivery, Receipt, publish_once},
};
use crate::{
    metric,
    model::plan::{DnsPlan, Family},
};
pub use crate::{model::plan::Credentials, probe::Way};

/// What of the config decides how datums are delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which series there are.
    pub metrics: metric::Settings,
    /// Another endpoint than the region's own.
    pub endpoint_url: Option<String>,
    /// Use the FIPS endpoint.
    pub fips: bool,
    /// Use the dual-stack endpoint.
    pub dual_stack: bool,
    /// Where credentials come from.
    pub credentials: Credentials,
    /// The process's environment: credentials, and where IMDS is.
    pub environment: BTreeMap<String, String>,
    /// The spool's folder; `None`: memory only.
    pub spool: Option<PathBuf>,
    /// The spool's bound, in bytes.
    pub spool_max_size: u64,
    /// What spreads this host among the others: the instance's id, or what stands for it.
    pub host: String,
}

/// What the latest round knows that helps a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Surroundings {
    /// The region; `None`: nothing can be delivered yet.
    pub region: Option<String>,
    /// Who is asked for names.
    pub dns: DnsPlan,
    /// Families used.
    pub family: Family,
    /// This host's clock minus AWS's, in seconds: 0 where it is right, `None` where nobody knows.
    pub clock_error_s: Option<f64>,
    /// What the probe knows of the ways to endpoints.
    pub ways: Vec<Way>,
}
