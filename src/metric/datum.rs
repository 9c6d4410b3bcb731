//! One datum of `PutMetricData` (CloudWatch API Reference, `MetricDatum`), in a form that cannot break its rules.

use std::fmt;

use super::Name;
use crate::model::units::Timestamp;

/// A number that CloudWatch takes: finite, and within ±2^360.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Finite(f64);

impl Finite {
    /// The number; `None` for NaN, the infinities, and whatever lies outside the range.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        // NaN is in no range.
        (-LIMIT..=LIMIT).contains(&value).then_some(Self(value))
    }

    /// 1 for a truth, else 0.
    #[must_use]
    pub const fn truth(value: bool) -> Self {
        Self(if value { 1.0 } else { 0.0 })
    }

    /// The number as such.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0
    }
}

impl From<u32> for Finite {
    fn from(value: u32) -> Self {
        Self(f64::from(value))
    }
}

impl From<i32> for Finite {
    fn from(value: i32) -> Self {
        Self(f64::from(value))
    }
}

impl fmt::Display for Finite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The unit of a metric, by CloudWatch's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are CloudWatch's")]
pub enum Unit {
    None,
    Count,
    Milliseconds,
    Bytes,
}

impl Unit {
    /// The name in CloudWatch.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// One datum: a metric, its dimensions, one moment, and the values that were seen at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    /// The metric.
    pub metric: Name,
    /// Names and values, clean by CloudWatch's rules, in the order in which they are shown; at most 30.
    pub dimensions: Vec<(String, String)>,
    /// The round's tick.
    pub at: Timestamp,
    /// Distinct values, and how often each was seen; 1 to 150 of them. Not a statistic set: percentiles need the values.
    pub values: Vec<(Finite, u32)>,
    /// The unit.
    pub unit: Unit,
}

/// The most distinct values that one datum may have (CloudWatch API Reference, `MetricDatum`).
pub(super) const MOST_VALUES: usize = 150;
/// The most dimensions that one datum may have (the same).
pub(super) const MOST_DIMENSIONS: usize = 30;

/// 2 to the power of 360.
const LIMIT: f64 = f64::from_bits((1023 + 360) << 52);

#[cfg(test)]
mod tests {
    use super::{Finite, LIMIT};

    #[test]
    fn what_cloudwatch_refuses_is_no_number_of_ours() {
        assert_eq!(LIMIT.to_bits(), 2f64.powi(360).to_bits());
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, LIMIT * 2.0, -LIMIT * 2.0] {
            assert_eq!(Finite::new(bad), None, "{bad}");
        }
        for good in [0.0, -0.0, 1.5, -1.5, LIMIT, -LIMIT] {
            assert_eq!(Finite::new(good).map(Finite::as_f64), Some(good));
        }
    }
}
