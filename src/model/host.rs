//! What is known about this host. Read by `host`, used by `plan` and `judge`, shown in the report.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::{units::Millis, verdict::Problem};

/// Where the region came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum RegionSource {
    /// The instance metadata service.
    Imds,
    /// The command line or the config file.
    Config,
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`.
    Environment,
    /// The search domain of `/etc/resolv.conf`.
    ResolvConf,
    /// Nowhere: the region is not known.
    #[default]
    None,
}

/// How the instance metadata service answered (EC2 User Guide, "Use the Instance Metadata Service").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ImdsState {
    /// It answered.
    Ok,
    /// It answered, but too late for some of the facts.
    Slow,
    /// It is turned off (403 to the token request).
    Off,
    /// It cannot be reached at all.
    Unreachable,
    /// A plain GET is answered and the token's PUT is not: the token does not survive the hop limit.
    HopLimit,
    /// The token was given and the data refused.
    Forbidden,
    /// It knows no tokens.
    V1Only,
    /// Something answers that is not the metadata service.
    Garbage,
    /// It was not asked: the config says all that is needed.
    #[default]
    NotAsked,
}

impl ImdsState {
    /// The state's name as in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Off => "off",
            Self::Unreachable => "unreachable",
            Self::HopLimit => "hop-limit",
            Self::Forbidden => "forbidden",
            Self::V1Only => "v1-only",
            Self::Garbage => "garbage",
            Self::NotAsked => "not-asked",
        }
    }
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The kernel's name, e.g. `ens5`.
    pub name: String,
    /// The largest IP packet that it sends, in bytes.
    pub mtu: u32,
}

/// A name server that this host uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// The local stub that forwards to it, where there is one (systemd-resolved's 127.0.0.53).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<IpAddr>,
}

/// Whether an IAM role is attached to the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Its name.
    Name(String),
    /// The metadata service says that there is none.
    Missing,
    /// Nobody could say.
    #[default]
    Unknown,
}

/// What the unit's cgroup says of amazon-ssm-agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// Its unit has processes.
    Running,
    /// It is installed and its unit has no processes.
    Stopped,
    /// There is no unit of it.
    NotInstalled,
    /// The control groups cannot be read here.
    #[default]
    Unknown,
}

/// Facts about amazon-ssm-agent, read without any privilege.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Agent {
    /// Whether it runs.
    pub state: AgentState,
    /// The systemd unit, e.g. `amazon-ssm-agent.service` or snap's.
    pub unit: Option<String>,
    /// Seconds since the unit was started, where that can be told.
    pub running_s: Option<u64>,
}

/// A proxy setting that somebody on this host will obey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// Who has it: `environment`, the file of a unit drop-in, `/proc/PID/environ` …
    pub origin: String,
    /// Whether that is amazon-ssm-agent's own setting and not only this shell's.
    pub agent: bool,
    /// The variable, e.g. `https_proxy`.
    pub variable: String,
    /// The proxy's URL with its password replaced by `***`.
    pub url: String,
    /// Host and port to connect to.
    pub host: String,
    /// See `host`.
    pub port: u16,
    /// The entries of `no_proxy` that stand beside it.
    pub no_proxy: Vec<String>,
}

impl Proxy {
    /// Whether the setting covers `host`: no entry of `no_proxy` is `*`, the host itself, or a domain that it lies in.
    #[must_use]
    pub fn applies_to(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        !self.no_proxy.iter().map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
            let domain = entry.trim_start_matches('*').trim_start_matches('.');
            entry == "*"
                || (!domain.is_empty()
                    && (host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))))
        })
    }
}

/// Packets that the ENA driver says were dropped by the instance's allowances, since boot
/// (EC2 User Guide, "Monitor network performance for ENA settings").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Allowances {
    /// `linklocal_allowance_exceeded`: DNS, IMDS and NTP.
    pub linklocal: u64,
    /// `conntrack_allowance_exceeded`: tracked connections.
    pub conntrack: u64,
}

/// All that is known about this host; every part may be missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
pub struct HostFacts {
    /// `i-…`.
    pub instance_id: Option<String>,
    /// e.g. `eu-west-1`.
    pub region: Option<String>,
    /// e.g. `aws`.
    pub partition: Option<String>,
    /// The partition's DNS suffix, as IMDS or the config says, e.g. `amazonaws.com`.
    pub domain: Option<String>,
    /// e.g. `eu-west-1a`: a letter that means something only within one account.
    pub availability_zone: Option<String>,
    /// e.g. `euw1-az1`: the same zone for every account.
    pub availability_zone_id: Option<String>,
    /// `vpc-…`.
    pub vpc_id: Option<String>,
    /// `subnet-…` of the primary interface.
    pub subnet_id: Option<String>,
    /// The CIDRs of the subnets of all interfaces, v4 and v6.
    pub subnet_cidrs: Vec<IpNet>,
    /// All CIDRs of the VPC over all interfaces, v4 and v6.
    pub vpc_cidrs: Vec<IpNet>,
    /// The VPC's primary IPv4 CIDR; its base plus two is the VPC's resolver.
    #[serde(default)]
    pub primary_vpc_cidr: Option<Ipv4Net>,
    /// Where the region came from.
    pub source: RegionSource,
    /// How IMDS answered.
    pub imds: ImdsState,
    /// How long all of this took.
    #[serde(default)]
    pub elapsed_ms: Millis,
    /// The region that IMDS says, if it says one: compared with the configured one.
    #[serde(default)]
    pub imds_region: Option<String>,
    /// Whether this is an EC2 instance, as IMDS or the firmware's vendor says.
    #[serde(default)]
    pub on_ec2: bool,
    /// The instance's IAM role.
    #[serde(default)]
    pub role: Role,
    /// The link of the default route.
    pub link: Option<Link>,
    /// All links but loopback.
    #[serde(default)]
    pub links: Vec<Link>,
    /// This host's own addresses with their prefix length, loopback and link-local ones left out.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
    /// The addresses of `name_servers`, for the report.
    pub resolvers: Vec<IpAddr>,
    /// The name servers of `/etc/resolv.conf`, a local stub replaced by its upstreams.
    #[serde(default)]
    pub name_servers: Vec<NameServer>,
    /// The state of the SSM agent.
    #[serde(default)]
    pub agent: Agent,
    /// Proxy settings found.
    #[serde(default)]
    pub proxies: Vec<Proxy>,
    /// Drops by allowance, where the driver shows them.
    #[serde(default)]
    pub allowances: Option<Allowances>,
    /// What is wrong with the host itself. Never part of the round's verdict.
    pub problems: Vec<Problem>,
}

impl HostFacts {
    /// Whether this host has a global or unique-local IPv6 address, that is, could use an AAAA answer at all.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|net| net.addr().is_ipv6())
    }
}
