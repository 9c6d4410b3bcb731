//! resolv.conf(5): the name servers that clients on this host use, and the search domains.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use super::files::Root;
use crate::model::host::NameServer;

/// A resolv.conf, read as glibc reads it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ResolvConf {
    /// The name servers, in order. Never empty after [`parse`]: glibc falls back to 127.0.0.1.
    pub name_servers: Vec<Listed>,
    /// The domains of the last `search` or `domain` line.
    pub search: Vec<String>,
    /// The words of all `options` lines.
    pub options: Vec<String>,
}

/// One `nameserver` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The address.
    pub address: IpAddr,
    /// The zone after `%`, for a link-local IPv6 address: an interface's name or number.
    pub zone: Option<String>,
}

/// Reads the text of a resolv.conf. What glibc passes over is passed over.
///
/// Only the first three servers count (`MAXNS`): neither glibc nor Go ever asks a fourth, so a dead fourth one harms nobody
/// and a live one helps nobody.
#[must_use]
pub fn parse(text: &[u8]) -> ResolvConf {
    let mut conf = listed(text);
    conf.name_servers.truncate(MOST_SERVERS);
    if conf.name_servers.is_empty() {
        conf.name_servers.push(Listed { address: IpAddr::V4(Ipv4Addr::LOCALHOST), zone: None });
    }
    conf
}

/// The name servers and search domains of the host under `root`. Programs ask those of resolv.conf; the servers behind
/// systemd-resolved's stub come last, to be measured beside it: a dead one stalls the stub, and a dead stub stops every
/// program however well they are.
pub(super) fn read(root: Root<'_>) -> (Vec<NameServer>, Vec<String>) {
    let conf = parse(&root.bytes(RESOLV_CONF, super::files::SMALL).unwrap_or_default());
    let mut servers = Vec::new();
    let mut behind = Vec::new();
    for server in conf.name_servers {
        if STUBS.contains(&server.address) {
            behind.extend(upstreams(root, server.address));
        }
        servers.push(NameServer { address: socket_address(root, &server), behind: None });
    }
    servers.extend(behind);
    (servers, conf.search)
}

/// The servers that systemd-resolved forwards to; empty where it does not say. More than three: it asks them all.
fn upstreams(root: Root<'_>, stub: IpAddr) -> Vec<NameServer> {
    let Ok(text) = root.bytes(RESOLVED_CONF, super::files::SMALL) else { return Vec::new() };
    listed(&text)
        .name_servers
        .iter()
        .filter(|server| !STUBS.contains(&server.address))
        .take(MOST_UPSTREAMS)
        .map(|server| NameServer { address: socket_address(root, server), behind: Some(stub) })
        .collect()
}

/// Everything that the text lists, without limit and fall-back.
fn listed(text: &[u8]) -> ResolvConf {
    let text = String::from_utf8_lossy(text);
    let mut conf = ResolvConf::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => conf.name_servers.extend(words.next().and_then(|word| server(&word))),
            Some("search") => conf.search = words.take(MOST_DOMAINS).collect(),
            Some("domain") => conf.search = words.take(1).collect(),
            Some("options") => conf.options.extend(words.take(MOST_DOMAINS)),
            Some(_) | None => {}
        }
    }
    conf
}

fn server(word: &str) -> Option<Listed> {
    let (address, zone) = match word.split_once('%') {
        Some((address, zone)) => (address, Some(zone.to_owned())),
        None => (word, None),
    };
    Some(Listed { address: address.parse().ok()?, zone })
}

/// The address with port 53 and, where a zone is named, the number of that interface.
fn socket_address(root: Root<'_>, server: &Listed) -> SocketAddr {
    match (server.address, &server.zone) {
        (IpAddr::V6(address), Some(zone)) => {
            let number = zone.parse().ok().or_else(|| {
                let known = root.names(super::link::LINKS).contains(zone);
                let index = known.then(|| root.text(&format!("{}/{zone}/ifindex", super::link::LINKS))).flatten();
                index?.trim().parse().ok()
            });
            SocketAddrV6::new(address, DNS, 0, number.unwrap_or(0)).into()
        }
        (address, _) => SocketAddr::new(address, DNS),
    }
}

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// What systemd-resolved writes for those who want to pass its stub by.
const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";
/// systemd-resolved's stub, and the one that does not validate.
const STUBS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];
const DNS: u16 = 53;
/// glibc's `MAXNS`.
const MOST_SERVERS: usize = 3;
const MOST_UPSTREAMS: usize = 8;
const MOST_DOMAINS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MOST_SERVERS, parse};

    fn check(text: &str, servers: &[&str], search: &[&str]) {
        let conf = parse(text.as_bytes());
        let found: Vec<String> = conf
            .name_servers
            .iter()
            .map(|s| s.zone.as_ref().map_or(s.address.to_string(), |zone| format!("{}%{zone}", s.address)))
            .collect();
        assert_eq!(found, servers, "{text}");
        assert_eq!(conf.search, search, "{text}");
    }

    #[test]
    fn reads_what_clients_read() {
        check(
            "nameserver 10.0.0.2\nsearch eu-west-1.compute.internal\n",
            &["10.0.0.2"],
            &["eu-west-1.compute.internal"],
        );
        check("", &["127.0.0.1"], &[]);
        check("nameserver\nnameserver nonsense\nnameserver 1.2.3\n", &["127.0.0.1"], &[]);
        check(
            "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4",
            &["1.1.1.1", "2.2.2.2", "3.3.3.3"],
            &[],
        );
        check(
            "nameserver fd00:ec2::253 # the VPC's\nnameserver fe80::1%eth0\n",
            &["fd00:ec2::253", "fe80::1%eth0"],
            &[],
        );
        check(
            "# nameserver 9.9.9.9\n;nameserver 9.9.9.9\nnameservers 9.9.9.9\nnameserver\t10.0.0.2\r\n",
            &["10.0.0.2"],
            &[],
        );
        check("domain a.example\nsearch b.example c.example\n", &["127.0.0.1"], &["b.example", "c.example"]);
        check("search b.example c.example\ndomain a.example\n", &["127.0.0.1"], &["a.example"]);
    }

    #[test]
    fn collects_options() {
        assert_eq!(parse(b"options ndots:2 rotate\noptions edns0").options, ["ndots:2", "rotate", "edns0"]);
    }

    proptest! {
        #[test]
        fn never_panics_and_never_leaves_a_host_without_a_server(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let servers = parse(&text).name_servers.len();
            prop_assert!((1..=MOST_SERVERS).contains(&servers));
        }

        #[test]
        fn survives_lines_that_are_almost_right(text in "((nameserver|search|domain|options|#|;)[ \t%:.0-9a-f]{0,20}\n){0,8}") {
            let servers = parse(text.as_bytes()).name_servers.len();
            prop_assert!((1..=MOST_SERVERS).contains(&servers));
        }
    }
}
