//! Joins the config and the host's facts into a [`Plan`].

mod dns;
mod metrics;
mod target;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    time::Duration,
};

use ipnet::{IpNet, Ipv6Net};

use crate::{
    catalog::{
        partition::{self, Partition},
        service::{Place, Spelling},
    },
    config::Config,
    model::{
        host::HostFacts,
        plan::{AddressRules, Family, Limits, MtuPlan, Plan, TlsPlan},
        target::Target,
    },
};

pub use self::metrics::metrics;

/// What the command line adds to the config.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Choice {
    /// `--service`: only these; a code that is no target yet becomes a required one.
    pub services: Vec<String>,
    /// `-4`, `-6`.
    pub family: Option<Family>,
    /// `--timeout`: in place of `round_deadline`.
    pub round_deadline: Option<Duration>,
    /// `--fips`: FIPS host names.
    pub fips: bool,
    /// `--dual-stack`: dual-stack host names.
    pub dual_stack: bool,
}

impl Choice {
    /// The spelling of host names that was asked for.
    #[must_use]
    pub const fn spelling(&self) -> Spelling {
        match (self.fips, self.dual_stack) {
            (false, false) => Spelling::Ordinary,
            (true, false) => Spelling::Fips,
            (false, true) => Spelling::DualStack,
            (true, true) => Spelling::FipsDualStack,
        }
    }
}

/// Why no plan can be made. The program's own error: exit 3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nobody said the region.
    #[error("the region is not known: give --region, e.g. --region eu-west-1, or set region in the config")]
    NoRegion,
    /// The region has characters that no region has.
    #[error("region {0:?} is not a region name: only a-z, 0-9 and '-' are allowed, e.g. eu-west-1")]
    BadRegion(String),
    /// A service that has no known host.
    #[error(
        "service {code:?} has no known host name: {}give host = in a [[target]] of the config",
        .suggestion.as_ref().map(|near| format!("did you mean {near:?}? else ")).unwrap_or_default()
    )]
    UnknownService {
        /// The code as it was given.
        code: String,
        /// A code that looks like it.
        suggestion: Option<String>,
    },
    /// A service whose hosts bear the names of accounts or resources.
    #[error(
        "service {code:?} has many host names: give the one in use as host = in a [[target]] of the config, e.g. {form}"
    )]
    ManyHosts {
        /// The code as it was given.
        code: String,
        /// The form of such a host name.
        form: &'static str,
    },
    /// Two targets of one name: the report could not tell them apart.
    #[error("two targets are called {0:?}: give one of them another name =")]
    SameName(String),
    /// Everything was taken out.
    #[error("no target is left to probe")]
    NoTargets,
}

/// A plan, and what is odd about it, one sentence each (e.g. a region that no partition knows).
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Warnings for stderr.
    pub warnings: Vec<String>,
}

/// The targets of a region, without any host fact (`vpce-probe targets`), and warnings, one sentence each.
///
/// `domain` is the DNS suffix as IMDS says it; without it the partition's own is used. No region is needed where every
/// target has a host of its own.
///
/// # Errors
/// See [`PlanError`].
pub fn targets(
    config: &Config,
    choice: &Choice,
    region: Option<&str>,
    domain: Option<&str>,
) -> Result<(Vec<Target>, Vec<String>), PlanError> {
    let mut warnings = Vec::new();
    let place = region.map(|region| locate(region, domain, &mut warnings)).transpose()?;
    let targets = target::targets(config, choice, place.as_ref(), &mut warnings)?;
    Ok((targets, warnings))
}

/// The whole plan.
///
/// # Errors
/// See [`PlanError`].
pub fn plan(config: &Config, choice: &Choice, facts: &HostFacts) -> Result<Planned, PlanError> {
    let (targets, warnings) = targets(config, choice, facts.region.as_deref(), facts.domain.as_deref())?;
    let plan = Plan {
        region: facts.region.clone(),
        targets,
        round_deadline: choice.round_deadline.unwrap_or(config.round_deadline),
        limits: limits(config, choice),
        family: choice.family.unwrap_or(config.family),
        http: config.http,
        dns: dns::plan(&config.dns, facts),
        addresses: AddressRules {
            vpc_cidrs: facts.vpc_cidrs.clone(),
            subnet_cidrs: facts.subnet_cidrs.clone(),
            allowed_cidrs: config.address.allowed_cidrs.iter().copied().chain(neighbourhood(facts)).collect(),
            s3_prefixes: config.address.s3_prefixes.clone(),
        },
        tls: tls(config),
        mtu: MtuPlan { mode: config.mtu.mode, repeat_every: config.mtu.repeat_every, spread: spread(facts) },
    };
    Ok(Planned { plan, warnings })
}

/// The networks that this host surely shares with its VPC, where nobody says the VPC's own: without them an IPv6
/// endpoint in a global prefix, or one in public space that the VPC owns, could not be told from a public address.
///
/// The IPv4 networks that its own addresses lie in, and the /56 of each IPv6 one, which is what AWS gives to a VPC. No
/// public service shares them with an instance.
fn neighbourhood(facts: &HostFacts) -> Vec<IpNet> {
    if !facts.vpc_cidrs.is_empty() {
        return Vec::new();
    }
    let around = |own: &IpNet| match own {
        // A shorter prefix is no subnet of a VPC, but a tunnel or somebody's own idea.
        IpNet::V4(net) => (net.prefix_len() >= SHORTEST_SUBNET).then(|| net.trunc().into()),
        IpNet::V6(net) => Ipv6Net::new(net.addr(), VPC_PREFIX).ok().map(|net| net.trunc().into()),
    };
    // Private space is private without it, and not because the operator allows it.
    let global = |own: &&IpNet| match own.addr() {
        IpAddr::V4(v4) => !(v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..])),
        IpAddr::V6(v6) => !v6.is_unique_local(),
    };
    facts.addresses.iter().filter(global).filter_map(around).collect()
}

/// The bits of the IPv6 network that AWS gives to a VPC.
const VPC_PREFIX: u8 = 56;
/// The fewest bits that a subnet may have (IPv4).
const SHORTEST_SUBNET: u8 = 16;

/// A number of this host's own: from the instance's id, or else from its addresses.
fn spread(facts: &HostFacts) -> u64 {
    let mut hasher = DefaultHasher::new();
    match &facts.instance_id {
        Some(id) => id.hash(&mut hasher),
        None => facts.addresses.hash(&mut hasher),
    }
    hasher.finish()
}

/// How TLS is done: needs no host fact, so that the trust store can be read before anything is asked.
#[must_use]
pub fn tls(config: &Config) -> TlsPlan {
    TlsPlan {
        post_quantum: config.tls.post_quantum,
        extra_ca_file: config.extra_ca_file.clone(),
        expiry_warning: config.tls.expiry_warning,
        expected_issuers: config.tls.expected_issuers.clone(),
    }
}

/// The stages' budgets. A `--timeout` that leaves less room than the config's deadline shrinks them, so that a silent
/// endpoint is still found to be silent and not merely "not finished": two stages fit, with a fifth to spare.
fn limits(config: &Config, choice: &Choice) -> Limits {
    let longest = match choice.round_deadline {
        Some(deadline) if deadline < config.round_deadline => deadline * 2 / 5,
        Some(_) | None => Duration::MAX,
    };
    Limits {
        resolve: config.timeouts.resolve.min(longest),
        connect: config.timeouts.connect.min(longest),
        tls: config.timeouts.tls.min(longest),
        http: config.timeouts.http.min(longest),
        mtu: config.timeouts.mtu.min(longest),
    }
}

/// Where the region's host names lie.
fn locate<'a>(region: &'a str, domain: Option<&'a str>, warnings: &mut Vec<String>) -> Result<Place<'a>, PlanError> {
    if !partition::is_region_name(region) {
        return Err(PlanError::BadRegion(region.to_owned()));
    }
    let told = domain.filter(|domain| is_domain(domain));
    let known = partition::of_region(region);
    let partition = known.or_else(|| told.and_then(by_suffix)).unwrap_or(partition::AWS);
    if told.is_none() && !partition.knows(region) {
        warnings.push(unknown_region(region, known));
    }
    Ok(Place { region, partition, dns_suffix: told.unwrap_or(partition.dns_suffix) })
}

fn unknown_region(region: &str, partition: Option<&Partition>) -> String {
    let near = partition::regions()
        .map(|(_, known)| (strsim::damerau_levenshtein(known, region), known))
        .min()
        // One slip, or one digit that is not there: `eu-wset-1`, `eu-west-9`.
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, near)| format!("; did you mean {near}?"))
        .unwrap_or_default();
    match partition {
        Some(partition) => {
            format!("region {region} is not known; host names are formed as in partition {}{near}", partition.name)
        }
        None => format!("no partition knows region {region}; host names end in amazonaws.com by guess{near}"),
    }
}

fn by_suffix(suffix: &str) -> Option<&'static Partition> {
    partition::ALL.iter().copied().find(|partition| partition.has_suffix(suffix))
}

/// What IMDS says comes over the network: only the letters of a host name may enter one.
fn is_domain(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=100).contains(&text.len())
        && text.bytes().all(allowed)
        && text.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Choice, PlanError, plan, targets};
    use crate::{
        config::Config,
        model::{host::HostFacts, plan::Family},
    };

    fn first_host(region: &str, domain: Option<&str>) -> (String, Vec<String>) {
        let (targets, warnings) =
            targets(&Config::default(), &Choice::default(), Some(region), domain).expect("a plan");
        (targets.first().expect("a target").host.clone(), warnings)
    }

    #[test]
    fn the_suffix_is_what_imds_says_else_the_partitions() {
        fn check(region: &str, domain: Option<&str>, expected: &str) {
            assert_eq!(first_host(region, domain), (expected.to_owned(), Vec::new()));
        }
        check("eu-west-1", None, "ssm.eu-west-1.amazonaws.com");
        check("eusc-de-east-1", None, "ssm.eusc-de-east-1.amazonaws.eu");
        check("eu-west-1", Some("amazonaws.example"), "ssm.eu-west-1.amazonaws.example");
        check("mars-1", Some("amazonaws.example"), "ssm.mars-1.amazonaws.example");
        // What is no host name does not enter one.
        for bad in ["evil.example/", "a b", "", "x..y", "-a.b", "A.example"] {
            check("eu-west-1", Some(bad), "ssm.eu-west-1.amazonaws.com");
        }
    }

    #[test]
    fn an_unknown_region_is_probed_with_a_warning() {
        fn check(region: &str, host: &str, words: &[&str]) {
            let (found, warnings) = first_host(region, None);
            assert_eq!(found, host);
            assert_eq!(warnings.len(), 1);
            for word in words {
                assert!(warnings.iter().any(|warning| warning.contains(word)), "{word}: {warnings:?}");
            }
        }
        check("mars", "ssm.mars.amazonaws.com", &["no partition knows region mars"]);
        check("eu-wset-1", "ssm.eu-wset-1.amazonaws.com", &["partition aws;", "did you mean eu-west-1?"]);
        check("cn-south-1", "ssm.cn-south-1.amazonaws.com.cn", &["partition aws-cn"]);
    }

    #[test]
    fn this_hosts_own_networks_count_where_the_vpcs_are_not_known() {
        fn check(own: &[&str], vpc: &[&str], expected: &[&str]) {
            let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect();
            let facts = HostFacts {
                region: Some("eu-west-1".to_owned()),
                addresses: nets(own),
                vpc_cidrs: nets(vpc),
                ..HostFacts::default()
            };
            let planned = plan(&Config::default(), &Choice::default(), &facts).expect("a plan");
            assert_eq!(planned.plan.addresses.allowed_cidrs, nets(expected), "{own:?} in {vpc:?}");
        }
        check(&["2600:1f18:1234:1a07::50/128"], &[], &["2600:1f18:1234:1a00::/56"]);
        check(&["52.95.1.50/24", "52.96.0.9/32"], &[], &["52.95.1.0/24", "52.96.0.9/32"]);
        check(&["10.0.1.50/24", "100.64.0.1/20", "fd12::5/64", "52.95.1.50/8"], &[], &[]);
        check(&["52.95.1.50/24", "2600:1f18:1234:1a07::50/128"], &["10.0.0.0/16"], &[]);
    }

    #[test]
    fn a_region_with_bad_characters_is_refused() {
        for bad in ["eu_west_1", "EU-WEST-1", "eu-west-1.evil.example", "", "eu west"] {
            let refused = targets(&Config::default(), &Choice::default(), Some(bad), None);
            assert_eq!(refused, Err(PlanError::BadRegion(bad.to_owned())));
        }
    }

    #[test]
    fn the_command_line_is_stronger_than_the_config() {
        let facts = HostFacts { region: Some("eu-west-1".to_owned()), ..HostFacts::default() };
        let made = |choice: Choice| plan(&Config::default(), &choice, &facts).expect("a plan").plan;
        let usual = made(Choice::default());
        assert_eq!((usual.round_deadline, usual.family), (Duration::from_secs(10), Family::Any));
        assert_eq!(usual.limits.connect, Duration::from_secs(4));
        let short = made(Choice {
            round_deadline: Some(Duration::from_secs(5)),
            family: Some(Family::V6),
            ..Choice::default()
        });
        assert_eq!((short.round_deadline, short.family), (Duration::from_secs(5), Family::V6));
        assert_eq!(short.limits.connect, Duration::from_secs(2));
        let long = made(Choice { round_deadline: Some(Duration::from_mins(1)), ..Choice::default() });
        assert_eq!(long.limits, usual.limits);
    }
}
