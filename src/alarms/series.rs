//! Which series an alarm or a widget reads: the very dimensions that the hosts put.

use serde_json::{Value, json};

use crate::metric::{Detail, Dimension, Name, Settings};

/// How the hosts name their series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheme<'a> {
    pub(super) settings: &'a Settings,
}

/// One series of the fleet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series<'a> {
    pub(super) name: Name,
    /// The value of the dimension beside the VPC's, if there is one: which one, and what it says.
    pub(super) beside: Option<(Dimension, &'a str)>,
}

impl<'a> Series<'a> {
    /// The series of the VPC as a whole.
    pub(super) const fn of_vpc(name: Name) -> Self {
        Self { name, beside: None }
    }

    /// The series of one target, one severity…
    pub(super) const fn of(name: Name, dimension: Dimension, value: &'a str) -> Self {
        Self { name, beside: Some((dimension, value)) }
    }

    /// Whether the table has such a series with every detail.
    pub(super) fn is_in_table(&self) -> bool {
        let wanted: Vec<Dimension> =
            std::iter::once(Dimension::Vpc).chain(self.beside.map(|(dimension, _)| dimension)).collect();
        self.name.metric().sets.iter().any(|set| set.from == Detail::Fleet && set.dimensions == wanted)
    }
}

impl Scheme<'_> {
    /// `Namespace`, `MetricName` and `Dimensions` of a template.
    pub(super) fn metric(self, series: &Series<'_>) -> Value {
        debug_assert!(series.is_in_table(), "{series:?} is not in METRICS");
        let own = series.beside.map(|(dimension, value)| json!({ "Name": word(dimension), "Value": value }));
        let fixed = self.settings.fixed_dimensions.iter();
        let fixed = fixed.map(|(name, value)| json!({ "Name": name, "Value": value }));
        let vpc = json!({ "Name": vpc_name(), "Value": vpc_value() });
        let dimensions: Vec<Value> = std::iter::once(vpc).chain(own).chain(fixed).collect();
        json!({
            "Namespace": self.settings.namespace,
            "MetricName": series.name.as_str(),
            "Dimensions": dimensions,
        })
    }

    /// The same as a line of a widget, within `Fn::Sub`; `options` is the line's last element.
    pub(super) fn line(self, series: &Series<'_>, options: &Value) -> Value {
        debug_assert!(series.is_in_table(), "{series:?} is not in METRICS");
        let own = series.beside.map(|(dimension, value)| [word(dimension).to_owned(), literal(value)]);
        let fixed = self.settings.fixed_dimensions.iter().map(|(name, value)| [literal(name), literal(value)]);
        let head = [literal(&self.settings.namespace), series.name.as_str().to_owned()];
        let vpc = [format!("${{{DIMENSION}}}"), format!("${{{PLACE}}}")];
        let mut line: Vec<Value> = head
            .into_iter()
            .chain(vpc)
            .chain(own.into_iter().flatten())
            .chain(fixed.flatten())
            .map(Value::from)
            .collect();
        line.push(options.clone());
        Value::from(line)
    }

    /// The query that names the sick hosts; `None` where a dimension's name cannot stand in a query.
    ///
    /// `SCHEMA` matches the exact set of dimensions. Their values are compared where they can stand between quotes.
    pub(super) fn sick_hosts(self) -> Option<String> {
        let metric = Name::InstanceHealthy.as_str();
        let instance = word(Dimension::Instance);
        let fixed = &self.settings.fixed_dimensions;
        if fixed.iter().any(|(name, _)| name.contains('"')) {
            return None;
        }
        let names: Vec<String> = fixed.iter().map(|(name, _)| format!(", \"{name}\"")).collect();
        let values: Vec<String> = fixed
            .iter()
            .filter(|(_, value)| !value.contains('\''))
            .map(|(name, value)| format!("\"{name}\" = '{value}'"))
            .collect();
        let only = if values.is_empty() { String::new() } else { format!(" WHERE {}", values.join(" AND ")) };
        let namespace = &self.settings.namespace;
        let names = names.concat();
        Some(format!("SELECT MIN({metric}) FROM SCHEMA(\"{namespace}\", {instance}{names}){only} GROUP BY {instance}"))
    }

    /// A search for every series of a metric that has the VPC's dimension and one more, within `Fn::Sub`.
    pub(super) fn search(self, name: Name, dimension: Dimension, stat: &str, period: u64) -> String {
        let fixed: Vec<String> =
            self.settings.fixed_dimensions.iter().map(|(name, _)| format!(",{}", searchable(name))).collect();
        let vpc = format!("${{{DIMENSION}}}");
        let place = format!("${{{PLACE}}}");
        let namespace = searchable(&self.settings.namespace);
        let schema = format!("{{{namespace},{vpc},{}{}}}", word(dimension), fixed.concat());
        let metric = name.as_str();
        format!("SEARCH('{schema} MetricName=\"{metric}\" {vpc}=\"{place}\"', '{stat}', {period})")
    }
}

/// The name of the dimension that hosts of one VPC share, and its value, for `Fn::Sub`.
pub(super) fn variables() -> Value {
    json!({ DIMENSION: vpc_name(), PLACE: vpc_value() })
}

/// A text within `Fn::Sub` that is no reference.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "${!")
}

/// The dimension's name in CloudWatch; the VPC's own depends on a parameter.
const fn word(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Vpc => "VpcId",
        Dimension::Target => "Target",
        Dimension::Severity => "Severity",
        Dimension::Cause => "Cause",
        Dimension::Instance => "InstanceId",
    }
}

fn vpc_name() -> Value {
    json!({ "Fn::If": ["HasVpc", word(Dimension::Vpc), "Region"] })
}

fn vpc_value() -> Value {
    json!({ "Fn::If": ["HasVpc", { "Ref": "VpcId" }, { "Ref": "AWS::Region" }] })
}

/// A name within the braces of a search. A quote cannot stand there; a name with one finds nothing.
fn searchable(name: &str) -> String {
    format!("\"{}\"", literal(&name.replace(['"', '\''], " ")))
}

const DIMENSION: &str = "Dimension";
const PLACE: &str = "Place";
