//! The config as the delivery needs it.

use std::collections::BTreeMap;

use crate::{config::Config, deliver::Settings, plan};

/// How metrics are delivered from the host called `host`.
#[must_use]
pub fn delivery_settings(config: &Config, environment: &BTreeMap<String, String>, host: &str) -> Settings {
    let cloudwatch = &config.cloudwatch;
    Settings {
        metrics: plan::metrics(config),
        endpoint_url: cloudwatch.endpoint_url.clone(),
        fips: cloudwatch.fips,
        dual_stack: cloudwatch.dual_stack,
        credentials: cloudwatch.credentials,
        environment: environment.clone(),
        spool: Some(config.state_dir(environment).join("spool")),
        spool_max_size: cloudwatch.spool_max_size,
        host: host.to_owned(),
    }
}

/// What stands for the instance's id until that is known: enough to spread hosts.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
