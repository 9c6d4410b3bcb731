//! Which sets of dimensions a value goes out under: METRICS, the config and what is known of the host, joined. The datums
//! and the list of series are both made here, so that they cannot differ.

use super::{Dimension, Metric, Set, Settings, datum::MOST_DIMENSIONS};
use crate::model::{cause::Cause, sample::Origin, verdict::Severity};

/// Names and values of one set.
pub(super) type Dimensions = Vec<(String, String)>;

/// What a value is about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Host,
    Target(&'a str),
    Severity(Severity),
    Cause(Cause),
}

/// Every set under which `metric` of `subject` is sent; none is there twice.
pub(super) fn sets(metric: &Metric, subject: Subject<'_>, origin: &Origin, settings: &Settings) -> Vec<Dimensions> {
    let own = metric.sets.iter().filter(|set| set.from <= settings.detail).map(|set| own(set, subject, origin));
    let extra = settings
        .extra_dimension_sets
        .iter()
        .filter(|names| is_for(names, metric, subject))
        .map(|names| extra(names, subject, origin));
    let mut found: Vec<Dimensions> = Vec::new();
    for set in own.chain(extra).flatten() {
        let set = with_fixed(set, &settings.fixed_dimensions);
        // A set of the config may be one that is there already: twice the values would be twice the weight.
        if !found.iter().any(|other| is_same(other, &set)) {
            found.push(set);
        }
    }
    found
}

/// A set of METRICS; `None` where the value is not about one of its dimensions, or that is not known.
fn own(set: &Set, subject: Subject<'_>, origin: &Origin) -> Option<Dimensions> {
    let mut found = Vec::new();
    for dimension in set.dimensions {
        let pair = match dimension {
            // Values of hosts that do not know their VPC stand together by region, and else all together.
            Dimension::Vpc => {
                let vpc = pair("VpcId", origin.vpc_id.as_deref());
                found.extend(vpc.or_else(|| pair("Region", origin.region.as_deref())));
                continue;
            }
            Dimension::Instance => pair("InstanceId", origin.instance_id.as_deref()),
            Dimension::Target | Dimension::Severity | Dimension::Cause => {
                pair(dimension.as_str(), topic(*dimension, subject))
            }
        };
        // Without it the value would fall into a series that is about something else.
        found.push(pair?);
    }
    Some(found)
}

fn topic(dimension: Dimension, subject: Subject<'_>) -> Option<&str> {
    match (dimension, subject) {
        (Dimension::Target, Subject::Target(name)) => Some(name),
        (Dimension::Severity, Subject::Severity(severity)) => Some(severity.as_str()),
        (Dimension::Cause, Subject::Cause(cause)) => Some(cause.as_str()),
        (
            Dimension::Vpc | Dimension::Instance | Dimension::Target | Dimension::Severity | Dimension::Cause,
            Subject::Host | Subject::Target(_) | Subject::Severity(_) | Subject::Cause(_),
        ) => None,
    }
}

/// A set of the config stands beside `VpcId`, or with `Target` beside `VpcId` and `Target`: the former is for what there
/// is one of for each host (`Healthy`, `Delivered`, `Lost`), the latter for what there is of each target.
fn is_for(names: &[String], metric: &Metric, subject: Subject<'_>) -> bool {
    let of_target = names.iter().any(|name| name == "Target");
    let beside: &[Dimension] = match subject {
        Subject::Host if !of_target => &[Dimension::Vpc],
        Subject::Target(_) if of_target => &[Dimension::Vpc, Dimension::Target],
        Subject::Host | Subject::Target(_) | Subject::Severity(_) | Subject::Cause(_) => return false,
    };
    metric.sets.iter().any(|set| set.dimensions == beside)
}

/// A set of the config; `None` where one of its dimensions is not known here.
fn extra(names: &[String], subject: Subject<'_>, origin: &Origin) -> Option<Dimensions> {
    let value = |name: &str| match name {
        "Target" => topic(Dimension::Target, subject),
        "VpcId" => origin.vpc_id.as_deref(),
        "Region" => origin.region.as_deref(),
        "AvailabilityZone" => origin.availability_zone.as_deref(),
        "AvailabilityZoneId" => origin.availability_zone_id.as_deref(),
        "SubnetId" => origin.subnet_id.as_deref(),
        "InstanceId" => origin.instance_id.as_deref(),
        _ => None,
    };
    let mut found: Dimensions = Vec::new();
    for name in names {
        let pair = pair(name, value(name))?;
        if !found.contains(&pair) {
            found.push(pair);
        }
    }
    Some(found)
}

fn with_fixed(mut set: Dimensions, fixed: &[(String, String)]) -> Dimensions {
    for (name, value) in fixed {
        if let Some((name, value)) = pair(name, Some(value))
            && set.len() < MOST_DIMENSIONS
            && !set.iter().any(|(other, _)| *other == name)
        {
            set.push((name, value));
        }
    }
    set
}

fn is_same(one: &Dimensions, other: &Dimensions) -> bool {
    one.len() == other.len() && one.iter().all(|pair| other.contains(pair))
}

/// A dimension that CloudWatch takes (CloudWatch API Reference, `Dimension`); `None` where nothing is left of it.
fn pair(name: &str, value: Option<&str>) -> Option<(String, String)> {
    let name = clean(name.trim_start_matches(|c: char| c == ':' || c.is_whitespace()), 255);
    let value = clean(value?, 1024);
    (!name.is_empty() && !value.is_empty()).then_some((name, value))
}

/// Printable ASCII without blanks around it, at most so many characters of it; `_` stands for anything else.
fn clean(text: &str, longest: usize) -> String {
    let text = text.trim();
    if text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        // As good as always: hundreds of times in a request.
        return text.to_owned();
    }
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '_' };
    let text: String = text.chars().map(printable).take(longest).collect();
    // The cut may have left a blank at the end.
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Dimensions, Subject, pair, sets};
    use crate::{
        metric::{Detail, Name, Settings},
        model::{cause::Cause, sample::Origin, verdict::Severity},
    };

    fn known() -> Origin {
        Origin {
            instance_id: Some("i-1".to_owned()),
            region: Some("eu-west-1".to_owned()),
            vpc_id: Some("vpc-1".to_owned()),
            subnet_id: None,
            availability_zone: Some("eu-west-1a".to_owned()),
            availability_zone_id: Some("euw1-az1".to_owned()),
        }
    }

    fn settings(detail: Detail, extra: &[&[&str]], fixed: &[(&str, &str)]) -> Settings {
        let owned = |text: &&str| (*text).to_owned();
        Settings {
            namespace: "VpceProbe".to_owned(),
            detail,
            fixed_dimensions: fixed.iter().map(|(name, value)| (owned(name), owned(value))).collect(),
            extra_dimension_sets: extra.iter().map(|set| set.iter().map(owned).collect()).collect(),
            interval: Duration::from_mins(1),
            flush_interval: Duration::from_mins(5),
        }
    }

    /// `A=1 B=2`, a set each.
    fn shown(sets: &[Dimensions]) -> Vec<String> {
        let set = |set: &Dimensions| set.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        sets.iter().map(|dimensions| set(dimensions).join(" ")).collect()
    }

    fn of(name: Name, subject: Subject<'_>, origin: &Origin, settings: &Settings) -> Vec<String> {
        shown(&sets(name.metric(), subject, origin, settings))
    }

    #[test]
    fn without_a_vpc_the_region_stands_in_and_without_both_nothing() {
        let plain = settings(Detail::Fleet, &[], &[]);
        let ssm = Subject::Target("ssm");
        assert_eq!(of(Name::Success, ssm, &known(), &plain), ["VpcId=vpc-1 Target=ssm"]);
        let no_vpc = Origin { vpc_id: None, ..known() };
        assert_eq!(of(Name::Success, ssm, &no_vpc, &plain), ["Region=eu-west-1 Target=ssm"]);
        assert_eq!(of(Name::Healthy, Subject::Host, &no_vpc, &plain), ["Region=eu-west-1"]);
        assert_eq!(of(Name::Success, ssm, &Origin::default(), &plain), ["Target=ssm"]);
        assert_eq!(of(Name::Healthy, Subject::Host, &Origin::default(), &plain), [""]);
        let blank = Origin { vpc_id: Some(" ".to_owned()), ..known() };
        assert_eq!(of(Name::Healthy, Subject::Host, &blank, &plain), ["Region=eu-west-1"]);
    }

    #[test]
    fn what_names_no_instance_is_not_sent_in_its_name() {
        let plain = settings(Detail::Instance, &[], &[]);
        let nobody = Origin { instance_id: None, ..known() };
        assert!(of(Name::InstanceHealthy, Subject::Host, &nobody, &plain).is_empty());
        assert!(of(Name::Heartbeat, Subject::Host, &nobody, &plain).is_empty());
        assert_eq!(of(Name::Success, Subject::Target("ssm"), &nobody, &plain), ["VpcId=vpc-1 Target=ssm"]);
        assert!(of(Name::Success, Subject::Target(""), &known(), &plain).is_empty());
    }

    #[test]
    fn the_detail_decides_about_steady_series_of_a_host() {
        fn check(detail: Detail, heartbeat: usize, success: usize) {
            let settings = settings(detail, &[], &[]);
            assert_eq!(of(Name::Heartbeat, Subject::Host, &known(), &settings).len(), heartbeat, "{detail:?}");
            assert_eq!(of(Name::Success, Subject::Target("ssm"), &known(), &settings).len(), success, "{detail:?}");
            assert_eq!(of(Name::InstanceHealthy, Subject::Host, &known(), &settings), ["InstanceId=i-1"]);
        }
        check(Detail::Fleet, 0, 1);
        check(Detail::Heartbeat, 1, 1);
        check(Detail::Instance, 1, 2);
    }

    #[test]
    fn problems_stand_by_severity_and_by_cause() {
        let plain = settings(Detail::Fleet, &[&["Region"], &["Region", "Target"]], &[]);
        let failure = Subject::Severity(Severity::Failure);
        assert_eq!(of(Name::Problems, failure, &known(), &plain), ["VpcId=vpc-1 Severity=failure"]);
        let cause = Subject::Cause(Cause::TcpTimeout);
        assert_eq!(of(Name::Problems, cause, &known(), &plain), ["VpcId=vpc-1 Cause=tcp-timeout"]);
    }

    #[test]
    fn a_set_of_the_config_stands_beside_the_vpcs() {
        let extra = settings(
            Detail::Fleet,
            &[&["AvailabilityZoneId", "Target"], &["Region"], &["SubnetId"], &["SubnetId", "Target"]],
            &[],
        );
        let ssm = Subject::Target("ssm");
        let both = ["VpcId=vpc-1 Target=ssm", "AvailabilityZoneId=euw1-az1 Target=ssm"];
        for name in [Name::Success, Name::AddressSuccess, Name::ConnectTime, Name::PathMtuOut] {
            // The subnet is not known here.
            assert_eq!(of(name, ssm, &known(), &extra), both, "{name:?}");
        }
        for name in [Name::Healthy, Name::Delivered, Name::Lost] {
            assert_eq!(of(name, Subject::Host, &known(), &extra), ["VpcId=vpc-1", "Region=eu-west-1"], "{name:?}");
        }
        assert_eq!(of(Name::InstanceHealthy, Subject::Host, &known(), &extra), ["InstanceId=i-1"]);
    }

    #[test]
    fn no_set_is_there_twice() {
        let extra = settings(
            Detail::Instance,
            &[&["Target", "VpcId"], &["Target", "InstanceId"], &["Region", "Region"], &["VpcId"]],
            &[],
        );
        let ssm = Subject::Target("ssm");
        assert_eq!(of(Name::Success, ssm, &known(), &extra), ["VpcId=vpc-1 Target=ssm", "InstanceId=i-1 Target=ssm"]);
        // The set of the metric's own turned into the config's.
        let no_vpc = Origin { vpc_id: None, ..known() };
        assert_eq!(of(Name::Healthy, Subject::Host, &no_vpc, &extra), ["Region=eu-west-1"]);
    }

    #[test]
    fn fixed_dimensions_are_on_every_set_and_never_too_many() {
        let extra = settings(Detail::Fleet, &[&["Region"]], &[("Team", "core"), (" Team", "x"), ("VpcId", "y")]);
        assert_eq!(
            of(Name::Healthy, Subject::Host, &known(), &extra),
            ["VpcId=vpc-1 Team=core", "Region=eu-west-1 Team=core VpcId=y"]
        );
        let names: Vec<String> = (0..40).map(|number| format!("N{number}")).collect();
        let fixed: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let many = settings(Detail::Fleet, &[], &fixed);
        let found = sets(Name::Success.metric(), Subject::Target("ssm"), &known(), &many);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [30]);
    }

    #[test]
    fn names_and_values_keep_cloudwatchs_rules() {
        fn check(name: &str, value: &str, expected: Option<(&str, &str)>) {
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(pair(name, Some(value)), expected, "{name:?} {value:?}");
        }
        check("Target", "vault.corp.example:8443", Some(("Target", "vault.corp.example:8443")));
        check("Target", "  b\u{e4}d\tname\u{7f}\u{1f600} ", Some(("Target", "b_d_name__")));
        check(" : :Team", "core", Some(("Team", "core")));
        check("\t:\n:Team", "core", Some(("Team", "core")));
        check("::", "core", None);
        check("Team", " \n ", None);
        check("", "core", None);
        let long = "x".repeat(3000);
        let found = pair(&long, Some(&long)).expect("something is left");
        assert_eq!((found.0.len(), found.1.len()), (255, 1024));
        let cut = format!("{} y", "x".repeat(1023));
        assert_eq!(pair("T", Some(&cut)).map(|(_, value)| value.len()), Some(1023));
        assert_eq!(pair("Team", None), None);
    }
}
