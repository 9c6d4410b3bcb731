//! `[cloudwatch]`: the rules of `PutMetricData` (CloudWatch API Reference, `MetricDatum` and `Dimension`), so that it is
//! the operator who reads of them, and not a daemon at night.

use std::time::Duration;

use super::value;
use crate::config::{
    CloudWatch,
    bounds::{CREDENTIALS, DETAILS, DOLLARS, FLUSH, LONGEST_NAME, MOST_FIXED, SPOOL},
    diagnostic::{Report, quoted},
    duration::show,
    raw::{At, Setting, Table, Value},
    suggest,
};

/// Dimensions that can stand in `extra_dimension_sets`.
pub const DIMENSIONS: &[&str] =
    &["Target", "VpcId", "Region", "AvailabilityZone", "AvailabilityZoneId", "SubnetId", "InstanceId"];

pub(super) fn read(table: &Table<'_>, interval: &Setting<Duration>, report: &mut Report<'_>) -> CloudWatch {
    let defaults = CloudWatch::default();
    let enabled = table.read("enabled", report, Value::flag);
    let namespace = table.read("namespace", report, namespace);
    let flush = table.read("flush_interval", report, |value, report| value::duration(value, &FLUSH, report));
    let detail = table.read("detail", report, |value, report| value::word(value, DETAILS, report));
    let endpoint_url = table.read("endpoint_url", report, endpoint_url);
    let fips = table.read("fips", report, Value::flag);
    let dual_stack = table.read("dual_stack", report, Value::flag);
    let credentials = table.read("credentials", report, |value, report| value::word(value, CREDENTIALS, report));
    let fixed = table.read("fixed_dimensions", report, fixed_dimensions);
    let own: Vec<String> =
        fixed.at().into_iter().flat_map(|at| at.value.iter().map(|(name, _)| name.clone())).collect();
    let extra = table.read("extra_dimension_sets", report, |value, report| dimension_sets(value, &own, report));
    let usd = table.read("monthly_warning_usd", report, dollars);
    let spool = table.table("spool", "cloudwatch.spool", report);
    let spool_max_size = spool.read("max_size", report, |value, report| value::size(value, &SPOOL, report));

    if let Some(flush) = flush.at()
        && let Some(interval) = interval.or_default(crate::config::Config::default().interval)
        && flush.value < interval
    {
        let what = format!("flush_interval {} is shorter than interval {}", show(flush.value), show(interval));
        let hint = format!("nothing new is there to ship; write \"{}\" or more", show(interval));
        report.error(&flush.span, what, Some(hint));
    }
    if endpoint_url.at().is_some() {
        for (key, flag) in [("fips", &fips), ("dual_stack", &dual_stack)] {
            if let Some(At { value: true, span }) = flag.at() {
                report.error(
                    span,
                    format!("{key} chooses the endpoint's name, and endpoint_url gives it"),
                    Some(format!("remove {key}, or endpoint_url")),
                );
            }
        }
    }
    CloudWatch {
        enabled: enabled.value().unwrap_or(defaults.enabled),
        namespace: namespace.value().unwrap_or(defaults.namespace),
        flush_interval: flush.value().unwrap_or(defaults.flush_interval),
        detail: detail.value().unwrap_or(defaults.detail),
        endpoint_url: endpoint_url.value(),
        fips: fips.value().unwrap_or(defaults.fips),
        dual_stack: dual_stack.value().unwrap_or(defaults.dual_stack),
        credentials: credentials.value().unwrap_or(defaults.credentials),
        fixed_dimensions: fixed.value().unwrap_or_default(),
        extra_dimension_sets: extra.value().unwrap_or_default(),
        monthly_warning_usd: usd.value().unwrap_or(defaults.monthly_warning_usd),
        spool_max_size: spool_max_size.value().unwrap_or(defaults.spool_max_size),
    }
}

fn namespace(value: Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value::plain(value, report)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '#' | ':' | ' ');
    let (problem, hint) = if text.len() > LONGEST_NAME {
        ("is longer than 255 characters", "write a shorter one".to_owned())
    } else if text.starts_with(':') {
        ("begins with \":\"", format!("write {}", quoted(text.trim_start_matches(':'))))
    } else if text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("aws/")) {
        let rest: String = text.chars().skip(4).collect();
        ("begins with \"AWS/\", which AWS keeps for itself", format!("write {}", quoted(&rest)))
    } else if !text.chars().all(allowed) {
        ("has characters that CloudWatch refuses", "use a-z, A-Z, 0-9 and . - _ / # :".to_owned())
    } else {
        return Some(text.to_owned());
    };
    report.error(&value.span(), format!("{}: {} {problem}", value.key, quoted(text)), Some(hint));
    None
}

fn endpoint_url(value: Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value::plain(value, report)?;
    let lower = text.to_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let (problem, hint) = match rest {
        None if !text.contains("://") => ("has no scheme", format!("write {}", quoted(&format!("https://{text}")))),
        None => ("is neither https:// nor http://", URL_HINT.to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':', '?', '#']) => {
            ("names no host", URL_HINT.to_owned())
        }
        Some(rest) if rest.contains(['?', '#', '@']) => {
            ("has more than a host, a port and a path", URL_HINT.to_owned())
        }
        Some(_) if !text.bytes().all(|b| b.is_ascii_graphic()) => {
            ("has characters that no URL has", URL_HINT.to_owned())
        }
        Some(rest) => {
            let loopback = ["localhost", "127.", "[::1]"].iter().any(|host| rest.starts_with(host));
            if lower.starts_with("http://") && !loopback {
                let what = format!("{}: metrics and signatures would travel unencrypted", value.key);
                report.warn(&value.span(), what, Some(format!("write {}", quoted(&format!("https://{rest}")))));
            }
            return Some(text.to_owned());
        }
    };
    report.error(&value.span(), format!("{}: {} {problem}", value.key, quoted(text)), Some(hint));
    None
}

fn fixed_dimensions(value: Value<'_>, report: &mut Report<'_>) -> Option<Vec<(String, String)>> {
    let pairs = value.pairs(report)?;
    let count = pairs.len();
    let mut read = Vec::new();
    for (name, value) in pairs {
        let known = dimension_name(&name, report);
        let text = value.text(report).and_then(|text| dimension_text(text, 1024, &value, report));
        if let (Some(name), Some(text)) = (known, text) {
            read.push((name, text));
        }
    }
    if count > MOST_FIXED {
        report.error(
            &value.span(),
            format!("{}: {count} dimensions are too many", value.key),
            Some(format!("keep {MOST_FIXED}: a metric has at most 30, and some are vpce-probe's own")),
        );
        return None;
    }
    (read.len() == count).then_some(read)
}

/// The name of a fixed dimension: CloudWatch's rules, and none of the names that are set already.
fn dimension_name(name: &At<&str>, report: &mut Report<'_>) -> Option<String> {
    let hint = "write a name in plain ASCII of 1 to 255 characters, not beginning with \":\"".to_owned();
    let text = name.value;
    if !is_dimension_text(text, LONGEST_NAME) || text.starts_with(':') {
        report.error(&name.span, format!("{} cannot name a dimension", quoted(text)), Some(hint));
        return None;
    }
    if DIMENSIONS.contains(&text) || OWN.contains(&text) {
        let what = format!("{} is a dimension that vpce-probe sets itself", quoted(text));
        report.error(&name.span, what, Some("give it another name".to_owned()));
        return None;
    }
    Some(text.to_owned())
}

fn dimension_text(text: &str, most: usize, value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    if is_dimension_text(text, most) {
        return Some(text.to_owned());
    }
    let hint = format!("write 1 to {most} characters of plain ASCII, not all blank");
    report.error(&value.span(), format!("{}: {} cannot be a dimension's value", value.key, quoted(text)), Some(hint));
    None
}

fn is_dimension_text(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

fn dimension_sets(value: Value<'_>, fixed: &[String], report: &mut Report<'_>) -> Option<Vec<Vec<String>>> {
    let sets = value.list(report, |set, report| {
        if !set.is_list() {
            set.wrong(
                "a list of names within the list",
                Some("write [[\"Target\", \"Region\"]], with two brackets".to_owned()),
                report,
            );
            return None;
        }
        let names = set.list(report, |item, report| dimension(item, fixed, report))?;
        if names.is_empty() {
            report.error(&set.span(), format!("{}: a set without a dimension", set.key), Some("remove it".to_owned()));
            return None;
        }
        value::warn_of_repeats(set.key, &names, report);
        Some(names.into_iter().map(|at| at.value).collect::<Vec<String>>())
    })?;
    let sorted = |set: &[String]| {
        let mut set = set.to_vec();
        set.sort();
        set.dedup();
        set
    };
    for (nth, set) in sets.iter().enumerate() {
        if sets.iter().take(nth).any(|earlier| sorted(&earlier.value) == sorted(&set.value)) {
            let what = format!("{}: this set stands here twice", value.key);
            report.error(&set.span, what, Some("remove one: each set is paid for".to_owned()));
        }
    }
    Some(sets.into_iter().map(|set| set.value).collect())
}

fn dimension(value: Value<'_>, fixed: &[String], report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    if DIMENSIONS.contains(&text) {
        return Some(text.to_owned());
    }
    let (what, hint) = if fixed.iter().any(|name| name == text) {
        (format!("{} is in fixed_dimensions and so in every set", quoted(text)), "remove it here".to_owned())
    } else {
        let list = suggest::one_of(DIMENSIONS);
        let hint = match suggest::nearest(text, DIMENSIONS.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? allowed: {list}"),
            None => format!("write {list}; put a dimension of your own into fixed_dimensions"),
        };
        (format!("{} is not a dimension that vpce-probe knows", quoted(text)), hint)
    };
    report.error(&value.span(), format!("{}: {what}", value.key), Some(hint));
    None
}

fn dollars(value: Value<'_>, report: &mut Report<'_>) -> Option<f64> {
    let number = value.number(report)?;
    if DOLLARS.contains(&number) {
        return Some(number);
    }
    let what = format!("{}: {number} is out of range", value.key);
    report.error(&value.span(), what, Some(format!("write a number from {} to {}", DOLLARS.start(), DOLLARS.end())));
    None
}

/// Dimensions that vpce-probe sets, beside [`DIMENSIONS`].
const OWN: &[&str] = &["Severity", "Cause"];

const URL_HINT: &str = "write it like \"https://monitoring.eu-west-1.amazonaws.com\"";
