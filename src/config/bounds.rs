//! What a value may be: the readers refuse by these, and the reference prints them.

use std::{ops::RangeInclusive, time::Duration};

use super::{Credentials, Detail, MtuMode};
use crate::model::plan::Family;

/// Ten seconds: DNS, connect and TLS of a healthy round, ten times over; less only loads the resolver.
pub(super) const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(24);
pub(super) const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);
pub(super) const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(5);

/// 398 days is the longest life of a public certificate (CA/Browser Forum, Baseline Requirements 6.3.2): more would
/// warn of every one. Zero warns of none.
pub(super) const EXPIRY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(398 * 24);
pub(super) const FLUSH: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(1);

/// Equal rounds.
pub(super) const CONFIRM: RangeInclusive<i64> = 1..=100;
/// Rounds between two measurements.
pub(super) const REPEAT: RangeInclusive<i64> = 1..=100_000;
/// Sends of one question.
pub(super) const ATTEMPTS: RangeInclusive<i64> = 1..=10;
pub(super) const PORT: RangeInclusive<i64> = 1..=65_535;
/// US dollars.
pub(super) const DOLLARS: RangeInclusive<f64> = 0.0..=1_000_000.0;
/// Bytes.
pub(super) const SPOOL: RangeInclusive<u64> = 100_000..=10_000_000_000;

/// Every server is asked for every name.
pub(super) const MOST_SERVERS: usize = 8;

/// Bytes of a namespace, of a target's name and of a dimension's name: each ends in a field of CloudWatch's of this length.
pub(super) const LONGEST_NAME: usize = 255;

/// CloudWatch allows 30 dimensions; the rest is for vpce-probe's own.
pub(super) const MOST_FIXED: usize = 30 - super::check::DIMENSIONS.len();

pub(super) const FAMILIES: &[(&str, Family)] = &[("any", Family::Any), ("v4", Family::V4), ("v6", Family::V6)];

pub(super) const MODES: &[(&str, MtuMode)] =
    &[("full", MtuMode::Full), ("passive", MtuMode::Passive), ("off", MtuMode::Off)];

pub(super) const DETAILS: &[(&str, Detail)] =
    &[("fleet", Detail::Fleet), ("heartbeat", Detail::Heartbeat), ("instance", Detail::Instance)];

pub(super) const CREDENTIALS: &[(&str, Credentials)] = &[
    ("auto", Credentials::Auto),
    ("imds", Credentials::Imds),
    ("environment", Credentials::Environment),
    ("ecs", Credentials::Ecs),
];
