//! What is known about the host, for the transcript.

use super::{
    daemon::{delivery, now},
    transcript::field,
};
use crate::{
    model::{
        host::{Agent, AgentState, HostFacts, Proxy, RegionSource, Role},
        round::Round,
    },
    render::{
        figures,
        page::{Page, Paint},
    },
};

/// Writes the host's facts and the state of the delivery.
pub(super) fn write(page: &mut Page<'_>, round: &Round) {
    page.gap();
    page.line(&[Paint::Strong.span("This host")]);
    for (name, words) in facts(&round.host) {
        field(page, 2, name, &Paint::Plain.span(words));
    }
    for problem in &round.host.problems {
        field(
            page,
            2,
            problem.severity.as_str(),
            &Paint::Plain.span(format!("{}: {}", problem.cause, problem.summary)),
        );
    }
    let Some(shipping) = &round.shipping else { return };
    field(page, 2, "metrics", &Paint::Plain.span(delivery(shipping, now(round))));
    for problem in &shipping.problems {
        field(
            page,
            2,
            problem.severity.as_str(),
            &Paint::Plain.span(format!("{}: {}", problem.cause, problem.summary)),
        );
    }
}

fn facts(host: &HostFacts) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut known = |name, parts: Vec<String>| {
        if !parts.is_empty() {
            facts.push((name, parts.join(", ")));
        }
    };
    known("instance", host.instance_id.iter().cloned().collect());
    let source = match host.source {
        RegionSource::Imds => "from IMDS",
        RegionSource::Config => "from the command line or the config",
        RegionSource::Environment => "from the environment",
        RegionSource::ResolvConf => "from the search domain of resolv.conf",
        RegionSource::None => "from nowhere",
    };
    known(
        "region",
        host.region
            .iter()
            .map(|region| format!("{region} {source}"))
            .chain(host.partition.iter().map(|partition| format!("partition {partition}")))
            .chain(host.domain.clone())
            .collect(),
    );
    known("zone", [&host.availability_zone, &host.availability_zone_id].into_iter().flatten().cloned().collect());
    known("vpc", host.vpc_id.iter().cloned().chain(host.vpc_cidrs.iter().map(ToString::to_string)).collect());
    known("subnet", host.subnet_id.iter().cloned().chain(host.subnet_cidrs.iter().map(ToString::to_string)).collect());
    known("own", host.addresses.iter().map(ToString::to_string).collect());
    known("link", host.link.iter().map(|link| format!("{} with an MTU of {}", link.name, link.mtu)).collect());
    let is_other = |name: &str| host.link.as_ref().is_none_or(|link| link.name != name);
    let others = host.links.iter().filter(|link| is_other(&link.name));
    known("links", others.map(|link| format!("{} with an MTU of {}", link.name, link.mtu)).collect());
    known("dns", name_servers(host));
    known("imds", vec![host.imds.as_str().to_owned(), format!("facts in {}", figures::elapsed(host.elapsed_ms))]);
    known(
        "role",
        vec![match &host.role {
            Role::Name(name) => name.clone(),
            Role::Missing => "none".to_owned(),
            Role::Unknown => "unknown".to_owned(),
        }],
    );
    known("agent", agent(&host.agent));
    for proxy in &host.proxies {
        known("proxy", proxy_words(proxy));
    }
    known(
        "dropped",
        host.allowances
            .iter()
            .map(|drops| {
                format!("{} packets by the link-local allowance, {} by conntrack", drops.linklocal, drops.conntrack)
            })
            .collect(),
    );
    facts
}

fn name_servers(host: &HostFacts) -> Vec<String> {
    if host.name_servers.is_empty() {
        return host.resolvers.iter().map(ToString::to_string).collect();
    }
    host.name_servers
        .iter()
        .map(|server| {
            let behind = server.behind.map(|stub| format!(" behind {stub}")).unwrap_or_default();
            format!("{}{behind}", server.address)
        })
        .collect()
}

fn agent(agent: &Agent) -> Vec<String> {
    let state = match agent.state {
        AgentState::Running => "amazon-ssm-agent runs",
        AgentState::Stopped => "amazon-ssm-agent is installed and does not run",
        AgentState::NotInstalled => "amazon-ssm-agent is not installed",
        AgentState::Unknown => "cannot tell whether amazon-ssm-agent runs",
    };
    let mut parts = vec![state.to_owned()];
    parts.extend(agent.unit.clone());
    #[expect(clippy::cast_precision_loss, reason = "shown in two digits")]
    parts.extend(agent.running_s.map(|seconds| format!("for {}", figures::span(seconds as f64))));
    parts
}

fn proxy_words(proxy: &Proxy) -> Vec<String> {
    let whose = if proxy.agent { "the SSM agent's" } else { "this shell's" };
    let mut parts = vec![format!("{}={}", proxy.variable, proxy.url), format!("{whose} ({})", proxy.origin)];
    if !proxy.no_proxy.is_empty() {
        parts.push(format!("no_proxy {}", proxy.no_proxy.join(" ")));
    }
    parts
}
