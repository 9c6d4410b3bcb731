//! Links with their MTU, the link of the default route, own addresses, and the driver's allowance counters.

use std::{collections::BTreeSet, io, net::IpAddr};

use ipnet::IpNet;

use super::files::Root;
use crate::{
    model::host::{Allowances, Link},
    sys,
};

/// All links but loopback, by name.
pub(super) fn links(root: Root<'_>) -> Vec<Link> {
    root.names(LINKS)
        .into_iter()
        .filter(|name| name != LOOPBACK)
        .filter_map(|name| {
            let mtu = root.text(&format!("{LINKS}/{name}/mtu"))?.trim().parse().ok()?;
            Some(Link { name, mtu })
        })
        .collect()
}

/// The link of the default route: IPv4's, or IPv6's where IPv4 has none.
pub(super) fn default_link(root: Root<'_>, links: &[Link]) -> Option<Link> {
    let text = |path| root.bytes(path, MOST_ROUTES).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok();
    let name = text("/proc/net/route")
        .and_then(|table| default_v4(&table))
        .or_else(|| text("/proc/net/ipv6_route").and_then(|table| default_v6(&table)))?;
    links.iter().find(|link| link.name == name).cloned()
}

/// This host's own addresses; loopback and link-local ones are nobody's way out.
pub(super) fn own_addresses() -> Vec<IpNet> {
    let all: BTreeSet<IpNet> = match sys::interface_addresses() {
        Ok(all) => all.into_iter().map(|one| one.net).filter(|net| leads_out(net.addr())).collect(),
        Err(error) => {
            tracing::debug!(%error, "the interfaces' addresses cannot be read");
            BTreeSet::new()
        }
    };
    all.into_iter().collect()
}

/// The drivers that were found to know nothing of allowances: each look at a driver's counters copies all of their names
/// out of the kernel, and a link that had none of these gets none as long as the links stay what they are.
#[derive(Debug, Default)]
pub(super) struct Drivers {
    links: Vec<Link>,
    without: BTreeSet<String>,
}

impl Drivers {
    /// What the drivers say of the instance's allowances, over all links; `None` where no driver has these counters.
    pub(super) fn allowances(&mut self, links: &[Link]) -> Option<Allowances> {
        if self.links != links {
            self.without.clear();
            self.links = links.to_vec();
        }
        let mut sum = None;
        for link in links.iter().take(MOST_DRIVERS) {
            if self.without.contains(&link.name) {
                continue;
            }
            match allowances_of(link) {
                Ok(Some(one)) => {
                    let Allowances { linklocal, conntrack } = sum.unwrap_or(Allowances { linklocal: 0, conntrack: 0 });
                    sum = Some(Allowances {
                        linklocal: linklocal.saturating_add(one.linklocal),
                        conntrack: conntrack.saturating_add(one.conntrack),
                    });
                }
                Ok(None) => {
                    self.without.insert(link.name.clone());
                }
                // Nothing was learnt, and little was spent.
                Err(_) => {}
            }
        }
        sum
    }
}

fn allowances_of(link: &Link) -> io::Result<Option<Allowances>> {
    let counters = sys::driver_counters(&link.name)?;
    let value = |wanted| counters.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let (linklocal, conntrack) = (value(LINKLOCAL), value(CONNTRACK));
    Ok((linklocal.is_some() || conntrack.is_some())
        .then(|| Allowances { linklocal: linklocal.unwrap_or(0), conntrack: conntrack.unwrap_or(0) }))
}

fn leads_out(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, numbers in hexadecimal but the metric: the least metric wins.
fn default_v4(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let field: Vec<&str> = line.split_ascii_whitespace().collect();
        let (name, destination, mask) = (*field.first()?, *field.get(1)?, *field.get(7)?);
        let flags = u32::from_str_radix(field.get(3)?, 16).ok()?;
        let metric: u32 = field.get(6)?.parse().ok()?;
        (destination == "00000000" && mask == "00000000" && usable(name, flags)).then(|| (metric, name.to_owned()))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

/// `destination prefix source prefix next-hop metric refcnt use flags Iface`, all in hexadecimal.
fn default_v6(table: &str) -> Option<String> {
    let routes = table.lines().filter_map(|line| {
        let field: Vec<&str> = line.split_ascii_whitespace().collect();
        let (destination, prefix, name) = (*field.first()?, *field.get(1)?, *field.get(9)?);
        let metric = u32::from_str_radix(field.get(5)?, 16).ok()?;
        let flags = u32::from_str_radix(field.get(8)?, 16).ok()?;
        let default = prefix == "00" && destination.bytes().all(|digit| digit == b'0');
        (default && usable(name, flags)).then(|| (metric, name.to_owned()))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

fn usable(name: &str, flags: u32) -> bool {
    flags & UP != 0 && flags & REJECT == 0 && name != LOOPBACK
}

/// The folder with one entry a link.
pub(super) const LINKS: &str = "/sys/class/net";
const LOOPBACK: &str = "lo";
/// linux/route.h, `RTF_UP` and `RTF_REJECT`.
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;
/// A routing table of some thousand lines is read whole; a router's is not.
const MOST_ROUTES: u64 = 512 * 1024;
/// A host of containers has hundreds of virtual links, none of which has an allowance.
const MOST_DRIVERS: usize = 32;
const LINKLOCAL: &str = "linklocal_allowance_exceeded";
const CONNTRACK: &str = "conntrack_allowance_exceeded";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{default_v4, default_v6};

    const HEADER: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    #[test]
    fn the_default_route_with_the_least_metric_wins() {
        let check = |lines: &str, expected: Option<&str>| {
            assert_eq!(default_v4(&format!("{HEADER}{lines}")).as_deref(), expected, "{lines}");
        };
        check("", None);
        check("ens5\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n", Some("ens5"));
        check(
            "ens6\t00000000\t0100000A\t0003\t0\t0\t200\t00000000\t0\t0\t0\nens5\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
            Some("ens5"),
        );
        check("ens5\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", None);
        check("ens5\t00000000\t0100000A\t0000\t0\t0\t0\t00000000\t0\t0\t0\n", None);
        check("*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n", None);
    }

    #[test]
    fn the_ipv6_default_route_is_not_loopbacks_reject() {
        let zero = "0".repeat(32);
        let gateway = "fe80000000000000000000000000000a";
        let table = format!(
            "{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n\
             {zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 00000003     ens5\n"
        );
        assert_eq!(default_v6(&table).as_deref(), Some("ens5"));
        assert_eq!(
            default_v6(&format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n")),
            None
        );
    }

    proptest! {
        #[test]
        fn never_panics(table in "[ \t\n0-9a-z]{0,200}") {
            let _ = (default_v4(&table), default_v6(&table));
        }
    }
}
