//! `[[target]]`: each entry by itself, then all of them together.

use std::ops::Range;

use super::{name, value};
use crate::{
    catalog::service,
    config::{
        Target,
        bounds::{LONGEST_NAME, PORT},
        diagnostic::{Report, quoted},
        raw::{At, Setting, Table, Value},
        suggest,
        syntax::Extent,
    },
    model::target::Expect,
};

/// The names of the targets that need no entry; they are also their service codes.
pub const DEFAULT_TARGETS: &[&str] = &["ssm", "ssmmessages", "s3", "ec2messages", "logs", "monitoring"];

/// Where the targets stand among the rest of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// Whether the default targets are probed too.
    pub(super) defaults: Defaults,
    /// How much of the file could be read.
    pub(super) extent: Extent,
}

/// Whether entries can be merged into the default targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defaults {
    /// They can.
    Kept,
    /// `default_targets = false`.
    Dropped,
}

pub(super) fn read(tables: &[Table<'_>], around: Surroundings, report: &mut Report<'_>) -> Vec<Target> {
    let entries: Vec<Entry> = tables.iter().map(|table| Entry::read(table, around, report)).collect();
    refuse_repeats(&entries, report);
    entries.into_iter().map(|entry| entry.target).collect()
}

/// One entry, and what is needed to compare it with the others.
struct Entry {
    target: Target,
    /// The name in the report, and where it comes from.
    name: Option<At<String>>,
    /// The default target that it is merged into.
    merged: Option<&'static str>,
}

impl Entry {
    fn read(table: &Table<'_>, around: Surroundings, report: &mut Report<'_>) -> Self {
        let service = table.read("service", report, value::plain);
        let host = table.read("host", report, name::host);
        let name = table.read("name", report, target_name);
        let port = table.read("port", report, |value, report| value.integer(&PORT, report));
        let expects: Vec<(&str, Expect)> = Expect::ALL.iter().map(|expect| (expect.as_str(), *expect)).collect();
        let expect = table.read("expect", report, |value, report| value::word(value, &expects, report));
        let required = table.read("required", report, Value::flag);
        let path = table.read("path", report, request_path);
        let allowed_cidrs = table.read("allowed_cidrs", report, value::private_networks);
        let enabled = table.read("enabled", report, Value::flag);

        let default_of = |code: &str| {
            let found = DEFAULT_TARGETS.iter().copied().find(|default| *default == code);
            found.filter(|_| around.defaults == Defaults::Kept)
        };
        let by_service = service.at().and_then(|service| default_of(service.value));
        let by_name = name.at().and_then(|name| default_of(&name.value));
        service_is_known(&service, &host, report);
        if let (Some(name), Some(service), Some(default)) = (name.at(), service.at(), by_name)
            && service.value != default
        {
            report.error(
                &name.span,
                format!("name: \"{default}\" is a default target, and not the service {}", quoted(service.value)),
                Some("give another name, or remove it: the service code is then the name".to_owned()),
            );
        }
        if service == Setting::Unset && host == Setting::Unset && by_name.is_none() && around.extent == Extent::Whole {
            nothing_to_probe(table, &name, report);
        }

        if let (Some(At { value: true, span }), Some(At { value: false, .. })) = (required.at(), enabled.at()) {
            let hint = "remove one of them".to_owned();
            report.warn(span, "required = true says nothing of a target that enabled = false takes out", Some(hint));
        }

        let named = match (name.at(), service.at(), host.at()) {
            (Some(name), _, _) => Some(At { value: name.value.clone(), span: name.span.clone() }),
            (None, Some(service), _) => Some(At { value: service.value.to_owned(), span: service.span.clone() }),
            (None, None, Some(host)) => Some(At { value: host.value.clone(), span: host.span.clone() }),
            (None, None, None) => None,
        };
        // A wrong name is no name to compare.
        let named = named.filter(|_| name != Setting::Broken);
        Self {
            name: named,
            merged: by_service.or(by_name),
            target: Target {
                service: service.value().map(str::to_owned),
                host: host.value(),
                name: name.value(),
                port: port.value().and_then(|port| u16::try_from(port).ok()),
                expect: expect.value(),
                required: required.value(),
                path: path.value(),
                allowed_cidrs: allowed_cidrs.value().unwrap_or_default(),
                enabled: enabled.value(),
            },
        }
    }
}

/// A service without a known host needs one in the entry.
fn service_is_known(service: &Setting<&str>, host: &Setting<String>, report: &mut Report<'_>) {
    let Some(At { value: code, span }) = service.at() else { return };
    if service::known(code) || *host != Setting::Unset {
        return;
    }
    if let Some(form) = service::many_hosts(code) {
        let what = format!("service: {} has more than one host name", quoted(code));
        report.error(span, what, Some(format!("give the one that you use beside it: host = \"{form}\"")));
        return;
    }
    // `ecr` is two services: ecr.api and ecr.dkr.
    let mut parts: Vec<&str> = service::codes().filter(|known| known.starts_with(&format!("{code}."))).collect();
    parts.sort_unstable();
    // People copy the whole name from the console: com.amazonaws.eu-west-1.ecr.api
    let tail = service::codes().filter(|known| code.ends_with(&format!(".{known}"))).max_by_key(|known| known.len());
    let hint = match tail.filter(|_| code.contains("amazonaws.")) {
        Some(tail) => format!("write service = \"{tail}\""),
        None if !parts.is_empty() => format!("write {}", suggest::one_of(&parts)),
        None => match suggest::nearest(code, service::codes()) {
            Some(near) => format!("did you mean \"{near}\"? else give host = \"...\" beside it"),
            None => "give host = \"...\" beside it".to_owned(),
        },
    };
    report.error(span, format!("service: no host name is known for {}", quoted(code)), Some(hint));
}

fn nothing_to_probe(table: &Table<'_>, name: &Setting<String>, report: &mut Report<'_>) {
    let hint = match name.at() {
        Some(name) if service::known(&name.value) => format!("add service = {}", quoted(&name.value)),
        Some(name) => match suggest::nearest(&name.value, DEFAULT_TARGETS.iter().copied()) {
            Some(near) => format!("add service = or host =; or do you mean the default target \"{near}\"?"),
            None => ADD_ONE.to_owned(),
        },
        None => ADD_ONE.to_owned(),
    };
    report.error(table.span(), "this target has neither service nor host", Some(hint));
}

/// Two entries of one name, or two that would be merged into the same default target.
fn refuse_repeats(entries: &[Entry], report: &mut Report<'_>) {
    for (nth, entry) in entries.iter().enumerate() {
        let Some(name) = &entry.name else { continue };
        let earlier = entries.iter().take(nth).filter_map(|other| Some((other, other.name.as_ref()?)));
        let mut twins = earlier.filter(|(other, other_name)| {
            other_name.value == name.value || (entry.merged.is_some() && other.merged == entry.merged)
        });
        let Some((twin, twin_name)) = twins.next() else { continue };
        let (line, _) = report.line_of(twin_name.span.start);
        let what = if twin_name.value == name.value {
            format!("the target {} stands twice", quoted(&name.value))
        } else {
            format!("a second entry for the default target \"{}\"", entry.merged.or(twin.merged).unwrap_or_default())
        };
        let hint = format!("join it with the one on line {line}, or give one of them another name and host");
        report.error(&name.span, what, Some(hint));
    }
}

/// A name that can stand in a table, in a metric's dimension and in a log.
fn target_name(value: Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value::plain(value, report)?;
    let problem = if text.len() > LONGEST_NAME {
        "is longer than 255 bytes"
    } else if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        "has characters that a CloudWatch dimension cannot hold"
    } else if text.starts_with(':') {
        "begins with \":\", which a CloudWatch dimension cannot"
    } else {
        return Some(text.to_owned());
    };
    let hint = "write a short name in plain ASCII, like \"vault\"".to_owned();
    report.error(&value.span(), format!("{}: {} {problem}", value.key, quoted(text)), Some(hint));
    None
}

/// The path of a request: it goes into the request line as it stands.
fn request_path(value: Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    let (problem, hint) = if !text.starts_with('/') {
        let hint = match text.split_once("://").map(|(_, rest)| rest.split_once('/')) {
            Some(rest) => format!("write {}", quoted(&format!("/{}", rest.map_or("", |(_, path)| path)))),
            None => format!("write {}", quoted(&format!("/{text}"))),
        };
        ("does not begin with \"/\"", hint)
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        ("has characters that a path cannot hold", "percent-encode them, like %20 for a blank".to_owned())
    } else if text.contains('#') {
        ("has a fragment, which is never sent", "remove it from the # on".to_owned())
    } else if text.len() > 2048 {
        ("is longer than 2048 bytes", "write a shorter one".to_owned())
    } else {
        return Some(text.to_owned());
    };
    report.error(&value.span(), format!("{}: {} {problem}", value.key, quoted(text)), Some(hint));
    None
}

/// Notes that nothing is left to probe; `span` is that of `default_targets = false`.
pub(super) fn refuse_emptiness(targets: &[Target], span: &Range<usize>, report: &mut Report<'_>) {
    if !targets.iter().any(|target| target.enabled != Some(false)) {
        report.error(
            span,
            "nothing is left to probe: no default targets, and no [[target]]",
            Some("add a [[target]], or remove default_targets = false".to_owned()),
        );
    }
}

const ADD_ONE: &str = "add service = \"kms\" (an AWS service's code) or host = \"vault.corp.example\"";
