//! Every reason that vpce-probe can give: one table, and everything that prints, counts or documents a cause reads it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::verdict::Severity;

/// The layer at which a problem shows, in the order in which a round works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The name was asked for.
    Resolve,
    /// The addresses were compared with what was expected (pure).
    Classify,
    /// A TCP connection was opened to each address.
    Connect,
    /// TLS was completed and verified.
    Tls,
    /// The path MTU was measured.
    Mtu,
    /// One HTTP request was answered.
    Http,
}

impl Stage {
    /// The stage's name as in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Classify => "classify",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Mtu => "mtu",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a cause is a statement about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One stage, of one name or one address.
    Stage(Stage),
    /// One target as a whole.
    Target,
    /// Several targets at once.
    Across,
    /// This host, apart from any target.
    Host,
    /// The delivery of metrics.
    Shipping,
}

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $scope:expr, $severity:ident;)+) => {
        /// A named reason, stable across releases: scripts and alarms rely on the kebab-case name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Cause {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Cause {
            /// Every cause, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as in the report, on the command line and in the docs' anchors.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What the cause is a statement about.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => $scope),+ }
            }

            /// How bad it is, unless a judging rule says otherwise.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }
        }
    };
}

const RESOLVE: Scope = Scope::Stage(Stage::Resolve);
const CLASSIFY: Scope = Scope::Stage(Stage::Classify);
const CONNECT: Scope = Scope::Stage(Stage::Connect);
const TLS: Scope = Scope::Stage(Stage::Tls);
const MTU: Scope = Scope::Stage(Stage::Mtu);
const HTTP: Scope = Scope::Stage(Stage::Http);

causes! {
    /// The name does not exist.
    DnsNxdomain = "dns-nxdomain", RESOLVE, Failure;
    /// The name exists and has no address.
    DnsNoData = "dns-no-data", RESOLVE, Failure;
    /// The name server answered SERVFAIL.
    DnsServfail = "dns-servfail", RESOLVE, Failure;
    /// The name server answered REFUSED.
    DnsRefused = "dns-refused", RESOLVE, Failure;
    /// No name server answered in time.
    DnsTimeout = "dns-timeout", RESOLVE, Failure;
    /// No name server could be reached: refused port, no route, or none configured.
    DnsUnreachable = "dns-unreachable", RESOLVE, Failure;
    /// The name server's answer was not a DNS message.
    DnsMalformed = "dns-malformed", RESOLVE, Failure;
    /// One of several name servers is dead, and clients stall on it.
    NameserverDead = "nameserver-dead", RESOLVE, Warning;
    /// The system's name server breaks the expectation that the VPC's resolver meets.
    ResolverDisagrees = "resolver-disagrees", RESOLVE, Warning;
    /// The hosts file answers for this name.
    HostsOverride = "hosts-override", RESOLVE, Warning;
    /// The answer took longer than a second.
    DnsSlow = "dns-slow", RESOLVE, Note;

    /// A public address where a private one is expected.
    AddressPublic = "address-public", CLASSIFY, Failure;
    /// A private address outside the VPC where the VPC's own is expected.
    AddressOutsideVpc = "address-outside-vpc", CLASSIFY, Failure;
    /// An address that can be nobody's endpoint: loopback, link-local, unspecified, documentation, sinkhole.
    AddressBogus = "address-bogus", CLASSIFY, Failure;
    /// Some addresses of the answer are as expected and some are not.
    AddressMixed = "address-mixed", CLASSIFY, Failure;
    /// An answer where `expect` is absent, or no public address where it is public.
    UnexpectedAnswer = "unexpected-answer", CLASSIFY, Failure;
    /// An optional service has no endpoint here.
    EndpointAbsent = "endpoint-absent", CLASSIFY, Note;
    /// All addresses lie in one availability zone.
    SingleZone = "single-zone", CLASSIFY, Note;
    /// The set of addresses changed since the last round.
    AddressChanged = "address-changed", CLASSIFY, Note;

    /// No answer to the connection attempts.
    TcpTimeout = "tcp-timeout", CONNECT, Failure;
    /// The connection was refused.
    TcpRefused = "tcp-refused", CONNECT, Failure;
    /// No route, or the last router or neighbour said unreachable.
    TcpUnreachable = "tcp-unreachable", CONNECT, Failure;
    /// The connection was reset while it opened.
    TcpReset = "tcp-reset", CONNECT, Failure;
    /// This host itself forbids the connection.
    TcpDenied = "tcp-denied", CONNECT, Failure;
    /// The connection took longer than a second to open.
    ConnectSlow = "connect-slow", CONNECT, Note;

    /// The TLS handshake did not finish in time.
    TlsTimeout = "tls-timeout", TLS, Failure;
    /// The peer closed the connection during the handshake.
    TlsClosed = "tls-closed", TLS, Failure;
    /// The connection was reset during the handshake.
    TlsReset = "tls-reset", TLS, Failure;
    /// The peer speaks something that is not TLS.
    TlsNotTls = "tls-not-tls", TLS, Failure;
    /// No common protocol version or parameters, or a broken handshake.
    TlsProtocol = "tls-protocol", TLS, Failure;
    /// The chain does not lead to a trusted authority.
    TlsUntrusted = "tls-untrusted", TLS, Failure;
    /// The certificate is for other names.
    TlsWrongName = "tls-wrong-name", TLS, Failure;
    /// The certificate has expired.
    TlsExpired = "tls-expired", TLS, Failure;
    /// The certificate is not valid yet.
    TlsNotYetValid = "tls-not-yet-valid", TLS, Failure;
    /// A large ClientHello is dropped or reset where a small one passes.
    LargeHelloBlocked = "large-hello-blocked", TLS, Failure;
    /// The certificate expires soon.
    CertificateExpiring = "certificate-expiring", TLS, Warning;
    /// The handshake took longer than a second.
    TlsSlow = "tls-slow", TLS, Note;
    /// The issuer is trusted, but not one of those expected.
    IssuerUnexpected = "issuer-unexpected", TLS, Note;

    /// Large packets to the endpoint vanish.
    MtuBlackholeOut = "mtu-blackhole-out", MTU, Failure;
    /// Large packets from the endpoint vanish.
    MtuBlackholeIn = "mtu-blackhole-in", MTU, Failure;
    /// Large packets vanish in both directions.
    MtuBlackholeBoth = "mtu-blackhole-both", MTU, Failure;
    /// The path works only because ICMP gets through.
    MtuReliesOnIcmp = "mtu-relies-on-icmp", MTU, Note;
    /// The path MTU could not be measured.
    MtuInconclusive = "mtu-inconclusive", MTU, Note;

    /// No complete HTTP answer in time.
    HttpTimeout = "http-timeout", HTTP, Failure;
    /// The connection ended before a complete HTTP answer.
    HttpClosed = "http-closed", HTTP, Failure;
    /// S3 answers and refuses a bucket that the SSM agent needs.
    S3AccessDenied = "s3-access-denied", HTTP, Warning;
    /// S3 says that the bucket lives in another region.
    S3WrongRegion = "s3-wrong-region", HTTP, Warning;
    /// The service answered with a 5xx status.
    HttpServerError = "http-server-error", HTTP, Note;
    /// The answer carries no sign of AWS.
    HttpNotAws = "http-not-aws", HTTP, Note;

    /// A public name that may be reached by gateway endpoint or NAT is silent.
    GatewayUnreachable = "gateway-unreachable", Scope::Target, Failure;
    /// The round's deadline cut the probe short.
    NotFinished = "not-finished", Scope::Target, Failure;
    /// Some of the addresses are dead.
    EndpointPartial = "endpoint-partial", Scope::Target, Warning;
    /// IPv6 is dead beside live IPv4.
    Ipv6Broken = "ipv6-broken", Scope::Target, Warning;

    /// One service has no endpoint, while its siblings have.
    EndpointMissing = "endpoint-missing", Scope::Across, Failure;
    /// Several names are public: the VPC's private DNS does not work.
    PrivateDnsOff = "private-dns-off", Scope::Across, Failure;
    /// No name could be resolved.
    ResolverDown = "resolver-down", Scope::Across, Failure;
    /// Nothing at all can be reached from here.
    EgressBlocked = "egress-blocked", Scope::Across, Failure;
    /// All endpoints are silent, while something else answers.
    EndpointsBlocked = "endpoints-blocked", Scope::Across, Failure;
    /// The same path-MTU hole on the way to several endpoints.
    PathMtu = "path-mtu", Scope::Across, Failure;
    /// One foreign authority signs every certificate.
    TlsInspection = "tls-inspection", Scope::Across, Failure;
    /// This host's clock is wrong enough to break certificates or signatures.
    ClockWrong = "clock-wrong", Scope::Across, Failure;
    /// This host's clock differs from AWS's.
    ClockSkew = "clock-skew", Scope::Across, Warning;
    /// A proxy setting explains what is seen.
    ProxyInterferes = "proxy-interferes", Scope::Across, Warning;

    /// The instance metadata service is turned off.
    ImdsOff = "imds-off", Scope::Host, Note;
    /// The instance metadata service does not answer.
    ImdsUnreachable = "imds-unreachable", Scope::Host, Note;
    /// The metadata service's token cannot cross the hop limit.
    ImdsHopLimit = "imds-hop-limit", Scope::Host, Note;
    /// The metadata service speaks version 1 only.
    ImdsV1Only = "imds-v1-only", Scope::Host, Note;
    /// The configured region is not the one that this instance runs in.
    RegionMismatch = "region-mismatch", Scope::Host, Note;
    /// The instance has no IAM role.
    RoleMissing = "role-missing", Scope::Host, Note;
    /// The SSM agent is installed and not running.
    AgentNotRunning = "agent-not-running", Scope::Host, Note;
    /// The SSM agent runs and holds no connection, while the network is healthy.
    AgentStale = "agent-stale", Scope::Host, Note;
    /// Packets to link-local services (DNS, IMDS, NTP) were dropped by the instance's allowance.
    LinklocalLimit = "linklocal-limit", Scope::Host, Note;
    /// Packets were dropped because the instance tracks too many connections.
    ConntrackLimit = "conntrack-limit", Scope::Host, Note;
    /// This process ran out of descriptors, ports or buffers.
    ResourceExhausted = "resource-exhausted", Scope::Host, Note;

    /// No credentials were found.
    CredentialsMissing = "credentials-missing", Scope::Shipping, Note;
    /// The credentials have expired.
    CredentialsExpired = "credentials-expired", Scope::Shipping, Note;
    /// CloudWatch refused the data: IAM or the endpoint's policy.
    PublishDenied = "publish-denied", Scope::Shipping, Note;
    /// CloudWatch throttles.
    PublishThrottled = "publish-throttled", Scope::Shipping, Note;
    /// CloudWatch cannot be reached.
    PublishUnreachable = "publish-unreachable", Scope::Shipping, Note;
    /// CloudWatch answers with errors.
    PublishFailing = "publish-failing", Scope::Shipping, Note;
    /// The spool is full: the oldest data are lost.
    SpoolFull = "spool-full", Scope::Shipping, Note;
    /// The spool could not be written: data are kept in memory only.
    SpoolDegraded = "spool-degraded", Scope::Shipping, Note;
}

impl Cause {
    /// The stage that the cause is about; `None` for causes about a target, a host or the delivery.
    #[must_use]
    pub const fn stage(self) -> Option<Stage> {
        match self.scope() {
            Scope::Stage(stage) => Some(stage),
            Scope::Target | Scope::Across | Scope::Host | Scope::Shipping => None,
        }
    }

    /// Where the documents tell of it: `docs/causes.md#tcp-timeout`, from the folder that they are in.
    #[must_use]
    pub fn place(self) -> String {
        format!("docs/causes.md#{self}")
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such cause")]
pub struct UnknownCause;

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|cause| cause.as_str() == name).ok_or(UnknownCause)
    }
}
