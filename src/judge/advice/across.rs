//! Steps for what several targets show together.

use std::net::IpAddr;

use super::{
    GROUPS, STATE, ask_vpc_resolver, from_table, from_words, has_gateway, local_firewall, on_this_host, routes,
    service_name, vpc_id, vpc_resolver, with_access,
};
use crate::{
    judge::{
        scene::{Judged, Scene, Seen, is_private},
        words::{list, shown, tidy},
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
    let mut steps = Vec::new();
    if let (Some(name), true) = (service_name(scene, target), has_gateway(target)) {
        let list = name.trim_start_matches("cn.");
        steps.push(format!(
            "The route table of {subnet} needs a route to the prefix list {list}: associate the gateway endpoint with it."
        ));
        steps.push(routes(scene));
        steps.push(format!(
            "This instance's security group must allow TCP {} out to that prefix list, and the NACL its addresses in both directions.",
            target.port
        ));
        steps.push(with_access(&format!(
            "aws ec2 describe-managed-prefix-lists --filters Name=prefix-list-name,Values={list} --region {}",
            scene.region()
        )));
        steps.push(
            "If it goes by NAT instead, check that route and the NAT gateway: a host cannot tell the two apart."
                .to_owned(),
        );
    } else {
        steps
            .push(format!("The route table of {subnet} needs a way to these addresses (NAT, or an internet gateway)."));
        steps.push(routes(scene));
        steps.push(format!("This instance's security group and the NACL must allow TCP {} to them.", target.port));
    }
    steps.push(local_firewall());
    steps
}

/// The names of all services, for one command.
fn service_names(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    targets.iter().filter_map(|judged| service_name(scene, judged.view.target())).collect()
}

fn describe_all(scene: &Scene<'_>, targets: &[&Judged<'_>], query: &str) -> String {
    let names = service_names(scene, targets);
    let filter = if names.is_empty() {
        format!("Name=vpc-id,Values={}", vpc_id(scene))
    } else {
        format!("Name=service-name,Values={}", names.join(","))
    };
    with_access(&format!(
        "aws ec2 describe-vpc-endpoints --filters {filter} --query '{query}' --region {}",
        scene.region()
    ))
}

/// All endpoints are silent and something public answers.
pub(in crate::judge) fn endpoints_blocked(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let view = targets.first().map(|judged| &judged.view);
    vec![
        format!("In the security group that the endpoints share, allow TCP 443 from {}.", from_words(scene, view)),
        describe_all(scene, targets, GROUPS),
        "Then this instance's own egress rules towards the endpoints' subnets, and the NACLs of both sides.".to_owned(),
        where_from(scene, targets),
        local_firewall(),
    ]
}

/// Where the endpoints are: another VPC needs a route as well.
fn where_from(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> String {
    let outside = targets.iter().flat_map(|judged| judged.view.used()).find(|seen| {
        is_private(seen.record.place)
            && seen.record.place != Place::OwnVpc
            && !scene.plan.addresses.vpc_cidrs.is_empty()
    });
    match outside {
        Some(seen) => format!(
            "{} is outside this VPC: check the route to it (transit gateway, peering) in this subnet's route table.",
            shown(seen.address())
        ),
        None => "On this host, type to see the way that packets take: ip route get ".to_owned() + &first(targets),
    }
}

fn first(targets: &[&Judged<'_>]) -> String {
    targets
        .iter()
        .find_map(|judged| judged.view.used().next())
        .map_or_else(|| "ADDRESS".to_owned(), |seen: &Seen<'_>| shown(seen.address()).to_string())
}

/// Nothing answers, private or public: this side.
pub(in crate::judge) fn egress_blocked(scene: &Scene<'_>) -> Vec<String> {
    let instance = scene.host.instance_id.as_deref().map_or_else(|| "INSTANCE_ID".to_owned(), |id| tidy(id, 30));
    vec![
        "This instance's security group must allow TCP 443 out (Terraform removes the default egress rule).".to_owned(),
        with_access(&format!(
            "aws ec2 describe-instances --instance-ids {instance} --query 'Reservations[].Instances[].SecurityGroups' --region {}",
            scene.region()
        )),
        local_firewall(),
        "The NACL of this subnet must allow TCP 443 out and ports 1024-65535 back in.".to_owned(),
        routes(scene),
    ]
}

/// No endpoint answers and no public name was tried: either side.
pub(in crate::judge) fn either_side_blocked(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let mut steps = egress_blocked(scene);
    let from = from_words(scene, targets.first().map(|judged| &judged.view));
    steps.push(format!("Or the endpoints' shared security group does not allow TCP 443 from {from}."));
    steps.push(describe_all(scene, targets, GROUPS));
    steps
}

/// No name resolves.
pub(in crate::judge) fn resolver_down(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let host = targets.first().map_or_else(|| "NAME".to_owned(), |judged| tidy(&judged.view.target().host, 80));
    let vpc = vpc_resolver(scene);
    let mut steps = Vec::new();
    if let Some(server) = scene.plan.dns.servers.first() {
        steps.push(on_this_host(&format!("dig @{} {host}", server.address.ip())));
    }
    steps.push(on_this_host(&format!("dig @{vpc} {host}")));
    let answered = targets.iter().any(|judged| judged.view.vpc_answer().is_some());
    steps.push(if answered {
        format!("The VPC's resolver {vpc} does answer: repair the configured name servers, or use it instead.")
    } else {
        "Security groups and NACLs do not filter the VPC's resolver; a firewall on this host or custom DNS servers can fail."
            .to_owned()
    });
    steps.push(with_access(&format!(
        "aws ec2 describe-vpc-attribute --vpc-id {} --attribute enableDnsSupport --region {}",
        vpc_id(scene),
        scene.region()
    )));
    steps.push(
        "If the servers come from the VPC's DHCP options, see those and the path to the servers (TCP and UDP 53)."
            .to_owned(),
    );
    steps
}

/// The name server does not forward to the VPC's.
pub(in crate::judge) fn resolver_disagrees(scene: &Scene<'_>, judged: &Judged<'_>, system: &str) -> Vec<String> {
    let suffix = judged.view.target().host.split_once('.').map_or("amazonaws.com", |(_, rest)| rest);
    let vpc = vpc_resolver(scene);
    vec![
        format!(
            "On {system}, forward {} to the VPC's resolver ({vpc}, or an inbound Resolver endpoint).",
            tidy(suffix, 60)
        ),
        on_this_host(&format!("dig @{system} {}", tidy(&judged.view.target().host, 80))),
        ask_vpc_resolver(scene, judged.view.target()),
        "Or hand out AmazonProvidedDNS in the VPC's DHCP options.".to_owned(),
    ]
}

/// The hosts file pins a name.
pub(in crate::judge) fn hosts_override(scene: &Scene<'_>, judged: &Judged<'_>) -> Vec<String> {
    let host = tidy(&judged.view.target().host, 80);
    vec![
        on_this_host(&format!("grep -n {host} /etc/hosts")),
        "Take the line out, so that DNS answers; this is how to see what it says.".to_owned(),
        ask_vpc_resolver(scene, judged.view.target()),
    ]
}

/// Several names are public: the VPC's attributes first, then each endpoint's private DNS, then custom DNS.
pub(in crate::judge) fn private_dns_off(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let (vpc, region) = (vpc_id(scene), scene.region());
    let attribute = |name: &str| {
        with_access(&format!("aws ec2 describe-vpc-attribute --vpc-id {vpc} --attribute {name} --region {region}"))
    };
    let mut steps = vec![
        format!("Both DNS attributes of {vpc} must be on: enableDnsSupport and enableDnsHostnames."),
        attribute("enableDnsSupport"),
        attribute("enableDnsHostnames"),
        "Each endpoint must exist and have private DNS on (or its private hosted zone be associated with this VPC)."
            .to_owned(),
        describe_all(scene, targets, STATE),
    ];
    let names: Vec<IpAddr> = scene.plan.dns.servers.iter().map(|server| shown(server.address.ip())).collect();
    if let (Some(_), Some(first)) = (scene.plan.dns.vpc, targets.first()) {
        steps.push(format!("A custom DNS server ({}) must forward these names to the VPC's resolver.", list(&names)));
        steps.push(ask_vpc_resolver(scene, first.view.target()));
    }
    steps
}

/// A service without an endpoint. The owner of a shared subnet's VPC creates it, not the subnet's user.
pub(in crate::judge) fn endpoint_missing(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let vpc = vpc_id(scene);
    let create = service_names(scene, targets).into_iter().map(|name| {
        format!("Create the interface endpoint {name} in {vpc} with private DNS on (in a shared subnet, the VPC's owner must).")
    });
    create
        .chain([
            describe_all(scene, targets, STATE),
            "If it exists, turn its private DNS on, or associate its private hosted zone with this VPC.".to_owned(),
        ])
        .collect()
}

/// A dead name server among living ones.
pub(in crate::judge) fn nameserver_dead(server: IpAddr, host: &str) -> Vec<String> {
    vec![
        on_this_host(&format!("dig @{server} {}", tidy(host, 80))),
        "Repair it, or take it out of the DHCP options (or /etc/resolv.conf): programs ask it first and wait."
            .to_owned(),
    ]
}

/// This host's clock.
pub(in crate::judge) fn clock(scene: &Scene<'_>) -> Vec<String> {
    let mut steps = vec![on_this_host("chronyc tracking")];
    steps.extend(from_table(scene, Cause::ClockWrong));
    steps
}

/// One foreign authority.
pub(in crate::judge) fn tls_inspection(scene: &Scene<'_>, issuer: &str) -> Vec<String> {
    let mut steps =
        vec![format!("Exempt the AWS endpoints from inspection by {issuer}; if it is meant, set extra_ca_file.")];
    steps.extend(from_table(scene, Cause::TlsInspection));
    steps
}

/// A proxy in the way, or the only way.
pub(in crate::judge) fn proxy(scene: &Scene<'_>, proxy: &ProxyRecord) -> Vec<String> {
    let who = if proxy.agent { "The SSM agent goes" } else { "Programs of this environment go" };
    let mut steps = vec![format!("{who} through {} (set in {}).", tidy(&proxy.url, 60), tidy(&proxy.origin, 60))];
    steps.extend(from_table(scene, Cause::ProxyInterferes));
    steps
}
