//! Who is asked for names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{
    config::{Dns, ResolverChoice},
    model::{
        host::{HostFacts, NameServer},
        plan::DnsPlan,
    },
};

/// The name servers of the round, and whether the VPC's is asked beside them.
pub(super) fn plan(config: &Dns, facts: &HostFacts) -> DnsPlan {
    let vpc = SocketAddr::new(vpc_resolver(facts), PORT);
    let server = |address| NameServer { address, behind: None };
    let servers: Vec<NameServer> = match &config.resolver {
        ResolverChoice::System => facts.name_servers.clone(),
        ResolverChoice::Vpc => vec![server(vpc)],
        ResolverChoice::Servers(list) => list.iter().map(|ip| server(SocketAddr::new(*ip, PORT))).collect(),
    };
    let asked_anyway = servers.iter().any(|server| is_vpc_resolver(server.address.ip(), facts));
    DnsPlan {
        servers,
        vpc: (config.compare_with_vpc && facts.on_ec2 && !asked_anyway).then_some(vpc),
        attempts: config.attempts,
        // Who names other servers wants their answer, not the file's.
        hosts_file: config.resolver == ResolverChoice::System,
    }
}

/// The VPC's resolver at the address that this host can reach (VPC User Guide, "Amazon DNS server").
fn vpc_resolver(facts: &HostFacts) -> IpAddr {
    let v6_only = facts.has_ipv6() && facts.addresses.iter().all(|net| net.addr().is_ipv6());
    if v6_only { IpAddr::V6(VPC_RESOLVER_V6) } else { IpAddr::V4(VPC_RESOLVER_V4) }
}

/// The resolver has three addresses: two link-local ones, and the primary CIDR's base plus two.
fn is_vpc_resolver(ip: IpAddr, facts: &HostFacts) -> bool {
    let plus_two = facts.primary_vpc_cidr.and_then(|cidr| u32::from(cidr.network()).checked_add(2)).map(Ipv4Addr::from);
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip == VPC_RESOLVER_V4 || Some(ip) == plus_two,
        IpAddr::V6(ip) => ip == VPC_RESOLVER_V6,
    }
}

const PORT: u16 = 53;
const VPC_RESOLVER_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
const VPC_RESOLVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253);

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::plan;
    use crate::{
        config::{Dns, ResolverChoice},
        model::host::{HostFacts, NameServer},
    };

    fn on_ec2(servers: &[&str], addresses: &[&str]) -> HostFacts {
        HostFacts {
            on_ec2: true,
            primary_vpc_cidr: Some("10.7.0.0/16".parse().expect("a CIDR")),
            addresses: addresses.iter().map(|net| net.parse().expect("a CIDR")).collect(),
            name_servers: servers
                .iter()
                .map(|ip| NameServer { address: SocketAddr::new(ip.parse().expect("an address"), 53), behind: None })
                .collect(),
            ..HostFacts::default()
        }
    }

    fn check(resolver: ResolverChoice, facts: &HostFacts, servers: &[&str], compared: Option<&str>, hosts_file: bool) {
        let planned = plan(&Dns { resolver, ..Dns::default() }, facts);
        let ips: Vec<String> = planned.servers.iter().map(|server| server.address.ip().to_string()).collect();
        assert_eq!(ips, servers);
        assert_eq!(planned.vpc.map(|address| address.ip().to_string()).as_deref(), compared, "{servers:?}");
        assert_eq!(planned.hosts_file, hosts_file);
        assert_eq!(planned.attempts, 4);
    }

    #[test]
    fn the_vpcs_resolver_is_asked_beside_a_foreign_one() {
        let v4 = ["10.7.1.5/24"];
        check(ResolverChoice::System, &on_ec2(&["10.9.0.2"], &v4), &["10.9.0.2"], Some("169.254.169.253"), true);
        for own in ["10.7.0.2", "169.254.169.253", "fd00:ec2::253", "::ffff:10.7.0.2"] {
            check(ResolverChoice::System, &on_ec2(&[own], &v4), &[own], None, true);
            check(ResolverChoice::System, &on_ec2(&["10.9.0.2", own], &v4), &["10.9.0.2", own], None, true);
        }
    }

    #[test]
    fn it_has_another_address_where_there_is_no_ipv4() {
        let facts = on_ec2(&["2600::53"], &["2600:1f18::5/128"]);
        check(ResolverChoice::System, &facts, &["2600::53"], Some("fd00:ec2::253"), true);
        check(ResolverChoice::Vpc, &facts, &["fd00:ec2::253"], None, false);
        let nothing_known = on_ec2(&[], &[]);
        check(ResolverChoice::Vpc, &nothing_known, &["169.254.169.253"], None, false);
    }

    #[test]
    fn a_list_is_taken_as_it_is_and_without_the_hosts_file() {
        let list = |ips: &[&str]| {
            ResolverChoice::Servers(ips.iter().map(|ip| ip.parse::<IpAddr>().expect("an address")).collect())
        };
        let facts = on_ec2(&["10.7.0.2"], &["10.7.1.5/24"]);
        check(list(&["10.0.0.2", "::1"]), &facts, &["10.0.0.2", "::1"], Some("169.254.169.253"), false);
        check(list(&["10.7.0.2"]), &facts, &["10.7.0.2"], None, false);
    }

    #[test]
    fn nothing_is_compared_elsewhere_or_on_request() {
        let facts = HostFacts { on_ec2: false, ..on_ec2(&["10.9.0.2"], &["10.7.1.5/24"]) };
        check(ResolverChoice::System, &facts, &["10.9.0.2"], None, true);
        let quiet = Dns { compare_with_vpc: false, ..Dns::default() };
        assert_eq!(plan(&quiet, &on_ec2(&["10.9.0.2"], &[])).vpc, None);
    }
}
