//! Alarms and a dashboard as a `CloudFormation` template, made from [`crate::metric::METRICS`] and the targets.
//!
//! Two laws hold in all of it. Data that arrive on a schedule are never judged in periods shorter than twice that
//! schedule: the newest period is always delivered in part only. And no alarm asks for a sum: a request whose reply was
//! lost may arrive twice.

mod alarm;
mod dashboard;
mod list;
mod names;
mod parameters;
mod print;
mod rhythm;
mod series;

use std::time::Duration;

use serde_json::{Map, json};

use self::{names::identifiers, rhythm::Rhythm, series::Scheme};
use crate::{
    metric::Settings,
    model::target::{Expect, Target},
};

/// What is watched.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// Namespace, fixed dimensions, interval and flush, as the hosts have them.
    pub settings: &'a Settings,
    /// The targets that the hosts probe.
    pub targets: &'a [Target],
    /// The value of the `VpcId` dimension, where the config says it; else whoever deploys the template says it.
    pub vpc_id: Option<&'a str>,
    /// A certificate with less left than this is told; zero: none is.
    pub expiry_warning: Duration,
    /// How many hosts should report; `None`: at least one.
    pub expected_hosts: Option<u32>,
    /// Auto Scaling groups that the hosts are in: their in-service count is then what should report.
    pub groups: &'a [String],
}

/// A template, and what whoever deploys it should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The template in JSON, keys sorted.
    pub json: String,
    /// One sentence each.
    pub notes: Vec<String>,
}

/// Why there is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlarmsError {
    /// More than `CloudFormation` takes in one stack.
    #[error("{0} targets need {1} resources, and a stack holds 500: make a template each for parts of the config")]
    TooManyTargets(usize, usize),
    /// More than a metric math expression takes.
    #[error("{0} Auto Scaling groups are too many for one alarm: it takes {MOST_GROUPS}")]
    TooManyGroups(usize),
}

/// The template.
///
/// # Errors
/// See [`AlarmsError`].
pub fn template(fleet: &Fleet<'_>) -> Result<Template, AlarmsError> {
    if fleet.groups.len() > MOST_GROUPS {
        return Err(AlarmsError::TooManyGroups(fleet.groups.len()));
    }
    // A target that must not answer has no endpoint to lose.
    let targets: Vec<&Target> = fleet.targets.iter().filter(|target| target.expect != Expect::Absent).collect();
    let targets = identifiers(&targets);
    let rhythm = Rhythm::of(fleet.settings.interval, fleet.settings.flush_interval);
    let scheme = Scheme { settings: fleet.settings };
    let mut resources = Map::new();
    for (id, alarm) in list::alarms(fleet, &targets, &rhythm, scheme) {
        resources.insert(id, alarm.resource(scheme));
    }
    resources.insert("Dashboard".to_owned(), dashboard::resource(&targets, &rhythm, scheme));
    if resources.len() > MOST_RESOURCES {
        return Err(AlarmsError::TooManyTargets(fleet.targets.len(), resources.len()));
    }
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "vpce-probe: alarms and a dashboard for VPC endpoints. Made by `vpce-probe alarms`.",
        "Parameters": parameters::parameters(fleet),
        "Conditions": parameters::conditions(),
        "Resources": resources,
    });
    let json = print::print(&template);
    let mut notes = notes(fleet, &rhythm, scheme);
    if json.len() > MOST_INLINE {
        notes.push(format!(
            "the template has {} bytes, and more than {MOST_INLINE} must go through S3: \
             aws cloudformation deploy --s3-bucket BUCKET",
            json.len()
        ));
    }
    Ok(Template { json, notes })
}

fn notes(fleet: &Fleet<'_>, rhythm: &Rhythm, scheme: Scheme<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if fleet.expected_hosts.is_none() && fleet.groups.is_empty() {
        notes.push(
            "the silent-hosts alarm fires only when no host reports: give --expected-hosts or --auto-scaling-group"
                .to_owned(),
        );
    }
    if !rhythm.exact {
        notes.push(format!(
            "interval {} s does not divide any fitting period of whole minutes: hosts are counted {} rounds each in {} s, \
             so a few silent ones may go unseen in a large fleet",
            fleet.settings.interval.as_secs_f64(),
            rhythm.rounds,
            rhythm.counting
        ));
    }
    if scheme.sick_hosts().is_none() {
        notes.push(
            "a fixed dimension has a quote in its name, which no Metrics Insights query can hold: no sick-hosts alarm"
                .to_owned(),
        );
    }
    notes
}

/// A metric math alarm takes ten metrics; two are the count of rounds and the expression itself.
pub const MOST_GROUPS: usize = 8;
/// Of one stack (`CloudFormation` quotas).
const MOST_RESOURCES: usize = 500;
/// Of a template that is sent with the request and not through S3, in bytes (`CloudFormation` quotas).
const MOST_INLINE: usize = 51_200;

#[cfg(test)]
mod tests;
