//! A round's whole programme as plain data: `plan` builds it, `probe` carries it out, `judge` reads the expectations.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

use super::{host::NameServer, target::Target};

/// Which address families are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Family {
    /// Both.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// How long each stage may take for one name or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One name, all name servers side by side.
    pub resolve: Duration,
    /// One TCP connection.
    pub connect: Duration,
    /// One TLS handshake.
    pub tls: Duration,
    /// One HTTP exchange.
    pub http: Duration,
    /// One address's path-MTU measurement.
    pub mtu: Duration,
}

/// Who is asked for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsPlan {
    /// The system's (or the configured) name servers, in order. Empty: resolution fails as unreachable.
    pub servers: Vec<NameServer>,
    /// The VPC's resolver, where it is not among `servers`, is to be compared, and this is an EC2 host.
    pub vpc: Option<SocketAddr>,
    /// Sends for one question and name server, spread over the budget. Two more are made where the server has answered
    /// another question meanwhile: then the datagram was lost, and four alone would be too few for a hundred rounds.
    pub attempts: u8,
    /// Whether the hosts file is honoured (it is with the system's resolver).
    pub hosts_file: bool,
}

/// Networks by which an address is placed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AddressRules {
    /// The own VPC's CIDRs.
    pub vpc_cidrs: Vec<IpNet>,
    /// The own subnets' CIDRs.
    pub subnet_cidrs: Vec<IpNet>,
    /// Networks that the operator counts as private.
    pub allowed_cidrs: Vec<IpNet>,
    /// Prefixes of the S3 gateway, as the operator says.
    pub s3_prefixes: Vec<IpNet>,
}

/// How much the path MTU is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MtuMode {
    /// A comb of growing segments on the ordinary connection, and a fan-out of further ones on suspicion.
    #[default]
    Full,
    /// Only what the ordinary connection shows; nothing is sent for it.
    Passive,
    /// Not at all.
    Off,
}

/// Where credentials for CloudWatch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Credentials {
    /// The environment, ECS, then IMDS: the first that has some.
    #[default]
    Auto,
    /// The instance's role.
    Imds,
    /// `AWS_ACCESS_KEY_ID` and its siblings.
    Environment,
    /// The container's endpoint.
    Ecs,
}

/// How the path MTU is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MtuPlan {
    /// How much.
    pub mode: MtuMode,
    /// Rounds between two measurements of an address that did not change; for a prober that lives longer than a round.
    pub repeat_every: u32,
    /// Where in that cycle this host stands: a number of its own, so that a fleet does not measure in step.
    pub spread: u64,
}

/// How TLS is done and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPlan {
    /// Offer the post-quantum key share, as today's clients do.
    pub post_quantum: bool,
    /// Authorities beside the operating system's.
    pub extra_ca_file: Option<PathBuf>,
    /// Warn when fewer than this is left of a certificate's life.
    pub expiry_warning: Duration,
    /// Substrings of issuers that need no note.
    pub expected_issuers: Vec<String>,
}

/// Everything that one round does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The region that the names were built for; `None` when only hosts are probed.
    pub region: Option<String>,
    /// What is probed.
    pub targets: Vec<Target>,
    /// The whole round, host facts included, ends after this.
    pub round_deadline: Duration,
    /// Budgets of the stages.
    pub limits: Limits,
    /// Families probed.
    pub family: Family,
    /// Whether the HTTP question is asked.
    pub http: bool,
    /// Who is asked for names.
    pub dns: DnsPlan,
    /// How addresses are placed.
    pub addresses: AddressRules,
    /// How TLS is done.
    pub tls: TlsPlan,
    /// How the path MTU is probed.
    pub mtu: MtuPlan,
}
