//! Which alarms there are.

use serde_json::{Value, json};

use super::{
    Fleet,
    alarm::{Alarm, Bad, Missing, Periods, Stat, Topic, Watch},
    names::Named,
    parameters::group_parameter,
    rhythm::Rhythm,
    series::{Scheme, Series},
};
use crate::{
    metric::{Dimension, Name},
    model::{sample::Part, verdict::Severity},
};

/// Every alarm with its logical id.
pub(super) fn alarms<'a>(
    fleet: &Fleet<'_>,
    targets: &'a [Named<'_>],
    rhythm: &Rhythm,
    scheme: Scheme<'_>,
) -> Vec<(String, Alarm<'a>)> {
    let mut alarms = vec![
        ("SilentHosts".to_owned(), silent_hosts(rhythm, scheme)),
        ("SilentHostsOfGroup".to_owned(), silent_hosts_of_group(fleet.groups.len().max(1), rhythm, scheme)),
        ("HealthyHosts".to_owned(), healthy_hosts(rhythm)),
        ("Failures".to_owned(), failures(rhythm)),
        ("Warnings".to_owned(), warnings(rhythm)),
        ("LostData".to_owned(), lost_data(rhythm)),
    ];
    if let Some(query) = scheme.sick_hosts() {
        alarms.push(("SickHosts".to_owned(), sick_hosts(&query, rhythm)));
    }
    for named in targets {
        alarms.push((format!("Interfaces{}", named.id), interfaces(named, rhythm)));
        if !fleet.expiry_warning.is_zero() {
            alarms.push((format!("Certificate{}", named.id), certificate(named, rhythm)));
        }
    }
    alarms
}

/// The newest period is always short of rounds, for they are still on the hosts: the ones before decide.
fn silent_hosts<'a>(rhythm: &Rhythm, scheme: Scheme<'_>) -> Alarm<'a> {
    Alarm {
        name: "silent-hosts".to_owned(),
        about: "Fewer hosts report than expected: they are off, their daemon is down, or CloudWatch is out of their \
                reach. On a host that should report: vpce-probe status"
            .to_owned(),
        runbook: "silent-hosts",
        condition: Some("HasNoGroup"),
        topic: Topic::Alarm,
        watch: Watch::Math(vec![silence("${ExpectedHosts}", rhythm), rounds(rhythm, scheme)]),
        bad: Bad::Above(json!(0.5)),
        periods: Periods { needed: reference("SilentPeriods"), of: reference("SilentPeriods") },
        // No data at all is the worst silence.
        missing: Missing::Breaching,
    }
}

fn silent_hosts_of_group<'a>(groups: usize, rhythm: &Rhythm, scheme: Scheme<'_>) -> Alarm<'a> {
    let ids: Vec<String> = (1..=groups).map(|number| format!("group{number}")).collect();
    let mut queries = vec![silence(&format!("({})", ids.join(" + ")), rhythm), rounds(rhythm, scheme)];
    for (number, id) in (1..).zip(&ids) {
        // The least of the period: a host that came in meanwhile owes no full period of rounds.
        queries.push(json!({
            "Id": id,
            "ReturnData": false,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/AutoScaling",
                    "MetricName": "GroupInServiceInstances",
                    "Dimensions": [{ "Name": "AutoScalingGroupName", "Value": reference(&group_parameter(number)) }],
                },
                "Period": rhythm.counting,
                "Stat": "Minimum",
            },
        }));
    }
    Alarm {
        about: "Fewer hosts report than are in service in their Auto Scaling group, or the group's metrics are not \
                enabled. On a host of the group: vpce-probe status"
            .to_owned(),
        condition: Some("HasGroup"),
        watch: Watch::Math(queries),
        ..silent_hosts(rhythm, scheme)
    }
}

/// Silent hosts beyond what is tolerated.
fn silence(expected: &str, rhythm: &Rhythm) -> Value {
    let expression = format!("{expected} * (1 - ${{ToleratedShare}}) - FILL(rounds, 0) / {}", rhythm.rounds);
    json!({
        "Id": "silent",
        "Label": "silent hosts beyond the tolerated",
        "Expression": { "Fn::Sub": expression },
        "ReturnData": true,
    })
}

/// A request that arrives twice counts its rounds twice: an alarm then comes one period later, never wrongly.
fn rounds(rhythm: &Rhythm, scheme: Scheme<'_>) -> Value {
    json!({
        "Id": "rounds",
        "ReturnData": false,
        "MetricStat": {
            "Metric": scheme.metric(&Series::of_vpc(Name::Healthy)),
            "Period": rhythm.counting,
            "Stat": "SampleCount",
        },
    })
}

fn healthy_hosts<'a>(rhythm: &Rhythm) -> Alarm<'a> {
    Alarm {
        name: "healthy-hosts".to_owned(),
        about:
            "A large share of the hosts cannot reach a required endpoint: the endpoint or the VPC is at fault, and not \
                a host. On any host: vpce-probe status"
                .to_owned(),
        runbook: "healthy-hosts",
        condition: None,
        topic: Topic::Alarm,
        watch: watch(Series::of_vpc(Name::Healthy), Stat::Average, rhythm),
        bad: Bad::Below(reference("HealthyShare")),
        periods: Periods::new(2, 3),
        // When nobody reports, the silent-hosts alarm speaks; this one must not call it healthy.
        missing: Missing::Ignore,
    }
}

fn failures<'a>(rhythm: &Rhythm) -> Alarm<'a> {
    Alarm {
        name: "failures".to_owned(),
        about: "At least one host found something broken in three of its last five rounds. The dashboard names causes \
                and hosts; on such a host: vpce-probe status"
            .to_owned(),
        runbook: "failures",
        condition: None,
        topic: Topic::Alarm,
        watch: watch(problems(Severity::Failure), Stat::Maximum, rhythm),
        bad: Bad::Above(json!(0)),
        periods: Periods::new(3, 5),
        missing: Missing::Ignore,
    }
}

fn warnings<'a>(rhythm: &Rhythm) -> Alarm<'a> {
    Alarm {
        name: "warnings".to_owned(),
        about: "At least one host found something that works, but not as it should, in three of its last five rounds. \
                On such a host: vpce-probe status"
            .to_owned(),
        runbook: "warnings",
        condition: Some("TellsWarnings"),
        topic: Topic::Notice,
        watch: watch(problems(Severity::Warning), Stat::Maximum, rhythm),
        ..failures(rhythm)
    }
}

fn sick_hosts<'a>(query: &str, rhythm: &Rhythm) -> Alarm<'a> {
    // A query sees the last three hours only.
    let of = (INSIGHTS_SEES / rhythm.urgent).clamp(1, 5);
    Alarm {
        name: "sick-hosts".to_owned(),
        about: "The hosts among the contributors are not healthy, whatever VPC they are in. On each of them: \
                vpce-probe status"
            .to_owned(),
        runbook: "sick-hosts",
        condition: Some("NamesSickHosts"),
        topic: Topic::Alarm,
        watch: Watch::Math(vec![json!({
            "Id": "sick",
            "Expression": query,
            "Period": rhythm.urgent,
            "ReturnData": true,
        })]),
        bad: Bad::Below(json!(1)),
        periods: Periods::new(of.min(3), of),
        // A healthy host has no such series.
        missing: Missing::NotBreaching,
    }
}

fn lost_data<'a>(rhythm: &Rhythm) -> Alarm<'a> {
    Alarm {
        name: "lost-data".to_owned(),
        about: "A host threw measurements away: its spool was full, or CloudWatch refused them. On that host: \
                vpce-probe status"
            .to_owned(),
        runbook: "lost-data",
        condition: None,
        topic: Topic::Notice,
        watch: watch(Series::of_vpc(Name::Lost), Stat::Maximum, rhythm),
        bad: Bad::Above(json!(0)),
        periods: Periods::new(1, 1),
        // A host that loses data says so itself; saying nothing is not losing.
        missing: Missing::NotBreaching,
    }
}

fn interfaces<'a>(named: &'a Named<'_>, rhythm: &Rhythm) -> Alarm<'a> {
    let target = &named.target.name;
    Alarm {
        name: format!("interfaces-{}", named.slug),
        about: format!(
            "Some addresses of {target} do not answer as they should: an endpoint interface is dead, or closed to some \
             hosts. On any host: vpce-probe status"
        ),
        runbook: "interfaces-target",
        condition: None,
        topic: Topic::Alarm,
        watch: watch(Series::of(Name::AddressSuccess, Dimension::Target, target), Stat::Average, rhythm),
        bad: Bad::Below(reference("LiveInterfaces")),
        periods: Periods::new(2, 3),
        // A target without an endpoint here has no data, and neither fine nor broken interfaces.
        missing: Missing::Unknown,
    }
}

fn certificate<'a>(named: &'a Named<'_>, rhythm: &Rhythm) -> Alarm<'a> {
    let target = &named.target.name;
    Alarm {
        name: format!("certificate-{}", named.slug),
        about: format!("The certificate that {target} shows ends soon. On any host: vpce-probe status --explain"),
        runbook: "certificate-target",
        condition: None,
        topic: Topic::Notice,
        watch: Watch::Series {
            series: Series::of(Name::CertificateDaysLeft, Dimension::Target, target),
            stat: Stat::Minimum,
            period: rhythm.scheduled.max(3600),
        },
        bad: Bad::Below(reference("CertificateDays")),
        periods: Periods::new(1, 1),
        missing: Missing::Unknown,
    }
}

const fn problems(severity: Severity) -> Series<'static> {
    Series::of(Name::Problems, Dimension::Severity, severity.as_str())
}

/// The period follows from how the metric goes out.
fn watch<'a>(series: Series<'a>, stat: Stat, rhythm: &Rhythm) -> Watch<'a> {
    let period = match series.name.metric().part {
        Part::Urgent => rhythm.urgent,
        Part::Scheduled => rhythm.scheduled,
    };
    Watch::Series { series, stat, period }
}

fn reference(parameter: &str) -> Value {
    json!({ "Ref": parameter })
}

/// How far a Metrics Insights alarm looks back, in seconds (CloudWatch User Guide).
const INSIGHTS_SEES: u64 = 3 * 3600;
