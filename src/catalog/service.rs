//! Service codes of `com.amazonaws.REGION.CODE`, and the host names that answer for them.

use super::{
    codes::{
        DUAL_STACK_ONLY, FIPS_US, FIPS_US_AND_CANADA, FIPS_US_AND_CENTRAL_CANADA, GOV_WITHOUT_LABEL, HAS_FIPS_ENDPOINT,
        PLAIN,
    },
    partition::Partition,
    spelling::{self, Own},
};

/// Which of a service's host names is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Spelling {
    /// The one that clients use unless told otherwise.
    #[default]
    Ordinary,
    /// With validated cryptography (FIPS 140).
    Fips,
    /// With IPv6 beside IPv4.
    DualStack,
    /// Both.
    FipsDualStack,
}

impl Spelling {
    /// Every spelling.
    pub const ALL: &'static [Self] = &[Self::Ordinary, Self::Fips, Self::DualStack, Self::FipsDualStack];

    /// Whether it is a FIPS name.
    #[must_use]
    pub const fn is_fips(self) -> bool {
        matches!(self, Self::Fips | Self::FipsDualStack)
    }

    /// Whether it is a dual-stack name.
    #[must_use]
    pub const fn is_dual_stack(self) -> bool {
        matches!(self, Self::DualStack | Self::FipsDualStack)
    }
}

/// What a host name is built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The region, a valid label of a host name.
    pub region: &'a str,
    /// Its partition.
    pub partition: &'static Partition,
    /// The suffix of ordinary names: the partition's, or what IMDS or the operator says.
    pub dns_suffix: &'a str,
}

/// Why a name may not exist although it is spelt by AWS's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// AWS publishes no FIPS name for the service in this region that this version knows; the rule's name is given.
    FipsUnlisted,
    /// AWS has no rule for the service's FIPS name here; the ordinary name is given.
    NoFipsName,
    /// AWS does not publish the service's dual-stack name; the rule's name is given.
    DualStackUnlisted,
    /// AWS has no rule for the service's dual-stack name; the ordinary name is given.
    NoDualStackName,
}

/// A service's host in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host name, without a trailing dot.
    pub host: String,
    /// The TCP port on which it speaks TLS from the first byte.
    pub port: u16,
    /// What speaks against the name, worst first; empty for ordinary names.
    pub doubts: Vec<Doubt>,
}

/// Whether a host name can be built for the code.
#[must_use]
pub fn known(code: &str) -> bool {
    family(code).is_some()
}

/// Every code for which a host name can be built, in no particular order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    words(PLAIN).chain(words(DUAL_STACK_ONLY)).chain(spelling::OWN.iter().map(|own| own.code))
}

/// The host of a service; `None` for a code that is not [`known`].
#[must_use]
pub fn endpoint(code: &str, place: &Place<'_>, wanted: Spelling) -> Option<Endpoint> {
    let family = family(code)?;
    // `kms-fips` is an endpoint service of its own, and what it serves is the FIPS name of `kms`.
    let wanted = if family.fips_endpoint { with_fips(wanted) } else { wanted };
    let (template, doubts) = template(&family, place, wanted);
    let host = template
        .replace("{r}", place.region)
        .replace("{s}", place.dns_suffix)
        .replace("{d}", place.partition.dual_stack_suffix);
    Some(Endpoint { host, port: family.own.map_or(HTTPS, |own| own.port), doubts })
}

/// Whether the service speaks HTTP, so that an HTTP question makes sense.
#[must_use]
pub fn speaks_http(code: &str) -> bool {
    family(code).and_then(|family| family.own).is_none_or(|own| own.port == HTTPS)
}

/// Why no host name can be built for a code that does exist, with the form of the host to give.
#[must_use]
pub fn many_hosts(code: &str) -> Option<&'static str> {
    MANY_HOSTS.iter().find(|(known, _)| *known == code).map(|(_, form)| *form)
}

/// Whether the region serves `ec2messages`: only those launched before 2024 do (Systems Manager User Guide,
/// "Reference: ec2messages, ssmmessages, and other API operations").
#[must_use]
pub fn has_ec2messages(region: &str) -> bool {
    lists(EC2MESSAGES, region)
}

/// A code taken apart.
#[derive(Clone, Copy)]
struct Family<'a> {
    /// The code without `-fips`.
    code: &'a str,
    /// Its labels, where they are not the code itself.
    own: Option<&'static Own>,
    /// Whether the code ended in `-fips`.
    fips_endpoint: bool,
}

fn family(code: &str) -> Option<Family<'_>> {
    if let Some(own) = spelling::OWN.iter().find(|own| own.code == code) {
        return Some(Family { code, own: Some(own), fips_endpoint: false });
    }
    if lists(PLAIN, code) || lists(DUAL_STACK_ONLY, code) {
        return Some(Family { code, own: None, fips_endpoint: false });
    }
    let base = code.strip_suffix("-fips")?;
    let own = spelling::OWN.iter().find(|own| own.code == base);
    let served = own.is_some_and(|own| own.fips.is_some()) || lists(HAS_FIPS_ENDPOINT, base);
    served.then_some(Family { code: base, own, fips_endpoint: true })
}

fn with_fips(spelling: Spelling) -> Spelling {
    if spelling.is_dual_stack() { Spelling::FipsDualStack } else { Spelling::Fips }
}

/// The template of the name, with `{r}` for the region, `{s}` and `{d}` for the ordinary and the dual-stack suffix.
fn template(family: &Family<'_>, place: &Place<'_>, wanted: Spelling) -> (String, Vec<Doubt>) {
    let mut doubts = doubts(family, place, wanted);
    // Without a FIPS name, the dual-stack one is still what was asked for; without both, the ordinary one is left.
    let mut spelling = wanted;
    if doubts.contains(&Doubt::NoFipsName) {
        spelling = if spelling.is_dual_stack() { Spelling::DualStack } else { Spelling::Ordinary };
    }
    if doubts.contains(&Doubt::NoDualStackName) {
        spelling = if spelling.is_fips() { Spelling::Fips } else { Spelling::Ordinary };
    }
    doubts.sort_unstable();
    if let Some(exception) = spelling::exception(family.code, place, spelling) {
        return (exception.to_owned(), doubts);
    }
    if spelling == Spelling::Fips && in_govcloud(place) && lists(GOV_WITHOUT_LABEL, family.code) {
        return (format!("{}.{{r}}.{{s}}", family.code), doubts);
    }
    let label = match (spelling, family.own) {
        (Spelling::Ordinary | Spelling::DualStack, None) => family.code.to_owned(),
        (Spelling::Fips | Spelling::FipsDualStack, None) => format!("{}-fips", family.code),
        (Spelling::Ordinary, Some(own)) => own.ordinary.to_owned(),
        (Spelling::Fips, Some(own)) => own.fips.unwrap_or(own.ordinary).to_owned(),
        (Spelling::DualStack, Some(own)) => own.dual_stack.unwrap_or(own.ordinary).to_owned(),
        (Spelling::FipsDualStack, Some(own)) => own.fips_dual_stack.unwrap_or(own.ordinary).to_owned(),
    };
    let new_suffix = spelling.is_dual_stack() || lists(DUAL_STACK_ONLY, family.code);
    (format!("{label}.{{r}}.{}", if new_suffix { "{d}" } else { "{s}" }), doubts)
}

fn doubts(family: &Family<'_>, place: &Place<'_>, wanted: Spelling) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let lacks = |label: fn(&Own) -> Option<&'static str>| family.own.is_some_and(|own| label(own).is_none());
    if wanted.is_fips() {
        let message_service = MESSAGE_SERVICES.contains(&family.code);
        let no_rule = lacks(|own| own.fips)
            || (message_service && !MESSAGE_SERVICES_FIPS.contains(&place.region))
            // S3's rules refuse FIPS in China; no other partition does.
            || (family.code == "s3" && place.partition.name == "aws-cn");
        if no_rule {
            doubts.push(Doubt::NoFipsName);
        } else if !message_service && !lists_fips(family.code, place) {
            doubts.push(Doubt::FipsUnlisted);
        }
    }
    if wanted.is_dual_stack() {
        if lacks(|own| own.dual_stack) || (wanted.is_fips() && lacks(|own| own.fips_dual_stack)) {
            doubts.push(Doubt::NoDualStackName);
        } else if !DUAL_STACK_LISTED.contains(&family.code) && !lists(DUAL_STACK_ONLY, family.code) {
            doubts.push(Doubt::DualStackUnlisted);
        }
    }
    doubts
}

/// Whether AWS's endpoint data list a FIPS name of the service for the region.
fn lists_fips(code: &str, place: &Place<'_>) -> bool {
    let region = place.region;
    let us = US.contains(&region);
    let listed = |list: &'static str| lists(list, code);
    match place.partition.name {
        "aws" if code == "kms" => !matches!(region, "ap-east-2" | "ap-southeast-6") && place.partition.knows(region),
        "aws" => {
            (us && listed(FIPS_US))
                || ((us || region == "ca-central-1") && listed(FIPS_US_AND_CENTRAL_CANADA))
                || ((us || CANADA.contains(&region)) && listed(FIPS_US_AND_CANADA))
        }
        "aws-us-gov" => {
            listed(GOV_WITHOUT_LABEL)
                || listed(FIPS_US)
                || listed(FIPS_US_AND_CENTRAL_CANADA)
                || listed(FIPS_US_AND_CANADA)
                || code == "kms"
        }
        "aws-iso" => matches!(code, "kms" | "s3" | "secretsmanager"),
        "aws-iso-b" => region == "us-isob-east-1" && matches!(code, "kms" | "s3" | "secretsmanager"),
        "aws-iso-e" | "aws-iso-f" => code == "kms",
        _ => false,
    }
}

fn in_govcloud(place: &Place<'_>) -> bool {
    place.partition.name == "aws-us-gov"
}

/// Whether `word` is one of the words of `list`. The daemon asks for each target in each round: comparing word by word
/// takes ten times as long as a search.
fn lists(list: &'static str, word: &str) -> bool {
    let is_free = |c: Option<char>| c.is_none_or(|c| c.is_ascii_whitespace());
    list.match_indices(word).any(|(at, found)| {
        let (before, rest) = list.split_at(at);
        let after = rest.get(found.len()..).unwrap_or_default();
        !found.is_empty() && is_free(before.chars().next_back()) && is_free(after.chars().next())
    })
}

fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split_ascii_whitespace()
}

const HTTPS: u16 = 443;

const US: &[&str] = &["us-east-1", "us-east-2", "us-west-1", "us-west-2"];
const CANADA: &[&str] = &["ca-central-1", "ca-west-1"];

/// In no SDK's data; the agent builds their names itself.
const MESSAGE_SERVICES: &[&str] = &["ssmmessages", "ec2messages"];

/// Where their FIPS names exist (Systems Manager User Guide, "Configuring SSM Agent for use with FIPS").
const MESSAGE_SERVICES_FIPS: &[&str] = &["us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-west-1"];

/// Services whose dual-stack names AWS's endpoint data or guides list for most regions.
const DUAL_STACK_LISTED: &[&str] = &[
    "athena",
    "ec2",
    "ecr.api",
    "events",
    "glue",
    "kinesis-firehose",
    "lambda",
    "logs",
    "monitoring",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
    "synthetics",
];

/// Codes that stand for many hosts, with the form of one.
const MANY_HOSTS: &[(&str, &str)] = &[
    ("codeartifact.repositories", "DOMAIN-ACCOUNT.d.codeartifact.REGION.amazonaws.com"),
    ("ecr.dkr", "ACCOUNT.dkr.ecr.REGION.amazonaws.com"),
    ("execute-api", "API.execute-api.REGION.amazonaws.com"),
    ("iot.credentials", "PREFIX.credentials.iot.REGION.amazonaws.com"),
    ("iot.data", "PREFIX-ats.iot.REGION.amazonaws.com"),
    ("lambda-url", "ID.lambda-url.REGION.on.aws"),
];

/// Regions launched before 2024. An allow-list: whatever comes later does not have the service.
const EC2MESSAGES: &str = "\
    af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 \
    ap-southeast-2 ap-southeast-3 ap-southeast-4 ca-central-1 ca-west-1 cn-north-1 cn-northwest-1 eu-central-1 \
    eu-central-2 eu-isoe-west-1 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 \
    me-central-1 me-south-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-iso-east-1 us-iso-west-1 \
    us-isob-east-1 us-west-1 us-west-2";
