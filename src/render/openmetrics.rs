//! The round as OpenMetrics 1.0, in the subset that `node_exporter`'s textfile collector reads too: gauges only, no
//! timestamps, base units.

use std::collections::BTreeSet;

use super::{Glyphs, figures, text};
use crate::model::{
    cause::Stage,
    observation::ResolverRole,
    round::{AddressReport, Round, TargetReport},
    units::{Millis, Timestamp},
    verdict::{Problem, RoundVerdict, Verdict},
};

/// The exposition, ending with `# EOF`.
#[must_use]
pub fn render(round: &Round) -> String {
    let mut families: Vec<Family> = METRICS.iter().map(Family::new).collect();
    let mut add = |metric: Name, labels: &[(&str, &str)], value: f64| {
        if let Some(family) = families.iter_mut().find(|family| family.metric.name == metric) {
            family.add(labels, value);
        }
    };
    whole(round, &mut add);
    for report in &round.targets {
        target(report, &mut add);
        for seen in &report.addresses {
            address(&report.target.name, seen, &mut add);
        }
    }
    let mut out = String::new();
    for family in &families {
        family.write(&mut out);
    }
    out.push_str("# EOF\n");
    out
}

/// Takes one sample.
type Add<'a> = dyn FnMut(Name, &[(&str, &str)], f64) + 'a;

fn whole(round: &Round, add: &mut Add<'_>) {
    let host = &round.host;
    let word = |value: &Option<String>| value.clone().unwrap_or_default();
    add(Name::Build, &[("version", &round.version)], 1.0);
    add(
        Name::Host,
        &[
            ("instance_id", &word(&host.instance_id)),
            ("region", &word(&host.region)),
            ("availability_zone", &word(&host.availability_zone)),
            ("availability_zone_id", &word(&host.availability_zone_id)),
            ("vpc_id", &word(&host.vpc_id)),
            ("subnet_id", &word(&host.subnet_id)),
        ],
        1.0,
    );
    for verdict in [RoundVerdict::Healthy, RoundVerdict::Degraded, RoundVerdict::Failed] {
        add(Name::RoundVerdict, &[("verdict", verdict.as_str())], truth(round.verdict == verdict));
    }
    add(Name::RoundStart, &[], seconds_since_epoch(round.started_at));
    add(Name::RoundDuration, &[], seconds(round.elapsed_ms));
    for problem in &host.problems {
        add(Name::HostProblem, &[("cause", problem.cause.as_str()), ("severity", problem.severity.as_str())], 1.0);
    }
    for finding in &round.findings {
        add(Name::Finding, &[("cause", finding.cause.as_str()), ("severity", finding.severity.as_str())], 1.0);
    }
    if let Some(interval) = round.interval_s {
        add(Name::Interval, &[], interval);
        add(Name::Starting, &[], truth(round.starting));
    }
    for failed in round.last_failure.iter().flat_map(|last| &last.targets) {
        let name = failed.report.target.name.as_str();
        add(Name::LastFailure, &[("target", name)], seconds_since_epoch(failed.failed_at));
    }
    let Some(shipping) = &round.shipping else { return };
    for problem in &shipping.problems {
        add(Name::ShippingProblem, &[("cause", problem.cause.as_str())], 1.0);
    }
    if let Some(at) = shipping.last_ok {
        add(Name::Delivered, &[], seconds_since_epoch(at));
    }
    if let Some(oldest) = shipping.oldest {
        add(Name::Oldest, &[], seconds_since_epoch(oldest));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let (spooled, lost) = (shipping.spooled as f64, shipping.lost as f64);
    add(Name::Spooled, &[], spooled);
    add(Name::Lost, &[], lost);
}

fn target(report: &TargetReport, add: &mut Add<'_>) {
    let plan = &report.target;
    let name = ("target", plan.name.as_str());
    let required = if plan.required { "true" } else { "false" };
    let service = plan.service.as_deref().unwrap_or_default();
    add(Name::Target, &[name, ("service", service), ("host", &plan.host), ("required", required)], 1.0);
    for verdict in [Verdict::Healthy, Verdict::Degraded, Verdict::Failed, Verdict::Skipped] {
        add(Name::TargetVerdict, &[name, ("verdict", verdict.as_str())], truth(report.verdict == verdict));
    }
    if report.verdict != Verdict::Skipped {
        add(Name::TargetSuccess, &[name], truth(report.verdict != Verdict::Failed));
    }
    if let Some(cause) = report.cause {
        let stage = report.stage.map_or("", Stage::as_str);
        add(Name::TargetCause, &[name, ("cause", cause.as_str()), ("stage", stage)], 1.0);
    }
    if let Some(since) = report.since {
        add(Name::TargetSince, &[name], seconds_since_epoch(since));
    }
    let kind = |problem: &Problem| (problem.cause, problem.severity);
    for problem in &report.problems {
        let count = report.problems.iter().filter(|other| kind(other) == kind(problem)).count();
        let labels = [name, ("cause", problem.cause.as_str()), ("severity", problem.severity.as_str())];
        #[expect(clippy::cast_precision_loss, reason = "a count of problems in memory")]
        add(Name::Problems, &labels, count as f64);
    }
    add(Name::ResolveSuccess, &[name], truth(report.resolve.outcome.is_ok()));
    add(Name::ResolveDuration, &[name], seconds(report.resolve.elapsed_ms));
    for record in &report.resolvers {
        let Some(resolver) = record.resolver else { continue };
        let role = match record.role {
            ResolverRole::System => "system",
            ResolverRole::Vpc => "vpc",
        };
        let resolver = resolver.to_string();
        let labels = [name, ("resolver", resolver.as_str()), ("role", role)];
        add(Name::ResolverSuccess, &labels, truth(record.outcome.is_ok()));
        add(Name::ResolverDuration, &labels, seconds(record.elapsed_ms));
    }
}

fn address(target: &str, report: &AddressReport, add: &mut Add<'_>) {
    let record = &report.record;
    let address = record.address.to_string();
    let base = [("target", target), ("address", address.as_str())];
    let with = |name, value| [base.as_slice(), &[(name, value)]].concat();
    if report.verdict != Verdict::Skipped {
        add(Name::AddressSuccess, &with("place", record.place.as_str()), truth(report.verdict != Verdict::Failed));
    }
    if let Some(cause) = report.cause {
        let stage = report.stage.map_or("", Stage::as_str);
        add(Name::AddressCause, &[base.as_slice(), &[("cause", cause.as_str()), ("stage", stage)]].concat(), 1.0);
    }
    for at in figures::TIMED {
        if let Some((outcome, elapsed)) = figures::stage(record, at) {
            add(Name::StageSuccess, &with("stage", at.as_str()), truth(outcome.is_ok()));
            add(Name::StageDuration, &with("stage", at.as_str()), seconds(elapsed));
        }
    }
    if let Some(until) = record.tls.as_ref().and_then(|tls| tls.not_after) {
        add(Name::CertificateEnd, &base, seconds_since_epoch(until));
    }
    if let Some(status) = record.http.as_ref().and_then(|http| http.status) {
        add(Name::HttpStatus, &base, f64::from(status));
    }
    if let Some(skew) = record.http.as_ref().and_then(|http| http.clock_skew_s) {
        add(Name::ClockSkew, &base, skew);
    }
    if let Some(bytes) = record.mtu.as_ref().and_then(|mtu| mtu.out_ok) {
        add(Name::MtuOut, &base, f64::from(bytes));
    }
    if let Some(bytes) = record.mtu.as_ref().and_then(|mtu| mtu.in_seen) {
        add(Name::MtuIn, &base, f64::from(bytes));
    }
}

const fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Exact to the hundredth of a millisecond that the report keeps.
fn seconds(elapsed: Millis) -> f64 {
    (elapsed.as_f64() * 100.0).round() / 100_000.0
}

fn seconds_since_epoch(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53 until the year 287396")]
    let millis = (at.moment().unix_timestamp_nanos() / 1_000_000) as f64;
    millis / 1000.0
}

/// One metric family and its samples so far.
struct Family {
    metric: &'static Metric,
    labels: BTreeSet<String>,
    samples: Vec<String>,
}

impl Family {
    const fn new(metric: &'static Metric) -> Self {
        Self { metric, labels: BTreeSet::new(), samples: Vec::new() }
    }

    /// Adds a sample unless its labels are taken: a duplicate would void the whole exposition. So would NaN to most
    /// readers.
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        if value.is_finite() && self.labels.insert(labels.clone()) {
            self.samples.push(format!("{}{}{labels} {value}\n", PREFIX, self.metric.suffix));
        }
    }

    fn write(&self, out: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        let Metric { suffix, unit, help, .. } = self.metric;
        let name = format!("{PREFIX}{suffix}");
        let mut lines = vec![format!("# HELP {name} {help}\n"), format!("# TYPE {name} gauge\n")];
        lines.extend(unit.map(|unit| format!("# UNIT {name} {unit}\n")));
        out.push_str(&lines.concat());
        out.push_str(&self.samples.concat());
    }
}

fn escape(value: &str) -> String {
    text::cut(value, LABEL, Glyphs::Unicode).replace('\\', "\\\\").replace('"', "\\\"")
}

const PREFIX: &str = "vpce_probe_";
/// Columns of a label value: a host name has at most 253.
const LABEL: usize = 255;

/// What is exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Build,
    Host,
    RoundVerdict,
    RoundStart,
    RoundDuration,
    Finding,
    HostProblem,
    Target,
    TargetVerdict,
    TargetSuccess,
    TargetCause,
    TargetSince,
    Problems,
    ResolveSuccess,
    ResolveDuration,
    ResolverSuccess,
    ResolverDuration,
    AddressSuccess,
    AddressCause,
    StageSuccess,
    StageDuration,
    CertificateEnd,
    HttpStatus,
    ClockSkew,
    MtuOut,
    MtuIn,
    Interval,
    Starting,
    LastFailure,
    ShippingProblem,
    Delivered,
    Oldest,
    Spooled,
    Lost,
}

/// A family's metadata.
struct Metric {
    name: Name,
    suffix: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
}

const fn metric(name: Name, suffix: &'static str, help: &'static str) -> Metric {
    Metric { name, suffix, unit: None, help }
}

const fn measured(name: Name, suffix: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric { name, suffix, unit: Some(unit), help }
}

const SECONDS: &str = "seconds";

/// In the order of the exposition.
const METRICS: &[Metric] = &[
    metric(Name::Build, "build_info", "The version of vpce-probe; always 1."),
    metric(Name::Host, "host_info", "Where the round was made; always 1."),
    metric(Name::RoundVerdict, "round_verdict", "1 for the verdict over the round, 0 for the others."),
    measured(Name::RoundStart, "round_start_timestamp_seconds", SECONDS, "When the round started."),
    measured(Name::RoundDuration, "round_duration_seconds", SECONDS, "How long the round took, host facts included."),
    metric(Name::Finding, "finding", "A conclusion over the round; always 1."),
    metric(Name::HostProblem, "host_problem", "A problem of the host itself, never part of the verdict; always 1."),
    metric(Name::Target, "target_info", "What is probed; always 1."),
    metric(Name::TargetVerdict, "target_verdict", "1 for the verdict over the target, 0 for the others."),
    metric(Name::TargetSuccess, "target_success", "0 if the target failed, else 1; skipped targets have none."),
    metric(Name::TargetCause, "target_cause", "The target's worst problem; always 1."),
    measured(Name::TargetSince, "target_since_timestamp_seconds", SECONDS, "Since when the verdict is what it is."),
    metric(Name::Problems, "target_problems", "Problems of the target by cause and severity."),
    metric(Name::ResolveSuccess, "resolve_success", "1 if the name gave an address, else 0."),
    measured(Name::ResolveDuration, "resolve_duration_seconds", SECONDS, "Until the name's answer, or giving up."),
    metric(Name::ResolverSuccess, "nameserver_success", "1 if this name server gave an address, else 0."),
    measured(Name::ResolverDuration, "nameserver_duration_seconds", SECONDS, "Until this name server's answer."),
    metric(Name::AddressSuccess, "address_success", "0 if the address failed, else 1; skipped ones have none."),
    metric(Name::AddressCause, "address_cause", "The first broken layer of the address; always 1."),
    metric(Name::StageSuccess, "stage_success", "1 if the stage ended well, else 0; none where it was not reached."),
    measured(Name::StageDuration, "stage_duration_seconds", SECONDS, "How long the stage took, to success or failure."),
    measured(
        Name::CertificateEnd,
        "certificate_not_after_timestamp_seconds",
        SECONDS,
        "When the leaf certificate expires.",
    ),
    metric(Name::HttpStatus, "http_status_code", "The status of the HTTP answer."),
    measured(Name::ClockSkew, "clock_skew_seconds", SECONDS, "This host's clock minus the server's."),
    measured(Name::MtuOut, "path_mtu_out_bytes", "bytes", "The largest IP packet proven outwards."),
    measured(Name::MtuIn, "path_mtu_in_seen_bytes", "bytes", "The largest IP packet that arrived; no path MTU."),
    measured(Name::Interval, "round_interval_seconds", SECONDS, "From one round of the daemon to the next."),
    metric(Name::Starting, "starting", "1 in the first rounds after the daemon's start, which announce nothing."),
    measured(
        Name::LastFailure,
        "target_last_failure_timestamp_seconds",
        SECONDS,
        "When the last round started in which the target failed; none if it never did.",
    ),
    metric(Name::ShippingProblem, "shipping_problem", "What is wrong with the delivery to CloudWatch; always 1."),
    measured(
        Name::Delivered,
        "shipping_last_delivery_timestamp_seconds",
        SECONDS,
        "The last delivery to CloudWatch that worked.",
    ),
    measured(
        Name::Oldest,
        "shipping_oldest_timestamp_seconds",
        SECONDS,
        "The oldest round that waits for delivery to CloudWatch.",
    ),
    metric(Name::Spooled, "shipping_spooled_rounds", "Rounds that wait for delivery to CloudWatch."),
    metric(Name::Lost, "shipping_lost_datums", "Datums that were lost."),
];
