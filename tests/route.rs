//! The kernel's routes as the kernel really gives them: a client, a router with a narrow link behind it, a server, each a
//! network namespace. Needs root, iproute2 and util-linux.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV6, TcpListener},
    os::fd::AsFd,
    panic,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    net::netdevice::name_to_index,
    process::{Gid, Uid},
    thread::{LinkNameSpaceType, move_into_link_name_space, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::Instant;
use vpce_probe::sys::{Route, RouteMtu, route_to};

const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);
const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 2);
const SERVERS: [IpAddr; 2] = [IpAddr::V4(SERVER_V4), IpAddr::V6(SERVER_V6)];
/// Behind the router as well; nobody is there.
const NEIGHBOURS: [&str; 2] = ["10.0.2.3", "fd00:2::3"];
/// Whatever has not happened by then will not.
const PATIENCE: Duration = Duration::from_secs(10);

/// A network namespace without a name: it lives as long as its keeper, and that reads from a pipe of ours. So it goes
/// however this process ends.
struct Space {
    keeper: Child,
}

impl Space {
    fn new() -> Self {
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) of util-linux");
        let mut up = [0; 3];
        let said = keeper.stdout.as_mut().expect("piped").read_exact(&mut up);
        // Owned from here on: a failure ends the keeper, too.
        let space = Self { keeper };
        said.expect("a namespace of one's own: this test needs root");
        space
    }

    /// Does `work` in a thread that lives in this namespace; sockets that it makes stay there.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.keeper.id())).expect("the keeper lives");
        let moved = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
            work()
        };
        thread::scope(|scope| scope.spawn(moved).join()).unwrap_or_else(|problem| panic::resume_unwind(problem))
    }

    /// Runs ip(8) and returns what it printed.
    fn ip(&self, arguments: &str) -> String {
        let done =
            self.inside(|| Command::new("ip").args(arguments.split_whitespace()).output()).expect("ip(8) of iproute2");
        assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Sets net.* values, which are those of the namespace of whoever writes them.
    fn set(&self, values: &[(&str, &str)]) {
        self.inside(|| {
            for (name, value) in values {
                fs::write(format!("/proc/sys/net/{name}"), value).expect(name);
            }
        });
    }

    fn route(&self, destination: &str) -> io::Result<Route> {
        self.route_to(destination.parse().expect("an address"))
    }

    fn route_to(&self, destination: IpAddr) -> io::Result<Route> {
        self.inside(|| route_to(destination, None))
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // The end of its input ends it. What may fail here has ended already.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// client (1500) ── (1500) router (1400) ── (1500) server: neither end sees that the path is narrow.
struct Bed {
    client: Space,
    router: Space,
    server: Space,
}

impl Bed {
    fn new() -> Self {
        let (client, router, server) = (Space::new(), Space::new(), Space::new());
        for space in [&client, &router, &server] {
            // No waiting for a duplicate of an address.
            space.set(&[("ipv6/conf/default/accept_dad", "0"), ("ipv6/conf/default/accept_ra", "0")]);
            space.ip("link set lo up");
        }
        router.set(&[("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")]);
        for (near, far, space) in [("near", "out", &client), ("far", "in", &server)] {
            router.ip(&format!("link add {near} type veth peer name {far} netns {}", space.keeper.id()));
        }
        for (space, link, v4, v6, mtu) in [
            (&client, "out", "10.0.1.2/24", "fd00:1::2/64", 1500),
            (&router, "near", "10.0.1.1/24", "fd00:1::1/64", 1500),
            (&router, "far", "10.0.2.1/24", "fd00:2::1/64", 1400),
            (&server, "in", "10.0.2.2/24", "fd00:2::2/64", 1500),
        ] {
            space.ip(&format!("link set {link} mtu {mtu} up"));
            space.ip(&format!("address add {v4} dev {link}"));
            space.ip(&format!("address add {v6} dev {link} nodad"));
        }
        for (space, net) in [(&client, 1), (&server, 2)] {
            space.ip(&format!("route add default via 10.0.{net}.1"));
            space.ip(&format!("-6 route add default via fd00:{net}::1"));
        }
        Self { client, router, server }
    }

    /// Sends far more than one packet by TCP to a server at `address` and waits until all of it was received.
    fn exchange(&self, address: IpAddr) {
        let listener = self.server.inside(|| TcpListener::bind((address, 0))).expect("a port");
        let there = listener.local_addr().expect("bound");
        let near = self.client.inside(|| {
            let socket = Socket::new(Domain::for_address(there), Type::STREAM, None).expect("a socket");
            socket.connect_timeout(&there.into(), PATIENCE).map(|()| socket)
        });
        let mut near = near.expect("connected");
        let (mut far, _) = listener.accept().expect("accepted");
        near.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        near.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        far.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let received = thread::scope(|scope| {
            let server = scope.spawn(move || io::copy(&mut far, &mut io::sink()));
            near.write_all(&vec![0; 100_000]).expect("sent");
            near.shutdown(Shutdown::Write).expect("ended");
            server.join()
        });
        assert_eq!(received.expect("no panic").expect("received"), 100_000);
        assert_eq!(near.read(&mut [0]).expect("the end"), 0);
    }

    /// A router's advertisement (RFC 4861 §4.2) to the client's link, with itself as the default for ten minutes.
    fn advertise(&self, mtu: u32) {
        let mut packet = vec![134, 0, 0, 0, 64, 0];
        packet.extend(600_u16.to_be_bytes());
        packet.extend([0; 8]);
        packet.extend([5, 1, 0, 0]);
        packet.extend(mtu.to_be_bytes());
        self.router.inside(|| {
            let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).expect("root may");
            let link = name_to_index(&socket, "near").expect("the link");
            let from = SocketAddrV6::new("fe80::1".parse().expect("an address"), 0, 0, link);
            let all_nodes = SocketAddrV6::new("ff02::1".parse().expect("an address"), 0, 0, link);
            socket.bind(&from.into()).expect("bound");
            // Nothing that was routed is believed.
            socket.set_multicast_hops_v6(255).expect("hops");
            socket.send_to(&packet, &SocketAddr::from(all_nodes).into()).expect("sent");
        });
    }
}

fn route(link_mtu: u32, mtu: Option<RouteMtu>) -> Route {
    Route { link_mtu: Some(link_mtu), mtu }
}

fn errno(asked: io::Result<Route>) -> Option<rustix::io::Errno> {
    rustix::io::Errno::from_io_error(&asked.expect_err("no route"))
}

#[test]
fn what_icmp_says_is_learnt_for_that_address_and_forgotten() {
    let bed = Bed::new();
    for (server, neighbour) in SERVERS.into_iter().zip(NEIGHBOURS) {
        assert_eq!(bed.client.route_to(server).expect("a route"), route(1500, None), "{server}");
        bed.exchange(server);
        assert_eq!(
            bed.client.route_to(server).expect("a route"),
            route(1500, Some(RouteMtu::Learnt(1400))),
            "{server}"
        );
        assert_eq!(bed.client.route(neighbour).expect("a route"), route(1500, None));
    }
    let sources = ["10.0.1.2", "fd00:1::2"].map(|source| source.parse::<IpAddr>().expect("an address"));
    for (server, source) in SERVERS.into_iter().zip(sources) {
        let asked = bed.client.inside(|| route_to(server, Some(source)));
        assert_eq!(asked.expect("a route"), route(1500, Some(RouteMtu::Learnt(1400))), "from {source}");
    }
    let mapped = [SERVER_V4, CLIENT_V4].map(|address| IpAddr::V6(address.to_ipv6_mapped()));
    let asked = bed.client.inside(|| route_to(mapped[0], Some(mapped[1])));
    assert_eq!(asked.expect("a route"), route(1500, Some(RouteMtu::Learnt(1400))), "IPv4-mapped");
    for (server, family) in SERVERS.into_iter().zip(["-4", "-6"]) {
        bed.client.ip(&format!("{family} route flush cache"));
        assert_eq!(bed.client.route_to(server).expect("a route"), route(1500, None), "{server}");
    }
}

#[test]
fn what_an_operator_says_is_set() {
    let bed = Bed::new();
    for (mtu, wanted) in [
        ("mtu 1300", Some(RouteMtu::Set(1300))),
        ("mtu lock 1300", Some(RouteMtu::Set(1300))),
        ("mtu 1500", None),
        ("mtu 9001", None),
        ("advmss 1200", None),
    ] {
        bed.client.ip(&format!("route replace default via 10.0.1.1 {mtu}"));
        bed.client.ip(&format!("-6 route replace default via fd00:1::1 {mtu}"));
        for server in SERVERS {
            assert_eq!(bed.client.route_to(server).expect("a route"), route(1500, wanted), "{server} {mtu}");
        }
    }
    bed.client.ip("link set out mtu 9001");
    bed.client.ip("route replace default via 10.0.1.1 mtu 1500");
    bed.client.ip("-6 route replace default via fd00:1::1 mtu 1500");
    for server in SERVERS {
        assert_eq!(bed.client.route_to(server).expect("a route"), route(9001, Some(RouteMtu::Set(1500))), "{server}");
    }
}

#[test]
fn what_icmp_says_overrules_the_operator() {
    let bed = Bed::new();
    bed.client.ip("route replace default via 10.0.1.1 mtu 1450");
    bed.client.ip("-6 route replace default via fd00:1::1 mtu 1450");
    for (server, neighbour) in SERVERS.into_iter().zip(NEIGHBOURS) {
        bed.exchange(server);
        assert_eq!(
            bed.client.route_to(server).expect("a route"),
            route(1500, Some(RouteMtu::Learnt(1400))),
            "{server}"
        );
        assert_eq!(bed.client.route(neighbour).expect("a route"), route(1500, Some(RouteMtu::Set(1450))));
    }
}

#[test]
fn what_a_router_advertises_expires_and_is_still_not_learnt() {
    let bed = Bed::new();
    bed.router.ip("address add fe80::1/64 dev near nodad");
    bed.client.ip("-6 route delete default");
    bed.client.set(&[("ipv6/conf/out/accept_ra", "2")]);
    let deadline = Instant::now() + PATIENCE;
    let default = loop {
        bed.advertise(1450);
        let default = bed.client.ip("-6 route show default");
        if !default.is_empty() {
            break default;
        }
        assert!(Instant::now() < deadline, "no advertisement was taken");
    };
    assert!(default.contains("proto ra") && default.contains("expires") && default.contains("mtu 1450"), "{default}");
    let server = IpAddr::V6(SERVER_V6);
    assert_eq!(bed.client.route_to(server).expect("a route"), route(1500, Some(RouteMtu::Set(1450))));
    bed.exchange(server);
    assert_eq!(bed.client.route_to(server).expect("a route"), route(1500, Some(RouteMtu::Learnt(1400))));
}

#[test]
fn each_link_has_its_own_mtu() {
    let bed = Bed::new();
    for (destination, mtu) in [
        ("127.0.0.1", 65_536),
        ("::1", 65_536),
        // An address of one's own is reached by loopback.
        ("10.0.2.1", 65_536),
        ("10.0.1.2", 1500),
        ("fd00:1::2", 1500),
        ("10.0.2.2", 1400),
        ("fd00:2::2", 1400),
    ] {
        assert_eq!(bed.router.route(destination).expect("a route"), route(mtu, None), "{destination}");
    }
}

#[test]
fn no_route_is_the_kernels_own_error() {
    let bed = Bed::new();
    bed.client.ip("route delete default");
    bed.client.ip("-6 route delete default");
    for server in SERVERS {
        assert_eq!(errno(bed.client.route_to(server)), Some(rustix::io::Errno::NETUNREACH), "{server}");
    }
    for (kind, wanted) in [
        ("unreachable", rustix::io::Errno::HOSTUNREACH),
        ("prohibit", rustix::io::Errno::ACCESS),
        ("blackhole", rustix::io::Errno::INVAL),
    ] {
        bed.client.ip(&format!("route replace {kind} 10.0.2.0/24"));
        bed.client.ip(&format!("-6 route replace {kind} fd00:2::/64"));
        for server in SERVERS {
            assert_eq!(errno(bed.client.route_to(server)), Some(wanted), "{server} {kind}");
        }
        bed.client.ip("-6 route delete fd00:2::/64");
    }
    let foreign = bed.client.inside(|| route_to(IpAddr::V4(CLIENT_V4), Some(IpAddr::V4(SERVER_V4))));
    assert!(errno(foreign).is_some(), "a source that is not this host's: which error depends on the kernel");
}

#[test]
fn nobody_may_ask() {
    let bed = Bed::new();
    for server in SERVERS {
        bed.exchange(server);
        let asked = bed.client.inside(|| {
            let (user, group) = (Uid::from_raw(65_534), Gid::from_raw(65_534));
            // Of this thread alone; with the last user ID that is root's go all capabilities.
            set_thread_groups(&[]).expect("root may");
            set_thread_res_gid(group, group, group).expect("root may");
            set_thread_res_uid(user, user, user).expect("root may");
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect_err("no privilege is left");
            route_to(server, None)
        });
        assert_eq!(asked.expect("a route"), route(1500, Some(RouteMtu::Learnt(1400))), "{server}");
    }
}
