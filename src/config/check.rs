//! From the document to plain values: every rule is applied, and every mistake is noted.

use std::{path::PathBuf, time::Duration};

use self::{
    budget::{Budget, Budgets},
    target::{Defaults, Surroundings},
};
use super::{
    Address, Config, Dns, Mtu, MtuMode, ResolverChoice, Textfile, Timeouts, Tls,
    bounds::{ATTEMPTS, CONFIRM, DEADLINE, EXPIRY, FAMILIES, INTERVAL, MODES, MOST_SERVERS, REPEAT, TIMEOUT},
    diagnostic::{Report, quoted},
    raw::{Setting, Table, Value},
    syntax::{Document, Extent},
};

mod budget;
mod cloudwatch;
mod host;
mod name;
mod target;
mod value;

pub use self::{cloudwatch::DIMENSIONS, target::DEFAULT_TARGETS};

/// Reads the whole document. Where something is wrong, the default stands in, and `report` says so.
pub(super) fn check(document: &Document<'_>, report: &mut Report<'_>) -> Config {
    let defaults = Config::default();
    let root = Table::root(document.root.get_ref(), report);

    let region = root.read("region", report, name::region);
    let interval = root.read("interval", report, |value, report| value::duration(value, &INTERVAL, report));
    let round_deadline = root.read("round_deadline", report, |value, report| value::duration(value, &DEADLINE, report));
    let confirm = root.read("confirm", report, |value, report| value.integer(&CONFIRM, report));
    let family = root.read("family", report, |value, report| value::word(value, FAMILIES, report));
    let http = root.read("http", report, Value::flag);
    let extra_ca_file = root.read("extra_ca_file", report, value::path);
    let default_targets = root.read("default_targets", report, Value::flag);
    let state_dir = root.read("state_dir", report, value::path);
    let runtime_dir = root.read("runtime_dir", report, value::path);

    let stages = stages(&root.table("timeouts", "timeouts", report), report);
    let dns = dns(&root.table("dns", "dns", report), report);
    let mtu_table = root.table("mtu", "mtu", report);
    let mtu_mode = mtu_table.read("mode", report, |value, report| value::word(value, MODES, report));
    let repeat_every = mtu_table.read("repeat_every", report, |value, report| value.integer(&REPEAT, report));
    let tls = tls(&root.table("tls", "tls", report), report);
    let address = root.table("address", "address", report);
    let allowed_cidrs = address.read("allowed_cidrs", report, value::private_networks);
    let s3_prefixes = address.read("s3_prefixes", report, value::networks);
    let host = host::read(&root.table("host", "host", report), &region, report);
    let kept = if default_targets.at().is_some_and(|at| !at.value) { Defaults::Dropped } else { Defaults::Kept };
    let around = Surroundings { defaults: kept, extent: document.extent };
    let tables = root.tables("target", report);
    let targets = target::read(&tables, around, report);
    if let Some(at) = default_targets.at().filter(|at| !at.value && document.extent == Extent::Whole) {
        target::refuse_emptiness(&targets, &at.span, report);
    }
    let cloudwatch = cloudwatch::read(&root.table("cloudwatch", "cloudwatch", report), &interval, report);
    let textfile = textfile(&root.table("textfile", "textfile", report), report);

    let mtu = Mtu {
        mode: mtu_mode.value().unwrap_or(defaults.mtu.mode),
        repeat_every: count(repeat_every, defaults.mtu.repeat_every),
    };
    let http = http.value().unwrap_or(defaults.http);
    let timeouts = timeouts(&stages);
    budget::check(&budgets(stages, http, mtu.mode, &round_deadline, &interval), &root, report);

    Config {
        region: region.value(),
        interval: interval.value().unwrap_or(defaults.interval),
        round_deadline: round_deadline.value().unwrap_or(defaults.round_deadline),
        confirm: count(confirm, defaults.confirm),
        family: family.value().unwrap_or(defaults.family),
        http,
        extra_ca_file: extra_ca_file.value(),
        default_targets: default_targets.value().unwrap_or(defaults.default_targets),
        state_dir: state_dir.value(),
        runtime_dir: runtime_dir.value(),
        timeouts,
        dns,
        mtu,
        tls,
        address: Address {
            allowed_cidrs: allowed_cidrs.value().unwrap_or_default(),
            s3_prefixes: s3_prefixes.value().unwrap_or_default(),
        },
        host,
        targets,
        cloudwatch,
        textfile,
    }
}

/// `[timeouts]`, in the order resolve, connect, tls, http, mtu, imds.
fn stages(table: &Table<'_>, report: &mut Report<'_>) -> [Budget; 6] {
    let defaults = Timeouts::default();
    let mut budget = |key: &'static str, default: Duration| Budget {
        key,
        setting: table.read(key, report, |value, report| value::duration(value, &TIMEOUT, report)),
        default,
    };
    [
        budget("resolve", defaults.resolve),
        budget("connect", defaults.connect),
        budget("tls", defaults.tls),
        budget("http", defaults.http),
        budget("mtu", defaults.mtu),
        budget("imds", defaults.imds),
    ]
}

fn timeouts(stages: &[Budget; 6]) -> Timeouts {
    let [resolve, connect, tls, http, mtu, imds] =
        stages.each_ref().map(|budget| budget.setting.at().map_or(budget.default, |at| at.value));
    Timeouts { resolve, connect, tls, http, mtu, imds }
}

/// What a round has to find room for: not the stages that it leaves out.
fn budgets(
    stages: [Budget; 6],
    http: bool,
    mode: MtuMode,
    round_deadline: &Setting<Duration>,
    interval: &Setting<Duration>,
) -> Budgets {
    let defaults = Config::default();
    let [resolve, connect, tls, http_stage, mtu, imds] = stages;
    let mut stages = vec![tls, connect, resolve];
    if http {
        stages.push(http_stage);
    }
    Budgets {
        stages,
        // The passive mode reads off the ordinary connection and takes no time of its own.
        mtu: (mode == MtuMode::Full).then_some(mtu),
        imds,
        round_deadline: Budget {
            key: "round_deadline",
            setting: round_deadline.clone(),
            default: defaults.round_deadline,
        },
        interval: Budget { key: "interval", setting: interval.clone(), default: defaults.interval },
    }
}

fn dns(table: &Table<'_>, report: &mut Report<'_>) -> Dns {
    let defaults = Dns::default();
    let resolver = table.read("resolver", report, resolver);
    let attempts = table.read("attempts", report, |value, report| value.integer(&ATTEMPTS, report));
    let compare = table.read("compare_with_vpc", report, Value::flag);
    Dns {
        resolver: resolver.value().unwrap_or(defaults.resolver),
        attempts: attempts.value().and_then(|n| u8::try_from(n).ok()).unwrap_or(defaults.attempts),
        compare_with_vpc: compare.value().unwrap_or(defaults.compare_with_vpc),
    }
}

/// `"system"`, `"vpc"`, or a list of name servers.
fn resolver(value: Value<'_>, report: &mut Report<'_>) -> Option<ResolverChoice> {
    if value.is_list() {
        let servers = value.list(report, value::server)?;
        if servers.is_empty() || servers.len() > MOST_SERVERS {
            let what = if servers.is_empty() { "names no server" } else { "names too many servers" };
            let hint = format!("write 1 to {MOST_SERVERS} addresses, or \"system\" for those of /etc/resolv.conf");
            report.error(&value.span(), format!("resolver {what}"), Some(hint));
            return None;
        }
        value::warn_of_repeats(value.key, &servers, report);
        let mut distinct = Vec::new();
        for server in servers {
            if !distinct.contains(&server.value) {
                distinct.push(server.value);
            }
        }
        return Some(ResolverChoice::Servers(distinct));
    }
    let wanted = "\"system\", \"vpc\" or a list of addresses";
    let text = value.text_like(wanted, |_| format!("write {wanted}"), report)?;
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        let what = format!("resolver: the address {address} stands alone");
        report.error(&value.span(), what, Some(format!("write [\"{address}\"]")));
        return None;
    }
    match text {
        "system" => Some(ResolverChoice::System),
        "vpc" => Some(ResolverChoice::Vpc),
        other => {
            let hint = match super::suggest::nearest(other, ["system", "vpc"]) {
                Some(near) => format!("did you mean \"{near}\"? allowed: {wanted}"),
                None => format!("write {wanted}, like [\"10.0.0.2\"]"),
            };
            report.error(&value.span(), format!("resolver: {} is not one of its values", quoted(other)), Some(hint));
            None
        }
    }
}

fn tls(table: &Table<'_>, report: &mut Report<'_>) -> Tls {
    let defaults = Tls::default();
    let post_quantum = table.read("post_quantum", report, Value::flag);
    let expiry_warning = table.read("expiry_warning", report, |value, report| value::duration(value, &EXPIRY, report));
    let issuers = table.read("expected_issuers", report, |value, report| {
        let list = value.list(report, value::plain)?;
        Some(list.into_iter().map(|at| at.value.to_owned()).collect::<Vec<_>>())
    });
    Tls {
        post_quantum: post_quantum.value().unwrap_or(defaults.post_quantum),
        expiry_warning: expiry_warning.value().unwrap_or(defaults.expiry_warning),
        expected_issuers: issuers.value().unwrap_or(defaults.expected_issuers),
    }
}

fn textfile(table: &Table<'_>, report: &mut Report<'_>) -> Textfile {
    let path = table.read("path", report, value::path);
    if let Some(at) = path.at()
        && at.value.extension().is_none_or(|extension| extension != "prom")
    {
        let meant: PathBuf = at.value.with_extension("prom");
        report.warn(
            &at.span,
            "path: node_exporter reads only files that end in .prom",
            Some(format!("write {}", quoted(&meant.to_string_lossy()))),
        );
    }
    Textfile { path: path.value() }
}

fn count(setting: Setting<i64>, default: u32) -> u32 {
    setting.value().and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
}
