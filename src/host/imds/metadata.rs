//! The items that are asked for, what each may look like, and the facts that they make together.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};

use crate::model::host::Role;

/// One item below `/latest/meta-data/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// `placement/region`.
    Region,
    /// `placement/availability-zone`.
    Zone,
    /// `placement/availability-zone-id`.
    ZoneId,
    /// `instance-id`.
    InstanceId,
    /// `services/domain`.
    Domain,
    /// `services/partition`.
    Partition,
    /// The name of the role; the credentials below it are never asked for.
    Role,
    /// The MAC address of the primary interface.
    PrimaryMac,
    /// The MAC addresses of all interfaces.
    Macs,
    /// A fact about one interface.
    Interface(String, Fact),
}

/// A fact about one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    DeviceNumber,
    VpcId,
    SubnetId,
    PrimaryVpcCidr,
    VpcCidrs,
    VpcIpv6Cidrs,
    SubnetCidr,
    SubnetIpv6Cidrs,
}

impl Item {
    /// Asked for at first; the interfaces follow when their addresses are known.
    pub(super) const FIRST: [Self; 9] = [
        Self::Region,
        Self::Macs,
        Self::PrimaryMac,
        Self::InstanceId,
        Self::Zone,
        Self::ZoneId,
        Self::Domain,
        Self::Partition,
        Self::Role,
    ];

    /// The items of the interface with this MAC address.
    pub(super) fn of_interface(mac: &str) -> impl Iterator<Item = Self> {
        let mac = mac.to_owned();
        Fact::ALL.into_iter().map(move |fact| Self::Interface(mac.clone(), fact))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> String {
        let path = match self {
            Self::Region => "placement/region",
            Self::Zone => "placement/availability-zone",
            Self::ZoneId => "placement/availability-zone-id",
            Self::InstanceId => "instance-id",
            Self::Domain => "services/domain",
            Self::Partition => "services/partition",
            Self::Role => "iam/security-credentials/",
            Self::PrimaryMac => "mac",
            Self::Macs => "network/interfaces/macs/",
            Self::Interface(mac, fact) => return format!("{ROOT}network/interfaces/macs/{mac}/{}", fact.name()),
        };
        format!("{ROOT}{path}")
    }

    /// The values in an answer's text; `None` when it is none that the metadata service would give for this item.
    pub(super) fn values(&self, text: &str) -> Option<Vec<String>> {
        let values: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
        let (most, sane): (usize, fn(&str) -> bool) = match self {
            Self::Region => (1, is_region),
            Self::Zone | Self::ZoneId | Self::Partition => (1, |text| made_of(text, b"-")),
            Self::InstanceId => (1, |text| made_of(text, b"-")),
            Self::Domain => (1, |text| made_of(text, b".-")),
            Self::Role => (1, |text| made_of(text, b"+=,.@_-")),
            Self::PrimaryMac => (1, is_mac),
            Self::Macs => (MOST_INTERFACES, |text| is_mac(text.trim_end_matches('/'))),
            Self::Interface(_, fact) => match fact {
                Fact::DeviceNumber | Fact::VpcId | Fact::SubnetId => (1, |text| made_of(text, b"-")),
                Fact::PrimaryVpcCidr | Fact::SubnetCidr => (1, |text| text.parse::<Ipv4Net>().is_ok()),
                Fact::VpcCidrs => (MOST_CIDRS, |text| text.parse::<Ipv4Net>().is_ok()),
                Fact::VpcIpv6Cidrs | Fact::SubnetIpv6Cidrs => (MOST_CIDRS, |text| text.parse::<IpNet>().is_ok()),
            },
        };
        // An item that is set and empty is like one that is not set: services answer 200 with nothing for some of them.
        (values.len() <= most && values.iter().all(|value| sane(value))).then_some(values)
    }
}

impl Fact {
    const ALL: [Self; 8] = [
        Self::DeviceNumber,
        Self::VpcId,
        Self::SubnetId,
        Self::PrimaryVpcCidr,
        Self::VpcCidrs,
        Self::VpcIpv6Cidrs,
        Self::SubnetCidr,
        Self::SubnetIpv6Cidrs,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::DeviceNumber => "device-number",
            Self::VpcId => "vpc-id",
            Self::SubnetId => "subnet-id",
            Self::PrimaryVpcCidr => "vpc-ipv4-cidr-block",
            Self::VpcCidrs => "vpc-ipv4-cidr-blocks",
            Self::VpcIpv6Cidrs => "vpc-ipv6-cidr-blocks",
            Self::SubnetCidr => "subnet-ipv4-cidr-block",
            Self::SubnetIpv6Cidrs => "subnet-ipv6-cidr-blocks",
        }
    }
}

/// Whether `text` may be a region: what is put into host names and paths must be harmless there.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// What IMDS said, put together.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(in crate::host) struct Metadata {
    pub(in crate::host) region: Option<String>,
    pub(in crate::host) partition: Option<String>,
    pub(in crate::host) domain: Option<String>,
    pub(in crate::host) instance_id: Option<String>,
    pub(in crate::host) availability_zone: Option<String>,
    pub(in crate::host) availability_zone_id: Option<String>,
    pub(in crate::host) role: Role,
    pub(in crate::host) vpc_id: Option<String>,
    pub(in crate::host) subnet_id: Option<String>,
    pub(in crate::host) subnet_cidrs: Vec<IpNet>,
    pub(in crate::host) vpc_cidrs: Vec<IpNet>,
    pub(in crate::host) primary_vpc_cidr: Option<Ipv4Net>,
}

/// What was answered so far: sane values, or none where the item is not set.
pub(super) type Answers = BTreeMap<Item, Vec<String>>;

impl Metadata {
    /// Each fact from here, or else from `before`.
    pub(in crate::host) fn or(self, before: Self) -> Self {
        let lists = |new: Vec<IpNet>, old: Vec<IpNet>| if new.is_empty() { old } else { new };
        Self {
            region: self.region.or(before.region),
            partition: self.partition.or(before.partition),
            domain: self.domain.or(before.domain),
            instance_id: self.instance_id.or(before.instance_id),
            availability_zone: self.availability_zone.or(before.availability_zone),
            availability_zone_id: self.availability_zone_id.or(before.availability_zone_id),
            role: if self.role == Role::Unknown { before.role } else { self.role },
            vpc_id: self.vpc_id.or(before.vpc_id),
            subnet_id: self.subnet_id.or(before.subnet_id),
            subnet_cidrs: lists(self.subnet_cidrs, before.subnet_cidrs),
            vpc_cidrs: lists(self.vpc_cidrs, before.vpc_cidrs),
            primary_vpc_cidr: self.primary_vpc_cidr.or(before.primary_vpc_cidr),
        }
    }

    /// The facts in the answers. Networks come from every interface of the primary interface's VPC; an interface in
    /// another VPC says nothing on this one, and would make foreign addresses look like own ones.
    pub(super) fn from_answers(answers: &Answers) -> Self {
        let one = |item: &Item| answers.get(item).and_then(|values| values.first()).cloned();
        let fact = |mac: &str, fact: Fact| answers.get(&Item::Interface(mac.to_owned(), fact));
        let first = |mac: &str, wanted: Fact| fact(mac, wanted).and_then(|values| values.first()).cloned();

        let macs = macs(answers);
        let primary = one(&Item::PrimaryMac)
            .or_else(|| macs.iter().find(|mac| first(mac, Fact::DeviceNumber).as_deref() == Some("0")).cloned())
            .or_else(|| macs.first().cloned())
            .unwrap_or_default();
        let vpc_id = first(&primary, Fact::VpcId);
        let same_vpc: Vec<&String> = std::iter::once(&primary)
            .chain(macs.iter().filter(|mac| **mac != primary && vpc_id.is_some() && first(mac, Fact::VpcId) == vpc_id))
            .collect();
        let nets = |facts: &[Fact]| {
            let mut nets: Vec<IpNet> = Vec::new();
            for wanted in facts {
                for text in same_vpc.iter().filter_map(|mac| fact(mac, *wanted)).flatten() {
                    let net = text.parse().map(|net: IpNet| net.trunc());
                    nets.extend(net.ok().filter(|net| !nets.contains(net)));
                }
            }
            nets
        };

        Self {
            region: one(&Item::Region),
            partition: one(&Item::Partition),
            domain: one(&Item::Domain),
            instance_id: one(&Item::InstanceId),
            availability_zone: one(&Item::Zone),
            availability_zone_id: one(&Item::ZoneId),
            role: match answers.get(&Item::Role).map(|values| values.first()) {
                Some(Some(name)) => Role::Name(name.clone()),
                Some(None) => Role::Missing,
                None => Role::Unknown,
            },
            subnet_id: first(&primary, Fact::SubnetId),
            subnet_cidrs: nets(&[Fact::SubnetCidr, Fact::SubnetIpv6Cidrs]),
            vpc_cidrs: nets(&[Fact::PrimaryVpcCidr, Fact::VpcCidrs, Fact::VpcIpv6Cidrs]),
            primary_vpc_cidr: first(&primary, Fact::PrimaryVpcCidr).and_then(|text| text.parse().ok()),
            vpc_id,
        }
    }
}

/// The MAC addresses that are listed, as they stand in paths.
pub(super) fn macs(answers: &Answers) -> Vec<String> {
    let listed = answers.get(&Item::Macs).map(Vec::as_slice).unwrap_or_default();
    listed.iter().map(|mac| mac.trim_end_matches('/').to_owned()).collect()
}

fn is_mac(text: &str) -> bool {
    text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
}

/// Letters, digits and these signs, not too long: a name, not a page.
fn made_of(text: &str, signs: &[u8]) -> bool {
    text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
}

/// The folder of everything that is asked for.
pub(super) const ROOT: &str = "/latest/meta-data/";
/// The largest instance has 60 interfaces over its network cards, nobody's monitor host has; each costs 8 requests.
const MOST_INTERFACES: usize = 64;
/// A VPC has at most 50 IPv4 blocks and 50 IPv6 blocks (Amazon VPC quotas, raised).
const MOST_CIDRS: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Answers, Fact, Item, Metadata};
    use crate::model::host::Role;

    #[test]
    fn values_are_checked() {
        let check = |item: &Item, text: &str, expected: Option<&[&str]>| {
            let found = item.values(text);
            let found = found.as_ref().map(|values| values.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{item:?} {text}");
        };
        check(&Item::Region, "eu-west-1\n", Some(&["eu-west-1"]));
        check(&Item::Region, "", Some(&[]));
        for bad in ["<html>", "EU-WEST-1", "eu_west_1", "eu-west-1 eu-west-2", "é", &"a".repeat(101)] {
            check(&Item::Region, bad, None);
        }
        check(
            &Item::Macs,
            "0a:1b:2c:3d:4e:5f/\n0a:1b:2c:3d:4e:60/",
            Some(&["0a:1b:2c:3d:4e:5f/", "0a:1b:2c:3d:4e:60/"]),
        );
        check(&Item::Macs, "../../", None);
        check(&Item::Role, "my-role_1@x", Some(&["my-role_1@x"]));
        check(
            &Item::Interface(String::new(), Fact::VpcCidrs),
            "10.0.0.0/16\n100.64.0.0/16",
            Some(&["10.0.0.0/16", "100.64.0.0/16"]),
        );
        check(&Item::Interface(String::new(), Fact::VpcCidrs), "10.0.0.0/33", None);
    }

    fn answers(lines: &[(Item, &[&str])]) -> Answers {
        lines.iter().map(|(item, values)| (item.clone(), values.iter().map(|v| (*v).to_owned()).collect())).collect()
    }

    fn interface(mac: &str, vpc: &str, cidrs: &str, subnet: &str) -> Vec<(Item, Vec<String>)> {
        let item =
            |fact, text: &str| (Item::Interface(mac.to_owned(), fact), text.split(' ').map(str::to_owned).collect());
        vec![
            item(Fact::VpcId, vpc),
            item(Fact::VpcCidrs, cidrs),
            item(Fact::SubnetCidr, subnet),
            item(Fact::SubnetId, &format!("subnet-{mac}")),
        ]
    }

    #[test]
    fn networks_come_from_all_interfaces_of_the_own_vpc_only() {
        let mut all = answers(&[(Item::PrimaryMac, &["0a:00"]), (Item::Macs, &["0b:00/", "0a:00/", "0c:00/"])]);
        all.extend(interface("0a:00", "vpc-1", "10.0.0.0/16 100.64.0.0/16", "10.0.1.0/24"));
        all.extend(interface("0b:00", "vpc-1", "10.0.0.0/16 100.64.0.0/16 10.9.0.0/16", "10.9.1.0/24"));
        all.extend(interface("0c:00", "vpc-2", "172.16.0.0/16", "172.16.1.0/24"));
        let found = Metadata::from_answers(&all);
        let texts = |nets: &[ipnet::IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&found.vpc_cidrs), ["10.0.0.0/16", "100.64.0.0/16", "10.9.0.0/16"]);
        assert_eq!(texts(&found.subnet_cidrs), ["10.0.1.0/24", "10.9.1.0/24"]);
        assert_eq!(found.subnet_id.as_deref(), Some("subnet-0a:00"));
        assert_eq!(found.vpc_id.as_deref(), Some("vpc-1"));
    }

    #[test]
    fn without_the_primarys_vpc_only_its_own_networks_count() {
        let mut all = answers(&[(Item::Macs, &["0b:00/", "0a:00/"])]);
        all.extend(answers(&[(Item::Interface("0a:00".to_owned(), Fact::DeviceNumber), &["0"])]));
        all.extend(interface("0b:00", "vpc-2", "172.16.0.0/16", "172.16.1.0/24"));
        all.extend(answers(&[(Item::Interface("0a:00".to_owned(), Fact::VpcCidrs), &["10.0.0.0/16"])]));
        let found = Metadata::from_answers(&all);
        assert_eq!(found.vpc_cidrs.len(), 1);
        assert_eq!(found.vpc_id, None);
    }

    #[test]
    fn a_role_is_named_missing_or_unknown() {
        let role = |values: Option<&[&str]>| {
            Metadata::from_answers(&values.map(|values| answers(&[(Item::Role, values)])).unwrap_or_default()).role
        };
        assert_eq!(role(Some(&["web"])), Role::Name("web".to_owned()));
        assert_eq!(role(Some(&[])), Role::Missing);
        assert_eq!(role(None), Role::Unknown);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            for item in Item::FIRST.into_iter().chain(Item::of_interface("0a:1b:2c:3d:4e:5f")) {
                if let Some(values) = item.values(&text) {
                    let _ = Metadata::from_answers(&Answers::from([(item, values)]));
                }
            }
        }
    }
}
