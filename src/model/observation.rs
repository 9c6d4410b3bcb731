//! What a round saw: one [`Observation`] for each target, without any judgement.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    cause::Cause,
    target::Target,
    units::{Millis, Timestamp},
};

/// How one stage ended. Serialised as `"ok"` or the cause's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Spelling", into = "Spelling")]
pub enum Outcome {
    /// As it should.
    Ok,
    /// With what the network did. [`Cause::NotFinished`] when the round's deadline came first.
    Failed(Cause),
}

impl Outcome {
    /// The cause, if the stage failed.
    #[must_use]
    pub const fn cause(self) -> Option<Cause> {
        match self {
            Self::Ok => None,
            Self::Failed(cause) => Some(cause),
        }
    }

    /// Whether the stage ended well.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// The JSON spelling of an [`Outcome`].
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelling {
    Ok(OkWord),
    Failed(Cause),
}

#[derive(Serialize, Deserialize)]
enum OkWord {
    #[serde(rename = "ok")]
    Ok,
}

impl From<Spelling> for Outcome {
    fn from(spelling: Spelling) -> Self {
        match spelling {
            Spelling::Ok(OkWord::Ok) => Self::Ok,
            Spelling::Failed(cause) => Self::Failed(cause),
        }
    }
}

impl From<Outcome> for Spelling {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Ok(OkWord::Ok),
            Outcome::Failed(cause) => Self::Failed(cause),
        }
    }
}

/// What the network did where it should have done something else. Data, never an `Err` of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The named reason.
    pub cause: Cause,
    /// What was seen, for a person: what the peer said instead, the names offered, by how much …
    pub detail: String,
    /// The kernel's error number, where there was one.
    pub errno: Option<i32>,
}

impl Failure {
    /// A failure without an error number.
    #[must_use]
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), errno: None }
    }
}

/// How an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A TCP connection, after truncation.
    Tcp,
    /// No question was sent: the hosts file has the name.
    HostsFile,
}

/// Why a name server was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ResolverRole {
    /// The system (or the config) uses it.
    #[default]
    System,
    /// It is the VPC's resolver, asked for comparison.
    Vpc,
}

/// One name server's answer for one name, A and AAAA together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResolveRecord {
    /// `ok` when at least one address was found.
    pub outcome: Outcome,
    /// Until the answer, or until it was given up.
    pub elapsed_ms: Millis,
    /// The name server; `None` for the hosts file, or when there is none to ask.
    pub resolver: Option<IpAddr>,
    /// Why it was asked.
    #[serde(default)]
    pub role: ResolverRole,
    /// The local stub before it, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<IpAddr>,
    /// How the answer came; `None` when none came.
    pub transport: Option<Transport>,
    /// The CNAME chain, in order, without the name itself.
    pub cnames: Vec<String>,
    /// All addresses, sorted, IPv4 first, no duplicates.
    pub addresses: Vec<IpAddr>,
    /// The smallest TTL of the answer, in seconds.
    pub ttl_s: Option<u32>,
    /// What was seen, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In one of the VPC's own CIDRs.
    OwnVpc,
    /// In a network that the operator allows.
    Allowed,
    /// In private space: RFC 1918, RFC 6598, RFC 4193.
    Private,
    /// In a prefix that the config names as the S3 gateway's.
    Gateway,
    /// Public.
    Public,
    /// Nobody's endpoint: loopback, link-local, unspecified, multicast, documentation, reserved.
    Bogus,
}

impl Place {
    /// The place's name as in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnVpc => "own-vpc",
            Self::Allowed => "allowed",
            Self::Private => "private",
            Self::Gateway => "gateway",
            Self::Public => "public",
            Self::Bogus => "bogus",
        }
    }
}

/// Whether an address lies in this host's own subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subnet {
    /// It does, so in this host's availability zone.
    Own,
    /// It does not.
    Other,
}

/// One TCP connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectRecord {
    /// How it ended.
    pub outcome: Outcome,
    /// Until it was open, or given up.
    pub elapsed_ms: Millis,
    /// This end of the connection, or the address that would have been used.
    pub local: Option<SocketAddr>,
    /// The kernel's name of the error, e.g. `EHOSTUNREACH`.
    pub errno: Option<String>,
    /// What was seen, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether a ClientHello of more than one segment passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum LargeHello {
    /// It does.
    Ok,
    /// It is dropped or reset where a small one passes.
    Blocked,
    /// Not tried.
    #[default]
    NotTried,
}

/// One TLS handshake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TlsRecord {
    /// How it ended.
    pub outcome: Outcome,
    /// Until it was complete and verified, or given up.
    pub elapsed_ms: Millis,
    /// e.g. `TLSv1.3`.
    pub version: Option<String>,
    /// e.g. `TLS13_AES_256_GCM_SHA384`.
    pub cipher: Option<String>,
    /// e.g. `X25519MLKEM768`.
    pub key_exchange: Option<String>,
    /// The leaf's issuer, as far as it was seen, even when the chain is not trusted.
    pub issuer: Option<String>,
    /// The leaf's subject names, at most a handful.
    #[serde(default)]
    pub names: Vec<String>,
    /// The end of the leaf's life.
    pub not_after: Option<Timestamp>,
    /// The start of the leaf's life.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Whole days until `not_after`; negative once it is past.
    pub days_left: Option<i64>,
    /// The certificates that the server sent, together, in DER bytes.
    pub chain_bytes: Option<u64>,
    /// How many certificates the server sent.
    #[serde(default)]
    pub chain_length: Option<u32>,
    /// The issuer of the chain's last certificate: whom the chain asks to trust.
    #[serde(default)]
    pub chain_root: Option<String>,
    /// The first flight of this client, in bytes.
    pub hello_bytes: Option<u64>,
    /// Whether a large ClientHello passes.
    pub large_hello: LargeHello,
    /// The small first flight that passed where the large one did not, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small_hello_bytes: Option<u64>,
    /// What was seen, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a path-MTU measurement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MtuOutcome {
    /// The link's own size passes.
    Ok,
    /// Segments are kept small by their MSS, as they should be.
    Clamped,
    /// ICMP made the path work.
    ReliesOnIcmp,
    /// Large packets out vanish.
    BlackholeOut,
    /// Large packets in vanish.
    BlackholeIn,
    /// Both.
    BlackholeBoth,
    /// It could not be told.
    Inconclusive,
    /// Not tried.
    NotTried,
}

impl MtuOutcome {
    /// Whether large packets vanish.
    #[must_use]
    pub const fn is_hole(self) -> bool {
        matches!(self, Self::BlackholeOut | Self::BlackholeIn | Self::BlackholeBoth)
    }

    /// The outcome's name as in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Clamped => "clamped",
            Self::ReliesOnIcmp => "relies-on-icmp",
            Self::BlackholeOut => "blackhole-out",
            Self::BlackholeIn => "blackhole-in",
            Self::BlackholeBoth => "blackhole-both",
            Self::Inconclusive => "inconclusive",
            Self::NotTried => "not-tried",
        }
    }
}

/// One path-MTU measurement; sizes are IP packets in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MtuRecord {
    /// How it ended.
    pub outcome: MtuOutcome,
    /// The largest size proven outwards.
    pub out_ok: Option<u32>,
    /// The smallest size that failed outwards.
    pub out_fails: Option<u32>,
    /// The largest packet that arrived.
    pub in_seen: Option<u32>,
    /// The largest size proven inwards by a rung of its own.
    pub in_ok: Option<u32>,
    /// The smallest size that failed inwards.
    pub in_fails: Option<u32>,
    /// The MTU of the link that was used.
    pub link_mtu: Option<u32>,
    /// How long it took.
    pub elapsed_ms: Millis,
    /// How many connections it took beside the first.
    pub connections: u32,
    /// When it was measured, for a carried result.
    pub measured_at: Timestamp,
    /// What was seen, for a person: why it is inconclusive, what ICMP said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What the S3 canary (`/amazon-ssm-REGION/latest/VERSION`) said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Canary {
    /// The version file was read: route, endpoint policy and bucket are right.
    Read,
    /// 403: the endpoint's policy, or the bucket's.
    Denied,
    /// 301 or 307: the bucket is in another region.
    WrongRegion,
    /// 404: no such bucket or key.
    NotFound,
    /// 200 with a body that is not a version.
    NotVersion,
    /// Any other status.
    Other,
}

/// One HTTP exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpRecord {
    /// `ok` for every complete answer, whatever its status.
    pub outcome: Outcome,
    /// Until the answer was complete, or given up.
    pub elapsed_ms: Millis,
    /// The status code.
    pub status: Option<u16>,
    /// Whether a header marks the answer as AWS's; `None` without an answer.
    pub aws: Option<bool>,
    /// This host's clock minus the server's `Date`, in seconds: positive when this host is ahead.
    pub clock_skew_s: Option<f64>,
    /// For S3: what the canary said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// For S3's redirect: the region that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_region: Option<String>,
    /// The `Server` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What was seen, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// All that one address showed. A stage that was not reached is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddressRecord {
    /// The address.
    pub address: IpAddr,
    /// Where it lies.
    pub place: Place,
    /// Whether that is this host's own subnet; `None` where that is not known, or the address is not the VPC's.
    pub subnet: Option<Subnet>,
    /// The TCP connection.
    pub connect: Option<ConnectRecord>,
    /// The TLS handshake.
    pub tls: Option<TlsRecord>,
    /// The path MTU.
    pub mtu: Option<MtuRecord>,
    /// The HTTP exchange.
    pub http: Option<HttpRecord>,
}

/// A try to reach the target through a proxy, made only where the direct way failed and a proxy is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProxyRecord {
    /// The proxy, password redacted.
    pub url: String,
    /// Who has the setting.
    pub origin: String,
    /// Whether the agent itself has it.
    pub agent: bool,
    /// Whether CONNECT and a TLS handshake through it worked.
    pub works: bool,
    /// The status that the proxy gave to CONNECT.
    pub status: Option<u16>,
    /// What was seen, for a person.
    pub detail: Option<String>,
}

/// What a round saw of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The target.
    pub target: Target,
    /// The answer that the later stages used: the hosts file's, or the first system name server's that had one.
    pub resolve: ResolveRecord,
    /// Every name server asked, the VPC's included, in order.
    pub resolvers: Vec<ResolveRecord>,
    /// Every address of `resolve`, in order.
    pub addresses: Vec<AddressRecord>,
    /// The proxy try, where one was made.
    pub proxy: Option<ProxyRecord>,
    /// Limits of our own (descriptors, ports, buffers) that spoilt a measurement: a host problem, never the target's.
    pub exhausted: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::MtuOutcome;

    #[test]
    fn an_outcome_is_called_as_the_report_spells_it() {
        for outcome in [
            MtuOutcome::Ok,
            MtuOutcome::Clamped,
            MtuOutcome::ReliesOnIcmp,
            MtuOutcome::BlackholeOut,
            MtuOutcome::BlackholeIn,
            MtuOutcome::BlackholeBoth,
            MtuOutcome::Inconclusive,
            MtuOutcome::NotTried,
        ] {
            assert_eq!(serde_json::to_value(outcome).expect("JSON"), outcome.as_str());
        }
    }
}
