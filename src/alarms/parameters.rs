//! What whoever deploys the template chooses.

use serde_json::{Map, Value, json};

use super::Fleet;

/// `Parameters`.
pub(super) fn parameters(fleet: &Fleet<'_>) -> Value {
    let mut parameters = Map::new();
    let mut add = |name: &str, parameter: Value| parameters.insert(name.to_owned(), parameter);
    add(
        "VpcId",
        json!({
            "Type": "String", "Default": fleet.vpc_id.unwrap_or_default(), "AllowedPattern": "^(vpc-[0-9a-z]+)?$",
            "Description": "The VPC whose hosts are watched. Empty: hosts that do not know their VPC, by their region.",
        }),
    );
    add("AlarmTopicArn", topic("something is broken now"));
    add("NoticeTopicArn", topic("it can wait until the morning: certificates, lost data, warnings"));
    add(
        "ExpectedHosts",
        json!({
            "Type": "Number", "Default": fleet.expected_hosts.unwrap_or(1), "MinValue": 1,
            "Description": "How many hosts should report; without effect where an Auto Scaling group is named.",
        }),
    );
    let first = fleet.groups.first().map_or("", String::as_str);
    add(
        &group_parameter(1),
        json!({
            "Type": "String", "Default": first,
            "Description": "The Auto Scaling group of the hosts: as many should report as are in service there. \
                            Its group metrics must be enabled (GroupInServiceInstances). Empty: ExpectedHosts counts.",
        }),
    );
    for (number, group) in (2..).zip(fleet.groups.iter().skip(1)) {
        add(
            &group_parameter(number),
            json!({ "Type": "String", "Default": group, "MinLength": 1, "Description": "A further group of the hosts." }),
        );
    }
    add(
        "ToleratedShare",
        number(
            &json!(0.01),
            &json!(0.9),
            "Share of the expected hosts that may be silent, for skipped rounds and reboots; half a host is tolerated anyway.",
        ),
    );
    add(
        "SilentPeriods",
        json!({
            // A host counts as in service before its daemon runs: one complete period may show that, two do not.
            "Type": "Number", "Default": if fleet.groups.is_empty() { 2 } else { 3 }, "MinValue": 2, "MaxValue": 6,
            "Description": "How many periods in a row hosts must be missing. The newest one is always incomplete, so one \
                            less is what decides. More: reboots of many hosts at once go unnoticed, and silence longer.",
        }),
    );
    add(
        "HealthyShare",
        number(
            &json!(0.85),
            &json!(1),
            "Less than this share of healthy hosts is an alarm. Not 0.9: that is what ten hosts with one sick host read.",
        ),
    );
    add(
        "LiveInterfaces",
        number(
            &json!(0.99),
            &json!(1),
            "Less than this share of live addresses of a target is an alarm: one dead interface of three reads 0.67.",
        ),
    );
    add("AlarmOnWarnings", choice("no", "Whether warnings are told as well, and not only failures."));
    add(
        "AlarmOnSickHosts",
        choice("yes", "Whether sick hosts are named. The series has no VPC: one stack in a region is enough."),
    );
    if !fleet.expiry_warning.is_zero() {
        add(
            "CertificateDays",
            json!({
                "Type": "Number", "Default": certificate_days(fleet), "MinValue": 1,
                "Description": "Fewer whole days until a certificate ends are told.",
            }),
        );
    }
    Value::Object(parameters)
}

/// `Conditions`.
pub(super) fn conditions() -> Value {
    let given = |parameter: &str| json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": parameter }, ""] }] });
    let yes = |parameter: &str| json!({ "Fn::Equals": [{ "Ref": parameter }, "yes"] });
    json!({
        "HasVpc": given("VpcId"),
        "HasAlarmTopic": given("AlarmTopicArn"),
        "HasNoticeTopic": given("NoticeTopicArn"),
        "HasGroup": given(&group_parameter(1)),
        "HasNoGroup": { "Fn::Equals": [{ "Ref": group_parameter(1) }, ""] },
        "TellsWarnings": yes("AlarmOnWarnings"),
        "NamesSickHosts": yes("AlarmOnSickHosts"),
    })
}

/// The parameter that names the group of that number, from 1.
pub(super) fn group_parameter(number: usize) -> String {
    match number {
        1 => "AutoScalingGroupName".to_owned(),
        _ => format!("AutoScalingGroupName{number}"),
    }
}

/// A part of a day counts as one: fewer than no days are never left.
fn certificate_days(fleet: &Fleet<'_>) -> u64 {
    fleet.expiry_warning.as_secs().div_ceil(24 * 60 * 60).max(1)
}

fn topic(when: &str) -> Value {
    json!({
        "Type": "String", "Default": "", "AllowedPattern": "^(arn:.+)?$",
        "Description": format!("The SNS topic that is told when {when}. Empty: nobody is told."),
    })
}

fn number(default: &Value, most: &Value, about: &str) -> Value {
    json!({ "Type": "Number", "Default": default, "MinValue": 0, "MaxValue": most, "Description": about })
}

fn choice(default: &str, about: &str) -> Value {
    json!({ "Type": "String", "Default": default, "AllowedValues": ["yes", "no"], "Description": about })
}
