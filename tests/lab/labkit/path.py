"""The path of a scenario with `[path]`: two routers between the VPC and the far endpoints, and a link between them.

    fabric ── inner r1 narrow ──── narrow r2 outer ── world

Outwards is from `inner` to `narrow`. All sizes are those of IP packets. Every offload is off at every end: a veth
passes a packet that is still to be segmented whatever its size, and a filter would see the segments merged.
"""

from labkit import firewall, netns

# router's end, far end, prefix
NARROW_LINK = {4: ("198.18.1.1", "198.18.1.2", 30), 6: ("fd00:98::1", "fd00:98::2", 64)}
LAST_LINK = {4: ("198.18.2.1", "198.18.2.2", 30), 6: ("fd00:97::1", "fd00:97::2", 64)}
HEADERS = {"ipv4": 40, "ipv6": 60}
FLAGS = {"clamp_syn": "syn", "clamp_syn_ack": "(syn | ack)"}
OFF = "tso off gso off gro off tx off"

# What a router says of a packet that is too big.
TOO_BIG = ["icmp type destination-unreachable icmp code frag-needed", "icmpv6 type packet-too-big"]


class Path:
    """The two routers and what they do to packets."""

    def __init__(self, lab_id, scenario):
        self.scenario, self.wants = scenario, scenario["path"]
        self.r1, self.r2 = self.routers = [f"vp{lab_id}-r1", f"vp{lab_id}-r2"]

    def ports(self):
        """From the fabric to the world."""
        return [("inner", self.r1), ("narrow", self.r1), ("narrow", self.r2), ("outer", self.r2)]

    def raise_routers(self, sysctls, first_link):
        """Addresses, routes and filters of both routers; the links are there."""
        vpc, lines = self.scenario["vpc"], {self.r1: [], self.r2: []}
        for version, flag, nodad, subnet in ((4, "", "", vpc["subnet"]), (6, "-6 ", " nodad", vpc["subnet_ipv6"])):
            first, narrow, last = first_link[version], NARROW_LINK[version], LAST_LINK[version]
            lines[self.r1] += [
                f"addr add {first[1]}/{first[2]} dev inner{nodad}",
                f"addr add {narrow[0]}/{narrow[2]} dev narrow{nodad}",
                f"{flag}route add {subnet} via {first[0]}",
                f"{flag}route add default via {narrow[1]}",
            ]
            lines[self.r2] += [
                f"addr add {narrow[1]}/{narrow[2]} dev narrow{nodad}",
                f"addr add {last[0]}/{last[2]} dev outer{nodad}",
                f"{flag}route add {subnet} via {narrow[0]}",
                f"{flag}route add default via {last[1]}",
            ]
        for router, ports in ((self.r1, ("inner", "narrow")), (self.r2, ("narrow", "outer"))):
            netns.set_sysctls(router, sysctls | {f"net.ipv6.conf.{port}.accept_dad": 0 for port in ports})
            netns.ip_batch([f"link set {port} up" for port in ("lo", *ports)] + lines[router], router)
        self._filter()

    def set_ends(self, host, fabric, world, delay):
        """Sizes and offloads of every port, and the ends' TCP."""
        wide, narrow = self.wants["mtu"], self.wants["narrow"] or self.wants["mtu"]
        # The bridge is never larger than its smallest port.
        ports = {
            host: {"eth0": wide},
            fabric: {"port0": wide, "port1": wide, "subnet": wide, "out0": wide},
            self.r1: {"inner": wide, "narrow": narrow},
            self.r2: {"narrow": self.wants["l2"] or narrow, "outer": self.wants["l2"] or wide},
            world: {"near": wide, "far": wide},
        }
        if delay:
            ports[delay] = {"left": wide, "right": wide}
        for namespace, sizes in ports.items():
            netns.ip_batch([f"link set {port} mtu {size}" for port, size in sizes.items()], namespace)
            if not self.wants["offloads"]:
                command = f"for port in {' '.join(sizes)}; do ethtool -K $port {OFF} || exit; done"
                netns.run("ip", "netns", "exec", namespace, "sh", "-c", command)
        for namespace, key in ((host, "host_sysctls"), (world, "world_sysctls")):
            netns.set_sysctls(namespace, {f"net.ipv4.{name}": value for name, value in self.wants[key].items()})

    def _filter(self):
        """Clamps come before holes, as the packets that they change are small."""
        loss = self.wants["loss_percent"]
        rules = list(self.wants["nft"])
        rules += [f"numgen random mod 100 < {loss} counter drop"] if loss else []
        for key, flags in FLAGS.items():
            if size := self.wants[key]:
                rules += [
                    f"meta nfproto {family} tcp flags & (syn | ack) == {flags} "
                    f'counter tcp option maxseg size set {size - header} comment "{key}"'
                    for family, header in HEADERS.items()
                ]
        rules += self._hole("drop_out_above", "inner", "daddr") + self._hole("drop_in_above", "narrow", "saddr")
        _load(self.r1, "path", "forward", rules)
        # A veth whose other end is larger drops without a word, and so must the router behind it.
        if self.wants["icmp"] == "dropped" or self.wants["l2"]:
            for router in self.routers:
                _load(router, "silence", "output", [f"{message} counter drop" for message in TOO_BIG])

    def _hole(self, key, port, end):
        size, only = self.wants[key], self.wants["only"]
        if size is None:
            return []
        peers = [f"{firewall.family(address)} {end} {address} " for address in only] or [""]
        return [f'iifname "{port}" {peer}meta length > {size} counter drop' for peer in peers]


def _load(namespace, table, hook, rules):
    body = "\n    ".join(rules)
    text = f"table inet {table} {{\n  chain {hook} {{\n    type filter hook {hook} priority 0;\n    {body}\n  }}\n}}\n"
    netns.run("ip", "netns", "exec", namespace, "nft", "-f", "-", stdin=text)
