//! What is probed: a host name, a port, and what its addresses should be.

use std::{fmt, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Where a target's addresses should lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// In one of the VPC's own CIDRs.
    OwnVpc,
    /// In the own VPC, an allowed CIDR, or private space (RFC 1918, RFC 6598, RFC 4193).
    Private,
    /// Anywhere: a gateway endpoint gives public addresses.
    Any,
    /// Public.
    Public,
    /// Nowhere: the name must not answer.
    Absent,
}

impl Expect {
    /// Every value, in the order of the contract.
    pub const ALL: &'static [Self] = &[Self::OwnVpc, Self::Private, Self::Any, Self::Public, Self::Absent];

    /// The name as in the config and in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnVpc => "own-vpc",
            Self::Private => "private",
            Self::Any => "any",
            Self::Public => "public",
            Self::Absent => "absent",
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is no [`Expect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of own-vpc, private, any, public, absent")]
pub struct UnknownExpect;

impl FromStr for Expect {
    type Err = UnknownExpect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|expect| expect.as_str() == name).ok_or(UnknownExpect)
    }
}

/// One thing to probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// What it is called in the report, e.g. `ssm`. Unique in a plan.
    pub name: String,
    /// The service code of `com.amazonaws.REGION.CODE`, if it is an AWS service.
    pub service: Option<String>,
    /// The host name that is resolved, sent as SNI and as `Host`. No trailing dot.
    pub host: String,
    /// The TCP port, 443 unless the service has its own.
    pub port: u16,
    /// Whether a failure here fails the round.
    pub required: bool,
    /// Where its addresses should lie.
    pub expect: Expect,
    /// The path of the HTTP request, with its leading `/`. Empty: the port speaks no HTTP (SMTP, CQL), so none is asked.
    #[serde(default = "root")]
    pub path: String,
    /// Networks that count as private for this target only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_cidrs: Vec<IpNet>,
}

impl Target {
    /// Whether the service is S3, whose answers are read by rules of their own.
    #[must_use]
    pub fn is_s3(&self) -> bool {
        self.service.as_deref() == Some("s3")
    }
}

fn root() -> String {
    "/".to_owned()
}
