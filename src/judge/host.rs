//! Problems of the host that only a round can show. Notes: they never touch the round's verdict.

use super::{
    scene::Scene,
    words::{list, sentence, tidy, verb},
};
use crate::model::{
    cause::Cause,
    host::{AgentState, ImdsState, Proxy},
    observation::ResolveRecord,
    verdict::{Problem, Severity, Verdict},
};

fn note(cause: Cause, summary: &str) -> Vec<Problem> {
    vec![Problem { cause, severity: Severity::Note, stage: None, address: None, summary: sentence(summary) }]
}

/// Rule: the agent has run for minutes, the network is healthy, and the agent holds no connection to ssmmessages.
///
/// Nothing is said where its traffic goes through a proxy, or where this host's connections could not be read.
pub(super) fn agent_stale(scene: &Scene<'_>) -> Vec<Problem> {
    let agent = &scene.host.agent;
    let settled = agent.state == AgentState::Running && agent.running_s.is_some_and(|s| s > SETTLED_S);
    let healthy = scene
        .targets
        .iter()
        .all(|judged| matches!(judged.verdict, Verdict::Healthy | Verdict::Skipped) || !judged.view.target().required);
    if !settled || !healthy || scene.host.proxies.iter().any(|proxy| proxy.agent) {
        return Vec::new();
    }
    let channel = scene.targets.iter().find(|judged| {
        judged.view.target().service.as_deref() == Some("ssmmessages") && judged.verdict == Verdict::Healthy
    });
    let (Some(channel), Some(established)) = (channel, &scene.host.established) else { return Vec::new() };
    let target = channel.view.target();
    let held = established.iter().any(|peer| {
        peer.port() == target.port
            && channel.view.seen.iter().any(|seen| seen.address().to_canonical() == peer.ip().to_canonical())
    });
    if held {
        return Vec::new();
    }
    note(
        Cause::AgentStale,
        "the network is fine, and the SSM agent runs without a connection to ssmmessages: restart it",
    )
}

/// Rule: packets to link-local services were dropped, and DNS or IMDS timed out.
pub(super) fn linklocal_limit(scene: &Scene<'_>) -> Vec<Problem> {
    let dropped = scene.host.allowances.map_or(0, |allowances| allowances.linklocal);
    let timed_out = |record: &ResolveRecord| record.outcome.cause() == Some(Cause::DnsTimeout);
    let dns = scene
        .targets
        .iter()
        .any(|judged| timed_out(judged.view.resolve()) || judged.view.observation.resolvers.iter().any(timed_out));
    let imds = matches!(scene.host.imds, ImdsState::Unreachable | ImdsState::Slow);
    if dropped == 0 || !(dns || imds) {
        return Vec::new();
    }
    let what = if dns { "DNS" } else { "IMDS" };
    note(
        Cause::LinklocalLimit,
        &format!(
            "{what} timed out, and {dropped} packets to DNS, IMDS or NTP were dropped by the allowance since boot"
        ),
    )
}

/// Rule: packets were dropped by the connection-tracking allowance, and connections timed out.
pub(super) fn conntrack_limit(scene: &Scene<'_>) -> Vec<Problem> {
    let dropped = scene.host.allowances.map_or(0, |allowances| allowances.conntrack);
    let timed_out = scene.targets.iter().flat_map(|judged| &judged.view.seen).any(|seen| {
        seen.is_silent()
            || seen.dead().is_some_and(|sight| matches!(sight.cause, Cause::TlsTimeout | Cause::HttpTimeout))
    });
    if dropped == 0 || !timed_out {
        return Vec::new();
    }
    note(
        Cause::ConntrackLimit,
        &format!(
            "connections timed out, and {dropped} packets were dropped by the connection-tracking allowance since boot"
        ),
    )
}

/// Rule: this process ran into a limit of its own.
pub(super) fn resource_exhausted(scene: &Scene<'_>) -> Vec<Problem> {
    let spoilt: Vec<_> = scene.targets.iter().filter(|judged| judged.view.observation.exhausted.is_some()).collect();
    let Some(limit) = spoilt.first().and_then(|judged| judged.view.observation.exhausted.as_deref()) else {
        return Vec::new();
    };
    let names: Vec<&str> = spoilt.iter().map(|judged| judged.name()).collect();
    note(
        Cause::ResourceExhausted,
        &format!("{} while {} {} probed", tidy(limit, 80), list(&names), verb(names.len(), "was", "were")),
    )
}

/// Rule: a proxy setting would take traffic to the endpoints, or to IMDS, away from the way that was probed.
///
/// A note however the round ends: probes never use a proxy, so what was measured is true of the direct way only.
pub(super) fn proxy_diverts(scene: &Scene<'_>) -> Vec<Problem> {
    scene.host.proxies.iter().find_map(|proxy| diverts(scene, proxy)).unwrap_or_default()
}

fn diverts(scene: &Scene<'_>, proxy: &Proxy) -> Option<Vec<Problem>> {
    let variable = proxy.variable.to_ascii_lowercase();
    let https = variable != "http_proxy";
    let hosts: Vec<&str> = scene
        .targets
        .iter()
        .map(|judged| judged.view.target())
        .filter(|target| https && target.service.is_some() && proxy.applies_to(&target.host, target.port))
        .map(|target| target.host.as_str())
        .collect();
    // IMDS speaks plain HTTP, so only http_proxy (or all_proxy) can divert it.
    let imds = variable != "https_proxy" && proxy.applies_to(IMDS, 80);
    let lacking = match (hosts.as_slice(), imds) {
        ([], false) => return None,
        ([], true) => IMDS.to_owned(),
        ([one], false) => tidy(one, 60),
        ([first, ..], false) => format!("{} and {} more", tidy(first, 50), hosts.len().saturating_sub(1)),
        (some, true) => format!("{} endpoints and {IMDS}", some.len()),
    };
    let who = if proxy.agent { "the SSM agent" } else { "this environment" };
    let summary = format!("{who} has {variable}={} and no_proxy does not cover {lacking}", tidy(&proxy.url, 50));
    Some(note(Cause::ProxyInterferes, &summary))
}

/// Seconds after which a started agent has long connected.
const SETTLED_S: u64 = 300;
const IMDS: &str = "169.254.169.254";
