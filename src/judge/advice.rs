//! Concrete steps: the address, this host's own address and network, the rule in words, and the next command.
//!
//! A host in a private subnet mostly cannot run the AWS CLI, so every step says where its command is typed.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    scene::{Judged, Scene, Seen, TargetView, is_private},
    words::{list, shown, tidy},
};
use crate::{
    catalog::bucket::buckets,
    model::{
        cause::Cause,
        observation::{Place, ProxyRecord, Subnet},
        target::Target,
        verdict::Problem,
    },
};

/// This end of a connection.
pub(super) struct Own {
    pub(super) address: IpAddr,
    /// The subnet it lies in, where that is known.
    pub(super) network: Option<IpNet>,
}

/// The address that `view`'s connections leave from, else this host's first; with its subnet.
pub(super) fn own_address(scene: &Scene<'_>, view: Option<&TargetView<'_>>) -> Option<Own> {
    let four = view.and_then(|view| view.used().next()).is_none_or(|seen| shown(seen.address()).is_ipv4());
    let local = view.and_then(|view| {
        view.used().find_map(|seen| seen.record.connect.as_ref()?.local).map(|local| local.ip().to_canonical())
    });
    let listed = || scene.host.addresses.iter().map(IpNet::addr).find(|address| address.is_ipv4() == four);
    let address = local.filter(|local| !local.is_unspecified()).or_else(listed)?;
    let networks =
        scene.plan.addresses.subnet_cidrs.iter().chain(&scene.host.subnet_cidrs).chain(&scene.host.addresses);
    let network = networks.map(IpNet::trunc).find(|net| net.contains(&address));
    Some(Own { address, network })
}

/// `10.0.1.0/24 (this host: 10.0.1.23)`.
fn from_words(scene: &Scene<'_>, view: Option<&TargetView<'_>>) -> String {
    match own_address(scene, view) {
        Some(Own { address, network: Some(net) }) => format!("{net} (this host is {address})"),
        Some(Own { address, network: None }) => address.to_string(),
        None => "this host's subnet".to_owned(),
    }
}

/// `com.amazonaws.eu-west-1.ssm`; `None` for a host that is no AWS service.
///
/// China's services are `cn.com.amazonaws.…` but for S3 and `DynamoDB`; FIPS endpoints are services of their own.
pub(super) fn service_name(scene: &Scene<'_>, target: &Target) -> Option<String> {
    let code = target.service.as_deref()?;
    let region = scene.region();
    let fips = target.host.split('.').any(|label| label.strip_suffix("-fips") == Some(code));
    let prefix = if region.starts_with("cn-") && !has_gateway(target) { "cn." } else { "" };
    Some(format!("{prefix}com.amazonaws.{region}.{code}{}", if fips { "-fips" } else { "" }))
}

/// Whether the service is one of the two that gateway endpoints exist for.
fn has_gateway(target: &Target) -> bool {
    matches!(target.service.as_deref(), Some("s3" | "dynamodb"))
}

fn with_access(command: &str) -> String {
    format!("Run where you have AWS access: {command}")
}

fn on_this_host(command: &str) -> String {
    format!("Type on this host: {command}")
}

fn vpc_id(scene: &Scene<'_>) -> String {
    scene.host.vpc_id.as_deref().map_or_else(|| "VPC_ID".to_owned(), |id| tidy(id, 30))
}

/// The command that shows the endpoints of `target`'s service; by its address where the service has no name.
fn describe(scene: &Scene<'_>, target: &Target, query: &str) -> String {
    let region = scene.region();
    let filter = match service_name(scene, target) {
        Some(name) => format!(" --filters Name=service-name,Values={name}"),
        None => format!(" --filters Name=vpc-id,Values={}", vpc_id(scene)),
    };
    with_access(&format!("aws ec2 describe-vpc-endpoints{filter} --query '{query}' --region {region}"))
}

const STATE: &str = "VpcEndpoints[].[VpcEndpointId,VpcId,State,PrivateDnsEnabled]";
const GROUPS: &str = "VpcEndpoints[].[VpcEndpointId,State,Groups,SubnetIds]";

/// The steps that the table of causes has, with this round's region in them.
pub(super) fn from_table(scene: &Scene<'_>, cause: Cause) -> Vec<String> {
    cause.text().mend.iter().map(|step| fill(scene, step)).collect()
}

fn fill(scene: &Scene<'_>, step: &str) -> String {
    let filled = step.replace("VPC_ID", &vpc_id(scene));
    match &scene.plan.region {
        Some(region) => filled.replace("REGION", region),
        None => filled,
    }
}

/// The steps for one target's own problem.
pub(super) fn of_problem(scene: &Scene<'_>, judged: &Judged<'_>, problem: &Problem) -> Vec<String> {
    let view = &judged.view;
    let mut steps = match problem.cause {
        Cause::TcpTimeout => silent(scene, view),
        Cause::EndpointPartial => partial(scene, view, problem),
        Cause::AddressPublic | Cause::AddressMixed => public(scene, view),
        Cause::S3AccessDenied => bucket_policy(scene, view),
        Cause::TcpUnreachable => neighbours(view),
        Cause::TlsUntrusted | Cause::TlsWrongName | Cause::TlsExpired | Cause::TlsNotYetValid => certificate(view),
        Cause::DnsNxdomain
        | Cause::DnsNoData
        | Cause::DnsServfail
        | Cause::DnsRefused
        | Cause::DnsTimeout
        | Cause::DnsUnreachable
        | Cause::DnsMalformed => vec![ask_vpc_resolver(scene, view.target())],
        _ => Vec::new(),
    };
    let specific = matches!(problem.cause, Cause::TcpTimeout | Cause::EndpointPartial | Cause::S3AccessDenied);
    if !specific || steps.is_empty() {
        steps.extend(from_table(scene, problem.cause));
    }
    steps
}

/// A private endpoint that swallows the SYN, or a public name that does.
fn silent(scene: &Scene<'_>, view: &TargetView<'_>) -> Vec<String> {
    if !view.is_private() {
        return vec![
            "No packet came back: check the route to this address in this subnet's route table, then its firewall."
                .to_owned(),
            routes(scene),
            local_firewall(),
        ];
    }
    let mut steps = vec![
        allow(scene, view),
        describe(scene, view.target(), GROUPS),
        "Security groups answer nothing when they refuse; NACLs of both subnets and this instance's own egress rules too."
            .to_owned(),
    ];
    steps.extend(neighbours(view));
    steps.push(local_firewall());
    steps
}

fn allow(scene: &Scene<'_>, view: &TargetView<'_>) -> String {
    let what = service_name(scene, view.target()).unwrap_or_else(|| tidy(&view.target().host, 60));
    let port = view.target().port;
    format!("In the security group of the endpoint {what}, allow TCP {port} from {}.", from_words(scene, Some(view)))
}

fn local_firewall() -> String {
    "This host's own firewall may drop it as well; type on this host: sudo nft list ruleset".to_owned()
}

/// ARP or ND tells whether a dead address of the own subnet exists at all.
fn neighbours(view: &TargetView<'_>) -> Vec<String> {
    let near = view.used().find(|seen| seen.broken().is_some() && seen.record.subnet == Some(Subnet::Own));
    near.map(|seen| on_this_host(&format!("ip neigh show {}", shown(seen.address())))).into_iter().collect()
}

fn partial(scene: &Scene<'_>, view: &TargetView<'_>, problem: &Problem) -> Vec<String> {
    let address = problem.address.map_or_else(|| "ADDRESS".to_owned(), |address| shown(address).to_string());
    let mut steps = vec![
        with_access(&format!(
            "aws ec2 describe-network-interfaces --filters Name=addresses.private-ip-address,Values={address} \
             --query 'NetworkInterfaces[].[NetworkInterfaceId,Status,AvailabilityZone,SubnetId,Groups]' --region {}",
            scene.region()
        )),
        format!(
            "If the interface is in use, check the NACLs of its subnet and of this one for TCP {} from {}.",
            view.target().port,
            from_words(scene, Some(view))
        ),
        "If it is gone, take its subnet out of the endpoint and add it again: clients keep getting the dead address."
            .to_owned(),
    ];
    steps.extend(neighbours(view));
    steps
}

fn public(scene: &Scene<'_>, view: &TargetView<'_>) -> Vec<String> {
    let target = view.target();
    let name = service_name(scene, target).unwrap_or_else(|| tidy(&target.host, 60));
    vec![
        describe(scene, target, STATE),
        format!(
            "If there is none, create the interface endpoint {name} with private DNS; if there is, turn its private DNS on."
        ),
        ask_vpc_resolver(scene, target),
    ]
}

fn certificate(view: &TargetView<'_>) -> Vec<String> {
    let target = view.target();
    let address = view.used().find(|seen| seen.broken().is_some()).map_or_else(
        || target.host.clone(),
        |seen| match shown(seen.address()) {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        },
    );
    let host = tidy(&target.host, 80);
    vec![on_this_host(&format!(
        "openssl s_client -connect {address}:{} -servername {host} -showcerts </dev/null",
        target.port
    ))]
}

/// The VPC's resolver: the one that was asked, else the link-local one that every VPC has.
fn vpc_resolver(scene: &Scene<'_>) -> String {
    let link_local = if scene.host.addresses.iter().any(|net| net.addr().is_ipv4()) || scene.host.addresses.is_empty() {
        "169.254.169.253"
    } else {
        "fd00:ec2::253"
    };
    scene.plan.dns.vpc.map_or_else(|| link_local.to_owned(), |server| server.ip().to_string())
}

fn ask_vpc_resolver(scene: &Scene<'_>, target: &Target) -> String {
    on_this_host(&format!("dig @{} {}", vpc_resolver(scene), tidy(&target.host, 80)))
}

fn bucket_policy(scene: &Scene<'_>, view: &TargetView<'_>) -> Vec<String> {
    let region = scene.region();
    let mut steps = vec![
        "An S3 endpoint policy, or the bucket's own, refuses the read; some fleets mean it, and then this is no fault."
            .to_owned(),
        describe(scene, view.target(), "VpcEndpoints[].[VpcEndpointId,VpcEndpointType,PolicyDocument]"),
        "Allow s3:GetObject without conditions on the principal (these requests are unsigned) for:".to_owned(),
    ];
    steps.extend(buckets(region).iter().map(|bucket| format!("arn:{}:s3:::{bucket}/*", arn_partition(scene))));
    steps
}

fn arn_partition(scene: &Scene<'_>) -> String {
    scene.host.partition.as_deref().map_or_else(|| "aws".to_owned(), |partition| tidy(partition, 20))
}

fn routes(scene: &Scene<'_>) -> String {
    let subnet = scene.host.subnet_id.as_deref().map_or_else(|| "SUBNET_ID".to_owned(), |id| tidy(id, 30));
    with_access(&format!(
        "aws ec2 describe-route-tables --filters Name=association.subnet-id,Values={subnet} --region {}",
        scene.region()
    ))
}

/// S3 or another public name is silent. Gateway endpoint and NAT look alike from here, so both are named.
pub(super) fn gateway_unreachable(scene: &Scene<'_>, judged: &Judged<'_>) -> Vec<String> {
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
pub(super) fn endpoints_blocked(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
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
pub(super) fn egress_blocked(scene: &Scene<'_>) -> Vec<String> {
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
pub(super) fn either_side_blocked(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
    let mut steps = egress_blocked(scene);
    let from = from_words(scene, targets.first().map(|judged| &judged.view));
    steps.push(format!("Or the endpoints' shared security group does not allow TCP 443 from {from}."));
    steps.push(describe_all(scene, targets, GROUPS));
    steps
}

/// No name resolves.
pub(super) fn resolver_down(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
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
pub(super) fn resolver_disagrees(scene: &Scene<'_>, judged: &Judged<'_>, system: &str) -> Vec<String> {
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
pub(super) fn hosts_override(scene: &Scene<'_>, judged: &Judged<'_>) -> Vec<String> {
    let host = tidy(&judged.view.target().host, 80);
    vec![
        on_this_host(&format!("grep -n {host} /etc/hosts")),
        "Take the line out, so that DNS answers; it gives:".to_owned(),
        ask_vpc_resolver(scene, judged.view.target()),
    ]
}

/// Several names are public: the VPC's attributes first, then each endpoint's private DNS, then custom DNS.
pub(super) fn private_dns_off(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
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
pub(super) fn endpoint_missing(scene: &Scene<'_>, targets: &[&Judged<'_>]) -> Vec<String> {
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
pub(super) fn nameserver_dead(server: IpAddr, host: &str) -> Vec<String> {
    vec![
        on_this_host(&format!("dig @{server} {}", tidy(host, 80))),
        "Repair it, or take it out of the DHCP options (or /etc/resolv.conf): programs ask it first and wait."
            .to_owned(),
    ]
}

/// This host's clock.
pub(super) fn clock(scene: &Scene<'_>) -> Vec<String> {
    let mut steps = vec![on_this_host("chronyc tracking")];
    steps.extend(from_table(scene, Cause::ClockWrong));
    steps
}

/// One foreign authority.
pub(super) fn tls_inspection(scene: &Scene<'_>, issuer: &str) -> Vec<String> {
    let mut steps =
        vec![format!("Exempt the AWS endpoints from inspection by {issuer}; if it is meant, set extra_ca_file.")];
    steps.extend(from_table(scene, Cause::TlsInspection));
    steps
}

/// A proxy in the way, or the only way.
pub(super) fn proxy(scene: &Scene<'_>, proxy: &ProxyRecord) -> Vec<String> {
    let who = if proxy.agent { "The SSM agent goes" } else { "Programs of this environment go" };
    let mut steps = vec![format!("{who} through {} (set in {}).", tidy(&proxy.url, 60), tidy(&proxy.origin, 60))];
    steps.extend(from_table(scene, Cause::ProxyInterferes));
    steps
}
