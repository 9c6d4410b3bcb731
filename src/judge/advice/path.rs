//! Steps for what the path does to large packets: black holes, and firewalls that mishandle a large `ClientHello`.

use std::net::IpAddr;

use super::from_table;
use crate::{
    judge::{
        hole::Hole,
        scene::{Judged, Scene, TargetView},
        words::{bytes, shown},
    },
    model::{observation::Subnet, verdict::Problem},
};

/// A hole on the way to one target, or to some of its addresses.
pub(super) fn hole(scene: &Scene<'_>, view: &TargetView<'_>, problem: &Problem) -> Vec<String> {
    let holes: Vec<(IpAddr, Hole)> =
        view.used().filter_map(|seen| Some((shown(seen.address()), Hole::of_dead(seen)?))).collect();
    let is_told = |address: &IpAddr| problem.address.is_some_and(|told| shown(told) == *address);
    let told = holes.iter().find(|(address, _)| is_told(address)).or(holes.first());
    let Some((_, mut hole)) = told.copied() else { return Vec::new() };
    // The routes get the size that passes on the way to all that are alike; another hole has its own.
    let mut addresses = Vec::new();
    for (address, other) in holes {
        if hole.is_like(&other) {
            hole = hole.meet(&other);
            addresses.push(address);
        }
    }
    let commands = hole.size().map(|size| {
        let routes = addresses.iter().take(MOST_ROUTES).map(|address| {
            let six = if address.is_ipv4() { "" } else { "-6 " };
            let size = usable(size, *address);
            format!("sudo ip {six}route replace $(ip -o route get {address} | sed 's/ src.*//') mtu {size}")
        });
        routes.collect::<Vec<_>>().join("; ")
    });
    let records = scene.targets.iter().flat_map(|judged| judged.view.used());
    let wider = records.filter_map(|seen| seen.record.mtu.as_ref()).any(|record| hole.is_passed_by(record));
    let place = if wider {
        "Larger packets pass elsewhere. On this path's VPN, firewall or transit gateway appliance"
    } else {
        DEVICE
    };
    steps(scene, &hole, &addresses, commands, place)
}

/// One hole on the way to several targets.
pub(in crate::judge) fn shared_hole(scene: &Scene<'_>, targets: &[&Judged<'_>], hole: &Hole) -> Vec<String> {
    let dead = || targets.iter().flat_map(|judged| judged.view.used()).filter(|seen| Hole::of_dead(seen).is_some());
    let addresses: Vec<IpAddr> = dead().map(|seen| shown(seen.address())).collect();
    // The default route is not the way to the own subnet.
    let near = dead().any(|seen| seen.record.subnet == Some(Subnet::Own));
    let link = scene.host.link.as_ref().map(|link| link.name.as_str()).filter(|_| near).filter(|name| is_name(name));
    let commands = hole.size().map(|size| {
        if let Some(link) = link {
            let six = addresses.iter().find(|address| address.is_ipv6()).or(addresses.first());
            return format!("sudo ip link set dev {link} mtu {}", six.map_or(size, |address| usable(size, *address)));
        }
        let families = [("", true), ("-6 ", false)].into_iter().filter_map(|(six, four)| {
            let address = addresses.iter().find(|address| address.is_ipv4() == four)?;
            let size = usable(size, *address);
            Some(format!("sudo ip {six}route replace $(ip {six}-o route show default) mtu {size}"))
        });
        families.collect::<Vec<_>>().join("; ")
    });
    steps(scene, hole, &addresses, commands, DEVICE)
}

/// The steps with this round's numbers, each as short as it can be: all of them should fit one screen.
fn steps(scene: &Scene<'_>, hole: &Hole, addresses: &[IpAddr], commands: Option<String>, place: &str) -> Vec<String> {
    let (Some(commands), Some(size)) = (commands, hole.size()) else {
        // Without a size that is known to pass there is nothing to fill in.
        return from_table(scene, hole.cause());
    };
    let (four, six) = (addresses.iter().any(IpAddr::is_ipv4), addresses.iter().any(IpAddr::is_ipv6));
    let [v4, v6] = [IPV4, IPV6].map(|headers| size.saturating_sub(headers));
    let mss = if six { v6 } else { v4 };
    let enough = if four && six { format!(" ({v4} for IPv4 alone)") } else { String::new() };
    let icmp = match (four, six) {
        (true, true) => "ICMP type 3 code 4 and ICMPv6 type 2",
        (_, false) => "ICMP type 3 code 4",
        (false, true) => "ICMPv6 type 2 (Packet Too Big)",
    };
    let whom = if hole.is_inbound() { "both ends" } else { "this host" };
    let limit = bytes(ENDPOINT);
    vec![
        format!("On this host, for now (its announced MSS falls too: it helps both ways): {commands}"),
        format!(
            "{place} with the small MTU, clamp the MSS to {mss}{enough}, both ways: nft add rule inet filter forward tcp \
             flags syn tcp option maxseg size set {mss}"
        ),
        format!("Allow {icmp} to {whom} in security groups, NACLs, firewalls."),
        if hole.may_begin_above(ENDPOINT) {
            format!("{limit} bytes is a VPC endpoint's own limit: something undoes its MSS clamp.")
        } else {
            format!("A VPC endpoint passes {limit} bytes and drops larger ones without ICMP.")
        },
    ]
}

/// A firewall on the path that does not get along with a `ClientHello` in two segments.
pub(in crate::judge) fn large_hello(scene: &Scene<'_>) -> Vec<String> {
    let unit = scene.host.agent.unit.as_deref().filter(|unit| is_name(unit)).unwrap_or("amazon-ssm-agent.service");
    vec![
        format!(
            "For the SSM agent, for now: printf '[Service]\\nEnvironment=GODEBUG=tlsmlkem=0,tlskyber=0\\n' | sudo install \
             -Dm644 /dev/stdin /etc/systemd/system/{unit}.d/hello.conf; sudo systemctl daemon-reload; sudo systemctl \
             restart {unit}"
        ),
        "Update the firewall (it must reassemble TCP first), or exempt these names.".to_owned(),
        "It breaks amazon-ssm-agent 3.3.2299 and later, Go 1.23 and later, AWS SDKs.".to_owned(),
    ]
}

/// IPv6 has no links of less than 1,280 bytes (RFC 8200 §5), and the kernel takes no smaller MTU for it.
fn usable(size: u32, address: IpAddr) -> u32 {
    if address.is_ipv4() { size } else { size.max(1280) }
}

/// Whether the text is fit for a command: the name of a link or a unit, with nothing that a shell would obey.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-@:".contains(c))
}

/// Who can clamp.
const DEVICE: &str = "On the VPN, firewall or transit gateway appliance";
/// What a VPC endpoint passes (AWS `PrivateLink` guide, "MTU considerations"), in bytes.
const ENDPOINT: u32 = 8500;
/// The headers of IP and TCP without options, which is what an MSS leaves out of the packet (RFC 6691).
const IPV4: u32 = 40;
/// As [`IPV4`].
const IPV6: u32 = 60;
/// An endpoint has one address in each zone and family; more routes than that nobody types.
const MOST_ROUTES: usize = 4;
