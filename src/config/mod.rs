//! The config file in three tiers: TOML with positions (`syntax`, `raw`), every mistake at once (`check`, each a
//! [`Diagnostic`]), plain values (this file).

use std::{path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::model::{plan::Family, target::Expect};
pub use crate::{
    metric::Detail,
    model::plan::{Credentials, MtuMode},
};

mod bounds;
mod check;
mod diagnostic;
pub mod duration;
mod keys;
mod load;
mod places;
mod raw;
pub mod reference;
mod size;
mod suggest;
mod syntax;

pub use self::{
    check::{DEFAULT_TARGETS, DIMENSIONS},
    diagnostic::{Diagnostic, Severity, render},
    keys::{SECTIONS, Section},
    load::{LoadError, Parsed, load, parse},
};

/// The whole configuration; [`Config::default`] is what runs without a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `None`: discovered.
    pub region: Option<String>,
    /// Between two rounds of `run`; at least 10 s.
    pub interval: Duration,
    /// The whole round ends after this.
    pub round_deadline: Duration,
    /// Equal results before a change is announced.
    pub confirm: u32,
    /// Families probed.
    pub family: Family,
    /// Whether the HTTP question is asked.
    pub http: bool,
    /// Authorities beside the operating system's.
    pub extra_ca_file: Option<PathBuf>,
    /// `false`: only the `[[target]]` entries.
    pub default_targets: bool,
    /// `None`: `STATE_DIRECTORY`.
    pub state_dir: Option<PathBuf>,
    /// `None`: `RUNTIME_DIRECTORY`.
    pub runtime_dir: Option<PathBuf>,
    /// `[timeouts]`.
    pub timeouts: Timeouts,
    /// `[dns]`.
    pub dns: Dns,
    /// `[mtu]`.
    pub mtu: Mtu,
    /// `[tls]`.
    pub tls: Tls,
    /// `[address]`.
    pub address: Address,
    /// `[host]`.
    pub host: Host,
    /// `[[target]]`, in the file's order.
    pub targets: Vec<Target>,
    /// `[cloudwatch]`.
    pub cloudwatch: CloudWatch,
    /// `[textfile]`.
    pub textfile: Textfile,
}

/// `[timeouts]`: the budgets of the stages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each key is named like the stage that it bounds")]
pub struct Timeouts {
    pub resolve: Duration,
    pub connect: Duration,
    pub tls: Duration,
    pub http: Duration,
    pub mtu: Duration,
    pub imds: Duration,
}

/// Who is asked for names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ResolverChoice {
    /// Those of `/etc/resolv.conf`.
    #[default]
    System,
    /// The VPC's.
    Vpc,
    /// These.
    Servers(Vec<std::net::IpAddr>),
}

/// `[dns]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Who is asked.
    pub resolver: ResolverChoice,
    /// Sends in all for each question and name server.
    pub attempts: u8,
    /// Whether the VPC's resolver is asked as well.
    pub compare_with_vpc: bool,
}

/// `[mtu]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mtu {
    /// How much.
    pub mode: MtuMode,
    /// Healthy rounds between two measurements of an address that did not change.
    pub repeat_every: u32,
}

/// `[tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Offer the post-quantum key share.
    pub post_quantum: bool,
    /// Warn when less is left.
    pub expiry_warning: Duration,
    /// Substrings of issuers that need no note.
    pub expected_issuers: Vec<String>,
}

/// `[address]`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Address {
    /// Networks that count as private.
    pub allowed_cidrs: Vec<IpNet>,
    /// Prefixes of the S3 gateway.
    pub s3_prefixes: Vec<IpNet>,
}

/// `[host]`: set means not asked of IMDS.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the keys are IMDS's own names")]
pub struct Host {
    pub instance_id: Option<String>,
    pub vpc_id: Option<String>,
    pub vpc_cidrs: Option<Vec<IpNet>>,
    pub subnet_id: Option<String>,
    pub subnet_cidrs: Option<Vec<IpNet>>,
    pub availability_zone: Option<String>,
    pub availability_zone_id: Option<String>,
}

/// One `[[target]]`; an unset key keeps the default target's value, or the general default.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Target {
    /// The service code; exactly one of this and `host`, or both for a code without a known host.
    pub service: Option<String>,
    /// The host name.
    pub host: Option<String>,
    /// The name in the report; default: the service code, or the host name.
    pub name: Option<String>,
    /// Default 443, or the service's own.
    pub port: Option<u16>,
    /// Default by service.
    pub expect: Option<Expect>,
    /// Default `false`, unless it is merged into a required default target.
    pub required: Option<bool>,
    /// Default `/`.
    pub path: Option<String>,
    /// Networks that count as private for this target.
    pub allowed_cidrs: Vec<IpNet>,
    /// `Some(false)` takes a default target out.
    pub enabled: Option<bool>,
}

/// `[cloudwatch]`.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudWatch {
    /// Whether metrics are shipped.
    pub enabled: bool,
    /// The namespace.
    pub namespace: String,
    /// The fixed schedule of averages.
    pub flush_interval: Duration,
    /// How fine the series are.
    pub detail: Detail,
    /// Another endpoint than the region's own.
    pub endpoint_url: Option<String>,
    /// Use the FIPS endpoint.
    pub fips: bool,
    /// Use the dual-stack endpoint.
    pub dual_stack: bool,
    /// Where credentials come from.
    pub credentials: Credentials,
    /// Dimensions added to every series, in the file's order.
    pub fixed_dimensions: Vec<(String, String)>,
    /// Further sets of dimensions.
    pub extra_dimension_sets: Vec<Vec<String>>,
    /// Warn when one instance would cost more a month.
    pub monthly_warning_usd: f64,
    /// `[cloudwatch.spool]` `max_size`, in bytes.
    pub spool_max_size: u64,
}

/// `[textfile]`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Textfile {
    /// `None`: not written.
    pub path: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            region: None,
            interval: Duration::from_mins(1),
            round_deadline: Duration::from_secs(10),
            confirm: 2,
            family: Family::Any,
            http: true,
            extra_ca_file: None,
            default_targets: true,
            state_dir: None,
            runtime_dir: None,
            timeouts: Timeouts::default(),
            dns: Dns::default(),
            mtu: Mtu::default(),
            tls: Tls::default(),
            address: Address::default(),
            host: Host::default(),
            targets: Vec::new(),
            cloudwatch: CloudWatch::default(),
            textfile: Textfile::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(4),
            connect: Duration::from_secs(4),
            tls: Duration::from_secs(5),
            http: Duration::from_secs(4),
            mtu: Duration::from_secs(8),
            imds: Duration::from_secs(2),
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self { resolver: ResolverChoice::System, attempts: 4, compare_with_vpc: true }
    }
}

impl Default for Mtu {
    fn default() -> Self {
        Self { mode: MtuMode::Full, repeat_every: 10 }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            post_quantum: true,
            expiry_warning: Duration::from_hours(14 * 24),
            expected_issuers: vec!["Amazon".to_owned()],
        }
    }
}

impl Default for CloudWatch {
    fn default() -> Self {
        Self {
            enabled: true,
            namespace: "VpceProbe".to_owned(),
            flush_interval: Duration::from_mins(5),
            detail: Detail::Fleet,
            endpoint_url: None,
            fips: false,
            dual_stack: false,
            credentials: Credentials::Auto,
            fixed_dimensions: Vec::new(),
            extra_dimension_sets: Vec::new(),
            monthly_warning_usd: 5.0,
            spool_max_size: 16_000_000,
        }
    }
}
