"""The wires of one lab: three namespaces, a fourth that delays packets when a scenario asks for latency, and two
routers when it asks for a path (`labkit/path.py`).

    host    the instance: eth0 in the own subnet
    fabric  the VPC: router, resolver and IMDS addresses; bridges the own subnet, routes everything else
    world   every ENI and every public or corporate address; `near` lies in the own subnet, `far` behind the router

An address that the world does not hold is dead as in a VPC: in the own subnet nobody answers ARP (EHOSTUNREACH after
3 s), elsewhere the router drops the packet without a word.
"""

import ipaddress

from labkit import netns, path

RESOLVERS_V4, RESOLVERS_V6 = ["169.254.169.253", "10.0.0.2"], ["fd00:ec2::253"]
IMDS_V4, IMDS_V6 = "169.254.169.254", "fd00:ec2::254"
LINK = {4: ("198.18.0.1", "198.18.0.2", 30), 6: ("fd00:99::1", "fd00:99::2", 64)}
NEAR_TABLE = 100
# Where a scenario's commands may run, beside the instance.
INSIDE = ("fabric", "world", "r1", "r2")

COMMON_SYSCTLS = {
    "net.ipv6.conf.all.accept_dad": 0,  # an address is usable at once
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.all.accept_ra": 0,
    "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
}
ROUTER_SYSCTLS = COMMON_SYSCTLS | {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.icmp_ratelimit": 0,  # an ICMP error that is rate-limited would make two equal runs differ
    "net.ipv6.icmp.ratelimit": 0,
}
# A router asks for neighbours from its link-local address, which must not be tentative for the first second.
FABRIC_SYSCTLS = ROUTER_SYSCTLS | {"net.ipv6.conf.out0.accept_dad": 0}


class Topology:
    """Names and addresses of one lab's namespaces, derived from a scenario."""

    def __init__(self, lab_id, scenario):
        self.scenario = scenario
        self.host, self.fabric, self.world, self.delay = (
            f"vp{lab_id}-{n}" for n in ("host", "fabric", "world", "delay")
        )
        self.has_delay = scenario["network"]["far_rtt_ms"] > 0
        self.path = path.Path(lab_id, scenario) if scenario.has_path else None
        self.namespaces = [self.host, self.fabric, self.world] + [self.delay] * self.has_delay
        self.namespaces += self.path.routers if self.path else []
        # The last hop: the router's address, the world's, the prefix.
        self.far_link = path.LAST_LINK if self.path else LINK

    def raise_wires(self, world_addresses):
        """Creates the namespaces, links, addresses and routes."""
        netns.ip_batch([f"netns add {n}" for n in self.namespaces] + self._links())
        for name in self.namespaces:
            netns.set_sysctls(name, FABRIC_SYSCTLS if name == self.fabric else COMMON_SYSCTLS)
        netns.ip_batch(self._fabric(world_addresses), self.fabric)
        netns.ip_batch(self._world(world_addresses), self.world)
        netns.ip_batch(self._host(), self.host)
        if self.has_delay:
            netns.ip_batch(["link set lo up", "link set left up", "link set right up"], self.delay)
            for namespace, port in ((self.fabric, "out0"), (self.world, "far")):
                # The delay line copies bytes: checksums and segments must be real, not promises to a driver.
                netns.run(
                    "ip", "netns", "exec", namespace, "ethtool", "-K", port, "tx", "off", "tso", "off", "gso", "off"
                )
        if self.path:
            self.path.raise_routers(ROUTER_SYSCTLS, LINK)
            self.path.set_ends(self.host, self.fabric, self.world, self.delay if self.has_delay else None)

    def _links(self):
        lines = [
            f"link add eth0 netns {self.host} type veth peer name port0 netns {self.fabric}",
            f"link add near netns {self.world} type veth peer name port1 netns {self.fabric}",
        ]
        ports = [("out0", self.fabric), *(self.path.ports() if self.path else []), ("far", self.world)]
        if self.has_delay:
            middle = len(ports) // 2
            ports[middle:middle] = [("left", self.delay), ("right", self.delay)]
        return lines + [
            f"link add {name} netns {namespace} type veth peer name {peer} netns {there}"
            for (name, namespace), (peer, there) in zip(ports[::2], ports[1::2])
        ]

    def _fabric(self, world_addresses):
        vpc = self.scenario["vpc"]
        router, router6 = _first(vpc["subnet"]), _first(vpc["subnet_ipv6"])
        lines = [
            "link set lo up",
            "link add subnet type bridge",
            "link set port0 master subnet",
            "link set port1 master subnet",
        ]
        lines += [f"link set {name} up" for name in ("port0", "port1", "subnet", "out0")]
        lines += [f"addr add {router} dev subnet", f"addr add {router6} dev subnet nodad"]
        # Without IMDS its address leads nowhere: silence, as from behind a firewall.
        imds = [] if self.scenario["imds"]["mode"] == "unreachable" else [IMDS_V4, IMDS_V6]
        lines += [f"addr add {_single(a)} dev lo" for a in [*self.resolvers_v4(), *RESOLVERS_V6, *imds]]
        lines += [f"addr add {LINK[4][0]}/{LINK[4][2]} dev out0", f"addr add {LINK[6][0]}/{LINK[6][2]} dev out0 nodad"]
        lines += ["route add blackhole default", "-6 route add blackhole default"]
        for address in world_addresses:
            if not self.scenario.is_near(address):
                lines.append(f"route add {address} via {LINK[ipaddress.ip_address(address).version][1]} dev out0")
        return lines

    def resolvers_v4(self):
        """The VPC resolver's IPv4 addresses: link-local, and the primary CIDR's base plus two."""
        return ["169.254.169.253", str(ipaddress.ip_network(self.scenario["vpc"]["cidrs"][0])[2])]

    def _world(self, world_addresses):
        vpc = self.scenario["vpc"]
        lines = ["link set lo up", "link set near up", "link set far up"]
        (router, own, length), (router6, own6, length6) = self.far_link[4], self.far_link[6]
        lines += [f"addr add {own}/{length} dev far", f"addr add {own6}/{length6} dev far nodad"]
        lines += [f"route add default via {router} dev far", f"-6 route add default via {router6} dev far"]
        for subnet, flag in ((vpc["subnet"], ""), (vpc["subnet_ipv6"], "-6 ")):
            # An ENI of the own subnet answers on the wire on which it was asked.
            router = _first(subnet).split("/")[0]
            lines += [f"{flag}route add {subnet} dev near table {NEAR_TABLE}"]
            lines += [f"{flag}route add default via {router} dev near table {NEAR_TABLE}"]
            lines += [f"{flag}rule add from {subnet} lookup {NEAR_TABLE}"]
        for address in world_addresses:
            device = "near" if self.scenario.is_near(address) else "far"
            lines.append(
                f"addr add {_single(address)} dev {device} noprefixroute" + (" nodad" if ":" in address else "")
            )
        return lines

    def _host(self):
        vpc = self.scenario["vpc"]
        lines = ["link set lo up", "link set eth0 up"]
        if vpc["ipv4"]:
            length = ipaddress.ip_network(vpc["subnet"]).prefixlen
            lines += [f"addr add {vpc['host']}/{length} dev eth0"]
            lines += [f"route add default via {_first(vpc['subnet']).split('/')[0]}"]
        if vpc["ipv6"]:
            length = ipaddress.ip_network(vpc["subnet_ipv6"]).prefixlen
            lines += [f"addr add {vpc['host_ipv6']}/{length} dev eth0 nodad"]
            lines += [f"-6 route add default via {_first(vpc['subnet_ipv6']).split('/')[0]}"]
        return lines + [
            f"{'-6 ' if ':' in route else ''}route add {route}" for route in self.scenario["host"]["routes"]
        ]


def _first(subnet):
    network = ipaddress.ip_network(subnet)
    return f"{network[1]}/{network.prefixlen}"


def _single(address):
    return f"{address}/{128 if ':' in address else 32}"
