//! The dashboard: what the alarms read, as graphs.

use serde_json::{Value, json};

use super::{
    alarm::Stat,
    names::Named,
    rhythm::Rhythm,
    series::{Scheme, Series, literal, variables},
};
use crate::metric::{Dimension, Name};

/// The resource. Its body is a text within `Fn::Sub`, because it names the VPC.
pub(super) fn resource(targets: &[Named<'_>], rhythm: &Rhythm, scheme: Scheme<'_>) -> Value {
    let page = Page { targets, rhythm, scheme };
    let handshakes = |title: &str, stat: &str| page.of_targets(title, Name::HandshakeTime, stat, &MILLISECONDS);
    let shares = |title: &str, name: Name| page.of_targets(title, name, Stat::Average.as_str(), &SHARE);
    let rows = [
        vec![Some(page.healthy_share()), Some(page.reporting_hosts()), page.sick_hosts()],
        vec![
            shares("Hosts that the target serves (share)", Name::Success),
            shares("Live addresses of the target (share)", Name::AddressSuccess),
        ],
        vec![handshakes("TLS handshake, median", "p50"), handshakes("TLS handshake, 95th percentile", "p95")],
        vec![Some(page.problems()), Some(page.late_and_lost())],
    ];
    let mut widgets = vec![json!({
        "type": "text", "x": 0, "y": 0, "width": WIDTH, "height": 2,
        "properties": { "markdown":
            "# VPC endpoints\nAs seen by vpce-probe. On a host: `vpce-probe status`, `vpce-probe explain CAUSE`." },
    })];
    for (row, graphs) in rows.into_iter().enumerate() {
        let graphs: Vec<Value> = graphs.into_iter().flatten().collect();
        let width = WIDTH / graphs.len().max(1);
        for (column, properties) in graphs.into_iter().enumerate() {
            widgets.push(json!({
                "type": "metric", "x": column * width, "y": 2 + row * HEIGHT, "width": width, "height": HEIGHT,
                "properties": properties,
            }));
        }
    }
    let body = json!({ "widgets": widgets }).to_string();
    json!({
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": { "Ref": "AWS::StackName" },
            "DashboardBody": { "Fn::Sub": [body, variables()] },
        },
    })
}

struct Page<'a> {
    targets: &'a [Named<'a>],
    rhythm: &'a Rhythm,
    scheme: Scheme<'a>,
}

/// The left axis.
struct Axis {
    label: &'static str,
    most: Option<u32>,
}

impl Page<'_> {
    fn healthy_share(&self) -> Value {
        let line = self.scheme.line(&Series::of_vpc(Name::Healthy), &json!({ "label": "healthy" }));
        graph("Healthy hosts (share)", Stat::Average.as_str(), self.rhythm.scheduled, &[line], &SHARE)
    }

    fn reporting_hosts(&self) -> Value {
        let rounds = json!({ "id": "rounds", "visible": false });
        let count = format!("rounds / {}", self.rhythm.rounds);
        let lines = [
            json!([{ "expression": count, "label": "hosts", "id": "hosts" }]),
            self.scheme.line(&Series::of_vpc(Name::Healthy), &rounds),
        ];
        graph("Hosts that report", "SampleCount", self.rhythm.counting, &lines, &HOSTS)
    }

    fn sick_hosts(&self) -> Option<Value> {
        let query = literal(&self.scheme.sick_hosts()?);
        let lines = [json!([{ "expression": query, "label": "", "id": "sick" }])];
        Some(graph("Hosts that are or were sick (0: sick)", Stat::Minimum.as_str(), self.rhythm.urgent, &lines, &SHARE))
    }

    fn of_targets(&self, title: &str, name: Name, stat: &str, axis: &Axis) -> Option<Value> {
        let lines: Vec<Value> = self
            .targets
            .iter()
            .map(|named| {
                let label = json!({ "label": literal(&named.target.name) });
                self.scheme.line(&Series::of(name, Dimension::Target, &named.target.name), &label)
            })
            .collect();
        // A graph without a line is refused.
        (!lines.is_empty()).then(|| graph(title, stat, self.rhythm.scheduled, &lines, axis))
    }

    fn problems(&self) -> Value {
        let period = self.rhythm.urgent;
        let search = self.scheme.search(Name::Problems, Dimension::Cause, Stat::Maximum.as_str(), period);
        let lines = [json!([{ "expression": search, "label": "", "id": "causes" }])];
        graph("Problems of one host, by cause", Stat::Maximum.as_str(), period, &lines, &COUNT)
    }

    fn late_and_lost(&self) -> Value {
        let lines = [
            self.scheme.line(&Series::of_vpc(Name::Delivered), &json!({ "label": "delivered late" })),
            self.scheme.line(&Series::of_vpc(Name::Lost), &json!({ "label": "lost" })),
        ];
        graph("Datums of one host, late and lost", Stat::Maximum.as_str(), self.rhythm.scheduled, &lines, &COUNT)
    }
}

fn graph(title: &str, stat: &str, period: u64, lines: &[Value], axis: &Axis) -> Value {
    let mut left = json!({ "min": 0, "label": axis.label, "showUnits": false });
    if let (Some(most), Value::Object(left)) = (axis.most, &mut left) {
        left.insert("max".to_owned(), most.into());
    }
    json!({
        "title": title, "region": "${AWS::Region}", "view": "timeSeries", "stat": stat, "period": period,
        "metrics": lines, "yAxis": { "left": left },
    })
}

const SHARE: Axis = Axis { label: "", most: Some(1) };
const HOSTS: Axis = Axis { label: "hosts", most: None };
const COUNT: Axis = Axis { label: "", most: None };
const MILLISECONDS: Axis = Axis { label: "ms", most: None };

/// Of the whole dashboard, in CloudWatch's units.
const WIDTH: usize = 24;
/// Of one graph.
const HEIGHT: usize = 6;
