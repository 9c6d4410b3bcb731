//! What each cause means, how it shows, how to confirm it, how to mend it and who can: `explain`, the docs and the
//! judge's advice read it here.
//!
//! Commands carry placeholders in capitals: `REGION VPC_ID SUBNET_ID INSTANCE_ID SERVICE HOST ADDRESS SERVER NETWORK
//! GATEWAY PROXY_URL ROLE_ARN`.

mod across;
mod host;
mod names;
mod path;
mod secure;
mod shipping;

use std::fmt;

use super::cause::Cause;

/// The text of one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseText {
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// How it shows.
    pub symptom: &'static str,
    /// Commands that confirm it, one a line, with placeholders in capitals. `aws …` needs AWS access, which a host in a
    /// private subnet may not have.
    pub confirm: &'static [&'static str],
    /// Steps in the order to take them.
    pub mend: &'static [&'static str],
    /// Who can.
    pub owner: Owner,
}

/// Who can mend something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Whoever runs this host.
    ThisHost,
    /// The account that owns the VPC: its DNS, routes, NACLs and endpoints.
    VpcOwner,
    /// Whoever owns the endpoint, its security group and its policy.
    EndpointOwner,
    /// Whoever runs name servers, firewalls and the paths between networks.
    NetworkTeam,
    /// AWS.
    Aws,
}

impl Owner {
    /// The owner in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ThisHost => "whoever runs this host",
            Self::VpcOwner => "the VPC's owner",
            Self::EndpointOwner => "the endpoint's owner",
            Self::NetworkTeam => "the network team",
            Self::Aws => "AWS",
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Cause {
    /// Where the docs explain it: `docs/causes.md#NAME`.
    #[must_use]
    pub fn anchor(self) -> String {
        format!("docs/causes.md#{self}")
    }

    /// Its text.
    #[must_use]
    pub const fn text(self) -> &'static CauseText {
        match self {
            Self::DnsNxdomain => &names::DNS_NXDOMAIN,
            Self::DnsNoData => &names::DNS_NO_DATA,
            Self::DnsServfail => &names::DNS_SERVFAIL,
            Self::DnsRefused => &names::DNS_REFUSED,
            Self::DnsTimeout => &names::DNS_TIMEOUT,
            Self::DnsUnreachable => &names::DNS_UNREACHABLE,
            Self::DnsMalformed => &names::DNS_MALFORMED,
            Self::NameserverDead => &names::NAMESERVER_DEAD,
            Self::ResolverDisagrees => &names::RESOLVER_DISAGREES,
            Self::HostsOverride => &names::HOSTS_OVERRIDE,
            Self::DnsSlow => &names::DNS_SLOW,
            Self::AddressPublic => &names::ADDRESS_PUBLIC,
            Self::AddressOutsideVpc => &names::ADDRESS_OUTSIDE_VPC,
            Self::AddressBogus => &names::ADDRESS_BOGUS,
            Self::AddressMixed => &names::ADDRESS_MIXED,
            Self::UnexpectedAnswer => &names::UNEXPECTED_ANSWER,
            Self::EndpointAbsent => &names::ENDPOINT_ABSENT,
            Self::SingleZone => &names::SINGLE_ZONE,
            Self::AddressChanged => &names::ADDRESS_CHANGED,
            Self::TcpTimeout => &path::TCP_TIMEOUT,
            Self::TcpRefused => &path::TCP_REFUSED,
            Self::TcpUnreachable => &path::TCP_UNREACHABLE,
            Self::TcpReset => &path::TCP_RESET,
            Self::TcpDenied => &path::TCP_DENIED,
            Self::ConnectSlow => &path::CONNECT_SLOW,
            Self::MtuBlackholeOut => &path::MTU_BLACKHOLE_OUT,
            Self::MtuBlackholeIn => &path::MTU_BLACKHOLE_IN,
            Self::MtuBlackholeBoth => &path::MTU_BLACKHOLE_BOTH,
            Self::MtuReliesOnIcmp => &path::MTU_RELIES_ON_ICMP,
            Self::MtuInconclusive => &path::MTU_INCONCLUSIVE,
            Self::GatewayUnreachable => &path::GATEWAY_UNREACHABLE,
            Self::NotFinished => &path::NOT_FINISHED,
            Self::EndpointPartial => &path::ENDPOINT_PARTIAL,
            Self::Ipv6Broken => &path::IPV6_BROKEN,
            Self::TlsTimeout => &secure::TLS_TIMEOUT,
            Self::TlsClosed => &secure::TLS_CLOSED,
            Self::TlsReset => &secure::TLS_RESET,
            Self::TlsNotTls => &secure::TLS_NOT_TLS,
            Self::TlsProtocol => &secure::TLS_PROTOCOL,
            Self::TlsUntrusted => &secure::TLS_UNTRUSTED,
            Self::TlsWrongName => &secure::TLS_WRONG_NAME,
            Self::TlsExpired => &secure::TLS_EXPIRED,
            Self::TlsNotYetValid => &secure::TLS_NOT_YET_VALID,
            Self::LargeHelloBlocked => &secure::LARGE_HELLO_BLOCKED,
            Self::CertificateExpiring => &secure::CERTIFICATE_EXPIRING,
            Self::TlsSlow => &secure::TLS_SLOW,
            Self::IssuerUnexpected => &secure::ISSUER_UNEXPECTED,
            Self::HttpTimeout => &secure::HTTP_TIMEOUT,
            Self::HttpClosed => &secure::HTTP_CLOSED,
            Self::S3AccessDenied => &secure::S3_ACCESS_DENIED,
            Self::S3WrongRegion => &secure::S3_WRONG_REGION,
            Self::HttpServerError => &secure::HTTP_SERVER_ERROR,
            Self::HttpNotAws => &secure::HTTP_NOT_AWS,
            Self::EndpointMissing => &across::ENDPOINT_MISSING,
            Self::PrivateDnsOff => &across::PRIVATE_DNS_OFF,
            Self::ResolverDown => &across::RESOLVER_DOWN,
            Self::EgressBlocked => &across::EGRESS_BLOCKED,
            Self::EndpointsBlocked => &across::ENDPOINTS_BLOCKED,
            Self::PathMtu => &across::PATH_MTU,
            Self::TlsInspection => &across::TLS_INSPECTION,
            Self::ClockWrong => &across::CLOCK_WRONG,
            Self::ClockSkew => &across::CLOCK_SKEW,
            Self::ProxyInterferes => &across::PROXY_INTERFERES,
            Self::ImdsOff => &host::IMDS_OFF,
            Self::ImdsUnreachable => &host::IMDS_UNREACHABLE,
            Self::ImdsHopLimit => &host::IMDS_HOP_LIMIT,
            Self::ImdsV1Only => &host::IMDS_V1_ONLY,
            Self::RegionMismatch => &host::REGION_MISMATCH,
            Self::RoleMissing => &host::ROLE_MISSING,
            Self::AgentNotRunning => &host::AGENT_NOT_RUNNING,
            Self::AgentStale => &host::AGENT_STALE,
            Self::LinklocalLimit => &host::LINKLOCAL_LIMIT,
            Self::ConntrackLimit => &host::CONNTRACK_LIMIT,
            Self::ResourceExhausted => &host::RESOURCE_EXHAUSTED,
            Self::CredentialsMissing => &shipping::CREDENTIALS_MISSING,
            Self::CredentialsExpired => &shipping::CREDENTIALS_EXPIRED,
            Self::PublishDenied => &shipping::PUBLISH_DENIED,
            Self::PublishThrottled => &shipping::PUBLISH_THROTTLED,
            Self::PublishUnreachable => &shipping::PUBLISH_UNREACHABLE,
            Self::PublishFailing => &shipping::PUBLISH_FAILING,
            Self::SpoolFull => &shipping::SPOOL_FULL,
            Self::SpoolDegraded => &shipping::SPOOL_DEGRADED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    const PLACEHOLDERS: &[&str] = &[
        "REGION",
        "VPC_ID",
        "SUBNET_ID",
        "INSTANCE_ID",
        "SERVICE",
        "HOST",
        "ADDRESS",
        "SERVER",
        "NETWORK",
        "GATEWAY",
        "PROXY_URL",
        "ROLE_ARN",
    ];
    /// Words in capitals that are words.
    const WORDS: &[&str] = &[
        "A",
        "AAAA",
        "AWS",
        "AWS_REGION",
        "NXDOMAIN",
        "NOERROR",
        "NODATA",
        "SERVFAIL",
        "REFUSED",
        "DNS",
        "DNSSEC",
        "DHCP",
        "UDP",
        "TCP",
        "TLS",
        "HTTP",
        "SNI",
        "NAT",
        "NACL",
        "NACLS",
        "VPC",
        "CIDR",
        "MTU",
        "MSS",
        "ICMP",
        "VPN",
        "FIPS",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "EPERM",
        "EACCES",
        "EDR",
        "EMFILE",
        "EADDRNOTAVAIL",
        "ENOBUFS",
        "SYN",
        "RST",
        "FORWARD",
        "TCPMSS",
        "S3",
        "SSM",
        "IAM",
        "IMDS",
        "EC2",
        "NTP",
        "CPU",
        "SCP",
        "GODEBUG",
        "VERSION",
        "X25519",
        "PUT",
        "X25519MLKEM768",
    ];

    fn all_strings(cause: Cause) -> Vec<&'static str> {
        let text = cause.text();
        [text.meaning, text.symptom].into_iter().chain(text.confirm.iter().chain(text.mend).copied()).collect()
    }

    #[test]
    fn every_cause_has_a_whole_text() {
        for cause in Cause::ALL {
            let text = cause.text();
            assert!(!text.confirm.is_empty() && !text.mend.is_empty(), "{cause}");
            for part in all_strings(*cause) {
                assert!(part.len() >= 5 && part.len() <= 260, "{cause}: {part}");
                assert!(!part.contains(['\n', '\t']) && part.trim() == part, "{cause}: {part}");
            }
            assert!(text.meaning.ends_with('.') && text.symptom.ends_with('.'), "{cause}");
        }
    }

    #[test]
    fn placeholders_are_spelled_right() {
        for cause in Cause::ALL {
            for part in all_strings(*cause) {
                let words = part.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let capitals = words.filter(|w| {
                    w.len() > 1
                        && w.starts_with(|c: char| c.is_ascii_uppercase())
                        && !w.contains(|c: char| c.is_ascii_lowercase())
                });
                for word in capitals {
                    assert!(PLACEHOLDERS.contains(&word) || WORDS.contains(&word), "{cause}: {word} in {part}");
                }
            }
        }
    }

    #[test]
    fn aws_commands_name_their_region() {
        for cause in Cause::ALL {
            for part in cause.text().confirm.iter().chain(cause.text().mend).filter(|part| part.starts_with("aws ")) {
                assert!(part.contains("region ") || part.contains(" iam "), "{cause}: {part}");
            }
        }
    }
}
