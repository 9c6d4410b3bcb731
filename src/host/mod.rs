//! Facts about this host, read side by side within one budget; none of them is ever fatal.

mod agent;
mod files;
mod imds;
mod link;
mod proxy;
mod region;
pub mod resolv_conf;
mod sockets;
mod watch;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use ipnet::IpNet;
use tokio::time::Instant;

pub use self::watch::Watch;
use self::{files::Root, imds::Question, link::Drivers, sockets::Connections};
use crate::model::{
    cause::Cause,
    host::{AgentState, HostFacts, ImdsState, RegionSource, Role},
    units::Millis,
    verdict::Problem,
};

/// What the operator already said about the host: not asked of IMDS.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Known {
    /// The region of the command line or the config file.
    pub region: Option<String>,
    /// `i-…`.
    pub instance_id: Option<String>,
    /// `vpc-…`.
    pub vpc_id: Option<String>,
    /// `subnet-…`.
    pub subnet_id: Option<String>,
    /// The VPC's CIDRs.
    pub vpc_cidrs: Vec<IpNet>,
    /// The subnets' CIDRs.
    pub subnet_cidrs: Vec<IpNet>,
    /// e.g. `eu-west-1a`.
    pub availability_zone: Option<String>,
    /// e.g. `euw1-az1`.
    pub availability_zone_id: Option<String>,
}

impl Known {
    /// Whether nothing is left that IMDS would have to say.
    fn is_enough(&self) -> bool {
        self.region.is_some()
            && self.instance_id.is_some()
            && self.vpc_id.is_some()
            && !self.vpc_cidrs.is_empty()
            && self.availability_zone.is_some()
    }
}

/// What to read, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What need not be asked.
    pub known: Known,
    /// The process's environment: region, proxies, and where IMDS is (`AWS_EC2_METADATA_SERVICE_ENDPOINT`,
    /// `AWS_EC2_METADATA_DISABLED`, as for the AWS SDKs; only `http://ADDRESS[:PORT]` is taken).
    pub environment: BTreeMap<String, String>,
    /// The budget for all of it.
    pub timeout: Duration,
    /// The file system's root: `/`, or a test's folder.
    pub root: PathBuf,
}

/// Reads all facts side by side; returns within `query.timeout`, whatever IMDS does.
pub async fn discover(query: &Query) -> HostFacts {
    let start = Instant::now();
    let scene = Scene::look(query);
    let asked = async {
        match &scene.question {
            Some(question) => imds::ask(question).await,
            None => imds::Answer::default(),
        }
    };
    // The question to IMDS is on its way while the files are read.
    let (answer, local) = tokio::join!(asked, async { local(query, Root::new(&query.root), &mut Kept::default()) });
    facts(query, scene, local, answer, start)
}

/// What must be known before IMDS is asked: some microseconds.
struct Scene {
    addresses: Vec<IpNet>,
    vendor: Vendor,
    question: Option<Question>,
}

impl Scene {
    fn look(query: &Query) -> Self {
        let vendor = vendor(Root::new(&query.root));
        // The choice of IMDS's address depends on them.
        let addresses = link::own_addresses();
        let question = question(query, vendor, &addresses);
        Self { addresses, vendor, question }
    }
}

fn facts(query: &Query, scene: Scene, local: Local, answer: imds::Answer, start: Instant) -> HostFacts {
    let mut facts = HostFacts { addresses: scene.addresses, ..local.facts };
    put_together(&mut facts, query, answer, scene.vendor, &local.search);
    facts.elapsed_ms = Millis::from(start.elapsed());
    facts
}

/// The region without a question on the network: command line or config, environment, resolv.conf's search domains.
#[must_use]
pub fn local_region(query: &Query) -> (Option<String>, RegionSource) {
    let (_, search) = resolv_conf::read(Root::new(&query.root));
    region::choose(query.known.region.as_deref(), &query.environment, None, &search)
}

/// What need not be read anew for each round.
#[derive(Debug, Default)]
struct Kept {
    connections: Connections,
    drivers: Drivers,
}

/// What files, routes and drivers say.
struct Local {
    facts: HostFacts,
    search: Vec<String>,
}

fn local(query: &Query, root: Root<'_>, kept: &mut Kept) -> Local {
    let links = link::links(root);
    let (name_servers, search) = resolv_conf::read(root);
    let seen = agent::read(root, SystemTime::now());
    let facts = HostFacts {
        link: link::default_link(root, &links),
        allowances: kept.drivers.allowances(&links),
        links,
        resolvers: name_servers.iter().map(|server| server.address.ip()).collect(),
        name_servers,
        proxies: proxy::read(root, &query.environment, &seen.pids),
        established: kept.connections.look(root, &seen.agent),
        agent: seen.agent,
        ..HostFacts::default()
    };
    Local { facts, search }
}

/// Joins both halves; what the operator said is stronger than what IMDS says.
fn put_together(facts: &mut HostFacts, query: &Query, answer: imds::Answer, vendor: Vendor, search: &[String]) {
    let known = query.known.clone();
    let said = answer.metadata;
    (facts.region, facts.source) =
        region::choose(known.region.as_deref(), &query.environment, said.region.as_deref(), search);
    // The names of another region's partition are not to be built with this one's domain.
    if facts.region == said.region {
        facts.partition = said.partition;
        facts.domain = said.domain;
    }
    facts.imds_region = said.region;
    facts.instance_id = known.instance_id.or(said.instance_id);
    facts.availability_zone = known.availability_zone.or(said.availability_zone);
    facts.availability_zone_id = known.availability_zone_id.or(said.availability_zone_id);
    facts.vpc_id = known.vpc_id.or(said.vpc_id);
    facts.subnet_id = known.subnet_id.or(said.subnet_id);
    facts.vpc_cidrs = if known.vpc_cidrs.is_empty() { said.vpc_cidrs } else { known.vpc_cidrs };
    facts.subnet_cidrs = if known.subnet_cidrs.is_empty() { said.subnet_cidrs } else { known.subnet_cidrs };
    facts.primary_vpc_cidr = said.primary_vpc_cidr;
    // That nothing is there counts only from the metadata service itself.
    facts.role = match said.role {
        Role::Missing if answer.state == ImdsState::Garbage => Role::Unknown,
        role @ (Role::Name(_) | Role::Missing | Role::Unknown) => role,
    };
    facts.imds = answer.state;
    facts.on_ec2 = vendor == Vendor::Amazon || is_imds(answer.state);
    facts.problems = problems(facts, vendor);
}

/// Whether an answer of this kind proves that the metadata service is there.
fn is_imds(state: ImdsState) -> bool {
    match state {
        ImdsState::Ok
        | ImdsState::Slow
        | ImdsState::Off
        | ImdsState::HopLimit
        | ImdsState::Forbidden
        | ImdsState::V1Only => true,
        ImdsState::Unreachable | ImdsState::Garbage | ImdsState::NotAsked => false,
    }
}

/// Whose machine this is, by its firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vendor {
    /// EC2's.
    Amazon,
    /// Somebody else's.
    Other,
    /// It does not say, as in many containers.
    Unknown,
}

/// Nitro instances name the vendor, Xen instances have an id that starts with `ec2` (EC2 User Guide, "Identify EC2 instances").
fn vendor(root: Root<'_>) -> Vendor {
    let firmware = root.text("/sys/class/dmi/id/sys_vendor");
    let xen = root.text("/sys/hypervisor/uuid");
    if xen.is_some_and(|id| id.to_ascii_lowercase().starts_with("ec2")) {
        return Vendor::Amazon;
    }
    match firmware.as_deref().map(str::trim) {
        Some("Amazon EC2") => Vendor::Amazon,
        // Xen instances of EC2 are the one thing that says so and may still be Amazon's.
        Some("" | "Xen") | None => Vendor::Unknown,
        Some(_) => Vendor::Other,
    }
}

/// Where IMDS is asked, if it is.
fn question(query: &Query, vendor: Vendor, addresses: &[IpNet]) -> Option<Question> {
    let set = |variable| query.environment.get(variable).map(|value: &String| value.trim());
    if query.known.is_enough()
        || set("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return None;
    }
    let own = set("AWS_EC2_METADATA_SERVICE_ENDPOINT").and_then(endpoint);
    let has_v4 = addresses.iter().any(|net| net.addr().is_ipv4());
    let has_v6 = addresses.iter().any(|net| net.addr().is_ipv6());
    let endpoints = match (own, has_v4, has_v6) {
        (Some(own), _, _) => (own, None),
        (None, false, true) => (imds::IPV6, Some(imds::IPV4)),
        (None, true, true) => (imds::IPV4, Some(imds::IPV6)),
        (None, _, false) => (imds::IPV4, None),
    };
    let connect = match vendor {
        // Elsewhere the address usually leads nowhere: long enough for one lost SYN, which is sent again after 1 s.
        Vendor::Other => query.timeout.min(CONNECT_ELSEWHERE),
        Vendor::Amazon | Vendor::Unknown => query.timeout,
    };
    Some(Question { endpoints, connect, budget: query.timeout })
}

/// The address in `http://ADDRESS[:PORT][/]`.
fn endpoint(url: &str) -> Option<SocketAddr> {
    let authority = url.strip_prefix("http://")?.trim_end_matches('/');
    let with_port = authority.parse();
    with_port.or_else(|_| format!("{authority}:80").parse()).ok()
}

/// What is wrong with the host itself, so far as it shows without any target.
fn problems(facts: &HostFacts, vendor: Vendor) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut note = |cause: Cause, summary: String| {
        problems.push(Problem { cause, severity: cause.severity(), stage: None, address: None, summary });
    };
    if let Some((cause, summary)) = imds_problem(facts.imds, vendor) {
        note(cause, summary.to_owned());
    }
    if let (Some(region), Some(imds)) = (&facts.region, &facts.imds_region)
        && region != imds
    {
        let from = if facts.source == RegionSource::Environment { "AWS_REGION" } else { "the configuration" };
        note(Cause::RegionMismatch, format!("{from} says {region}, but this instance runs in {imds}"));
    }
    if facts.role == Role::Missing {
        note(
            Cause::RoleMissing,
            "no IAM role is attached to this instance: the SSM agent has no credentials unless default host management is on"
                .to_owned(),
        );
    }
    if facts.agent.state == AgentState::Stopped {
        let unit = facts.agent.unit.as_deref().unwrap_or("amazon-ssm-agent");
        note(Cause::AgentNotRunning, format!("{unit} is installed and has no processes"));
    }
    problems
}

/// The note on how IMDS answered. On somebody else's machine nobody misses it.
fn imds_problem(state: ImdsState, vendor: Vendor) -> Option<(Cause, &'static str)> {
    match state {
        ImdsState::Ok | ImdsState::Slow | ImdsState::NotAsked => None,
        ImdsState::Unreachable | ImdsState::Garbage if vendor == Vendor::Other => None,
        ImdsState::Off => {
            Some((Cause::ImdsOff, "the instance metadata service is turned off (403 to the token request)"))
        }
        ImdsState::Unreachable => Some((Cause::ImdsUnreachable, "the instance metadata service does not answer")),
        ImdsState::Garbage => Some((
            Cause::ImdsUnreachable,
            "what answers at the address of the instance metadata service is something else",
        )),
        ImdsState::Forbidden => {
            Some((Cause::ImdsUnreachable, "the instance metadata service gives a token and refuses its data (403)"))
        }
        ImdsState::HopLimit => Some((
            Cause::ImdsHopLimit,
            "the metadata service answers, but its tokens do not arrive: the hop limit is too low for this container or network",
        )),
        ImdsState::V1Only => {
            Some((Cause::ImdsV1Only, "the metadata service gives no tokens: it speaks version 1 only"))
        }
    }
}

/// See [`question`].
const CONNECT_ELSEWHERE: Duration = Duration::from_millis(1200);

#[cfg(test)]
mod tests;
