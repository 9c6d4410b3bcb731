//! What several names show together: the resolver, private DNS, a missing endpoint, the hosts file.

use std::net::IpAddr;

use super::{Conclusion, names, open};
use crate::{
    judge::{
        advice,
        scene::{Judged, Scene, Seen},
        target::vpc_does_better,
        words::{self, first_of, list, shown},
    },
    model::{
        cause::Cause,
        target::Expect,
        verdict::{Problem, Severity, Verdict},
    },
};

/// Rule: no name at all could be resolved (two or more; the hosts file does not count). A server that denies what the
/// VPC's resolver knows is up: it does not forward, which is for [`resolver_disagrees`] to say.
pub(crate) fn resolver_down(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let asked = || {
        let counts = |judged: &&Judged<'_>| !judged.view.is_pinned() && judged.view.target().expect != Expect::Absent;
        scene.targets.iter().filter(counts)
    };
    let down =
        |judged: &Judged<'_>| judged.view.resolve().outcome.cause().is_some_and(|cause| cause != Cause::NotFinished);
    let failed: Vec<_> = open(scene, drawn).into_iter().filter(|judged| down(judged)).collect();
    // A server that knows every name and has no address of the family that was asked for is well.
    let empty = |judged: &Judged<'_>| judged.view.resolve().outcome.cause() == Some(Cause::DnsNoData);
    if asked().count() < 2 || !asked().all(down) || asked().all(empty) || failed.is_empty() {
        return Vec::new();
    }
    let denies = |judged: &Judged<'_>| {
        matches!(judged.view.resolve().outcome.cause(), Some(Cause::DnsNxdomain | Cause::DnsNoData))
    };
    if asked().all(denies) && failed.iter().any(|judged| vpc_does_better(&judged.view).is_some()) {
        return Vec::new();
    }
    let causes = distinct(failed.iter().filter_map(|judged| judged.view.resolve().outcome.cause()));
    let servers: Vec<IpAddr> = scene.plan.dns.servers.iter().map(|server| shown(server.address.ip())).collect();
    let by = if servers.is_empty() {
        "no name server is configured".to_owned()
    } else {
        format!("asked {}", list(&servers))
    };
    let summary = format!("none of {} names resolves ({}; {by})", asked().count(), list(&causes));
    let conclusion = Conclusion::new(
        Cause::ResolverDown,
        Severity::Failure,
        &failed,
        &summary,
        advice::across::resolver_down(scene, &failed),
    );
    vec![conclusion.with(&[Cause::ResolverDisagrees, Cause::NameserverDead])]
}

/// Rule: the system's name server gives what breaks the expectation, the VPC's gives what meets it. Then private DNS is
/// not off and no endpoint is missing: the name server does not forward.
pub(crate) fn resolver_disagrees(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let disagree = |judged: &&Judged<'_>| judged.has(Cause::ResolverDisagrees);
    let failed: Vec<_> = open(scene, drawn).into_iter().filter(disagree).collect();
    let (Some(first), Some(vpc)) = (failed.first(), failed.iter().find_map(|judged| vpc_does_better(&judged.view)))
    else {
        return Vec::new();
    };
    let server =
        |record: Option<IpAddr>| record.map_or_else(|| "the name server".to_owned(), |ip| shown(ip).to_string());
    // A local stub only passes on what the server behind it says.
    let asked = first.view.resolve().resolver;
    let behind = first.view.system_servers().find(|record| record.behind.is_some() && record.behind == asked);
    let system = server(behind.map_or(asked, |record| record.resolver));
    let says = match first.view.resolve().outcome.cause() {
        Some(cause) => words::without_addresses(cause),
        None => format!("says {}", first_of(&first.view.resolve().addresses)),
    };
    let summary = format!(
        "{system} {says} for {}, the VPC's resolver {} says {}: {system} does not forward to it",
        first.name(),
        server(vpc.resolver),
        first_of(&vpc.addresses)
    );
    let advice = advice::across::resolver_disagrees(scene, first, &system);
    vec![Conclusion::new(Cause::ResolverDisagrees, Severity::Failure, &failed, &summary, advice)]
}

/// Rule: the hosts file pins names; a failure where it pins them to the wrong place.
pub(crate) fn hosts_override(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let pinned = |judged: &&Judged<'_>| judged.has(Cause::HostsOverride);
    let wrong: Vec<_> = open(scene, drawn)
        .into_iter()
        .filter(pinned)
        .filter(|judged| judged.view.used().any(Seen::is_misplaced))
        .collect();
    let rest: Vec<_> = scene
        .targets
        .iter()
        .filter(pinned)
        .filter(|judged| !wrong.iter().any(|other| other.name() == judged.name()))
        .collect();
    let mut conclusions = Vec::new();
    for (severity, targets, what) in [
        (Severity::Failure, wrong, "to addresses that are not as expected"),
        (Severity::Warning, rest, "; it will not follow the endpoint when that is rebuilt"),
    ] {
        let Some(first) = targets.first() else { continue };
        let names = names(&targets);
        let pins = words::verb(names.len(), "is", "are");
        let summary = format!(
            "{} {pins} pinned by the hosts file{}{what}",
            list(&names),
            if what.starts_with(';') { "" } else { " " }
        );
        let advice = advice::across::hosts_override(scene, first);
        conclusions.push(Conclusion::new(Cause::HostsOverride, severity, &targets, &summary, advice));
    }
    conclusions
}

/// A failed target whose name is public where private is expected.
fn is_public(judged: &Judged<'_>) -> bool {
    judged.view.expects_private() && judged.view.is_public() && !judged.view.is_pinned()
}

/// Whether some name does resolve to private addresses, by DNS: then private DNS works in this VPC.
fn private_siblings<'a>(scene: &Scene<'a>) -> Vec<&'a str> {
    let private = |judged: &&Judged<'a>| {
        judged.view.expects_private()
            && judged.view.target().service.is_some()
            && judged.view.is_private()
            && !judged.view.is_pinned()
    };
    scene.targets.iter().filter(private).map(Judged::name).collect()
}

/// Rule: several names are public where private ones are expected.
///
/// Beside private siblings the VPC's own DNS works, so two required names must be public, and the advice starts at their
/// endpoints; optional names that are public there have no endpoint, and that is no fault.
pub(crate) fn private_dns_off(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let failed: Vec<_> = open(scene, drawn).into_iter().filter(|judged| is_public(judged)).collect();
    // Optional names that are public too are not failed, and still say the same.
    let public = scene.targets.iter().filter(|judged| is_public(judged)).count();
    let siblings = private_siblings(scene);
    let several = if siblings.is_empty() { public >= 2 } else { failed.len() >= 2 };
    if failed.is_empty() || !several {
        return Vec::new();
    }
    let answer = failed.iter().any(|judged| judged.view.seen.iter().any(Seen::answers));
    let reach = if answer { "that answer, so traffic leaves the VPC" } else { "and no answer" };
    let summary = if siblings.is_empty() {
        format!("public addresses {reach}: private DNS is off, or there are no endpoints")
    } else {
        format!(
            "public addresses {reach}, while {} is private: private DNS is off, or there are no endpoints",
            list(&siblings)
        )
    };
    let advice = if siblings.is_empty() {
        advice::across::private_dns_off(scene, &failed)
    } else {
        advice::across::endpoint_missing(scene, &failed)
    };
    vec![Conclusion::new(Cause::PrivateDnsOff, Severity::Failure, &failed, &summary, advice)]
}

/// Rule: a name is public while its siblings are private.
pub(crate) fn endpoint_missing(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let siblings = private_siblings(scene);
    let failed: Vec<_> = open(scene, drawn)
        .into_iter()
        .filter(|judged| is_public(judged) && judged.view.target().service.is_some())
        .collect();
    if siblings.is_empty() || failed.is_empty() {
        return Vec::new();
    }
    let addresses: Vec<IpAddr> = failed.iter().filter_map(|judged| first_address(judged)).collect();
    let answers = failed.iter().any(|judged| judged.view.seen.iter().any(Seen::answers));
    let reach = if answers { "public" } else { "public and silent" };
    let summary = format!(
        "no endpoint for {}: {} {} {reach}, while {} {} private",
        list(&names(&failed)),
        list(&addresses),
        words::verb(addresses.len(), "is", "are"),
        list(&siblings),
        words::verb(siblings.len(), "is", "are"),
    );
    let advice = advice::across::endpoint_missing(scene, &failed);
    vec![Conclusion::new(Cause::EndpointMissing, Severity::Failure, &failed, &summary, advice)]
}

fn first_address(judged: &Judged<'_>) -> Option<IpAddr> {
    judged.view.used().next().map(|seen| shown(seen.address()))
}

/// Rule: one of several name servers is dead; one finding for all names that were asked of it.
pub(crate) fn nameserver_dead(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let dead = |problem: &&Problem| problem.cause == Cause::NameserverDead;
    let targets: Vec<_> = scene
        .targets
        .iter()
        .filter(|judged| judged.has(Cause::NameserverDead))
        .filter(|judged| {
            !judged.problems.iter().filter(dead).any(|problem| drawn.iter().any(|c| c.explains(judged, problem)))
        })
        .collect();
    let servers = distinct(targets.iter().flat_map(|j| j.problems.iter().filter(dead)).filter_map(|p| p.address));
    let Some(first) = servers.first() else { return Vec::new() };
    let stub = scene.plan.dns.servers.iter().find(|server| server.address.ip() == *first).and_then(|s| s.behind);
    let behind = stub.map_or_else(String::new, |stub| format!(" (behind {stub})"));
    let server = format!("name server {}{behind}", list(&servers));
    let records = || targets.iter().flat_map(|judged| judged.view.system_servers());
    let outcomes = distinct(records().filter(|r| r.resolver == Some(*first)).filter_map(|r| r.outcome.cause()));
    let summary = match outcomes.as_slice() {
        [Cause::DnsUnreachable] => format!("{server} cannot be reached, another one answers: look-ups ask it in vain"),
        // It does answer, only not well: nobody waits for it.
        [cause @ (Cause::DnsServfail | Cause::DnsRefused)] => {
            let of = list(&names(&targets));
            format!("{server} fails ({cause}) for {of}, another one answers: programs may take its word or ask on")
        }
        _ => format!("{server} does not answer, another one does: programs stall for seconds at every look-up"),
    };
    let advice =
        advice::across::nameserver_dead(*first, targets.first().map_or("", |judged| &judged.view.target().host));
    vec![Conclusion::new(Cause::NameserverDead, Severity::Warning, &targets, &summary, advice)]
}

/// The distinct items, in the order of their first appearance.
pub(crate) fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen: Vec<T> = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// Whether a target was judged and is well.
pub(crate) fn is_well(judged: &Judged<'_>) -> bool {
    match judged.verdict {
        Verdict::Healthy | Verdict::Degraded => true,
        Verdict::Skipped | Verdict::Failed => false,
    }
}
