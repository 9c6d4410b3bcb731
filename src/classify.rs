//! Pure: where an address lies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::model::{
    observation::{Place, Subnet},
    plan::AddressRules,
    target::Target,
};

/// Where `address` lies for `target`, and whether that is this host's own subnet.
///
/// Membership is asked before anything else, because a VPC may own space that looks public (BYOIP), shared (RFC 6598) or
/// reserved (198.19.0.0/16); only addresses that no interface can have are bogus whatever the lists say. A v4-mapped
/// address and one of DNS64's well-known prefix (RFC 6052) are judged by the IPv4 address in them.
#[must_use]
pub fn classify(address: IpAddr, target: &Target, rules: &AddressRules) -> (Place, Option<Subnet>) {
    let address = effective(address);
    let place = place(address, target, rules);
    let subnet = match place {
        Place::OwnVpc => subnet(address, &rules.subnet_cidrs),
        Place::Allowed | Place::Private | Place::Gateway | Place::Public | Place::Bogus => None,
    };
    (place, subnet)
}

/// The address that packets to `address` really reach: the IPv4 one inside a v4-mapped or a DNS64 address, else itself.
#[must_use]
pub fn effective(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().or_else(|| dns64(v6)).map_or(address, IpAddr::V4),
    }
}

fn dns64(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

fn place(address: IpAddr, target: &Target, rules: &AddressRules) -> Place {
    if unassignable(address) {
        return Place::Bogus;
    }
    if within(address, &rules.vpc_cidrs) {
        return Place::OwnVpc;
    }
    if within(address, &rules.allowed_cidrs) || within(address, &target.allowed_cidrs) {
        return Place::Allowed;
    }
    if reserved(address) {
        return Place::Bogus;
    }
    if private(address) {
        return Place::Private;
    }
    if target.is_s3() && within(address, &rules.s3_prefixes) {
        return Place::Gateway;
    }
    Place::Public
}

/// `None` where no subnet of the address's family is known: then nothing can be said.
fn subnet(address: IpAddr, subnets: &[IpNet]) -> Option<Subnet> {
    if within(address, subnets) {
        return Some(Subnet::Own);
    }
    let known = subnets.iter().any(|net| net.addr().is_ipv4() == address.is_ipv4());
    known.then_some(Subnet::Other)
}

fn within(address: IpAddr, nets: &[IpNet]) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// No interface can have it: the classic answers of a sinkhole.
fn unassignable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
    }
}

/// Set aside by the IANA special-purpose registries (RFC 6890), so nobody's endpoint.
fn reserved(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_documentation() || reserved_v4(v4.octets()),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || reserved_v6(v6.segments()),
    }
}

/// "This network" (RFC 791), IETF protocol assignments (RFC 6890), the 6to4 relay (RFC 7526), benchmarking (RFC 2544;
/// 198.19/16 may be a VPC's, which membership has found before), class E (RFC 1112).
fn reserved_v4(octets: [u8; 4]) -> bool {
    matches!(octets, [0 | 240..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..])
}

/// Documentation (RFC 3849, RFC 9637), benchmarking (RFC 5180), ORCHID (RFC 4843, RFC 7343), discard-only (RFC 6666),
/// IPv4-compatible (RFC 4291), AWS's own link-local services (resolver, IMDS, NTP), site-local (RFC 3879).
fn reserved_v6(segments: [u16; 8]) -> bool {
    matches!(
        segments,
        [0x2001, 0xdb8 | 0x10..=0x2f, ..]
            | [0x3fff, 0..0x1000, ..]
            | [0x2001, 2, 0, ..]
            | [0x100, 0, 0, 0, ..]
            | [0, 0, 0, 0, 0, 0, ..]
            | [0xfd00, 0xec2, ..]
            | [0xfec0..=0xfeff, ..]
    )
}

/// RFC 1918, RFC 6598, RFC 4193.
fn private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use ipnet::IpNet;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::classify;
    use crate::model::{
        observation::{Place, Subnet},
        plan::AddressRules,
        target::{Expect, Target},
    };

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().expect("a CIDR")).collect()
    }

    fn target(service: &str) -> Target {
        Target {
            name: service.to_owned(),
            service: Some(service.to_owned()),
            host: format!("{service}.eu-west-1.amazonaws.com"),
            port: 443,
            required: true,
            expect: Expect::Private,
            path: "/".to_owned(),
            allowed_cidrs: nets(&["203.2.0.0/16"]),
        }
    }

    fn rules() -> AddressRules {
        AddressRules {
            vpc_cidrs: nets(&[
                "10.0.0.0/16",
                "100.64.0.0/16",
                "203.1.0.0/16",
                "198.19.0.0/16",
                "2600:1f18:1234:1a00::/56",
            ]),
            subnet_cidrs: nets(&["10.0.1.0/24", "2600:1f18:1234:1a00::/64"]),
            allowed_cidrs: nets(&["54.0.0.0/24", "2a05:d000::/32"]),
            s3_prefixes: nets(&["52.218.0.0/17"]),
        }
    }

    fn check(address: &str, service: &str, expected: (Place, Option<Subnet>)) {
        let parsed: IpAddr = address.parse().expect("an address");
        assert_eq!(classify(parsed, &target(service), &rules()), expected, "{address} for {service}");
    }

    #[test]
    fn membership_comes_first() {
        check("10.0.1.10", "ssm", (Place::OwnVpc, Some(Subnet::Own)));
        check("10.0.2.10", "ssm", (Place::OwnVpc, Some(Subnet::Other)));
        check("203.1.0.10", "ssm", (Place::OwnVpc, Some(Subnet::Other)));
        check("198.19.0.10", "ssm", (Place::OwnVpc, Some(Subnet::Other)));
        check("100.64.0.10", "ssm", (Place::OwnVpc, Some(Subnet::Other)));
        check("2600:1f18:1234:1a00::10", "ssm", (Place::OwnVpc, Some(Subnet::Own)));
        check("2600:1f18:1234:1a01::10", "ssm", (Place::OwnVpc, Some(Subnet::Other)));
        check("54.0.0.7", "ssm", (Place::Allowed, None));
        check("203.2.0.10", "ssm", (Place::Allowed, None));
        check("2a05:d000::1", "ssm", (Place::Allowed, None));
    }

    #[test]
    fn private_space_is_private_wherever_it_is() {
        for address in ["10.50.0.10", "172.16.0.1", "172.31.255.254", "192.168.7.7", "100.65.0.1", "fd12::1", "fc00::1"]
        {
            check(address, "ssm", (Place::Private, None));
        }
        for address in ["172.32.0.1", "100.128.0.1", "100.63.0.1", "2600:1f18:9999::1", "fe00::1"] {
            check(address, "ssm", (Place::Public, None));
        }
    }

    #[test]
    fn nobody_s_endpoint_is_bogus() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "240.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "::",
            "::1",
            "::127.0.0.1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "100::1",
            "fd00:ec2::253",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::",
        ] {
            check(address, "ssm", (Place::Bogus, None));
        }
        check("3fff:1000::1", "ssm", (Place::Public, None));
    }

    #[test]
    fn an_embedded_ipv4_address_is_the_one_that_counts() {
        check("::ffff:10.0.1.10", "ssm", (Place::OwnVpc, Some(Subnet::Own)));
        check("64:ff9b::a00:20a", "ssm", (Place::OwnVpc, Some(Subnet::Other)));
        check("64:ff9b::342e:a", "ssm", (Place::Public, None));
        check("64:ff9b:1::a00:10a", "ssm", (Place::Public, None));
    }

    #[test]
    fn s3_prefixes_count_for_s3_only() {
        check("52.218.10.10", "s3", (Place::Gateway, None));
        check("52.218.10.10", "ssm", (Place::Public, None));
        check("52.218.200.10", "s3", (Place::Public, None));
    }

    #[test]
    fn an_unknown_subnet_says_nothing() {
        let rules = AddressRules { subnet_cidrs: nets(&["10.0.1.0/24"]), ..rules() };
        let v6: IpAddr = "2600:1f18:1234:1a01::10".parse().expect("an address");
        assert_eq!(classify(v6, &target("ssm"), &rules), (Place::OwnVpc, None));
    }

    proptest! {
        #[test]
        fn mapped_and_dns64_are_judged_as_their_ipv4(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            let plain = classify(IpAddr::V4(v4), &target("s3"), &rules());
            let [a, b, c, d] = v4.octets();
            let dns64 = Ipv6Addr::from([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]);
            prop_assert_eq!(classify(IpAddr::V6(v4.to_ipv6_mapped()), &target("s3"), &rules()), plain);
            prop_assert_eq!(classify(IpAddr::V6(dns64), &target("s3"), &rules()), plain);
        }

        #[test]
        fn a_subnet_is_named_only_inside_the_own_vpc(bits in any::<u128>(), v4 in any::<bool>()) {
            #[expect(clippy::cast_possible_truncation, reason = "any 32 of the random bits do")]
            let address = if v4 { IpAddr::V4(Ipv4Addr::from(bits as u32)) } else { IpAddr::V6(Ipv6Addr::from(bits)) };
            let (place, subnet) = classify(address, &target("s3"), &rules());
            prop_assert!(subnet.is_none() || place == Place::OwnVpc);
        }

        #[test]
        fn every_address_of_a_vpc_cidr_is_its_own(host in any::<u16>()) {
            let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | u32::from(host)));
            prop_assert_eq!(classify(address, &target("ssm"), &rules()).0, Place::OwnVpc);
        }

        #[test]
        fn global_ipv6_is_never_private_by_its_looks(bits in any::<u128>()) {
            let v6 = Ipv6Addr::from((bits & (u128::MAX >> 3)) | (1 << 125));
            prop_assert!(classify(IpAddr::V6(v6), &target("ssm"), &AddressRules::default()).0 != Place::Private);
        }
    }
}
