//! One alarm as a resource of a template.

use serde_json::{Map, Value, json};

use super::series::{Scheme, Series};

/// An alarm.
#[derive(Clone, Debug)]
pub(super) struct Alarm<'a> {
    /// Its name, after the stack's.
    pub(super) name: String,
    /// What it means, and what to do next.
    pub(super) about: String,
    /// Its section in docs/runbook.md.
    pub(super) runbook: &'static str,
    /// The condition under which it exists at all.
    pub(super) condition: Option<&'static str>,
    /// Who is told.
    pub(super) topic: Topic,
    /// What it reads.
    pub(super) watch: Watch<'a>,
    /// When a data point is bad.
    pub(super) bad: Bad,
    /// How many periods are looked at, and how many of them must be bad.
    pub(super) periods: Periods,
    /// What a period without data means.
    pub(super) missing: Missing,
}

/// What an alarm reads.
#[derive(Clone, Debug)]
pub(super) enum Watch<'a> {
    /// One statistic of one series.
    Series { series: Series<'a>, stat: Stat, period: u64 },
    /// The elements of `Metrics`.
    Math(Vec<Value>),
}

/// The statistics that a request that arrives twice cannot falsify. A sum is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stat {
    Average,
    Minimum,
    Maximum,
}

/// Whom an alarm tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Something is broken now.
    Alarm,
    /// It can wait until the morning.
    Notice,
}

/// When a data point is bad; the value is a number or a reference to a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bad {
    Below(Value),
    Above(Value),
}

/// `needed` bad ones of the newest `of`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Periods {
    pub(super) needed: Value,
    pub(super) of: Value,
}

impl Periods {
    pub(super) fn new(needed: u64, of: u64) -> Self {
        Self { needed: needed.into(), of: of.into() }
    }
}

/// What a period without data means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Trouble.
    Breaching,
    /// Nothing is wrong.
    NotBreaching,
    /// Nothing new: the state stays.
    Ignore,
    /// Nobody knows: `INSUFFICIENT_DATA`.
    Unknown,
}

impl Alarm<'_> {
    /// The resource.
    pub(super) fn resource(self, scheme: Scheme<'_>) -> Value {
        let mut properties = Map::new();
        if let Watch::Series { series, .. } = &self.watch
            && let Value::Object(metric) = scheme.metric(series)
        {
            properties.extend(metric);
        }
        match self.watch {
            Watch::Series { stat, period, .. } => {
                properties.insert("Statistic".to_owned(), stat.as_str().into());
                properties.insert("Period".to_owned(), period.into());
            }
            Watch::Math(queries) => {
                properties.insert("Metrics".to_owned(), queries.into());
            }
        }
        let (comparison, threshold) = match self.bad {
            Bad::Below(threshold) => ("LessThanThreshold", threshold),
            Bad::Above(threshold) => ("GreaterThanThreshold", threshold),
        };
        let actions = self.topic.actions();
        let rest = [
            ("AlarmName", json!({ "Fn::Sub": format!("${{AWS::StackName}}-{}", self.name) })),
            ("AlarmDescription", format!("{}. Runbook: docs/runbook.md#{}", self.about, self.runbook).into()),
            ("ComparisonOperator", comparison.into()),
            ("Threshold", threshold),
            ("EvaluationPeriods", self.periods.of),
            ("DatapointsToAlarm", self.periods.needed),
            ("TreatMissingData", self.missing.as_str().into()),
            ("AlarmActions", actions.clone()),
            ("OKActions", actions),
        ];
        properties.extend(rest.into_iter().map(|(key, value)| (key.to_owned(), value)));
        let mut resource = json!({ "Type": "AWS::CloudWatch::Alarm", "Properties": properties });
        if let (Some(condition), Value::Object(resource)) = (self.condition, &mut resource) {
            resource.insert("Condition".to_owned(), condition.into());
        }
        resource
    }
}

impl Stat {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
        }
    }
}

impl Topic {
    fn actions(self) -> Value {
        let (condition, parameter) = match self {
            Self::Alarm => ("HasAlarmTopic", "AlarmTopicArn"),
            Self::Notice => ("HasNoticeTopic", "NoticeTopicArn"),
        };
        json!({ "Fn::If": [condition, [{ "Ref": parameter }], { "Ref": "AWS::NoValue" }] })
    }
}

impl Missing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
            Self::Ignore => "ignore",
            Self::Unknown => "missing",
        }
    }
}
