//! Every stage of every address, as it was seen: what one sends to the team that owns the next hop.

use std::net::SocketAddr;

use super::{Glyphs, moment};
use crate::{
    model::{
        observation::{
            Canary, ConnectRecord, HttpRecord, LargeHello, MtuOutcome, MtuRecord, Outcome, ProxyRecord, ResolveRecord,
            ResolverRole, Subnet, TlsRecord, Transport,
        },
        round::{AddressReport, Round, TargetReport},
        units::{Millis, Timestamp},
        verdict::{Severity, Verdict},
    },
    render::{
        figures,
        page::{Page, Paint, Span},
        text,
    },
};

/// Writes the transcript of all targets.
pub(super) fn write(page: &mut Page<'_>, round: &Round) {
    page.gap();
    let title = format!("Transcript of round {}, vpce-probe {}", round.round, round.version);
    page.flow(&Paint::Plain.span(""), 0, &Paint::Strong.span(title));
    for report in &round.targets {
        page.gap();
        target(page, report);
    }
}

fn target(page: &mut Page<'_>, report: &TargetReport) {
    let plan = &report.target;
    let needed = if plan.required { "required" } else { "not required" };
    page.flow(
        &Paint::Strong.span(format!("{}  ", text::cut(&plan.name, 40, page.glyphs()))),
        2,
        &Paint::Plain.span(format!("{}:{}, {needed}, expect {}", plan.host, plan.port, plan.expect)),
    );
    field(page, 2, "verdict", &Paint::from(report.verdict).span(verdict(report)));

    let glyphs = page.glyphs();
    let is_used = |record: &&ResolveRecord| **record == report.resolve;
    if !report.resolvers.iter().any(|record| is_used(&record)) {
        field(page, 2, "resolve", &outcome_look(report.resolve.outcome).span(resolve(&report.resolve, glyphs)));
    }
    for record in &report.resolvers {
        let used = if is_used(&record) { ", used" } else { "" };
        field(page, 2, "resolve", &outcome_look(record.outcome).span(format!("{}{used}", resolve(record, glyphs))));
    }
    for address in &report.addresses {
        probed(page, address, report);
    }
    let was_asked = report.addresses.iter().any(|address| address.record.http.is_some());
    if was_asked && plan.service.is_some() && !plan.is_s3() {
        let why = "not tested (an unsigned request cannot see an endpoint policy)";
        field(page, 2, "policy", &Paint::Faint.span(why));
    }
    if let Some(tried) = &report.proxy {
        field(page, 2, "proxy", &Paint::Plain.span(proxy(tried)));
    }
    for problem in &report.problems {
        let stage = problem.stage.map(|stage| format!(", {stage}")).unwrap_or_default();
        let address = problem.address.map(|address| format!(", {address}")).unwrap_or_default();
        let line = format!("{}{stage}{address}: {}", problem.cause, problem.summary);
        field(page, 2, problem.severity.as_str(), &Paint::Plain.span(line));
    }
}

fn verdict(report: &TargetReport) -> String {
    let mut words = vec![report.verdict.to_string()];
    words.extend(report.cause.map(|cause| format!(", {cause}")));
    words.extend(report.stage.map(|stage| format!(" at {stage}")));
    words.extend(report.since.map(|since| format!(", since {}", moment(since))));
    words.concat()
}

fn resolve(record: &ResolveRecord, glyphs: Glyphs) -> String {
    let server = match (record.resolver, record.transport) {
        (_, Some(Transport::HostsFile)) => "the hosts file".to_owned(),
        (None, _) => "no name server".to_owned(),
        (Some(server), Some(Transport::Udp)) => format!("{server} over UDP"),
        (Some(server), Some(Transport::Tcp)) => format!("{server} over TCP"),
        (Some(server), None) => server.to_string(),
    };
    let role = match record.role {
        ResolverRole::System => "",
        ResolverRole::Vpc => " (the VPC's, for comparison)",
    };
    let behind = record.behind.map(|stub| format!(" behind the stub {stub}")).unwrap_or_default();
    let mut parts = vec![format!(
        "{server}{role}{behind}: {}",
        ended(record.outcome, record.elapsed_ms, record.detail.as_ref(), glyphs)
    )];
    parts.extend(joined("", &record.addresses));
    parts.extend(record.ttl_s.map(|ttl| format!("TTL {ttl} s")));
    parts.extend(joined("by way of ", &record.cnames));
    parts.join(", ")
}

fn probed(page: &mut Page<'_>, report: &AddressReport, target: &TargetReport) {
    let record = &report.record;
    let subnet = match record.subnet {
        None => "",
        Some(Subnet::Own) => ", in this host's subnet",
        Some(Subnet::Other) => ", in another subnet",
    };
    let end = match (report.verdict, report.cause) {
        (Verdict::Failed | Verdict::Degraded | Verdict::Skipped, Some(cause)) => format!("{}, {cause}", report.verdict),
        (Verdict::Failed | Verdict::Degraded | Verdict::Skipped, None) | (Verdict::Healthy, _) => {
            report.verdict.as_str().to_owned()
        }
    };
    page.cells(&[
        Paint::Strong.span(format!("  {}", record.address)),
        Paint::Plain.span(format!("{}{subnet}", record.place.as_str())),
        Paint::from(report.verdict).span(end),
    ]);
    let remote = SocketAddr::new(record.address, target.target.port);
    let glyphs = page.glyphs();
    stage(page, "connect", record.connect.as_ref().map(|seen| (seen.outcome, connect(seen, remote, glyphs))));
    stage(page, "tls", record.tls.as_ref().map(|seen| (seen.outcome, tls(seen, glyphs))));
    match &record.mtu {
        None => field(page, 4, "mtu", &Paint::Faint.span("not measured")),
        Some(seen) => field(page, 4, "mtu", &mtu_look(seen.outcome).span(mtu(seen, glyphs))),
    }
    stage(page, "http", record.http.as_ref().map(|seen| (seen.outcome, http(seen, glyphs))));
}

fn stage(page: &mut Page<'_>, name: &str, seen: Option<(Outcome, String)>) {
    let body = match seen {
        None => Paint::Faint.span("not reached"),
        Some((outcome, words)) => outcome_look(outcome).span(words),
    };
    field(page, 4, name, &body);
}

/// A name and what is to be said of it, wrapped under itself.
pub(super) fn field(page: &mut Page<'_>, indent: usize, name: &str, body: &Span) {
    let margin = " ".repeat(indent);
    page.flow(&Paint::Faint.span(format!("{margin}{}", text::left(name, FIELD))), indent + FIELD, body);
}

fn outcome_look(outcome: Outcome) -> Paint {
    match outcome {
        Outcome::Ok => Paint::Plain,
        Outcome::Failed(cause) => Paint::from(cause.severity()),
    }
}

/// How a stage ended, when, and what was seen: first, for it is what one looks for.
fn ended(outcome: Outcome, elapsed: Millis, detail: Option<&String>, glyphs: Glyphs) -> String {
    let end = match outcome {
        Outcome::Ok => format!("ok in {}", figures::elapsed(elapsed)),
        Outcome::Failed(cause) => format!("{cause} after {}", figures::elapsed(elapsed)),
    };
    match detail {
        None => end,
        Some(detail) => format!("{end}, {}", text::brief(detail, glyphs)),
    }
}

fn connect(record: &ConnectRecord, remote: SocketAddr, glyphs: Glyphs) -> String {
    let way = match record.local {
        None => format!("to {remote}"),
        // Where no connection came about, the port is not known.
        Some(local) if local.port() == 0 => format!("{} → {remote}", local.ip()),
        Some(local) => format!("{local} → {remote}"),
    };
    let mut parts = vec![ended(record.outcome, record.elapsed_ms, record.detail.as_ref(), glyphs), way];
    parts.extend(record.errno.clone());
    parts.join(", ")
}

fn tls(record: &TlsRecord, glyphs: Glyphs) -> String {
    let brief = |words: &String| text::brief(words, glyphs);
    let mut parts = vec![ended(record.outcome, record.elapsed_ms, record.detail.as_ref(), glyphs)];
    parts.extend([&record.version, &record.cipher, &record.key_exchange].into_iter().flatten().map(brief));
    parts.extend(record.issuer.as_ref().map(|issuer| format!("issuer \"{}\"", brief(issuer))));
    if record.outcome.cause().is_some() {
        // Who would have to be trusted, and for which names: what the next person asks when it failed.
        parts.extend(record.chain_root.as_ref().map(|root| format!("chain ends at \"{}\"", brief(root))));
        let names: Vec<String> = record.names.iter().take(NAMES).map(brief).collect();
        parts.extend(joined("for ", &names));
        parts.extend(record.not_before.map(|from| format!("valid from {}", day(from))));
    }
    parts.extend(record.not_after.map(|until| format!("valid until {}", day(until))));
    parts.extend(record.days_left.map(|days| format!("{days} days left")));
    parts.extend(record.chain_bytes.map(|bytes| match record.chain_length {
        Some(1) => format!("chain {bytes} bytes in 1 certificate"),
        Some(count) => format!("chain {bytes} bytes in {count} certificates"),
        None => format!("chain {bytes} bytes"),
    }));
    let hello = |bytes: Option<u64>| bytes.map(|bytes| format!(" of {bytes} bytes")).unwrap_or_default();
    match record.large_hello {
        LargeHello::NotTried => parts.extend(record.hello_bytes.map(|bytes| format!("hello {bytes} bytes"))),
        LargeHello::Ok => parts.push(format!("a large hello{} passes", hello(record.hello_bytes))),
        // The prober's own words come first, and say how it was blocked as well.
        LargeHello::Blocked if record.detail.is_some() => {}
        LargeHello::Blocked => parts.push(format!(
            "a large hello{} does not pass, a small one{} does",
            hello(record.hello_bytes),
            hello(record.small_hello_bytes)
        )),
    }
    parts.join(", ")
}

/// The day is enough for a certificate; by how many minutes it is too early or too late says the detail.
fn day(at: Timestamp) -> String {
    moment(at).split(' ').next().unwrap_or_default().to_owned()
}

fn mtu_look(outcome: MtuOutcome) -> Paint {
    match outcome {
        MtuOutcome::BlackholeOut | MtuOutcome::BlackholeIn | MtuOutcome::BlackholeBoth => {
            Paint::from(Severity::Failure)
        }
        MtuOutcome::NotTried => Paint::Faint,
        MtuOutcome::Ok | MtuOutcome::Clamped | MtuOutcome::ReliesOnIcmp | MtuOutcome::Inconclusive => Paint::Plain,
    }
}

fn mtu(record: &MtuRecord, glyphs: Glyphs) -> String {
    let word = match record.outcome {
        MtuOutcome::Ok => "ok",
        MtuOutcome::Clamped => "clamped by MSS",
        MtuOutcome::ReliesOnIcmp => "relies on ICMP",
        MtuOutcome::BlackholeOut => "black hole outwards",
        MtuOutcome::BlackholeIn => "black hole inwards",
        MtuOutcome::BlackholeBoth => "black hole both ways",
        MtuOutcome::Inconclusive => "inconclusive",
        MtuOutcome::NotTried => {
            let why = record.detail.as_ref().map(|detail| format!(", {}", text::brief(detail, glyphs)));
            return format!("not measured{}", why.unwrap_or_default());
        }
    };
    let mut parts = vec![format!("{word} in {}", figures::elapsed(record.elapsed_ms))];
    parts.extend(record.detail.as_ref().map(|detail| text::brief(detail, glyphs)));
    parts.extend(way("out", record.out_ok, record.out_fails));
    parts.extend(way("in", record.in_ok, record.in_fails));
    let is_known = record.in_ok.is_some_and(|size| record.in_seen.is_none_or(|seen| seen <= size));
    // What a server sends by itself is small: that says nothing of larger packets.
    parts.extend(record.in_seen.filter(|_| !is_known).map(|seen| match record.link_mtu {
        Some(link) if seen >= link => format!("in up to {seen} bytes arrive"),
        Some(_) | None => format!("inbound proven to {seen} bytes only"),
    }));
    parts.extend(record.link_mtu.map(|bytes| format!("link {bytes}")));
    parts.push(match record.connections {
        0 => "no connection of its own".to_owned(),
        1 => "1 more connection".to_owned(),
        many => format!("{many} more connections"),
    });
    parts.push(format!("measured {}", moment(record.measured_at)));
    parts.join(", ")
}

/// The sizes of one direction.
fn way(name: &str, passes: Option<u32>, fails: Option<u32>) -> Option<String> {
    match (passes, fails) {
        (Some(passes), Some(fails)) => Some(format!("{name} up to {passes} bytes pass and {fails} do not")),
        (Some(passes), None) => Some(format!("{name} up to {passes} bytes pass")),
        (None, Some(fails)) => Some(format!("{name} {fails} bytes do not pass")),
        (None, None) => None,
    }
}

fn http(record: &HttpRecord, glyphs: Glyphs) -> String {
    let brief = |words: &String| text::brief(words, glyphs);
    let mut parts = vec![ended(record.outcome, record.elapsed_ms, record.detail.as_ref(), glyphs)];
    parts.extend(record.status.map(|status| format!("status {status}")));
    parts.extend(record.aws.map(|aws| if aws { "marked as AWS" } else { "no mark of AWS" }.to_owned()));
    parts.extend(record.server.as_ref().map(|server| format!("server \"{}\"", brief(server))));
    parts.extend(record.clock_skew_s.map(|skew| {
        // The Date header has whole seconds.
        match skew {
            _ if skew.abs() < 1.5 => "clock agrees".to_owned(),
            _ if skew < 0.0 => format!("clock {} behind", figures::span(skew)),
            _ => format!("clock {} ahead", figures::span(skew)),
        }
    }));
    parts.extend(record.canary.map(|canary| {
        match canary {
            Canary::Read => "version file read",
            Canary::Denied => "version file denied",
            Canary::WrongRegion => "version file is in another region",
            Canary::NotFound => "version file not found",
            Canary::NotVersion => "version file is no version",
            Canary::Other => "version file not read",
        }
        .to_owned()
    }));
    parts.extend(record.bucket_region.as_ref().map(|region| format!("bucket region {}", brief(region))));
    parts.join(", ")
}

fn proxy(record: &ProxyRecord) -> String {
    let whose = if record.agent { "the SSM agent's" } else { "this shell's" };
    let end = if record.works { "works" } else { "does not work" };
    let mut parts = vec![format!("CONNECT through {} {end}", record.url), format!("{whose} ({})", record.origin)];
    parts.extend(record.status.map(|status| format!("status {status}")));
    parts.extend(record.detail.clone());
    parts.join(", ")
}

/// The items after `lead`, unless there are none.
fn joined<T: ToString>(lead: &str, items: &[T]) -> Option<String> {
    let words: Vec<String> = items.iter().map(T::to_string).collect();
    (!words.is_empty()).then(|| format!("{lead}{}", words.join(" ")))
}

const FIELD: usize = 9;
const NAMES: usize = 6;
