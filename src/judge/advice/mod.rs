//! Concrete steps: the address, this host's own address and network, the rule in words, and the next command.
//!
//! A host in a private subnet mostly cannot run the AWS CLI, so a finding's first `aws …` says where it is typed; every
//! other command is for this host. The most useful step comes first, and there are at most [`MOST_STEPS`].

pub(super) mod across;
pub(super) mod path;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    catalog::bucket::buckets,
    judge::{
        hole::Hole,
        scene::{Judged, Scene, TargetView, is_private},
        words::{shown, tidy},
    },
    model::{cause::Cause, observation::Subnet, target::Target, verdict::Problem},
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
fn service_name(scene: &Scene<'_>, target: &Target) -> Option<String> {
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

fn vpc_id(scene: &Scene<'_>) -> String {
    scene.host.vpc_id.as_deref().map_or_else(|| "VPC_ID".to_owned(), |id| tidy(id, 30))
}

/// The command that shows the endpoints of a VPC. A list of service names would not fit the screen.
fn endpoints(scene: &Scene<'_>, query: &str) -> String {
    aws(scene, "describe-vpc-endpoints", &format!("--filters Name=vpc-id,Values={} --query '{query}'", vpc_id(scene)))
}

/// The command that shows `query` of the network interface that has `address`.
fn interface(scene: &Scene<'_>, address: IpAddr, query: &str) -> String {
    let address = shown(address);
    let filter = if address.is_ipv4() { "addresses.private-ip-address" } else { "ipv6-addresses.ipv6-address" };
    let rest = format!("--filters Name={filter},Values={address} --query 'NetworkInterfaces[].{query}'");
    aws(scene, "describe-network-interfaces", &rest)
}

/// The region stands first: so the parts that are long begin lines of their own.
fn aws(scene: &Scene<'_>, verb: &str, rest: &str) -> String {
    format!("aws ec2 {verb} --region {} {rest}", scene.region())
}

const PRIVATE_DNS: &str = "VpcEndpoints[].[ServiceName,State,PrivateDnsEnabled]";
const GROUPS: &str = "VpcEndpoints[].[ServiceName,State,Groups[].GroupId]";

/// More steps are not read at three in the morning.
pub(super) const MOST_STEPS: usize = 5;

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

/// The steps for one target's own problem: those that know this round, then (unless they say it all) the table's.
pub(super) fn of_problem(scene: &Scene<'_>, judged: &Judged<'_>, problem: &Problem) -> Vec<String> {
    let own = STEPS.iter().find(|(causes, _)| causes.contains(&problem.cause));
    let mut steps = own.map_or_else(Vec::new, |(_, steps)| steps(scene, &judged.view, problem));
    if steps.is_empty() || !WHOLE.contains(&problem.cause) {
        steps.extend(from_table(scene, problem.cause));
    }
    steps.truncate(MOST_STEPS);
    steps
}

type Steps = fn(&Scene<'_>, &TargetView<'_>, &Problem) -> Vec<String>;

const STEPS: &[(&[Cause], Steps)] = &[
    (&[Cause::TcpTimeout], |scene, view, _| silent(scene, view)),
    (&[Cause::EndpointPartial], partial),
    (&[Cause::Ipv6Broken], six),
    (&[Cause::MtuBlackholeOut, Cause::MtuBlackholeIn, Cause::MtuBlackholeBoth], path::hole),
    (&[Cause::LargeHelloBlocked], |scene, _, _| path::large_hello(scene)),
    (&[Cause::AddressPublic, Cause::AddressMixed], |scene, view, _| public(scene, view)),
    (&[Cause::S3AccessDenied], |scene, view, _| bucket_policy(scene, view)),
    (&[Cause::TcpUnreachable], |scene, view, _| unreachable(scene, view)),
    (&[Cause::TlsUntrusted, Cause::TlsWrongName, Cause::TlsExpired, Cause::TlsNotYetValid], |_, view, _| {
        certificate(view)
    }),
    (
        &[
            Cause::DnsNxdomain,
            Cause::DnsNoData,
            Cause::DnsServfail,
            Cause::DnsRefused,
            Cause::DnsTimeout,
            Cause::DnsUnreachable,
            Cause::DnsMalformed,
        ],
        |scene, view, _| vec![format!("Ask the VPC's own resolver: {}", ask_vpc_resolver(scene, view.target()))],
    ),
];

/// Causes whose own steps need nothing of the table's.
const WHOLE: &[Cause] = &[
    Cause::TcpTimeout,
    Cause::EndpointPartial,
    Cause::S3AccessDenied,
    Cause::AddressPublic,
    Cause::MtuBlackholeOut,
    Cause::MtuBlackholeIn,
    Cause::MtuBlackholeBoth,
    Cause::LargeHelloBlocked,
];

/// A private endpoint that swallows the SYN, or a public name that does.
fn silent(scene: &Scene<'_>, view: &TargetView<'_>) -> Vec<String> {
    if !view.is_private() {
        return vec![
            format!("No packet came back. See this subnet's routes, where you have AWS access: {}", routes(scene)),
            "Then the security groups and NACLs on the way, and the firewall before this address.".to_owned(),
            local_firewall(),
        ];
    }
    let what = service_name(scene, view.target()).unwrap_or_else(|| tidy(&view.target().host, 60));
    let see = view
        .used()
        .next()
        .map_or_else(|| endpoints(scene, GROUPS), |seen| interface(scene, seen.address(), "[Status,SubnetId,Groups]"));
    vec![
        format!(
            "In the security group of the endpoint {what}, allow TCP {} from {}. With AWS access: {see}",
            view.target().port,
            from_words(scene, Some(view)),
        ),
        "Then the NACLs of both subnets, and this instance's own egress rules.".to_owned(),
        local_firewall(),
    ]
}

fn local_firewall() -> String {
    "This host's own firewall may drop it as well: sudo nft list ruleset".to_owned()
}

/// ARP or ND tells whether a dead address of the own subnet exists at all.
fn neighbours(view: &TargetView<'_>) -> Option<String> {
    let near = view.used().find(|seen| seen.broken().is_some() && seen.record.subnet == Some(Subnet::Own))?;
    Some(format!("If this says FAILED or INCOMPLETE, nobody has the address: ip neigh show {}", shown(near.address())))
}

fn unreachable(scene: &Scene<'_>, view: &TargetView<'_>) -> Vec<String> {
    let Some(seen) = view.used().find(|seen| seen.broken().is_some()) else { return Vec::new() };
    let mut steps = vec![format!("See which way this host sends it: ip route get {}", shown(seen.address()))];
    steps.extend(neighbours(view));
    if is_private(seen.record.place) {
        let see = interface(scene, seen.address(), "[Status,SubnetId]");
        steps.push(format!("With AWS access, see whether its interface is there: {see}"));
    }
    steps
}

fn partial(scene: &Scene<'_>, view: &TargetView<'_>, problem: &Problem) -> Vec<String> {
    if let Some(steps) = on_the_path(scene, view, problem) {
        return steps;
    }
    let see = problem.address.map_or_else(
        || endpoints(scene, "VpcEndpoints[].[VpcEndpointId,SubnetIds]"),
        |address| interface(scene, address, "[Status,SubnetId]"),
    );
    let mut steps = vec![
        format!("With AWS access, see whether the dead address's interface is there: {see}"),
        "If none is listed, take its subnet out of the endpoint and add it again.".to_owned(),
    ];
    match neighbours(view) {
        // NACLs do not act within a subnet.
        Some(step) => steps.push(step),
        None => steps.push(format!(
            "If it is in-use, the NACLs of its subnet and of this one must let TCP {} pass from {}, and the answers \
             back.",
            view.target().port,
            from_words(scene, Some(view))
        )),
    }
    steps
}

/// The steps for an address that is dead by its path, not by its rules or its interface.
fn on_the_path(scene: &Scene<'_>, view: &TargetView<'_>, problem: &Problem) -> Option<Vec<String>> {
    let seen = view.used().find(|seen| Some(seen.address()) == problem.address)?;
    if Hole::of_dead(seen).is_some() {
        return Some(path::hole(scene, view, problem));
    }
    (seen.broken()?.cause == Cause::LargeHelloBlocked).then(|| path::large_hello(scene))
}

/// IPv6 alone is dead: rules are written by family.
fn six(scene: &Scene<'_>, view: &TargetView<'_>, problem: &Problem) -> Vec<String> {
    if let Some(steps) = on_the_path(scene, view, problem) {
        return steps;
    }
    vec![format!("See its security groups, with AWS access: {}", endpoints(scene, GROUPS))]
}

fn public(scene: &Scene<'_>, view: &TargetView<'_>) -> Vec<String> {
    let target = view.target();
    let name = service_name(scene, target).unwrap_or_else(|| tidy(&target.host, 60));
    vec![
        format!("With AWS access, see the endpoints here: {}", endpoints(scene, PRIVATE_DNS)),
        format!("If there is none, create the interface endpoint {name} with private DNS."),
        "If there is one, turn its private DNS on; if it is in a hub VPC, associate its private hosted zone (or the \
         Route 53 profile) with this VPC."
            .to_owned(),
        format!("Compare what the VPC's own resolver says: {}", ask_vpc_resolver(scene, target)),
        "If public is meant, say so in the config: expect = \"any\" for this target.".to_owned(),
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
    vec![format!(
        "See the certificates that come: openssl s_client -connect {address}:{} -servername {} -showcerts </dev/null",
        target.port,
        tidy(&target.host, 80)
    )]
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
    format!("dig @{} {}", vpc_resolver(scene), tidy(&target.host, 80))
}

fn bucket_policy(scene: &Scene<'_>, view: &TargetView<'_>) -> Vec<String> {
    let buckets = buckets(scene.region());
    let arns: Vec<String> =
        buckets.iter().map(|bucket| format!("arn:{}:s3:::{bucket}/*", arn_partition(scene))).collect();
    let name = service_name(scene, view.target()).unwrap_or_else(|| "SERVICE".to_owned());
    let rest = format!("--filters Name=service-name,Values={name} --query 'VpcEndpoints[].PolicyDocument'");
    vec![
        format!(
            "An S3 endpoint policy, or the bucket's own, refuses the read. With AWS access: {}",
            aws(scene, "describe-vpc-endpoints", &rest)
        ),
        format!(
            "In the endpoint's policy, allow s3:GetObject, without a condition on the principal (these requests are unsigned), on {}",
            arns.join(", ")
        ),
        "If this fleet denies it on purpose, this is no fault.".to_owned(),
    ]
}

fn arn_partition(scene: &Scene<'_>) -> String {
    scene.host.partition.as_deref().map_or_else(|| "aws".to_owned(), |partition| tidy(partition, 20))
}

/// The command that shows the routes of this host's subnet. A subnet without a table of its own shows none: it uses the
/// VPC's main table.
fn routes(scene: &Scene<'_>) -> String {
    let subnet = scene.host.subnet_id.as_deref().map_or_else(|| "SUBNET_ID".to_owned(), |id| tidy(id, 30));
    aws(scene, "describe-route-tables", &format!("--filters Name=association.subnet-id,Values={subnet}"))
}
