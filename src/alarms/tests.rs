//! The laws of the template, for configs of every shape.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;

use super::{AlarmsError, Fleet, MOST_GROUPS, template};
use crate::{
    metric::{Detail, METRICS, Name, Settings},
    model::{
        sample::Part,
        target::{Expect, Target},
    },
};

fn settings() -> Settings {
    Settings {
        namespace: "VpceProbe".to_owned(),
        detail: Detail::Fleet,
        fixed_dimensions: Vec::new(),
        extra_dimension_sets: Vec::new(),
        interval: Duration::from_mins(1),
        flush_interval: Duration::from_mins(5),
    }
}

fn target(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        service: None,
        host: format!("{name}.example"),
        port: 443,
        required: true,
        expect: Expect::Private,
        path: "/".to_owned(),
        allowed_cidrs: Vec::new(),
    }
}

fn fleet<'a>(settings: &'a Settings, targets: &'a [Target]) -> Fleet<'a> {
    Fleet {
        settings,
        targets,
        vpc_id: None,
        expiry_warning: Duration::from_hours(14 * 24),
        expected_hosts: Some(10),
        groups: &[],
    }
}

fn made(fleet: &Fleet<'_>) -> Value {
    serde_json::from_str(&template(fleet).expect("a template").json).expect("JSON")
}

fn alarms(template: &Value) -> BTreeMap<String, Value> {
    let resources = template["Resources"].as_object().expect("resources");
    let alarms = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
    alarms.map(|(id, resource)| (id.clone(), resource["Properties"].clone())).collect()
}

/// Every `MetricName` with its period and its statistic, of plain alarms and of metric math.
fn reads(alarm: &Value) -> Vec<(String, u64, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    if let Some(name) = alarm.get("MetricName") {
        return vec![(text(name), alarm["Period"].as_u64().expect("a period"), text(&alarm["Statistic"]))];
    }
    let queries = alarm["Metrics"].as_array().expect("queries").iter();
    let stats = queries.filter_map(|query| query.get("MetricStat"));
    stats
        .map(|stat| {
            let period = stat["Period"].as_u64().expect("a period");
            (text(&stat["Metric"]["MetricName"]), period, text(&stat["Stat"]))
        })
        .collect()
}

#[test]
fn no_period_is_shorter_than_twice_the_flush_and_no_statistic_is_a_sum() {
    for (interval, flush) in [(10, 10), (60, 300), (61, 300), (90, 450), (127, 1000), (3600, 3600)] {
        let settings = Settings {
            interval: Duration::from_secs(interval),
            flush_interval: Duration::from_secs(flush),
            ..settings()
        };
        let template = made(&fleet(&settings, &[target("ssm")]));
        let alarms = alarms(&template);
        assert_eq!(alarms.len(), 9);
        for (id, alarm) in alarms {
            for (metric, period, stat) in reads(&alarm) {
                assert!(["Average", "Minimum", "Maximum", "SampleCount"].contains(&stat.as_str()), "{id}: {stat}");
                assert_eq!(period % 60, 0, "{id}");
                let Some(known) = METRICS.iter().find(|known| known.name.as_str() == metric) else {
                    assert_eq!(metric, "GroupInServiceInstances");
                    continue;
                };
                let least = match known.part {
                    Part::Scheduled => 2 * flush,
                    Part::Urgent => interval,
                };
                assert!(period >= least, "{id}: {period} < {least}");
                let of = alarm["EvaluationPeriods"].as_u64().unwrap_or(6);
                assert!(period * of <= 24 * 3600, "{id}: CloudWatch looks back one day at most");
            }
        }
    }
}

#[test]
fn every_alarm_says_what_to_type_next() {
    let settings = settings();
    let template = made(&fleet(&settings, &[target("ssm")]));
    for (id, alarm) in alarms(&template) {
        let about = alarm["AlarmDescription"].as_str().expect("a description");
        assert!(about.contains("vpce-probe status") && about.len() <= 1024, "{id}: {about}");
        assert!(alarm["AlarmName"]["Fn::Sub"].as_str().expect("a name").starts_with("${AWS::StackName}-"), "{id}");
        assert!(alarm["TreatMissingData"].is_string(), "{id}");
    }
}

#[test]
fn fixed_dimensions_are_in_every_series() {
    let fixed = vec![("Team".to_owned(), "core ${x} o'clock".to_owned()), ("Cost Center".to_owned(), "7".to_owned())];
    let settings = Settings { fixed_dimensions: fixed, namespace: "My Probe".to_owned(), ..settings() };
    let template = made(&fleet(&settings, &[target("ssm")]));
    let mut seen = 0;
    for (id, alarm) in alarms(&template) {
        let plain = alarm.get("Dimensions").into_iter();
        let math = alarm["Metrics"].as_array().into_iter().flatten();
        let math = math.filter_map(|query| query.pointer("/MetricStat/Metric"));
        let math = math.filter(|metric| metric["Namespace"] == "My Probe").map(|metric| &metric["Dimensions"]);
        for dimensions in plain.chain(math) {
            seen += 1;
            let names: BTreeSet<&str> =
                dimensions.as_array().expect("a list").iter().filter_map(|d| d["Name"].as_str()).collect();
            assert!(names.contains("Team") && names.contains("Cost Center"), "{id}: {names:?}");
        }
    }
    assert_eq!(seen, 8);
    let query = &template["Resources"]["SickHosts"]["Properties"]["Metrics"][0]["Expression"];
    assert_eq!(
        query,
        "SELECT MIN(InstanceHealthy) FROM SCHEMA(\"My Probe\", InstanceId, \"Team\", \"Cost Center\") \
         WHERE \"Cost Center\" = '7' GROUP BY InstanceId"
    );
    let body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0].as_str().expect("text");
    assert!(body.contains("core ${!x} o'clock"), "{body}");
    assert!(body.contains("{\\\"My Probe\\\",${Dimension},Cause,\\\"Team\\\",\\\"Cost Center\\\"}"), "{body}");
}

#[test]
fn a_name_that_no_query_can_hold_costs_only_the_query() {
    let settings = Settings { fixed_dimensions: vec![("a\"b".to_owned(), "c".to_owned())], ..settings() };
    let targets = [target("ssm")];
    let made_of = fleet(&settings, &targets);
    assert!(template(&made_of).expect("a template").notes.iter().any(|note| note.contains("no sick-hosts alarm")));
    assert!(!alarms(&made(&made_of)).contains_key("SickHosts"));
}

#[test]
fn targets_of_like_names_do_not_collide() {
    let names = ["ecr.api", "ecr-api", "ecrapi", "ecr.api2", "ECR API", "…", "---", "2", "ssm"];
    let targets: Vec<Target> = names.iter().map(|name| target(name)).collect();
    let settings = settings();
    let made = made(&fleet(&settings, &targets));
    let alarms = alarms(&made);
    let of_targets: Vec<&Value> =
        alarms.iter().filter(|(id, _)| id.starts_with("Interfaces")).map(|(_, alarm)| alarm).collect();
    assert_eq!(of_targets.len(), names.len());
    assert!(alarms.keys().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric())), "{:?}", alarms.keys());
    let seen: BTreeSet<&str> = of_targets.iter().filter_map(|alarm| alarm["AlarmName"]["Fn::Sub"].as_str()).collect();
    assert_eq!(seen.len(), names.len(), "{seen:?}");
    let watched: BTreeSet<&str> =
        of_targets.iter().filter_map(|alarm| alarm["Dimensions"][1]["Value"].as_str()).collect();
    assert_eq!(watched, names.into_iter().collect());
}

#[test]
fn many_targets_fit_and_too_many_are_refused() {
    let settings = settings();
    let targets: Vec<Target> = (0..250).map(|number| target(&format!("vault-{number}.corp.example"))).collect();
    let some = template(&fleet(&settings, &targets[..60])).expect("a template");
    assert!(some.notes.iter().any(|note| note.contains("--s3-bucket")), "{:?}", some.notes);
    assert!(some.json.len() < 1_000_000, "{}", some.json.len());
    assert!(template(&fleet(&settings, &targets[..246])).is_ok());
    assert_eq!(template(&fleet(&settings, &targets[..247])), Err(AlarmsError::TooManyTargets(247, 502)));
    let groups: Vec<String> = (0..=MOST_GROUPS).map(|number| format!("group-{number}")).collect();
    let too_many = Fleet { groups: &groups, ..fleet(&settings, &targets[..1]) };
    assert_eq!(template(&too_many), Err(AlarmsError::TooManyGroups(9)));
}

#[test]
fn what_has_no_endpoint_has_no_alarm() {
    let settings = settings();
    let mut absent = target("legacy");
    absent.expect = Expect::Absent;
    let targets = [target("ssm"), absent];
    let with = alarms(&made(&fleet(&settings, &targets)));
    assert!(with.contains_key("InterfacesSsm") && !with.contains_key("InterfacesLegacy"));
    let never = Fleet { expiry_warning: Duration::ZERO, ..fleet(&settings, &targets) };
    assert!(alarms(&made(&never)).keys().all(|id| !id.starts_with("Certificate")));
    // A dashboard without any target is still one.
    let none = made(&fleet(&settings, &targets[1..]));
    assert!(none["Resources"]["Dashboard"].is_object());
}

#[test]
fn groups_are_added_up() {
    let settings = settings();
    let targets = [target("ssm")];
    let groups = ["web".to_owned(), "batch".to_owned()];
    let made = made(&Fleet { groups: &groups, expected_hosts: None, ..fleet(&settings, &targets) });
    let queries = &made["Resources"]["SilentHostsOfGroup"]["Properties"]["Metrics"];
    assert_eq!(
        queries[0]["Expression"]["Fn::Sub"],
        "(group1 + group2) * (1 - ${ToleratedShare}) - FILL(rounds, 0) / 10"
    );
    assert_eq!(made["Parameters"]["AutoScalingGroupName"]["Default"], "web");
    assert_eq!(made["Parameters"]["AutoScalingGroupName2"]["Default"], "batch");
    assert_eq!(made["Parameters"]["SilentPeriods"]["Default"], 3);
    assert_eq!(Name::Healthy.as_str(), queries[1]["MetricStat"]["Metric"]["MetricName"]);
}
