//! Rules over one target: its name, where its addresses lie, which of them live.

use std::net::IpAddr;

use super::{
    Rule, Step,
    address::{self, violation},
    hole::SILENTLY,
    scene::{AddressView, Judged, Seen, Sight, State, TargetView, asked_for, is_private},
    words::{self, list, sentence, shown, tidy},
};
use crate::{
    classify::classify,
    model::{
        cause::{Cause, Stage},
        host::HostFacts,
        observation::{Observation, ResolveRecord},
        plan::Plan,
        target::Expect,
        verdict::{Problem, Severity, Verdict},
    },
};

/// Judges one target by the layers, remarks and target rules of `rules`.
pub(super) fn judge<'a>(
    observation: &'a Observation,
    plan: &'a Plan,
    host: &'a HostFacts,
    rules: &[Rule],
) -> Judged<'a> {
    let view = view(observation, plan, host, rules);
    let mut problems = Vec::new();
    for rule in rules {
        match rule.step {
            Step::Target(apply) => problems.extend(apply(&view)),
            Step::Layer(_) | Step::Remark(_) | Step::Across(_) | Step::Host(_) => {}
        }
    }
    if view.is_spoilt() {
        // Whatever failed may be our own doing: nothing is said of the target but that it was not judged.
        problems.retain(|problem| problem.cause == Cause::NotFinished);
    } else if problems.iter().any(|problem| problem.cause == Cause::EndpointAbsent) {
        // What follows from having no endpoint is no fault. A dead name server still is.
        problems.retain(|problem| problem.severity != Severity::Failure && problem.stage != Some(Stage::Connect));
    }
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    let verdict = verdict(&problems, &view);
    Judged { view, problems, verdict }
}

fn verdict(problems: &[Problem], view: &TargetView<'_>) -> Verdict {
    let absent = problems.iter().any(|problem| problem.cause == Cause::EndpointAbsent);
    if view.is_spoilt() || absent {
        return Verdict::Skipped;
    }
    let failures = || problems.iter().filter(|problem| problem.severity == Severity::Failure);
    if failures().any(|problem| problem.cause != Cause::NotFinished) {
        return Verdict::Failed;
    }
    if failures().next().is_some() {
        return Verdict::Skipped;
    }
    match problems.first().map(|problem| problem.severity) {
        Some(Severity::Failure | Severity::Warning) => Verdict::Degraded,
        Some(Severity::Note) | None => Verdict::Healthy,
    }
}

fn view<'a>(observation: &'a Observation, plan: &'a Plan, host: &'a HostFacts, rules: &[Rule]) -> TargetView<'a> {
    let target = &observation.target;
    let mut seen: Vec<Seen<'a>> = observation
        .addresses
        .iter()
        .map(|record| address::examine(AddressView { record, target, plan }, rules))
        .collect();
    let other_family = |one: IpAddr| observation.addresses.iter().any(|other| other.address.is_ipv4() != one.is_ipv4());
    for one in &mut seen {
        let unusable = !asked_for(plan.family, one.address())
            || (lacks_family(host, one.address()) && other_family(one.address()));
        if unusable && !one.answers() {
            one.state = State::Unused;
        }
    }
    let untried = observation.resolve.addresses.iter().copied().filter(|address| {
        asked_for(plan.family, *address)
            && !lacks_family(host, *address)
            && !observation.addresses.iter().any(|record| record.address == *address)
    });
    TargetView { untried: untried.collect(), observation, plan, host, seen }
}

/// Whether this host has no address of the family at all. An AAAA answer on a host without IPv6 is no fault, nor is an
/// A answer on one that has nothing but IPv6.
fn lacks_family(host: &HostFacts, address: IpAddr) -> bool {
    match address {
        IpAddr::V6(_) => !host.has_ipv6(),
        IpAddr::V4(_) => !host.addresses.is_empty() && host.addresses.iter().all(|net| net.addr().is_ipv6()),
    }
}

fn problem(cause: Cause, severity: Severity, stage: Stage, address: Option<IpAddr>, summary: &str) -> Problem {
    Problem { cause, severity, stage: Some(stage), address, summary: sentence(summary) }
}

/// Rule: the name resolves. For `absent`, a name that does not exist is as it should be.
pub(super) fn resolve(view: &TargetView<'_>) -> Vec<Problem> {
    let record = view.resolve();
    let empty = record.addresses.is_empty() && view.seen.is_empty();
    let cause = match record.outcome.cause() {
        Some(cause) => cause,
        None if empty || view.used().next().is_none() && view.untried.is_empty() => Cause::DnsNoData,
        None => return Vec::new(),
    };
    if cause == Cause::NotFinished
        || view.target().expect == Expect::Absent && matches!(cause, Cause::DnsNxdomain | Cause::DnsNoData)
    {
        return Vec::new();
    }
    let said = matches!(cause, Cause::DnsNxdomain | Cause::DnsNoData | Cause::DnsServfail | Cause::DnsRefused);
    let by = if said { ", says" } else { " from" };
    let server = record.resolver.map_or_else(String::new, |server| format!("{by} {}", shown(server)));
    let what = words::failure(cause, record.elapsed_ms, None);
    let aside = words::aside(cause, record.detail.as_deref());
    let summary = format!("{}: {what}{server}{aside}", tidy(&view.target().host, 60));
    vec![problem(cause, Severity::Failure, Stage::Resolve, None, &summary)]
}

/// Rule: no address may lie elsewhere than expected; one beside good ones is `address-mixed`.
pub(super) fn address_mixed(view: &TargetView<'_>) -> Vec<Problem> {
    let bad: Vec<IpAddr> = view.used().filter(|seen| seen.is_misplaced()).map(|seen| shown(seen.address())).collect();
    let all = view.used().count();
    if bad.is_empty() || bad.len() == all || view.target().expect == Expect::Absent {
        return Vec::new();
    }
    let summary = format!(
        "{} of {all} addresses lie where they should not: {} ({} is expected)",
        bad.len(),
        list(&bad),
        view.target().expect
    );
    vec![problem(Cause::AddressMixed, Severity::Failure, Stage::Classify, bad.first().copied(), &summary)]
}

/// Rule: each address that lies elsewhere than expected.
pub(super) fn misplaced(view: &TargetView<'_>) -> Vec<Problem> {
    let bad = view.used().filter(|seen| seen.is_misplaced());
    bad.filter_map(|seen| Some(of_address(seen, seen.dead()?, Severity::Failure))).collect()
}

fn of_address(seen: &Seen<'_>, sight: &Sight, severity: Severity) -> Problem {
    let summary = format!("{}{}", shown(seen.address()), joined(&sight.detail));
    problem(sight.cause, severity, sight.stage, Some(seen.address()), &summary)
}

/// `10.0.1.10: no answer …`, but `10.0.1.10 is public …`.
fn joined(detail: &str) -> String {
    let verbs = ["is ", "answers ", "answers,", "took ", "works ", "passes ", "closed ", "reset "];
    let separator = if verbs.iter().any(|verb| detail.starts_with(verb)) { " " } else { ": " };
    format!("{separator}{detail}")
}

/// The detail without what the sentence has no room for.
fn brief(sight: &Sight) -> &str {
    sight.detail.strip_suffix(SILENTLY).unwrap_or(&sight.detail)
}

/// Rule: public, expected anywhere, and silent: no gateway endpoint, or no way to it. A host cannot tell which.
pub(super) fn gateway_unreachable(view: &TargetView<'_>) -> Vec<Problem> {
    if view.target().expect != Expect::Any || !view.is_public() || !view.is_silent() {
        return Vec::new();
    }
    let addresses: Vec<IpAddr> = view.used().map(|seen| shown(seen.address())).collect();
    let summary = format!("{} {} public and silent", list(&addresses), words::verb(addresses.len(), "is", "are"));
    vec![problem(Cause::GatewayUnreachable, Severity::Failure, Stage::Connect, None, &summary)]
}

/// Rule: no address lives, and at least one is known to be broken.
pub(super) fn dead(view: &TargetView<'_>) -> Vec<Problem> {
    if view.used().any(Seen::is_live) {
        return Vec::new();
    }
    view.used().filter_map(|seen| Some(of_address(seen, seen.broken()?, Severity::Failure))).collect()
}

/// Rule: some addresses live and some are broken. The zone is known only for the own subnet.
pub(super) fn endpoint_partial(view: &TargetView<'_>) -> Vec<Problem> {
    if !view.used().any(Seen::is_live) {
        return Vec::new();
    }
    let all = view.used().count();
    let six = ipv6_is_broken(view);
    let dead: Vec<_> =
        view.used().filter(|seen| seen.broken().is_some() && !(six && seen.address().is_ipv6())).collect();
    let count = dead.len();
    let report = |seen: &Seen<'_>| {
        let sight = seen.broken()?;
        let subnet = words::subnet(seen.record.subnet, view.host.availability_zone.as_deref());
        let summary = format!(
            "{count} of {all} addresses {}: {}{subnet}{}",
            words::verb(count, "is dead", "are dead"),
            shown(seen.address()),
            joined(brief(sight))
        );
        Some(problem(Cause::EndpointPartial, Severity::Warning, sight.stage, Some(seen.address()), &summary))
    };
    dead.into_iter().filter_map(report).collect()
}

fn ipv6_is_broken(view: &TargetView<'_>) -> bool {
    let mut six = view.used().filter(|seen| seen.address().is_ipv6()).peekable();
    let live_four = view.used().any(|seen| seen.address().is_ipv4() && seen.is_live());
    live_four && six.peek().is_some() && six.all(|seen| seen.broken().is_some())
}

/// Rule: IPv6 is dead beside live IPv4. On a host without IPv6 those addresses are not used, so not seen here.
pub(super) fn ipv6_broken(view: &TargetView<'_>) -> Vec<Problem> {
    if !ipv6_is_broken(view) {
        return Vec::new();
    }
    let first = view.used().find(|seen| seen.address().is_ipv6());
    let report = |seen: &Seen<'_>| {
        let sight = seen.broken()?;
        let summary = format!("IPv4 answers, IPv6 does not: {}{}", seen.address(), joined(brief(sight)));
        Some(problem(Cause::Ipv6Broken, Severity::Warning, sight.stage, Some(seen.address()), &summary))
    };
    first.and_then(report).into_iter().collect()
}

/// Rule: what was not finished is never healthy, and never blamed on the network.
///
/// A failure where no address is known to live (what nobody judged counts as badly as what is broken), a warning beside
/// a live one, and where a limit of our own is at fault: that stands in `host`.
pub(super) fn not_finished(view: &TargetView<'_>) -> Vec<Problem> {
    let unfinished =
        |severity, stage, address, summary: &str| vec![problem(Cause::NotFinished, severity, stage, address, summary)];
    if let Some(limit) = view.observation.exhausted.as_ref().filter(|_| view.is_spoilt()) {
        let summary = format!("not judged, this process ran into a limit of its own: {}", tidy(limit, 80));
        return unfinished(Severity::Warning, Stage::Connect, None, &summary);
    }
    if view.resolve().outcome.cause() == Some(Cause::NotFinished) {
        return unfinished(Severity::Failure, Stage::Resolve, None, "not finished: the name was still being asked for");
    }
    let cut = view.used().find_map(|seen| match &seen.state {
        State::Unfinished(stage) => Some((seen.address(), *stage)),
        State::Live | State::Dead(_) | State::Unused => None,
    });
    let Some((address, stage)) = cut.or_else(|| Some((*view.untried.first()?, Stage::Connect))) else {
        return Vec::new();
    };
    let summary = format!("{} was not finished before the round's deadline (at {stage})", shown(address));
    let settled = view.used().any(|seen| seen.is_live() || seen.dead().is_some());
    let severity = if settled { Severity::Warning } else { Severity::Failure };
    unfinished(severity, stage, Some(address), &summary)
}

/// Rule: an optional target that simply has no endpoint here: its name is public or does not exist, where private was
/// expected. Not so where the hosts file says it, or where the VPC's resolver knows better: then there is one.
pub(super) fn endpoint_absent(view: &TargetView<'_>) -> Vec<Problem> {
    let target = view.target();
    if target.required || !view.expects_private() || view.is_pinned() || vpc_does_better(view).is_some() {
        return Vec::new();
    }
    let reason = match view.resolve().outcome.cause() {
        Some(Cause::DnsNxdomain) => "its name does not exist",
        Some(Cause::DnsNoData) => "its name has no address",
        None if view.is_public() => "its name is public",
        _ => return Vec::new(),
    };
    let summary = format!("no endpoint here ({reason}), and none is required");
    vec![problem(Cause::EndpointAbsent, Severity::Note, Stage::Classify, None, &summary)]
}

/// The VPC resolver's answer, where it meets the expectation that the system's answer breaks. Silence and garbage are no
/// answer to disagree with: who gives them is dead, not misinformed.
pub(super) fn vpc_does_better<'a>(view: &TargetView<'a>) -> Option<&'a ResolveRecord> {
    let target = view.target();
    let rules = &view.plan.addresses;
    let meets = |address: IpAddr| violation(target.expect, classify(address, target, rules).0, rules).is_none();
    let system_breaks = match view.resolve().outcome.cause() {
        Some(cause) => {
            matches!(cause, Cause::DnsNxdomain | Cause::DnsNoData | Cause::DnsServfail | Cause::DnsRefused)
        }
        None => view.used().any(Seen::is_misplaced),
    };
    if !system_breaks || target.expect == Expect::Absent || view.is_pinned() {
        return None;
    }
    view.vpc_answer().filter(|answer| answer.addresses.iter().copied().all(meets))
}

/// Rule: the system's name server breaks the expectation, and the VPC's meets it.
pub(super) fn resolver_disagrees(view: &TargetView<'_>) -> Vec<Problem> {
    let Some(better) = vpc_does_better(view) else { return Vec::new() };
    let name = |record: &ResolveRecord| record.resolver.map_or_else(|| "?".to_owned(), |r| shown(r).to_string());
    let says = match view.resolve().outcome.cause() {
        Some(cause) => words::without_addresses(cause),
        None => format!("says {}", list(&view.resolve().addresses)),
    };
    let summary = format!(
        "{} {says}, the VPC's resolver {} says {}",
        name(view.resolve()),
        name(better),
        list(&better.addresses)
    );
    vec![problem(Cause::ResolverDisagrees, Severity::Warning, Stage::Resolve, None, &summary)]
}

/// Rule: one of several name servers is dead while another one answers.
pub(super) fn nameserver_dead(view: &TargetView<'_>) -> Vec<Problem> {
    let answers =
        |record: &ResolveRecord| matches!(record.outcome.cause(), None | Some(Cause::DnsNxdomain | Cause::DnsNoData));
    if !view.system_servers().any(answers) {
        return Vec::new();
    }
    let dead =
        view.system_servers().filter(|record| !answers(record) && record.outcome.cause() != Some(Cause::NotFinished));
    let report = |record: &ResolveRecord| {
        let server = record.resolver?;
        let behind = record.behind.map_or_else(String::new, |stub| format!(" (behind {stub})"));
        let what = words::failure(record.outcome.cause()?, record.elapsed_ms, record.detail.as_deref());
        let summary = format!("name server {server}{behind}: {what}, while another one answers");
        Some(problem(Cause::NameserverDead, Severity::Warning, Stage::Resolve, Some(server), &summary))
    };
    dead.filter_map(report).collect()
}

/// Rule: the hosts file answers. It may work today; it does not follow the endpoint when that is rebuilt.
pub(super) fn hosts_override(view: &TargetView<'_>) -> Vec<Problem> {
    if !view.is_pinned() {
        return Vec::new();
    }
    let summary = format!("the hosts file pins the name to {}", list(&view.resolve().addresses));
    vec![problem(Cause::HostsOverride, Severity::Warning, Stage::Resolve, None, &summary)]
}

/// Rule: more than a second for the answer.
pub(super) fn dns_slow(view: &TargetView<'_>) -> Vec<Problem> {
    let record = view.resolve();
    if !record.outcome.is_ok() || record.elapsed_ms.as_f64() <= SLOW_MS {
        return Vec::new();
    }
    let summary = format!("the name's answer took {}", words::seconds(record.elapsed_ms));
    vec![problem(Cause::DnsSlow, Severity::Note, Stage::Resolve, None, &summary)]
}

/// Rule: an AWS service's endpoint with a single address: it has one interface, so it lives in one zone.
///
/// Several addresses may still share a zone; a host cannot know, so nothing is said of them.
pub(super) fn single_zone(view: &TargetView<'_>) -> Vec<Problem> {
    let count = |four: bool| view.used().filter(|seen| seen.address().is_ipv4() == four).count();
    let one = count(true).max(count(false)) == 1;
    let private = view.used().all(|seen| is_private(seen.record.place) && seen.is_live());
    if !one || !private || !view.expects_private() || view.target().service.is_none() || view.is_pinned() {
        return Vec::new();
    }
    let address = view.used().next().map(Seen::address);
    let summary = "the endpoint has one address, so it depends on one availability zone";
    vec![problem(Cause::SingleZone, Severity::Note, Stage::Classify, address, summary)]
}

/// Rule: the remarks of live addresses, one problem for each cause; the address is named where not all show it.
pub(super) fn remarks(view: &TargetView<'_>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let live = view.used().filter(|seen| seen.is_live()).count();
    for (seen, sight) in view.used().flat_map(|seen| seen.remarks.iter().map(move |sight| (seen, sight))) {
        if problems.iter().any(|problem| problem.cause == sight.cause) {
            continue;
        }
        let shared = view.used().filter(|other| other.remarks.iter().any(|s| s.cause == sight.cause)).count();
        let mut problem = of_address(seen, sight, sight.severity);
        if shared == live && live > 1 {
            problem.address = None;
        }
        problems.push(problem);
    }
    problems
}

/// As in `address`.
const SLOW_MS: f64 = 1000.0;
