//! Steps for what several targets show together.

use std::net::IpAddr;

use super::{
    GROUPS, MOST_STEPS, PRIVATE_DNS, ask_vpc_resolver, aws, endpoints, from_table, from_words, has_gateway,
    local_firewall, routes, service_name, vpc_id, vpc_resolver,
};
use crate::{
    judge::{
        scene::{Judged, Scene, Seen, is_private},
        words::{common_name, list, shown, tidy},
    },
    model::{
        cause::Cause,
        observation::{Place, ProxyRecord},
    },
};

/// S3 or another public name is silent. Gateway endpoint and NAT look alike from here, so both are named.
pub(in crate::judge) fn gateway_unreachable(scene: &Scene<'_>, judged: &Judged<'_>) -> Vec<String> {
    let target = judged.view.target();
    let subnet = scene.host.subnet_id.as_deref().map_or_else(|| "this subnet".to_owned(), |id| tidy(id, 30));
    let see = format!("With AWS access: {}", routes(scene));
    let mut steps = Vec::new();
    if let (Some(name), true) = (service_name(scene, target), has_gateway(target)) {
        let prefixes = name.trim_start_matches("cn.");
        steps.push(format!(
            "The route table of {subnet} needs the gateway endpoint's route (prefix list {prefixes}). {see}"
        ));
        steps.push(format!("This host's security group must let TCP {} out there, the NACL both ways.", target.port));
        steps.push("If it goes by NAT, check that: a host cannot tell the two apart.".to_owned());
    } else {
        steps.push(format!(
            "The route table of {subnet} needs a way to these addresses (NAT, or an internet gateway). {see}"
        ));
        steps.push(format!("This instance's security group and the NACL must allow TCP {} to them.", target.port));
    }
    steps.push(local_firewall());
    steps
}

/// The names of all services, for one command.
fn service_names(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    targets.iter().filter_map(|judged| service_name(scene, judged.view.target())).collect()
}

/// The command that shows the endpoints' security groups. A hub VPC's endpoints are not listed under this VPC.
fn groups(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> String {
    match outside(scene, targets) {
        Some(_) => aws(scene, "describe-vpc-endpoints", &format!("--query '{GROUPS}'")),
        None => endpoints(scene, GROUPS),
    }
}

/// All endpoints are silent and something public answers.
pub(in crate::judge) fn endpoints_blocked(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let view = targets.first().map(|judged| &judged.view);
    let mut steps = vec![format!(
        "In the security group that the endpoints share, allow TCP 443 from {}. With AWS access: {}",
        from_words(scene, view),
        groups(scene, targets)
    )];
    steps.push("Then this instance's egress rules towards them, and both sides' NACLs.".to_owned());
    steps.extend(outside(scene, targets).map(|address| {
        format!(
            "{address} is outside this VPC: check the route to it (transit gateway, peering), here with: ip route get {address}"
        )
    }));
    steps.push(local_firewall());
    steps
}

/// An endpoint that lies in another VPC, which needs a route as well.
fn outside(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Option<IpAddr> {
    let elsewhere = |seen: &&Seen<'_>| {
        is_private(seen.record.place)
            && seen.record.place != Place::OwnVpc
            && !scene.plan.addresses.vpc_cidrs.is_empty()
    };
    targets.iter().flat_map(|judged| judged.view.used()).find(elsewhere).map(|seen| shown(seen.address()))
}

/// The command that shows this instance's security groups.
fn own_groups(scene: &Scene<'_>) -> String {
    let instance = scene.host.instance_id.as_deref().map_or_else(|| "INSTANCE_ID".to_owned(), |id| tidy(id, 30));
    let rest = format!("--instance-ids {instance} --query 'Reservations[].Instances[].SecurityGroups'");
    aws(scene, "describe-instances", &rest)
}

/// Nothing answers, private or public: this side.
pub(in crate::judge) fn egress_blocked(scene: &Scene<'_>) -> Vec<String> {
    vec![
        format!("This instance's security group must allow TCP 443 out. With AWS access: {}", own_groups(scene)),
        local_firewall(),
        format!("Then this subnet's NACL (TCP 443 out, 1024-65535 in) and its routes: {}", routes(scene)),
    ]
}

/// No endpoint answers and no public name was tried: either side.
pub(in crate::judge) fn either_side_blocked(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    vec![
        format!(
            "The endpoints' shared security group must allow TCP 443 from {}. With AWS access: {}",
            from_words(scene, targets.first().map(|judged| &judged.view)),
            groups(scene, targets)
        ),
        format!("This instance's security group must allow TCP 443 out: {}", own_groups(scene)),
        "The NACLs must let TCP 443 through, and ports 1024-65535 back.".to_owned(),
        local_firewall(),
    ]
}

/// No name resolves.
pub(in crate::judge) fn resolver_down(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let host = targets.first().map_or_else(|| "NAME".to_owned(), |judged| tidy(&judged.view.target().host, 80));
    let vpc = vpc_resolver(scene);
    let answered = targets.iter().any(|judged| judged.view.vpc_answer().is_some());
    let denied = |judged: &&&Judged<'_>| {
        matches!(judged.view.resolve().outcome.cause(), Some(Cause::DnsNxdomain | Cause::DnsNoData))
    };
    let mut steps = Vec::new();
    if !answered && targets.iter().all(|judged| denied(&judged)) {
        // The server does answer: what it says of these names is the question.
        steps.push(format!("Ask the VPC's own resolver: dig @{vpc} {host}"));
        steps.extend(from_table(scene, Cause::DnsNxdomain));
        return steps;
    }
    let stub = targets.iter().find_map(|judged| {
        judged.view.system_servers().find(|record| record.behind.is_some() && record.outcome.is_ok())?.behind
    });
    if let Some(stub) = stub {
        steps.push(format!(
            "The servers behind this host's stub {stub} do answer, the stub does not: sudo systemctl restart systemd-resolved"
        ));
    }
    if answered {
        steps.push(format!(
            "The VPC's resolver {vpc} does answer: repair the configured name servers, or use it instead. See what \
             they say: {}",
            scene
                .plan
                .dns
                .servers
                .first()
                .map_or_else(|| format!("dig {host}"), |server| format!("dig @{} {host}", server.address.ip()))
        ));
    } else {
        steps.push(format!("Ask the VPC's own resolver: dig @{vpc} {host}"));
        steps
            .push("No security group or NACL filters that; this host's firewall may: sudo nft list ruleset".to_owned());
    }
    steps.push(
        "If the name servers come from the VPC's DHCP options, see those, and the path to the servers (TCP and UDP 53)."
            .to_owned(),
    );
    let attribute = format!("--vpc-id {} --attribute enableDnsSupport", vpc_id(scene));
    steps.push(format!(
        "DNS must be on in the VPC. With AWS access: {}",
        aws(scene, "describe-vpc-attribute", &attribute)
    ));
    steps
}

/// The name server does not forward to the VPC's.
pub(in crate::judge) fn resolver_disagrees(scene: &Scene<'_>, judged: &Judged<'_>, system: &str) -> Vec<String> {
    let host = &judged.view.target().host;
    let suffix = host.split_once('.').map_or("amazonaws.com", |(_, rest)| rest);
    vec![
        format!(
            "On {system}, forward {} to the VPC's resolver (from outside the VPC: to an inbound Resolver endpoint).",
            tidy(suffix, 60)
        ),
        "Or hand out AmazonProvidedDNS in the VPC's DHCP options.".to_owned(),
        format!(
            "See both answers: dig @{system} {}; {}",
            tidy(host, 80),
            ask_vpc_resolver(scene, judged.view.target())
        ),
    ]
}

/// The hosts file pins a name.
pub(in crate::judge) fn hosts_override(scene: &Scene<'_>, judged: &Judged<'_>) -> Vec<String> {
    vec![
        format!("Take the line out, so that DNS answers: grep -n {} /etc/hosts", tidy(&judged.view.target().host, 80)),
        format!("See first what DNS says: {}", ask_vpc_resolver(scene, judged.view.target())),
    ]
}

/// Several names are public: the VPC's attributes first, then each endpoint's private DNS, then custom DNS.
pub(in crate::judge) fn private_dns_off(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let vpc = vpc_id(scene);
    let attribute = |name: &str| aws(scene, "describe-vpc-attribute", &format!("--vpc-id {vpc} --attribute {name}"));
    let mut steps = vec![
        format!(
            "Both DNS attributes of {vpc} must be on. With AWS access: {}; {}",
            attribute("enableDnsHostnames"),
            attribute("enableDnsSupport")
        ),
        format!("Each endpoint must exist and have private DNS on for this VPC: {}", endpoints(scene, PRIVATE_DNS)),
    ];
    let names: Vec<IpAddr> = scene.plan.dns.servers.iter().map(|server| shown(server.address.ip())).collect();
    if let (Some(_), Some(first)) = (scene.plan.dns.vpc, targets.first()) {
        steps.push(format!(
            "A custom DNS server ({}) must forward these names to the VPC's resolver: {}",
            list(&names),
            ask_vpc_resolver(scene, first.view.target())
        ));
    }
    steps
}

/// A service without an endpoint. The owner of a shared subnet's VPC creates it, not the subnet's user.
pub(in crate::judge) fn endpoint_missing(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let names = service_names(scene, targets);
    let what = if names.is_empty() { "for these names".to_owned() } else { list(&names) };
    vec![
        format!(
            "Create the interface endpoint {what} in {} with private DNS on (in a shared subnet, the VPC's owner must).",
            vpc_id(scene)
        ),
        "If it exists, turn its private DNS on, or associate its hosted zone here.".to_owned(),
        format!("With AWS access, see what exists: {}", endpoints(scene, PRIVATE_DNS)),
    ]
}

/// A dead name server among living ones.
pub(in crate::judge) fn nameserver_dead(server: IpAddr, host: &str) -> Vec<String> {
    vec![
        format!("See it from here: dig @{server} {}", tidy(host, 80)),
        "Repair it, or take it out of the VPC's DHCP options (or /etc/resolv.conf) and renew the lease.".to_owned(),
    ]
}

/// This host's clock.
pub(in crate::judge) fn clock(scene: &Scene<'_>) -> Vec<String> {
    let mut steps = vec!["See how far it is off: chronyc tracking".to_owned()];
    steps.extend(from_table(scene, Cause::ClockWrong));
    steps
}

/// One foreign authority.
pub(in crate::judge) fn tls_inspection(targets: &[&Judged<'_>], issuer: &str) -> Vec<String> {
    let mut steps = vec![
        "Exempt the AWS endpoints from inspection: the SSM agent's channel does not survive it.".to_owned(),
        format!("If it is meant, trust {} on this host, and name its file in extra_ca_file.", common_name(issuer)),
    ];
    steps.extend(targets.first().into_iter().flat_map(|judged| super::certificate(&judged.view)));
    steps
}

/// A proxy in the way, or the only way.
pub(in crate::judge) fn proxy(scene: &Scene<'_>, proxy: &ProxyRecord) -> Vec<String> {
    let (who, origin) = (if proxy.agent { "The SSM agent" } else { "This environment" }, tidy(&proxy.origin, 100));
    let mut steps = if proxy.works {
        vec![
            format!("{who} gets out by the proxy that is set in {origin}: leave it until the direct way is open."),
            "If the proxy is the only way that is meant, set enabled = false for these targets.".to_owned(),
        ]
    } else {
        let mut steps = vec![format!("{who} has its proxy from {origin}.")];
        steps.extend(from_table(scene, Cause::ProxyInterferes));
        steps
    };
    if proxy.agent {
        steps.push("See what the agent uses: systemctl show amazon-ssm-agent -p Environment".to_owned());
    }
    steps.truncate(MOST_STEPS);
    steps
}
